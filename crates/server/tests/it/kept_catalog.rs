//! Sessions of a server whose catalog is kept.

use std::sync::Arc;

use millstream_session::CatalogStore;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::doors::{Extras, Server, server_with};

async fn keeping(directory: &TempDir) -> Server {
    let catalog = CatalogStore::new(directory.path().join("catalog"));
    let extras = Extras {
        catalog: Some(Arc::new(catalog)),
        ..Extras::default()
    };
    server_with(directory, extras).await
}

async fn two_sessions(server: &Server) -> (String, String) {
    let first = server.open_session(json!({})).await;
    (first, server.open_session(json!({})).await)
}

/// Rows of a statement as one text.
async fn shown(server: &Server, session: &str, statement: &str) -> String {
    Value::Array(server.rows(session, statement).await).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn catalogs_survive_sessions_and_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let server = keeping(&directory).await;
    let (first, second) = two_sessions(&server).await;
    for statement in [
        "CREATE CATALOG kept WITH ('type' = 'generic_in_memory')",
        "CREATE DATABASE kept.shop",
        "USE kept.shop",
        "CREATE TEMPORARY TABLE mine (a INT, note STRING) WITH ('connector' = 'datagen')",
        "CREATE TABLE orders (id INT, at_time TIMESTAMP(3), total AS id * 2, \
         WATERMARK FOR at_time AS at_time - INTERVAL '1' SECOND) WITH ('connector' = 'datagen', 'number-of-rows' = '3')",
        // Made from what others do not have.
        "CREATE TABLE copied WITH ('number-of-rows' = '2') LIKE mine",
        "CREATE VIEW big_ones AS SELECT id FROM orders WHERE id > 7",
        "ALTER TABLE orders ADD (note STRING)",
        "CREATE TABLE gone (a INT) WITH ('connector' = 'blackhole')",
        "DROP TABLE gone",
        "ALTER TABLE copied RENAME TO renamed",
        "USE default_catalog.default_database",
        "CREATE TABLE plain (a INT) WITH ('connector' = 'blackhole')",
    ] {
        server.rows(&first, statement).await;
    }
    // A session that was open before sees it all, but neither temporary tables nor another current database.
    assert_eq!(shown(&server, &second, "SHOW TABLES").await, r#"[["plain"]]"#);
    drop(server);
    let server = keeping(&directory).await;
    let session = server.open_session(json!({})).await;
    assert_eq!(shown(&server, &session, "SHOW TABLES").await, r#"[["plain"]]"#);
    server.rows(&session, "USE kept.shop").await;
    assert_eq!(
        shown(&server, &session, "SHOW TABLES").await,
        r#"[["big_ones"],["orders"],["renamed"]]"#
    );
    let ddl = shown(&server, &session, "SHOW CREATE TABLE orders").await;
    assert!(ddl.contains("WATERMARK") && ddl.contains("`note`"), "{ddl}");
    let rows = server.rows(&session, "SELECT COUNT(total) FROM orders").await;
    assert_eq!(rows.last(), Some(&json!([3])));
    assert_eq!(server.rows(&session, "SELECT * FROM renamed").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_cannot_create_one_table() {
    let directory = tempfile::tempdir().unwrap();
    let server = keeping(&directory).await;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(server.open_session(json!({})).await);
    }
    let create = "CREATE TABLE same (a INT) WITH ('connector' = 'blackhole')";
    let mut operations = Vec::new();
    for session in &sessions {
        operations.push(server.submit(session, create).await);
    }
    let mut created = 0;
    for operation in &operations {
        let (status, page) = server.page(operation, 0, "JSON").await;
        match status {
            200 => created += 1,
            _ => assert!(page.to_string().contains("already exists"), "{page}"),
        }
    }
    assert_eq!(created, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_over_the_kept_catalog_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let server = keeping(&directory).await;
    let (first, second) = two_sessions(&server).await;
    for statement in [
        "CREATE DATABASE other",
        "CREATE TABLE numbers (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '10')",
        "USE other",
        "CREATE TABLE nothing (n INT) WITH ('connector' = 'blackhole')",
    ] {
        server.rows(&first, statement).await;
    }
    server
        .rows(&second, "INSERT INTO other.nothing SELECT n FROM numbers")
        .await;
    server.state.begin_stop();
    let jobs = server.state.jobs().list();
    jobs[0].stop();
    while !jobs[0].wait(std::time::Duration::from_millis(20)).is_terminal() {}
    let id = jobs[0].id();
    drop(server);
    let server = keeping(&directory).await;
    let state = Arc::clone(&server.state);
    tokio::task::spawn_blocking(move || millstream_server::jobs::resume_jobs(&state))
        .await
        .unwrap();
    let job = server.state.jobs().get(id).expect("the job is resumed");
    assert!(!job.status().is_terminal(), "{:?}", job.error());
    job.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_over_topics_resumes_with_the_columns_that_it_began_with() {
    let directory = tempfile::tempdir().unwrap();
    let server = keeping(&directory).await;
    let session = server.open_session(json!({})).await;
    for statement in [
        "SET 'table.dml-sync' = 'true'",
        "INSERT INTO kafka.seed VALUES ('no topic of this name')",
    ] {
        let operation = server.submit(&session, statement).await;
        let (status, page) = server.page(&operation, 0, "JSON").await;
        let is_set = statement.starts_with("SET");
        assert_eq!(status == 200, is_set, "{page}");
    }
    for statement in [
        "CREATE TABLE t (id INT) WITH ('connector' = 'kafka', 'topic' = 'orders', 'format' = 'json')",
        "INSERT INTO t VALUES (1)",
        "CREATE VIEW ids AS SELECT id FROM kafka.orders",
        // From here on the topic suggests other columns.
        "CREATE TABLE wide (id STRING, price DOUBLE) WITH ('connector' = 'kafka', 'topic' = 'orders', 'format' = 'json')",
        "INSERT INTO wide VALUES ('a', 1.5)",
        "CREATE TABLE nothing (id STRING, n BIGINT) WITH ('connector' = 'blackhole')",
        "SET 'table.dml-sync' = 'false'",
        "INSERT INTO nothing SELECT ids.id, COUNT(o.price) FROM ids LEFT JOIN kafka.orders o ON o.id = ids.id GROUP BY ids.id",
    ] {
        server.rows(&session, statement).await;
    }
    let described = shown(&server, &session, "DESCRIBE kafka.orders").await;
    assert!(
        described.contains(r#"["id","STRING""#) && described.contains("DOUBLE"),
        "{described}"
    );
    server.state.begin_stop();
    let jobs = server.state.jobs().list();
    let job = jobs.iter().find(|job| !job.status().is_terminal()).unwrap();
    let id = job.id();
    job.stop();
    while !job.wait(std::time::Duration::from_millis(20)).is_terminal() {}
    drop(server);
    let server = keeping(&directory).await;
    let state = Arc::clone(&server.state);
    tokio::task::spawn_blocking(move || millstream_server::jobs::resume_jobs(&state))
        .await
        .unwrap();
    let job = server.state.jobs().get(id).expect("the job is resumed");
    assert!(!job.status().is_terminal(), "{:?}", job.error());
    job.cancel();
}
