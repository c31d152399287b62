//! Jobs of an earlier server that have yet to be resumed: the doors are open by then.

use std::sync::Arc;
use std::time::Duration;

use millstream_server::jobs::resume_jobs;
use serde_json::json;

use crate::doors::{ENDLESS, server};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_is_shown_keeps_its_name_and_can_be_canceled() {
    let directory = tempfile::tempdir().unwrap();
    let first = server(&directory, None).await;
    let session = first.open_session(json!({"pipeline.name": "kept"})).await;
    for statement in ENDLESS {
        first.rows(&session, statement).await;
    }
    let handle = first.state.jobs().list().remove(0);
    let job = handle.id().to_string();
    // A server that dies records nothing more.
    first.state.begin_stop();
    tokio::task::spawn_blocking(move || {
        handle.stop();
        handle.wait(Duration::from_secs(60))
    })
    .await
    .unwrap();
    drop(first);

    let second = server(&directory, None).await;
    let (_, listed) = second.rest("GET", "/v1/jobs/overview").await;
    assert_eq!(listed["jobs"][0]["state"], "INITIALIZING");
    let (status, refused) = second.rest("POST", &format!("/jobs/{job}/savepoints")).await;
    assert_eq!(status, 409, "{refused}");
    let session = second.open_session(json!({"pipeline.name": "kept"})).await;
    for statement in &ENDLESS[..2] {
        second.rows(&session, statement).await;
    }
    let again = second.submit(&session, ENDLESS[2]).await;
    let (_, page) = second.page(&again, 0, "JSON").await;
    let shown = page.to_string();
    assert!(
        shown.contains("is about to be resumed") && shown.contains(&job),
        "{shown}"
    );

    let (status, _) = second.rest("PATCH", &format!("/jobs/{job}?mode=cancel")).await;
    assert_eq!(status, 202);
    let (_, waits) = second.rest("GET", &format!("/jobs/{job}/status")).await;
    assert_eq!(waits, json!({"status": "CANCELLING"}));
    let state = Arc::clone(&second.state);
    tokio::task::spawn_blocking(move || resume_jobs(&state))
        .await
        .unwrap();
    assert!(second.state.jobs().list().is_empty());
    let (_, ended) = second.rest("GET", &format!("/jobs/{job}/status")).await;
    assert_eq!(ended, json!({"status": "CANCELED"}));
    // The name is free again.
    second.rows(&session, ENDLESS[2]).await;
}
