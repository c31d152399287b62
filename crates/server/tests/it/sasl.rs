//! PLAIN, SCRAM and OAUTHBEARER, from the handshake to the session that runs out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use millstream_kafka_client::ClientError;
use millstream_kafka_client::error::TransportError;
use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::messages::*;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::cluster::{Cluster, START_MS, data};
use crate::raw::{Raw, api_versions};

const LISTENERS: (&str, &str) = (
    "listeners",
    "PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0",
);
const SASL: &str = "SASL_PLAINTEXT";
const USERS: (&str, &str) = ("millstream.sasl.users", "alice:alice-secret;bob:bob=s,ecret");
const NO_DELAY: (&str, &str) = ("connection.failed.authentication.delay.ms", "0");
/// Only alice may create topics: that shows who a client is taken for.
const ALICE: [(&str, &str); 2] = [
    ("authorizer.class.name", "acl"),
    ("super.users", "User:alice;User:ANONYMOUS"),
];

fn mechanisms(names: &str) -> (&str, &str) {
    ("sasl.enabled.mechanisms", names)
}

fn login<'a>(mechanism: &'a str, user: &'a str, password: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", mechanism),
        ("sasl.username", user),
        ("sasl.password", password),
    ]
}

fn is_refused(result: &Result<(), ClientError>) -> bool {
    matches!(
        result,
        Err(ClientError::Transport(TransportError::Authentication { .. }))
    )
}

#[tokio::test]
async fn users_by_configuration_log_in_by_every_mechanism() {
    let cluster = Cluster::start(&[
        LISTENERS,
        USERS,
        NO_DELAY,
        mechanisms("PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"),
        ALICE[0],
        ALICE[1],
    ])
    .await;
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let create = |user, password| {
            let (cluster, settings) = (&cluster, login(mechanism, user, password));
            async move { cluster.create(SASL, &settings, mechanism).await }
        };
        create("alice", "alice-secret").await.unwrap();
        let denied = create("bob", "bob=s,ecret").await;
        assert!(
            denied.is_err() && !is_refused(&denied),
            "{mechanism}: bob is known, but may not: {denied:?}"
        );
        for (user, password) in [
            ("alice", "wrong"),
            ("bob", "alice-secret"),
            ("eve", "x"),
            ("al,ic=e", "x"),
        ] {
            let refused = create(user, password).await;
            assert!(is_refused(&refused), "{mechanism} {user}: {refused:?}");
        }
    }
    let counts = cluster.metrics.snapshot().authentications;
    assert_eq!(counts[SASL].1, 12);
    assert!(counts[SASL].0 >= 6);
}

#[tokio::test]
async fn kafkas_way_to_name_users_is_understood_and_files_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("users");
    std::fs::write(&path, "# comment\n\ncarol:c:d\n").unwrap();
    let cluster = Cluster::start(&[
        LISTENERS,
        NO_DELAY,
        mechanisms("PLAIN"),
        (
            "listener.name.sasl_plaintext.plain.sasl.jaas.config",
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"a\" password=\"b\" user_dora=\"d\";",
        ),
        ("millstream.sasl.users.file", path.to_str().unwrap()),
    ])
    .await;
    for (user, password, is_right) in [("carol", "c:d", true), ("dora", "d", true), ("a", "b", false)] {
        let result = cluster.create(SASL, &login("PLAIN", user, password), user).await;
        assert_eq!(result.is_ok(), is_right, "{user}: {result:?}");
    }
}

#[tokio::test]
async fn scram_credentials_are_made_and_taken_away_while_the_broker_runs() {
    let cluster = Cluster::start(&[LISTENERS, NO_DELAY, mechanisms("SCRAM-SHA-512")]).await;
    let settings = login("SCRAM-SHA-512", "erin", "pencil");
    assert!(is_refused(&cluster.create(SASL, &settings, "t").await));
    let mut salted = [0; 64];
    let rounds = std::num::NonZeroU32::new(4096).unwrap();
    ring::pbkdf2::derive(
        ring::pbkdf2::PBKDF2_HMAC_SHA512,
        rounds,
        b"salty",
        b"pencil",
        &mut salted,
    );
    let upsertion = alter_user_scram_credentials::ScramCredentialUpsertion {
        name: "erin".into(),
        mechanism: 2,
        iterations: 4096,
        salt: Bytes::from_static(b"salty"),
        salted_password: Bytes::copy_from_slice(&salted),
    };
    let mut admin = Raw::connect(cluster.port("PLAINTEXT")).await;
    let mut alter = async |request: AlterUserScramCredentialsRequest| {
        let response = admin.call(0, request).await.unwrap();
        assert_eq!(response.results[0].error_code, ErrorCode::NONE);
    };
    alter(AlterUserScramCredentialsRequest {
        upsertions: vec![upsertion],
        ..Default::default()
    })
    .await;
    cluster.create(SASL, &settings, "t").await.unwrap();
    let deletion = alter_user_scram_credentials::ScramCredentialDeletion {
        name: "erin".into(),
        mechanism: 2,
    };
    alter(AlterUserScramCredentialsRequest {
        deletions: vec![deletion],
        ..Default::default()
    })
    .await;
    assert!(is_refused(&cluster.create(SASL, &settings, "u").await));
}

/// Who asks for salts does not learn who there is.
#[tokio::test]
async fn users_that_do_not_exist_look_like_those_of_the_configuration() {
    let properties = [
        (
            "listeners",
            "PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0,OTHER://127.0.0.1:0",
        ),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,OTHER:SASL_PLAINTEXT",
        ),
        USERS,
        NO_DELAY,
        mechanisms("SCRAM-SHA-256,SCRAM-SHA-512"),
    ];
    let mut cluster = Cluster::start(&properties).await;
    let mut salts = std::collections::BTreeSet::new();
    for round in ["first", "after a restart"] {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            for user in ["alice", "bob", "eve", "mallory"] {
                let of_listeners = [
                    challenge(&cluster, SASL, mechanism, user).await,
                    challenge(&cluster, "OTHER", mechanism, user).await,
                ];
                assert_eq!(of_listeners[0], of_listeners[1], "{mechanism} {user} {round}");
                assert!((28..=36).contains(&of_listeners[0].0.len()), "{of_listeners:?}");
                assert_eq!(of_listeners[0].1, "4096");
                salts.insert(of_listeners[0].0.clone());
            }
        }
        assert_eq!(salts.len(), 8, "{round}");
        cluster = cluster.restart(&properties).await;
    }
}

/// The salt and the iterations that the server sends to a user.
async fn challenge(cluster: &Cluster, listener: &str, mechanism: &str, user: &str) -> (String, String) {
    let mut raw = Raw::connect(cluster.port(listener)).await;
    assert_eq!(raw.handshake(mechanism).await, ErrorCode::NONE);
    let reply = raw.token(format!("n,,n={user},r=abc")).await.unwrap();
    let text = String::from_utf8(reply.auth_bytes.to_vec()).unwrap();
    let part = |name: &str| {
        let found = text.split(',').find_map(|part| part.strip_prefix(name));
        found.unwrap().to_owned()
    };
    (part("s="), part("i="))
}

#[tokio::test]
async fn sasl_goes_through_tls_and_its_user_counts() {
    let keystore = data("broker.pem");
    let cluster = Cluster::start(&[
        ("listeners", "SASL_SSL://127.0.0.1:0"),
        ("ssl.keystore.location", &keystore),
        USERS,
        mechanisms("SCRAM-SHA-256"),
        ALICE[0],
        ("super.users", "User:alice"),
    ])
    .await;
    let authority = data("authority.pem");
    let mut settings = login("SCRAM-SHA-256", "alice", "alice-secret").to_vec();
    settings[0].1 = "SASL_SSL";
    settings.push(("ssl.truststore.location", &authority));
    cluster.create("SASL_SSL", &settings, "t").await.unwrap();
}

#[tokio::test]
async fn before_authentication_only_what_leads_to_it_is_taken() {
    let cluster = Cluster::start(&[LISTENERS, USERS, NO_DELAY, mechanisms("PLAIN")]).await;
    let port = cluster.port(SASL);
    let mut raw = Raw::connect(port).await;
    assert!(raw.call(3, api_versions()).await.is_some());
    assert!(raw.call(12, MetadataRequest::default()).await.is_none());
    let mut raw = Raw::connect(port).await;
    assert_eq!(raw.handshake("PLAIN").await, ErrorCode::NONE);
    assert!(
        raw.call(3, api_versions()).await.is_none(),
        "not in the middle of a conversation"
    );
    let mut raw = Raw::connect(port).await;
    let early = raw.token("\0alice\0alice-secret").await.unwrap();
    assert_eq!(early.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED);
    assert!(raw.is_closed().await);
    let mut raw = Raw::connect(port).await;
    assert_eq!(
        raw.handshake("SCRAM-SHA-256").await,
        ErrorCode::UNSUPPORTED_SASL_MECHANISM
    );
    assert!(raw.is_closed().await);
    // The form before handshakes: a token as the first frame.
    let mut raw = Raw::connect(port).await;
    raw.send(b"\0\0\0\x13\0alice\0alice-secret").await;
    assert!(raw.is_closed().await);
    let mut raw = Raw::connect(port).await;
    raw.send(&100_000i32.to_be_bytes()).await;
    assert!(raw.is_closed().await, "a large frame is not waited for");
    let mut raw = Raw::connect(port).await;
    assert_eq!(raw.handshake("PLAIN").await, ErrorCode::NONE);
    let wrong = raw.token("\0alice\0wrong").await.unwrap();
    assert_eq!(wrong.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED);
    assert_eq!(
        wrong.error_message.unwrap(),
        "Authentication failed: Invalid username or password"
    );
    assert!(raw.is_closed().await);
}

#[tokio::test]
async fn after_an_old_handshake_tokens_come_bare() {
    let cluster = Cluster::start(&[LISTENERS, USERS, NO_DELAY, mechanisms("PLAIN")]).await;
    for (password, is_right) in [("alice-secret", true), ("wrong", false)] {
        let mut raw = Raw::connect(cluster.port(SASL)).await;
        let request = SaslHandshakeRequest {
            mechanism: "PLAIN".into(),
        };
        assert_eq!(raw.call(0, request).await.unwrap().error_code, ErrorCode::NONE);
        let token = format!("\0alice\0{password}");
        raw.send(&(token.len() as i32).to_be_bytes()).await;
        raw.send(token.as_bytes()).await;
        assert_eq!(raw.receive().await, is_right.then(Bytes::new));
        let metadata = raw.call(12, MetadataRequest::default()).await;
        assert_eq!(metadata.is_some(), is_right);
    }
}

#[tokio::test]
async fn a_session_ends_unless_it_is_renewed_by_the_same_user_in_the_same_way() {
    let reauth = ("connections.max.reauth.ms", "60000");
    let cluster = Cluster::start(&[
        LISTENERS,
        USERS,
        NO_DELAY,
        mechanisms("PLAIN,SCRAM-SHA-256"),
        reauth,
    ])
    .await;
    let login = async || {
        let mut raw = Raw::connect(cluster.port(SASL)).await;
        assert_eq!(raw.handshake("PLAIN").await, ErrorCode::NONE);
        let reply = raw.token("\0alice\0alice-secret").await.unwrap();
        assert_eq!(
            (reply.error_code, reply.session_lifetime_ms),
            (ErrorCode::NONE, 60_000)
        );
        raw
    };
    let mut raw = login().await;
    cluster.clock.advance(59_000);
    assert!(raw.call(12, MetadataRequest::default()).await.is_some());
    assert_eq!(raw.handshake("PLAIN").await, ErrorCode::NONE);
    assert_eq!(
        raw.token("\0alice\0alice-secret")
            .await
            .unwrap()
            .session_lifetime_ms,
        60_000
    );
    cluster.clock.advance(59_000);
    assert!(raw.call(12, MetadataRequest::default()).await.is_some());
    cluster.clock.advance(1_000);
    assert!(
        raw.call(12, MetadataRequest::default()).await.is_none(),
        "the session has run out"
    );

    let mut raw = login().await;
    assert_eq!(
        raw.handshake("SCRAM-SHA-256").await,
        ErrorCode::ILLEGAL_SASL_STATE
    );
    assert!(raw.is_closed().await);

    let mut raw = login().await;
    assert_eq!(raw.handshake("PLAIN").await, ErrorCode::NONE);
    let other = raw.token("\0bob\0bob=s,ecret").await.unwrap();
    assert_eq!(other.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED);
    assert!(raw.is_closed().await);
}

/// The client does it by itself.
#[tokio::test]
async fn clients_renew_their_sessions() {
    let reauth = ("connections.max.reauth.ms", "50");
    let cluster = Cluster::start(&[LISTENERS, USERS, mechanisms("SCRAM-SHA-256"), reauth]).await;
    let client = cluster.client(SASL, &login("SCRAM-SHA-256", "alice", "alice-secret"));
    let renewed = || {
        cluster
            .metrics
            .snapshot()
            .authentications
            .get(SASL)
            .map_or(0, |counts| counts.0)
    };
    while renewed() < 4 {
        client.refresh_metadata(None, false).await.unwrap();
    }
    assert!(
        cluster.listeners.gate().open()[SASL] <= 2,
        "on the same connections"
    );
}

fn token(key: &Ed25519KeyPair, claims: &str) -> String {
    let head = BASE64.encode(r#"{"alg":"EdDSA","kid":"k1"}"#);
    let message = format!("{head}.{}", BASE64.encode(claims));
    let signature = BASE64.encode(key.sign(message.as_bytes()));
    format!("n,,\u{1}auth=Bearer {message}.{signature}\u{1}\u{1}")
}

#[tokio::test]
async fn tokens_let_in_for_as_long_as_they_are_valid() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let x = BASE64.encode(key.public_key());
    let jwks = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k1","x":"{x}"}}]}}"#);
    std::fs::write(&path, jwks).unwrap();
    let url = format!("file://{}", path.display());
    let cluster = Cluster::start(&[
        LISTENERS,
        NO_DELAY,
        mechanisms("OAUTHBEARER"),
        ("sasl.oauthbearer.jwks.endpoint.url", &url),
        ("sasl.oauthbearer.expected.audience", "kafka,other"),
        ALICE[0],
        ALICE[1],
    ])
    .await;
    let now = START_MS / 1000;
    let mut raw = Raw::connect(cluster.port(SASL)).await;
    assert_eq!(raw.handshake("OAUTHBEARER").await, ErrorCode::NONE);
    let claims = format!(
        r#"{{"sub":"alice","aud":["kafka"],"iat":{now},"exp":{}}}"#,
        now + 100
    );
    let reply = raw.token(token(&key, &claims)).await.unwrap();
    assert_eq!(
        (reply.error_code, reply.session_lifetime_ms),
        (ErrorCode::NONE, 100_000)
    );
    cluster.clock.advance(99_000);
    assert!(raw.call(12, MetadataRequest::default()).await.is_some());
    cluster.clock.advance(1_000);
    assert!(raw.call(12, MetadataRequest::default()).await.is_none());

    let mut raw = Raw::connect(cluster.port(SASL)).await;
    assert_eq!(raw.handshake("OAUTHBEARER").await, ErrorCode::NONE);
    let old = format!(r#"{{"sub":"alice","aud":["kafka"],"exp":{now}}}"#);
    let reply = raw.token(token(&key, &old)).await.unwrap();
    assert_eq!(reply.auth_bytes, r#"{"status":"invalid_token"}"#);
    // It is on record before the client acknowledges it, and is so once.
    let failed = || cluster.metrics.snapshot().authentications[SASL].1;
    assert_eq!(failed(), 1);
    let end = raw.token("\u{1}").await.unwrap();
    assert_eq!(end.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED);
    assert!(raw.is_closed().await);
    assert_eq!(failed(), 1);

    let mut raw = Raw::connect(cluster.port(SASL)).await;
    assert_eq!(
        raw.handshake("PLAIN").await,
        ErrorCode::UNSUPPORTED_SASL_MECHANISM
    );
    assert_eq!(failed(), 2);
}
