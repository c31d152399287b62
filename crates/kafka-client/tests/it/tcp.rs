//! Connections: negotiation, authentication, encryption, pipelining, failure, against a scripted broker behind a
//! loopback socket.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use millstream_kafka_client::{ClientError, KafkaClient, ProduceRecord, Producer, Target, TransportError};
use millstream_kafka_wire::header::encode_response;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ErrorCode, KafkaString, Reader, RequestHeader};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::fake::{Fake, Fault, config};

/// How the broker behind the socket behaves.
#[derive(Clone, Default)]
struct Behaviour {
    /// The highest version of ApiVersions that it knows.
    api_versions_max: Option<i16>,
    password: Option<&'static str>,
    session_lifetime_ms: i64,
    tls: Option<TlsAcceptor>,
    connections: Arc<AtomicUsize>,
    authentications: Arc<AtomicUsize>,
}

/// Serves the fake on a free port; gives the port.
async fn listen(fake: &Fake, behaviour: &Behaviour) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let (fake, behaviour) = (fake.clone(), behaviour.clone());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            behaviour.connections.fetch_add(1, Ordering::Relaxed);
            let (fake, behaviour) = (fake.clone(), behaviour.clone());
            tokio::spawn(async move {
                match &behaviour.tls {
                    None => serve(socket, fake, &behaviour).await,
                    Some(acceptor) => match acceptor.accept(socket).await {
                        Ok(stream) => serve(stream, fake, &behaviour).await,
                        Err(_) => None,
                    },
                }
            });
        }
    });
    port
}

/// One connection, until it ends or the script says so.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    fake: Fake,
    behaviour: &Behaviour,
) -> Option<()> {
    loop {
        let length = stream.read_i32().await.ok()?;
        let mut frame = vec![0; usize::try_from(length).ok()?];
        stream.read_exact(&mut frame).await.ok()?;
        let mut r = Reader::new(frame.into());
        let header = RequestHeader::decode(&mut r).expect("the client's header");
        let api = ApiKey::from_code(header.api_key).expect("a known API");
        let newest = behaviour.api_versions_max.unwrap_or(i16::MAX);
        let (response, version) = if api == ApiKey::ApiVersions && header.api_version > newest {
            let own = api_versions::ApiVersion {
                api_key: 18,
                min_version: 0,
                max_version: newest,
            };
            let error_code = ErrorCode::UNSUPPORTED_VERSION;
            (
                ApiVersionsResponse {
                    error_code,
                    api_keys: vec![own],
                    ..Default::default()
                }
                .into(),
                0,
            )
        } else {
            let request = Request::decode(api, header.api_version, &mut r).expect("the client's body");
            let response = match request {
                Request::SaslHandshake(_) | Request::SaslAuthenticate(_) => authenticate(&request, behaviour),
                Request::Produce(request) if request.acks == 0 => {
                    fake.serve(request.into()).await.ok()?;
                    continue;
                }
                request => fake.serve(request).await.ok()??,
            };
            (response, header.api_version)
        };
        let chunks = encode_response(&response, version, header.correlation_id).expect("encodable");
        for chunk in chunks {
            stream.write_all(&chunk).await.ok()?;
        }
        stream.flush().await.ok()?;
    }
}

fn authenticate(request: &Request, behaviour: &Behaviour) -> Response {
    match request {
        Request::SaslAuthenticate(request) => {
            behaviour.authentications.fetch_add(1, Ordering::Relaxed);
            let expected = format!("\0user\0{}", behaviour.password.unwrap_or_default());
            let right = request.auth_bytes == expected.as_bytes();
            let error_code = if right {
                ErrorCode::NONE
            } else {
                ErrorCode::SASL_AUTHENTICATION_FAILED
            };
            SaslAuthenticateResponse {
                error_code,
                session_lifetime_ms: behaviour.session_lifetime_ms,
                ..Default::default()
            }
            .into()
        }
        Request::SaslHandshake(request) => {
            let offered = request.mechanism == "PLAIN";
            let error_code = if offered {
                ErrorCode::NONE
            } else {
                ErrorCode::UNSUPPORTED_SASL_MECHANISM
            };
            SaslHandshakeResponse {
                error_code,
                mechanisms: vec!["PLAIN".into()],
            }
            .into()
        }
        other => panic!("{:?} does not authenticate", other.api_key()),
    }
}

fn client(host: &str, port: u16, settings: &[(&str, &str)]) -> KafkaClient {
    let address = format!("{host}:{port}");
    let mut all = vec![
        ("bootstrap.servers", address.as_str()),
        ("default.api.timeout.ms", "20000"),
    ];
    all.extend(settings);
    KafkaClient::connect(&config(&all)).expect("usable settings")
}

async fn topic_names(client: &KafkaClient) -> Result<Vec<String>, ClientError> {
    let metadata = client.refresh_metadata(None, false).await?;
    Ok(metadata.topics.keys().map(ToString::to_string).collect())
}

#[tokio::test]
async fn brokers_that_know_only_old_versions_are_spoken_to_in_those() {
    for newest in [0, 1, 3] {
        let fake = Fake::new(&[("t", 1)], true);
        fake.lock().versions.apis.insert(ApiKey::Metadata as i16, (0, 5));
        fake.lock()
            .versions
            .apis
            .insert(ApiKey::ApiVersions as i16, (0, newest));
        let behaviour = Behaviour {
            api_versions_max: Some(newest),
            ..Behaviour::default()
        };
        let port = listen(&fake, &behaviour).await;
        let client = client("127.0.0.1", port, &[]);
        assert_eq!(topic_names(&client).await.expect("completed"), ["t"]);
        let versions = client.versions(Target::Any).await.expect("connected");
        assert_eq!(versions.choose(ApiKey::Metadata, 0, i16::MAX), Some(5));
        assert_eq!(behaviour.connections.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn requests_are_pipelined_on_one_connection() {
    let fake = Fake::new(&[("t", 1)], true);
    let behaviour = Behaviour::default();
    let port = listen(&fake, &behaviour).await;
    let client = client("127.0.0.1", port, &[]);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let client = client.clone();
        calls.spawn(async move { topic_names(&client).await });
    }
    while let Some(result) = calls.join_next().await {
        assert_eq!(result.expect("no panic").expect("completed"), ["t"]);
    }
    assert_eq!(behaviour.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_broken_connection_fails_its_requests_and_is_reopened() {
    let fake = Fake::new(&[("t", 1)], true);
    let behaviour = Behaviour::default();
    let port = listen(&fake, &behaviour).await;
    let client = client("127.0.0.1", port, &[("reconnect.backoff.ms", "1")]);
    fake.fault(ApiKey::Metadata, [Fault::Lost]);
    let error = topic_names(&client).await.expect_err("the connection was closed");
    assert!(error.is_retriable(), "{error}");
    assert_eq!(topic_names(&client).await.expect("completed"), ["t"]);
    assert_eq!(behaviour.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_closed_port_is_reported_with_its_address() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port")
        .local_addr()
        .expect("bound")
        .port();
    let client = client(
        "127.0.0.1",
        port,
        &[("reconnect.backoff.ms", "1"), ("default.api.timeout.ms", "50")],
    );
    let error = topic_names(&client).await.expect_err("the port is closed");
    assert!(
        matches!(error, ClientError::Transport(TransportError::Connect { .. })),
        "{error}"
    );
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    assert!(error.is_retriable());
}

#[tokio::test]
async fn something_that_is_not_kafka_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let client = client("127.0.0.1", port, &[]);
    let error = topic_names(&client).await.expect_err("it is a web server");
    assert!(error.to_string().contains("really a Kafka port"), "{error}");
}

const SASL: &[(&str, &str)] = &[
    ("security.protocol", "SASL_PLAINTEXT"),
    ("sasl.mechanism", "PLAIN"),
    ("sasl.username", "user"),
];

#[tokio::test]
async fn passwords_are_sent_and_wrong_ones_are_final() {
    let fake = Fake::new(&[("t", 1)], true);
    let behaviour = Behaviour {
        password: Some("right"),
        ..Behaviour::default()
    };
    let port = listen(&fake, &behaviour).await;
    let with = |password| {
        let mut settings = SASL.to_vec();
        settings.push(("sasl.password", password));
        client("127.0.0.1", port, &settings)
    };
    assert_eq!(topic_names(&with("right")).await.expect("authenticated"), ["t"]);
    let error = topic_names(&with("wrong")).await.expect_err("refused");
    assert!(
        matches!(
            error,
            ClientError::Transport(TransportError::Authentication { .. })
        ),
        "{error}"
    );
    assert!(!error.is_retriable());
    let mut scram = SASL.to_vec();
    scram[1] = ("sasl.mechanism", "SCRAM-SHA-256");
    scram.push(("sasl.password", "right"));
    let error = topic_names(&client("127.0.0.1", port, &scram))
        .await
        .expect_err("not offered");
    assert!(error.to_string().contains("PLAIN"), "{error}");
}

#[tokio::test]
async fn authentication_is_repeated_before_it_runs_out() {
    let fake = Fake::new(&[("t", 1)], true);
    // A lifetime of a millisecond has passed by the time of any further request, or at last of the next.
    let behaviour = Behaviour {
        password: Some("right"),
        session_lifetime_ms: 1,
        ..Behaviour::default()
    };
    let port = listen(&fake, &behaviour).await;
    let mut settings = SASL.to_vec();
    settings.push(("sasl.password", "right"));
    let client = client("127.0.0.1", port, &settings);
    while behaviour.authentications.load(Ordering::Relaxed) < 3 {
        assert_eq!(topic_names(&client).await.expect("authenticated"), ["t"]);
    }
    assert_eq!(
        behaviour.connections.load(Ordering::Relaxed),
        1,
        "on the same connection"
    );
}

fn acceptor() -> TlsAcceptor {
    let mut pem = &include_bytes!("../data/broker.pem")[..];
    let certificates = rustls_pemfile::certs(&mut pem)
        .collect::<Result<Vec<_>, _>>()
        .expect("PEM");
    let key = rustls_pemfile::private_key(&mut &include_bytes!("../data/broker-key.pem")[..]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of the provider")
        .with_no_client_auth()
        .with_single_cert(certificates, key.expect("PEM").expect("a key"))
        .expect("they belong together");
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn tls_checks_authority_and_name() {
    let fake = Fake::new(&[("t", 1)], true);
    let behaviour = Behaviour {
        tls: Some(acceptor()),
        ..Behaviour::default()
    };
    let port = listen(&fake, &behaviour).await;
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/authority.pem");
    let tls = ("security.protocol", "SSL");
    let trusted = [tls, ("ssl.truststore.location", authority)];
    assert_eq!(
        topic_names(&client("localhost", port, &trusted))
            .await
            .expect("trusted"),
        ["t"]
    );
    let error = topic_names(&client("127.0.0.1", port, &trusted))
        .await
        .expect_err("the name is another");
    assert!(
        matches!(error, ClientError::Transport(TransportError::Tls { .. })),
        "{error}"
    );
    let any_name = [
        trusted[0],
        trusted[1],
        ("ssl.endpoint.identification.algorithm", ""),
    ];
    assert_eq!(
        topic_names(&client("127.0.0.1", port, &any_name))
            .await
            .expect("trusted"),
        ["t"]
    );
    let broker = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/broker.pem");
    let strangers = [tls, ("ssl.truststore.location", broker)];
    assert!(topic_names(&client("localhost", port, &strangers)).await.is_err());
}

#[tokio::test]
async fn who_goes_away_in_a_tls_handshake_may_come_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it listens").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let settings = [("security.protocol", "SSL"), ("default.api.timeout.ms", "300")];
    let error = topic_names(&client("127.0.0.1", port, &settings))
        .await
        .expect_err("the peer is gone");
    assert!(error.is_retriable(), "{error}");
    assert!(error.to_string().contains("TLS"), "{error}");
}

#[tokio::test]
async fn unusable_certificates_are_named() {
    let no_pem = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for path in [no_pem, "/does/not/exist.pem"] {
        let settings = [("security.protocol", "SSL"), ("ssl.truststore.location", path)];
        let error = KafkaClient::connect(&config(&settings))
            .err()
            .expect("not usable")
            .to_string();
        assert!(error.contains("ssl.truststore.location"), "{error}");
    }
}

/// Metadata names the node `fake:1`, so requests to it must go to the bootstrap connection's address.
#[tokio::test]
async fn records_travel_over_the_socket() {
    let fake = Fake::new(&[("t", 1)], true);
    let port = listen(&fake, &Behaviour::default()).await;
    fake.lock().address = ("127.0.0.1".to_owned(), i32::from(port));
    let client = client("127.0.0.1", port, &[]);
    let topic = KafkaString::from("t");
    for acks in ["all", "0"] {
        let producer = Producer::start(
            client.clone(),
            config(&[("acks", acks), ("compression.type", "zstd")]).produce,
        );
        for i in 0..1000 {
            let value = format!("{acks} {i}");
            let record = ProduceRecord {
                topic: &topic,
                partition: Some(0),
                timestamp: i,
                key: None,
                value: Some(value.as_bytes()),
                headers: &[],
            };
            producer.append(&record).await.expect("taken");
        }
        producer.flush().await.expect("written");
    }
    // Without acknowledgement the records arrive before the response to what is asked next on the same connection.
    let wanted = BTreeMap::from([(
        millstream_kafka_client::TopicPartition::new("t", 0),
        millstream_kafka_client::admin::OffsetSpec::Latest,
    )]);
    client
        .list_offsets(&wanted, Default::default())
        .await
        .expect("completed");
    assert_eq!(fake.values("t", 0).len(), 2000);
}
