//! Metrics of jobs in Prometheus' text form, named as Flink's Prometheus reporter names them.

use std::fmt::Write as _;

use super::jobs::{ProcessMemory, job_values, operator_values, process_values};
use super::text::escaped;
use crate::jobs::JobView;
use crate::state::ServerState;

/// One sample: its labels and its value.
type Sample = (String, f64);

/// All metrics of jobs, operators and the process.
pub fn render_jobs(state: &ServerState) -> String {
    let now_ms = state.now_ms();
    let jobs: Vec<JobView> = state
        .job_views()
        .into_iter()
        .filter(|job| !job.has_ended)
        .collect();
    let mut families: std::collections::BTreeMap<String, Vec<Sample>> = std::collections::BTreeMap::new();
    let mut add = |scope: &str, name: &str, labels: String, value: f64| {
        let family = format!("flink_{scope}_{}", plain(name));
        families.entry(family).or_default().push((labels, value));
    };
    for (name, value) in process_values(state) {
        add("jobmanager", &name, "host=\"localhost\"".to_owned(), value);
    }
    for job in &jobs {
        let of_job = format!(
            "host=\"localhost\",job_id=\"{}\",job_name=\"{}\"",
            job.id,
            escaped(&job.name)
        );
        for (name, value) in job_values(job, now_ms) {
            add("jobmanager_job", &name, of_job.clone(), value);
        }
        for operator in &job.metrics.operators {
            let task = job.vertices.get(operator.vertex);
            let labels = format!(
                "{of_job},tm_id=\"millstream\",task_id=\"{}\",task_name=\"{name}\",operator_id=\"{}\",operator_name=\"{name}\",\
                 subtask_index=\"{}\"",
                task.map_or("", |task| task.id.as_str()),
                task.map_or("", |task| task.id.as_str()),
                operator.subtask,
                name = escaped(&operator.name),
            );
            for (name, value) in operator_values(operator, state.rates(), &job.id, now_ms) {
                add("taskmanager_job_task_operator", &name, labels.clone(), value);
            }
        }
    }
    let memory = ProcessMemory::read();
    for (name, value) in [
        ("process_resident_memory_bytes", memory.resident),
        ("process_threads", memory.threads),
    ] {
        families.insert(name.to_owned(), vec![(String::new(), value as f64)]);
    }
    page(&families)
}

fn page(families: &std::collections::BTreeMap<String, Vec<Sample>>) -> String {
    let mut text = String::new();
    for (name, samples) in families {
        // Writing to a string cannot fail.
        _ = writeln!(text, "# HELP {name} {name} (scope: Flink)\n# TYPE {name} gauge");
        for (labels, value) in samples {
            _ = match labels.is_empty() {
                true => writeln!(text, "{name} {value}"),
                false => writeln!(text, "{name}{{{labels}}} {value}"),
            };
        }
    }
    text
}

/// Characters that Prometheus' names do not have become `_`, as in Flink's reporter.
fn plain(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect()
}
