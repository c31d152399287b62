//! Connectors `kafka` and `upsert-kafka`: tables over topics.
//!
//! | file | holds |
//! |---|---|
//! | `declaration` | options and metadata columns, as the front end and the reference see them |
//! | `options` | a table's options, parsed and checked |
//! | `client_settings` | a table's options as settings of the client |
//! | `clusters` | which Kafka a table means: the broker inside, or the user's |
//! | `embedded` | the way to the broker inside, without sockets or encoding |
//! | `encoded_rows` | rows on their way out |
//! | `rows` | record batches to rows: key, value and metadata columns |
//! | `splits` | which partitions, from where to where |
//! | `source`, `sink` | what runs in a job |
//! | `transactions` | exactly once in the sink |
//! | `background` | work of a sink that goes on beside its worker |
//! | `upsert_options` | what connector `upsert-kafka` reads otherwise |
//! | `upserts` | rows that wait by key before an upsert sink writes them |

mod background;
mod buffers;
pub mod client_settings;
pub mod clusters;
pub mod declaration;
pub mod embedded;
mod encoded_rows;
pub mod options;
pub mod rows;
pub mod sink;
mod sink_topic;
pub mod source;
pub mod splits;
mod transactions;
mod upsert_options;
mod upserts;

pub use clusters::KafkaClusters;
pub use declaration::{DECLARATION, UPSERT_DECLARATION};
