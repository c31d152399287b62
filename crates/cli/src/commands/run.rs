//! `millstream run`: executes a script.

use std::io::{Read, stdin};

use anyhow::Context;
use millstream_session::{JobHandle, JobStatus, wait_for};
use millstream_types::storage::OsStorage;

use crate::args::{Common, OnError, RunArgs};
use crate::commands::progress::{Followed, LOOK, follow};
use crate::commands::remote;
use crate::commands::script;
use crate::commands::statement::{
    CHECKPOINT_DIRECTORY, Ended, Interrupt, ResultPrinter, keep_catalog, session, statements,
};
use crate::exit::{Failure, Outcome};
use crate::output::OutputFormat;
use crate::process::Process;

/// Runs a script statement by statement and waits for bounded jobs. Unbounded jobs continue after the end of the script
/// until Ctrl-C, which stops them after a last checkpoint.
pub fn run(process: &Process, common: &Common, args: RunArgs) -> Outcome {
    if args.detach {
        return remote::detach(process, common, &args);
    }
    let (name, script) = read(&args.file, common)?;
    let mut session = session(process, &with_recovery(common, &args), true, args.fresh)?;
    keep_catalog(&mut session, common, false)?;
    session.name_jobs_after(name);
    let interrupt = Interrupt::listen(process);
    let format = common.output.unwrap_or(OutputFormat::Table);
    let mut results = ResultPrinter::new(format, interrupt.clone(), common.quiet);
    results.report_starts();
    let mut running: Vec<JobHandle> = Vec::new();
    let mut failed = false;
    let mut rest = statements(&script);
    while let Some(statement) = rest.next() {
        match results.execute(&mut session, &statement)? {
            Ended::Ok => {}
            Ended::Client(_) => break,
            Ended::Running { job, bounded } => {
                running.push(job);
                // A bounded job must finish first: the next statement may read what it wrote.
                if bounded {
                    failed |= wait(&mut running, 1, &interrupt, common, &mut results)?;
                }
            }
            Ended::Interrupted => return Err(stop_all(&running)),
            Ended::Failed => failed = true,
        }
        if failed && args.on_error == OnError::Stop {
            results.check_rest(rest)?;
            stop_all(&running);
            return Err(Failure::Reported);
        }
    }
    while !running.is_empty() {
        let all = running.len();
        failed |= wait(&mut running, all, &interrupt, common, &mut results)?;
        if failed && args.on_error == OnError::Stop {
            stop_all(&running);
            return Err(Failure::Reported);
        }
    }
    if failed {
        return Err(Failure::Reported);
    }
    // Finished jobs are remembered up to this point, so that an interrupted script continues after them.
    session.forget_finished_jobs()?;
    Ok(())
}

/// The options, with the command line's choice of initial state.
fn with_recovery(common: &Common, args: &RunArgs) -> Common {
    let mut common = common.clone();
    let mut define = |key: &str, value: String| common.define.push((key.to_owned(), value));
    if !args.from_savepoint.is_empty() {
        define("execution.state-recovery.path", args.from_savepoint.join(";"));
    }
    if args.allow_non_restored_state {
        define(
            "execution.state-recovery.ignore-unclaimed-state",
            "true".to_owned(),
        );
    }
    common
}

/// Follows the last `count` jobs until they have ended or one has failed, and reports the failure. Removes the ended
/// jobs. Ctrl-C stops all jobs.
fn wait(
    jobs: &mut Vec<JobHandle>,
    count: usize,
    interrupt: &Interrupt,
    common: &Common,
    results: &mut ResultPrinter,
) -> Result<bool, Failure> {
    let first = jobs.len().saturating_sub(count);
    match follow(&jobs[first..], interrupt, common) {
        Followed::Ended => {
            jobs.truncate(first);
            Ok(false)
        }
        Followed::Interrupted => Err(stop_all(jobs)),
        Followed::Failed(position) => {
            let job = jobs.remove(first + position);
            if let Err(error) = wait_for(&job) {
                results.failed(&error)?;
            }
            Ok(true)
        }
    }
}

/// The script's name and its text.
pub fn read(file: &str, common: &Common) -> anyhow::Result<(String, String)> {
    if file == "-" {
        let mut text = String::new();
        stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        return Ok(("stdin".to_owned(), text));
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the script '{file}'"))?;
    let named = std::fs::canonicalize(file).and_then(|path| {
        let storage = OsStorage::open(common.data_dir.join(CHECKPOINT_DIRECTORY))?;
        script::name_of(&storage, &path)
    });
    let name = named.with_context(|| {
        let directory = common.data_dir.display();
        format!("cannot record the name of the script '{file}' in the data directory '{directory}'")
    })?;
    Ok((name, text))
}

/// Ends jobs after a last checkpoint, from which the next run continues.
fn stop_all(jobs: &[JobHandle]) -> Failure {
    jobs.iter().for_each(JobHandle::stop);
    for job in jobs {
        while !job.wait(LOOK).is_terminal() {}
        if let (JobStatus::Failed, Some(error)) = (job.status(), job.error()) {
            eprintln!("error: job {}: {}", job.name(), error.message);
        }
    }
    Failure::Interrupted
}
