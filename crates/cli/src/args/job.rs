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
    /// URL of the server's job REST API; defaults to the server of --data-dir, or http://127.0.0.1:8081
    #[arg(long, global = true, value_name = "URL")]
    pub rest: Option<String>,
}

#[derive(Subcommand, Debug)]
pub enum JobCommand {
    /// List jobs
    List {
        /// Include jobs that have ended
        #[arg(long, short)]
        all: bool,
        /// Refresh the list every second until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Show a job's state, vertices, checkpoints and failures
    Describe {
        job: String,
        /// Refresh every second until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Cancel a job and discard its state
    Cancel { job: String },
    /// Stop a job after a last checkpoint
    Stop {
        job: String,
        /// Take a savepoint in this directory
        #[arg(long, value_name = "DIR")]
        savepoint_path: Option<String>,
        /// End the input first, so that windows fire
        #[arg(long)]
        drain: bool,
    },
    /// Take a savepoint
    Savepoint {
        job: String,
        /// Directory for the savepoint; the default is execution.checkpointing.savepoint-dir
        directory: Option<String>,
    },
    /// Take a checkpoint now
    Checkpoint { job: String },
    /// Show a job's failures and the latest lines of the server's log
    Logs { job: String },
    /// Show the metrics of a job and its operators
    Metrics { job: String },
    /// Say why a job is behind: its bottleneck, partitions that hold the watermark back, late records
    ExplainLag { job: String },
    /// Show the operators of a job and how they are connected
    Explain { job: String },
}
