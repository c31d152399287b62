//! TLS and client certificates.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use millstream_kafka_wire::ErrorCode;

use crate::cluster::{Cluster, alter_brokers, data};
use crate::raw::Raw;

const LISTENER: (&str, &str) = ("listeners", "SSL://127.0.0.1:0");

fn file(key: &'static str, name: &str) -> (&'static str, String) {
    (key, data(name))
}

/// A client that is not let in tries again for this long.
fn impatient() -> (&'static str, String) {
    ("default.api.timeout.ms", "100".to_owned())
}

fn refs<'a>(settings: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(k, v)| (*k, v.as_str())).collect()
}

/// A client that trusts the authority, with a certificate if one is named.
fn client(certificate: Option<&str>) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("security.protocol", "SSL".to_owned()),
        file("ssl.truststore.location", "authority.pem"),
    ];
    settings.extend(certificate.map(|name| file("ssl.keystore.location", name)));
    settings
}

#[tokio::test]
async fn records_of_the_conversation_are_encrypted() {
    let keystore = data("broker.pem");
    let cluster = Cluster::start(&[LISTENER, ("ssl.keystore.location", &keystore)]).await;
    cluster.create("SSL", &refs(&client(None)), "t").await.unwrap();
    let mut strangers = client(None);
    strangers[1] = file("ssl.truststore.location", "stranger.pem");
    assert!(cluster.create("SSL", &refs(&strangers), "u").await.is_err());
    let mut plain = Raw::connect(cluster.port("SSL")).await;
    plain
        .send(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff])
        .await;
    // The other side says so in TLS, and closes.
    plain.receive().await;
    assert!(plain.is_closed().await);
}

#[tokio::test]
async fn certificates_and_keys_may_be_given_as_text() {
    let pem = std::fs::read_to_string(data("broker.pem")).unwrap();
    let cluster = Cluster::start(&[
        LISTENER,
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.certificate.chain", &pem),
        ("ssl.keystore.key", &pem),
        ("ssl.enabled.protocols", "TLSv1.3"),
        ("ssl.cipher.suites", "TLS_AES_256_GCM_SHA384"),
    ])
    .await;
    cluster.create("SSL", &refs(&client(None)), "t").await.unwrap();
}

#[tokio::test]
async fn certificates_name_their_owners() {
    let (keystore, trust) = (data("broker.pem"), data("authority.pem"));
    for (auth, rules, user) in [
        (
            "required",
            "DEFAULT",
            r"User:CN=alice,OU=Engineering,O=Example\, Inc.,C=DE",
        ),
        (
            "required",
            "RULE:^CN=(.*?),OU=(.*?),.*$/$1@$2/L,DEFAULT",
            "User:alice@engineering",
        ),
        ("requested", "RULE:^CN=(.*?),.*$/$1/,DEFAULT", "User:alice"),
    ] {
        let cluster = Cluster::start(&[
            LISTENER,
            ("ssl.keystore.location", &keystore),
            ("ssl.truststore.location", &trust),
            ("ssl.client.auth", auth),
            ("ssl.principal.mapping.rules", rules),
            (
                "authorizer.class.name",
                "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            ),
            ("super.users", user),
        ])
        .await;
        cluster
            .create("SSL", &refs(&client(Some("alice.pem"))), "t")
            .await
            .unwrap();
        for other in [None, Some("stranger.pem")] {
            let mut settings = client(other);
            settings.push(impatient());
            let denied = cluster
                .create("SSL", &refs(&settings), "u")
                .await
                .expect_err("not alice");
            // Without a certificate a client may connect as ANONYMOUS; with an unknown certificate it may not.
            let is_let_in = denied.to_string().contains("AUTHORIZATION");
            assert_eq!(
                is_let_in,
                auth == "requested" && other.is_none(),
                "{auth} {other:?}: {denied}"
            );
        }
    }
}

#[tokio::test]
async fn a_certificate_that_no_rule_fits_is_refused() {
    let (keystore, trust) = (data("broker.pem"), data("authority.pem"));
    let cluster = Cluster::start(&[
        LISTENER,
        ("ssl.keystore.location", &keystore),
        ("ssl.truststore.location", &trust),
        ("ssl.client.auth", "required"),
        ("ssl.principal.mapping.rules", "RULE:^CN=bob,.*$/bob/"),
    ])
    .await;
    let mut settings = client(Some("alice.pem"));
    settings.push(impatient());
    let error = cluster
        .create("SSL", &refs(&settings), "t")
        .await
        .expect_err("not let in");
    assert!(!error.to_string().contains("AUTHORIZATION"), "{error}");
}

/// One that just goes away has not failed.
#[tokio::test]
async fn failed_handshakes_are_counted() {
    let (keystore, trust) = (data("broker.pem"), data("authority.pem"));
    for (auth, rules, certificate) in [
        ("required", "DEFAULT", None),
        ("required", "DEFAULT", Some("stranger.pem")),
        ("required", "RULE:^CN=bob,.*$/bob/", Some("alice.pem")),
        ("none", "DEFAULT", None),
    ] {
        let cluster = Cluster::start(&[
            LISTENER,
            ("ssl.keystore.location", &keystore),
            ("ssl.truststore.location", &trust),
            ("ssl.client.auth", auth),
            ("ssl.principal.mapping.rules", rules),
        ])
        .await;
        let failed = || {
            cluster
                .metrics
                .snapshot()
                .authentications
                .get("SSL")
                .map_or(0, |counts| counts.1)
        };
        drop(Raw::connect(cluster.port("SSL")).await);
        let mut foreign = Raw::connect(cluster.port("SSL")).await;
        foreign.send(b"GET / HTTP/1.1\r\n\r\n").await;
        while failed() == 0 {
            tokio::task::yield_now().await;
        }
        if auth == "required" {
            let mut settings = client(certificate);
            settings.push(impatient());
            let refused = cluster.create("SSL", &refs(&settings), "t").await;
            assert!(refused.is_err(), "{certificate:?}");
            while failed() == 1 {
                tokio::task::yield_now().await;
            }
        }
        let is_left = || cluster.listeners.gate().open()["SSL"] > 0;
        drop(foreign);
        while is_left() {
            tokio::task::yield_now().await;
        }
        assert_eq!(failed() > 1, auth == "required", "{certificate:?}");
    }
}

/// The certificate that the listener shows.
async fn shown(port: u16) -> CertificateDer<'static> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(data("authority.pem")).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
        .unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

#[tokio::test]
async fn changed_certificates_are_taken_over_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keystore.pem");
    let install = |name: &str| std::fs::copy(data(name), &path).unwrap();
    let certificate = |name: &str| CertificateDer::from_pem_file(data(name)).unwrap();
    install("broker.pem");
    let cluster = Cluster::start(&[LISTENER, ("ssl.keystore.location", path.to_str().unwrap())]).await;
    let port = cluster.port("SSL");
    assert_eq!(shown(port).await, certificate("broker.pem"));
    install("renewed.pem");
    assert_eq!(
        shown(port).await,
        certificate("broker.pem"),
        "looked at once a second at most"
    );
    cluster.clock.advance(1000);
    assert_eq!(shown(port).await, certificate("renewed.pem"));
    std::fs::write(&path, "half a certificate").unwrap();
    cluster.clock.advance(1000);
    assert_eq!(
        shown(port).await,
        certificate("renewed.pem"),
        "what cannot be used is not"
    );
    install("broker.pem");
    cluster.clock.advance(1000);
    assert_eq!(shown(port).await, certificate("broker.pem"));
}

#[tokio::test]
async fn other_certificates_may_be_named_while_the_broker_runs() {
    let certificate = |name: &str| CertificateDer::from_pem_file(data(name)).unwrap();
    let keystore = data("broker.pem");
    let properties = [
        ("listeners", "SSL://127.0.0.1:0,PLAINTEXT://127.0.0.1:0"),
        ("ssl.keystore.location", keystore.as_str()),
    ];
    let mut cluster = Cluster::start(&properties).await;
    let key = "listener.name.ssl.ssl.keystore.location";
    let (renewed, missing) = (data("renewed.pem"), data("missing.pem"));
    for (value, expected, code) in [
        (Some(renewed.as_str()), "renewed.pem", ErrorCode::NONE),
        (Some(missing.as_str()), "renewed.pem", ErrorCode::INVALID_REQUEST),
        (Some("store.jks"), "renewed.pem", ErrorCode::INVALID_REQUEST),
        (Some("/dev/zero"), "renewed.pem", ErrorCode::INVALID_REQUEST),
        (None, "broker.pem", ErrorCode::NONE),
        (Some(renewed.as_str()), "renewed.pem", ErrorCode::NONE),
    ] {
        let mut raw = Raw::connect(cluster.port("PLAINTEXT")).await;
        let (found, message) = alter_brokers(&mut raw, "1", &[(key, value)]).await;
        assert_eq!(found, code, "{value:?}: {message}");
        assert_eq!(
            shown(cluster.port("SSL")).await,
            certificate(expected),
            "{value:?}"
        );
    }
    cluster = cluster.restart(&properties).await;
    assert_eq!(shown(cluster.port("SSL")).await, certificate("renewed.pem"));
}
