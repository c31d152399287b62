//! Arguments of `millstream group`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{ArgGroup, Args, Subcommand};

use super::ClientArgs;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  millstream group list --state
  millstream group describe billing
  millstream group reset-offsets billing --topic orders --to-earliest            shows what would be
  millstream group list --state Stable,Empty --type consumer
  millstream group reset-offsets billing --topic orders:0,1 --shift-by -100 --execute
  millstream group reset-offsets billing audit --all-topics --to-current --export > offsets.csv
  millstream group reset-offsets billing audit --from-file offsets.csv --execute
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
        /// Show type and state, and list only groups in these states: Stable,Empty
        #[arg(long, value_name = "STATES", num_args = 0..=1, default_missing_value = "", value_parser = states)]
        state: Option<Names>,
        /// Show type and state, and list only groups of these types: classic,consumer
        #[arg(long = "type", value_name = "TYPES", num_args = 0..=1, default_missing_value = "", value_parser = types)]
        group_type: Option<Names>,
        /// Include the groups in which exactly-once sinks record their commits (PREFIX-0-committed)
        #[arg(long)]
        internal: bool,
    },
    /// Show a group's offsets and lag, members, or state
    Describe(DescribeGroupArgs),
    /// Reset the offsets of groups without members; without --execute, only show the new offsets
    ResetOffsets(ResetOffsetsArgs),
    /// Delete the committed offsets of a group for topics
    DeleteOffsets {
        group: String,
        /// Topic, or partitions of it (topic:0,2); may be repeated
        #[arg(long = "topic", value_name = "TOPIC", required = true)]
        topics: Vec<String>,
    },
    /// Delete groups without members
    Delete {
        #[command(flatten)]
        groups: GroupNamesArgs,
    },
}

/// The groups that a command applies to.
#[derive(Args, Debug)]
pub struct GroupNamesArgs {
    #[arg(
        value_name = "GROUP",
        required_unless_present = "all_groups",
        conflicts_with = "all_groups"
    )]
    pub groups: Vec<String>,
    /// All consumer groups
    #[arg(long)]
    pub all_groups: bool,
}

/// A comma-separated list of names.
#[derive(Clone, Debug)]
pub struct Names(pub Vec<String>);

/// The states of groups under both protocols.
const STATES: [&str; 7] = [
    "PreparingRebalance",
    "CompletingRebalance",
    "Assigning",
    "Reconciling",
    "Stable",
    "Empty",
    "Dead",
];
const TYPES: [&str; 2] = ["classic", "consumer"];

fn states(text: &str) -> anyhow::Result<Names> {
    names(text, &STATES)
}

fn types(text: &str) -> anyhow::Result<Names> {
    names(text, &TYPES)
}

/// Parses a list of names, ignoring case.
fn names(text: &str, known: &[&str]) -> anyhow::Result<Names> {
    let texts = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let name = |text: &str| {
        let found = known.iter().find(|name| name.eq_ignore_ascii_case(text));
        let found = found.map(|name| (*name).to_owned());
        found.with_context(|| format!("expected some of {}", known.join(", ")))
    };
    Ok(Names(texts.map(name).collect::<anyhow::Result<_>>()?))
}

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("what").args(["offsets", "members", "state"])))]
pub struct DescribeGroupArgs {
    #[command(flatten)]
    pub names: GroupNamesArgs,
    /// Offsets and lag of each partition (the default)
    #[arg(long)]
    pub offsets: bool,
    /// Members
    #[arg(long)]
    pub members: bool,
    /// With --members: show each member's partitions
    #[arg(long, requires = "members")]
    pub verbose: bool,
    /// Coordinator, assignor, state
    #[arg(long)]
    pub state: bool,
}

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("scope").args(["topics", "all_topics"])))]
#[command(group(ArgGroup::new("target").required(true).args([
    "to_earliest", "to_latest", "to_current", "to_offset", "shift_by", "to_datetime", "by_duration", "from_file"
])))]
#[command(group(ArgGroup::new("mode").args(["execute", "dry_run"])))]
pub struct ResetOffsetsArgs {
    #[command(flatten)]
    pub names: GroupNamesArgs,
    /// Topic, or partitions of it (topic:0,2); may be repeated
    #[arg(long = "topic", value_name = "TOPIC", required_unless_present_any = ["all_topics", "from_file"])]
    pub topics: Vec<String>,
    /// All topics for which the group has committed offsets
    #[arg(long)]
    pub all_topics: bool,
    /// Reset to the earliest offset
    #[arg(long)]
    pub to_earliest: bool,
    /// Reset to the latest offset
    #[arg(long)]
    pub to_latest: bool,
    /// Reset to the current offset, moved into the range of the log if necessary
    #[arg(long)]
    pub to_current: bool,
    /// Reset to this offset
    #[arg(long, value_name = "N")]
    pub to_offset: Option<i64>,
    /// Move the current offset by this many records; negative moves it back
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub shift_by: Option<i64>,
    /// Reset to the first record at or after this time: 2024-01-31T12:00:00.000, in UTC unless it ends in Z or an
    /// offset
    #[arg(long, value_name = "TIME")]
    pub to_datetime: Option<String>,
    /// Reset to the first record of the last PT1H30M, P1D, …
    #[arg(long, value_name = "DURATION")]
    pub by_duration: Option<String>,
    /// Reset to the offsets in a file, in the format of --export
    #[arg(long, value_name = "FILE", conflicts_with = "scope")]
    pub from_file: Option<PathBuf>,
    /// Print lines for --from-file: topic,partition,offset for one group, group,topic,partition,offset for several
    #[arg(long)]
    pub export: bool,
    /// Commit the new offsets
    #[arg(long)]
    pub execute: bool,
    /// Only show the new offsets (the default)
    #[arg(long)]
    pub dry_run: bool,
}
