//! `ssl.*`: PEM certificates and keys, trusted authorities, and client certificates.

use millstream_kafka_client::config::{PemSource, Secret};

use super::ShellConfigError;
use super::properties::Scope;
use crate::kafka::principal::PrincipalRules;

/// `ssl.client.auth`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    None,
    Requested,
    Required,
}

/// How a listener encrypts.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    pub certificates: PemSource,
    pub key: PemSource,
    /// Authorities of clients' certificates.
    pub trust: Option<PemSource>,
    pub client_auth: ClientAuth,
    /// `ssl.enabled.protocols`, of which TLSv1.2 and TLSv1.3 are known.
    pub protocols: Vec<String>,
    /// `ssl.cipher.suites`, all if empty.
    pub cipher_suites: Vec<String>,
    /// `ssl.principal.mapping.rules`
    pub rules: PrincipalRules,
}

impl TlsSettings {
    pub(super) fn parse(scope: &Scope<'_>) -> Result<Self, ShellConfigError> {
        refuse_unreadable(scope)?;
        let file = |name: &str| scope.text(name).map(PemSource::File);
        let text = |name: &str| scope.text(name).map(|pem| PemSource::Text(Secret::new(pem)));
        let keystore = file("ssl.keystore.location");
        let certificates = text("ssl.keystore.certificate.chain").or_else(|| keystore.clone());
        let key = text("ssl.keystore.key").or(keystore);
        let (Some(certificates), Some(key)) = (certificates, key) else {
            return Err(ShellConfigError::Missing {
                name: scope.name_of("ssl.keystore.location"),
                remedy: format!(
                    "listener {} needs a PEM file with its certificates and its key there, or both as text in \
                     'ssl.keystore.certificate.chain' and 'ssl.keystore.key'",
                    scope.listener
                ),
            });
        };
        let trust = text("ssl.truststore.certificates").or_else(|| file("ssl.truststore.location"));
        let client_auth = match scope.text("ssl.client.auth").as_deref() {
            Some("required") => ClientAuth::Required,
            Some("requested") => ClientAuth::Requested,
            _ => ClientAuth::None,
        };
        if client_auth != ClientAuth::None && trust.is_none() {
            return Err(ShellConfigError::Missing {
                name: scope.name_of("ssl.truststore.location"),
                remedy: "clients' certificates are checked against the authorities in it".to_owned(),
            });
        }
        let rules = scope.text("ssl.principal.mapping.rules").unwrap_or_default();
        let rules = PrincipalRules::parse(&rules).map_err(|expected| ShellConfigError::Value {
            name: scope.name_of("ssl.principal.mapping.rules"),
            value: rules.clone(),
            expected: expected.to_string(),
        })?;
        let list = |name: &str| words(&scope.text(name).unwrap_or_default());
        Ok(Self {
            certificates,
            key,
            trust,
            client_auth,
            protocols: list("ssl.enabled.protocols"),
            cipher_suites: list("ssl.cipher.suites"),
            rules,
        })
    }
}

/// Java's stores, and keys under a password.
fn refuse_unreadable(scope: &Scope<'_>) -> Result<(), ShellConfigError> {
    const CONVERT: &str = "only PEM can be read; convert the store with `keytool -importkeystore -deststoretype \
                           PKCS12` and `openssl pkcs12 -nodes`, and set the type to PEM";
    let refused = |name: &str, value: String, remedy: &str| ShellConfigError::Unsupported {
        name: scope.name_of(name),
        value,
        remedy: remedy.to_owned(),
    };
    for name in ["ssl.keystore.type", "ssl.truststore.type"] {
        if let Some(value) = scope
            .set(name)
            .filter(|v| !v.is_empty() && !v.eq_ignore_ascii_case("PEM"))
        {
            return Err(refused(name, value, CONVERT));
        }
    }
    for name in ["ssl.keystore.location", "ssl.truststore.location"] {
        let is_java = |path: &String| {
            [".jks", ".p12", ".pfx", ".pkcs12"]
                .iter()
                .any(|end| path.ends_with(end))
        };
        if let Some(value) = scope.set(name).filter(is_java) {
            return Err(refused(name, value, CONVERT));
        }
    }
    match scope.text("ssl.key.password") {
        Some(_) => {
            let remedy = "decrypt the key with `openssl pkey`, guard the file by its permissions, and leave the \
                          password out";
            Err(refused("ssl.key.password", "[hidden]".to_owned(), remedy))
        }
        None => Ok(()),
    }
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}
