//! Operators with three times as much state as memory: what it costs, and whether the memory limit holds.
//!
//! Every key comes once in each round, in another order each time, so that no part of the state is hot. The result of
//! every key follows from that, and is checked. A job runs three times: over few keys, which shows what the process takes
//! without state; over all keys without a limit, which shows the size of the state; and with a third of that as
//! `millstream.memory.size`. With `--flink` the same job then runs in Flink with RocksDB.

use std::io::Write;

use anyhow::{Context, ensure};

use super::Options;
use super::cluster::{Cluster, Record};
use super::millstream::Millstream;
use super::process::Usage;
use super::report::{Figures, Report};
use super::rig::Flink;

const TOPIC: &str = "state";
const ROUNDS: u64 = 3;
/// Keys in the run that shows what the process takes without state.
const FEW_KEYS: u64 = 1_000;
/// 2026-01-01 in milliseconds: the start of a window of a day.
const BASE_MS: u64 = 1_767_225_600_000;
/// Steps through the keys, a prime for each round.
const STEPS: [u64; ROUNDS as usize] = [1_000_003, 7_368_787, 15_485_863];
/// How far memory may exceed the limit.
const TOLERANCE: f64 = 1.2;

struct Case {
    name: &'static str,
    /// Columns of the sink, and its primary key if results change.
    columns: &'static str,
    key: Option<&'static str>,
    /// A query over `ev (k, r, s, ts, pt)` with a column `k` and a column `n`.
    query: &'static str,
    /// `n` of every key.
    result: u64,
}

const CASES: &[Case] = &[
    Case {
        name: "count by BIGINT",
        columns: "k BIGINT, n BIGINT",
        key: Some("k"),
        query: "SELECT k, COUNT(*) FROM ev GROUP BY k",
        result: ROUNDS,
    },
    Case {
        name: "distinct by STRING",
        columns: "s STRING, k BIGINT, n BIGINT",
        key: Some("s"),
        query: "SELECT s, MIN(k), COUNT(DISTINCT r) FROM ev GROUP BY s",
        result: ROUNDS,
    },
    Case {
        name: "join",
        columns: "k BIGINT, n BIGINT",
        key: None,
        query: "SELECT a.k, a.r + b.r FROM (SELECT k, r, s FROM ev WHERE r = 0) a\n\
                JOIN (SELECT k, r, s FROM ev WHERE r = 1) b ON a.k = b.k WHERE a.s = b.s",
        result: 1,
    },
    Case {
        name: "first row by key",
        columns: "k BIGINT, n BIGINT",
        key: None,
        query: "SELECT k, r FROM (SELECT k, r, ROW_NUMBER() OVER (PARTITION BY k ORDER BY pt) AS nr FROM ev)\n\
                WHERE nr = 1",
        result: 0,
    },
    Case {
        name: "tumble",
        columns: "k BIGINT, n BIGINT",
        key: None,
        query: "SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '1' DAY))\n\
                GROUP BY k, window_start, window_end",
        result: ROUNDS,
    },
    Case {
        name: "session",
        columns: "k BIGINT, n BIGINT",
        key: None,
        query: "SELECT k, COUNT(*) FROM TABLE(SESSION(TABLE ev PARTITION BY k, DESCRIPTOR(ts), INTERVAL '10' HOUR))\n\
                GROUP BY k, window_start, window_end",
        result: ROUNDS,
    },
];

impl Case {
    fn sql(&self, address: &str, keys: u64, out: &str, settings: &str) -> String {
        let (connector, format, primary_key) = match self.key {
            Some(key) => (
                "upsert-kafka",
                "'key.format' = 'json', 'value.format' = 'json'",
                format!(", PRIMARY KEY ({key}) NOT ENFORCED"),
            ),
            None => ("kafka", "'format' = 'json'", String::new()),
        };
        format!(
            "SET 'execution.checkpointing.interval' = '1 s';\n{settings}\
             CREATE TABLE events (k BIGINT, r BIGINT, s STRING, ms BIGINT, pt AS PROCTIME(),\n\
             ts AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR ts AS ts) WITH (\n\
             'connector' = 'kafka', 'topic' = '{TOPIC}', 'properties.bootstrap.servers' = '{address}',\n\
             'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json');\n\
             CREATE TEMPORARY VIEW ev AS SELECT k, r, s, ts, pt FROM events WHERE k < {keys};\n\
             CREATE TABLE snk ({}{primary_key}) WITH (\n\
             'connector' = '{connector}', 'topic' = '{out}', 'properties.bootstrap.servers' = '{address}', {format});\n\
             INSERT INTO snk {};\n",
            self.columns, self.query,
        )
    }

    /// Compares the last result of every key with what it must be.
    fn check(&self, cluster: &Cluster, out: &str, keys: u64) -> anyhow::Result<()> {
        let mut last: Vec<Option<u64>> = vec![None; keys as usize];
        let (mut strange, mut repeated) = (0, 0);
        cluster.read(out, 1, |value| {
            let row: Option<serde_json::Value> = serde_json::from_slice(value).ok();
            let number = |name: &str| row.as_ref().and_then(|row| row[name].as_u64());
            let of_key = number("k").and_then(|k| last.get_mut(k as usize));
            match (of_key, number("n")) {
                (Some(last), Some(n)) => repeated += u64::from(last.replace(n).is_some()),
                _ => strange += 1,
            }
        })?;
        let wrong = last.iter().filter(|n| **n != Some(self.result)).count();
        ensure!(
            strange == 0 && wrong == 0 && (self.key.is_some() || repeated == 0),
            "{}: {wrong} of {keys} keys have a wrong result, {repeated} rows too many, {strange} rows of no key",
            self.name
        );
        Ok(())
    }
}

/// Measures all cases with the largest number of keys that is asked for.
pub fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let keys = options.keys.iter().copied().max().unwrap_or(FEW_KEYS);
    let named = |case: &&Case| options.queries.is_empty() || options.queries.iter().any(|q| q == case.name);
    let cases: Vec<&Case> = CASES.iter().filter(named).collect();
    let millstream = Millstream::new(&options.millstream)?;
    millstream.with_broker(|cluster| load(cluster, keys))?;
    for case in &cases {
        let figures = measure(case, &millstream, keys).with_context(|| case.name)?;
        report.add("state", figures)?;
    }
    let Some(directory) = &options.flink else {
        return Ok(());
    };
    let flink = Flink::start(directory)?;
    load(flink.kafka().cluster(), keys)?;
    for case in &cases {
        let out = flink.kafka().cluster().create_new("out", 1)?;
        let settings = "SET 'state.backend.type' = 'rocksdb';\n";
        let usage = flink.run_in_task_manager(&case.sql(flink.kafka().address(), keys, &out, settings))?;
        case.check(flink.kafka().cluster(), &out, keys)?;
        let figures = Figures::of(format!("{}, {keys} keys", case.name)).text("engine", "Flink, RocksDB");
        report.add("state", figures.run(keys * ROUNDS, &usage))?;
    }
    Ok(())
}

fn measure(case: &Case, millstream: &Millstream, keys: u64) -> anyhow::Result<Figures> {
    let base = run_once(case, millstream, FEW_KEYS.min(keys), "")?;
    let whole = run_once(case, millstream, keys, "")?;
    let state_mib = (whole.rss_peak_mib - base.rss_peak_mib).max(1.0);
    let limit_mib = (state_mib / 3.0).ceil();
    let setting = format!("SET 'millstream.memory.size' = '{limit_mib} mb';\n");
    let limited = run_once(case, millstream, keys, &setting)?;
    let above_base = limited.rss_peak_mib - base.rss_peak_mib;
    let events_per_cpu_s = |usage: &Usage| (keys * ROUNDS) as f64 / usage.cpu.total_s().max(0.01);
    Ok(Figures::of(format!("{}, {keys} keys", case.name))
        .text("engine", "Millstream")
        .run(keys * ROUNDS, &limited)
        .number("in_memory_events_per_cpu_s", events_per_cpu_s(&whole))
        .number("in_memory_peak_mib", whole.rss_peak_mib)
        .number("without_state_mib", base.rss_peak_mib)
        .number("limit_mib", limit_mib)
        .number("above_limit_percent", (above_base / limit_mib - 1.0) * 100.0)
        .text(
            "holds",
            if above_base <= limit_mib * TOLERANCE {
                "yes"
            } else {
                "no"
            },
        ))
}

/// Runs a job to its end and checks its results.
fn run_once(case: &Case, millstream: &Millstream, keys: u64, settings: &str) -> anyhow::Result<Usage> {
    let out = millstream.with_broker(|cluster| cluster.create_new("out", 1))?;
    let usage = millstream.run("state", &case.sql(millstream.address(), keys, &out, settings))?;
    millstream.with_broker(|cluster| {
        case.check(cluster, &out, keys)?;
        cluster.delete(&out)
    })?;
    Ok(usage)
}

/// Every key in every round, a millisecond after each other.
fn load(cluster: &Cluster, keys: u64) -> anyhow::Result<()> {
    cluster.create(TOPIC, 1)?;
    let properties = [
        ("compression.type", "lz4"),
        ("batch.size", "524288"),
        ("linger.ms", "1000"),
        ("buffer.memory", "67108864"),
    ];
    let mut value = Vec::new();
    cluster.produce(TOPIC, &properties, |send| {
        for number in 0..keys * ROUNDS {
            let (round, ms) = (number / keys, BASE_MS + number);
            let key = (number % keys) * STEPS[round as usize] % keys;
            value.clear();
            write!(
                value,
                "{{\"k\":{key},\"r\":{round},\"ms\":{ms},\"s\":\"user-{key:09}-of-a-state-in-strings\"}}",
            )?;
            send(Record {
                partition: 0,
                timestamp: ms as i64,
                value: &value,
            })?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_has_every_key_once() {
        for keys in [1_000, 1_000_000] {
            for step in STEPS {
                let mut seen = vec![false; keys as usize];
                (0..keys).for_each(|number| seen[(number * step % keys) as usize] = true);
                assert!(seen.iter().all(|seen| *seen), "{step} of {keys}");
            }
        }
    }
}
