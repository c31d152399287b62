//! Metrics of jobs, vertices, subtasks and the process, with Flink's names and aggregations.
//!
//! Without `get` the names are listed, with it the values. Values of single metrics are texts, aggregates numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::path::{find_job, find_subtask, find_vertex};
use crate::http::RestError;
use crate::http::reply::{Reply, reply};
use crate::metrics::jobs::{job_values, operator_values, process_values};
use crate::state::ServerState;

type Shared = State<Arc<ServerState>>;
type Values = Vec<(String, f64)>;

#[derive(Deserialize)]
pub struct MetricsQuery {
    get: Option<String>,
    agg: Option<String>,
    jobs: Option<String>,
    subtasks: Option<String>,
}

/// Flink's aggregations.
const AGGREGATIONS: [&str; 5] = ["min", "max", "avg", "sum", "skew"];

pub async fn job(
    State(state): Shared,
    Path(job): Path<String>,
    Query(query): Query<MetricsQuery>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    Ok(single(job_values(&job, state.now_ms()), &query))
}

/// Every subtask's metrics, their names with the number of the subtask before them.
pub async fn vertex(
    State(state): Shared,
    Path((job, vertex)): Path<(String, String)>,
    Query(query): Query<MetricsQuery>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let vertex = find_vertex(&job, &vertex)?;
    let mut values = Values::new();
    for operator in job.metrics.of_vertex(vertex) {
        let own = operator_values(operator, state.rates(), &job.id, state.now_ms());
        values.extend(
            own.into_iter()
                .map(|(name, value)| (format!("{}.{name}", operator.subtask), value)),
        );
    }
    Ok(single(values, &query))
}

pub async fn subtask(
    State(state): Shared,
    Path((job, vertex, subtask)): Path<(String, String, String)>,
    Query(query): Query<MetricsQuery>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let vertex = find_vertex(&job, &vertex)?;
    let subtask = find_subtask(&job, vertex, &subtask)?;
    let operator = job
        .metrics
        .of_vertex(vertex)
        .find(|operator| operator.subtask == subtask);
    let values = operator.map_or_else(Vec::new, |operator| {
        operator_values(operator, state.rates(), &job.id, state.now_ms())
    });
    Ok(single(values, &query))
}

/// Aggregates over the subtasks of a vertex.
pub async fn subtasks(
    State(state): Shared,
    Path((job, vertex)): Path<(String, String)>,
    Query(query): Query<MetricsQuery>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let vertex = find_vertex(&job, &vertex)?;
    let chosen = subtask_ranges(query.subtasks.as_deref())?;
    let is_chosen = |subtask: usize| {
        chosen.is_empty()
            || chosen
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&subtask))
    };
    let all: Vec<Values> = job
        .metrics
        .of_vertex(vertex)
        .filter(|operator| is_chosen(operator.subtask))
        .map(|operator| operator_values(operator, state.rates(), &job.id, state.now_ms()))
        .collect();
    aggregated(&all, &query)
}

/// Aggregates over jobs.
pub async fn all_jobs(State(state): Shared, Query(query): Query<MetricsQuery>) -> Result<Reply, RestError> {
    let chosen: Option<Vec<&str>> = query.jobs.as_deref().map(|text| text.split(',').collect());
    let jobs = state.job_views();
    let is_chosen = |id: &str| chosen.as_ref().is_none_or(|chosen| chosen.contains(&id));
    let all: Vec<Values> = jobs
        .iter()
        .filter(|job| is_chosen(&job.id))
        .map(|job| job_values(job, state.now_ms()))
        .collect();
    aggregated(&all, &query)
}

/// The one process is job manager and task manager.
pub async fn process(State(state): Shared, Query(query): Query<MetricsQuery>) -> Reply {
    single(process_values(&state), &query)
}

pub async fn none() -> Reply {
    reply(&json!([]))
}

fn requested(query: &MetricsQuery) -> Option<Vec<&str>> {
    let names = query.get.as_deref()?;
    Some(
        names
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect(),
    )
}

fn single(values: Values, query: &MetricsQuery) -> Reply {
    let found: Vec<Value> = match requested(query) {
        None => values.iter().map(|(name, _)| json!({"id": name})).collect(),
        Some(names) => {
            let of_name = |name: &&str| values.iter().find(|(known, _)| known == name);
            let found = names.iter().filter_map(of_name);
            found
                .map(|(name, value)| json!({"id": name, "value": text(*value)}))
                .collect()
        }
    };
    reply(&found)
}

/// Whole numbers without a fraction, as Flink prints its counters.
fn text(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e18 {
        return format!("{value:.0}");
    }
    format!("{value}")
}

fn aggregated(all: &[Values], query: &MetricsQuery) -> Result<Reply, RestError> {
    let mut by_name: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, value) in all.iter().flatten() {
        by_name.entry(name).or_default().push(*value);
    }
    let Some(names) = requested(query) else {
        let names: Vec<Value> = by_name.keys().map(|name| json!({"id": name})).collect();
        return Ok(reply(&names));
    };
    let wanted = aggregations(query.agg.as_deref())?;
    let found = names.iter().filter_map(|name| Some((*name, by_name.get(name)?)));
    let found: Vec<Value> = found
        .map(|(name, values)| {
            let mut object = Map::new();
            object.insert("id".to_owned(), json!(name));
            for aggregation in &wanted {
                object.insert((*aggregation).to_owned(), json!(aggregate(aggregation, values)));
            }
            Value::Object(object)
        })
        .collect();
    Ok(reply(&found))
}

fn aggregations(text: Option<&str>) -> Result<Vec<&'static str>, RestError> {
    let Some(text) = text else {
        return Ok(AGGREGATIONS.to_vec());
    };
    let known = |name: &str| {
        let found = AGGREGATIONS
            .iter()
            .find(|known| known.eq_ignore_ascii_case(name.trim()));
        found.copied().ok_or_else(|| {
            RestError::bad_request(format!(
                "Bad request, could not parse parameters: Cannot resolve query parameter (agg) from value \"{name}\"."
            ))
        })
    };
    text.split(',').map(known).collect()
}

fn aggregate(aggregation: &str, values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    let average = sum / values.len().max(1) as f64;
    match aggregation {
        "min" => values.iter().copied().fold(f64::INFINITY, f64::min),
        "max" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "avg" => average,
        "sum" => sum,
        // Average deviation from the mean, in percent of the mean.
        _ if average == 0.0 => 0.0,
        _ => {
            let deviation: f64 = values.iter().map(|value| (value - average).abs()).sum();
            (deviation / values.len().max(1) as f64 / average.abs() * 100.0).clamp(0.0, 100.0)
        }
    }
}

/// `1,3-5`
fn subtask_ranges(text: Option<&str>) -> Result<Vec<(usize, usize)>, RestError> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let parsed = first.trim().parse().ok().zip(last.trim().parse().ok());
        parsed.ok_or_else(|| {
            RestError::bad_request(format!(
                "Bad request, could not parse parameters: Cannot resolve query parameter (subtasks) from value \"{text}\"."
            ))
        })
    };
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(range)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregates_are_those_of_flink() {
        let values = [1.0, 3.0];
        let found: Vec<f64> = AGGREGATIONS.iter().map(|name| aggregate(name, &values)).collect();
        assert_eq!(found, [1.0, 3.0, 2.0, 4.0, 50.0]);
    }

    #[test]
    fn ranges_of_subtasks() {
        assert_eq!(subtask_ranges(Some("1,3-5")).expect("ranges"), [(1, 1), (3, 5)]);
        assert!(subtask_ranges(Some("x")).is_err());
    }
}
