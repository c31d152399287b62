//! Tests of the codec against its descriptions, against a foreign codec, and against hostile bytes.

mod compression;
mod hostile;
mod messages;
mod peer;
mod primitives;
mod record_batches;
#[allow(dead_code, reason = "the generator uses all of it")]
#[path = "../../../../xtask/src/codegen_kafka/spec.rs"]
mod spec;
mod wire_values;
