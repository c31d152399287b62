//! Encryption and authentication settings. Java's own store formats cannot be read; the errors say how to convert.

use super::properties::Values;
use super::{ConfigError, Secret, jaas};

const CONVERT: &str = "only PEM stores can be read; convert it with `keytool -importkeystore -deststoretype PKCS12` and \
                       `openssl pkcs12 -nodes`, and set the type to PEM";

/// Source of PEM text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PemSource {
    File(String),
    Text(Secret),
}

/// How to encrypt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// Authorities to trust; `None`: the system's.
    pub trust: Option<PemSource>,
    /// This client's certificates.
    pub certificates: Option<PemSource>,
    /// This client's key.
    pub key: Option<PemSource>,
    pub check_hostname: bool,
}

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl SaslMechanism {
    pub const fn name(self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// SASL credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaslConfig {
    pub mechanism: SaslMechanism,
    pub username: String,
    pub password: Secret,
}

pub(super) fn parse(values: &Values<'_>) -> Result<(Option<TlsConfig>, Option<SaslConfig>), ConfigError> {
    let protocol = values.word("security.protocol")?;
    let tls = protocol.ends_with("SSL").then(|| parse_tls(values)).transpose()?;
    let sasl = protocol
        .starts_with("SASL")
        .then(|| parse_sasl(values))
        .transpose()?;
    Ok((tls, sasl))
}

/// Stores and keys in forms that cannot be read.
fn refuse_unreadable(values: &Values<'_>) -> Result<(), ConfigError> {
    for name in ["ssl.truststore.type", "ssl.keystore.type"] {
        if let Some(value) = values
            .text(name)
            .filter(|value| !value.is_empty() && !value.eq_ignore_ascii_case("PEM"))
        {
            return Err(ConfigError::Unsupported {
                name: name.to_owned(),
                value,
                remedy: CONVERT.to_owned(),
            });
        }
    }
    for name in ["ssl.truststore.location", "ssl.keystore.location"] {
        let java = |value: &String| {
            [".jks", ".p12", ".pfx", ".pkcs12"]
                .iter()
                .any(|end| value.ends_with(end))
        };
        if let Some(value) = values.text(name).filter(java) {
            return Err(ConfigError::Unsupported {
                name: name.to_owned(),
                value,
                remedy: CONVERT.to_owned(),
            });
        }
    }
    if values
        .text("ssl.key.password")
        .is_some_and(|value| !value.is_empty())
    {
        return Err(ConfigError::Unsupported {
            name: "ssl.key.password".to_owned(),
            value: "[hidden]".to_owned(),
            remedy: "decrypt the key with `openssl pkey` and leave the password out".to_owned(),
        });
    }
    Ok(())
}

/// Properties whose values are paths of files that the client reads.
pub const FILE_PROPERTIES: [&str; 5] = [
    "ssl.truststore.location",
    "ssl.ca.location",
    "ssl.keystore.location",
    "ssl.certificate.location",
    "ssl.key.location",
];

fn parse_tls(values: &Values<'_>) -> Result<TlsConfig, ConfigError> {
    refuse_unreadable(values)?;
    let file = |name: &str| {
        values
            .text(name)
            .filter(|value| !value.is_empty())
            .map(PemSource::File)
    };
    let text = |name: &str| {
        values
            .text(name)
            .filter(|value| !value.is_empty())
            .map(|t| PemSource::Text(Secret::new(t)))
    };
    let keystore = file("ssl.keystore.location");
    let certificates = text("ssl.keystore.certificate.chain")
        .or_else(|| file("ssl.certificate.location"))
        .or_else(|| keystore.clone());
    let key = text("ssl.keystore.key")
        .or_else(|| file("ssl.key.location"))
        .or(keystore);
    if certificates.is_some() != key.is_some() {
        return Err(ConfigError::Missing {
            name: "ssl.keystore.location".to_owned(),
            remedy: "a client certificate needs its key, and a key its certificate".to_owned(),
        });
    }
    Ok(TlsConfig {
        trust: text("ssl.truststore.certificates")
            .or_else(|| file("ssl.truststore.location"))
            .or_else(|| file("ssl.ca.location")),
        certificates,
        key,
        check_hostname: values
            .text("ssl.endpoint.identification.algorithm")
            .is_some_and(|value| !value.is_empty()),
    })
}

fn parse_sasl(values: &Values<'_>) -> Result<SaslConfig, ConfigError> {
    let name = if values.is_set("sasl.mechanisms") {
        "sasl.mechanisms"
    } else {
        "sasl.mechanism"
    };
    let Some(text) = values.text(name) else {
        return Err(ConfigError::Missing {
            name: "sasl.mechanism".to_owned(),
            remedy: "set it to PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512".to_owned(),
        });
    };
    let mechanism = match text.to_ascii_uppercase().as_str() {
        "PLAIN" => SaslMechanism::Plain,
        "SCRAM-SHA-256" => SaslMechanism::ScramSha256,
        "SCRAM-SHA-512" => SaslMechanism::ScramSha512,
        _ => {
            return Err(ConfigError::Unsupported {
                name: name.to_owned(),
                value: text,
                remedy: "use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512".to_owned(),
            });
        }
    };
    let options = values
        .text("sasl.jaas.config")
        .map(|text| jaas::parse(&text))
        .transpose()?;
    let lookup = |option: &str, property: &str| {
        let from_jaas = options.as_ref().and_then(|options| options.get(option).cloned());
        from_jaas
            .or_else(|| values.text(property))
            .filter(|value| !value.is_empty())
    };
    let missing = |what: &str| ConfigError::Missing {
        name: "sasl.jaas.config".to_owned(),
        remedy: format!("it must give the {what}, for example … required username=\"u\" password=\"p\";"),
    };
    Ok(SaslConfig {
        mechanism,
        username: lookup("username", "sasl.username").ok_or_else(|| missing("username"))?,
        password: Secret::new(lookup("password", "sasl.password").ok_or_else(|| missing("password"))?),
    })
}
