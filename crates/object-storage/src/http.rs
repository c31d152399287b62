//! The HTTP client for object stores: hyper with rustls, which the program has anyway.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::TokioExecutor;
use millstream_types::error::with_causes;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use rustls::{ClientConfig, RootCertStore};

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a response may take, its body aside.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

type Pool = Client<HttpsConnector<TcpConnector>, HttpRequestBody>;

/// Makes clients that share the connections of the process.
#[derive(Debug)]
pub(crate) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        static POOL: OnceLock<Pool> = OnceLock::new();
        Ok(HttpClient::new(Service(POOL.get_or_init(pool).clone())))
    }
}

fn pool() -> Pool {
    let mut roots = RootCertStore::empty();
    // Without certificates only HTTP works, and HTTPS says that no issuer is known.
    for certificate in rustls_native_certs::load_native_certs().certs {
        _ = roots.add(certificate);
    }
    let tls = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = TcpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(hyper_util::rt::TokioTimer::new())
        .build(connector)
}

/// A request that failed, with the causes in its text: callers print no others, and the first says only at which step.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Failed {
    text: String,
    #[source]
    source: hyper_util::client::legacy::Error,
}

impl From<hyper_util::client::legacy::Error> for Failed {
    fn from(source: hyper_util::client::legacy::Error) -> Self {
        let text = with_causes(&source);
        Self { text, source }
    }
}

#[derive(Debug)]
struct Service(Pool);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = tokio::time::timeout(RESPONSE_TIMEOUT, self.0.request(request)).await;
        let response = response
            .map_err(|error| HttpError::new(HttpErrorKind::Timeout, error))?
            .map_err(|error| {
                let kind = if error.is_connect() {
                    HttpErrorKind::Connect
                } else {
                    HttpErrorKind::Request
                };
                HttpError::new(kind, Failed::from(error))
            })?;
        let (parts, body) = response.into_parts();
        let body = body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error));
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use object_store::client::HttpRequestBody;

    use super::*;

    #[tokio::test]
    async fn errors_say_why_a_store_cannot_be_reached() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = Connector.connect(&ClientOptions::new()).unwrap();
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = format!("http://{closed}/bucket").parse().unwrap();
        let error = client.execute(request).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Connect);
        assert!(error.to_string().contains("refused"), "{error}");
    }
}
