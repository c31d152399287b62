//! `millstream sql`: statements from the command line, a file, standard input, or a shell.

use std::io::{IsTerminal, Read, stdin};

use anyhow::Context;
use millstream_session::{JobHandle, Session, wait_for};
use millstream_sql::parse::split::{Pending, Splitter};

use crate::args::{Common, OnError, SqlArgs};
use crate::commands::remote;
use crate::commands::statement::{
    Ended, Interrupt, ResultPrinter, ends_uninterrupted, keep_catalog, session, statements,
};
use crate::exit::{Failure, Outcome};
use crate::output::OutputFormat;
use crate::process::Process;
use crate::repl;

/// Bytes read from standard input at a time.
const READ_BYTES: usize = 64 << 10;

pub fn run(process: &Process, common: &Common, args: SqlArgs) -> Outcome {
    if let Some(gateway) = &args.gateway {
        return remote::sql(process, common, &args, gateway);
    }
    let mut session = session(process, common, false, false)?;
    let is_shell = args.execute.is_none() && args.file.is_none() && stdin().is_terminal();
    keep_catalog(&mut session, common, is_shell)?;
    if !is_shell {
        // The session does not watch for Ctrl-C.
        session.leave_waiting_to_caller();
    }
    let interrupt = Interrupt::listen(process);
    let format = common.output.unwrap_or(OutputFormat::Table);
    let mut runner = Runner {
        results: ResultPrinter::new(format, interrupt.clone(), common.quiet),
        on_error: args.on_error,
        failed: false,
        serves_program: format == OutputFormat::Json,
        interrupt: interrupt.clone(),
        jobs: Vec::new(),
        is_script: args.execute.is_some() || args.file.is_some(),
    };
    if let Some(text) = &args.execute {
        runner.script(&mut session, text)?;
    } else if let Some(file) = &args.file {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read the script '{file}'"))?;
        runner.script(&mut session, &text)?;
    } else if is_shell {
        return repl::run(
            common,
            &mut session,
            &mut runner.results,
            &interrupt,
            args.history,
        );
    } else {
        runner.input(&mut session)?;
    }
    runner.finish()
}

struct Runner {
    results: ResultPrinter,
    on_error: OnError,
    failed: bool,
    /// Whether a program reads the results.
    serves_program: bool,
    interrupt: Interrupt,
    /// Jobs, and whether each is bounded.
    jobs: Vec<(JobHandle, bool)>,
    /// The statements come from the command line or a file, not from a program that may send more.
    is_script: bool,
}

impl Runner {
    fn script(&mut self, session: &mut Session, text: &str) -> Outcome {
        let mut rest = statements(text);
        for statement in rest.by_ref() {
            if !self.statement(session, &statement)? {
                break;
            }
        }
        if self.failed {
            self.results.check_rest(rest)?;
        }
        Ok(())
    }

    /// Executes the statements of standard input as they arrive.
    fn input(&mut self, session: &mut Session) -> Outcome {
        let mut splitter = Splitter::default();
        let mut pending = Vec::new();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = stdin()
                .lock()
                .read(&mut buffer)
                .context("cannot read standard input")?;
            if read == 0 {
                break;
            }
            pending.extend_from_slice(&buffer[..read]);
            let text = take_text(&mut pending);
            splitter.push(&text);
            while let Some(statement) = splitter.next_statement() {
                if !self.statement(session, &statement)? {
                    return Ok(());
                }
            }
            if self.is_given_up(&text, splitter.pending())
                && let Some(statement) = splitter.finish()
                && !self.statement(session, &statement)?
            {
                return Ok(());
            }
        }
        if let Some(statement) = splitter.finish() {
            self.statement(session, &statement)?;
        }
        Ok(())
    }

    /// Whether a program has sent a complete statement with an unclosed string, name or comment. The program waits for
    /// the result, so no later input can close it. Such programs end each statement with a line that contains only `;`.
    fn is_given_up(&self, text: &str, pending: Pending) -> bool {
        let is_open = matches!(pending, Pending::String | Pending::Identifier | Pending::Comment);
        self.serves_program && is_open && text.ends_with("\n;\n")
    }

    /// Executes one statement. Returns `false` to stop.
    fn statement(&mut self, session: &mut Session, sql: &str) -> Result<bool, Failure> {
        match self.results.execute(session, sql)? {
            Ended::Ok => {}
            Ended::Running { job, bounded } => {
                // Under `table.dml-sync` the job has ended, unless Ctrl-C came first.
                if !session.configuration().dml_sync() {
                    self.jobs.push((job, bounded));
                } else if self.interrupt.is_set() {
                    job.cancel();
                    return Err(Failure::Interrupted);
                }
            }
            Ended::Client(millstream_session::ClientCommand::Quit) => return Ok(false),
            Ended::Client(_) => {}
            Ended::Interrupted => return Err(Failure::Interrupted),
            Ended::Failed => {
                self.failed = true;
                return Ok(self.on_error == OnError::Continue);
            }
        }
        Ok(true)
    }

    /// Waits for jobs: for all of them after a script, until Ctrl-C. The end of standard input stops unbounded jobs.
    fn finish(mut self) -> Outcome {
        for (job, bounded) in &self.jobs {
            if !bounded && !self.is_script {
                job.cancel();
                continue;
            }
            if !ends_uninterrupted(job, &self.interrupt) {
                self.jobs.iter().for_each(|(job, _)| job.cancel());
                return Err(Failure::Interrupted);
            }
            if let Err(error) = wait_for(job) {
                self.failed = true;
                self.results.failed(&error)?;
            }
        }
        if self.failed {
            Err(Failure::Reported)
        } else {
            Ok(())
        }
    }
}

/// Takes the longest prefix of complete characters; invalid bytes are replaced.
fn take_text(bytes: &mut Vec<u8>) -> String {
    let whole = match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => bytes.len(),
    };
    let rest = bytes.split_off(whole);
    let text = String::from_utf8_lossy(bytes).into_owned();
    *bytes = rest;
    text
}
