//! Container files: a header with the writer's schema, then blocks of compressed datums.
//!
//! `Obj\x01`, a map of metadata (`avro.schema`, `avro.codec`), 16 bytes that mark the end of the header and of each block
//! (the sync marker); then for each block the number of its records, the bytes of its data, the data and the marker. From
//! the Avro specification 1.12, "Object Container Files".

mod codec;
mod error;
mod read;
mod resolve;
mod schema;
#[cfg(test)]
mod tests;
mod write;

pub use codec::AvroCodec;
pub use error::{AvroCodecError, ContainerError, SchemaError, SchemaMismatch};
pub use read::ContainerReader;
pub use write::ContainerWriter;

/// The first bytes of a file.
const MAGIC: [u8; 4] = *b"Obj\x01";
const SCHEMA_KEY: &str = "avro.schema";
const CODEC_KEY: &str = "avro.codec";
/// Bytes of a sync marker.
const SYNC_BYTES: usize = 16;
/// Longest name or value in a header.
const HEADER_VALUE_BYTES_MAX: usize = 16 << 20;
/// Entries of a header.
const HEADER_ENTRIES_MAX: usize = 1024;
/// Longest block, compressed or not.
const BLOCK_BYTES_MAX: usize = 256 << 20;
