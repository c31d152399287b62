//! Metrics of jobs in Prometheus' text form, named as Flink's Prometheus reporter names them.

use std::fmt::Write as _;

use super::families::job_families;
use super::jobs::ProcessMemory;
use super::text::escaped;
use crate::state::ServerState;

/// All metrics of jobs, operators and the process.
pub fn render_jobs(state: &ServerState) -> String {
    let mut text = String::new();
    for family in job_families(state) {
        let name = format!("flink_{}_{}", family.scope, plain(&family.name));
        head(&mut text, &name);
        for (labels, value) in &family.samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            // Writing to a string cannot fail.
            _ = writeln!(text, "{name}{{{}}} {value}", labels.join(","));
        }
    }
    let memory = ProcessMemory::read();
    for (name, value) in [
        ("process_resident_memory_bytes", memory.resident),
        ("process_threads", memory.threads),
    ] {
        head(&mut text, name);
        _ = writeln!(text, "{name} {value}");
    }
    text
}

fn head(text: &mut String, name: &str) {
    _ = writeln!(text, "# HELP {name} {name} (scope: Flink)\n# TYPE {name} gauge");
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
