//! Metrics for operators: counters of the listeners and the broker, in Prometheus' text format.
//!
//! Names are those of Kafka's MBeans in the usual exporter, and for groups those of the usual lag exporter, so that
//! existing dashboards and alerts fit.

mod endpoint;
mod families;
mod histogram;
mod job_text;
pub mod jobs;
pub mod otlp;
mod requests;
mod text;

pub(crate) use endpoint::router;
pub use endpoint::{JobPage, MetricsEndpoint, MetricsError, MetricsSettings};
pub use job_text::render_jobs;
pub use requests::{QUANTILES, RequestCounts, ShellMetrics, Snapshot};
pub use text::render;
