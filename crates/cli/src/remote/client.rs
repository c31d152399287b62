//! HTTP requests with JSON bodies, one connection per request, as Flink's own clients do.

use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use millstream_kafka_client::config::{PemSource, TlsConfig};
use millstream_kafka_client::tcp::tls_connector;
use millstream_server::http::error::DIAGNOSTICS_HEADER;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// Larger responses are rejected.
const RESPONSE_BYTES_MAX: usize = 256 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// Credentials for servers with users: `TOKEN`, or `USER:PASSWORD`.
const CREDENTIALS: [&str; 2] = ["MILLSTREAM_TOKEN", "MILLSTREAM_USER"];
/// A PEM file with the authorities of a server's certificate; the system's without it.
const AUTHORITIES: &str = "MILLSTREAM_CA_FILE";

/// A server's address and credentials.
#[derive(Clone)]
pub struct HttpClient {
    runtime: Handle,
    authority: String,
    prefix: String,
    authorization: Option<String>,
    tls: Option<TlsConnector>,
}

impl HttpClient {
    /// `url`: `http://HOST:PORT[/PREFIX]`, the same with `https`, or `HOST:PORT`. `token` is sent where the environment
    /// has no credentials.
    pub fn new(runtime: Handle, url: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let secure = url.strip_prefix("https://");
        let tls = secure.map(|_| connector()).transpose()?;
        let rest = secure.or_else(|| url.strip_prefix("http://")).unwrap_or(url);
        let (authority, prefix) = rest
            .split_once('/')
            .map_or((rest, String::new()), |(authority, path)| {
                (authority, format!("/{}", path.trim_end_matches('/')))
            });
        let port = authority
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        anyhow::ensure!(
            port.is_some(),
            "'{url}' is not an address of a server; write http://HOST:PORT"
        );
        let bearer = |token: &str| format!("Bearer {token}");
        let given = std::env::var(CREDENTIALS[0]).ok().map(|token| bearer(&token));
        let basic = || {
            let user = std::env::var(CREDENTIALS[1]).ok()?;
            Some(format!(
                "Basic {}",
                base64::engine::general_purpose::STANDARD.encode(user)
            ))
        };
        Ok(Self {
            runtime,
            authority: authority.to_owned(),
            prefix: if prefix == "/" { String::new() } else { prefix },
            authorization: given.or_else(basic).or_else(|| token.map(bearer)),
            tls,
        })
    }

    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.request("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.request("POST", path, Some(body))
    }

    /// Sends a request and waits for its response; an error status becomes an error.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let text = self.text(method, path, body)?;
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text)
            .with_context(|| format!("the response of {} to {path} is not JSON", self.authority))
    }

    /// The unparsed body of a response.
    pub fn text(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<String> {
        let sent = self.send(method, path, body);
        let (status, text) = self
            .runtime
            .block_on(async { tokio::time::timeout(RESPONSE_TIMEOUT, sent).await })
            .with_context(|| format!("{} does not respond", self.authority))??;
        if (200..300).contains(&status) {
            return Ok(text);
        }
        let message = error_message(&text)
            .unwrap_or_else(|| format!("{} responds with status {status}", self.authority));
        Err(ServerError {
            message,
            diagnostic: diagnostic(&text),
        }
        .into())
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<(u16, String)> {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.authority)).await;
        let stream = connected
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))
            .and_then(|connected| connected)
            .with_context(|| {
                format!(
                    "cannot reach a server at {}; is 'millstream serve' running there?",
                    self.authority
                )
            })?;
        let Some(tls) = &self.tls else {
            return self.exchange(stream, method, path, body).await;
        };
        let host = self.authority.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host.clone())
            .with_context(|| format!("'{host}' is no name that a certificate can have"))?;
        let stream = tls.connect(name, stream).await.with_context(|| {
            format!(
                "TLS with {} failed; {AUTHORITIES} names a file with the authorities to trust",
                self.authority
            )
        })?;
        self.exchange(stream, method, path, body).await
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(u16, String)> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driving = tokio::spawn(connection);
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .header(DIAGNOSTICS_HEADER, "1")
            .header(CONNECTION, "close");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let response = sender
            .send_request(request.body(Full::new(Bytes::from(body)))?)
            .await?;
        let status = response.status().as_u16();
        let collected = Limited::new(response.into_body(), RESPONSE_BYTES_MAX)
            .collect()
            .await;
        let bytes = collected.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
        driving.abort();
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// A request that the server rejected.
#[derive(Debug)]
pub struct ServerError {
    message: String,
    /// The structure of a failed statement's error: the members that `--output json` gives for it.
    pub diagnostic: Option<Value>,
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ServerError {}

/// The structured error in an error body; servers that are not Millstream give none.
fn diagnostic(body: &str) -> Option<Value> {
    let mut body: Value = serde_json::from_str(body).ok()?;
    let first = body.get_mut("diagnostics")?.get_mut(0)?.take();
    first.is_object().then_some(first)
}

/// Checks servers' certificates against the system's authorities, or those of the file that the environment names.
fn connector() -> anyhow::Result<TlsConnector> {
    let file = std::env::var(AUTHORITIES).ok().map(PemSource::File);
    let config = TlsConfig {
        trust: file,
        certificates: None,
        key: None,
        check_hostname: true,
    };
    Ok(tls_connector(&config)?)
}

/// The readable part of an error body: the root cause without stack frames.
fn error_message(body: &str) -> Option<String> {
    let value: Value = serde_json::from_str(body).ok()?;
    let errors = value.get("errors")?.as_array()?;
    let last = errors.last()?.as_str()?;
    let cause = last.rsplit("Caused by: ").next()?;
    let cause = cause.split("\n\tat ").next()?;
    let message = cause.split_once(": ").map_or(cause, |(class, message)| {
        if class.contains('.') && !class.contains(' ') {
            message
        } else {
            cause
        }
    });
    Some(message.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_is_taken_from_the_body() {
        let body = r#"{"errors":["x"],"diagnostics":[{"code":"UNKNOWN_TABLE","message":"x"}]}"#;
        let found = diagnostic(body).expect("is there");
        assert_eq!(found["code"], "UNKNOWN_TABLE");
        assert_eq!(diagnostic(r#"{"errors":["x"]}"#), None);
        assert_eq!(diagnostic("<html>"), None);
    }

    #[test]
    fn the_last_cause_is_the_message() {
        let body = r#"{"errors":["Internal server error.","<Exception on server side:\na.B: x\n\tat f\nCaused by: a.b.C: no such table\n  --> line 1\n\tat f\n\nEnd"]}"#;
        assert_eq!(
            error_message(body).as_deref(),
            Some("no such table\n  --> line 1")
        );
        assert_eq!(
            error_message(r#"{"errors":["Not found: /x"]}"#).as_deref(),
            Some("Not found: /x")
        );
        assert_eq!(error_message("x"), None);
    }
}
