//! The command line, declared once: parsing, `--help` and shell completions derive from it.

mod acl;
mod chaos;
mod group;
mod job;
mod topic;
mod user;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

pub use acl::{AclArgs, AclCommand, AclFilterArgs, AddAclArgs, GrantArgs, RemoveAclArgs, ResourceArgs};
pub use chaos::ChaosArgs;
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
  millstream run job.sql                    run a script; the embedded broker serves its topics
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

/// Options common to all commands.
#[derive(Args, Debug, Clone)]
pub struct Common {
    /// Data directory: topics, checkpoints, jobs, and everything else that must survive a restart
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "./.millstream",
        env = "MILLSTREAM_DATA_DIR"
    )]
    pub data_dir: PathBuf,
    /// Set a Flink configuration key, or a Kafka broker configuration; may be repeated
    #[arg(short = 'D', global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub define: Vec<(String, String)>,
    /// Listen address of the embedded broker; a port alone means loopback
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9092",
        env = "MILLSTREAM_KAFKA"
    )]
    pub kafka: String,
    /// Connect to the second address wherever tables or brokers name the first, as with kafka:9092=127.0.0.1:9092; may be
    /// repeated
    #[arg(long, global = true, value_name = "HOST:PORT=HOST:PORT", value_parser = address_pair)]
    pub map: Vec<AddressPair>,
    /// Output format of results
    #[arg(long, global = true, value_enum, env = "MILLSTREAM_OUTPUT")]
    pub output: Option<OutputFormat>,
    /// Print only results and errors
    #[arg(long, short, global = true, env = "MILLSTREAM_QUIET", value_parser = clap::builder::FalseyValueParser::new())]
    pub quiet: bool,
    /// Log level on standard error: error, warn, info, debug, trace, or a filter such as millstream_broker=debug
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        default_value = "warn",
        env = "MILLSTREAM_LOG"
    )]
    pub log: String,
    /// Format of log lines
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

fn key_value(text: &str) -> anyhow::Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => anyhow::bail!("'{text}' is not of the form KEY=VALUE, for example parallelism.default=1"),
    }
}

/// An address, and the one that is connected to instead.
pub type AddressPair = ((String, u16), (String, u16));

fn address_pair(text: &str) -> anyhow::Result<AddressPair> {
    let address = |text: &str| {
        let (host, port) = text.trim().rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        (!host.is_empty()).then_some((host, port.parse().ok()?))
    };
    let pair = text
        .split_once('=')
        .and_then(|(named, reached)| Some((address(named)?, address(reached)?)));
    pair.with_context(|| {
        format!("'{text}' is not of the form HOST:PORT=HOST:PORT, for example kafka:9092=127.0.0.1:9092")
    })
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a SQL script: wait for bounded jobs, run unbounded ones until Ctrl-C
    #[command(after_help = "\
Examples:
  millstream run job.sql
  millstream run job.sql -D parallelism.default=1 --output changelog
  cat job.sql | millstream run -")]
    Run(RunArgs),
    /// Execute SQL statements: interactively on a terminal, otherwise from standard input
    #[command(after_help = "\
Examples:
  millstream sql
  millstream sql -e \"SELECT word, COUNT(*) FROM (VALUES ('a'), ('b'), ('a')) AS t (word) GROUP BY word\"
  millstream sql -f setup.sql --output json")]
    Sql(SqlArgs),
    /// Run only the Kafka broker, until Ctrl-C
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
  millstream serve --config conf/config.yaml
  millstream serve -D rest.port=8081 -D sql-gateway.endpoint.rest.port=8083 -D metrics.reporter.prom.port=9249")]
    Serve(ServeArgs),
    /// Kill a script at random moments and compare its output with an undisturbed run
    #[command(after_help = "\
Examples:
  millstream chaos job.sql
  millstream chaos job.sql --kills 100 --seed 7 --output json

The script runs on copies of --data-dir, whose broker must not be running. Exit code 1: something is lost or doubled.")]
    Chaos(ChaosArgs),
    /// List, inspect, stop and cancel the jobs of a server
    Job(JobArgs),
    /// Create, alter, write and read topics
    Topic(TopicArgs),
    /// Show, reset and delete consumer groups
    Group(GroupArgs),
    /// Manage access control: who may do what with topics, groups, transactional ids and the cluster
    Acl(AclArgs),
    /// Manage users' credentials and quotas
    User(UserArgs),
    /// Write the reference pages to a directory
    #[command(hide = true)]
    Reference { directory: PathBuf },
    /// Print completions for a shell
    #[command(after_help = "Example:\n  millstream completions bash > /etc/bash_completion.d/millstream")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Options of commands that start a broker or run jobs.
#[derive(Args, Debug)]
pub struct SettingsArgs {
    /// Flink's config.yaml, or a TOML file: command-line options at the top, Kafka broker configurations in [broker], Flink
    /// keys in [flink]; without it FLINK_CONF_DIR/config.yaml or conf/config.yaml is read if it is there
    #[arg(long, value_name = "FILE", env = "MILLSTREAM_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct BrokerArgs {
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// Listen address of the Prometheus endpoint (/metrics); a port alone means loopback
    #[arg(long, value_name = "HOST:PORT", env = "MILLSTREAM_METRICS")]
    pub metrics: Option<String>,
    /// File with the token that clients of the metrics endpoint must send; required unless it listens on loopback
    #[arg(long, value_name = "FILE", requires = "metrics")]
    pub metrics_token_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// File of users with hashed passwords and tokens, who may use the HTTP interfaces; required unless these listen on
    /// loopback
    #[arg(long, value_name = "FILE", env = "MILLSTREAM_USERS_FILE")]
    pub users_file: Option<PathBuf>,
    /// Read a password from standard input, print its line for the users file, and exit; the roles are viewer, operator
    /// and admin
    #[arg(long, value_name = "NAME:ROLE")]
    pub hash_user: Option<String>,
}

#[derive(Args, Debug)]
pub struct RunArgs {
    /// SQL script; - reads standard input
    #[arg(value_name = "FILE.sql")]
    pub file: String,
    /// What to do after a failed statement
    #[arg(long, value_enum, default_value = "stop")]
    pub on_error: OnError,
    /// Discard the state of earlier runs of this script and start from the beginning
    #[arg(long)]
    pub fresh: bool,
    /// Start from a savepoint; repeat it for each job of a script with several
    #[arg(long, value_name = "PATH", conflicts_with = "fresh")]
    pub from_savepoint: Vec<String>,
    /// Start even if some stored state matches no operator, or some operator has no stored state
    #[arg(long)]
    pub allow_non_restored_state: bool,
    /// Submit the jobs to a running server, print their ids, and exit
    #[arg(long, conflicts_with = "fresh")]
    pub detach: bool,
    /// URL of the server's SQL Gateway; defaults to the server of --data-dir, or http://127.0.0.1:8083
    #[arg(long, value_name = "URL", requires = "detach")]
    pub gateway: Option<String>,
    #[command(flatten)]
    pub settings: SettingsArgs,
}

#[derive(Args, Debug)]
pub struct SqlArgs {
    /// One or more statements, separated by ;
    #[arg(short = 'e', long = "execute", value_name = "STMT", conflicts_with = "file")]
    pub execute: Option<String>,
    /// SQL script
    #[arg(short = 'f', long, value_name = "FILE")]
    pub file: Option<String>,
    /// What to do after a failed statement
    #[arg(long, value_enum, default_value = "continue")]
    pub on_error: OnError,
    /// Execute the statements on a server, given the URL of its SQL Gateway
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// History file of the shell
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// `--on-error`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum OnError {
    /// Execute the next statement
    Continue,
    /// Exit with code 1
    Stop,
}

/// Options of commands that are Kafka clients.
#[derive(Args, Debug, Clone)]
pub struct ClientArgs {
    /// Bootstrap server; if it is not given and nothing listens on 127.0.0.1:9092, the command opens the broker of
    /// --data-dir while it runs
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub bootstrap_server: Option<String>,
    /// File of client properties, as for the kafka-* tools
    #[arg(long, global = true, value_name = "FILE")]
    pub command_config: Option<PathBuf>,
}
