//! From the start of the process to the first row of a result.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, bail};

use super::Options;
use super::events;
use super::millstream::Millstream;
use super::process::Process;
use super::report::{Figures, Report};

/// Times a start is measured; the one in the middle counts.
const STARTS: usize = 7;
const TOPIC: &str = "events";

/// Starts on a log with events: a query without a table, one over the topic, and a window.
pub fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let millstream = Millstream::new(&options.millstream)?;
    millstream.with_broker(|cluster| cluster.load_events(TOPIC, options.events, 1000, "none"))?;
    let table = format!(
        "CREATE TABLE ev ({}, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH (\n\
         'connector' = 'kafka', 'topic' = '{TOPIC}', 'properties.bootstrap.servers' = '{}',\n\
         'scan.startup.mode' = 'earliest-offset', 'format' = 'json');\n",
        events::COLUMNS,
        millstream.address(),
    );
    let window = "SELECT k, window_start, COUNT(*) \
                  FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '0.1' SECOND)) \
                  GROUP BY k, window_start, window_end;\n";
    for (subject, sql) in [
        ("SELECT 1", "SELECT 1;\n".to_owned()),
        (
            "first row of an unbounded SELECT from a topic",
            format!("{table}SELECT id, k FROM ev;\n"),
        ),
        ("first window of 100 ms of a topic", format!("{table}{window}")),
    ] {
        let script = millstream.script("start", &sql)?;
        let arguments = ["run", &*script.to_string_lossy(), "--output", "json", "--fresh"];
        let mut times: Vec<f64> = Vec::new();
        for _ in 0..STARTS {
            times.push(first_row_ms(&millstream, &arguments)?);
        }
        times.sort_by(f64::total_cmp);
        let figures = Figures::of(subject).number("ms", times[STARTS / 2]);
        report.add(
            "start",
            figures
                .number("ms_min", times[0])
                .number("ms_max", times[STARTS - 1]),
        )?;
    }
    Ok(())
}

fn first_row_ms(millstream: &Millstream, arguments: &[&str]) -> anyhow::Result<f64> {
    let mut command = millstream.command(arguments);
    let mut process = Process::spawn(command.stdout(Stdio::piped()))?;
    let stdout = process.child().stdout.take().context("no standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    for line in lines.by_ref() {
        if line?.contains("\"op\":") {
            let elapsed_ms = process.started().seconds() * 1e3;
            // A clean end, so that the next start finds what this one found.
            process.interrupt()?;
            lines.for_each(drop);
            return Ok(elapsed_ms);
        }
    }
    bail!("the script ended without a row")
}
