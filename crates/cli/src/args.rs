//! The command line, declared once: parsing, `--help` and shell completions come from here.

mod acl;
mod group;
mod job;
mod topic;
mod user;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use acl::{AclArgs, AclCommand, AclFilterArgs, AddAclArgs, GrantArgs, RemoveAclArgs, ResourceArgs};
pub use group::{DescribeGroupArgs, GroupArgs, GroupCommand, GroupNamesArgs, Names, ResetOffsetsArgs};
pub use job::{JobArgs, JobCommand};
pub use topic::{
    AlterTopicArgs, DescribeTopicArgs, Isolation, OffsetsArgs, ProduceArgs, StartOffset, TailArgs, TopicArgs,
    TopicCommand, TopicFilterArgs,
};
pub use user::{EntityArgs, EntityType, Mechanism, QuotaCommand, UserArgs, UserCommand};

use crate::logging::LogFormat;
use crate::output::OutputFormat;

/// Flink SQL and a Kafka broker in one program.
#[derive(Parser, Debug)]
#[command(
    name = "millstream",
    version = env!("BUILD_VERSION"),
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
  millstream group describe billing         how far a consumer group is

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
    /// Address on which the broker inside listens; a port alone is one of loopback
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9092",
        env = "MILLSTREAM_KAFKA"
    )]
    pub kafka: String,
    /// How results are printed
    #[arg(long, global = true, value_enum, env = "MILLSTREAM_OUTPUT")]
    pub output: Option<OutputFormat>,
    /// Say nothing but results and errors
    #[arg(long, short, global = true, env = "MILLSTREAM_QUIET", value_parser = clap::builder::FalseyValueParser::new())]
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
    /// How log lines are written
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value = "text",
        env = "MILLSTREAM_LOG_FORMAT"
    )]
    pub log_format: LogFormat,
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
  millstream broker --data-dir /var/lib/millstream -D num.partitions=4 -D log.retention.hours=24
  millstream broker --config /etc/millstream.toml
  MILLSTREAM_NUM_PARTITIONS=4 millstream broker
  millstream broker --metrics 9308
  millstream broker -D listeners=PLAINTEXT://127.0.0.1:9092,SASL_SSL://0.0.0.0:9093 \\
    -D ssl.keystore.location=broker.pem -D sasl.enabled.mechanisms=SCRAM-SHA-512

Who may connect, and how: docs/security.md")]
    Broker(BrokerArgs),
    /// Run everything until Ctrl-C: broker, SQL Gateway, job REST API, Web UI, metrics
    #[command(after_help = "\
Examples:
  millstream serve
  millstream serve --data-dir /var/lib/millstream --kafka 127.0.0.1:9092
  millstream serve -D rest.port=8081 -D sql-gateway.endpoint.rest.port=8083 -D metrics.reporter.prom.port=9249")]
    Serve(ServeArgs),
    /// Show the jobs of a server and steer them
    Job(JobArgs),
    /// Create, change, fill and read topics
    Topic(TopicArgs),
    /// Show, reset and delete consumer groups
    Group(GroupArgs),
    /// Say who may do what to topics, groups, transactional ids and the cluster
    Acl(AclArgs),
    /// Manage users' passwords and quotas
    User(UserArgs),
    /// Write the reference pages into a directory
    #[command(hide = true)]
    Reference { directory: PathBuf },
    /// Print completions for a shell
    #[command(after_help = "Example:\n  millstream completions bash > /etc/bash_completion.d/millstream")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Options of the commands that start a broker or run jobs.
#[derive(Args, Debug)]
pub struct SettingsArgs {
    /// A TOML file: options of the command line at its head, Kafka's broker configurations below [broker], Flink's keys
    /// below [flink]
    #[arg(long, value_name = "FILE", env = "MILLSTREAM_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct BrokerArgs {
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// Address of the endpoint for Prometheus, /metrics; a port alone is one of loopback
    #[arg(long, value_name = "HOST:PORT", env = "MILLSTREAM_METRICS")]
    pub metrics: Option<String>,
    /// A file with the token that readers of metrics must send; needed off loopback
    #[arg(long, value_name = "FILE", requires = "metrics")]
    pub metrics_token_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// A file of users with hashed passwords and tokens, who alone may use the HTTP doors; needed off loopback
    #[arg(long, value_name = "FILE", env = "MILLSTREAM_USERS_FILE")]
    pub users_file: Option<PathBuf>,
    /// Read a password from standard input, print the line of the users file, and end; roles are viewer, operator, admin
    #[arg(long, value_name = "NAME:ROLE")]
    pub hash_user: Option<String>,
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
    /// Start from a savepoint; give one for each job if the script has several
    #[arg(long, value_name = "PATH", conflicts_with = "fresh")]
    pub from_savepoint: Vec<String>,
    /// Start although some stored state fits no operator, or some operators have none
    #[arg(long)]
    pub allow_non_restored_state: bool,
    /// Submit the jobs to a running server, print their ids, and return
    #[arg(long, conflicts_with = "fresh")]
    pub detach: bool,
    /// The SQL Gateway of the server; without it the server of --data-dir, or http://127.0.0.1:8083
    #[arg(long, value_name = "URL", requires = "detach")]
    pub gateway: Option<String>,
    #[command(flatten)]
    pub settings: SettingsArgs,
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
    /// Execute the statements on a server: the URL of its SQL Gateway
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// Where the shell keeps its history
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    #[command(flatten)]
    pub settings: SettingsArgs,
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
