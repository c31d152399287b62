//! Settings by Kafka's names.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_kafka_client::config::{
    ClientConfig, ConfigError, PROPERTIES, PemSource, PropertyType, SaslMechanism, parse_properties_file,
    split_address,
};

fn parse(settings: &[(&str, &str)]) -> Result<ClientConfig, ConfigError> {
    let all: BTreeMap<String, String> = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    ClientConfig::parse(&all).map(|parsed| parsed.config)
}

#[test]
fn defaults_are_kafkas() {
    let config = parse(&[]).expect("valid");
    assert_eq!(config.connection.request_timeout, Duration::from_secs(30));
    assert_eq!(config.fetch.max_partition_fetch_bytes, 1_048_576);
    assert_eq!(config.produce.acks, -1);
    assert!(config.produce.idempotence && config.fetch.check_crcs);
    assert_eq!(config.produce.max_in_flight, 5);
}

#[test]
fn every_property_is_declared_once_with_a_default_that_it_accepts() {
    for property in PROPERTIES {
        assert_eq!(
            PROPERTIES.iter().filter(|p| p.name == property.name).count(),
            1,
            "{}",
            property.name
        );
        if !property.default.is_empty() {
            parse(&[(property.name, property.default)]).unwrap_or_else(|e| panic!("{}: {e}", property.name));
        }
        let checked = match property.property_type {
            PropertyType::Int(..) | PropertyType::Boolean => true,
            PropertyType::Word(_) => property.is_ignored, // others may need a second property to be read
            PropertyType::Text | PropertyType::Password => false,
        };
        if checked {
            assert!(
                parse(&[(property.name, "nonsense")]).is_err(),
                "{} is not read",
                property.name
            );
        }
    }
}

#[test]
fn credentials_come_from_the_jaas_line() {
    let jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required \
                username=\"us er\" password='p\\'w;' ;";
    let config = parse(&[
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.jaas.config", jaas),
        ("ssl.ca.location", "/ca.pem"),
        ("ssl.endpoint.identification.algorithm", ""),
    ])
    .expect("valid");
    let sasl = config.connection.sasl.expect("configured");
    assert_eq!(
        (sasl.mechanism, sasl.username.as_str()),
        (SaslMechanism::ScramSha512, "us er")
    );
    assert_eq!(sasl.password.reveal(), "p'w;");
    assert!(!format!("{sasl:?}").contains("p'w"), "secrets are not shown");
    let tls = config.connection.tls.expect("configured");
    assert_eq!(tls.trust, Some(PemSource::File("/ca.pem".to_owned())));
    assert!(!tls.check_hostname);
}

#[test]
fn what_cannot_be_used_is_refused_with_a_remedy() {
    let ssl = ("security.protocol", "SSL");
    let sasl = ("security.protocol", "SASL_PLAINTEXT");
    let cases: [(&[(&str, &str)], &str); 10] = [
        (&[ssl, ("ssl.truststore.location", "/x.jks")], "keytool"),
        (&[ssl, ("ssl.keystore.type", "PKCS12")], "openssl"),
        (&[ssl, ("ssl.key.password", "p")], "openssl pkey"),
        (&[ssl, ("ssl.key.location", "/k.pem")], "its certificate"),
        (&[sasl], "sasl.mechanism"),
        (&[sasl, ("sasl.mechanism", "GSSAPI")], "SCRAM-SHA-256"),
        (
            &[sasl, ("sasl.mechanism", "PLAIN"), ("sasl.username", "u")],
            "password",
        ),
        (&[("compression.gzip.level", "0")], "compression.gzip.level"),
        (
            &[("acks", "1"), ("enable.idempotence", "true")],
            "enable.idempotence",
        ),
        (&[("bootstrap.servers", "localhost")], "host:port"),
    ];
    for (settings, expected) in cases {
        let error = parse(settings).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let relaxed = parse(&[("acks", "1")]).expect("idempotence was not requested");
    assert!(!relaxed.produce.idempotence);
}

#[test]
fn addresses_and_files_are_read() {
    assert_eq!(
        split_address("SASL_SSL://[::1]:9093"),
        Ok(("::1".to_owned(), 9093))
    );
    let file = "# comment\n! another\nlinger.ms = 7\nbootstrap.servers=a:1,\\\n   b:2\n\nclient.id: x\n";
    let settings = parse_properties_file(file).expect("well-formed");
    assert_eq!(settings["bootstrap.servers"], "a:1,b:2");
    assert_eq!(
        (settings["linger.ms"].as_str(), settings["client.id"].as_str()),
        ("7", "x")
    );
    assert_eq!(
        parse_properties_file("a=b\nnonsense"),
        Err(ConfigError::File { line: 2 })
    );
}
