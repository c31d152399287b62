//! A Kafka client: connections, metadata, administration, fetching and producing, transactions included.
//!
//! - [`ClientConfig::parse`] reads settings under Kafka's own names; unknown ones are warnings, unusable ones errors
//!   that say what to do.
//! - [`Transport`] is the way to the brokers: [`TcpTransport`] (TLS, SASL), or a broker in the same process that takes
//!   typed requests. [`KafkaClient`] routes and repeats requests over it; `admin` adds topics, configurations, offsets
//!   and groups as methods.
//! - [`Fetcher`] reads assigned partitions from given positions and hands out whole record batches
//!   ([`FetchEvent`]), bounded in bytes. [`Fetcher::poll`](fetch::Fetcher::poll) never waits.
//! - [`Producer`] collects records into batches and writes them in order and once. With a `transactional.id` it has
//!   transactions; one that is prepared ([`PreparedTransaction`]) can be ended from another process with
//!   [`KafkaClient::end_transaction`].
//!
//! What decides (what to fetch, what to send, what a response means) is free of IO and clocks; tasks on tokio carry it
//! out. There is no group membership: jobs assign partitions themselves.
//!
//! ```no_run
//! use std::collections::BTreeMap;
//! use millstream_kafka_client::{ClientConfig, FetchEvent, Fetcher, KafkaClient, TopicPartition};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = BTreeMap::from([("bootstrap.servers".to_owned(), "127.0.0.1:9092".to_owned())]);
//! let config = ClientConfig::parse(&settings)?.config;
//! let client = KafkaClient::connect(&config)?;
//! let fetcher = Fetcher::start(client, config.fetch);
//! fetcher.assign(TopicPartition::new("flights", 0), 0);
//! fetcher.ready().await;
//! for event in fetcher.poll(1 << 20) {
//!     if let FetchEvent::Records(records) = event {
//!         println!("{} batches, continue at {}", records.batches.len(), records.next_offset);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub mod admin;
pub mod backoff;
pub mod client;
pub mod config;
pub mod error;
pub mod fetch;
pub mod metadata;
pub mod produce;
pub mod tcp;
pub mod topic_partition;
pub mod transport;

pub use client::KafkaClient;
pub use config::ClientConfig;
pub use error::{ClientError, TransportError};
pub use fetch::{FetchEvent, FetchedBatch, FetchedRecords, Fetcher};
pub use produce::{Delivery, PreparedTransaction, ProduceError, ProduceRecord, Producer};
pub use tcp::{Routes, TcpTransport};
pub use topic_partition::TopicPartition;
pub use transport::{Call, Node, NodeVersions, Reply, Target, Transport};
