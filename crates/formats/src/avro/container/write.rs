//! Writes containers.

use std::io;

use millstream_types::{LogicalType, Schema};

use super::schema::derive;
use super::{AvroCodec, CODEC_KEY, MAGIC, SCHEMA_KEY, SYNC_BYTES};
use crate::FormatError;
use crate::avro::AvroOptions;
use crate::avro::encode::{write_bytes, write_long};
use crate::avro::json::RECORD;

/// Bytes of datums at which a block is complete: the default of Avro's own writer.
const BLOCK_BYTES: usize = 64_000;

/// Puts datums into the blocks of a file.
#[derive(Debug)]
pub struct ContainerWriter {
    codec: AvroCodec,
    sync: [u8; SYNC_BYTES],
    datums: Vec<u8>,
    count: i64,
}

impl ContainerWriter {
    /// A writer whose blocks end with `sync`, which should be random.
    pub fn new(codec: AvroCodec, sync: [u8; SYNC_BYTES]) -> Self {
        Self {
            codec,
            sync,
            datums: Vec::new(),
            count: 0,
        }
    }

    /// The beginning of a file with rows of `schema`.
    pub fn header(&self, options: AvroOptions, schema: &Schema) -> Result<Vec<u8>, FormatError> {
        options.check_all(schema)?;
        let fields = schema.columns.iter().map(|c| (c.name.clone(), c.ty.clone()));
        let row = LogicalType::row(fields).with_nullable(false);
        let schema = derive(&row, RECORD, options.legacy_timestamps).to_string();
        let mut out = MAGIC.to_vec();
        write_long(&mut out, 2);
        for (key, value) in [(SCHEMA_KEY, schema.as_str()), (CODEC_KEY, self.codec.name())] {
            write_bytes(&mut out, key.as_bytes());
            write_bytes(&mut out, value.as_bytes());
        }
        write_long(&mut out, 0);
        out.extend_from_slice(&self.sync);
        Ok(out)
    }

    /// Appends a datum; returns a block if one is complete.
    pub fn append(&mut self, datum: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.datums.extend_from_slice(datum);
        self.count += 1;
        if self.datums.len() < BLOCK_BYTES {
            return Ok(None);
        }
        self.block()
    }

    /// The block of the datums that are in none yet.
    pub fn block(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.count == 0 {
            return Ok(None);
        }
        let data = self.codec.compress(&self.datums)?;
        let mut out = Vec::with_capacity(data.len() + SYNC_BYTES + 16);
        write_long(&mut out, self.count);
        write_bytes(&mut out, &data);
        out.extend_from_slice(&self.sync);
        self.datums.clear();
        self.count = 0;
        Ok(Some(out))
    }
}
