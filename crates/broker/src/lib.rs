//! A single-node Kafka broker as a state machine: one file for an API. No sockets, no tokio, no clock.
//!
//! [`Broker`] takes typed requests, finished disk jobs and the time, and returns responses and disk jobs; tests and the
//! simulator drive it directly. [`EventLoop`] schedules that work. [`BrokerHandle`] runs it on threads and is what the
//! TCP server and callers in the same process use; records pass through it by reference.
//!
//! It is not a cluster. There is one replica and one leader with epoch 0, this node coordinates every group and
//! transaction, and `acks=1` behaves like `acks=all`: the response follows the fsync.

pub mod api;
mod broker;
pub mod change;
mod cleaner;
pub mod config;
mod config_observer;
mod context;
mod disk_reads;
mod event_loop;
mod fetch_sessions;
mod group_commit;
mod groups;
mod handle;
mod internal_topics;
pub mod limits;
mod metrics;
pub mod mutants;
mod patterns;
mod purgatory;
pub mod rate;
mod security;
mod throttle;
mod topics;
mod transactions;

pub use broker::{Broker, BrokerConfig, StartError};
pub use config_observer::{ConfigObserver, ObserverError};
pub use context::{ANONYMOUS, Endpoint, RequestContext};
pub use disk_reads::{DiskReadJob, DiskReadOutcome};
pub use event_loop::{Command, EventLoop, Host, Inspection, Job, JobOutcome, Rest, Submitted};
pub use handle::{BrokerHandle, BrokerStopped, CallError};
pub use metrics::{GroupMeasure, Measure, PartitionMeasure, TopicCounters, TopicMeasure};
pub use purgatory::{Progress, Reply, Ticket};
pub use security::quotas::IpRates;
pub use security::{ScramCredential, ScramMechanism};
pub use topics::{Topic, Topics};
