//! Arguments of `millstream topic`.

use anyhow::{Context, bail};
use clap::{ArgGroup, Args, Subcommand};

use super::{ClientArgs, key_value};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  millstream topic create orders --partitions 4 --config retention.ms=86400000
  millstream topic list 'sales-.*' --exclude-internal
  millstream topic describe --under-replicated-partitions
  millstream topic alter orders --partitions 8 --config cleanup.policy=compact --delete-config retention.ms
  printf 'k1:v1\\nk2:v2\\n' | millstream topic produce orders --key-separator :
  millstream topic tail orders --from-beginning --exit-at-end --output json
  millstream topic tail orders --group billing --timeout-ms 10000
  millstream topic offsets orders --time -2
  millstream topic offsets --topic-partitions orders:0-2,refunds:1")]
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
        /// Number of partitions; the default is the broker's num.partitions
        #[arg(long, value_name = "N")]
        partitions: Option<i32>,
        /// Number of replicas; the embedded broker is a single node and keeps one
        #[arg(long, value_name = "N")]
        replication_factor: Option<i16>,
        /// The brokers of each partition, the preferred leader first, instead of the two counts: 1:2,2:3
        #[arg(long, value_name = "IDS", value_parser = replica_assignment, conflicts_with_all = ["partitions", "replication_factor"])]
        replica_assignment: Option<ReplicaAssignment>,
        /// A topic configuration; may be repeated
        #[arg(long = "config", value_name = "KEY=VALUE", value_parser = key_value)]
        configs: Vec<(String, String)>,
        /// Succeed if the topic exists
        #[arg(long)]
        if_not_exists: bool,
    },
    /// List topics
    List {
        #[command(flatten)]
        filter: TopicFilterArgs,
    },
    /// Show partitions, replicas, offsets and configurations of topics
    Describe(DescribeTopicArgs),
    /// Add partitions, set and delete configurations
    Alter(AlterTopicArgs),
    /// Delete topics
    Delete {
        #[arg(required = true)]
        names: Vec<String>,
        /// Succeed if a topic does not exist
        #[arg(long)]
        if_exists: bool,
    },
    /// Show offsets, as topic:partition:offset
    Offsets(OffsetsArgs),
    /// Delete the records of a partition before an offset
    DeleteRecords {
        name: String,
        #[arg(long, value_name = "P")]
        partition: i32,
        /// The first offset to keep; -1 deletes all records
        #[arg(long, value_name = "N", allow_hyphen_values = true)]
        offset: i64,
    },
    /// Send each line of standard input as a record
    Produce(ProduceArgs),
    /// Print each record's value on its own line
    Tail(TailArgs),
}

/// The topics that a command applies to.
#[derive(Args, Debug, Default)]
pub struct TopicFilterArgs {
    /// Names of topics, or regular expressions; the default is all topics
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// The same, in the form of the kafka-* tools
    #[arg(long = "topic", value_name = "NAME")]
    pub topics: Vec<String>,
    /// Exclude internal topics
    #[arg(long, visible_alias = "exclude-internal-topics")]
    pub exclude_internal: bool,
}

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("report").args([
    "topics_with_overrides", "under_replicated_partitions", "unavailable_partitions", "under_min_isr_partitions",
    "at_min_isr_partitions"
])))]
pub struct DescribeTopicArgs {
    #[command(flatten)]
    pub filter: TopicFilterArgs,
    /// Succeed if a topic does not exist
    #[arg(long)]
    pub if_exists: bool,
    /// Only topics with overridden configurations, without their partitions
    #[arg(long)]
    pub topics_with_overrides: bool,
    /// Only partitions with replicas that are not in sync
    #[arg(long)]
    pub under_replicated_partitions: bool,
    /// Only partitions without a leader
    #[arg(long)]
    pub unavailable_partitions: bool,
    /// Only partitions with fewer in-sync replicas than min.insync.replicas
    #[arg(long)]
    pub under_min_isr_partitions: bool,
    /// Only partitions with exactly min.insync.replicas in-sync replicas
    #[arg(long)]
    pub at_min_isr_partitions: bool,
}

#[derive(Args, Debug)]
pub struct OffsetsArgs {
    #[command(flatten)]
    pub filter: TopicFilterArgs,
    /// Only these partitions of each topic: 0,2
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub partitions: Vec<i32>,
    /// Topic-partition patterns, separated by commas: t (all), t:1, t:0-3 (excluding 3), t:2-, t:-3
    #[arg(long, value_name = "LIST", conflicts_with_all = ["names", "topics", "partitions"])]
    pub topic_partitions: Option<String>,
    /// -1 or latest, -2 or earliest, -3 or max-timestamp, or milliseconds since the epoch
    #[arg(
        long,
        value_name = "TIME",
        default_value = "latest",
        allow_hyphen_values = true
    )]
    pub time: String,
}

/// The brokers of each partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaAssignment(pub Vec<Vec<i32>>);

fn replica_assignment(text: &str) -> anyhow::Result<ReplicaAssignment> {
    let form = "expected brokers with colons between them, and commas between partitions, such as 1:2,2:3";
    let mut partitions: Vec<Vec<i32>> = Vec::new();
    for part in text.split(',') {
        let ids: Result<Vec<i32>, _> = part.split(':').map(|id| id.trim().parse()).collect();
        let ids = ids.ok().context(form)?;
        let number = partitions.len();
        let twice = (1..ids.len()).find(|i| ids[..*i].contains(&ids[*i]));
        if let Some(position) = twice {
            bail!("partition {number} names broker {} twice", ids[position]);
        }
        if partitions.first().is_some_and(|first| first.len() != ids.len()) {
            bail!("partition {number} has another number of replicas than partition 0");
        }
        partitions.push(ids);
    }
    Ok(ReplicaAssignment(partitions))
}

#[derive(Args, Debug)]
pub struct AlterTopicArgs {
    pub name: String,
    /// Succeed if the topic does not exist
    #[arg(long)]
    pub if_exists: bool,
    /// The brokers of all partitions, 1:2,2:3,3:1; those of existing partitions are ignored
    #[arg(long, value_name = "IDS", value_parser = replica_assignment, requires = "partitions")]
    pub replica_assignment: Option<ReplicaAssignment>,
    /// The new number of partitions
    #[arg(long, value_name = "N", required_unless_present_any = ["configs", "delete_configs"])]
    pub partitions: Option<i32>,
    /// Topic configuration to set; may be repeated
    #[arg(long = "config", value_name = "KEY=VALUE", value_parser = key_value)]
    pub configs: Vec<(String, String)>,
    /// Topic configuration to reset to its default; may be repeated
    #[arg(long = "delete-config", value_name = "KEY")]
    pub delete_configs: Vec<String>,
}

#[derive(Args, Debug)]
pub struct ProduceArgs {
    pub name: String,
    /// Separator between key and value; without it, each line is a value
    #[arg(long, value_name = "C")]
    pub key_separator: Option<String>,
    /// Separator after the headers at the start of each line: name:value,name:value
    #[arg(long, value_name = "C")]
    pub headers_separator: Option<String>,
    /// Text that stands for a null key or value
    #[arg(long, value_name = "TEXT")]
    pub null_marker: Option<String>,
    /// Target partition; by default chosen by key, or round robin
    #[arg(long, value_name = "P")]
    pub partition: Option<i32>,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(long, value_name = "CODEC")]
    pub compression: Option<String>,
    /// Required acknowledgements: 0, 1 or all
    #[arg(long, value_name = "ACKS")]
    pub acks: Option<String>,
}

#[derive(Args, Debug)]
pub struct TailArgs {
    pub name: String,
    /// Start at the oldest record instead of the next new one
    #[arg(long)]
    pub from_beginning: bool,
    /// Exit after the records that existed at the start
    #[arg(long)]
    pub exit_at_end: bool,
    /// Read only this partition
    #[arg(long, value_name = "P")]
    pub partition: Option<i32>,
    /// Start at this offset, or at earliest or latest
    #[arg(long, value_name = "OFFSET", conflicts_with = "from_beginning", value_parser = start_offset)]
    pub offset: Option<StartOffset>,
    /// Start at the committed offsets of this group, and commit what was printed; the group must have no members
    #[arg(long, value_name = "GROUP", conflicts_with = "offset")]
    pub group: Option<String>,
    /// Exit after this many milliseconds without a record
    #[arg(long, value_name = "MS")]
    pub timeout_ms: Option<u64>,
    /// Exit after this many records
    #[arg(long, value_name = "N")]
    pub max_records: Option<u64>,
    /// Whether to show records of open and aborted transactions
    #[arg(long, value_enum, default_value = "read_uncommitted")]
    pub isolation_level: Isolation,
    /// Print the key and a tab before the value
    #[arg(long)]
    pub print_key: bool,
    /// Print CreateTime:MILLISECONDS or LogAppendTime:MILLISECONDS, and a tab
    #[arg(long)]
    pub print_timestamp: bool,
    /// Print Partition:N and a tab
    #[arg(long)]
    pub print_partition: bool,
    /// Print Offset:N and a tab
    #[arg(long)]
    pub print_offset: bool,
    /// Print headers (name:value,name:value, or NO_HEADERS) and a tab
    #[arg(long)]
    pub print_headers: bool,
    /// Separator between key and value instead of a tab
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

/// `--offset`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartOffset {
    Earliest,
    Latest,
    At(i64),
}

fn start_offset(text: &str) -> anyhow::Result<StartOffset> {
    match text {
        "earliest" => Ok(StartOffset::Earliest),
        "latest" => Ok(StartOffset::Latest),
        number => match number.parse() {
            Ok(offset) if offset >= 0 => Ok(StartOffset::At(offset)),
            _ => bail!("expected earliest, latest or a number from 0 on"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_assigned_as_with_kafka_topics() {
        let assignment = replica_assignment("1:2,2:3").expect("two partitions");
        assert_eq!(assignment.0, [[1, 2], [2, 3]]);
        for wrong in ["", "1:", "1:1", "1:2,3", "one"] {
            assert!(replica_assignment(wrong).is_err(), "{wrong}");
        }
    }
}
