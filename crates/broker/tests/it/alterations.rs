//! What AlterConfigs refuses, in Kafka's codes and sentences, which were recorded from Kafka 4.3.

use crate::driver::Driver;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ErrorCode, KafkaString};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;
const METRICS: i8 = 16;
const GROUP: i8 = 32;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

const REQUEST: ErrorCode = ErrorCode::INVALID_REQUEST;
const CONFIG: ErrorCode = ErrorCode::INVALID_CONFIG;

type Op<'a> = (&'a str, i8, Option<&'a str>);

fn resource(kind: i8, name: &str, ops: &[Op<'_>]) -> incremental_alter_configs::AlterConfigsResource {
    let config = |(name, operation, value): &Op<'_>| incremental_alter_configs::AlterableConfig {
        name: (*name).into(),
        config_operation: *operation,
        value: value.map(Into::into),
    };
    incremental_alter_configs::AlterConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configs: ops.iter().map(config).collect(),
    }
}

fn alter(driver: &mut Driver, kind: i8, name: &str, ops: &[Op<'_>]) -> (ErrorCode, String) {
    let mut response = driver.call(IncrementalAlterConfigsRequest {
        resources: vec![resource(kind, name, ops)],
        validate_only: false,
    });
    let outcome = response.responses.remove(0);
    (
        outcome.error_code,
        outcome.error_message.unwrap_or_default().to_string(),
    )
}

#[test]
fn alterations_are_refused_in_kafkas_words() {
    let mut driver = Driver::with(&[("listeners", "PLAINTEXT://127.0.0.1:9092")]);
    driver.create("t", 1);
    let set = |key, value| [(key, SET, Some(value))];
    type Row<'a> = (i8, &'a str, &'a [Op<'a>], ErrorCode, &'a str);
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (TOPIC, "t", &set("retention.ms", " 5 "), ErrorCode::NONE, ""),
        (TOPIC, "t", &set("retention.ms", "x"), CONFIG, "Invalid value x for configuration retention.ms: Not a number of type LONG"),
        (TOPIC, "t", &set("nonsense", "1"), CONFIG, "Unknown topic config name: nonsense"),
        (TOPIC, "t", &[("nonsense", DELETE, None)], ErrorCode::NONE, ""),
        (TOPIC, "t", &[("retention.ms", SET, None)], REQUEST, "Null value not supported for : retention.ms"),
        (TOPIC, "t", &[("retention.ms", SET, Some("5")), ("retention.ms", SET, Some("6"))], REQUEST, "Error due to duplicate config keys"),
        (TOPIC, "t", &[("retention.ms", APPEND, Some("5"))], CONFIG, "Can't APPEND to key retention.ms because its type is not LIST."),
        (TOPIC, "t", &[("retention.ms", SUBTRACT, Some("5"))], CONFIG, "Can't SUBTRACT to key retention.ms because its type is not LIST."),
        (TOPIC, "t", &[("cleanup.policy", APPEND, Some("compact"))], ErrorCode::NONE, ""),
        (TOPIC, "t", &[("cleanup.policy", APPEND, Some("shred"))], CONFIG, "Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete"),
        (TOPIC, "t", &[("cleanup.policy", SUBTRACT, Some("delete"))], ErrorCode::NONE, ""),
        (TOPIC, "t", &[("min.compaction.lag.ms", SET, Some("100")), ("max.compaction.lag.ms", SET, Some("50"))], CONFIG, "conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (50)"),
        (TOPIC, "t", &set("remote.storage.enable", "TRUE"), CONFIG, "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."),
        (TOPIC, "t", &set("leader.replication.throttled.replicas", "*"), ErrorCode::NONE, ""),
        (TOPIC, "t", &set("leader.replication.throttled.replicas", "0:1,1:2"), ErrorCode::NONE, ""),
        (TOPIC, "t", &set("leader.replication.throttled.replicas", "0:1,*"), CONFIG, "Invalid value [0:1, *] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."),
        (TOPIC, "nope", &set("retention.ms", "5"), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "The topic 'nope' does not exist."),
        (TOPIC, "", &set("retention.ms", "5"), REQUEST, "Default topic resources are not allowed."),
        (BROKER, "1", &set("log.retention.ms", "5"), ErrorCode::NONE, ""),
        (BROKER, "", &set("log.retention.ms", "6"), ErrorCode::NONE, ""),
        (BROKER, "1", &set("log.retention.ms", "0"), REQUEST, "log.retention.ms must be unlimited (-1) or, greater than or equal to 1"),
        (BROKER, "1", &set("group.consumer.assignment.interval.ms", "9999999"), REQUEST, "group.consumer.assignment.interval.ms must be less than or equal to group.consumer.max.assignment.interval.ms"),
        (BROKER, "1", &set("log.roll.ms", "0"), REQUEST, "log.roll.ms must be greater than or equal to 1"),
        (BROKER, "1", &set("log.roll.jitter.ms", "-1"), REQUEST, "log.roll.jitter.ms must be greater than or equal to 0"),
        (BROKER, "1", &set("log.cleaner.dedupe.buffer.size", "1000"), REQUEST, "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread."),
        (BROKER, "1", &set("log.cleaner.threads", "1000000"), REQUEST, "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread."),
        (BROKER, "1", &set("max.connections.per.ip", "0"), REQUEST, "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."),
        (BROKER, "1", &set("compression.type", "LZ4"), REQUEST, "Invalid value LZ4 for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"),
        (BROKER, "1", &set("node.id", "5"), REQUEST, "Cannot update these configs dynamically: [node.id]"),
        (BROKER, "1", &[("node.id", SET, Some("5")), ("broker.rack", SET, Some("a"))], REQUEST, "Cannot update these configs dynamically: [broker.rack, node.id]"),
        (BROKER, "1", &[("max.connections", APPEND, Some("5"))], CONFIG, "Config value append is not allowed for config key: max.connections"),
        (BROKER, "1", &[("max.connections", 9, Some("5"))], REQUEST, "Unknown operations type 9"),
        (BROKER, "7", &set("max.connections", "5"), REQUEST, "Unexpected broker id, expected 1, but received 7"),
        (BROKER, "x", &set("max.connections", "5"), REQUEST, "Node id must be an integer, but it is: x"),
        (BROKER, "1", &set("follower.replication.throttled.rate", "1000"), ErrorCode::NONE, ""),
        (BROKER, "1", &set("follower.replication.throttled.rate", "-1"), REQUEST, "Invalid value -1 for configuration follower.replication.throttled.rate: Value must be at least 0"),
        (LOGGER, "1", &set("kafka.x", "DEBUG"), CONFIG, "Logger kafka.x does not exist!"),
        (METRICS, "m", &set("interval.ms", "5000"), ErrorCode::NONE, ""),
        (METRICS, "m", &set("interval.ms", "5"), REQUEST, "Invalid value 5 for interval.ms, interval must be between 100 and 3600000 (1 hour)"),
        (METRICS, "m", &set("nonsense", "5"), REQUEST, "Unknown client metrics configuration: nonsense"),
        (METRICS, "", &set("interval.ms", "5000"), REQUEST, "Subscription name can't be empty"),
        (GROUP, "g", &set("consumer.session.timeout.ms", "46000"), ErrorCode::NONE, ""),
        (GROUP, "g", &set("consumer.session.timeout.ms", "7"), CONFIG, "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms"),
        (GROUP, "g", &set("consumer.session.timeout.ms", "99999999"), CONFIG, "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms"),
        (GROUP, "g", &set("consumer.assignment.interval.ms", "99999999"), CONFIG, "consumer.assignment.interval.ms must be less than or equal to group.consumer.max.assignment.interval.ms"),
        (GROUP, "g", &set("streams.num.standby.replicas", "7"), CONFIG, "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas"),
        (GROUP, "g", &set("nonsense", "1"), CONFIG, "Unknown group config name: nonsense"),
        (GROUP, "", &set("consumer.session.timeout.ms", "45000"), REQUEST, "Default group resources are not allowed."),
        (3, "x", &set("a", "b"), REQUEST, "Unknown resource type 3"),
    ];
    for (kind, name, ops, code, message) in rows {
        let found = alter(&mut driver, *kind, name, ops);
        assert_eq!(found, (*code, (*message).to_owned()), "{kind} '{name}' {ops:?}");
    }
}

/// It would lock all users out, permanently.
#[test]
fn no_connections_from_anywhere_cannot_be_reached_in_two_steps() {
    let mut driver = Driver::new();
    let (limit, overrides) = ("max.connections.per.ip", "max.connections.per.ip.overrides");
    let both = [(limit, SET, Some("0")), (overrides, SET, Some("127.0.0.1:9"))];
    let refused = (
        REQUEST,
        format!("{limit} can be set to zero only if {overrides} property is set."),
    );
    assert_eq!(alter(&mut driver, BROKER, "", &both).0, ErrorCode::NONE);
    for second in [(overrides, DELETE, None), (overrides, SET, Some(""))] {
        assert_eq!(alter(&mut driver, BROKER, "", &[second]), refused, "{second:?}");
    }
    // One after the other, or both.
    for ops in [
        &[(limit, SET, Some("5")), (overrides, DELETE, None)][..],
        &both,
        &[(limit, DELETE, None)],
        &[(overrides, DELETE, None)],
    ] {
        assert_eq!(alter(&mut driver, BROKER, "", ops).0, ErrorCode::NONE, "{ops:?}");
    }
}

#[test]
fn a_resource_may_be_altered_once_in_a_request() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    driver.create("u", 1);
    let ops = [("retention.ms", SET, Some("5"))];
    let response = driver.call(IncrementalAlterConfigsRequest {
        resources: ["t", "u", "t"].map(|name| resource(TOPIC, name, &ops)).into(),
        validate_only: false,
    });
    let codes: Vec<_> = response.responses.iter().map(|each| each.error_code).collect();
    assert_eq!(codes, [REQUEST, ErrorCode::NONE, REQUEST]);
}

#[test]
fn a_whole_replacement_is_refused_alike() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let key = "retention.ms";
    for (kind, name, configs, code, message) in [
        (TOPIC, "t", vec![(key, Some("5"))], ErrorCode::NONE, ""),
        (
            TOPIC,
            "t",
            vec![(key, None)],
            REQUEST,
            "Null value not supported for : retention.ms",
        ),
        (
            TOPIC,
            "t",
            vec![(key, Some("5")), (key, Some("6"))],
            REQUEST,
            "Error due to duplicate config keys",
        ),
        (
            BROKER,
            "1",
            vec![("node.id", Some("1"))],
            REQUEST,
            "Cannot update these configs dynamically: [node.id]",
        ),
        (BROKER, "1", vec![], ErrorCode::NONE, ""),
        (
            LOGGER,
            "1",
            vec![("root", Some("INFO"))],
            REQUEST,
            "Unknown resource type 8",
        ),
    ] {
        let config = |(name, value): &(&str, Option<&str>)| alter_configs::AlterableConfig {
            name: (*name).into(),
            value: value.map(Into::into),
        };
        let mut response = driver.call(AlterConfigsRequest {
            resources: vec![alter_configs::AlterConfigsResource {
                resource_type: kind,
                resource_name: name.into(),
                configs: configs.iter().map(config).collect(),
            }],
            validate_only: false,
        });
        let outcome = response.responses.remove(0);
        let found = (
            outcome.error_code,
            outcome.error_message.unwrap_or_default().to_string(),
        );
        assert_eq!(found, (code, message.to_owned()), "{kind} '{name}' {configs:?}");
    }
}

#[test]
fn configurations_of_listeners_are_shown_with_what_they_override() {
    let key = "listener.name.plaintext.max.connections";
    let secret = "listener.name.plaintext.ssl.key.password";
    let users = "listener.name.plaintext.plain.sasl.jaas.config";
    let given = [("max.connections", "90"), (key, "9"), (users, "hush")];
    let mut driver = Driver::with(&given);
    for (resource, value) in [("1", "7"), ("", "8")] {
        assert_eq!(
            alter(&mut driver, BROKER, resource, &[(key, SET, Some(value))]).0,
            ErrorCode::NONE
        );
    }
    alter(&mut driver, BROKER, "1", &[(secret, SET, Some("hush"))]);
    driver.crash();
    for (resource, expected) in [
        (
            "1",
            vec![
                (key, "7", 2),
                (key, "8", 3),
                (key, "9", 4),
                ("max.connections", "90", 4),
                ("max.connections", "2147483647", 5),
            ],
        ),
        ("", vec![(key, "8", 3)]),
    ] {
        let mut response = driver.call(DescribeConfigsRequest {
            resources: vec![describe_configs::DescribeConfigsResource {
                resource_type: BROKER,
                resource_name: resource.into(),
                configuration_keys: Some(vec![key.into(), secret.into(), users.into()]),
            }],
            include_synonyms: true,
            ..Default::default()
        });
        let configs = response.results.remove(0).configs;
        assert_eq!(configs.len(), if resource.is_empty() { 1 } else { 3 });
        let shown: Vec<_> = configs[0]
            .synonyms
            .iter()
            .map(|each| {
                (
                    each.name.as_str(),
                    each.value.as_ref().map_or("", KafkaString::as_str),
                    each.source,
                )
            })
            .collect();
        assert_eq!((shown, configs[0].is_sensitive), (expected, false));
        for hidden in &configs[1..] {
            assert!(hidden.is_sensitive && hidden.value.is_none(), "{hidden:?}");
            assert!(
                hidden.synonyms.iter().all(|each| each.value.is_none()),
                "{hidden:?}"
            );
        }
    }
}

/// All that is said of some configurations of a resource: name, value, source, type, and its synonyms by their values.
fn described(driver: &mut Driver, kind: i8, name: &str, keys: &[&str]) -> Vec<String> {
    let mut response = driver.call(DescribeConfigsRequest {
        resources: vec![describe_configs::DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.into(),
            configuration_keys: Some(keys.iter().map(|key| (*key).into()).collect()),
        }],
        include_synonyms: true,
        ..Default::default()
    });
    let result = response.results.remove(0);
    if result.error_code != ErrorCode::NONE {
        let message = result.error_message.unwrap_or_default();
        return vec![format!("{:?} {message}", result.error_code)];
    }
    let shown = |value: &Option<KafkaString>| value.as_ref().map_or("null".to_owned(), |v| format!("{v:?}"));
    let line = |config: &describe_configs::DescribeConfigsResourceResult| {
        let synonyms = config.synonyms.iter();
        let synonyms: Vec<String> = synonyms
            .map(|each| format!("{}={} {}", each.name, shown(&each.value), each.source))
            .collect();
        let (name, source, kind) = (&config.name, config.config_source, config.config_type);
        format!("{name}={} {source} {kind} {synonyms:?}", shown(&config.value)).replace('\\', "")
    };
    result.configs.iter().map(line).collect()
}

#[test]
fn values_are_shown_as_kafka_reads_them_and_synonyms_as_they_were_given() {
    let given = [
        ("log.segment.bytes", " 2000000 "),
        ("log.retention.hours", "24"),
        ("group.consumer.session.timeout.ms", " 050000"),
        ("node.id", " 01 "),
    ];
    let mut driver = Driver::with(&given);
    let set = |key, value| [(key, SET, Some(value))];
    driver.create_with(
        "t",
        1,
        &[("cleanup.policy", "compact, delete"), ("preallocate", "TRUE")],
    );
    for (kind, name, ops) in [
        (TOPIC, "t", set("max.message.bytes", " 7 ")),
        (BROKER, "1", set("log.retention.ms", " 8 ")),
        (BROKER, "", set("log.retention.ms", " 9 ")),
    ] {
        assert_eq!(alter(&mut driver, kind, name, &ops).0, ErrorCode::NONE);
    }
    #[rustfmt::skip]
    let rows: &[(i8, &str, &str, &str)] = &[
        (TOPIC, "t", "cleanup.policy", r#"cleanup.policy="compact,delete" 1 7 ["cleanup.policy="compact,delete" 1", "log.cleanup.policy="delete" 5"]"#),
        (TOPIC, "t", "preallocate", r#"preallocate="true" 1 1 ["preallocate="true" 1", "log.preallocate="false" 5"]"#),
        (TOPIC, "t", "max.message.bytes", r#"max.message.bytes="7" 1 3 ["max.message.bytes="7" 1", "message.max.bytes="1048588" 5"]"#),
        (TOPIC, "t", "segment.bytes", r#"segment.bytes="2000000" 4 3 ["log.segment.bytes=" 2000000 " 4", "log.segment.bytes="1073741824" 5"]"#),
        (TOPIC, "t", "retention.ms", r#"retention.ms="8" 2 5 ["log.retention.ms=" 8 " 2", "log.retention.ms=" 9 " 3", "log.retention.hours="24" 4", "log.retention.hours="168" 5"]"#),
        (TOPIC, "t", "remote.storage.enable", r#"remote.storage.enable="false" 5 1 []"#),
        (BROKER, "1", "log.segment.bytes", r#"log.segment.bytes="2000000" 4 3 ["log.segment.bytes=" 2000000 " 4", "log.segment.bytes="1073741824" 5"]"#),
        (BROKER, "1", "log.retention.hours", r#"log.retention.hours="24" 4 3 ["log.retention.hours="24" 4", "log.retention.hours="168" 5"]"#),
        (BROKER, "1", "log.roll.ms", "log.roll.ms=null 5 5 []"),
        (BROKER, "", "log.retention.ms", r#"log.retention.ms=" 9 " 3 5 ["log.retention.ms=" 9 " 3"]"#),
        (GROUP, "g", "consumer.session.timeout.ms", r#"consumer.session.timeout.ms="50000" 4 3 ["group.consumer.session.timeout.ms=" 050000" 4", "group.consumer.session.timeout.ms="45000" 5"]"#),
        (GROUP, "g", "share.auto.offset.reset", r#"share.auto.offset.reset="latest" 5 2 ["share.auto.offset.reset="latest" 5"]"#),
    ];
    for (kind, name, key, expected) in rows {
        assert_eq!(described(&mut driver, *kind, name, &[key]), [*expected]);
    }
    assert_eq!(
        described(&mut driver, TOPIC, "t", &[]).len(),
        33,
        "no keys are all"
    );
}

#[test]
fn a_broker_is_described_by_its_number() {
    for (given, number) in [("node.id", " 05 "), ("broker.id", "5")] {
        let mut driver = Driver::with(&[(given, number)]);
        let ops = [("log.retention.ms", SET, Some("8"))];
        assert_eq!(driver.broker.node_id(), 5, "{given}");
        assert_eq!(
            alter(&mut driver, BROKER, "5", &ops).0,
            ErrorCode::NONE,
            "{given}"
        );
        let found = described(&mut driver, BROKER, "5", &["log.retention.ms"]);
        assert!(
            found[0].starts_with(r#"log.retention.ms="8" 2 "#),
            "{given}: {found:?}"
        );
    }
}

#[test]
fn subscriptions_to_metrics_are_shown_as_they_are_kept() {
    let mut driver = Driver::new();
    let defaults = [
        r#"interval.ms="300000" 5 3 []"#,
        r#"match="" 5 7 []"#,
        r#"metrics="" 5 7 []"#,
    ];
    assert_eq!(described(&mut driver, METRICS, "m", &[]), defaults);
    let ops = [
        ("interval.ms", SET, Some(" 5000 ")),
        ("metrics", SET, Some("a., b.")),
    ];
    assert_eq!(alter(&mut driver, METRICS, "m", &ops).0, ErrorCode::NONE);
    driver.crash();
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], &[&str])] = &[
        ("m", &[], &[r#"interval.ms="5000" 7 3 ["interval.ms="5000" 7"]"#, defaults[1], r#"metrics="a.,b." 7 7 ["metrics="a.,b." 7"]"#]),
        ("m", &["match"], &defaults[1..2]),
        ("other", &[], &defaults),
        ("", &[], &["INVALID_REQUEST(42) Client metrics subscription name must not be empty"]),
    ];
    for (name, keys, expected) in rows {
        assert_eq!(
            described(&mut driver, METRICS, name, keys),
            *expected,
            "{name} {keys:?}"
        );
    }
}
