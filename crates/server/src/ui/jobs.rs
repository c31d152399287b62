//! What the page of a job and `job explain-lag` need beside Flink's REST API: its statements; watermarks, late records,
//! state, lag and load of all vertices at once; what its sources wait for.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use millstream_session::JobId;
use millstream_types::redact::{HIDDEN, is_sensitive};
use regex::{Captures, Regex};
use serde_json::{Value, json};

use super::Shared;
use super::error::{UiError, UiResult};

/// An option in a statement: `'key' = 'value'`.
static OPTION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"'([^']*)'(\s*=\s*)'((?:[^']|'')*)'").expect("a valid expression"));

pub async fn describe(State(ui): Shared, id: Result<Path<String>, PathRejection>) -> UiResult<Json<Value>> {
    let Path(id) = id?;
    let job = JobId::parse(&id).and_then(|id| ui.server.job_view(id));
    let job = job.ok_or_else(|| UiError::not_found(format!("job '{id}' does not exist")))?;
    let mut vertices: BTreeMap<&str, Figures> = BTreeMap::new();
    for operator in &job.metrics.operators {
        let Some(vertex) = job.vertices.get(operator.vertex) else {
            continue;
        };
        let watermark = if vertex.info.inputs.is_empty() {
            &operator.output_watermark
        } else {
            &operator.input_watermark
        };
        let figures = vertices.entry(&vertex.id).or_default();
        figures.watermark = figures.watermark.min(watermark.load(Relaxed));
        figures.late_records += operator.late_records_dropped.load(Relaxed);
        figures.state_bytes += operator.state_bytes.load(Relaxed);
        let lag = operator.pending_records();
        figures.lag = figures.lag.map_or(lag, |sum| Some(sum + lag.unwrap_or(0)));
        let load = &operator.load;
        figures.busy = figures.busy.max(load.busy.ms_per_second());
        figures.backpressured = figures.backpressured.max(load.backpressured.ms_per_second());
    }
    let notices: Vec<Value> = (0..job.vertices.len())
        .flat_map(|vertex| {
            let id = &job.vertices[vertex].id;
            let notices = job.metrics.notices(vertex).into_iter();
            notices.map(move |notice| json!({"vertex": id, "text": notice.to_string()}))
        })
        .collect();
    let statements: Vec<String> = job.statements.iter().map(|sql| without_secrets(sql)).collect();
    let vertices: BTreeMap<&str, Value> = vertices
        .iter()
        .map(|(id, figures)| (*id, figures.json()))
        .collect();
    Ok(Json(
        json!({ "statements": statements, "vertices": vertices, "notices": notices }),
    ))
}

/// What the subtasks of a vertex add up to.
struct Figures {
    /// The lowest of all.
    watermark: i64,
    late_records: u64,
    state_bytes: u64,
    lag: Option<u64>,
    /// Milliseconds a second of the busiest subtask, and of the one that waits longest for what follows it.
    busy: u64,
    backpressured: u64,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            watermark: i64::MAX,
            late_records: 0,
            state_bytes: 0,
            lag: None,
            busy: 0,
            backpressured: 0,
        }
    }
}

impl Figures {
    fn json(&self) -> Value {
        json!({
            // As a text: the ends of time do not fit the numbers of JavaScript.
            "watermark": self.watermark.to_string(),
            "late_records": self.late_records,
            "state_bytes": self.state_bytes,
            "lag": self.lag,
            "busy": self.busy,
            "backpressured": self.backpressured,
        })
    }
}

/// A statement without the values of options such as passwords.
fn without_secrets(sql: &str) -> String {
    let hide = |found: &Captures<'_>| {
        if is_sensitive(&found[1]) {
            format!("'{}'{}'{HIDDEN}'", &found[1], &found[2])
        } else {
            found[0].to_owned()
        }
    };
    OPTION.replace_all(sql, hide).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_statements_are_hidden() {
        let sql = "INSERT INTO t /*+ OPTIONS('properties.sasl.jaas.config' = 'x ''y'' z', 'topic'='a') */ SELECT 'a' = 'b'";
        let hidden = "INSERT INTO t /*+ OPTIONS('properties.sasl.jaas.config' = '******', 'topic'='a') */ SELECT 'a' = 'b'";
        assert_eq!(without_secrets(sql), hidden);
    }
}
