//! Requests with JSON bodies, one connection each, as Flink's own clients make them.

use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Handle;

/// A response that is larger is refused.
const RESPONSE_BYTES_MAX: usize = 256 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// Credentials for servers with users: `TOKEN`, or `USER:PASSWORD`.
const CREDENTIALS: [&str; 2] = ["MILLSTREAM_TOKEN", "MILLSTREAM_USER"];

/// A server and how to reach it.
#[derive(Clone, Debug)]
pub struct HttpClient {
    runtime: Handle,
    authority: String,
    prefix: String,
    authorization: Option<String>,
}

impl HttpClient {
    /// `url`: `http://HOST:PORT[/PREFIX]` or `HOST:PORT`.
    pub fn new(runtime: Handle, url: &str) -> anyhow::Result<Self> {
        anyhow::ensure!(
            !url.starts_with("https://"),
            "'{url}': https is not supported; reach the server through a tunnel on loopback"
        );
        let rest = url.strip_prefix("http://").unwrap_or(url);
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
            "'{url}' is no address of a server; write http://HOST:PORT"
        );
        let token = std::env::var(CREDENTIALS[0])
            .ok()
            .map(|token| format!("Bearer {token}"));
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
            authorization: token.or_else(basic),
        })
    }

    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.request("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.request("POST", path, Some(body))
    }

    /// Sends a request and waits for its response; a status of failure is the error.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let text = self.text(method, path, body)?;
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text)
            .with_context(|| format!("the response of {} to {path} is no JSON", self.authority))
    }

    /// The body of a response as it is.
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
        anyhow::bail!("{message}")
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
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driving = tokio::spawn(connection);
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
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

/// What a person should read of an error body: the last cause without its frames.
fn error_message(body: &str) -> Option<String> {
    let value: Value = serde_json::from_str(body).ok()?;
    let errors = value.get("errors")?.as_array()?;
    let last = errors.last()?.as_str()?;
    let cause = last.rsplit("Caused by: ").next()?;
    let cause = cause.split("\n\tat ").next()?;
    let message = cause.split_once(": ").map_or(cause, |(class, message)| {
        match class.contains('.') && !class.contains(' ') {
            true => message,
            false => cause,
        }
    });
    Some(message.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
