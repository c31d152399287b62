//! `millstream chaos`: kills the user's own script at random moments and at named places of the exactly-once protocol, and
//! compares what it wrote with an undisturbed run.
//!
//! The script runs on copies of the data directory. Two undisturbed runs come first: a script whose own output differs
//! between them (processing time, random rows) cannot be judged. Then each trial starts from a fresh copy, kills some
//! times, changes the parallelism between kills, lets the script come to rest, stops it, and compares.

mod outputs;
mod script;
mod trial;

use std::collections::BTreeMap;
use std::io::stdout;
use std::path::PathBuf;

use anyhow::{Context, bail};
use millstream_types::{Rng, SeededRng, failpoint};
use serde_json::json;

use self::outputs::{Difference, Rows};
use self::script::{Output, Script};
use self::trial::{Setting, Trial, Waited};
use crate::args::{ChaosArgs, Common};
use crate::commands::columns;
use crate::commands::connect::say;
use crate::exit::{Failure, Outcome};
use crate::output::OutputFormat;
use crate::process::Process;

/// Kills before a trial runs to its end.
const KILLS_PER_TRIAL: u64 = 4;
/// Passes of a failpoint before the one that stops there.
const PASSES_MAX: u64 = 3;
/// Workers of a start; fewer or as many.
const PARALLELISM_MAX: u64 = 3;
/// Added to the time in which a script is active when it is not disturbed: a restart takes time too.
const MORE_MS: u64 = 500;
/// A failpoint that is not reached after this long and the active time is left, by a kill at that moment.
const REACH_MS: u64 = 3_000;

/// Runs the trials and reports; an output that differs is a failure.
pub fn run(process: &Process, common: &Common, args: &ChaosArgs) -> Outcome {
    if let Some(address) = process.clusters.neighbour() {
        let data = common.data_dir.display();
        let message = format!(
            "the data directory '{data}' is in use by the broker at {address}; stop that process, or name a copy with --data-dir"
        );
        return Err(anyhow::anyhow!(message).into());
    }
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("cannot read the script '{}'", args.file.display()))?;
    let names_embedded = |servers: &str| process.clusters.names_embedded(servers);
    let script = Script::new(&text, common, &args.checkpoint_interval, &names_embedded)?;
    script
        .notes
        .iter()
        .for_each(|note| say(common, &format!("note: {note}")));
    let directory = work_directory(process, args)?;
    let setting = Setting {
        process,
        common,
        args,
        script: &script,
        directory: directory.clone(),
    };
    let report = examine(&setting);
    let is_clean = report.as_ref().is_ok_and(Report::is_clean);
    if is_clean && !args.keep {
        std::fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove '{}'", directory.display()))?;
    } else {
        say(common, &format!("the copies are in {}", directory.display()));
    }
    let report = report?;
    report.print(common)?;
    if is_clean { Ok(()) } else { Err(Failure::Reported) }
}

/// An empty directory for the copies.
fn work_directory(process: &Process, args: &ChaosArgs) -> anyhow::Result<PathBuf> {
    let directory = match &args.work_dir {
        Some(directory) => directory.clone(),
        None => std::env::temp_dir().join(format!("millstream-chaos-{:016x}", process.rng.next_u64())),
    };
    let directory = std::path::absolute(directory)?;
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create '{}'", directory.display()))?;
    if std::fs::read_dir(&directory)?.next().is_some() {
        bail!(
            "the directory '{}' is not empty; name another with --work-dir",
            directory.display()
        );
    }
    Ok(directory)
}

/// What was done and found.
struct Report {
    outputs: Vec<(Output, Difference)>,
    kills: u64,
    trials: u64,
    seed: u64,
}

/// The undisturbed run.
struct Reference {
    rows: Vec<Rows>,
    active_ms: u64,
}

fn examine(setting: &Setting<'_>) -> anyhow::Result<Report> {
    let (common, args) = (setting.common, setting.args);
    let seed = args.seed.unwrap_or_else(|| setting.process.rng.next_u64() >> 32);
    let rng = SeededRng::new(seed);
    let reference = reference(setting)?;
    let outputs = &setting.script.outputs;
    let mut report = Report {
        outputs: outputs
            .iter()
            .map(|output| (output.clone(), Difference::default()))
            .collect(),
        kills: 0,
        trials: 0,
        seed,
    };
    while report.kills < args.kills {
        report.trials += 1;
        let name = format!("trial-{}", report.trials);
        let trial = Trial::prepare(setting, &name)?;
        let planned = KILLS_PER_TRIAL.min(args.kills - report.kills);
        let places = disturb(&trial, setting, &reference, planned, &rng)?;
        let kills: u64 = places.values().sum();
        report.kills += kills;
        let mut is_clean = true;
        for ((output, sum), expected) in report.outputs.iter_mut().zip(&reference.rows) {
            let difference = Difference::new(expected, &trial.rows(output)?);
            is_clean &= difference.is_none();
            sum.add(&difference);
        }
        let places: Vec<String> = places
            .iter()
            .map(|(place, count)| format!("{place} {count}"))
            .collect();
        let verdict = if is_clean {
            "same output"
        } else {
            "the output differs"
        };
        say(
            common,
            &format!("{name}: {kills} kills ({}), {verdict}", places.join(", ")),
        );
        if is_clean && !args.keep {
            std::fs::remove_dir_all(&trial.directory)?;
        }
        if kills == 0 {
            bail!("the script ended before it could be killed; give it more input");
        }
    }
    Ok(report)
}

/// Runs the script twice without a kill.
fn reference(setting: &Setting<'_>) -> anyhow::Result<Reference> {
    let mut first: Option<Reference> = None;
    for name in ["undisturbed-1", "undisturbed-2"] {
        let trial = Trial::prepare(setting, name)?;
        let mut run = trial.start(None, None)?;
        let started = setting.process.clock.now_ms();
        let active_ms = match trial.rest(&mut run)? {
            Waited::AtRest { active_ms } => {
                trial.stop(run)?;
                active_ms
            }
            Waited::Ended => u64::try_from(setting.process.clock.now_ms() - started).unwrap_or(0),
        };
        let outputs = &setting.script.outputs;
        let rows: Vec<Rows> = outputs
            .iter()
            .map(|o| trial.rows(o))
            .collect::<anyhow::Result<_>>()?;
        let Some(first) = &first else {
            let count: i64 = rows.iter().flat_map(|rows| rows.values()).sum();
            say(
                setting.common,
                &format!("undisturbed: {count} rows in {active_ms} ms"),
            );
            if count == 0 {
                bail!("the script wrote nothing; fill its input before chaos runs");
            }
            first = Some(Reference { rows, active_ms });
            continue;
        };
        for ((output, expected), found) in outputs.iter().zip(&first.rows).zip(&rows) {
            let difference = Difference::new(expected, found);
            if let Some((_, row)) = difference.examples.first() {
                bail!(
                    "two undisturbed runs write different rows to '{}', for example {row}; chaos can judge only scripts whose \
                     output follows from their input, not from the time or from chance",
                    output.table
                );
            }
        }
    }
    first.context("no undisturbed run")
}

/// Kills the script up to `planned` times, then lets it come to rest. Returns where it was killed.
fn disturb(
    trial: &Trial<'_>,
    setting: &Setting<'_>,
    reference: &Reference,
    planned: u64,
    rng: &SeededRng,
) -> anyhow::Result<BTreeMap<&'static str, u64>> {
    let mut places = BTreeMap::new();
    let parallelism = || (!setting.script.sets_parallelism).then(|| 1 + rng.below(PARALLELISM_MAX));
    let busy_ms = reference.active_ms + MORE_MS;
    for _ in 0..planned {
        let position = usize::try_from(rng.below(failpoint::ALL.len() as u64)).unwrap_or(0);
        let place = failpoint::ALL.get(position).filter(|_| rng.below(2) == 0);
        let armed = place.map(|place| (place.name, 1 + rng.below(PASSES_MAX)));
        let end_ms = if armed.is_some() {
            busy_ms + REACH_MS
        } else {
            rng.below(busy_ms)
        };
        let mut run = trial.start(parallelism(), armed)?;
        let Some(is_reached) = trial.run_until(&mut run, end_ms)? else {
            return Ok(places);
        };
        drop(run);
        let place = armed
            .filter(|_| is_reached)
            .map_or("random moment", |(name, _)| name);
        *places.entry(place).or_default() += 1;
        let _ = std::fs::remove_file(trial.reached_file());
    }
    let mut run = trial.start(parallelism(), None)?;
    if let Waited::AtRest { .. } = trial.rest(&mut run)? {
        trial.stop(run)?;
    }
    Ok(places)
}

impl Report {
    fn is_clean(&self) -> bool {
        self.outputs.iter().all(|(_, difference)| difference.is_none())
    }

    fn print(&self, common: &Common) -> anyhow::Result<()> {
        let mut out = stdout().lock();
        if common.output == Some(OutputFormat::Json) {
            for (output, d) in &self.outputs {
                let line = json!({
                    "table": output.table, "expected": d.expected, "found": d.found, "lost": d.lost,
                    "doubled": d.doubled, "unexpected": d.strange, "exactly_once": output.is_exactly_once,
                    "kills": self.kills, "trials": self.trials, "seed": self.seed,
                });
                std::io::Write::write_all(&mut out, format!("{line}\n").as_bytes())?;
            }
            return Ok(());
        }
        let rows: Vec<[Option<String>; 6]> = self
            .outputs
            .iter()
            .map(|(output, d)| {
                let counts = [d.expected, d.found, d.lost, d.doubled, d.strange].map(|n| Some(n.to_string()));
                let [expected, found, lost, doubled, strange] = counts;
                [
                    Some(output.table.clone()),
                    expected,
                    found,
                    lost,
                    doubled,
                    strange,
                ]
            })
            .collect();
        let head = ["TABLE", "EXPECTED", "FOUND", "LOST", "DOUBLED", "UNEXPECTED"];
        columns::print(&mut out, head, &rows)?;
        drop(out);
        for (output, difference) in &self.outputs {
            for (what, row) in &difference.examples {
                say(common, &format!("{what} in '{}': {row}", output.table));
            }
            if difference.doubled > 0 && !output.is_exactly_once {
                say(
                    common,
                    &format!(
                        "table '{}' writes at least once; 'sink.delivery-guarantee' = 'exactly-once' writes each row once",
                        output.table
                    ),
                );
            }
        }
        let verdict = if self.is_clean() {
            "nothing lost, nothing doubled"
        } else {
            "the output differs"
        };
        say(
            common,
            &format!(
                "{} kills in {} trials, seed {}: {verdict}",
                self.kills, self.trials, self.seed
            ),
        );
        Ok(())
    }
}
