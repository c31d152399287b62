//! What connectors are given beside their table: time, chance, where to print, the mode of the job.

use std::sync::Arc;

use jiff::tz::TimeZone;
use millstream_types::{Clock, Rng};

use crate::kafka::KafkaClusters;

/// Where the `print` connector writes its lines.
pub trait PrintTarget: Send + Sync {
    /// One line without its line break; `to_stderr` as the table's option `standard-error` says.
    fn print_line(&self, line: &str, to_stderr: bool);
}

/// Surroundings of the connectors of one job. Cheap to clone.
#[derive(Clone)]
pub struct ConnectorContext {
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub print: Arc<dyn PrintTarget>,
    pub kafka: Arc<dyn KafkaClusters>,
    /// `table.local-time-zone`.
    pub zone: TimeZone,
    pub zone_name: Arc<str>,
    /// `execution.runtime-mode` is BATCH.
    pub batch: bool,
}
