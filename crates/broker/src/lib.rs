//! A Kafka broker for one node, as a state machine: one file for an API. No sockets, no tokio, no clock.
//!
//! [`Broker`] takes typed requests, finished disk work and the time, and gives answers and disk work; tests and the
//! simulator drive it directly. [`EventLoop`] decides in which order that is done; [`BrokerHandle`] runs it on threads of its own
//! and is what the TCP shell and callers in the same process use; records pass through it without being copied.
//!
//! What it is not: a cluster. There is one replica and one leader with epoch 0, the coordinator of every group and
//! transaction is this node, and `acks=1` is answered like `acks=all`, after the disk has it.

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
pub use config_observer::ConfigObserver;
pub use context::{ANONYMOUS, Endpoint, RequestContext};
pub use disk_reads::{DiskReadJob, DiskReadOutcome};
pub use event_loop::{Command, EventLoop, Host, Inspection, Job, JobOutcome, Rest, Submitted};
pub use handle::{BrokerHandle, BrokerStopped, CallError};
pub use metrics::{GroupMeasure, Measure, PartitionMeasure, TopicCounters, TopicMeasure};
pub use purgatory::{Progress, Reply, Ticket};
pub use security::quotas::IpRates;
pub use security::{ScramCredential, ScramMechanism};
pub use topics::{Topic, Topics};
