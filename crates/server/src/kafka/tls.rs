//! TLS of a listener: certificates from PEM, reloaded when their files change or others are configured, and the
//! client's principal.
//!
//! Files are checked when a client connects, at most once in [`CERTIFICATE_CHECK_MS`]. If new ones are unusable, the
//! old ones stay in effect and the log gives the reason, so that a half-written file does not take the port down.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use millstream_broker::ANONYMOUS;
use millstream_kafka_client::config::PemSource;
use millstream_kafka_wire::KafkaString;
use millstream_types::Clock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::config::{ClientAuth, TlsSettings};
use super::principal::subject_name;
use crate::limits::{CERTIFICATE_CHECK_MS, PEM_FILE_BYTES_MAX};

/// Why a listener cannot encrypt.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read '{path}' of 'ssl.{store}'")]
    Read {
        store: &'static str,
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("no usable {what} in 'ssl.{store}': {reason}; it must be PEM")]
    Pem {
        store: &'static str,
        what: &'static str,
        reason: String,
    },
    #[error("'{path}' is not an ordinary file of at most {PEM_FILE_BYTES_MAX} bytes")]
    NoFile { path: String },
    #[error("the certificate and the key of 'ssl.keystore' cannot be used")]
    Certificate(#[source] rustls::Error),
    #[error("the authorities of 'ssl.truststore' cannot be used")]
    Authorities(#[source] rustls::server::VerifierBuilderError),
    #[error("'ssl.enabled.protocols' names none of TLSv1.2, TLSv1.3")]
    NoProtocol,
    #[error("'ssl.cipher.suites' names none of {known}")]
    NoCipherSuite { known: String },
    #[error("the protocols and cipher suites do not fit together")]
    Combination(#[source] rustls::Error),
}

/// Why a client was not let in.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error(transparent)]
    Tls(#[from] std::io::Error),
    #[error("no rule of 'ssl.principal.mapping.rules' fits the certificate's name '{0}'")]
    NoRule(String),
    #[error("the name in the certificate cannot be read")]
    Name,
}

impl HandshakeError {
    /// Whether the two did not agree; otherwise the connection just ended.
    pub fn is_refusal(&self) -> bool {
        match self {
            // As TLS errors come.
            HandshakeError::Tls(error) => error.kind() == std::io::ErrorKind::InvalidData,
            HandshakeError::NoRule(_) | HandshakeError::Name => true,
        }
    }
}

/// The encryption of one listener.
pub struct TlsServer {
    clock: Arc<dyn Clock>,
    current: Mutex<Current>,
}

struct Current {
    settings: Arc<TlsSettings>,
    acceptor: TlsAcceptor,
    stamps: Vec<Stamp>,
    checked_ms: i64,
}

/// Identifies a version of a file.
type Stamp = Option<(SystemTime, u64)>;

impl std::fmt::Debug for TlsServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

impl TlsServer {
    /// Reads certificates, key and authorities.
    pub fn new(settings: TlsSettings, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let current = Mutex::new(in_use(settings, clock.now_ms())?);
        Ok(Self { clock, current })
    }

    /// Checks whether settings could be applied.
    pub fn check(settings: &TlsSettings) -> Result<(), TlsError> {
        check_files(settings)?;
        acceptor(settings).map(|_| ())
    }

    /// Uses other settings for connections to come.
    pub fn configure(&self, settings: TlsSettings) -> Result<(), TlsError> {
        check_files(&settings)?;
        let current = in_use(settings, self.clock.now_ms())?;
        *self.current() = current;
        Ok(())
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Encrypts a connection, and returns the client's principal.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: S,
    ) -> Result<(TlsStream<S>, KafkaString), HandshakeError> {
        let (acceptor, settings) = self.in_force();
        let stream = acceptor.accept(socket).await?;
        let principal = match stream.get_ref().1.peer_certificates().and_then(<[_]>::first) {
            None => KafkaString::from_static(ANONYMOUS),
            Some(certificate) => {
                let name = subject_name(certificate).ok_or(HandshakeError::Name)?;
                let user = settings.rules.apply(&name).ok_or(HandshakeError::NoRule(name))?;
                KafkaString::from(format!("User:{user}"))
            }
        };
        Ok((stream, principal))
    }

    fn in_force(&self) -> (TlsAcceptor, Arc<TlsSettings>) {
        let now_ms = self.clock.now_ms();
        let mut current = self.current();
        if now_ms.saturating_sub(current.checked_ms) >= CERTIFICATE_CHECK_MS {
            current.checked_ms = now_ms;
            current.reload();
        }
        (current.acceptor.clone(), current.settings.clone())
    }
}

/// Whether files can be read while others wait: nothing is opened that could have no end.
fn check_files(settings: &TlsSettings) -> Result<(), TlsError> {
    for path in files(settings) {
        let found = std::fs::metadata(Path::new(path));
        if found.is_ok_and(|found| !found.is_file() || found.len() > PEM_FILE_BYTES_MAX) {
            return Err(TlsError::NoFile { path: path.clone() });
        }
    }
    Ok(())
}

fn in_use(settings: TlsSettings, now_ms: i64) -> Result<Current, TlsError> {
    Ok(Current {
        stamps: stamps(&settings),
        acceptor: acceptor(&settings)?,
        settings: Arc::new(settings),
        checked_ms: now_ms,
    })
}

impl Current {
    fn reload(&mut self) {
        let stamps = stamps(&self.settings);
        if stamps == self.stamps {
            return;
        }
        self.stamps = stamps;
        match acceptor(&self.settings) {
            Ok(acceptor) => {
                self.acceptor = acceptor;
                tracing::info!(target: "audit", "the listener's certificates were read again");
            }
            Err(error) => {
                let error = millstream_kafka_client::error::with_causes(&error);
                tracing::error!(%error, "changed certificates cannot be used; the old ones stay in use");
            }
        }
    }
}

fn files(settings: &TlsSettings) -> impl Iterator<Item = &String> {
    let sources = [
        Some(&settings.certificates),
        Some(&settings.key),
        settings.trust.as_ref(),
    ];
    sources.into_iter().flatten().filter_map(|source| match source {
        PemSource::File(path) => Some(path),
        PemSource::Text(_) => None,
    })
}

/// The files of the settings as they are now.
fn stamps(settings: &TlsSettings) -> Vec<Stamp> {
    let stamp = |path: &String| {
        let metadata = std::fs::metadata(Path::new(path)).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files(settings).map(stamp).collect()
}

fn acceptor(settings: &TlsSettings) -> Result<TlsAcceptor, TlsError> {
    let mut provider = rustls::crypto::ring::default_provider();
    if !settings.cipher_suites.is_empty() {
        let name =
            |suite: &rustls::SupportedCipherSuite| format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
        let known: Vec<String> = provider.cipher_suites.iter().map(name).collect();
        provider
            .cipher_suites
            .retain(|suite| settings.cipher_suites.contains(&name(suite)));
        if provider.cipher_suites.is_empty() {
            let known = known.join(", ");
            return Err(TlsError::NoCipherSuite { known });
        }
    }
    let provider = Arc::new(provider);
    let wants = |name: &str| settings.protocols.iter().any(|each| each == name);
    let mut versions = Vec::new();
    if wants("TLSv1.3") {
        versions.push(&rustls::version::TLS13);
    }
    if wants("TLSv1.2") {
        versions.push(&rustls::version::TLS12);
    }
    if versions.is_empty() {
        return Err(TlsError::NoProtocol);
    }
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(TlsError::Combination)?;
    let builder = match (settings.client_auth, &settings.trust) {
        (ClientAuth::None, _) | (_, None) => builder.with_no_client_auth(),
        (auth, Some(trust)) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(trust)?), provider);
            let verifier = match auth {
                ClientAuth::Requested => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(TlsError::Authorities)?)
        }
    };
    let (certificates, key) = keystore(settings)?;
    let config = builder
        .with_single_cert(certificates, key)
        .map_err(TlsError::Certificate)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn read(source: &PemSource, store: &'static str) -> Result<Vec<u8>, TlsError> {
    match source {
        PemSource::Text(text) => Ok(text.reveal().as_bytes().to_vec()),
        PemSource::File(path) => std::fs::read(path).map_err(|source| TlsError::Read {
            store,
            path: path.clone(),
            source,
        }),
    }
}

fn certificates(source: &PemSource, store: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |reason: String| TlsError::Pem {
        store,
        what: "certificate",
        reason,
    };
    let text = read(source, store)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| unusable(error.to_string()))?;
    if found.is_empty() {
        return Err(unusable("there is no CERTIFICATE section".to_owned()));
    }
    Ok(found)
}

fn keystore(
    settings: &TlsSettings,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let certificates = certificates(&settings.certificates, "keystore")?;
    let text = read(&settings.key, "keystore")?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| TlsError::Pem {
        store: "keystore",
        what: "private key",
        reason: if text.windows(9).any(|window| window == b"ENCRYPTED") {
            "it is encrypted; decrypt it with `openssl pkey`".to_owned()
        } else {
            error.to_string()
        },
    })?;
    Ok((certificates, key))
}

fn authorities(source: &PemSource) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(source, "truststore")? {
        store.add(certificate).map_err(|error| TlsError::Pem {
            store: "truststore",
            what: "certificate",
            reason: error.to_string(),
        })?;
    }
    Ok(store)
}
