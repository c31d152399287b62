//! The binary `millstream`: parses the arguments, creates the process-wide singletons, runs a command.

mod args;
mod commands;
mod exit;
mod failpoints;
mod logging;
mod output;
mod process;
mod reference;
mod remote;
mod repl;
mod settings;

use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};

use crate::args::{Cli, Command};
use crate::exit::Outcome;
use crate::process::Process;

/// The engine allocates many short-lived buffers on several threads; for these, mimalloc is twice as fast as the system
/// allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let settled = settings::complete(&mut cli, &matches);
    logging::start(&cli.common.log, cli.common.log_format);
    match settled.map_err(Into::into).and_then(|()| run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(failure.report()),
    }
}

fn run(cli: Cli) -> Outcome {
    if let Command::Completions { shell } = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "millstream", &mut std::io::stdout());
        return Ok(());
    }
    if let Command::Reference { directory } = &cli.command {
        return Ok(reference::write(directory)?);
    }
    failpoints::arm()?;
    let process = Process::start(&cli.common)?;
    let outcome = match cli.command {
        Command::Run(args) => commands::run::run(&process, &cli.common, args),
        Command::Sql(args) => commands::sql::run(&process, &cli.common, args),
        Command::Broker(args) => commands::broker::run(&process, &cli.common, args),
        Command::Chaos(args) => commands::chaos::run(&process, &cli.common, &args),
        Command::Serve(args) => commands::serve::run(&process, &cli.common, args),
        Command::Job(args) => commands::job::run(&process, &cli.common, &args),
        Command::Topic(args) => commands::topic::run(&process, &cli.common, &args),
        Command::Group(args) => commands::group::run(&process, &cli.common, &args),
        Command::Acl(args) => commands::acl::run(&process, &cli.common, &args),
        Command::User(args) => commands::user::run(&process, &cli.common, &args),
        Command::Completions { .. } | Command::Reference { .. } => Ok(()),
    };
    // A command did not succeed if the broker that it used has a failed log.
    let stopped = process.clusters.stop().context("the broker did not stop cleanly");
    match (outcome, stopped) {
        (Ok(()), stopped) => Ok(stopped?),
        (failed, Ok(())) => failed,
        (failed, Err(error)) => {
            tracing::error!("{}", exit::chain(&error));
            failed
        }
    }
}
