//! Checkpoints of a job: counts, summary, history, details.

use std::sync::Arc;

use axum::extract::{Path, State};
use millstream_session::{CheckpointRecord, CheckpointStatus};
use serde_json::{Map, Value, json};

use super::path::{find_job, find_vertex};
use crate::http::RestError;
use crate::http::reply::{Reply, reply};
use crate::jobs::JobView;
use crate::state::ServerState;

type Shared = State<Arc<ServerState>>;

pub async fn overview(State(state): Shared, Path(job): Path<String>) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let stats = &job.checkpoints;
    let in_progress = count(&job, CheckpointStatus::InProgress);
    let newest = |wanted: fn(&CheckpointRecord) -> bool| {
        let found = stats.history.iter().rev().find(|record| wanted(record));
        found.map_or(Value::Null, |record| record_json(&job, record))
    };
    Ok(reply(&json!({
        "counts": {
            "restored": stats.restored,
            "total": stats.completed + stats.failed + in_progress,
            "in_progress": in_progress,
            "completed": stats.completed,
            "failed": stats.failed,
        },
        "summary": summary(&job),
        "latest": {
            "completed": newest(|record| record.status == CheckpointStatus::Completed),
            "savepoint": Value::Null,
            "failed": newest(|record| record.status == CheckpointStatus::Failed),
            "restored": Value::Null,
        },
        "history": stats.history.iter().rev().map(|record| record_json(&job, record)).collect::<Vec<_>>(),
    })))
}

fn count(job: &JobView, status: CheckpointStatus) -> u64 {
    let found = job
        .checkpoints
        .history
        .iter()
        .filter(|record| record.status == status);
    found.count() as u64
}

fn duration_ms(record: &CheckpointRecord) -> i64 {
    record
        .ended_ms
        .map_or(0, |ended| ended.saturating_sub(record.triggered_ms).max(0))
}

const fn status_name(status: CheckpointStatus) -> (&'static str, &'static str) {
    match status {
        CheckpointStatus::InProgress => ("in_progress", "IN_PROGRESS"),
        CheckpointStatus::Completed => ("completed", "COMPLETED"),
        CheckpointStatus::Failed => ("failed", "FAILED"),
    }
}

fn subtask_count(job: &JobView) -> usize {
    job.vertices.iter().map(|vertex| vertex.info.parallelism).sum()
}

fn record_json(job: &JobView, record: &CheckpointRecord) -> Value {
    let (class, status) = status_name(record.status);
    let acknowledged = if record.status == CheckpointStatus::Completed {
        subtask_count(job)
    } else {
        0
    };
    let mut value = json!({
        "className": class,
        "id": record.id,
        "status": status,
        "is_savepoint": false,
        "savepointFormat": null,
        "trigger_timestamp": record.triggered_ms,
        "latest_ack_timestamp": record.ended_ms.unwrap_or(record.triggered_ms),
        "checkpointed_size": record.written_bytes,
        "state_size": record.full_bytes,
        "end_to_end_duration": duration_ms(record),
        "alignment_buffered": 0,
        "processed_data": 0,
        "persisted_data": 0,
        "num_subtasks": subtask_count(job),
        "num_acknowledged_subtasks": acknowledged,
        "checkpoint_type": "CHECKPOINT",
        "tasks": {},
    });
    match record.status {
        CheckpointStatus::Completed => {
            value["external_path"] = json!(format!("chk-{}", record.id));
            value["discarded"] = json!(false);
        }
        CheckpointStatus::Failed => {
            value["failure_timestamp"] = json!(record.ended_ms);
            value["failure_message"] = json!(record.failure);
        }
        CheckpointStatus::InProgress => {}
    }
    value
}

/// Distributions over the completed checkpoints of the history.
fn summary(job: &JobView) -> Value {
    type Figure = (&'static str, fn(&CheckpointRecord) -> u64);
    let figures: [Figure; 6] = [
        ("checkpointed_size", |record| record.written_bytes),
        ("state_size", |record| record.full_bytes),
        ("end_to_end_duration", |record| {
            u64::try_from(duration_ms(record)).unwrap_or(0)
        }),
        ("alignment_buffered", |_| 0),
        ("processed_data", |_| 0),
        ("persisted_data", |_| 0),
    ];
    let completed: Vec<&CheckpointRecord> = job
        .checkpoints
        .history
        .iter()
        .filter(|record| record.status == CheckpointStatus::Completed)
        .collect();
    let distribution = |(name, figure): (&str, fn(&CheckpointRecord) -> u64)| {
        let values = completed.iter().map(|record| figure(record)).collect();
        (name.to_owned(), statistics(values))
    };
    Value::Object(figures.into_iter().map(distribution).collect())
}

/// Minimum, maximum, average and quantiles, as Flink names them; quantiles of nothing are `NaN`.
fn statistics(mut values: Vec<u64>) -> Value {
    values.sort_unstable();
    let mut object = Map::new();
    let sum: u64 = values.iter().sum();
    object.insert("min".to_owned(), json!(values.first().copied().unwrap_or(0)));
    object.insert("max".to_owned(), json!(values.last().copied().unwrap_or(0)));
    object.insert(
        "avg".to_owned(),
        json!(sum.checked_div(values.len() as u64).unwrap_or(0)),
    );
    for (name, share) in [
        ("p50", 0.5),
        ("p90", 0.9),
        ("p95", 0.95),
        ("p99", 0.99),
        ("p999", 0.999),
    ] {
        let last = values.len().saturating_sub(1);
        let value = values.get((last as f64 * share).ceil() as usize);
        object.insert(
            name.to_owned(),
            value.map_or(json!("NaN"), |value| json!(*value as f64)),
        );
    }
    Value::Object(object)
}

fn find_record<'a>(job: &'a JobView, text: &str) -> Result<&'a CheckpointRecord, RestError> {
    let id: u64 = text
        .parse()
        .map_err(|_| RestError::path_parameter("checkpointid", text))?;
    let found = job.checkpoints.history.iter().find(|record| record.id == id);
    found.ok_or_else(|| {
        RestError::not_found(format!(
            "org.apache.flink.runtime.rest.NotFoundException: Could not find checkpointing statistics for checkpoint {id}."
        ))
    })
}

pub async fn details(
    State(state): Shared,
    Path((job, checkpoint)): Path<(String, String)>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let record = find_record(&job, &checkpoint)?;
    let mut details = record_json(&job, record);
    let task = |vertex: usize| (job.vertices[vertex].id.clone(), task_json(&job, record, vertex));
    details["tasks"] = Value::Object((0..job.vertices.len()).map(task).collect());
    Ok(reply(&details))
}

/// A vertex in a checkpoint. Sizes are known for the job as a whole only, so it shows no figures of its own.
fn task_json(job: &JobView, record: &CheckpointRecord, vertex: usize) -> Value {
    let count = job.vertices[vertex].info.parallelism;
    json!({
        "id": record.id,
        "status": status_name(record.status).1,
        "latest_ack_timestamp": record.ended_ms.unwrap_or(record.triggered_ms),
        "checkpointed_size": 0,
        "state_size": 0,
        "end_to_end_duration": duration_ms(record),
        "alignment_buffered": 0,
        "processed_data": 0,
        "persisted_data": 0,
        "num_subtasks": count,
        "num_acknowledged_subtasks": if record.status == CheckpointStatus::Completed { count } else { 0 },
    })
}

/// The subtasks of a vertex. The end of each is that of the checkpoint.
fn subtasks_json(job: &JobView, record: &CheckpointRecord, vertex: usize) -> Value {
    let nothing = || statistics(Vec::new());
    let mut task = task_json(job, record, vertex);
    task["summary"] = json!({
        "checkpointed_size": nothing(),
        "state_size": nothing(),
        "end_to_end_duration": statistics(vec![u64::try_from(duration_ms(record)).unwrap_or(0)]),
        "checkpoint_duration": {"sync": nothing(), "async": nothing()},
        "alignment": {"buffered": nothing(), "processed": nothing(), "persisted": nothing(), "duration": nothing()},
        "start_delay": nothing(),
    });
    let subtask = |index: usize| match record.status {
        CheckpointStatus::Completed => json!({
            "index": index,
            "status": "completed",
            "ack_timestamp": record.ended_ms,
            "end_to_end_duration": duration_ms(record),
            "checkpointed_size": 0,
            "state_size": 0,
            "checkpoint": {"sync": 0, "async": 0},
            "alignment": {"buffered": 0, "processed": 0, "persisted": 0, "duration": 0},
            "start_delay": 0,
            "unaligned_checkpoint": false,
            "aborted": false,
        }),
        _ => json!({"index": index, "status": "pending_or_failed"}),
    };
    let count = job.vertices[vertex].info.parallelism;
    task["subtasks"] = (0..count).map(subtask).collect();
    task
}

pub async fn subtasks(
    State(state): Shared,
    Path((job, checkpoint, vertex)): Path<(String, String, String)>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let record = find_record(&job, &checkpoint)?;
    let vertex = find_vertex(&job, &vertex)?;
    Ok(reply(&subtasks_json(&job, record, vertex)))
}

pub async fn config(State(state): Shared, Path(job): Path<String>) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let duration = |key: &str, default_ms: u64| {
        let given = job.configuration.get(key).or_else(|| state.defaults().get(key));
        given
            .and_then(|text| millstream_types::options::parse_duration(text))
            .map_or(default_ms, |time| {
                u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
            })
    };
    Ok(reply(&json!({
        "mode": "exactly_once",
        "interval": duration("execution.checkpointing.interval", 1_000),
        "timeout": duration("execution.checkpointing.timeout", 600_000),
        "min_pause": duration("execution.checkpointing.min-pause", 0),
        "max_concurrent": 1,
        "externalization": {"enabled": true, "delete_on_cancellation": true},
        "state_backend": "Millstream",
        "checkpoint_storage": "FileSystemCheckpointStorage",
        "unaligned_checkpoints": false,
        "tolerable_failed_checkpoints": 0,
        "aligned_checkpoint_timeout": 0,
        "checkpoints_after_tasks_finish": true,
        "state_changelog_enabled": false,
        "changelog_periodic_materialization_interval": 0,
        "changelog_storage": "memory",
    })))
}
