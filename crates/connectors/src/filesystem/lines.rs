//! Reads a file in chunks of whole records.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use arrow_buffer::Buffer;
use millstream_formats::MessageRange;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// Longest record (line) of a file.
const RECORD_BYTES_MAX: usize = 256 << 20;

/// Records of one file, in order.
pub struct RecordReader {
    input: Box<dyn Read + Send>,
    /// Whole records that were read but not returned yet.
    chunk: Buffer,
    records: std::vec::IntoIter<Record>,
    /// Position in the decompressed content of the first byte of `chunk`.
    chunk_position: u64,
    /// Position of the next record.
    position: u64,
    /// The start of a record that continues in the next chunk.
    tail: Vec<u8>,
    ended: bool,
    quoting: Option<Quoting>,
}

/// A record in a chunk, and where the next one starts.
struct Record {
    range: MessageRange,
    next: usize,
}

/// Whole records of one buffer.
pub struct Records {
    pub data: Buffer,
    pub ranges: Vec<MessageRange>,
    /// Position in the decompressed content of the first byte of `data`.
    pub position: u64,
}

/// CSV records may contain line breaks inside quotes.
#[derive(Clone, Copy, Debug)]
pub struct Quoting {
    pub quote: u8,
    pub escape: Option<u8>,
    pub delimiter: u8,
}

impl RecordReader {
    /// Opens a file at a position from [`RecordReader::position`].
    pub fn open(path: &Path, position: u64, quoting: Option<Quoting>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        let mut input: Box<dyn Read + Send> = match extension {
            "gz" | "gzip" => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file))),
            "deflate" => Box::new(flate2::read::ZlibDecoder::new(BufReader::new(file))),
            "zst" | "zstd" => Box::new(zstd::stream::read::Decoder::new(file)?),
            _ => {
                file.seek(SeekFrom::Start(position))?;
                return Ok(Self::new(Box::new(file), position, quoting));
            }
        };
        io::copy(&mut input.by_ref().take(position), &mut io::sink())?;
        Ok(Self::new(input, position, quoting))
    }

    fn new(input: Box<dyn Read + Send>, position: u64, quoting: Option<Quoting>) -> Self {
        Self {
            input,
            chunk: Buffer::from(Vec::<u8>::new()),
            records: Vec::new().into_iter(),
            chunk_position: position,
            position,
            tail: Vec::new(),
            ended: false,
            quoting,
        }
    }

    /// Where the next record starts.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Up to `records_max` further records; `None` at the end of the file.
    pub fn read(&mut self, records_max: usize) -> io::Result<Option<Records>> {
        while self.records.len() == 0 {
            if self.ended {
                return Ok(None);
            }
            self.fill()?;
        }
        let mut ranges = Vec::with_capacity(records_max.min(self.records.len()));
        for record in self.records.by_ref().take(records_max) {
            ranges.push(record.range);
            self.position = self.chunk_position + record.next as u64;
        }
        Ok(Some(Records {
            data: self.chunk.clone(),
            ranges,
            position: self.chunk_position,
        }))
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut bytes = std::mem::take(&mut self.tail);
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "the record at byte {} is longer than {RECORD_BYTES_MAX} bytes",
                    self.position
                ),
            ));
        }
        self.chunk_position = self.position;
        let read = self
            .input
            .by_ref()
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut bytes)?;
        self.ended = read == 0;
        let (records, used) = split(&bytes, self.quoting, self.ended);
        self.tail = bytes.split_off(used);
        self.records = records.into_iter();
        self.chunk = Buffer::from(bytes);
        Ok(())
    }
}

/// The whole records of `data`, and their size including line breaks.
fn split(data: &[u8], quoting: Option<Quoting>, ended: bool) -> (Vec<Record>, usize) {
    let (mut records, mut start, mut at) = (Vec::new(), 0, 0);
    let (mut in_quotes, mut field_begins) = (false, true);
    while let Some(byte) = data.get(at).copied() {
        if byte == b'\n' && !in_quotes {
            records.push(Record {
                range: range(data, start, at),
                next: at + 1,
            });
            start = at + 1;
        }
        if let Some(quoting) = quoting {
            let is_escape = Some(byte) == quoting.escape;
            // An escaped character has no special meaning. A quote counts only at the start of a field, and then until
            // its end.
            at += usize::from(is_escape);
            if byte == quoting.quote && !is_escape {
                in_quotes =
                    !in_quotes && (field_begins || data.get(at.wrapping_sub(1)) == Some(&quoting.quote));
            }
            field_begins =
                !in_quotes && (byte == quoting.delimiter || byte == b'\n' || (field_begins && byte == b' '));
        }
        at += 1;
    }
    if ended && start < data.len() {
        records.push(Record {
            range: range(data, start, data.len()),
            next: data.len(),
        });
        start = data.len();
    }
    (records, start)
}

/// The record without a trailing carriage return.
fn range(data: &[u8], start: usize, end: usize) -> MessageRange {
    let end = if end > start && data[end - 1] == b'\r' {
        end - 1
    } else {
        end
    };
    MessageRange::new(start as u32, (end - start) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_in_quotes_belong_to_the_record() {
        let plain = Quoting {
            quote: b'"',
            escape: None,
            delimiter: b',',
        };
        let escaping = Quoting {
            escape: Some(b'\\'),
            ..plain
        };
        let cases: [(&str, Quoting, &[&str]); 5] = [
            ("1,a\n2,b\n", plain, &["1,a", "2,b"]),
            ("1,\"a\nb\"\n2,c", plain, &["1,\"a\nb\"", "2,c"]),
            ("1,\"a\"\"\nb\"\n2,c", plain, &["1,\"a\"\"\nb\"", "2,c"]),
            ("1,mid\"quote\n2,c", plain, &["1,mid\"quote", "2,c"]),
            ("1,\"a\\\"b\"\n2,c", escaping, &["1,\"a\\\"b\"", "2,c"]),
        ];
        for (text, quoting, expected) in cases {
            let (records, used) = split(text.as_bytes(), Some(quoting), true);
            let found: Vec<&str> = records
                .iter()
                .map(|record| {
                    let start = record.range.offset as usize;
                    &text[start..start + record.range.length as usize]
                })
                .collect();
            assert_eq!(found, expected, "{text:?}");
            assert_eq!(used, text.len());
        }
    }
}
