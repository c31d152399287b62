//! Format `debezium-json`: changes of a database table as Debezium writes them, an envelope with `before`, `after`, `op`.
//!
//! Reading: `c` and `r` insert, `u` gives the row before and the row after, `d` deletes. Writing: a row that is added is
//! a creation, a row that is taken back a deletion, as Flink writes them. The envelope's other fields are skipped.

use arrow_buffer::Buffer;
use millstream_types::{
    Batch, ChangelogMode, FormatDecl, LogicalType, OptionDecl, OptionType, Options, RowKind, Schema,
};

use super::scan::{Cursor, ScanError};
use super::value::{Program, ValueOptions, object};
use super::{JsonEncoder, JsonOptions};
use crate::column::{ColumnBuilder, finish_all};
use crate::{
    DecodeError, Decoded, Decoder, EncodeError, Encoded, Encoder, FormatError, MessageRange, boolean_option,
};

const NAME: &str = "debezium-json";
/// Bytes of a message that an error shows.
const SHOWN_MESSAGE_BYTES_MAX: usize = 1024;

const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        "schema-include",
        OptionType::Boolean,
        "Whether messages wrap the envelope in `payload` beside a `schema`.",
    )
    .with_default("false"),
    OptionDecl::new(
        "ignore-parse-errors",
        OptionType::Boolean,
        "Whether messages that cannot be read are skipped.",
    )
    .with_default("false"),
    OptionDecl::new(
        "timestamp-format.standard",
        OptionType::Enum(&["SQL", "ISO-8601"]),
        "As of format json.",
    )
    .with_default("SQL"),
    OptionDecl::new(
        "map-null-key.mode",
        OptionType::Enum(&["FAIL", "DROP", "LITERAL"]),
        "As of format json.",
    )
    .with_default("FAIL"),
    OptionDecl::new("map-null-key.literal", OptionType::String, "As of format json.").with_default("null"),
    OptionDecl::new(
        "encode.decimal-as-plain-number",
        OptionType::Boolean,
        "As of format json.",
    )
    .with_default("false"),
    OptionDecl::new(
        "encode.ignore-null-fields",
        OptionType::Boolean,
        "As of format json.",
    )
    .with_default("false"),
];

/// The declaration of format `debezium-json`.
pub const DECLARATION: FormatDecl = FormatDecl {
    identifier: NAME,
    doc: "Changes of a database table in Debezium's JSON envelope.",
    options: OPTIONS,
    metadata: &[],
    decode: Some(ChangelogMode::ALL),
    encode: Some(ChangelogMode::ALL),
    validate: super::DECLARATION.validate,
};

/// Decodes Debezium messages into rows with kinds.
pub struct DebeziumDecoder {
    options: ValueOptions,
    schema_include: bool,
    program: Program,
    columns: Vec<ColumnBuilder>,
    kinds: Vec<RowKind>,
}

/// Where the parts of an envelope begin; `None`: missing or null.
#[derive(Default)]
struct Envelope {
    before: Option<usize>,
    after: Option<usize>,
    payload: Option<usize>,
    op: Option<String>,
}

impl DebeziumDecoder {
    /// A decoder for the columns of `schema`, by name. `options` are without prefix.
    pub fn new(options: &Options, schema: &Schema) -> Result<Self, FormatError> {
        let json = JsonOptions::parse(options)?;
        let row = LogicalType::row(schema.columns.iter().map(|c| (c.name.clone(), c.ty.clone())));
        Ok(Self {
            options: ValueOptions {
                ignore_errors: json.ignore_parse_errors,
                fail_on_missing: false,
                standard: json.standard,
            },
            schema_include: boolean_option(NAME, options, "schema-include", false)?,
            program: Program::new(&row),
            columns: schema.types().map(ColumnBuilder::new).collect(),
            kinds: Vec::new(),
        })
    }

    fn message(&mut self, data: &[u8], start: usize, end: usize) -> Result<(), ScanError> {
        if simdutf8::basic::from_utf8(&data[start..end]).is_err() {
            return Err(ScanError {
                at: start,
                reason: "invalid UTF-8".to_owned(),
            });
        }
        let mut envelope = envelope(data, start, end)?;
        if self.schema_include {
            let wrong = || ScanError {
                at: start,
                reason: "the message has no 'payload'".to_owned(),
            };
            envelope = self::envelope(data, envelope.payload.ok_or_else(wrong)?, end)?;
        }
        let mut row = |place: Option<usize>, field: &str, kind: RowKind| {
            let missing = || ScanError {
                at: start,
                reason: format!(
                    "The \"{field}\" field of {} message is null; if you are using the Debezium Postgres connector, \
                     set REPLICA IDENTITY of the table to FULL",
                    if kind == RowKind::Delete {
                        "DELETE"
                    } else {
                        "UPDATE"
                    }
                ),
            };
            let mut cursor = Cursor::new(data, place.ok_or_else(missing)?, end);
            object(
                &mut cursor,
                &self.program,
                &mut self.columns,
                self.kinds.len(),
                self.options,
            )?;
            self.kinds.push(kind);
            Ok(())
        };
        match envelope.op.as_deref() {
            Some("c" | "r") => row(envelope.after, "after", RowKind::Insert),
            Some("u") => {
                row(envelope.before, "before", RowKind::UpdateBefore)?;
                row(envelope.after, "after", RowKind::UpdateAfter)
            }
            Some("d") => row(envelope.before, "before", RowKind::Delete),
            other => Err(ScanError {
                at: start,
                reason: format!("unknown \"op\" value \"{}\"", other.unwrap_or("null")),
            }),
        }
    }

    fn truncate(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|c| c.truncate(rows));
        self.kinds.truncate(rows);
    }
}

/// Finds the parts of an envelope. The whole object is read, so that broken JSON is found.
fn envelope(data: &[u8], start: usize, end: usize) -> Result<Envelope, ScanError> {
    let mut cursor = Cursor::new(data, start, end);
    cursor.skip_whitespace();
    if cursor.peek() != Some(b'{') {
        return cursor.error("a JSON object is expected");
    }
    cursor.enter()?;
    let mut found = Envelope::default();
    cursor.skip_whitespace();
    if cursor.eat(b'}') {
        return Ok(found);
    }
    loop {
        cursor.skip_whitespace();
        let key = cursor.string()?;
        cursor.skip_whitespace();
        cursor.expect(b':')?;
        cursor.skip_whitespace();
        let (at, is_object) = (cursor.at, cursor.peek() == Some(b'{'));
        cursor.skip_value()?;
        let value = is_object.then_some(at);
        match &data[key.start..key.end] {
            b"before" => found.before = value,
            b"after" => found.after = value,
            b"payload" => found.payload = value,
            b"op" => {
                let text = String::from_utf8_lossy(&data[at..cursor.at]);
                found.op = Some(text.trim_matches('"').to_owned()).filter(|op| op != "null");
            }
            _ => {}
        }
        cursor.skip_whitespace();
        if !cursor.eat(b',') {
            break;
        }
    }
    cursor.expect(b'}')?;
    Ok(found)
}

impl Decoder for DebeziumDecoder {
    fn decode(&mut self, data: &Buffer, messages: &[MessageRange]) -> Result<Decoded, DecodeError> {
        let mut origins = Vec::with_capacity(messages.len());
        for (index, range) in messages.iter().enumerate() {
            // A tombstone follows a deletion and says nothing new.
            let Some(text) = range.slice(data) else { continue };
            let (start, rows) = (range.offset as usize, self.kinds.len());
            match self.message(data, start, start + text.len()) {
                Ok(()) => origins.extend(std::iter::repeat_n(index as u32, self.kinds.len() - rows)),
                Err(_) if self.options.ignore_errors => self.truncate(rows),
                Err(error) => {
                    self.truncate(0);
                    let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN_MESSAGE_BYTES_MAX)]);
                    let reason = format!("Corrupt Debezium JSON message '{shown}': {}", error.reason);
                    return Err(DecodeError {
                        message: index,
                        reason,
                    });
                }
            }
        }
        let kinds = std::mem::take(&mut self.kinds);
        let columns = finish_all(&mut self.columns, data)?;
        let is_changelog = kinds.iter().any(|kind| *kind != RowKind::Insert);
        Ok(Decoded {
            columns,
            rows: kinds.len(),
            kinds: is_changelog.then_some(kinds),
            messages: Some(origins),
        })
    }
}

/// Encodes rows with kinds as Debezium messages.
pub struct DebeziumEncoder {
    rows: JsonEncoder,
    /// `encode.ignore-null-fields` leaves out the missing side of the envelope, too.
    ignore_null_fields: bool,
}

impl DebeziumEncoder {
    pub fn new(options: &Options, schema: &Schema) -> Result<Self, FormatError> {
        if boolean_option(NAME, options, "schema-include", false)? {
            return Err(FormatError::Schema(
                "Debezium JSON serialization doesn't support 'debezium-json.schema-include' option been set to true"
                    .to_owned(),
            ));
        }
        let json = JsonOptions::parse(options)?;
        let ignore_null_fields = json.ignore_null_fields;
        Ok(Self {
            rows: JsonEncoder::new(json, schema)?,
            ignore_null_fields,
        })
    }
}

impl Encoder for DebeziumEncoder {
    fn encode(&mut self, batch: &Batch, out: &mut Encoded) -> Result<(), EncodeError> {
        for row in 0..batch.rows {
            let is_addition = batch.kind(row).is_addition();
            let (head, tail): (&[u8], &[u8]) = match (is_addition, self.ignore_null_fields) {
                (true, false) => (b"{\"before\":null,\"after\":", b",\"op\":\"c\"}"),
                (true, true) => (b"{\"after\":", b",\"op\":\"c\"}"),
                (false, false) => (b"{\"before\":", b",\"after\":null,\"op\":\"d\"}"),
                (false, true) => (b"{\"before\":", b",\"op\":\"d\"}"),
            };
            out.data.extend_from_slice(head);
            self.rows.object(&batch.columns, row, &mut out.data)?;
            out.data.extend_from_slice(tail);
            out.ends.push(out.data.len());
        }
        Ok(())
    }
}
