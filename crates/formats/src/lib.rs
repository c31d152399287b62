//! Record formats: bytes of messages to columns and back.
//!
//! A format is pure: it gets messages that lie in one buffer, and gives columns of the table's physical types, or the
//! reverse. It knows nothing of topics, files or threads; the connector adds the place to an error. The schema that a
//! decoder gets is already projected, so a column that the query does not read is never decoded.

pub mod avro;
pub mod column;
pub mod csv;
mod error;
pub mod json;
pub mod raw;
mod temporal;

/// Nanoseconds since the epoch of `yyyy-MM-ddTHH:mm[:ss[.fraction]]`.
pub fn parse_iso_timestamp(text: &str) -> Option<i128> {
    temporal::parse_timestamp(text.as_bytes(), temporal::TimestampStandard::Iso8601, false)
}

pub use error::{ColumnError, DecodeError, EncodeError, FormatError, Subject, ValueError};

use arrow_array::ArrayRef;
use arrow_buffer::Buffer;
use millstream_types::{Batch, FormatDecl, Options, RowKind, Schema};

/// The formats of this build, in the order in which messages list them.
pub const FORMATS: &[&FormatDecl] = &[
    &avro::DECLARATION,
    &json::canal::DECLARATION,
    &csv::DECLARATION,
    &json::debezium::DECLARATION,
    &json::DECLARATION,
    &json::maxwell::DECLARATION,
    &json::ogg::DECLARATION,
    &raw::DECLARATION,
];

/// The names of the formats, as messages list them.
fn identifiers() -> String {
    let names: Vec<&str> = FORMATS.iter().map(|format| format.identifier).collect();
    names.join(", ")
}

/// Where a message lies in the buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageRange {
    pub offset: u32,
    /// Bytes; [`MessageRange::NULL`] for a message without a value.
    pub length: u32,
}

impl MessageRange {
    /// Length of a message whose value is null (a tombstone).
    pub const NULL: u32 = u32::MAX;

    pub fn new(offset: u32, length: u32) -> Self {
        Self { offset, length }
    }

    /// The bytes, or `None` for a null value.
    pub fn slice(self, data: &[u8]) -> Option<&[u8]> {
        if self.length == Self::NULL {
            return None;
        }
        data.get(self.offset as usize..self.offset as usize + self.length as usize)
    }
}

/// Rows decoded from messages.
#[derive(Clone, Debug)]
pub struct Decoded {
    pub columns: Vec<ArrayRef>,
    pub rows: usize,
    /// Kinds of the rows, when the format carries changes.
    pub kinds: Option<Vec<RowKind>>,
    /// For each row, the index of its message; absent when row `i` came from message `i` and none was left out.
    pub messages: Option<Vec<u32>>,
}

/// Messages to rows.
///
/// - `messages` lie inside `data`; `data` may be kept alive by the columns (strings refer to it);
/// - a null message gives no row;
/// - after an error nothing of the call is kept, and the decoder can be used again.
pub trait Decoder: Send {
    fn decode(&mut self, data: &Buffer, messages: &[MessageRange]) -> Result<Decoded, DecodeError>;
}

/// Encoded rows, one message each, back to back.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    pub data: Vec<u8>,
    /// End of each message in `data`.
    pub ends: Vec<usize>,
    /// Messages whose value is null, by index; empty for most formats.
    pub nulls: Vec<usize>,
}

impl Encoded {
    /// Messages in order; `None` for a null value.
    pub fn messages(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut start = 0;
        self.ends.iter().enumerate().map(move |(index, end)| {
            let bytes = &self.data[start..*end];
            start = *end;
            if self.nulls.binary_search(&index).is_ok() {
                None
            } else {
                Some(bytes)
            }
        })
    }

    pub fn clear(&mut self) {
        self.data.clear();
        self.ends.clear();
        self.nulls.clear();
    }
}

/// Rows to messages: row `i` of the batch is message `i` of what is appended to `out`.
pub trait Encoder: Send {
    fn encode(&mut self, batch: &Batch, out: &mut Encoded) -> Result<(), EncodeError>;
}

/// A decoder of `format` for the columns of `schema`. `options` are without the format's prefix. `all` is the whole
/// physical schema of what the message holds, for formats that go by position.
pub fn decoder(
    format: &str,
    options: &Options,
    schema: &Schema,
    all: &Schema,
) -> Result<Box<dyn Decoder>, FormatError> {
    decoder_with_metadata(format, options, schema, all, &[])
}

/// As [`decoder`], for the lines of files.
pub fn file_decoder(
    format: &str,
    options: &Options,
    schema: &Schema,
    all: &Schema,
) -> Result<Box<dyn Decoder>, FormatError> {
    if format != "csv" {
        return decoder(format, options, schema, all);
    }
    let options = csv::CsvOptions {
        checks_read_columns: true,
        ..csv::CsvOptions::parse(options)?
    };
    Ok(Box::new(csv::CsvDecoder::new(options, schema, all)?))
}

/// As [`decoder`]; the columns of the format's metadata keys stand behind those of `schema`.
pub fn decoder_with_metadata(
    format: &str,
    options: &Options,
    schema: &Schema,
    all: &Schema,
    metadata: &[&str],
) -> Result<Box<dyn Decoder>, FormatError> {
    match format {
        "canal-json" => json::canal::decoder(options, schema, metadata),
        "maxwell-json" => json::maxwell::decoder(options, schema, metadata),
        "ogg-json" => json::ogg::decoder(options, schema, metadata),
        "debezium-json" => json::debezium::decoder(options, schema, metadata),
        other if !metadata.is_empty() => Err(FormatError::NoMetadata(other.to_owned())),
        "json" => Ok(Box::new(json::JsonDecoder::new(
            json::JsonOptions::parse(options)?,
            schema,
        )?)),
        "csv" => Ok(Box::new(csv::CsvDecoder::new(
            csv::CsvOptions::parse(options)?,
            schema,
            all,
        )?)),
        "avro" => Ok(Box::new(avro::AvroDecoder::new(
            avro::AvroOptions::parse(options)?,
            schema,
            all,
        )?)),
        "raw" => Ok(Box::new(raw::RawDecoder::new(
            raw::RawOptions::parse(options)?,
            schema,
            all,
        )?)),
        other => Err(FormatError::Unknown(other.to_owned())),
    }
}

/// An encoder of `format` for rows of `schema`. `options` are without the format's prefix.
pub fn encoder(format: &str, options: &Options, schema: &Schema) -> Result<Box<dyn Encoder>, FormatError> {
    match format {
        "json" => Ok(Box::new(json::JsonEncoder::new(
            json::JsonOptions::parse(options)?,
            schema,
        )?)),
        "canal-json" => json::canal::encoder(options, schema),
        "maxwell-json" => json::maxwell::encoder(options, schema),
        "ogg-json" => json::ogg::encoder(options, schema),
        "debezium-json" => json::debezium::encoder(options, schema),
        "csv" => Ok(Box::new(csv::CsvEncoder::new(
            csv::CsvOptions::parse(options)?,
            schema,
        )?)),
        "avro" => Ok(Box::new(avro::AvroEncoder::new(
            avro::AvroOptions::parse(options)?,
            schema,
        )?)),
        "raw" => Ok(Box::new(raw::RawEncoder::new(
            raw::RawOptions::parse(options)?,
            schema,
        )?)),
        other => Err(FormatError::Unknown(other.to_owned())),
    }
}

/// As [`encoder`], for rows in files, where Flink writes some values otherwise than in messages.
pub fn file_encoder(
    format: &str,
    options: &Options,
    schema: &Schema,
) -> Result<Box<dyn Encoder>, FormatError> {
    if format != "csv" {
        return encoder(format, options, schema);
    }
    let options = csv::CsvOptions {
        strip_decimals: true,
        ..csv::CsvOptions::parse(options)?
    };
    Ok(Box::new(csv::CsvEncoder::new(options, schema)?))
}

/// Refuses rows that take something back, for formats that have no way to say so.
fn additions_only(batch: &Batch, format: &'static str) -> Result<(), EncodeError> {
    let mut kinds = batch.kinds.iter().flat_map(|kinds| kinds.iter());
    match kinds.find(|kind| !kind.is_addition()) {
        Some(kind) => Err(EncodeError::Kind {
            format,
            kind: kind.symbol(),
        }),
        None => Ok(()),
    }
}

/// The options of a table that begin with a format's prefix (`csv.`), without it.
fn options_behind(prefix: &str, options: &Options) -> Options {
    let strip =
        |(key, value): (&String, &String)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone()));
    options.iter().filter_map(strip).collect()
}

/// The boolean value of an option with a declared default.
fn boolean_option(
    format: &'static str,
    options: &Options,
    key: &str,
    default: bool,
) -> Result<bool, FormatError> {
    let Some(value) = options.get(key) else {
        return Ok(default);
    };
    millstream_types::options::parse_boolean(value).ok_or_else(|| FormatError::Option {
        format,
        key: key.to_owned(),
        value: value.clone(),
        expected: "true or false".to_owned(),
    })
}
