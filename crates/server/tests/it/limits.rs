//! How many connections, how much memory, how long.

use millstream_kafka_wire::ErrorCode;
use millstream_server::kafka::ListenError;

use crate::cluster::{Cluster, alter_brokers};
use crate::raw::{Raw, api_versions};

pub async fn is_served(port: u16) -> (bool, Raw) {
    let mut raw = Raw::connect(port).await;
    (raw.call(3, api_versions()).await.is_some(), raw)
}

#[tokio::test]
async fn connections_are_counted_by_all_by_address_and_by_listener() {
    let listeners = ("listeners", "A://127.0.0.1:0,B://127.0.0.1:0");
    let map = ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT");
    for (limit, of_a, of_b) in [
        (("max.connections", "3"), 2, 1),
        (("max.connections.per.ip", "3"), 2, 1),
        (("max.connections.per.ip.overrides", "127.0.0.1:3"), 2, 1),
        (("listener.name.a.max.connections", "1"), 1, 2),
    ] {
        let cluster = Cluster::start(&[listeners, map, limit]).await;
        let mut open = Vec::new();
        for (listener, count) in [("A", of_a), ("B", of_b)] {
            for _ in 0..count {
                let (served, raw) = is_served(cluster.port(listener)).await;
                assert!(served, "{limit:?}");
                open.push(raw);
            }
        }
        assert!(!is_served(cluster.port("A")).await.0, "{limit:?}");
        // One that leaves makes room, as soon as the listener has seen it.
        drop(open);
        while !is_served(cluster.port("A")).await.0 {}
    }
}

#[tokio::test]
async fn limits_of_connections_may_be_altered_while_the_broker_runs() {
    let cluster = Cluster::start(&[("max.connections.per.ip", "10")]).await;
    let (served, mut raw) = is_served(cluster.port("PLAINTEXT")).await;
    assert!(served);
    let response = alter_brokers(&mut raw, "1", &[("max.connections.per.ip", Some("1"))]).await;
    assert_eq!(response.0, ErrorCode::NONE);
    assert!(!is_served(cluster.port("PLAINTEXT")).await.0);
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let cluster = Cluster::start(&[("connections.max.idle.ms", "30")]).await;
    let (served, mut raw) = is_served(cluster.port("PLAINTEXT")).await;
    assert!(served && raw.is_closed().await);
}

/// Claims cost nothing, and what is really sent is limited for all connections together.
#[tokio::test]
async fn many_connections_that_claim_much_do_not_hurt_others() {
    let cluster = Cluster::start(&[]).await;
    let mut claiming = Vec::new();
    for _ in 0..60 {
        let mut raw = Raw::connect(cluster.port("PLAINTEXT")).await;
        raw.send(&(90i32 << 20).to_be_bytes()).await;
        raw.send(&[0; 1000]).await;
        claiming.push(raw);
    }
    cluster.create("PLAINTEXT", &[], "t").await.unwrap();
    assert!(
        cluster.listeners.gate().open()["PLAINTEXT"] > 60,
        "they are still there"
    );
}

#[tokio::test]
async fn frames_beyond_the_limit_are_refused_at_their_length() {
    let cluster = Cluster::start(&[("socket.request.max.bytes", "1000")]).await;
    let mut raw = Raw::connect(cluster.port("PLAINTEXT")).await;
    raw.send(&1001i32.to_be_bytes()).await;
    assert!(raw.is_closed().await);
}

#[tokio::test]
async fn without_authentication_only_loopback_is_listened_on() {
    let tls = ("ssl.keystore.location", &*crate::cluster::data("broker.pem"));
    let trust = ("ssl.truststore.location", &*crate::cluster::data("authority.pem"));
    let auth = |value| ("ssl.client.auth", value);
    let refused: [&[(&str, &str)]; 4] = [
        &[("listeners", "PLAINTEXT://0.0.0.0:0")],
        &[("listeners", "PLAINTEXT://:0")],
        &[("listeners", "PLAINTEXT://127.0.0.1:0,SSL://0.0.0.0:0"), tls],
        &[("listeners", "SSL://0.0.0.0:0"), tls, trust, auth("requested")],
    ];
    for properties in refused {
        let error = Cluster::try_start(properties).await.err().expect("refused");
        assert!(matches!(error, ListenError::NotLoopback { .. }), "{error}");
    }
    Cluster::start(&[("listeners", "SSL://0.0.0.0:0"), tls, trust, auth("required")]).await;
}
