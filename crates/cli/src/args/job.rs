//! Arguments of `millstream job`.

use clap::{Args, Subcommand};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  millstream job list
  millstream job describe orders
  millstream job stop 49d878637868c74c994f681751b2e02e
  millstream job metrics orders --output json
  millstream job list --watch --rest http://127.0.0.1:8081

A job is named by its id, the beginning of its id, or its name.
Servers with users: MILLSTREAM_TOKEN=TOKEN or MILLSTREAM_USER=NAME:PASSWORD.")]
pub struct JobArgs {
    #[command(subcommand)]
    pub command: JobCommand,
    /// The job REST API of a server; without it the server of --data-dir, or http://127.0.0.1:8081
    #[arg(long, global = true, value_name = "URL")]
    pub rest: Option<String>,
}

#[derive(Subcommand, Debug)]
pub enum JobCommand {
    /// List jobs
    List {
        /// Ended jobs too
        #[arg(long, short)]
        all: bool,
        /// Show the list again every second, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Show a job: state, vertices, checkpoints, failures
    Describe {
        job: String,
        /// Show it again every second, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// End a job now; its state is given up
    Cancel { job: String },
    /// End a job after a last checkpoint
    Stop {
        job: String,
        /// Directory for a savepoint
        #[arg(long, value_name = "DIR")]
        savepoint_path: Option<String>,
        /// End the input first, so that windows fire
        #[arg(long)]
        drain: bool,
    },
    /// Take a savepoint
    Savepoint {
        job: String,
        /// Directory for the savepoint; without it execution.checkpointing.savepoint-dir
        directory: Option<String>,
    },
    /// Take a checkpoint now
    Checkpoint { job: String },
    /// Show the failures of a job and the newest lines of the server's log
    Logs { job: String },
    /// Show the metrics of a job and its operators
    Metrics { job: String },
    /// Show the operators of a job and how they are connected
    Explain { job: String },
}
