//! A file that is being written: lines, or a container.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use millstream_dataflow::DataflowError;
use millstream_formats::avro::{AvroCodec, AvroOptions, ContainerWriter};
use millstream_types::{ErrorKind, Rng, Schema};

/// Bytes that are collected before they are written to a file.
const WRITER_BYTES: usize = 256 << 10;

/// A file that is being written.
pub(super) struct OpenFile {
    pub hidden: PathBuf,
    pub visible: PathBuf,
    pub writer: BufWriter<File>,
    pub body: Body,
    pub bytes: u64,
    pub opened_ms: i64,
    pub written_ms: i64,
}

impl OpenFile {
    /// A file of lines with the paths that writers and readers see, and `bytes` in it already.
    pub fn new(file: File, (hidden, visible): (PathBuf, PathBuf), bytes: u64, now_ms: i64) -> Self {
        Self {
            hidden,
            visible,
            writer: BufWriter::with_capacity(WRITER_BYTES, file),
            body: Body::Lines,
            bytes,
            opened_ms: now_ms,
            written_ms: now_ms,
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Appends an encoded row.
    pub fn append(&mut self, row: &[u8]) -> io::Result<()> {
        let Body::Blocks(blocks) = &mut self.body else {
            self.write(row)?;
            return self.write(b"\n");
        };
        let block = blocks.append(row)?;
        block.map_or(Ok(()), |block| self.write(&block))
    }

    /// Writes what a container has kept back.
    pub fn complete(&mut self) -> io::Result<()> {
        let Body::Blocks(blocks) = &mut self.body else {
            return Ok(());
        };
        let block = blocks.block()?;
        block.map_or(Ok(()), |block| self.write(&block))
    }
}

/// The body of an open file.
pub(super) enum Body {
    Lines,
    Blocks(ContainerWriter),
}

/// How containers are written.
#[derive(Clone, Copy)]
pub(super) struct Container {
    pub options: AvroOptions,
    pub codec: AvroCodec,
}

impl Container {
    /// The body of a new file with rows of `schema`, and the file's first bytes.
    pub fn begin(self, schema: &Schema, rng: &dyn Rng) -> Result<(Body, Vec<u8>), DataflowError> {
        let mut sync = [0; 16];
        for half in sync.chunks_mut(8) {
            half.copy_from_slice(&rng.next_u64().to_le_bytes());
        }
        let writer = ContainerWriter::new(self.codec, sync);
        let header = writer.header(self.options, schema);
        let header = header.map_err(|e| DataflowError::new(ErrorKind::Input, e.to_string()))?;
        Ok((Body::Blocks(writer), header))
    }
}
