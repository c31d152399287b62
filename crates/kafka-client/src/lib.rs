//! A Kafka client: sans-IO core and a thin tokio driver, with TLS and SASL.

pub mod admin;
pub mod backoff;
pub mod client;
pub mod config;
pub mod error;
pub mod fetch;
pub mod metadata;
pub mod tcp;
pub mod topic_partition;
pub mod transport;

pub use client::KafkaClient;
pub use config::ClientConfig;
pub use error::{ClientError, TransportError};
pub use fetch::{FetchEvent, FetchedBatch, FetchedRecords, Fetcher};
pub use tcp::TcpTransport;
pub use topic_partition::TopicPartition;
pub use transport::{Call, Node, NodeVersions, Reply, Target, Transport};
