//! `cargo xtask fuzz-sql`: generated SQL, Millstream's results against Flink's.
//!
//! Both engines run the same statements: Flink through its SQL Gateway, Millstream through its command line. What is
//! generated follows from the seed, so that a difference can be shown again. A batch of expressions or a query that one engine
//! refuses is halved until the part is alone that makes the difference.

mod corner_values;
mod engines;
mod expressions;
mod queries;
mod shapes;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;

use anyhow::{Context, bail};

use engines::{Cli, Engine, Gateway, Outcome};
use millstream_types::SeededRng;

const USAGE: &str = "cargo xtask fuzz-sql [--expressions] --gateway URL --cli COMMAND [--seed N] [--rounds N] [--only FUNCTION,…] \
                     [--batch N] [--out FILE]";

/// Expressions, or queries, of one round.
const ROUND_LENGTH: usize = 600;

/// The command line.
struct Settings {
    expressions: bool,
    gateway: String,
    cli: String,
    seed: u64,
    rounds: u64,
    only: Vec<String>,
    batch: usize,
    out: Option<String>,
}

impl Settings {
    fn parse(words: &[&str]) -> anyhow::Result<Self> {
        let mut settings = Self {
            expressions: false,
            gateway: "http://127.0.0.1:8083".to_owned(),
            cli: "millstream sql --output json -D millstream.batch.max-rows=1 -D parallelism.default=1"
                .to_owned(),
            seed: 1,
            rounds: 1,
            only: Vec::new(),
            batch: 50,
            out: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--expressions" {
                settings.expressions = true;
                continue;
            }
            let value = words.next().with_context(|| USAGE)?;
            match *word {
                "--gateway" => settings.gateway = (*value).to_owned(),
                "--cli" => settings.cli = (*value).to_owned(),
                "--seed" => settings.seed = value.parse()?,
                "--rounds" => settings.rounds = value.parse()?,
                "--batch" => settings.batch = value.parse()?,
                "--only" => settings.only = value.split(',').map(str::to_owned).collect(),
                "--out" => settings.out = Some((*value).to_owned()),
                _ => bail!("{USAGE}"),
            }
        }
        Ok(settings)
    }
}

/// What was compared, by the name of a function or the shape of a query.
#[derive(Default)]
struct Tally {
    compared: usize,
    refused_by_both: usize,
    broken_in_flink: usize,
    differences: usize,
}

/// Rows that are shown of one difference.
const ROWS_SHOWN: usize = 6;

/// The outcome of all rounds. Differences are written when they are found, the counts at the end of each round.
struct Report {
    tallies: BTreeMap<String, Tally>,
    file: Option<File>,
}

impl Report {
    fn add(&mut self, name: &str, sql: &str, flink: &Outcome, millstream: &Outcome) {
        let tally = self.tallies.entry(name.to_owned()).or_default();
        tally.compared += 1;
        match (flink, millstream) {
            (Err(_), Err(_)) => tally.refused_by_both += 1,
            (Err(message), Ok(_)) if is_broken(message) => tally.broken_in_flink += 1,
            (flink, millstream) if same(flink, millstream) => {}
            (flink, millstream) => {
                tally.differences += 1;
                let difference = format!("{name}: {sql}\n{}", difference(flink, millstream));
                match &mut self.file {
                    Some(file) => _ = writeln!(file, "{difference}"),
                    None => println!("{difference}"),
                }
            }
        }
    }

    fn print(&mut self, settings: &Settings, rounds: u64) -> anyhow::Result<()> {
        let mut text = String::new();
        let (mut compared, mut differences) = (0, 0);
        for (name, tally) in &self.tallies {
            compared += tally.compared;
            differences += tally.differences;
            text += &format!(
                "{name}: {} compared, {} refused by both, {} broken in Flink, {} differ\n",
                tally.compared, tally.refused_by_both, tally.broken_in_flink, tally.differences
            );
        }
        let rows = if settings.expressions {
            corner_values::ROWS
        } else {
            1
        };
        text += &format!(
            "seed {}, {} round(s): {compared} compared ({} evaluations), {differences} differ\n",
            settings.seed,
            rounds,
            compared * rows
        );
        match &mut self.file {
            Some(file) => file.write_all(text.as_bytes())?,
            None => println!("{text}"),
        }
        Ok(())
    }
}

/// Whether Flink has accepted the expression and then failed to compile or to run its own code.
fn is_broken(message: &str) -> bool {
    [
        "CompileException",
        "ClassCastException",
        "CodeGenException",
        "InvalidProgramException",
        "Type mismatch",
        "no end of the result",
    ]
    .iter()
    .any(|class| message.contains(class))
}

fn same(flink: &Outcome, millstream: &Outcome) -> bool {
    match (flink, millstream) {
        (Ok(left), Ok(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same_cell(l, r))
        }
        _ => false,
    }
}

/// Texts of one approximate number are equal: JDK 17, on which Flink runs, prints more digits than the shortest.
fn same_cell(left: &str, right: &str) -> bool {
    left == right
        || left.contains(['.', 'E'])
            && match (left.parse::<f64>(), right.parse::<f64>()) {
                (Ok(l), Ok(r)) => l == r || (right.len() < 14 && l as f32 == r as f32),
                _ => false,
            }
}

/// The rows that differ, each once; or the whole results when one is an error.
fn difference(flink: &Outcome, millstream: &Outcome) -> String {
    let (Ok(left), Ok(right)) = (flink, millstream) else {
        return format!(
            "    Flink      {}\n    Millstream {}",
            shown(flink),
            shown(millstream)
        );
    };
    if left.len() != right.len() {
        return format!(
            "    Flink      {}\n    Millstream {}",
            left.join(" / "),
            right.join(" / ")
        );
    }
    let mut lines: Vec<String> = left
        .iter()
        .zip(right)
        .enumerate()
        .filter(|(_, (l, r))| !same_cell(l, r))
        .map(|(row, (l, r))| format!("    row {row}: Flink {l} | Millstream {r}"))
        .collect();
    lines.truncate(ROWS_SHOWN);
    lines.join("\n")
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Ok(rows) => rows.join(" / "),
        Err(message) => format!("error: {message}"),
    }
}

/// Runs the rounds and prints what differs. Differences do not fail the command: Flink's own bugs are among them.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    let settings = Settings::parse(words)?;
    let file = settings.out.as_ref().map(File::create).transpose()?;
    let mut report = Report {
        tallies: BTreeMap::new(),
        file,
    };
    for round in 0..settings.rounds {
        let rng = SeededRng::new(settings.seed + round);
        let mut flink = Gateway::open(&settings.gateway)?;
        let mut millstream = Cli::open(&settings.cli)?;
        let mut engines: [&mut dyn Engine; 2] = [&mut flink, &mut millstream];
        if settings.expressions {
            expressions::round(&mut engines, &rng, &settings, &mut report)?;
        } else {
            queries::round(&mut engines, &rng, &mut report)?;
        }
        report.print(&settings, round + 1)?;
    }
    Ok(())
}
