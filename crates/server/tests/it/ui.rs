//! The Web UI's API over a real socket, with the embedded broker.

use std::sync::Arc;

use millstream_connectors::PrintTarget;
use millstream_server::http::guard::{Door, Guard, guarded};
use millstream_server::http::{Endpoint, HttpListener, rest_router};
use millstream_server::kafka::{EmbeddedSettings, ProcessClusters};
use millstream_server::state::{Kept, ServerState};
use millstream_session::{JobRegistry, SessionContext};
use millstream_types::{ManualClock, Options, SeededRng};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::cluster::START_MS;

struct NoPrint;

impl PrintTarget for NoPrint {
    fn print_line(&self, _: &str, _: bool) {}
}

struct Server {
    listener: HttpListener,
    clusters: Arc<ProcessClusters>,
    _directory: tempfile::TempDir,
}

struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn error(&self) -> String {
        self.json()["errors"][0].as_str().unwrap_or_default().to_owned()
    }
}

impl Server {
    async fn start(properties: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (clock, rng) = (Arc::new(ManualClock::new(START_MS)), Arc::new(SeededRng::new(7)));
        let settings = EmbeddedSettings {
            data_dir: directory.path().to_owned(),
            properties: properties
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            address: "127.0.0.1:0".to_owned(),
        };
        let clusters = Arc::new(ProcessClusters::new(
            settings,
            Handle::current(),
            clock.clone(),
            rng.clone(),
        ));
        let starting = Arc::clone(&clusters);
        tokio::task::spawn_blocking(move || starting.start_embedded())
            .await
            .unwrap()
            .unwrap();
        let context = SessionContext {
            clock,
            rng,
            kafka: clusters.clone(),
            print: Arc::new(NoPrint),
            jobs: Arc::new(JobRegistry::default()),
            checkpoints: None,
            fresh: false,
            attended: true,
            cores: 1,
            zone_name: "UTC".into(),
        };
        let kept = Kept::default();
        let state = ServerState::new(
            context,
            Options::new(),
            clusters.clone(),
            directory.path().to_owned(),
            kept,
        );
        let endpoint = Endpoint {
            host: "127.0.0.1".to_owned(),
            first_port: 0,
            last_port: 0,
            port_key: "rest.port",
        };
        let guard = Guard {
            door: Door::JobRest,
            names: vec!["x".to_owned()],
            users: None,
            owner: None,
        };
        let router = guarded(rest_router(&Arc::new(state)), guard);
        let listener = HttpListener::open(&endpoint, false, None, router).await.unwrap();
        Self {
            listener,
            clusters,
            _directory: directory,
        }
    }

    async fn stop(self) {
        drop(self.listener);
        tokio::task::spawn_blocking(move || self.clusters.stop())
            .await
            .unwrap()
            .unwrap();
    }

    async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Response {
        let mut socket = TcpStream::connect(self.listener.address()).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Response {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    async fn get(&self, path: &str) -> Response {
        self.send("GET", path, "", "").await
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Response {
        self.send(method, path, "", &body.to_string()).await
    }

    async fn produce(&self, topic: &str, record: Value) -> Value {
        let path = format!("/api/v1/topics/{topic}/messages");
        let written = self.call("POST", &path, record).await;
        assert_eq!(written.status, 201, "{}", written.body);
        written.json()
    }

    async fn messages(&self, query: &str) -> Value {
        let page = self.get(&format!("/api/v1/topics/t/messages?{query}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        page.json()
    }
}

/// Partition and offset of each message.
fn places(page: &Value) -> Vec<(i64, i64)> {
    let messages = page["messages"].as_array().unwrap().iter();
    messages
        .map(|m| (m["partition"].as_i64().unwrap(), m["offset"].as_i64().unwrap()))
        .collect()
}

fn next(page: &Value) -> String {
    let next = page["next"].as_object().unwrap();
    let parts: Vec<String> = next
        .iter()
        .map(|(partition, offset)| format!("{partition}:{offset}"))
        .collect();
    parts.join(",")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_its_files_have_strict_headers() {
    let server = Server::start(&[]).await;
    let index = server.get("/").await;
    assert_eq!(index.status, 200);
    assert!(index.body.contains("<div id=\"app\">") && !index.body.contains("__CSP_NONCE__"));
    assert!(
        index
            .head
            .contains("content-security-policy: default-src 'none'; script-src 'self';"),
        "{}",
        index.head
    );
    let script = server
        .send("GET", "/assets/app.js", "Accept-Encoding: gzip\r\n", "")
        .await;
    assert!(
        script.head.contains("content-encoding: gzip") && script.head.contains("etag: "),
        "{}",
        script.head
    );
    let unknown = server.get("/api/v1/nonsense").await;
    assert_eq!(
        (unknown.status, unknown.error().as_str()),
        (404, "there is no such endpoint")
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_from_other_sites_are_refused() {
    let server = Server::start(&[]).await;
    for headers in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
    ] {
        for (method, path) in [
            ("POST", "/api/v1/topics"),
            ("DELETE", "/api/v1/topics/t"),
            ("POST", "/api/v1/gateway/v2/sessions"),
        ] {
            let refused = server.send(method, path, headers, "{\"name\": \"t\"}").await;
            assert_eq!(refused.status, 403, "{method} {path} {headers}");
        }
    }
    let session = server
        .send(
            "POST",
            "/api/v1/gateway/v2/sessions",
            "Origin: http://x\r\n",
            "{}",
        )
        .await;
    assert!(
        session.status == 200 && session.body.contains("sessionHandle"),
        "{}",
        session.body
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_changed_and_deleted() {
    let server = Server::start(&[]).await;
    let wanted = json!({"name": "t", "partitions": 2, "configs": {"retention.ms": "1000"}});
    assert_eq!(
        server.call("POST", "/api/v1/topics", wanted.clone()).await.status,
        201
    );
    let again = server.call("POST", "/api/v1/topics", wanted).await;
    assert!(
        again.status == 409 && again.error().contains("TOPIC_ALREADY_EXISTS"),
        "{}",
        again.body
    );
    server.produce("t", json!({"partition": 1, "value": "one"})).await;
    let topic = server.get("/api/v1/topics/t").await.json();
    assert_eq!(topic["partitions"][1]["end"], 1);
    let retention = topic["configs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["name"] == "retention.ms")
        .unwrap();
    assert_eq!(
        (&retention["value"], &retention["source"]),
        (&json!("1000"), &json!("topic"))
    );
    let listed = server.get("/api/v1/topics").await.json();
    assert_eq!(
        (&listed["topics"][0]["name"], &listed["topics"][0]["records"]),
        (&json!("t"), &json!(1))
    );
    let reset = server
        .call(
            "PATCH",
            "/api/v1/topics/t/configs",
            json!({"reset": ["retention.ms"]}),
        )
        .await;
    assert_eq!(reset.status, 200, "{}", reset.body);
    let wrong = server
        .call(
            "PATCH",
            "/api/v1/topics/t/configs",
            json!({"set": {"retention.ms": "x"}}),
        )
        .await;
    assert_eq!(wrong.status, 400, "{}", wrong.body);
    assert_eq!(
        server
            .call("POST", "/api/v1/topics/t/partitions", json!({"count": 3}))
            .await
            .status,
        200
    );
    assert_eq!(
        server
            .call("POST", "/api/v1/topics/t/partitions", json!({"count": 1}))
            .await
            .status,
        400
    );
    let deleted = server
        .call(
            "POST",
            "/api/v1/topics/t/delete-records",
            json!({"offsets": {"1": 1}}),
        )
        .await;
    assert_eq!(deleted.json(), json!({"starts": {"1": 1}}));
    assert_eq!(
        server.call("DELETE", "/api/v1/topics/t", json!({})).await.status,
        200
    );
    for path in [
        "/api/v1/topics/t",
        "/api/v1/topics/t/messages",
        "/api/v1/groups/g",
        "/api/v1/jobs/x",
    ] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    for body in ["", "{", "[]", "{\"nam\": 1}", "{\"name\": \"a b\"}"] {
        let refused = server.send("POST", "/api/v1/topics", "", body).await;
        assert!(
            (400..500).contains(&refused.status) && !refused.error().is_empty(),
            "{body}: {}",
            refused.body
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_browsed_in_pages_and_filtered() {
    let server = Server::start(&[]).await;
    server
        .call("POST", "/api/v1/topics", json!({"name": "t", "partitions": 2}))
        .await;
    for i in 0..7 {
        let record = json!({"partition": i % 2, "key": format!("k{i}"), "value": json!({"n": i}).to_string(), "headers": {"h": "v"}});
        server.produce("t", record).await;
    }
    let first = server.messages("from=earliest&limit=3").await;
    assert_eq!((places(&first).len(), &first["exhausted"]), (3, &json!(false)));
    let second = server
        .messages(&format!("from=earliest&limit=10&next={}", next(&first)))
        .await;
    assert_eq!((places(&second).len(), &second["exhausted"]), (4, &json!(true)));
    let mut all = places(&first);
    all.extend(places(&second));
    all.sort_unstable();
    assert_eq!(all, [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2)]);
    let newest = server.messages("limit=2&partition=0").await;
    assert_eq!(places(&newest), [(0, 3), (0, 2)]);
    let older = server.messages(&format!("limit=9&next={}", next(&newest))).await;
    assert_eq!(
        (places(&older), &older["exhausted"]),
        (vec![(0, 1), (0, 0)], &json!(true))
    );
    let found = server.messages("filter=value.n%20%3E%3D%205").await;
    assert_eq!((places(&found).len(), &found["scanned"]), (2, &json!(7)));
    let from = server.messages("from=offset:2&partition=1").await;
    assert_eq!(places(&from), [(1, 2)]);
    let message = &from["messages"][0];
    assert_eq!(
        (
            &message["key"]["text"],
            &message["value"]["format"],
            &message["transaction"],
            &message["headers"][0]["value"]
        ),
        (&json!("k5"), &json!("json"), &json!("none"), &json!("v"))
    );
    let hex = server
        .produce("t", json!({"partition": 0, "value": "00 ff", "encoding": "hex"}))
        .await;
    assert_eq!(hex, json!({"partition": 0, "offset": 4}));
    let binary = server.messages("from=offset:4&partition=0").await;
    assert_eq!(
        binary["messages"][0]["value"],
        json!({"format": "hex", "text": "00 ff", "bytes": 2})
    );
    for query in [
        "from=x",
        "isolation=serializable",
        "next=1",
        "limit=x",
        "nonsense=1",
    ] {
        assert_eq!(
            server
                .get(&format!("/api/v1/topics/t/messages?{query}"))
                .await
                .status,
            400,
            "{query}"
        );
    }
    assert_eq!(
        server.get("/api/v1/topics/t/messages?partition=9").await.status,
        404
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_groups_move_after_a_dry_run() {
    let server = Server::start(&[]).await;
    server
        .call("POST", "/api/v1/topics", json!({"name": "t", "partitions": 1}))
        .await;
    for i in 0..4 {
        server.produce("t", json!({"value": i.to_string()})).await;
    }
    let reset = |body: Value| server.call("POST", "/api/v1/groups/g/reset", body);
    let place = |to: &str, value: Value, dry_run: bool| json!({"topic": "t", "to": to, "value": value, "dry_run": dry_run});
    let planned = reset(place("latest", Value::Null, true)).await.json();
    assert_eq!(
        planned["offsets"][0],
        json!({"topic": "t", "partition": 0, "from": null, "to": 4})
    );
    assert_eq!(server.get("/api/v1/groups").await.json(), json!({"groups": []}));
    for (to, value, expected) in [
        ("latest", Value::Null, 4),
        ("shift", json!(-3), 1),
        ("offset", json!(99), 4),
        ("timestamp", json!(START_MS), 0),
        ("timestamp", json!(START_MS + 1), 4),
        ("earliest", Value::Null, 0),
    ] {
        let moved = reset(place(to, value, false)).await.json();
        assert_eq!(
            (&moved["offsets"][0]["to"], &moved["applied"]),
            (&json!(expected), &json!(true)),
            "{to}"
        );
        let group = server.get("/api/v1/groups/g").await.json();
        assert_eq!(
            (&group["offsets"][0]["committed"], &group["offsets"][0]["lag"]),
            (&json!(expected), &json!(4 - expected))
        );
    }
    assert_eq!(reset(place("offset", Value::Null, false)).await.status, 400);
    assert_eq!(
        server.get("/api/v1/topics/t").await.json()["groups"],
        json!(["g"])
    );
    assert_eq!(
        server.call("DELETE", "/api/v1/groups/g", json!({})).await.status,
        200
    );
    assert_eq!(server.get("/api/v1/groups/g").await.status, 404);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acls_and_users() {
    let off = Server::start(&[]).await;
    assert_eq!(
        off.get("/api/v1/acls").await.json(),
        json!({"acls": [], "enabled": false})
    );
    off.stop().await;
    let authorizer = [(
        "authorizer.class.name",
        "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    )];
    let server = Server::start(&authorizer).await;
    let acl = json!({"resource": "TOPIC", "name": "t", "pattern": "LITERAL", "principal": "User:alice", "host": "*", "operation": "READ", "permission": "ALLOW"});
    assert_eq!(server.call("POST", "/api/v1/acls", acl.clone()).await.status, 201);
    assert_eq!(
        server.get("/api/v1/acls").await.json(),
        json!({"acls": [acl], "enabled": true})
    );
    assert_eq!(
        server.call("DELETE", "/api/v1/acls", acl.clone()).await.status,
        200
    );
    assert_eq!(
        server.call("DELETE", "/api/v1/acls", acl.clone()).await.status,
        404
    );
    let mut wrong = acl;
    wrong["operation"] = json!("DANCE");
    assert_eq!(
        server.call("POST", "/api/v1/acls", wrong).await.error(),
        "'DANCE' is not an operation of an ACL"
    );
    let set = |mechanism: &str, password: &str| {
        server.call(
            "PUT",
            "/api/v1/users/alice",
            json!({"mechanism": mechanism, "password": password}),
        )
    };
    assert_eq!(set("SCRAM-SHA-512", "wonderland").await.status, 200);
    assert_eq!(
        (
            set("PLAIN", "x").await.status,
            set("SCRAM-SHA-256", "").await.status
        ),
        (400, 400)
    );
    let users = server.get("/api/v1/users").await;
    assert!(!users.body.contains("wonderland"));
    assert_eq!(users.json()["users"][0]["user"], "alice");
    assert_eq!(
        server
            .call("DELETE", "/api/v1/users/alice", json!({}))
            .await
            .status,
        200
    );
    assert_eq!(
        server
            .call("DELETE", "/api/v1/users/alice", json!({}))
            .await
            .status,
        404
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_and_the_stream_of_ticks() {
    let server = Server::start(&[]).await;
    let overview = server.get("/api/v1/overview").await.json();
    assert_eq!(
        (&overview["broker"]["topics"], &overview["started_ms"]),
        (&json!(0), &json!(START_MS))
    );
    let mut socket = TcpStream::connect(server.listener.address()).await.unwrap();
    socket
        .write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains("event: tick\ndata: {") {
        let length = socket.read(&mut buffer).await.unwrap();
        assert!(length > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    assert!(
        text.to_ascii_lowercase()
            .contains("content-type: text/event-stream"),
        "{text}"
    );
    drop(socket);
    server.stop().await;
}
