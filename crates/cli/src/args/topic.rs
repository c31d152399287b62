//! Arguments of `millstream topic`.

use clap::{Args, Subcommand};

use super::{ClientArgs, key_value};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  millstream topic create orders --partitions 4 --config retention.ms=86400000
  millstream topic list
  millstream topic alter orders --partitions 8 --config cleanup.policy=compact --delete-config retention.ms
  printf 'k1:v1\\nk2:v2\\n' | millstream topic produce orders --key-separator :
  millstream topic tail orders --from-beginning --exit-at-end --output json
  millstream topic offsets orders --time -2")]
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
        /// How many copies; the broker inside has one node and keeps one
        #[arg(long, value_name = "N")]
        replication_factor: Option<i16>,
        /// A topic configuration; may be repeated
        #[arg(long = "config", value_name = "KEY=VALUE", value_parser = key_value)]
        configs: Vec<(String, String)>,
        /// No error if the topic exists
        #[arg(long)]
        if_not_exists: bool,
    },
    /// List topics
    List {
        /// Leave out the broker's own topics
        #[arg(long)]
        exclude_internal: bool,
    },
    /// Show partitions, offsets and configurations of a topic
    Describe { name: String },
    /// Add partitions, set and delete configurations
    Alter(AlterTopicArgs),
    /// Delete topics
    Delete {
        #[arg(required = true)]
        names: Vec<String>,
        /// No error if a topic does not exist
        #[arg(long)]
        if_exists: bool,
    },
    /// Show offsets, as topic:partition:offset
    Offsets {
        /// All topics if left out
        names: Vec<String>,
        /// -1 or latest, -2 or earliest, -3 or max-timestamp, or milliseconds since 1970
        #[arg(
            long,
            value_name = "TIME",
            default_value = "latest",
            allow_hyphen_values = true
        )]
        time: String,
    },
    /// Delete the records of a partition before an offset
    DeleteRecords {
        name: String,
        #[arg(long, value_name = "P")]
        partition: i32,
        /// The first record that stays; -1: none
        #[arg(long, value_name = "N", allow_hyphen_values = true)]
        offset: i64,
    },
    /// Send each line of standard input as a record
    Produce(ProduceArgs),
    /// Print each record's value on a line
    Tail(TailArgs),
}

#[derive(Args, Debug)]
pub struct AlterTopicArgs {
    pub name: String,
    /// The new number of partitions
    #[arg(long, value_name = "N", required_unless_present_any = ["configs", "delete_configs"])]
    pub partitions: Option<i32>,
    /// A topic configuration to set; may be repeated
    #[arg(long = "config", value_name = "KEY=VALUE", value_parser = key_value)]
    pub configs: Vec<(String, String)>,
    /// A topic configuration to set back to its default; may be repeated
    #[arg(long = "delete-config", value_name = "KEY")]
    pub delete_configs: Vec<String>,
}

#[derive(Args, Debug)]
pub struct ProduceArgs {
    pub name: String,
    /// What separates key and value in a line; without it lines are values
    #[arg(long, value_name = "C")]
    pub key_separator: Option<String>,
    /// Each line begins with headers, name:value,name:value, and this separator
    #[arg(long, value_name = "C")]
    pub headers_separator: Option<String>,
    /// The text that stands for a null key or value
    #[arg(long, value_name = "TEXT")]
    pub null_marker: Option<String>,
    /// The partition; chosen by key, or in turn, if left out
    #[arg(long, value_name = "P")]
    pub partition: Option<i32>,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(long, value_name = "CODEC")]
    pub compression: Option<String>,
    /// Whose acknowledgement is waited for: 0, 1 or all
    #[arg(long, value_name = "ACKS")]
    pub acks: Option<String>,
}

#[derive(Args, Debug)]
pub struct TailArgs {
    pub name: String,
    /// Start with the oldest record instead of the next to come
    #[arg(long)]
    pub from_beginning: bool,
    /// End when everything that was there at the start is printed
    #[arg(long)]
    pub exit_at_end: bool,
    /// Only this partition
    #[arg(long, value_name = "P")]
    pub partition: Option<i32>,
    /// Start at this offset
    #[arg(long, value_name = "N", conflicts_with = "from_beginning")]
    pub offset: Option<i64>,
    /// End after so many records
    #[arg(long, value_name = "N")]
    pub max_records: Option<u64>,
    /// Whether records of open and aborted transactions are shown
    #[arg(long, value_enum, default_value = "read_uncommitted")]
    pub isolation_level: Isolation,
    /// Print the key, and a tab, before the value
    #[arg(long)]
    pub print_key: bool,
    /// Print CreateTime:MILLISECONDS and a tab
    #[arg(long)]
    pub print_timestamp: bool,
    /// Print Partition:N and a tab
    #[arg(long)]
    pub print_partition: bool,
    /// Print Offset:N and a tab
    #[arg(long)]
    pub print_offset: bool,
    /// Print headers, name:value,name:value or NO_HEADERS, and a tab
    #[arg(long)]
    pub print_headers: bool,
    /// What stands between key and value instead of a tab
    #[arg(long, value_name = "C", requires = "print_key")]
    pub key_separator: Option<String>,
}

/// `--isolation-level`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Isolation {
    #[value(name = "read_committed")]
    ReadCommitted,
    #[value(name = "read_uncommitted")]
    ReadUncommitted,
}
