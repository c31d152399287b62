//! Arguments of `millstream chaos`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

#[derive(Args, Debug)]
pub struct ChaosArgs {
    /// SQL script that creates its tables and writes to topics of the embedded broker or to files
    #[arg(value_name = "FILE.sql")]
    pub file: PathBuf,
    /// Number of kills, over several trials
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub kills: u64,
    /// Seed of the moments and places of kills; printed by each run
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Interval between checkpoints, instead of the script's
    #[arg(long, value_name = "DURATION", default_value = "100 ms", value_parser = duration_text)]
    pub checkpoint_interval: String,
    /// A script is at rest when its outputs have not changed and it has used little CPU for this long
    #[arg(long, value_name = "DURATION", default_value = "2 s", value_parser = milliseconds)]
    pub settle: u64,
    /// Fails if a script is not at rest after this long
    #[arg(long, value_name = "DURATION", default_value = "5 min", value_parser = milliseconds)]
    pub timeout: u64,
    /// Directory for the copies; the default is a new one in the system's temporary directory
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Keep the copies; they are also kept if something is lost or doubled
    #[arg(long)]
    pub keep: bool,
}

fn milliseconds(text: &str) -> anyhow::Result<u64> {
    let duration = millstream_types::options::parse_duration(text)
        .with_context(|| format!("'{text}' is no duration, for example 2 s"))?;
    u64::try_from(duration.as_millis()).with_context(|| format!("'{text}' is too long"))
}

fn duration_text(text: &str) -> anyhow::Result<String> {
    milliseconds(text).map(|_| text.to_owned())
}
