//! What connectors receive besides their table: clock, randomness, print output, job mode.

use std::sync::Arc;

use jiff::tz::TimeZone;
use millstream_dataflow::alignment::AlignmentGroups;
use millstream_types::{Clock, Rng};

use crate::kafka::KafkaClusters;

/// The output of the `print` connector.
pub trait PrintTarget: Send + Sync {
    /// Prints one line, given without its line break; `to_stderr` is the table's option `standard-error`.
    fn print_line(&self, line: &str, to_stderr: bool);
}

/// The environment of a job's connectors. Cheap to clone.
#[derive(Clone)]
pub struct ConnectorContext {
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub print: Arc<dyn PrintTarget>,
    pub kafka: Arc<dyn KafkaClusters>,
    /// `table.local-time-zone`.
    pub zone: TimeZone,
    pub zone_name: Arc<str>,
    /// The sources of the job that wait for each other.
    pub alignment: AlignmentGroups,
    /// `execution.runtime-mode` is BATCH.
    pub batch: bool,
}
