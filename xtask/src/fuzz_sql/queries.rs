//! Queries over two tables of disordered rows with NULLs and duplicates, in batch and in streaming.
//!
//! A query is kept as its parts, so that one whose results differ can be shrunk: parts are left out as long as the
//! difference stays.

use std::fmt::Write as _;

use millstream_types::Rng;

use super::engines::{Answer, Engine};
use super::{ROUND_LENGTH, Report};

const ROWS: u64 = 14;
/// Queries of one round: each of them is a job of its own for both engines.
const QUERIES: usize = ROUND_LENGTH / 20;

/// A query in parts.
#[derive(Clone, Default)]
struct Query {
    shape: &'static str,
    from: String,
    keys: Vec<String>,
    items: Vec<String>,
    conditions: Vec<String>,
    having: Option<String>,
    distinct: bool,
    union: Option<Box<Query>>,
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
            .map(|(i, item)| format!("{item} AS c{i}"))
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
            _ = write!(sql, " UNION ALL {}", union.sql());
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
        let mut query = query(rng);
        let mut answers = compare(engines, &query)?;
        while differ(&answers) {
            let mut shrunk = None;
            for smaller in query.smaller() {
                let found = compare(engines, &smaller)?;
                if differ(&found) {
                    shrunk = Some((smaller, found));
                    break;
                }
            }
            match shrunk {
                Some((smaller, found)) => (query, answers) = (smaller, found),
                None => break,
            }
        }
        let name = format!("{mode} {}", query.shape);
        report.add(&name, &query.sql(), &answers[0], &answers[1]);
    }
    Ok(())
}

fn differ(answers: &[Answer; 2]) -> bool {
    match answers {
        [Err(_), Err(_)] => false,
        [flink, millstream] => flink != millstream,
    }
}

fn compare(engines: &mut [&mut dyn Engine; 2], query: &Query) -> anyhow::Result<[Answer; 2]> {
    let sql = query.sql();
    let [flink, millstream] = engines;
    Ok([
        final_rows(flink.execute(&sql)?),
        final_rows(millstream.execute(&sql)?),
    ])
}

/// The rows that are left when the changes were applied, sorted.
fn final_rows(answer: Answer) -> Answer {
    let mut left: Vec<String> = Vec::new();
    for change in answer? {
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

fn pick(rng: &dyn Rng, choices: &[&str]) -> String {
    choices[rng.below(choices.len() as u64) as usize].to_owned()
}

const SCALARS: [&str; 14] = [
    "id",
    "k",
    "v",
    "d",
    "g",
    "f",
    "v + id",
    "v * d",
    "COALESCE(k, 'none')",
    "CASE WHEN v > 1 THEN k ELSE 'other' END",
    "UPPER(k)",
    "CAST(d AS INT)",
    "d / 3",
    "CAST(v AS STRING) || k",
];
const AGGREGATES: [&str; 22] = [
    "COUNT(*)",
    "COUNT(v)",
    "COUNT(DISTINCT k)",
    "COUNT(DISTINCT v) FILTER (WHERE f)",
    "SUM(v)",
    "SUM(d)",
    "SUM(DISTINCT v)",
    "AVG(v)",
    "AVG(d)",
    "AVG(g)",
    "MIN(k)",
    "MAX(k)",
    "MIN(ts)",
    "MAX(d)",
    "SUM(v) FILTER (WHERE f)",
    "STDDEV_POP(v)",
    "VAR_SAMP(d)",
    "MIN(v) FILTER (WHERE k = 'x')",
    "MAX(g)",
    "SUM(g)",
    "COUNT(f)",
    "AVG(DISTINCT v)",
];
const CONDITIONS: [&str; 16] = [
    "v > 0",
    "k = 'x'",
    "k IS NOT NULL",
    "d < 20",
    "f",
    "NOT f",
    "v IN (1, 2, 3)",
    "k LIKE '%x%'",
    "g BETWEEN -2 AND 3",
    "id < 10",
    "v IS NULL",
    "k <> ''",
    "v NOT IN (0, 1)",
    "(v > 1 OR f IS NULL)",
    "k IS DISTINCT FROM 'y'",
    "d IS NOT NULL",
];

fn several(rng: &dyn Rng, choices: &[&str], least: u64, most: u64) -> Vec<String> {
    let count = least + rng.below(most - least + 1);
    let mut found: Vec<String> = (0..count).map(|_| pick(rng, choices)).collect();
    found.dedup();
    found
}

fn query(rng: &dyn Rng) -> Query {
    match rng.below(9) {
        0 => projection(rng),
        1 => {
            let mut query = grouped(rng);
            query.shape = "global aggregate";
            query.keys.clear();
            query.having = None;
            query
        }
        2 | 3 => grouped(rng),
        4 => windowed(rng),
        5 => joined(rng),
        6 => semi_joined(rng),
        7 => ranked(rng),
        _ => {
            let (mut left, mut right) = (grouped(rng), grouped(rng));
            left.shape = "union";
            left.items = vec!["COUNT(*)".to_owned(), "SUM(v)".to_owned()];
            right.items = left.items.clone();
            (left.keys, right.keys) = (vec!["k".to_owned()], vec!["k".to_owned()]);
            right.from = "b".to_owned();
            left.union = Some(Box::new(right));
            left
        }
    }
}

fn projection(rng: &dyn Rng) -> Query {
    Query {
        shape: "projection",
        from: "a".to_owned(),
        items: several(rng, &SCALARS, 1, 4),
        conditions: several(rng, &CONDITIONS, 0, 3),
        distinct: rng.below(3) == 0,
        ..Query::default()
    }
}

fn grouped(rng: &dyn Rng) -> Query {
    let keys = ["k", "v", "f", "MOD(id, 3)", "COALESCE(k, 'none')"];
    let mut keys = several(rng, &keys, 1, 2);
    keys.sort();
    keys.dedup();
    Query {
        shape: "group by",
        from: "a".to_owned(),
        keys,
        items: several(rng, &AGGREGATES, 1, 4),
        conditions: several(rng, &CONDITIONS, 0, 2),
        having: (rng.below(3) == 0).then(|| "COUNT(*) > 1".to_owned()),
        ..Query::default()
    }
}

fn windowed(rng: &dyn Rng) -> Query {
    let window = pick(
        rng,
        &[
            "TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '10' SECOND)",
            "HOP(TABLE a, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)",
            "CUMULATE(TABLE a, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '30' SECOND)",
        ],
    );
    let mut keys = vec!["window_start".to_owned(), "window_end".to_owned()];
    if rng.below(2) == 0 {
        keys.push("k".to_owned());
    }
    Query {
        shape: "window",
        from: format!("TABLE({window})"),
        keys,
        items: several(rng, &AGGREGATES, 1, 3),
        conditions: several(rng, &CONDITIONS, 0, 1),
        ..Query::default()
    }
}

fn joined(rng: &dyn Rng) -> Query {
    let kind = pick(rng, &["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
    let on = pick(
        rng,
        &[
            "a.k = b.k",
            "a.v = b.v",
            "a.id = b.id",
            "a.k = b.k AND a.v < b.v",
            "a.id = b.id AND b.f",
        ],
    );
    let items = [
        "a.id",
        "b.id",
        "a.k",
        "b.v",
        "a.d + b.d",
        "COALESCE(a.k, b.k)",
        "a.v IS NULL",
    ];
    let conditions = ["a.v > 0", "b.k IS NOT NULL", "a.id < 9", "b.d < 20"];
    Query {
        shape: "join",
        from: format!("a {kind} b ON {on}"),
        items: several(rng, &items, 2, 4),
        conditions: several(rng, &conditions, 0, 2),
        ..Query::default()
    }
}

fn semi_joined(rng: &dyn Rng) -> Query {
    let tests = [
        "k IN (SELECT k FROM b)",
        "k NOT IN (SELECT k FROM b WHERE k IS NOT NULL)",
        "v NOT IN (SELECT v FROM b WHERE id < 3)",
        "EXISTS (SELECT 1 FROM b WHERE b.k = a.k AND b.f)",
        "NOT EXISTS (SELECT 1 FROM b WHERE b.v = a.v)",
        "v > (SELECT AVG(v) FROM b)",
        "v = (SELECT MAX(v) FROM b WHERE b.k = a.k)",
    ];
    Query {
        shape: "sub-query",
        from: "a".to_owned(),
        items: several(rng, &SCALARS, 1, 3),
        conditions: several(rng, &tests, 1, 2),
        ..Query::default()
    }
}

fn ranked(rng: &dyn Rng) -> Query {
    let partition = pick(rng, &["", "PARTITION BY k ", "PARTITION BY v, f "]);
    let order = pick(rng, &["v DESC, id", "d, id", "g DESC, id DESC", "id"]);
    let numbered = format!("(SELECT *, ROW_NUMBER() OVER ({partition}ORDER BY {order}) AS n FROM a)");
    let range = pick(rng, &["n <= 2", "n = 1", "n BETWEEN 2 AND 3"]);
    Query {
        shape: "top-n",
        from: numbered,
        items: several(rng, &["id", "k", "v", "d", "n"], 2, 4),
        conditions: vec![range],
        ..Query::default()
    }
}
