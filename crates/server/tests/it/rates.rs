//! How fast connections may come. The clock of the broker stands still, so all come within the same millisecond.

use millstream_kafka_wire::ErrorCode;
use millstream_server::kafka::gate::ListenerCounts;

use crate::cluster::{Cluster, START_MS, alter_brokers, limit_address};
use crate::limits::is_served;
use crate::raw::Raw;

/// Rates are over one second then.
const WINDOW: (&str, &str) = ("quota.window.num", "2");
const TWO: [(&str, &str); 2] = [
    ("listeners", "PLAINTEXT://127.0.0.1:0,OTHER://127.0.0.1:0"),
    (
        "listener.security.protocol.map",
        "PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT",
    ),
];

fn counts(cluster: &Cluster, listener: &str) -> ListenerCounts {
    let measured = cluster.listeners.gate().measure(START_MS);
    measured.listeners[listener].clone()
}

/// Opens connections until a listener has accepted this many.
async fn open(cluster: &Cluster, listener: &str, until: usize) -> Vec<Raw> {
    let mut open = Vec::new();
    while counts(cluster, listener).accept_rate < until as f64 {
        let (served, raw) = is_served(cluster.port(listener)).await;
        assert!(served);
        open.push(raw);
    }
    open
}

#[tokio::test]
async fn connections_that_come_too_fast_wait_and_are_served() {
    let of_listener = "listener.name.plaintext.max.connection.creation.rate";
    let of_all = "max.connection.creation.rate";
    for (key, given, altered) in [
        (of_all, Some("20"), None),
        (of_listener, Some("20"), None),
        (of_all, None, Some("20")),
        (of_listener, None, Some("20")),
        (of_listener, Some("1"), Some("20")),
    ] {
        let mut properties = vec![WINDOW];
        properties.extend(given.filter(|_| altered.is_none()).map(|value| (key, value)));
        let cluster = Cluster::start(&properties).await;
        let mut raw = Raw::connect(cluster.port("PLAINTEXT")).await;
        if altered.is_some() {
            let response = alter_brokers(&mut raw, "1", &[(key, altered)]).await;
            assert_eq!(response, (ErrorCode::NONE, String::new()));
        }
        let _open = open(&cluster, "PLAINTEXT", 20).await;
        assert!(counts(&cluster, "PLAINTEXT").throttle_ms.is_nan(), "{key}");
        let _more = open(&cluster, "PLAINTEXT", 22).await;
        // The first waits for a twentieth of a second, the next for two.
        assert_eq!(counts(&cluster, "PLAINTEXT").throttle_ms, 75.0, "{key}");
        assert_eq!(cluster.listeners.gate().measure(START_MS).accept_rate, 22.0);
        cluster.clock.advance(2_000);
        assert_eq!(
            cluster.listeners.gate().measure(START_MS + 2_000).accept_rate,
            0.0
        );
    }
}

#[tokio::test]
async fn a_limit_that_is_altered_counts_at_once_and_goes_back() {
    let cluster = Cluster::start(&[WINDOW, ("max.connection.creation.rate", "1")]).await;
    let mut raw = Raw::connect(cluster.port("PLAINTEXT")).await;
    let key = "listener.name.plaintext.max.connection.creation.rate";
    for (resource, configs) in [
        ("", &[("max.connection.creation.rate", Some("100"))][..]),
        ("", &[(key, Some("5"))]),
        ("1", &[(key, Some("50"))]),
    ] {
        assert_eq!(
            alter_brokers(&mut raw, resource, configs).await.0,
            ErrorCode::NONE
        );
    }
    let _open = open(&cluster, "PLAINTEXT", 50).await;
    assert!(counts(&cluster, "PLAINTEXT").throttle_ms.is_nan());
    alter_brokers(&mut raw, "1", &[(key, None)]).await;
    // 51 a second where 5 are allowed would be longer than the longest wait, which is one sample.
    assert_eq!(cluster.listeners.gate().arrive(START_MS, "PLAINTEXT"), 1_000);
}

#[tokio::test]
async fn the_listener_of_brokers_is_not_held_up_by_what_comes_elsewhere() {
    for (name, protected, other) in [
        ("PLAINTEXT", "PLAINTEXT", "OTHER"),
        ("OTHER", "OTHER", "PLAINTEXT"),
    ] {
        let mut properties = vec![
            WINDOW,
            ("max.connection.creation.rate", "20"),
            ("listener.name.plaintext.max.connection.creation.rate", "1000"),
            ("listener.name.other.max.connection.creation.rate", "1000"),
            ("max.connections", "30"),
            ("listener.name.plaintext.max.connections", "1000"),
            ("listener.name.other.max.connections", "1000"),
        ];
        properties.extend(TWO);
        properties.extend((name == "OTHER").then_some(("inter.broker.listener.name", name)));
        let cluster = Cluster::start(&properties).await;
        let _safe = open(&cluster, protected, 29).await;
        assert!(counts(&cluster, protected).throttle_ms.is_nan());
        assert_eq!(cluster.listeners.gate().measure(START_MS).accept_rate, 0.0);
        let _others = open(&cluster, other, 1).await;
        assert!(!is_served(cluster.port(other)).await.0, "30 are open");
        assert!(is_served(cluster.port(protected)).await.0);
    }
}

#[tokio::test]
async fn connections_of_an_address_that_is_too_fast_are_closed_after_a_while() {
    for (address, limits) in [
        (None, &[(None, 20.0)][..]),
        (Some("127.0.0.1"), &[(Some("127.0.0.1"), 20.0), (None, 1.0)]),
    ] {
        let cluster = Cluster::start(&[WINDOW]).await;
        let port = cluster.port("PLAINTEXT");
        let mut raw = Raw::connect(port).await;
        for (address, limit) in limits.iter().rev() {
            let code = limit_address(&mut raw, *address, Some(*limit)).await;
            assert_eq!(code, ErrorCode::NONE);
        }
        // The first one came before there was a limit.
        let _open = open(&cluster, "PLAINTEXT", 21).await;
        assert!(!is_served(port).await.0);
        let found = counts(&cluster, "PLAINTEXT");
        assert_eq!(
            (found.accept_rate, found.ip_throttle_ms),
            (21.0, 50.0),
            "it does not count"
        );
        assert!(found.throttle_ms.is_nan());
        cluster.clock.advance(2_000);
        assert!(is_served(port).await.0, "the rate has fallen");
        for (address, _) in limits {
            limit_address(&mut raw, *address, None).await;
        }
        let mut more = Vec::new();
        for _ in 0..30 {
            more.push(is_served(port).await);
        }
        assert!(
            more.iter().all(|(served, _)| *served),
            "{address:?} has no limit any more"
        );
    }
}

#[tokio::test]
async fn limits_survive_a_restart_also_with_other_listeners() {
    let cluster = Cluster::start(&TWO).await;
    let mut raw = Raw::connect(cluster.port("PLAINTEXT")).await;
    let limits = [
        ("listener.name.plaintext.max.connections", Some("1")),
        ("listener.name.other.max.connections", Some("1")),
    ];
    assert_eq!(alter_brokers(&mut raw, "1", &limits).await.0, ErrorCode::NONE);
    assert_eq!(limit_address(&mut raw, None, Some(1.0)).await, ErrorCode::NONE);
    drop(raw);
    let cluster = cluster.restart(&[WINDOW]).await;
    let port = cluster.port("PLAINTEXT");
    let (served, mut raw) = is_served(port).await;
    assert!(served);
    assert!(!is_served(port).await.0, "one is open");
    // What is kept for a listener that has gone does not stand in the way of other changes.
    let more = [("listener.name.plaintext.max.connections", Some("2"))];
    assert_eq!(alter_brokers(&mut raw, "1", &more).await.0, ErrorCode::NONE);
    assert!(!is_served(port).await.0, "the address may open one a second");
    cluster.clock.advance(2_000);
    assert!(is_served(port).await.0);
}

#[tokio::test]
async fn what_cannot_be_put_in_force_is_refused_with_a_reason() {
    let mut properties = vec![("max.connections.per.ip.overrides", "localhost:100")];
    properties.extend(TWO);
    let cluster = Cluster::start(&properties).await;
    let mut raw = Raw::connect(cluster.port("PLAINTEXT")).await;
    for (resource, key, value, reason) in [
        ("1", "listener.name.other.max.connections", "7", ""),
        ("", "listener.name.other.max.connections", "7", ""),
        ("1", "max.connections.per.ip.overrides", "localhost:5,[::1]:7", ""),
        ("1", "leader.replication.throttled.rate", "1000", ""),
        (
            "1",
            "listener.name.other.max.connections",
            "0",
            "Invalid max.connections 0",
        ),
        (
            "1",
            "listener.name.other.max.connections",
            "many",
            "Invalid value many for configuration max.connections: Not a number of type INT",
        ),
        (
            "1",
            "listener.name.OTHER.max.connections",
            "7",
            "'listener.name.OTHER.max.connections' names listener OTHER, but 'listeners' has none of that name",
        ),
        (
            "1",
            "listener.name.other.connections.max.idle.ms",
            "7",
            "Cannot update these configs dynamically: [listener.name.other.connections.max.idle.ms]",
        ),
        (
            "1",
            "listener.name.other.ssl.keystore.location",
            "x.pem",
            "invalid value '[hidden]' for 'listener.name.other.ssl.keystore.location': listener OTHER does not encrypt",
        ),
        (
            "",
            "listener.name.other.ssl.keystore.location",
            "x.pem",
            "Cannot update these configs at default cluster level, broker id must be specified: \
             [listener.name.other.ssl.keystore.location]",
        ),
        (
            "1",
            "ssl.keystore.location",
            "x.pem",
            "These security configs can be dynamically updated only per-listener using the listener prefix: \
             [ssl.keystore.location]",
        ),
        (
            "1",
            "max.connections.per.ip.overrides",
            "example.org:5",
            "invalid value 'example.org:5' for 'max.connections.per.ip.overrides': HOST:COUNT, for example \
             127.0.0.1:200; names of hosts are looked up at start only",
        ),
    ] {
        let expected = match reason {
            "" => ErrorCode::NONE,
            _ => ErrorCode::INVALID_REQUEST,
        };
        let found = alter_brokers(&mut raw, resource, &[(key, Some(value))]).await;
        assert_eq!(found, (expected, reason.to_owned()), "{key}={value}");
    }
}
