//! A server with its HTTP doors on free ports, and a client that speaks plain bytes to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_connectors::PrintTarget;
use millstream_server::ServerState;
use millstream_server::access::{OwnerToken, RemoteAccess};
use millstream_server::http::guard::{Door, Guard, guarded};
use millstream_server::http::tls::TlsServer;
use millstream_server::http::users::HttpUsers;
use millstream_server::http::{Endpoint, HttpListener, gateway, rest_router};
use millstream_server::jobs::JobStore;
use millstream_server::kafka::{EmbeddedSettings, ProcessClusters};
use millstream_server::state::Kept;
use millstream_session::{CatalogStore, SessionContext};
use millstream_types::storage::OsStorage;
use millstream_types::{Options, SeededRng, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct NoPrint;

impl PrintTarget for NoPrint {
    fn print_line(&self, _: &str, _: bool) {}
}

/// A server with both doors on free ports.
pub struct Server {
    pub state: Arc<ServerState>,
    pub rest: HttpListener,
    pub gateway: HttpListener,
}

/// What a server has beside its users.
#[derive(Default)]
pub struct Extras {
    pub users: Option<Arc<HttpUsers>>,
    pub access: RemoteAccess,
    pub owner: Option<Arc<OwnerToken>>,
    pub tls: Option<Arc<TlsServer>>,
    pub catalog: Option<Arc<CatalogStore>>,
}

/// Statements that start a job without an end.
pub const ENDLESS: [&str; 3] = [
    "CREATE TABLE numbers (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '10')",
    "CREATE TABLE nothing (n INT) WITH ('connector' = 'blackhole')",
    "INSERT INTO nothing SELECT n FROM numbers",
];

pub async fn server(directory: &TempDir, users: Option<Arc<HttpUsers>>) -> Server {
    let extras = Extras {
        users,
        ..Extras::default()
    };
    server_with(directory, extras).await
}

pub async fn server_with(directory: &TempDir, extras: Extras) -> Server {
    let storage: Arc<OsStorage> = Arc::new(OsStorage::open(directory.path()).unwrap());
    let (clock, rng) = (Arc::new(SystemClock), Arc::new(SeededRng::new(7)));
    let settings = EmbeddedSettings {
        data_dir: directory.path().to_owned(),
        properties: BTreeMap::new(),
        address: "127.0.0.1:0".to_owned(),
    };
    let runtime = tokio::runtime::Handle::current();
    let clusters = Arc::new(ProcessClusters::new(
        settings,
        runtime,
        clock.clone(),
        rng.clone(),
    ));
    let context = SessionContext {
        clock: clock.clone(),
        rng,
        kafka: clusters.clone(),
        print: Arc::new(NoPrint),
        jobs: Arc::default(),
        checkpoints: Some(storage.clone()),
        fresh: false,
        attended: false,
        cores: 1,
        zone_name: "UTC".into(),
    };
    let kept = Kept {
        store: Some(Arc::new(JobStore::open(storage, clock).unwrap())),
        access: extras.access,
        catalog: extras.catalog,
        ..Kept::default()
    };
    let path = directory.path().to_owned();
    let state = Arc::new(ServerState::new(context, Options::new(), clusters, path, kept));
    let guard = |door| Guard {
        door,
        names: Vec::new(),
        users: extras.users.clone(),
        owner: extras.owner.clone(),
    };
    let rest = guarded(rest_router(&state), guard(Door::JobRest));
    let gateway = guarded(gateway::router(&state), guard(Door::Gateway));
    let open = async |router| {
        HttpListener::open(&any_port(), false, extras.tls.clone(), router)
            .await
            .unwrap()
    };
    Server {
        rest: open(rest).await,
        gateway: open(gateway).await,
        state,
    }
}

pub fn any_port() -> Endpoint {
    Endpoint {
        host: "127.0.0.1".to_owned(),
        first_port: 0,
        last_port: 0,
        port_key: "rest.port",
    }
}

/// Sends bytes, and gives what comes back until the connection is closed.
pub async fn exchange(listener: &HttpListener, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(listener.address()).await.unwrap();
    // The server may refuse a request before it has read all of it.
    _ = stream.write_all(request).await;
    let mut response = Vec::new();
    _ = stream.read_to_end(&mut response).await;
    String::from_utf8_lossy(&response).into_owned()
}

pub async fn call(
    listener: &HttpListener,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> (u16, Value) {
    let host = if headers.contains("Host:") {
        ""
    } else {
        "Host: localhost\r\n"
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let response = exchange(listener, request.as_bytes()).await;
    let status = response
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    let body = response.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

impl Server {
    pub async fn gateway(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        call(&self.gateway, method, path, "", &body.to_string()).await
    }

    pub async fn rest(&self, method: &str, path: &str) -> (u16, Value) {
        call(&self.rest, method, path, "", "").await
    }

    pub async fn open_session(&self, properties: Value) -> String {
        let (status, opened) = self
            .gateway("POST", "/v2/sessions", &json!({"properties": properties}))
            .await;
        assert_eq!(status, 200, "{opened}");
        format!("/v2/sessions/{}", opened["sessionHandle"].as_str().unwrap())
    }

    pub async fn submit(&self, session: &str, statement: &str) -> String {
        let body = json!({"statement": statement});
        let (status, submitted) = self
            .gateway("POST", &format!("{session}/statements"), &body)
            .await;
        assert_eq!(status, 200, "{submitted}");
        format!(
            "{session}/operations/{}",
            submitted["operationHandle"].as_str().unwrap()
        )
    }

    /// A page, once it is ready.
    pub async fn page(&self, operation: &str, token: i64, format: &str) -> (u16, Value) {
        loop {
            let path = format!("{operation}/result/{token}?rowFormat={format}");
            let (status, page) = self.gateway("GET", &path, &json!({})).await;
            if page["resultType"] != "NOT_READY" {
                return (status, page);
            }
        }
    }

    /// Executes a statement; all its rows.
    pub async fn rows(&self, session: &str, statement: &str) -> Vec<Value> {
        let operation = self.submit(session, statement).await;
        let mut rows = Vec::new();
        for token in 0.. {
            let (status, page) = self.page(&operation, token, "JSON").await;
            assert_eq!(status, 200, "{statement}: {page}");
            rows.extend(
                page["results"]["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|row| row["fields"].clone()),
            );
            if page["resultType"] == "EOS" {
                break;
            }
        }
        rows
    }
}
