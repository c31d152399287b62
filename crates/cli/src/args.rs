//! The command line, declared once: parsing, `--help` and shell completions come from here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::output::OutputFormat;

/// Flink SQL and a Kafka broker in one program.
#[derive(Parser, Debug)]
#[command(
    name = "millstream",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(after_help = "\
Examples:
  millstream run job.sql                    run a script; the broker inside serves its topics
  millstream sql                            a shell for statements
  millstream sql -e \"SELECT 1 + 1\"           one statement
  millstream broker                         the broker alone, on 127.0.0.1:9092
  echo hello | millstream topic produce t   one record into a topic
  millstream topic tail t --from-beginning  what is in a topic

Exit codes: 0 done, 1 a statement or job failed, 2 wrong usage, 130 interrupted.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub common: Common,
}

/// Options of every command.
#[derive(Args, Debug, Clone)]
pub struct Common {
    /// Directory for everything that must survive: topics, checkpoints, jobs
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "./.millstream",
        env = "MILLSTREAM_DATA_DIR"
    )]
    pub data_dir: PathBuf,
    /// A Flink configuration key, or for the broker one of Kafka's; may be repeated
    #[arg(short = 'D', global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub define: Vec<(String, String)>,
    /// Address on which the broker inside listens
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9092",
        env = "MILLSTREAM_KAFKA"
    )]
    pub kafka: String,
    /// How results are printed
    #[arg(long, global = true, value_enum)]
    pub output: Option<OutputFormat>,
    /// Say nothing but results and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// What to log on standard error: error, warn, info, debug, trace, or a filter such as millstream_broker=debug
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        default_value = "warn",
        env = "MILLSTREAM_LOG"
    )]
    pub log: String,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err(format!(
            "'{text}' is not of the form KEY=VALUE, for example parallelism.default=1"
        )),
    }
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a SQL script: waits for bounded jobs, runs unbounded ones until Ctrl-C
    #[command(after_help = "\
Examples:
  millstream run job.sql
  millstream run job.sql -D parallelism.default=1 --output changelog
  cat job.sql | millstream run -")]
    Run(RunArgs),
    /// Execute statements: a shell on a terminal, from standard input otherwise
    #[command(after_help = "\
Examples:
  millstream sql
  millstream sql -e \"SELECT word, COUNT(*) FROM (VALUES ('a'), ('b'), ('a')) AS t (word) GROUP BY word\"
  millstream sql -f setup.sql --output json")]
    Sql(SqlArgs),
    /// Run the Kafka broker alone, until Ctrl-C
    #[command(after_help = "\
Examples:
  millstream broker
  millstream broker --data-dir /var/lib/millstream -D num.partitions=4 -D log.retention.hours=24")]
    Broker,
    /// Create, list, describe, delete, fill and read topics
    Topic(TopicArgs),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  millstream completions bash > /etc/bash_completion.d/millstream")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Args, Debug)]
pub struct RunArgs {
    /// The script; - reads standard input
    #[arg(value_name = "FILE.sql")]
    pub file: String,
    /// Go on behind a failed statement
    #[arg(long, value_enum, default_value = "stop")]
    pub on_error: OnError,
    /// Forget what earlier runs of this script left behind and start anew
    #[arg(long)]
    pub fresh: bool,
}

#[derive(Args, Debug)]
pub struct SqlArgs {
    /// A statement, or several with ; between them
    #[arg(short = 'e', long = "execute", value_name = "STMT", conflicts_with = "file")]
    pub execute: Option<String>,
    /// A script
    #[arg(short = 'f', long, value_name = "FILE")]
    pub file: Option<String>,
    /// What to do behind a failed statement
    #[arg(long, value_enum, default_value = "continue")]
    pub on_error: OnError,
    /// Where the shell keeps its history
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
}

/// `--on-error`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum OnError {
    /// Run the next statement
    Continue,
    /// End with exit code 1
    Stop,
}

/// Options of commands that are Kafka clients.
#[derive(Args, Debug, Clone)]
pub struct ClientArgs {
    /// The Kafka to talk to; without it, and with nothing listening on 127.0.0.1:9092, the broker of --data-dir is
    /// opened for the length of the command
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub bootstrap_server: Option<String>,
    /// A file of client properties, as the kafka-* tools take it
    #[arg(long, global = true, value_name = "FILE")]
    pub command_config: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  millstream topic create orders --partitions 4 --config retention.ms=86400000
  millstream topic list
  printf 'k1:v1\\nk2:v2\\n' | millstream topic produce orders --key-separator :
  millstream topic tail orders --from-beginning --exit-at-end --output json")]
pub struct TopicArgs {
    #[command(subcommand)]
    pub command: TopicCommand,
    #[command(flatten)]
    pub client: ClientArgs,
}

#[derive(Subcommand, Debug)]
pub enum TopicCommand {
    /// Create a topic
    Create {
        name: String,
        /// How many partitions; the broker's num.partitions if left out
        #[arg(long, value_name = "N")]
        partitions: Option<i32>,
        /// A topic configuration; may be repeated
        #[arg(long = "config", value_name = "KEY=VALUE", value_parser = key_value)]
        configs: Vec<(String, String)>,
        /// No error if the topic exists
        #[arg(long)]
        if_not_exists: bool,
    },
    /// List topics
    List,
    /// Show partitions, offsets and configurations of a topic
    Describe { name: String },
    /// Delete topics
    Delete {
        #[arg(required = true)]
        names: Vec<String>,
        /// No error if a topic does not exist
        #[arg(long)]
        if_exists: bool,
    },
    /// Send each line of standard input as a record
    Produce {
        name: String,
        /// What separates key and value in a line; without it lines are values
        #[arg(long, value_name = "C")]
        key_separator: Option<String>,
        /// The partition; chosen by key, or in turn, if left out
        #[arg(long, value_name = "P")]
        partition: Option<i32>,
    },
    /// Print each record's value on a line
    Tail {
        name: String,
        /// Start with the oldest record instead of the next to come
        #[arg(long)]
        from_beginning: bool,
        /// End when everything that was there at the start is printed
        #[arg(long)]
        exit_at_end: bool,
        /// Only this partition
        #[arg(long, value_name = "P")]
        partition: Option<i32>,
        /// Start at this offset
        #[arg(long, value_name = "N", conflicts_with = "from_beginning")]
        offset: Option<i64>,
        /// End after so many records
        #[arg(long, value_name = "N")]
        max_records: Option<u64>,
        /// Whether records of open and aborted transactions are shown
        #[arg(long, value_enum, default_value = "read_uncommitted")]
        isolation_level: Isolation,
    },
}

/// `--isolation-level`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Isolation {
    #[value(name = "read_committed")]
    ReadCommitted,
    #[value(name = "read_uncommitted")]
    ReadUncommitted,
}
