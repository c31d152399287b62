//! What a file gives: lines, or the blocks of a container.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use arrow_buffer::Buffer;
use millstream_formats::MessageRange;
use millstream_formats::avro::ContainerReader;

use super::lines::{Quoting, RecordReader, Records};

/// A file that is being read.
pub enum FileReader {
    Lines(RecordReader),
    /// An Avro file; a record is a block of rows.
    Blocks(Container),
}

/// An Avro file.
pub type Container = ContainerReader<BufReader<File>>;

/// Opens an Avro file at a position from [`FileReader::position`]; 0 is its beginning.
pub fn open_container(path: &Path, position: u64) -> io::Result<Container> {
    let mut reader = ContainerReader::open(BufReader::new(File::open(path)?))?;
    if position > 0 {
        reader.seek(position)?;
    }
    Ok(reader)
}

impl FileReader {
    /// Opens a file of lines at a position from [`FileReader::position`].
    pub fn lines(path: &Path, position: u64, quoting: Option<Quoting>) -> io::Result<Self> {
        RecordReader::open(path, position, quoting).map(Self::Lines)
    }

    /// What a record is called in messages.
    pub fn record_name(&self) -> &'static str {
        match self {
            Self::Lines(_) => "line",
            Self::Blocks(_) => "block",
        }
    }

    /// Where the next record starts.
    pub fn position(&self) -> u64 {
        match self {
            Self::Lines(reader) => reader.position(),
            Self::Blocks(reader) => reader.position(),
        }
    }

    /// Up to `records_max` further lines, or the next block; `None` at the end of the file.
    pub fn read(&mut self, records_max: usize) -> io::Result<Option<Records>> {
        let reader = match self {
            Self::Lines(reader) => return reader.read(records_max),
            Self::Blocks(reader) => reader,
        };
        let position = reader.position();
        let block = reader.block()?;
        Ok(block.map(|block| Records {
            ranges: vec![MessageRange::new(0, block.len() as u32)],
            data: Buffer::from(block),
            position,
        }))
    }
}
