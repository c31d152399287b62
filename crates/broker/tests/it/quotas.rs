//! Client quotas in force: who is asked to wait, for how long, and who is not.

use crate::driver::{Driver, batch};
use bytes::Bytes;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ErrorCode, KafkaString};

/// An entity's parts: type and name, no name for the default.
type Parts<'a> = &'a [(&'a str, Option<&'a str>)];

fn set(driver: &mut Driver, parts: Parts<'_>, key: &str, value: Option<f64>) {
    let entity = parts
        .iter()
        .map(|(kind, name)| alter_client_quotas::RequestEntityData {
            entity_type: (*kind).into(),
            entity_name: name.map(KafkaString::from),
        });
    let op = alter_client_quotas::OpData {
        key: key.into(),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
    };
    let response = driver.call(AlterClientQuotasRequest {
        entries: vec![alter_client_quotas::RequestEntryData {
            entity: entity.collect(),
            ops: vec![op],
        }],
        validate_only: false,
    });
    assert_eq!(response.entries[0].error_code, ErrorCode::NONE);
}

/// Produces a batch of about 1,000 bytes; for how long the client is to wait.
fn produce(driver: &mut Driver) -> i32 {
    let request = driver.produce_request("t", 0, thousand(driver.now));
    let response = driver.call(request);
    assert_eq!(
        response.responses[0].partition_responses[0].error_code,
        ErrorCode::NONE
    );
    response.throttle_time_ms
}

fn thousand(now: i64) -> Bytes {
    let overhead = batch(now, &[""]).len();
    let records = batch(now, &["x".repeat(1000 - overhead - 3).as_str()]);
    assert!((990..1010).contains(&records.len()), "{}", records.len());
    records
}

fn with_topic() -> Driver {
    let mut driver = Driver::new();
    driver.create("t", 1);
    driver.context.principal = "User:alice".into();
    driver.context.client_id = "app".into();
    driver
}

#[test]
fn a_producer_above_its_rate_waits_until_the_rate_has_fallen() {
    let mut driver = with_topic();
    set(
        &mut driver,
        &[("client-id", Some("app"))],
        "producer_byte_rate",
        Some(200.0),
    );
    // 11 samples of a second, ten of which are assumed to be over: 2,000 bytes fit in.
    assert_eq!((produce(&mut driver), produce(&mut driver)), (0, 0));
    let throttle = produce(&mut driver);
    assert!((4_800..5_200).contains(&throttle), "{throttle}");
    driver.advance(i64::from(throttle));
    let throttle = produce(&mut driver);
    assert!(
        throttle > 4_000,
        "each thousand bytes take five seconds: {throttle}"
    );
    driver.advance(60_000);
    assert_eq!(produce(&mut driver), 0, "the samples are over");
    set(
        &mut driver,
        &[("client-id", Some("app"))],
        "producer_byte_rate",
        None,
    );
    assert_eq!((0..20).map(|_| produce(&mut driver)).max(), Some(0));
}

#[test]
fn the_finest_quota_counts() {
    let mut driver = with_topic();
    let mut order: Vec<(Parts<'_>, f64)> = vec![
        (&[("client-id", None)], 100.0),
        (&[("client-id", Some("app"))], 1e9),
        (&[("user", None)], 100.0),
        (&[("user", None), ("client-id", None)], 1e9),
        (&[("user", None), ("client-id", Some("app"))], 100.0),
        (&[("user", Some("alice"))], 1e9),
        (&[("user", Some("alice")), ("client-id", None)], 100.0),
        (&[("user", Some("alice")), ("client-id", Some("app"))], 1e9),
    ];
    for (parts, limit) in order.drain(..) {
        driver.advance(60_000);
        set(&mut driver, parts, "producer_byte_rate", Some(limit));
        let throttle = (0..4).map(|_| produce(&mut driver)).max();
        assert_eq!(throttle > Some(0), limit < 1e6, "{parts:?}");
    }
}

#[test]
fn each_client_of_a_default_has_its_own_share_and_callers_inside_have_no_quota() {
    let mut driver = with_topic();
    set(&mut driver, &[("user", None)], "producer_byte_rate", Some(100.0));
    produce(&mut driver);
    assert!(produce(&mut driver) > 0);
    driver.context.client_id = "other".into();
    assert!(produce(&mut driver) > 0, "the quota is the user's");
    driver.context.principal = "User:bob".into();
    assert_eq!(produce(&mut driver), 0);
    driver.context.is_internal = true;
    assert_eq!((0..5).map(|_| produce(&mut driver)).max(), Some(0));
}

#[test]
fn a_consumer_above_its_rate_is_given_nothing_until_it_has_waited() {
    let mut driver = with_topic();
    for _ in 0..10 {
        produce(&mut driver);
    }
    set(
        &mut driver,
        &[("user", Some("alice"))],
        "consumer_byte_rate",
        Some(300.0),
    );
    let fetch = |driver: &mut Driver| {
        let request = driver.fetch_request("t", 0, 0);
        let response = driver.call(request);
        let parts = response.responses.iter().flat_map(|topic| &topic.partitions);
        let bytes: usize = parts
            .map(|part| part.records.as_ref().map_or(0, Bytes::len))
            .sum();
        (bytes, response.throttle_time_ms)
    };
    let (bytes, throttle) = fetch(&mut driver);
    assert!(
        (2_000..=3_000).contains(&bytes),
        "no response is larger than the quota of its window: {bytes}"
    );
    assert_eq!(throttle, 0);
    let (bytes, throttle) = fetch(&mut driver);
    assert_eq!(bytes, 0);
    assert!(throttle > 1_000, "{throttle}");
    assert_eq!(
        fetch(&mut driver),
        (0, throttle),
        "nothing is counted for an empty response"
    );
    driver.advance(11_000);
    assert!(fetch(&mut driver).0 > 0);
}

#[test]
fn a_producer_without_acks_is_throttled() {
    let mut driver = with_topic();
    set(
        &mut driver,
        &[("user", Some("alice"))],
        "producer_byte_rate",
        Some(100.0),
    );
    let version = crate::driver::newest(millstream_kafka_wire::ApiKey::Produce);
    let silent = |driver: &mut Driver| {
        let mut request = driver.produce_request("t", 0, thousand(driver.now));
        request.acks = 0;
        driver.submit(version, request)
    };
    use millstream_broker::{Progress, Reply};
    assert!(matches!(silent(&mut driver), Progress::Ready(Reply::Silent)));
    let Progress::Pending(ticket) = silent(&mut driver) else {
        panic!("not held back");
    };
    driver.settle();
    assert!(!driver.completed.contains_key(&ticket));
    driver.advance(60_000);
    assert_eq!(driver.completed.remove(&ticket), Some(Reply::Silent));
}

#[test]
fn the_time_of_requests_counts_in_percent_of_a_thread() {
    let mut driver = with_topic();
    assert!(!driver.broker.has_request_quotas());
    set(
        &mut driver,
        &[("user", Some("alice"))],
        "request_percentage",
        Some(10.0),
    );
    assert!(driver.broker.has_request_quotas());
    let context = driver.context.clone();
    let mut charge = |taken_ms| driver.broker.throttle_request(driver.now, &context, taken_ms);
    // Ten seconds at a tenth of a thread are a second of work.
    assert_eq!(charge(500), 0);
    assert_eq!(charge(500), 0);
    assert_eq!(charge(50), 500);
    assert_eq!(charge(5_000), 1_000, "a sample's time at most");
}

#[test]
fn changes_of_topics_are_refused_or_slowed_down_by_version() {
    let mut driver = with_topic();
    set(
        &mut driver,
        &[("user", Some("alice"))],
        "controller_mutation_rate",
        Some(1.0),
    );
    let create = |driver: &mut Driver, version: i16, name: &str, partitions: i32| {
        let topic = create_topics::CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            ..Default::default()
        };
        let response = driver.call_version::<CreateTopicsRequest>(
            version,
            CreateTopicsRequest {
                topics: vec![topic],
                timeout_ms: 1000,
                validate_only: false,
            },
        );
        (response.topics[0].error_code, response.throttle_time_ms)
    };
    // A burst of eleven seconds' worth, which one request may overdraw.
    assert_eq!(create(&mut driver, 7, "a", 15), (ErrorCode::NONE, 0));
    assert_eq!(
        create(&mut driver, 7, "b", 1),
        (ErrorCode::THROTTLING_QUOTA_EXCEEDED, 4_000)
    );
    assert_eq!(create(&mut driver, 5, "b", 1), (ErrorCode::NONE, 5_000));
    driver.advance(5_000);
    assert_eq!(create(&mut driver, 7, "c", 1), (ErrorCode::NONE, 0));
    let response = driver.delete_topic("a");
    assert_eq!(
        response.responses[0].error_code,
        ErrorCode::THROTTLING_QUOTA_EXCEEDED
    );
    assert_eq!(response.throttle_time_ms, 1_000);
}

#[test]
fn quotas_are_refused_in_kafkas_words() {
    let mut driver = Driver::new();
    let rate = "connection_creation_rate";
    let (ip, user) = (("ip", Some("1.2.3.4")), ("user", Some("a")));
    type Row<'a> = (Vec<(&'a str, Option<&'a str>)>, Vec<(&'a str, f64)>, &'a str);
    #[rustfmt::skip]
    let rows: Vec<Row<'_>> = vec![
        (vec![ip], vec![(rate, 5.0)], ""),
        (vec![("ip", None)], vec![(rate, 5.0)], ""),
        (vec![("ip", Some("::1"))], vec![(rate, 5.0)], ""),
        (vec![("ip", Some("[::1]"))], vec![(rate, 5.0)], ""),
        (vec![ip], vec![(rate, 5.5)], "connection_creation_rate cannot be a fractional value."),
        (vec![ip], vec![(rate, 0.0)], "Quota connection_creation_rate must be greater than 0"),
        (vec![ip], vec![(rate, f64::NAN)], "Quota connection_creation_rate must be greater than 0"),
        (vec![ip], vec![(rate, 1e10)], "Proposed value for connection_creation_rate is too large for an INT."),
        (vec![ip], vec![("producer_byte_rate", 5.0)], "Invalid configuration key producer_byte_rate"),
        (vec![("ip", Some("no.such.host.invalid"))], vec![(rate, 5.0)], "no.such.host.invalid is not a valid IP or resolvable host."),
        (vec![("ip", Some(""))], vec![(rate, 5.0)], "Empty ip not supported"),
        (vec![ip, user], vec![(rate, 5.0)], "Invalid quota entity combination, IP entity should not be combined with User or ClientId"),
        (vec![user], vec![(rate, 5.0)], "Invalid configuration key connection_creation_rate"),
        (vec![user], vec![("producer_byte_rate", 5.5)], "producer_byte_rate cannot be a fractional value."),
        (vec![user], vec![("producer_byte_rate", 1e19)], "Proposed value for producer_byte_rate is too large for a LONG."),
        (vec![user], vec![("request_percentage", 5.5)], ""),
        (vec![user], vec![("controller_mutation_rate", f64::INFINITY)], ""),
        (vec![user], vec![("nonsense", 5.0)], "Invalid configuration key nonsense"),
        (vec![user], vec![("producer_byte_rate", 5.0), ("producer_byte_rate", 6.0)], "Duplicate quota key producer_byte_rate"),
        (vec![], vec![("producer_byte_rate", 5.0)], "Invalid empty client quota entity"),
        (vec![("planet", Some("a"))], vec![("producer_byte_rate", 5.0)], "Unhandled client quota entity type: planet"),
    ];
    for (entity, ops, message) in rows {
        let part = |(kind, name): &(&str, Option<&str>)| alter_client_quotas::RequestEntityData {
            entity_type: (*kind).into(),
            entity_name: name.map(Into::into),
        };
        let op = |(key, value): &(&str, f64)| alter_client_quotas::OpData {
            key: (*key).into(),
            value: *value,
            remove: false,
        };
        let mut response = driver.call(AlterClientQuotasRequest {
            entries: vec![alter_client_quotas::RequestEntryData {
                entity: entity.iter().map(part).collect(),
                ops: ops.iter().map(op).collect(),
            }],
            validate_only: false,
        });
        let result = response.entries.remove(0);
        let code = if message.is_empty() {
            ErrorCode::NONE
        } else {
            ErrorCode::INVALID_REQUEST
        };
        let found = (
            result.error_code,
            result.error_message.unwrap_or_default().to_string(),
        );
        assert_eq!(found, (code, message.to_owned()), "{entity:?} {ops:?}");
    }
}
