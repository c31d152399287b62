//! Metrics of jobs, operators and the process with their labels: what the page for Prometheus and the OTLP export have in
//! common.

use std::collections::BTreeMap;

use super::jobs::{job_values, operator_values, process_values};
use crate::state::ServerState;

/// A label and its text.
type Label = (&'static str, String);

/// The labels of a sample, and its value.
type Sample = (Vec<Label>, f64);

/// A metric with its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Flink's scope, with `_` between its words.
    pub scope: &'static str,
    /// Flink's name.
    pub name: String,
    pub samples: Vec<Sample>,
}

/// All metrics of jobs that run, of their operators, and of the process.
pub fn job_families(state: &ServerState) -> Vec<Family> {
    let now_ms = state.now_ms();
    let mut jobs = state.job_views();
    jobs.retain(|job| !job.has_ended);
    let mut families: BTreeMap<(&'static str, String), Vec<Sample>> = BTreeMap::new();
    let mut add = |scope: &'static str, name: String, labels: &[Label], value: f64| {
        let samples = families.entry((scope, name)).or_default();
        samples.push((labels.to_vec(), value));
    };
    let host = ("host", "localhost".to_owned());
    for (name, value) in process_values(state) {
        add("jobmanager", name, std::slice::from_ref(&host), value);
    }
    for job in &jobs {
        let of_job = [
            host.clone(),
            ("job_id", job.id.clone()),
            ("job_name", job.name.clone()),
        ];
        for (name, value) in job_values(job, now_ms) {
            add("jobmanager_job", name, &of_job, value);
        }
        for operator in &job.metrics.operators {
            let task = job.vertices.get(operator.vertex);
            let id = task.map_or_else(String::new, |task| task.id.clone());
            let mut labels = of_job.to_vec();
            labels.extend([
                ("tm_id", "millstream".to_owned()),
                ("task_id", id.clone()),
                ("task_name", operator.name.to_string()),
                ("operator_id", id),
                ("operator_name", operator.name.to_string()),
                ("subtask_index", operator.subtask.to_string()),
            ]);
            for (name, value) in operator_values(operator, state.rates(), &job.id, now_ms) {
                add("taskmanager_job_task_operator", name, &labels, value);
            }
        }
    }
    let family = |((scope, name), samples)| Family { scope, name, samples };
    families.into_iter().map(family).collect()
}
