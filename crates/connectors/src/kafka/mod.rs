//! Connectors `kafka` and `upsert-kafka`: tables over topics.
//!
//! | file | holds |
//! |---|---|
//! | `declaration` | options and metadata columns, as the front end and the reference see them |
//! | `inference` | the table that a topic's records suggest |
//! | `options` | a table's options, parsed and checked |
//! | `client_settings` | a table's options as settings of the client |
//! | `clusters` | which Kafka a table means: the embedded broker, or the user's |
//! | `embedded` | the way to the embedded broker, without sockets or encoding |
//! | `encoded_rows` | rows on their way out |
//! | `rows` | record batches to rows: key, value and metadata columns |
//! | `splits` | which partitions, from where to where |
//! | `source`, `sink` | what runs in a job |
//! | `topics` | topics by name, and their newest records |
//! | `transactions` | exactly once in the sink |
//! | `background` | background tasks of a sink |
//! | `upsert_options` | what connector `upsert-kafka` reads otherwise |
//! | `upserts` | rows that wait by key before an upsert sink writes them |

mod background;
mod buffers;
pub mod client_settings;
pub mod clusters;
pub mod declaration;
pub mod embedded;
mod encoded_rows;
pub mod inference;
pub mod options;
mod partitioning;
pub mod rows;
pub mod sink;
mod sink_topic;
pub mod source;
pub mod splits;
pub mod topics;
mod transactions;
mod upsert_options;
mod upserts;

pub use clusters::{KafkaClusters, NoKafka};
pub use declaration::{DECLARATION, UPSERT_DECLARATION};
