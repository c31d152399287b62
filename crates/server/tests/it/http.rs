//! The HTTP doors over real sockets: the SQL Gateway's protocol, the job REST API, and what they make of attackers.

use std::sync::Arc;

use millstream_server::http::HttpListener;
use millstream_server::http::guard::{Door, Guard, guarded};
use millstream_server::http::users::{HttpUsers, Role, basic_line};
use millstream_server::jobs::{record_jobs, resume_jobs};
use serde_json::{Value, json};

use crate::doors::{ENDLESS, Server, any_port, call, exchange, server};

#[tokio::test(flavor = "multi_thread")]
async fn pages_repeat_and_wrong_tokens_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(&directory, None).await;
    let session = server.open_session(json!({})).await;
    let operation = server
        .submit(&session, "SELECT 1, CAST(NULL AS INT), DATE '2020-01-02', X'FF'")
        .await;
    let (_, first) = server.page(&operation, 0, "JSON").await;
    assert_eq!(first["resultType"], "PAYLOAD");
    assert_eq!(first["isQueryResult"], true);
    assert_eq!(
        first["results"]["data"][0],
        json!({"kind": "INSERT", "fields": [1, null, "2020-01-02", "/w=="]})
    );
    let (_, again) = server.page(&operation, 0, "PLAIN_TEXT").await;
    assert_eq!(
        again["results"]["data"][0]["fields"],
        json!(["1", null, "2020-01-02", "x'ff'"])
    );
    let (status, refused) = server.page(&operation, 7, "JSON").await;
    assert_eq!(status, 500);
    assert!(
        refused["errors"][1]
            .as_str()
            .unwrap()
            .contains("Expecting token to be 1 or 0, but found 7.")
    );
    let (_, end) = server.page(&operation, 1, "JSON").await;
    assert_eq!(end["resultType"], "EOS");
    assert!(end.get("nextResultUri").is_none());
    let (status, closed) = server
        .gateway("DELETE", &format!("{operation}/close"), &json!({}))
        .await;
    assert_eq!((status, &closed["status"]), (200, &json!("CLOSED")));
    assert_eq!(server.page(&operation, 1, "JSON").await.0, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_configures_executes_completes_and_closes() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(&directory, None).await;
    let session = server.open_session(json!({"a": "b"})).await;
    let configure = format!("{session}/configure-session");
    let statement = json!({"statement": "CREATE TABLE t (i INT) WITH ('connector' = 'datagen')"});
    assert_eq!(
        server.gateway("POST", &configure, &statement).await,
        (200, json!({}))
    );
    let (status, refused) = server
        .gateway("POST", &configure, &json!({"statement": "SELECT 1"}))
        .await;
    assert_eq!(status, 500);
    assert!(
        refused["errors"][1]
            .as_str()
            .unwrap()
            .contains("Unsupported statement for configuring session")
    );
    assert_eq!(server.rows(&session, "SHOW TABLES").await, [json!(["t"])]);
    server.rows(&session, "SET 'a' = 'c'").await;
    let (_, shown) = server.gateway("GET", &session, &json!({})).await;
    assert_eq!(shown["properties"]["a"], "c");
    let complete = json!({"statement": "SELECT * FROM ", "position": 14});
    let (_, completed) = server
        .gateway("GET", &format!("{session}/complete-statement"), &complete)
        .await;
    assert_eq!(completed["candidates"][0], "t");
    let operation = server.submit(&session, "SELECT x FROM nosuch").await;
    let (_, failed) = server.page(&operation, 0, "JSON").await;
    // Flink's clients cannot read an error with a member that they do not know.
    assert_eq!(failed.as_object().map(serde_json::Map::len), Some(1), "{failed}");
    let path = format!("{operation}/result/0");
    let header = "Millstream-Diagnostics: 1\r\n";
    let (_, failed) = call(&server.gateway, "GET", &path, header, "").await;
    let ui_path = format!("/api/v1/gateway{path}");
    assert_eq!(server.rest("GET", &ui_path).await.1, failed);
    assert!(
        failed["errors"][1]
            .as_str()
            .unwrap()
            .contains("Caused by: org.apache.flink.table.api.ValidationException")
    );
    let diagnostic = &failed["diagnostics"][0];
    assert_eq!(diagnostic["code"], "UNKNOWN_TABLE");
    assert_eq!(diagnostic["kind"], "input");
    assert_eq!(
        diagnostic["spans"],
        json!([{"primary": true, "line": 1, "column": 15, "end_line": 1, "end_column": 21}])
    );
    assert_eq!(
        server.gateway("DELETE", &session, &json!({})).await,
        (200, json!({"status": "CLOSED"}))
    );
    assert_eq!(server.gateway("GET", &session, &json!({})).await.0, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_an_unbounded_query_ends_its_job_and_leaks_no_session() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(&directory, None).await;
    let session = server.open_session(json!({})).await;
    server.rows(&session, ENDLESS[0]).await;
    let operation = server.submit(&session, "SELECT n FROM numbers").await;
    let (_, page) = server.page(&operation, 0, "JSON").await;
    let job = page["jobID"].as_str().unwrap().to_owned();
    server.until_running(&job).await;
    server.gateway("DELETE", &session, &json!({})).await;
    let id = millstream_session::JobId::parse(&job).unwrap();
    let handle = server.state.jobs().get(id).unwrap();
    let ended = tokio::task::spawn_blocking(move || handle.wait(std::time::Duration::from_secs(60)));
    assert!(ended.await.unwrap().is_terminal());
    assert!(server.state.sessions().list().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_steered_over_rest_and_goes_on_in_the_next_server() {
    let directory = tempfile::tempdir().unwrap();
    let first = server(&directory, None).await;
    let session = first.open_session(json!({"pipeline.name": "kept"})).await;
    for statement in ENDLESS {
        first.rows(&session, statement).await;
    }
    let (_, listed) = first.rest("GET", "/v1/jobs/overview").await;
    let job = listed["jobs"][0]["jid"].as_str().unwrap().to_owned();
    assert_eq!(listed["jobs"][0]["name"], "kept");
    for part in [
        "",
        "/plan",
        "/config",
        "/exceptions",
        "/checkpoints",
        "/checkpoints/config",
        "/metrics",
        "/status",
        "/accumulators",
    ] {
        let (status, body) = first.rest("GET", &format!("/jobs/{job}{part}")).await;
        assert_eq!(status, 200, "{part}: {body}");
    }
    let (_, detail) = first.rest("GET", &format!("/jobs/{job}")).await;
    let vertex = detail["vertices"][0]["id"].as_str().unwrap();
    for part in [
        "",
        "/backpressure",
        "/watermarks",
        "/subtasktimes",
        "/taskmanagers",
        "/metrics",
        "/subtasks/0",
        "/subtasks/metrics",
        "/flamegraph",
    ] {
        let (status, body) = first
            .rest("GET", &format!("/jobs/{job}/vertices/{vertex}{part}"))
            .await;
        assert_eq!(status, 200, "{part}: {body}");
    }
    // A server that dies records nothing more.
    first.state.begin_stop();
    let jobs = first.state.jobs().list();
    tokio::task::spawn_blocking(move || {
        for job in jobs {
            job.stop();
            job.wait(std::time::Duration::from_secs(60));
        }
    })
    .await
    .unwrap();
    drop(first);

    let second = server(&directory, None).await;
    let state = Arc::clone(&second.state);
    tokio::task::spawn_blocking(move || resume_jobs(&state))
        .await
        .unwrap();
    let (status, again) = second.rest("GET", &format!("/jobs/{job}")).await;
    assert_eq!((status, &again["name"]), (200, &json!("kept")));
    assert_eq!(
        second.rest("PATCH", &format!("/jobs/{job}?mode=cancel")).await.0,
        202
    );
    let handle = second.state.jobs().list().remove(0);
    tokio::task::spawn_blocking(move || handle.wait(std::time::Duration::from_secs(60)))
        .await
        .unwrap();
    record_jobs(&second.state);
    drop(second);

    let third = server(&directory, None).await;
    let (_, ended) = third.rest("GET", &format!("/jobs/{job}/status")).await;
    assert_eq!(ended, json!({"status": "CANCELED"}));
}

/// Submits the endless job under a name; its id.
async fn endless(server: &Server, properties: Value) -> String {
    let session = server.open_session(properties).await;
    for statement in ENDLESS {
        server.rows(&session, statement).await;
    }
    let (_, listed) = server.rest("GET", "/jobs/overview").await;
    listed["jobs"][0]["jid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_job_does_not_run_again_if_the_server_dies_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let first = server(&directory, None).await;
    let job = endless(&first, json!({"pipeline.name": "canceled"})).await;
    let (status, _) = first.rest("PATCH", &format!("/jobs/{job}")).await;
    assert_eq!(status, 202);
    // Nothing follows the jobs into the store here: what the next server reads was written before the response.
    first.state.begin_stop();
    let handle = first.state.jobs().list().remove(0);
    tokio::task::spawn_blocking(move || handle.wait(std::time::Duration::from_secs(60)))
        .await
        .unwrap();
    drop(first);

    let second = server(&directory, None).await;
    let state = Arc::clone(&second.state);
    tokio::task::spawn_blocking(move || resume_jobs(&state))
        .await
        .unwrap();
    assert!(second.state.jobs().list().is_empty());
    let (_, ended) = second.rest("GET", &format!("/jobs/{job}/status")).await;
    assert_eq!(ended, json!({"status": "CANCELED"}));
}

impl Server {
    /// Triggers an operation on a job; its location once it is complete.
    async fn savepoint(&self, job: &str, operation: &str) -> String {
        let (status, started) = self.rest("POST", &format!("/jobs/{job}/{operation}")).await;
        assert_eq!(status, 202, "{started}");
        let path = format!(
            "/jobs/{job}/savepoints/{}",
            started["request-id"].as_str().unwrap()
        );
        loop {
            let (_, status) = self.rest("GET", &path).await;
            if status["status"]["id"] == "COMPLETED" {
                let location = status["operation"]["location"].as_str();
                return location.unwrap_or_else(|| panic!("{status}")).to_owned();
            }
        }
    }

    /// The first rows of a query may come before all tasks of its job report that they run.
    async fn until_running(&self, job: &str) {
        let path = format!("/jobs/{job}/status");
        while self.rest("GET", &path).await.1["status"] != "RUNNING" {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn savepoints_over_rest_can_be_restored_from() {
    let directory = tempfile::tempdir().unwrap();
    let first = server(&directory, None).await;
    let job = endless(&first, json!({"pipeline.name": "saved"})).await;
    first.until_running(&job).await;
    let taken = first.savepoint(&job, "savepoints").await;
    let stopped = first.savepoint(&job, "stop").await;
    assert_ne!(taken, stopped);
    for location in [&taken, &stopped] {
        let path = std::path::Path::new(location.strip_prefix("file:").unwrap_or(location));
        assert!(
            path.starts_with(directory.path().join("savepoints")),
            "{location}"
        );
    }
    // The server dies right after the response: the job has ended for the next one.
    first.state.begin_stop();
    drop(first);
    let second = server(&directory, None).await;
    let (_, ended) = second.rest("GET", &format!("/jobs/{job}/status")).await;
    assert_eq!(ended, json!({"status": "FINISHED"}));
    let restored = json!({"pipeline.name": "restored", "execution.state-recovery.path": stopped});
    endless(&second, restored).await;
    let handle = second.state.jobs().list().remove(0);
    let origin = format!("{:?}", handle.start());
    assert!(
        origin.contains("Savepoint") && origin.contains(&stopped),
        "{origin}"
    );
    handle.cancel();
    tokio::task::spawn_blocking(move || handle.wait(std::time::Duration::from_secs(60)))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_details_of_a_checkpoint_list_its_operators() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(&directory, None).await;
    let session = server.open_session(json!({})).await;
    for statement in ENDLESS {
        server.rows(&session, statement).await;
    }
    let job = server.state.jobs().list()[0].clone();
    let path = format!("/jobs/{}", job.id());
    let newest = loop {
        let (_, overview) = server.rest("GET", &format!("{path}/checkpoints")).await;
        if let Some(id) = overview["latest"]["completed"]["id"].as_u64() {
            break id;
        }
        job.trigger_checkpoint();
        tokio::task::yield_now().await;
    };
    let details_path = format!("{path}/checkpoints/details/{newest}");
    let (_, details) = server.rest("GET", &details_path).await;
    let (_, described) = server.rest("GET", &path).await;
    for vertex in described["vertices"].as_array().unwrap() {
        let id = vertex["id"].as_str().unwrap();
        let task = &details["tasks"][id];
        assert_eq!(task["num_subtasks"], vertex["parallelism"], "{details}");
        assert_eq!(task["num_acknowledged_subtasks"], vertex["parallelism"]);
        let (status, subtasks) = server.rest("GET", &format!("{details_path}/subtasks/{id}")).await;
        assert_eq!(
            (status, &subtasks["subtasks"][0]["status"]),
            (200, &json!("completed"))
        );
        assert!(subtasks["summary"]["alignment"]["buffered"]["min"].is_u64());
    }
    job.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_door_is_guarded_as_the_others_are() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(&directory, None).await;
    let clusters = Arc::clone(server.state.clusters());
    let starting = move || {
        clusters.start_embedded().unwrap();
        clusters.metrics_router(Box::new(|| "jobs_of_the_test 1\n".to_owned()))
    };
    let router = tokio::task::spawn_blocking(starting).await.unwrap().unwrap();
    let file = directory.path().join("users");
    std::fs::write(&file, basic_line("see", Role::Viewer, "pw", || 1)).unwrap();
    let guard = Guard {
        door: Door::Metrics,
        names: Vec::new(),
        users: Some(Arc::new(HttpUsers::read(&file).unwrap())),
        owner: None,
    };
    let router = guarded(router, guard);
    let door = HttpListener::open(&any_port(), true, None, router).await.unwrap();
    for (header, expected) in [
        ("", "HTTP/1.1 401"),
        ("Authorization: Basic c2VlOm5v\r\n", "HTTP/1.1 401"),
        (
            "Authorization: Basic c2VlOnB3\r\nHost: evil.example\r\n",
            "HTTP/1.1 403",
        ),
        ("Authorization: Basic c2VlOnB3\r\n", "HTTP/1.1 200"),
    ] {
        let host = if header.contains("Host") {
            ""
        } else {
            "Host: localhost\r\n"
        };
        let request = format!("GET /metrics HTTP/1.1\r\n{host}{header}Connection: close\r\n\r\n");
        let response = exchange(&door, request.as_bytes()).await;
        assert!(response.starts_with(expected), "{header}: {response}");
        let is_shown = response.contains("kafka_server") && response.contains("jobs_of_the_test 1");
        assert_eq!(is_shown, expected.ends_with("200"), "{header}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_decide_who_may_do_what() {
    let directory = tempfile::tempdir().unwrap();
    let lines = [("see", Role::Viewer), ("run", Role::Operator)]
        .map(|(name, role)| basic_line(name, role, "pw", || 1));
    let file = directory.path().join("users");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let server = server(&directory, Some(Arc::new(HttpUsers::read(&file).unwrap()))).await;
    let job = format!("/jobs/{}", "0".repeat(32));
    // base64 of see:pw, run:pw, see:no
    let [see, run, wrong] =
        ["c2VlOnB3", "cnVuOnB3", "c2VlOm5v"].map(|text| format!("Authorization: Basic {text}\r\n"));
    let cases = [
        (&server.rest, "GET", "/overview", "", 401),
        (&server.rest, "GET", "/overview", wrong.as_str(), 401),
        (&server.rest, "GET", "/overview", see.as_str(), 200),
        (&server.rest, "PATCH", job.as_str(), see.as_str(), 403),
        (&server.rest, "PATCH", job.as_str(), run.as_str(), 404),
        (&server.gateway, "GET", "/info", see.as_str(), 200),
        (&server.gateway, "POST", "/v2/sessions", see.as_str(), 403),
        (&server.gateway, "POST", "/v2/sessions", run.as_str(), 200),
    ];
    for (door, method, path, headers, expected) in cases {
        let (status, body) = call(door, method, path, headers, "").await;
        assert_eq!(status, expected, "{method} {path} {headers}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn known_attacks_are_refused_and_the_server_lives() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(&directory, None).await;
    let mut failures = Vec::new();
    let mut count = 0;
    for line in include_str!("data/probes.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let fields: Vec<&str> = line.split('\t').collect();
        let [class, door, expected, method, path, headers, body] = fields[..] else {
            panic!("not seven fields: {line}");
        };
        let listener = if door == "rest" {
            &server.rest
        } else {
            &server.gateway
        };
        let request = match method {
            "RAW" => unescaped(path),
            _ => {
                let host = if headers.contains("Host:") {
                    ""
                } else {
                    "Host: localhost\r\n"
                };
                let headers: String = headers
                    .split(";;")
                    .filter(|h| !h.is_empty())
                    .map(|h| format!("{h}\r\n"))
                    .collect();
                let length = body.len();
                format!("{method} {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}")
                    .into_bytes()
            }
        };
        let response = exchange(listener, &request).await;
        count += 1;
        let status = response.split(' ').nth(1).unwrap_or("none");
        let head = response
            .split("\r\n\r\n")
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let leaks = response.contains("root:x:0")
            || head.contains("set-cookie")
            || head.contains("x-evil")
            || head.contains("location:");
        if !expected.split('|').any(|known| known == status) || leaks {
            let line: String = line.chars().take(160).collect();
            failures.push(format!(
                "{class}: {line}\n    gave {}",
                response.lines().next().unwrap_or("nothing")
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(count >= 200, "only {count} probes");
    assert_eq!(server.rest("GET", "/overview").await.0, 200);
    assert_eq!(server.gateway("GET", "/info", &json!({})).await.0, 200);
}

/// `\r`, `\n` and `\xHH`, and words for what is too long to write.
fn unescaped(text: &str) -> Vec<u8> {
    let many: String = (0..200).map(|i| format!("X-{i}: 1\r\n")).collect();
    let text = text
        .replace("@MANY@", &many)
        .replace("@LONG@", &"a".repeat(200_000))
        .replace("@BODY@", &"a".repeat(5_000_000));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'\\', b'r', ..] => (out.push(b'\r'), at += 2).1,
            [b'\\', b'n', ..] => (out.push(b'\n'), at += 2).1,
            [b'\\', b'x', high, low, ..] => {
                let digits = std::str::from_utf8(&[*high, *low])
                    .map(|d| u8::from_str_radix(d, 16))
                    .unwrap();
                out.push(digits.unwrap());
                at += 4;
            }
            [other, ..] => {
                out.push(*other);
                at += 1;
            }
            [] => break,
        }
    }
    out
}
