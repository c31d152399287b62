//! Arguments of `millstream group`.

use clap::{ArgGroup, Args, Subcommand};

use super::ClientArgs;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  millstream group list --state
  millstream group describe billing
  millstream group reset-offsets billing --topic orders --to-earliest            shows what would be
  millstream group reset-offsets billing --topic orders:0,1 --shift-by -100 --execute
  millstream group delete billing")]
pub struct GroupArgs {
    #[command(subcommand)]
    pub command: GroupCommand,
    #[command(flatten)]
    pub client: ClientArgs,
}

#[derive(Subcommand, Debug)]
pub enum GroupCommand {
    /// List groups
    List {
        /// Show type and state as well
        #[arg(long)]
        state: bool,
    },
    /// Show offsets and lag, members, or the state of groups
    Describe(DescribeGroupArgs),
    /// Set the offsets of a group without members; shows them only, without --execute
    ResetOffsets(ResetOffsetsArgs),
    /// Forget the offsets of a group for topics
    DeleteOffsets {
        group: String,
        /// A topic, or partitions of it (topic:0,2); may be repeated
        #[arg(long = "topic", value_name = "TOPIC", required = true)]
        topics: Vec<String>,
    },
    /// Delete groups without members
    Delete {
        #[arg(required = true)]
        groups: Vec<String>,
    },
}

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("what").args(["offsets", "members", "state"])))]
pub struct DescribeGroupArgs {
    #[arg(required_unless_present = "all_groups", conflicts_with = "all_groups")]
    pub groups: Vec<String>,
    /// All groups
    #[arg(long)]
    pub all_groups: bool,
    /// Offsets and lag of each partition (the default)
    #[arg(long)]
    pub offsets: bool,
    /// Members
    #[arg(long)]
    pub members: bool,
    /// With --members: the partitions of each
    #[arg(long, requires = "members")]
    pub verbose: bool,
    /// Coordinator, assignor, state
    #[arg(long)]
    pub state: bool,
}

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("scope").required(true).args(["topics", "all_topics"])))]
#[command(group(ArgGroup::new("target").required(true).args([
    "to_earliest", "to_latest", "to_current", "to_offset", "shift_by", "to_datetime", "by_duration"
])))]
#[command(group(ArgGroup::new("mode").args(["execute", "dry_run"])))]
pub struct ResetOffsetsArgs {
    pub group: String,
    /// A topic, or partitions of it (topic:0,2); may be repeated
    #[arg(long = "topic", value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// All topics for which the group has offsets
    #[arg(long)]
    pub all_topics: bool,
    /// To the oldest record
    #[arg(long)]
    pub to_earliest: bool,
    /// Behind the newest record
    #[arg(long)]
    pub to_latest: bool,
    /// Where it is, within what is in the log
    #[arg(long)]
    pub to_current: bool,
    /// To this offset
    #[arg(long, value_name = "N")]
    pub to_offset: Option<i64>,
    /// Forward by so many records, or back
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub shift_by: Option<i64>,
    /// To the first record of this time or later: 2024-01-31T12:00:00.000, UTC unless it ends in Z or an offset
    #[arg(long, value_name = "TIME")]
    pub to_datetime: Option<String>,
    /// To the first record of the last so much time: PT1H30M, P1D
    #[arg(long, value_name = "DURATION")]
    pub by_duration: Option<String>,
    /// Do it
    #[arg(long)]
    pub execute: bool,
    /// Only show it (the default)
    #[arg(long)]
    pub dry_run: bool,
}
