//! The address of a collector, and requests to it.

use axum::body::Body;
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use millstream_kafka_client::config::{PemSource, TlsConfig};
use millstream_kafka_client::error::TransportError;
use millstream_kafka_client::tcp::tls_connector;
use millstream_types::Options;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{OtlpError, TRUSTSTORE};
use crate::limits::OTLP_TIMEOUT;

/// Where a collector takes one kind of data.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) authority: String,
    pub(super) path: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Endpoint {
    pub(super) fn read(
        options: &Options,
        key: &'static str,
        protocol: &'static str,
        path: &str,
    ) -> Result<Option<Self>, OtlpError> {
        let Some(value) = options.get(key) else {
            return Ok(None);
        };
        let spoken = options
            .get(protocol)
            .filter(|name| !name.eq_ignore_ascii_case("http"));
        if let Some(value) = spoken.cloned() {
            return Err(OtlpError::Protocol {
                key: protocol,
                endpoint: key,
                value,
            });
        }
        let wrong = || OtlpError::Endpoint {
            key,
            value: value.clone(),
        };
        let secure = value.strip_prefix("https://");
        let rest = secure
            .or_else(|| value.strip_prefix("http://"))
            .ok_or_else(wrong)?;
        let (authority, given) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = authority.rsplit_once(':').ok_or_else(wrong)?;
        port.parse::<u16>().map_err(|_| wrong())?;
        let tls = match secure {
            None => None,
            Some(_) => {
                let host = host.trim_matches(['[', ']']).to_owned();
                let name = ServerName::try_from(host).map_err(|_| wrong())?;
                let connector = connector(options).map_err(|source| OtlpError::Trust { key, source })?;
                Some((connector, name))
            }
        };
        // A URL without a path means the collector as a whole.
        let path = match given {
            "" => path.to_owned(),
            given => format!("/{given}"),
        };
        Ok(Some(Self {
            authority: authority.to_owned(),
            path,
            tls,
        }))
    }

    pub(super) async fn send(&self, body: &Value) -> Result<(), ExportError> {
        let exchange = async {
            let stream = TcpStream::connect(&self.authority).await?;
            match &self.tls {
                None => self.post(stream, body).await,
                Some((tls, name)) => {
                    let stream = tls.connect(name.clone(), stream).await;
                    self.post(stream.map_err(ExportError::Tls)?, body).await
                }
            }
        };
        let sent = tokio::time::timeout(OTLP_TIMEOUT, exchange).await;
        sent.unwrap_or_else(|_| Err(ExportError::Timeout))
    }

    async fn post(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        body: &Value,
    ) -> Result<(), ExportError> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driving = tokio::spawn(connection);
        let request = Request::post(&self.path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))?;
        let sent = sender.send_request(request).await;
        driving.abort();
        match sent?.status() {
            status if status.is_success() => Ok(()),
            status => Err(ExportError::Status(status)),
        }
    }
}

/// The way to collectors over TLS.
fn connector(options: &Options) -> Result<TlsConnector, TransportError> {
    tls_connector(&TlsConfig {
        trust: options.get(TRUSTSTORE).cloned().map(PemSource::File),
        certificates: None,
        key: None,
        check_hostname: true,
    })
}

/// Why the collector did not take an export.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Request(#[from] hyper::http::Error),
    #[error("TLS fails: {0}; '{TRUSTSTORE}' names a PEM file with the authorities to trust")]
    Tls(#[source] std::io::Error),
    #[error("it responds with {0}")]
    Status(hyper::StatusCode),
    #[error("it does not respond")]
    Timeout,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use serde_json::json;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::super::{METRICS_ENDPOINT, METRICS_PROTOCOL};
    use super::*;

    fn data(name: &str) -> String {
        format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    /// Takes one connection over TLS and responds to its request; the first line of it, if there was one.
    async fn collect(listener: TcpListener) -> Option<String> {
        let certificates = CertificateDer::pem_file_iter(data("broker.pem")).expect("a file");
        let certificates = certificates.collect::<Result<_, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_file(data("broker.pem")).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .expect("they fit");
        let (stream, _) = listener.accept().await.expect("a connection");
        let stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.ok()?;
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await.expect("a request");
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(response).await.expect("the client listens");
        stream.flush().await.expect("the client listens");
        Some(line)
    }

    #[tokio::test]
    async fn collectors_with_https_are_reached_if_they_are_trusted() {
        for (authorities, is_trusted) in [("authority.pem", true), ("stranger.pem", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let url = format!("https://{}", listener.local_addr().expect("an address"));
            let options = [(METRICS_ENDPOINT, url), (TRUSTSTORE, data(authorities))];
            let options = options.map(|(key, value)| (key.to_owned(), value));
            let endpoint = Endpoint::read(
                &options.into_iter().collect(),
                METRICS_ENDPOINT,
                METRICS_PROTOCOL,
                "/v1/metrics",
            );
            let endpoint = endpoint.expect("it is right").expect("it is set");
            let body = json!({});
            let (sent, request) = tokio::join!(endpoint.send(&body), collect(listener));
            if is_trusted {
                sent.expect("the collector takes it");
                assert_eq!(request.as_deref(), Some("POST /v1/metrics HTTP/1.1\r\n"));
            } else {
                let error = sent.expect_err("the authority is a stranger").to_string();
                assert!(error.contains(TRUSTSTORE), "{error}");
                assert_eq!(request, None);
            }
        }
    }
}
