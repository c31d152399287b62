//! Sinks that leave names outside.

use millstream_datastream::Environment;
use millstream_datastream::sink::{DeliveryGuarantee, KafkaSink, Record};
use millstream_datastream::source::SimpleStringSchema;

use crate::host::environment;

/// Two sinks of one topic.
fn with_prefixes(env: &Environment, prefixes: [Option<&str>; 2]) {
    for prefix in prefixes {
        let mut sink = KafkaSink::builder()
            .bootstrap_servers("localhost:9092")
            .delivery_guarantee(DeliveryGuarantee::ExactlyOnce);
        if let Some(prefix) = prefix {
            sink = sink.transactional_id_prefix(prefix);
        }
        let record = Record::to("output").value(SimpleStringSchema);
        let sink = sink.record_serializer(record).build().unwrap();
        env.from_collection(["a".to_owned()]).sink_to(sink);
    }
}

#[test]
fn two_sinks_do_not_fence_each_other() {
    for prefixes in [[None, None], [Some("a"), None], [Some("a"), Some("b")]] {
        let env = environment(1);
        with_prefixes(&env, prefixes);
        assert!(env.into_graph().is_ok(), "{prefixes:?}");
    }
    let env = environment(1);
    with_prefixes(&env, [Some("a"), Some("a")]);
    let error = env.into_graph().err().unwrap();
    assert!(
        error
            .message
            .contains("both have transactional id prefix 'a' at localhost:9092"),
        "{error}"
    );
}
