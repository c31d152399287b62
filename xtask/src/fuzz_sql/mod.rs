//! `cargo xtask fuzz-sql`: generated SQL, Millstream's answers against Flink's.
//!
//! Both engines run the same statements: Flink through its SQL Gateway, Millstream through its command line. What is
//! generated follows from the seed, so that a difference can be shown again. A batch of expressions or a query that one engine
//! refuses is halved until the part is alone that makes the difference.

mod corner_values;
mod engines;
mod expressions;
mod queries;

use std::collections::BTreeMap;

use anyhow::{Context, bail};

use engines::{Answer, Cli, Engine, Gateway};
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
    differences: usize,
}

/// The outcome of all rounds.
#[derive(Default)]
struct Report {
    tallies: BTreeMap<String, Tally>,
    lines: Vec<String>,
}

impl Report {
    fn add(&mut self, name: &str, sql: &str, flink: &Answer, millstream: &Answer) {
        let tally = self.tallies.entry(name.to_owned()).or_default();
        tally.compared += 1;
        match (flink, millstream) {
            (Err(_), Err(_)) => tally.refused_by_both += 1,
            (flink, millstream) if flink == millstream => {}
            (flink, millstream) => {
                tally.differences += 1;
                self.lines.push(format!(
                    "{name}: {sql}\n    Flink      {}\n    Millstream {}",
                    shown(flink),
                    shown(millstream)
                ));
            }
        }
    }

    fn print(&self, settings: &Settings) -> anyhow::Result<()> {
        let mut text = String::new();
        let (mut compared, mut differences) = (0, 0);
        for (name, tally) in &self.tallies {
            compared += tally.compared;
            differences += tally.differences;
            text += &format!(
                "{name}: {} compared, {} refused by both, {} differ\n",
                tally.compared, tally.refused_by_both, tally.differences
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
            settings.rounds,
            compared * rows
        );
        let lines = self.lines.join("\n");
        match &settings.out {
            Some(path) => std::fs::write(path, format!("{lines}\n{text}"))?,
            None => println!("{lines}\n{text}"),
        }
        Ok(())
    }
}

fn shown(answer: &Answer) -> String {
    match answer {
        Ok(rows) => rows.join(" / "),
        Err(message) => format!("error: {message}"),
    }
}

/// Runs the rounds and prints what differs. Differences do not fail the command: Flink's own bugs are among them.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    let settings = Settings::parse(words)?;
    let mut report = Report::default();
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
    }
    report.print(&settings)
}
