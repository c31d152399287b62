//! `job explain-lag`: why a job is behind.

use std::io::{Write, stdout};

use serde_json::{Value, json};

use super::{array, number, text};
use crate::remote::HttpClient;

/// A vertex that is busy for more of each second is a bottleneck.
const BUSY_MS: i64 = 800;

/// Prints what explains the lag of a job and its watermark.
pub fn explain(client: &HttpClient, id: &str, is_json: bool) -> anyhow::Result<()> {
    let job = client.get(&format!("/jobs/{id}"))?;
    let figures = client.get(&format!("/api/v1/jobs/{id}"))?;
    let mut out = stdout().lock();
    if is_json {
        let named = array(&job, "vertices").iter();
        let names: Vec<Value> = named.map(|v| json!({"id": v["id"], "name": v["name"]})).collect();
        let all = json!({"vertices": figures["vertices"], "notices": figures["notices"], "names": names});
        writeln!(out, "{all}")?;
        return Ok(());
    }
    for line in findings(&job, &figures) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// One line for each thing that explains something.
fn findings(job: &Value, figures: &Value) -> Vec<String> {
    let vertices = array(job, "vertices");
    let of = |vertex: &Value| {
        figures["vertices"]
            .get(text(vertex, "id"))
            .unwrap_or(&Value::Null)
    };
    let mut lines = Vec::new();
    let lags = || {
        vertices
            .iter()
            .filter_map(|vertex| Some((vertex, of(vertex)["lag"].as_u64()?)))
    };
    let lag: u64 = lags().map(|(_, lag)| lag).sum();
    lines.push(match lags().next() {
        None => "the sources of the job do not know how far behind they are".to_owned(),
        Some(_) if lag == 0 => "the job has read everything that there is".to_owned(),
        Some(_) => format!("the job is {lag} records behind"),
    });
    for (vertex, lag) in lags().filter(|(_, lag)| *lag > 0) {
        lines.push(format!("  {lag} records wait in '{}'", text(vertex, "name")));
    }
    let busiest = vertices.iter().max_by_key(|vertex| number(of(vertex), "busy"));
    if let Some(vertex) = busiest.filter(|vertex| number(of(vertex), "busy") >= BUSY_MS) {
        let is_waited_for = vertices
            .iter()
            .any(|vertex| number(of(vertex), "backpressured") >= 1000 - BUSY_MS);
        let waited_for = if is_waited_for {
            ", and others wait for it"
        } else {
            ""
        };
        lines.push(format!(
            "bottleneck: '{}' is busy for {} % of its time{waited_for}; a higher 'parallelism.default' divides its work, \
             if the source has as many partitions or its keys are many",
            text(vertex, "name"),
            number(of(vertex), "busy") / 10
        ));
    }
    for notice in array(figures, "notices") {
        lines.push(format!("waiting: {}", text(notice, "text")));
    }
    for vertex in vertices {
        let late = number(of(vertex), "late_records");
        if late > 0 {
            lines.push(format!(
                "late: '{}' has dropped {late} records that were older than the watermark; a larger delay in WATERMARK \
                 FOR lets them in",
                text(vertex, "name")
            ));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_bottleneck_and_silent_partition_are_named() {
        let job = json!({"vertices": [{"id": "a", "name": "Scan orders"}, {"id": "b", "name": "Aggregate"}]});
        let figures = json!({
            "vertices": {
                "a": {"lag": 1200, "busy": 30, "backpressured": 900, "late_records": 0},
                "b": {"lag": null, "busy": 970, "backpressured": 0, "late_records": 3},
            },
            "notices": [{"vertex": "a", "text": "partition orders-1 has no new records"}],
        });
        let lines = findings(&job, &figures);
        assert_eq!(
            lines[..2],
            [
                "the job is 1200 records behind",
                "  1200 records wait in 'Scan orders'"
            ]
        );
        assert!(
            lines[2]
                .starts_with("bottleneck: 'Aggregate' is busy for 97 % of its time, and others wait for it")
        );
        assert_eq!(lines[3], "waiting: partition orders-1 has no new records");
        assert!(lines[4].starts_with("late: 'Aggregate' has dropped 3 records"));
        let idle = findings(&job, &json!({"vertices": {"a": {"lag": 0}}}));
        assert_eq!(idle, ["the job has read everything that there is"]);
    }
}
