//! The Kafka wire codec: messages generated from descriptions, record batches, compression. No IO, no clock.
//!
//! ## Messages
//! [`messages`] holds a module for each API (`messages::fetch::{FetchRequest, FetchResponse, …}`), written by
//! `cargo xtask codegen kafka` from `specs/kafka/messages.txt`. All structures are plain, have Kafka's defaults, and
//! convert to bytes with `decode(&mut Reader, version)` and `encode(&mut Writer, version)`. Setting a field that a
//! version lacks is an error unless Kafka declares the field ignorable. [`Request`] and [`Response`] are the unions
//! over all APIs, [`RequestMessage`] ties a request to its response, [`ApiKey`] knows names and versions.
//!
//! ```
//! use millstream_kafka_wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
//! use millstream_kafka_wire::{ApiKey, Reader, Request, Writer};
//!
//! let topic = MetadataRequestTopic { name: Some("flights".into()), ..Default::default() };
//! let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
//! let mut w = Writer::new();
//! request.encode(&mut w, 9)?;
//! let mut r = Reader::new(w.into_bytes());
//! assert_eq!(Request::decode(ApiKey::Metadata, 9, &mut r)?, Request::from(request));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - Strings ([`KafkaString`]), bytes and records are slices of the frame that they came in.
//! - [`Reader`] allocates no more than a fixed multiple of the bytes that it is given, whatever they claim.
//! - [`Writer`] gives chunks for a vectored write ([`header::encode_request`], [`header::encode_response`] make whole
//!   frames); records are not copied into it.
//! - [`RequestHeader::decode`] reads what it can of unknown APIs; the body's version is to be checked by the caller
//!   against [`ApiKey::versions`] or what it advertises.
//! - [`ErrorCode`] is a number with constants, a name, and whether it is retriable.
//!
//! ## Records
//! [`record_batch`]: [`batches`](record_batch::batches) splits what a fetch returned into
//! [`RecordBatch`](record_batch::RecordBatch)es; `records_data` decompresses with a limit;
//! [`RecordColumns`](record_batch::RecordColumns) gives the positions of values and keys in contiguous bytes,
//! [`RecordIterator`](record_batch::RecordIterator) one record at a time.
//! [`BatchBuilder`](record_batch::BatchBuilder) makes batches, [`validate`](record_batch::validate) is what a broker
//! checks, the `set_…` functions stamp offsets, epochs and times in place, and
//! [`EndTransactionMarker`](record_batch::EndTransactionMarker) makes control batches.
//! [`compression`] has the codecs, [`partitioner`] Kafka's hash of keys.

pub mod compression;
pub mod error;
pub mod error_code;
pub mod header;
mod message;
#[path = "generated/mod.rs"]
pub mod messages;
pub mod partitioner;
pub mod reader;
pub mod record_batch;
pub mod string;
pub mod uuid;
pub mod varint;
pub mod writer;

pub use error::{DecodeError, EncodeError};
pub use error_code::ErrorCode;
pub use header::{RequestHeader, ResponseHeader};
pub use messages::{ApiKey, Request, RequestMessage, Response};
pub use reader::Reader;
pub use string::KafkaString;
pub use uuid::Uuid;
pub use writer::Writer;
