//! Queries over two tables of disordered rows with NULLs and duplicates, in batch and in streaming.
//!
//! A query is kept as its parts, so that one whose results differ can be shrunk: parts are left out as long as the
//! difference stays.

use std::fmt::Write as _;

use millstream_types::Rng;

use super::engines::{Engine, Outcome};
use super::shapes::query;
use super::{ROUND_LENGTH, Report};

const ROWS: u64 = 14;
/// Queries of one round: each of them is a job of its own for both engines.
const QUERIES: usize = ROUND_LENGTH / 6;

/// A query in parts.
#[derive(Clone, Default)]
pub(super) struct Query {
    pub(super) shape: &'static str,
    pub(super) from: String,
    pub(super) keys: Vec<String>,
    pub(super) items: Vec<String>,
    pub(super) conditions: Vec<String>,
    pub(super) having: Option<String>,
    pub(super) distinct: bool,
    /// A set operator and its right side.
    pub(super) operator: &'static str,
    pub(super) union: Option<Box<Query>>,
}

impl Query {
    fn sql(&self) -> String {
        let mut sql = String::from(if self.distinct {
            "SELECT DISTINCT "
        } else {
            "SELECT "
        });
        let items: Vec<String> = self
            .keys
            .iter()
            .chain(&self.items)
            .enumerate()
            .map(|(i, item)| {
                if item == "*" {
                    item.clone()
                } else {
                    format!("{item} AS c{i}")
                }
            })
            .collect();
        _ = write!(sql, "{} FROM {}", items.join(", "), self.from);
        if !self.conditions.is_empty() {
            _ = write!(sql, " WHERE {}", self.conditions.join(" AND "));
        }
        if !self.keys.is_empty() {
            _ = write!(sql, " GROUP BY {}", self.keys.join(", "));
        }
        if let Some(having) = &self.having {
            _ = write!(sql, " HAVING {having}");
        }
        if let Some(union) = &self.union {
            _ = write!(sql, " {} {}", self.operator, union.sql());
        }
        sql
    }

    /// The query with one part less, in every way.
    fn smaller(&self) -> Vec<Self> {
        let mut found = Vec::new();
        if self.union.is_some() {
            found.push(Self {
                union: None,
                ..self.clone()
            });
        } else if self.items.len() > 1 {
            for place in 0..self.items.len() {
                let mut smaller = self.clone();
                smaller.items.remove(place);
                found.push(smaller);
            }
        }
        for place in 0..self.conditions.len() {
            let mut smaller = self.clone();
            smaller.conditions.remove(place);
            found.push(smaller);
        }
        if self.having.is_some() {
            found.push(Self {
                having: None,
                ..self.clone()
            });
        }
        if self.distinct {
            found.push(Self {
                distinct: false,
                ..self.clone()
            });
        }
        found
    }
}

/// One round: new tables, then queries in both modes.
pub fn round(engines: &mut [&mut dyn Engine; 2], rng: &dyn Rng, report: &mut Report) -> anyhow::Result<()> {
    let directory = tempfile::Builder::new().prefix("fuzz-sql-").tempdir()?;
    for table in ["a", "b"] {
        let folder = directory.path().join(table);
        std::fs::create_dir(&folder)?;
        std::fs::write(folder.join("rows.json"), rows(rng))?;
        let sql = format!(
            "CREATE TABLE {table} (id INT, k STRING, v INT, d DECIMAL(10, 2), g DOUBLE, f BOOLEAN, ts TIMESTAMP(3), \
             WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json')",
            folder.display()
        );
        for engine in engines.iter_mut() {
            if let Err(message) = engine.execute(&sql)? {
                anyhow::bail!("{message}\n{sql}");
            }
        }
    }
    for number in 0..QUERIES {
        let mode = if number % 2 == 0 { "batch" } else { "streaming" };
        for engine in engines.iter_mut() {
            _ = engine.execute(&format!("SET 'execution.runtime-mode' = '{mode}'"))?;
        }
        let mut query = query(rng, number % 2 == 0);
        let mut outcomes = compare(engines, &query)?;
        while differ(&outcomes) {
            let mut shrunk = None;
            for smaller in query.smaller() {
                let found = compare(engines, &smaller)?;
                if differ(&found) {
                    shrunk = Some((smaller, found));
                    break;
                }
            }
            match shrunk {
                Some((smaller, found)) => (query, outcomes) = (smaller, found),
                None => break,
            }
        }
        let name = format!("{mode} {}", query.shape);
        report.add(&name, &query.sql(), &outcomes[0], &outcomes[1]);
    }
    Ok(())
}

fn differ(outcomes: &[Outcome; 2]) -> bool {
    match outcomes {
        [Err(_), Err(_)] => false,
        [flink, millstream] => flink != millstream,
    }
}

fn compare(engines: &mut [&mut dyn Engine; 2], query: &Query) -> anyhow::Result<[Outcome; 2]> {
    let sql = query.sql();
    let [flink, millstream] = engines;
    Ok([
        final_rows(flink.execute(&sql)?),
        final_rows(millstream.execute(&sql)?),
    ])
}

/// The rows that are left when the changes were applied, sorted.
fn final_rows(outcome: Outcome) -> Outcome {
    let mut left: Vec<String> = Vec::new();
    for change in outcome? {
        let (kind, row) = change.split_once('\t').unwrap_or((&change, ""));
        if matches!(kind, "+I" | "+U") {
            left.push(row.to_owned());
        } else if let Some(place) = left.iter().position(|known| known == row) {
            left.swap_remove(place);
        } else {
            left.push(format!("retracted {row}"));
        }
    }
    left.sort();
    Ok(left)
}

fn rows(rng: &dyn Rng) -> String {
    let mut text = String::new();
    for id in 0..ROWS {
        let maybe = |rng: &dyn Rng, value: String| {
            if rng.below(6) == 0 {
                "null".to_owned()
            } else {
                value
            }
        };
        let key = format!("\"{}\"", ["x", "y", "z", ""][rng.below(4) as usize]);
        let (key, value) = (maybe(rng, key), rng.below(7) as i64 - 2);
        let value = maybe(rng, value.to_string());
        let decimal = format!("{}.{:02}", rng.below(30), rng.below(100));
        let decimal = maybe(rng, decimal);
        let double = format!("{}.5", rng.below(9) as i64 - 4);
        let double = maybe(rng, double);
        let flag = maybe(rng, (rng.below(2) == 0).to_string());
        // A little disorder: the watermark allows for five seconds.
        let second = (id * 4 + rng.below(6)) % 3600;
        _ = writeln!(
            text,
            "{{\"id\": {id}, \"k\": {key}, \"v\": {value}, \"d\": {decimal}, \"g\": {double}, \"f\": {flag}, \
             \"ts\": \"2024-03-10 02:{:02}:{:02}\"}}",
            second / 60,
            second % 60
        );
    }
    text
}
