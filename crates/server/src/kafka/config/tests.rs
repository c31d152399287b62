use millstream_kafka_client::config::PemSource;

use super::*;

fn parse(given: &[(&str, &str)]) -> Result<ShellConfig, ShellConfigError> {
    let given = given
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    ShellConfig::parse(&given, "127.0.0.1:9092")
}

const PEM: (&str, &str) = ("ssl.keystore.location", "broker.pem");

#[test]
fn without_listeners_there_is_one_on_the_given_address() {
    let config = parse(&[("num.partitions", "4")]).unwrap();
    let listener = &config.listeners[0];
    assert_eq!(
        (listener.name.as_str(), listener.bind.as_str()),
        ("PLAINTEXT", "127.0.0.1:9092")
    );
    assert!(!listener.authenticates());
    assert_eq!(config.broker["listeners"], "PLAINTEXT://127.0.0.1:9092");
    assert_eq!(config.broker["num.partitions"], "4");
}

#[test]
fn listeners_have_names_protocols_and_settings_of_their_own() {
    let config = parse(&[
        (
            "listeners",
            "PLAINTEXT://127.0.0.1:0, outside://:9093,MTLS://[::1]:9094,CONTROLLER://:9095",
        ),
        ("advertised.listeners", "OUTSIDE://kafka.example.org:19093"),
        ("controller.listener.names", "CONTROLLER"),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,OUTSIDE:SASL_SSL,MTLS:SSL,CONTROLLER:PLAINTEXT",
        ),
        ("sasl.enabled.mechanisms", "PLAIN"),
        (
            "listener.name.outside.sasl.enabled.mechanisms",
            "SCRAM-SHA-512, PLAIN",
        ),
        (
            "listener.name.outside.plain.sasl.jaas.config",
            r#"org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="x"
               user_admin="a b" user_alice="it's; \"s\"";"#,
        ),
        (
            "listener.name.outside.scram-sha-512.connections.max.reauth.ms",
            "5000",
        ),
        ("listener.name.outside.max.connections", "7"),
        PEM,
        ("listener.name.mtls.ssl.client.auth", " required "),
        ("listener.name.mtls.ssl.truststore.location", "ca.pem"),
    ])
    .unwrap();
    let names: Vec<&str> = config.listeners.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(names, ["PLAINTEXT", "OUTSIDE", "MTLS"]);
    let outside = &config.listeners[1];
    assert_eq!(outside.protocol, SecurityProtocol::SaslSsl);
    assert_eq!(outside.advertised, Some(("kafka.example.org".to_owned(), 19093)));
    assert_eq!(outside.limits.connections_max, 7);
    let sasl = outside.sasl.as_ref().unwrap();
    assert_eq!(sasl.mechanisms, [Mechanism::ScramSha512, Mechanism::Plain]);
    assert_eq!(sasl.reauth_ms, BTreeMap::from([(Mechanism::ScramSha512, 5000)]));
    assert_eq!(sasl.users["alice"].reveal(), r#"it's; "s""#);
    assert_eq!(sasl.users["admin"].reveal(), "a b");
    assert!(outside.authenticates());
    let mtls = &config.listeners[2];
    assert!(mtls.authenticates());
    assert_eq!(
        mtls.tls.as_ref().unwrap().trust,
        Some(PemSource::File("ca.pem".to_owned()))
    );
    assert_eq!(outside.tls.as_ref().unwrap().trust, None);
    assert_eq!(config.broker["listener.name.outside.max.connections"], "7");
    assert!(config.broker.keys().all(|key| !key.contains("jaas")));
}

#[test]
fn limits_of_connections_are_read_by_kafkas_names() {
    let config = parse(&[
        ("max.connections", "50"),
        ("max.connections.per.ip", "3"),
        ("max.connections.per.ip.overrides", "127.0.0.1:9,[::1]:4"),
        ("connections.max.idle.ms", "-1"),
        ("queued.max.request.bytes", "1000000"),
        ("max.connection.creation.rate", "100"),
        ("quota.window.num", "5"),
        ("listener.name.plaintext.max.connection.creation.rate", "7"),
    ])
    .unwrap();
    assert_eq!(config.listeners[0].limits.creation_rate_max, 7.0);
    assert_eq!(config.listeners[0].limits.connections_max, 50);
    assert_eq!(config.protected, None, "there is one listener");
    let limits = config.limits;
    assert_eq!(limits.creation_rate_max, 100.0);
    assert_eq!((limits.window.samples, limits.window.sample_ms), (5, 1_000));
    assert_eq!((limits.connections_max, limits.idle), (50, None));
    let of = |ip: &str| limits.of_ip(ip.parse().unwrap());
    assert_eq!((of("127.0.0.1"), of("::1"), of("10.0.0.1")), (9, 4, 3));
    assert_eq!(
        (limits.request_bytes_max, limits.request_memory_bytes),
        (1_000_000, 1_000_000)
    );
}

/// Errors name the key and what to do; secrets are not shown.
#[test]
fn mistakes_are_refused() {
    const SASL: (&str, &str) = ("listeners", "SASL_SSL://:9093");
    const SSL: (&str, &str) = ("listeners", "SSL://:9093");
    const PLAIN: (&str, &str) = ("sasl.enabled.mechanisms", "PLAIN");
    const OAUTH: (&str, &str) = ("sasl.enabled.mechanisms", "OAUTHBEARER");
    const JWKS: &str = "sasl.oauthbearer.jwks.endpoint.url";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("listeners", "9093")], "NAME://HOST:PORT"),
        (&[("listeners", "SSL://host:port")], "NAME://HOST:PORT"),
        (&[("listeners", "A://:1")], "listener.security.protocol.map"),
        (&[("listeners", "PLAINTEXT://:1,plaintext://:2")], "twice"),
        (
            &[("listeners", "C://:1"), ("controller.listener.names", "C")],
            "for clients",
        ),
        (&[("listener.security.protocol.map", "A:TCP")], "SASL_SSL"),
        (
            &[("advertised.listeners", "PLAINTEXT://0.0.0.0:9092")],
            "can reach",
        ),
        (&[("advertised.listeners", "SSL://h:9092")], "listener SSL"),
        (
            &[("listener.name.other.ssl.client.auth", "none")],
            "listener OTHER",
        ),
        (
            &[("listener.name.PLAINTEXT.max.connections", "1")],
            "listener.name.plaintext",
        ),
        (
            &[("listener.name.plaintext.ssl.client.aut", "none")],
            "ssl.client.aut",
        ),
        (
            &[("listener.name.plaintext.ssl.client.auth", "maybe")],
            "required, requested, none",
        ),
        (&[SSL], "ssl.keystore.location"),
        (&[SSL, ("ssl.keystore.location", "k.jks")], "keytool"),
        (&[SSL, PEM, ("ssl.keystore.type", "PKCS12")], "keytool"),
        (&[SSL, PEM, ("ssl.key.password", "hush")], "openssl pkey"),
        (
            &[SSL, PEM, ("ssl.client.auth", "required")],
            "ssl.truststore.location",
        ),
        (
            &[SSL, PEM, ("ssl.principal.mapping.rules", "RULE:x")],
            "RULE:pattern",
        ),
        (&[SASL, PEM], "sasl.enabled.mechanisms"),
        (&[SASL, PEM, ("sasl.enabled.mechanisms", "GSSAPI")], "GSSAPI"),
        (&[SASL, PEM, PLAIN], "PLAIN needs users"),
        (
            &[SASL, PEM, PLAIN, ("millstream.sasl.users", "hush")],
            "NAME:PASSWORD",
        ),
        (
            &[SASL, PEM, PLAIN, ("millstream.sasl.users.file", "/no/such")],
            "/no/such",
        ),
        (
            &[
                SASL,
                PEM,
                PLAIN,
                ("listener.name.sasl_ssl.plain.sasl.jaas.config", "X required hush"),
            ],
            "login module",
        ),
        (&[SASL, PEM, OAUTH], JWKS),
        (&[SASL, PEM, OAUTH, (JWKS, "https://issuer/jwks")], "into a file"),
        (&[("max.connections.per.ip.overrides", "x")], "HOST:COUNT"),
    ];
    for (given, expected) in cases {
        let error = parse(given).expect_err(expected).to_string();
        assert!(
            error.contains(expected) && !error.contains("hush"),
            "{given:?}: {error}"
        );
    }
}
