//! Numbers for operators: what the listeners and the broker count, in Prometheus' text form.
//!
//! The names are those under which Kafka's own numbers appear in Prometheus through the usual exporter of its MBeans, and
//! for groups those of the usual exporter of lag, so that existing dashboards and alerts fit.

mod endpoint;
mod histogram;
pub mod jobs;
mod requests;
mod text;

pub use endpoint::{MetricsEndpoint, MetricsError, MetricsSettings};
pub use requests::{QUANTILES, RequestCounts, ShellMetrics, Snapshot};
pub use text::render;
