//! TLS by rustls: which authorities to trust, which certificate to show, whether the name matters.

use std::io::{BufReader, Error, ErrorKind};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::config::{PemSource, TlsConfig};
use crate::error::TransportError;

/// Reads the certificates and builds the connector.
pub fn connector(config: &TlsConfig) -> Result<TlsConnector, TransportError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(roots(config)?);
    let unusable =
        |what: &str, error: &dyn std::fmt::Display| TransportError::Configuration(format!("{what}: {error}"));
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .map_err(|error| unusable("ssl.truststore.location", &error))?;
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("TLS versions", &error))?;
    let builder = if config.check_hostname {
        builder.dangerous().with_custom_certificate_verifier(verifier)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyName(verifier)))
    };
    let client = match (&config.certificates, &config.key) {
        (Some(certificates), Some(key)) => builder
            .with_client_auth_cert(
                read_certificates(certificates, "ssl.keystore.location")?,
                read_key(key)?,
            )
            .map_err(|error| unusable("ssl.keystore.location", &error))?,
        _ => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(client)))
}

fn roots(config: &TlsConfig) -> Result<RootCertStore, TransportError> {
    let mut store = RootCertStore::empty();
    let Some(source) = &config.trust else {
        let native = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(native.certs);
        if store.is_empty() {
            let remedy = "the system has no trusted certificates; set ssl.truststore.location to a PEM file";
            return Err(TransportError::Configuration(remedy.to_owned()));
        }
        return Ok(store);
    };
    for certificate in read_certificates(source, "ssl.truststore.location")? {
        store
            .add(certificate)
            .map_err(|error| TransportError::Configuration(format!("ssl.truststore.location: {error}")))?;
    }
    Ok(store)
}

fn pem_text(source: &PemSource, name: &str) -> Result<Vec<u8>, TransportError> {
    match source {
        PemSource::Text(text) => Ok(text.reveal().as_bytes().to_vec()),
        PemSource::File(path) => std::fs::read(path)
            .map_err(|error| TransportError::Configuration(format!("{name}: reading '{path}': {error}"))),
    }
}

fn read_certificates(source: &PemSource, name: &str) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let text = pem_text(source, name)?;
    let certificates: Result<Vec<_>, Error> =
        rustls_pemfile::certs(&mut BufReader::new(text.as_slice())).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TransportError::Configuration(format!(
            "{name} holds no PEM certificates; Java stores must be converted with `openssl pkcs12 -nodes`"
        ))),
    }
}

fn read_key(source: &PemSource) -> Result<PrivateKeyDer<'static>, TransportError> {
    let text = pem_text(source, "ssl.keystore.location")?;
    let key = rustls_pemfile::private_key(&mut BufReader::new(text.as_slice()));
    key.and_then(|key| key.ok_or_else(|| Error::from(ErrorKind::NotFound)))
        .map_err(|_| {
            TransportError::Configuration("the client key is not a PEM key without a password".to_owned())
        })
}

/// Verifies all but the name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self
            .0
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
