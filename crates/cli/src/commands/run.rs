//! `millstream run`: a script.

use std::io::{Read, stdin};

use anyhow::Context;
use millstream_session::{JobHandle, wait_for};

use crate::args::{Common, OnError, RunArgs};
use crate::commands::progress::{Followed, LOOK, follow};
use crate::commands::statement::{Ended, Interrupt, ResultPrinter, session, statements};
use crate::exit::{Failure, Outcome};
use crate::output::OutputFormat;
use crate::process::Process;

/// Runs a script: statement by statement, waiting for jobs that end by themselves; at the end of the script it goes on
/// with the others until Ctrl-C, which stops them after a last checkpoint.
pub fn run(process: &Process, common: &Common, args: RunArgs) -> Outcome {
    let (name, script) = read(&args.file)?;
    let mut session = session(process, common, true, args.fresh)?;
    session.name_jobs_after(name);
    let interrupt = Interrupt::listen(process);
    let format = common.output.unwrap_or(OutputFormat::Table);
    let mut results = ResultPrinter::new(format, interrupt.clone(), common.quiet);
    let mut running: Vec<JobHandle> = Vec::new();
    let mut failed = false;
    for statement in statements(&script) {
        match results.execute(&mut session, &statement)? {
            Ended::Ok => {}
            Ended::Client(_) => break,
            Ended::Running { job, bounded } => {
                running.push(job);
                // A job that ends by itself comes before the next statement, which may read what it wrote.
                if bounded {
                    failed |= wait(&mut running, 1, &interrupt, common, &mut results)?;
                }
            }
            Ended::Interrupted => return Err(stop_all(&running)),
            Ended::Failed => failed = true,
        }
        if failed && args.on_error == OnError::Stop {
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
    if failed { Err(Failure::Reported) } else { Ok(()) }
}

/// Follows the last `count` jobs until they have ended, or until one of them fails, which is told. What has ended is no
/// longer among them afterwards. Ctrl-C stops all jobs.
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

/// The script's name, without directories and ending, and its text.
fn read(file: &str) -> anyhow::Result<(String, String)> {
    if file == "-" {
        let mut text = String::new();
        stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        return Ok(("stdin".to_owned(), text));
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the script '{file}'"))?;
    let stem = std::path::Path::new(file)
        .file_stem()
        .and_then(|s| s.to_str())
        .unwrap_or(file);
    Ok((stem.to_owned(), text))
}

/// Ends jobs after a last checkpoint, from which the next run goes on.
fn stop_all(jobs: &[JobHandle]) -> Failure {
    jobs.iter().for_each(JobHandle::stop);
    for job in jobs {
        while !job.wait(LOOK).is_terminal() {}
    }
    Failure::Interrupted
}
