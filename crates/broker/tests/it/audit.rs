//! What operators are told: a line for each administrative change and each denial, none for what clients do all day, and
//! no secrets.

use crate::driver::{Driver, batch};
use bytes::Bytes;
use millstream_kafka_wire::messages::*;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Once;
use tracing::field::{Field, Visit};
use tracing::span;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the lines of the target `audit`, for each thread. One for the process: subscribers of single threads miss what
/// another thread was the first to reach.
struct Recorder;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

impl tracing::Subscriber for Recorder {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "audit" && *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        LINES.with_borrow_mut(|lines| lines.push(line.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The lines that a piece of work leaves.
fn lines(work: impl FnOnce()) -> Vec<String> {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| tracing::subscriber::set_global_default(Recorder).expect("the only one"));
    LINES.take();
    work();
    LINES.take()
}

fn driver() -> Driver {
    let mut driver = Driver::with(&[("authorizer.class.name", "acl"), ("super.users", "User:root")]);
    driver.context.principal = "User:root".into();
    driver.context.client_host = "/10.0.0.1".into();
    driver
}

#[test]
fn administrative_changes_leave_a_line_with_who_and_from_where() {
    let mut driver = driver();
    let set = |resource_type, name: &str, key: &str, value: &str| IncrementalAlterConfigsRequest {
        resources: vec![incremental_alter_configs::AlterConfigsResource {
            resource_type,
            resource_name: name.into(),
            configs: vec![incremental_alter_configs::AlterableConfig {
                name: key.into(),
                config_operation: 0,
                value: Some(value.into()),
            }],
        }],
        ..Default::default()
    };
    let user = AlterUserScramCredentialsRequest {
        upsertions: vec![alter_user_scram_credentials::ScramCredentialUpsertion {
            name: "alice".into(),
            mechanism: 2,
            iterations: 4096,
            salt: Bytes::from_static(b"salty"),
            salted_password: Bytes::from_static(b"hush"),
        }],
        ..Default::default()
    };
    let acl = create_acls::AclCreation {
        resource_type: 2,
        resource_name: "t".into(),
        resource_pattern_type: 4,
        principal: "User:alice".into(),
        host: "*".into(),
        operation: 3,
        permission_type: 3,
    };
    let delete = DeleteTopicsRequest {
        topics: vec![delete_topics::DeleteTopicState {
            name: Some("t".into()),
            ..Default::default()
        }],
        ..Default::default()
    };
    type Step<'a> = (&'a str, Box<dyn FnOnce(&mut Driver)>);
    let call = |request: millstream_kafka_wire::Request| -> Box<dyn FnOnce(&mut Driver)> {
        let version = request.api_key().versions().1;
        Box::new(move |driver| _ = driver.reply(version, request))
    };
    let acls = CreateAclsRequest { creations: vec![acl] };
    let steps: Vec<Step<'_>> = vec![
        (
            "topic 't' created with 2 partitions",
            Box::new(|driver| _ = driver.create("t", 2)),
        ),
        (
            "configs of topic 't': retention.ms=5000",
            call(set(2, "t", "retention.ms", "5000").into()),
        ),
        (
            "listener.name.plaintext.ssl.key.password=[hidden]",
            call(set(4, "1", "listener.name.plaintext.ssl.key.password", "hush").into()),
        ),
        ("SCRAM credential of 'alice' for Sha512 set", call(user.into())),
        (
            "ACL set: ALLOW READ on TOPIC:PREFIXED:t for User:alice from *",
            call(acls.into()),
        ),
        ("topic 't' deleted", call(delete.into())),
    ];
    for (expected, step) in steps {
        let found = lines(|| step(&mut driver));
        let [line] = found.as_slice() else {
            panic!("{expected}: {found:?}");
        };
        for part in [expected, "User:root", "10.0.0.1"] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(!line.contains("hush"), "{line}");
    }
}

#[test]
fn denials_leave_a_line_and_traffic_does_not() {
    let mut driver = driver();
    driver.create("t", 1);
    let records = batch(driver.now, &["a"]);
    let traffic = lines(|| {
        driver.produce("t", 0, records.clone());
        driver.fetch("t", 0, 0, 0);
        driver.call(MetadataRequest {
            topics: None,
            ..Default::default()
        });
    });
    assert!(traffic.is_empty(), "{traffic:?}");
    driver.context.principal = "User:eve\nforged".into();
    let denials = lines(|| _ = driver.produce("t", 0, records));
    let [line] = denials.as_slice() else {
        panic!("{denials:?}");
    };
    for part in [
        "denied",
        "Write",
        "Topic",
        "\"t\"",
        r"User:eve\nforged",
        "Produce",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    let listing = lines(|| {
        driver.call(MetadataRequest {
            topics: None,
            ..Default::default()
        });
        driver.call(ListGroupsRequest::default());
    });
    assert!(
        listing.is_empty(),
        "what is left out of a list is not a denial: {listing:?}"
    );
}

#[test]
fn a_request_leaves_one_line_for_each_topic_that_it_was_denied() {
    let mut driver = driver();
    let topics = ["t", "u"];
    for topic in topics {
        driver.create(topic, 3);
    }
    let records = batch(driver.now, &["a"]);
    let mut produce = driver.produce_request("t", 0, records.clone());
    let mut fetch = driver.fetch_request("t", 0, 0);
    let mut list = ListOffsetsRequest {
        replica_id: -1,
        ..Default::default()
    };
    produce.topic_data.clear();
    fetch.topics.clear();
    for topic in topics {
        let mut of_topic = driver
            .produce_request(topic, 0, records.clone())
            .topic_data
            .remove(0);
        of_topic.name = Default::default();
        of_topic.partition_data = vec![of_topic.partition_data[0].clone(); 3];
        produce.topic_data.push(of_topic);
        let mut of_topic = driver.fetch_request(topic, 0, 0).topics.remove(0);
        let wanted = of_topic.partitions.remove(0);
        of_topic.partitions = (0..3)
            .map(|partition| fetch::FetchPartition {
                partition,
                ..wanted.clone()
            })
            .collect();
        fetch.topics.push(of_topic);
        let partition = |partition_index| list_offsets::ListOffsetsPartition {
            partition_index,
            current_leader_epoch: -1,
            timestamp: -1,
        };
        list.topics.push(list_offsets::ListOffsetsTopic {
            name: topic.into(),
            partitions: (0..3).map(partition).collect(),
        });
    }
    driver.context.principal = "User:eve".into();
    type Call = Box<dyn Fn(&mut Driver)>;
    let calls: [(&str, Call); 3] = [
        (
            "Produce",
            Box::new(move |driver| _ = driver.call(produce.clone())),
        ),
        ("Fetch", Box::new(move |driver| _ = driver.call(fetch.clone()))),
        (
            "ListOffsets",
            Box::new(move |driver| _ = driver.call(list.clone())),
        ),
    ];
    for (api, call) in calls {
        for _ in 0..2 {
            let found = lines(|| call(&mut driver));
            let named = topics.map(|topic| {
                found
                    .iter()
                    .filter(|line| line.contains(&format!("{topic:?}")))
                    .count()
            });
            assert_eq!((found.len(), named), (2, [1, 1]), "{api}: {found:?}");
            assert!(found.iter().all(|line| line.contains(api)), "{found:?}");
        }
    }
}
