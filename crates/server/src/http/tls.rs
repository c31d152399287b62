//! TLS of the HTTP doors, by Flink's keys `security.ssl.rest.*`, with PEM files in place of Java's stores. It is the
//! same machinery as that of the broker's listeners: changed certificates are read again without a restart.

use std::sync::Arc;

use millstream_kafka_client::config::PemSource;
use millstream_types::options::parse_boolean;
use millstream_types::{Clock, OptionDecl, OptionType, Options};

use crate::kafka::config::{ClientAuth, TlsSettings};
use crate::kafka::principal::PrincipalRules;
use crate::kafka::tls::TlsError;
pub use crate::kafka::tls::TlsServer;

const ENABLED: &str = "security.ssl.rest.enabled";
const KEYSTORE: &str = "security.ssl.rest.keystore";
const KEY: &str = "millstream.ssl.rest.key";
const TRUSTSTORE: &str = "security.ssl.rest.truststore";
const AUTHENTICATION: &str = "security.ssl.rest.authentication-enabled";

pub const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        ENABLED,
        OptionType::Boolean,
        "Whether the job REST API, the Web UI and the SQL Gateway speak TLS.",
    )
    .with_default("false"),
    OptionDecl::new(
        KEYSTORE,
        OptionType::String,
        "PEM file with the certificates of the HTTP doors and, unless millstream.ssl.rest.key names one, their key.",
    ),
    OptionDecl::new(
        KEY,
        OptionType::String,
        "PEM file with the key of the HTTP doors.",
    ),
    OptionDecl::new(
        TRUSTSTORE,
        OptionType::String,
        "PEM file with the authorities of clients' certificates.",
    ),
    OptionDecl::new(
        AUTHENTICATION,
        OptionType::Boolean,
        "Whether clients must show a certificate of those authorities.",
    )
    .with_default("false"),
];

/// Why the HTTP doors cannot encrypt.
#[derive(Debug, thiserror::Error)]
pub enum HttpTlsError {
    #[error("'{ENABLED}' needs '{KEYSTORE}': a PEM file with certificates and their key")]
    NoKeystore,
    #[error(
        "'{AUTHENTICATION}' needs '{TRUSTSTORE}': a PEM file with the authorities of clients' certificates"
    )]
    NoTruststore,
    #[error("'{key}' is '{value}', which is a store of Java; convert it to PEM with `openssl pkcs12 -nodes`")]
    JavaStore { key: &'static str, value: String },
    #[error("the files of '{KEYSTORE}', '{KEY}' and '{TRUSTSTORE}' cannot be used")]
    Files(#[source] TlsError),
}

/// The encryption of the HTTP doors, if it is on.
pub fn open(options: &Options, clock: Arc<dyn Clock>) -> Result<Option<Arc<TlsServer>>, HttpTlsError> {
    let is_on = |key: &str| {
        options
            .get(key)
            .and_then(|text| parse_boolean(text))
            .unwrap_or(false)
    };
    if !is_on(ENABLED) {
        return Ok(None);
    }
    let file = |key: &'static str| match options.get(key).filter(|path| !path.is_empty()) {
        Some(path)
            if [".jks", ".p12", ".pfx", ".pkcs12"]
                .iter()
                .any(|end| path.ends_with(end)) =>
        {
            Err(HttpTlsError::JavaStore {
                key,
                value: path.clone(),
            })
        }
        path => Ok(path.map(|path| PemSource::File(path.clone()))),
    };
    let certificates = file(KEYSTORE)?.ok_or(HttpTlsError::NoKeystore)?;
    let trust = file(TRUSTSTORE)?;
    let client_auth = match (is_on(AUTHENTICATION), &trust) {
        (true, None) => return Err(HttpTlsError::NoTruststore),
        (true, Some(_)) => ClientAuth::Required,
        (false, _) => ClientAuth::None,
    };
    let settings = TlsSettings {
        key: file(KEY)?.unwrap_or_else(|| certificates.clone()),
        certificates,
        trust,
        client_auth,
        protocols: ["TLSv1.2", "TLSv1.3"].map(str::to_owned).to_vec(),
        cipher_suites: Vec::new(),
        rules: PrincipalRules::default(),
    };
    let server = TlsServer::new(settings, clock).map_err(HttpTlsError::Files)?;
    Ok(Some(Arc::new(server)))
}
