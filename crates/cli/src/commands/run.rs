//! `millstream run`: a script.

use std::io::{IsTerminal, Read, Write, stderr, stdin, stdout};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use millstream_session::{JobHandle, JobStatus, wait_for};

use crate::args::{Common, OnError, RunArgs};
use crate::commands::statement::{Ended, Interrupt, Shower, session, statements};
use crate::exit::{Failure, Outcome};
use crate::output::OutputFormat;
use crate::process::Process;

/// How often a running job's status is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Looks between two lines of progress where there is no terminal: 10 s.
const LOOKS_PER_LINE: u32 = 50;

/// Runs a script: statement by statement, waiting for jobs that end by themselves; at the end of the script it goes on
/// with the others until Ctrl-C, which stops them after a last checkpoint.
pub fn run(process: &Process, common: &Common, args: RunArgs) -> Outcome {
    let (name, script) = read(&args.file)?;
    let mut session = session(process, common, true, args.fresh)?;
    session.name_jobs_after(name);
    let interrupt = Interrupt::listen(process);
    let format = common.output.unwrap_or(OutputFormat::Table);
    let mut shower = Shower::new(format, interrupt.clone(), common.quiet);
    let mut running: Vec<JobHandle> = Vec::new();
    let mut failed = false;
    for statement in statements(&script) {
        match shower.execute(&mut session, &statement)? {
            Ended::Ok => {}
            Ended::Client(_) => break,
            Ended::Running { job, bounded } => match bounded {
                true => match follow(&job, &interrupt, common) {
                    JobStatus::Finished => {}
                    _ if interrupt.is_set() => return Err(stop_all(&running)),
                    _ => {
                        failed = true;
                        if let Err(error) = wait_for(&job) {
                            shower.failed(&error)?;
                        }
                    }
                },
                false => running.push(job),
            },
            Ended::Interrupted => return Err(stop_all(&running)),
            Ended::Failed => failed = true,
        }
        if failed && args.on_error == OnError::Stop {
            stop_all(&running);
            return Err(Failure::Reported);
        }
    }
    for job in &running {
        match follow(job, &interrupt, common) {
            _ if interrupt.is_set() => return Err(stop_all(&running)),
            JobStatus::Finished | JobStatus::Canceled => {}
            _ => {
                failed = true;
                if let Err(error) = wait_for(job) {
                    shower.failed(&error)?;
                }
            }
        }
    }
    if failed { Err(Failure::Reported) } else { Ok(()) }
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

/// Waits for the end of a job, or Ctrl-C, showing how it goes.
fn follow(job: &JobHandle, interrupt: &Interrupt, common: &Common) -> JobStatus {
    let bar = (!common.quiet && stderr().is_terminal() && stdout().is_terminal()).then(|| {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar
    });
    let mut looks = 0;
    loop {
        let status = job.wait(LOOK);
        if status.is_terminal() || interrupt.is_set() {
            if let Some(bar) = &bar {
                bar.finish_and_clear();
            }
            return status;
        }
        looks += 1;
        let line = || status_line(job, status);
        match &bar {
            Some(bar) => {
                bar.set_message(line());
                bar.tick();
            }
            None if looks % LOOKS_PER_LINE == 0 && !common.quiet => {
                // Talk must not fail the job when nobody listens.
                let _ = writeln!(stderr(), "{}", line());
            }
            None => {}
        }
    }
}

fn status_line(job: &JobHandle, status: JobStatus) -> String {
    let metrics = job.metrics();
    let checkpoints = job.checkpoints();
    let last = checkpoints
        .latest_completed()
        .map_or_else(|| "none".to_owned(), |c| format!("#{}", c.id));
    let (mut read, mut written, mut state) = (0, 0, 0);
    for (vertex, info) in job.vertices().iter().enumerate() {
        let is_sink = !job.vertices().iter().any(|other| other.inputs.contains(&vertex));
        for operator in metrics.of_vertex(vertex) {
            read += if info.inputs.is_empty() {
                operator.records_out.load(Ordering::Relaxed)
            } else {
                0
            };
            written += if is_sink {
                operator.records_in.load(Ordering::Relaxed)
            } else {
                0
            };
            state += operator.state_bytes.load(Ordering::Relaxed);
        }
    }
    format!(
        "{} {}: {read} records read, {written} written, state {state} bytes, last checkpoint {last}",
        job.name(),
        status.name(),
    )
}
