//! What the formats for changes of database tables have in common: a message is an envelope of JSON that holds rows,
//! before and after a change, and says of itself what happened.
//!
//! A [`Dialect`] finds the rows of a message; they are copied into a buffer of their own, so that a row which is put
//! together of two places is read like any other.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType, TimestampMillisecondType};
use arrow_array::{ArrayRef, TimestampMillisecondArray};
use arrow_buffer::Buffer;
use millstream_types::{Batch, LogicalType, MetadataDecl, OptionDecl, OptionType, Options, RowKind, Schema};
use serde_json::Value;

use super::fast::Predictor;
use super::scan::{Cursor, ScanError};
use super::value::{Program, ValueOptions, object};
use super::{JsonEncoder, JsonOptions};
use crate::column::{ColumnBuilder, finish_all};
use crate::temporal::TimestampStandard;
use crate::{
    DecodeError, Decoded, Decoder, EncodeError, Encoded, Encoder, FormatError, MessageRange, Subject,
    ValueError,
};

pub(super) const IGNORE_PARSE_ERRORS: OptionDecl = OptionDecl::new(
    "ignore-parse-errors",
    OptionType::Boolean,
    "Whether messages that cannot be parsed are skipped.",
)
.with_default("false");
pub(super) const TIMESTAMP_FORMAT: OptionDecl = OptionDecl::new(
    "timestamp-format.standard",
    OptionType::Enum(&["SQL", "ISO-8601"]),
    "As for the json format.",
)
.with_default("SQL");
pub(super) const MAP_NULL_KEY_MODE: OptionDecl = OptionDecl::new(
    "map-null-key.mode",
    OptionType::Enum(&["FAIL", "DROP", "LITERAL"]),
    "As for the json format.",
)
.with_default("FAIL");
pub(super) const MAP_NULL_KEY_LITERAL: OptionDecl = OptionDecl::new(
    "map-null-key.literal",
    OptionType::String,
    "As for the json format.",
)
.with_default("null");
pub(super) const DECIMAL_AS_PLAIN: OptionDecl = OptionDecl::new(
    "encode.decimal-as-plain-number",
    OptionType::Boolean,
    "As for the json format.",
)
.with_default("false");
pub(super) const IGNORE_NULL_FIELDS: OptionDecl = OptionDecl::new(
    "encode.ignore-null-fields",
    OptionType::Boolean,
    "As for the json format.",
)
.with_default("false");

/// The options that all these formats have.
pub(super) const OPTIONS: &[OptionDecl] = &[
    IGNORE_PARSE_ERRORS,
    TIMESTAMP_FORMAT,
    MAP_NULL_KEY_MODE,
    MAP_NULL_KEY_LITERAL,
    DECIMAL_AS_PLAIN,
    IGNORE_NULL_FIELDS,
];

/// A metadata key, which can be read and not written.
pub(super) const fn readable(key: &'static str, ty: fn() -> LogicalType, doc: &'static str) -> MetadataDecl {
    MetadataDecl {
        key,
        ty,
        writable: false,
        doc,
    }
}

pub(super) const DATABASE: MetadataDecl =
    readable("database", || LogicalType::STRING, "Database of the change.");
pub(super) const TABLE: MetadataDecl = readable("table", || LogicalType::STRING, "Table of the change.");

/// How one format's messages are read.
pub(super) trait Dialect: Send {
    /// What error messages call it.
    fn name(&self) -> &'static str;
    /// Finds the rows of a message.
    fn rows(&self, message: &Members<'_>, rows: &mut Rows<'_>) -> Result<(), ValueError>;
    /// The place of a metadata value.
    fn metadata<'d>(&self, message: &Members<'d>, field: &MetadataField) -> Option<&'d [u8]> {
        message.at(field.path)
    }
}

/// A metadata column that an envelope gives.
pub(super) struct MetadataField {
    pub key: &'static str,
    /// Members of members.
    pub path: &'static [&'static str],
    pub form: MetadataForm,
}

pub(super) const fn field(
    key: &'static str,
    path: &'static [&'static str],
    form: MetadataForm,
) -> MetadataField {
    MetadataField { key, path, form }
}

/// How a metadata value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MetadataForm {
    Text,
    Texts,
    /// MAP<STRING, INT>
    Numbers,
    /// MAP<STRING, STRING>
    Properties,
    /// Milliseconds since the epoch.
    Millis,
    /// Seconds since the epoch.
    Seconds,
    /// A timestamp in SQL's form, in UTC.
    Timestamp(u8),
}

impl MetadataForm {
    /// The type as it is read from JSON.
    fn read(self) -> LogicalType {
        match self {
            Self::Text => LogicalType::STRING,
            Self::Texts => LogicalType::array(LogicalType::STRING),
            Self::Numbers => LogicalType::map(LogicalType::STRING, LogicalType::INT),
            Self::Properties => LogicalType::map(LogicalType::STRING, LogicalType::STRING),
            Self::Millis | Self::Seconds => LogicalType::BIGINT,
            Self::Timestamp(precision) => LogicalType::timestamp(precision),
        }
    }

    /// The column that was read, as the declared type has it.
    fn convert(self, read: ArrayRef) -> ArrayRef {
        let times = |factor: i64| {
            let values = read.as_primitive::<Int64Type>();
            let millis: TimestampMillisecondArray = values.unary(|v| v.saturating_mul(factor));
            Arc::new(millis.with_timezone("UTC")) as ArrayRef
        };
        match self {
            Self::Millis => times(1),
            Self::Seconds => times(1000),
            Self::Timestamp(0..=3) => {
                let values = read.as_primitive::<TimestampMillisecondType>().clone();
                Arc::new(values.with_timezone("UTC"))
            }
            Self::Timestamp(_) => {
                let values = read.as_primitive::<TimestampMicrosecondType>().clone();
                Arc::new(values.with_timezone("UTC"))
            }
            _ => read,
        }
    }
}

/// The members of a JSON object, as places in the data.
pub(super) struct Members<'d> {
    entries: Vec<(&'d [u8], &'d [u8])>,
}

impl<'d> Members<'d> {
    /// Reads a whole object, so that broken JSON is found.
    pub fn of(data: &'d [u8], start: usize, end: usize) -> Result<Self, ScanError> {
        let mut cursor = Cursor::new(data, start, end);
        cursor.skip_whitespace();
        if cursor.peek() != Some(b'{') {
            return cursor.error("a JSON object is expected");
        }
        let mut entries = Vec::new();
        cursor.members(b'}', |cursor| {
            let key = cursor.string()?;
            cursor.behind_colon()?;
            let at = cursor.at;
            cursor.skip_value()?;
            entries.push((&data[key.start..key.end], &data[at..cursor.at]));
            Ok(())
        })?;
        Ok(Self { entries })
    }

    pub fn of_value(value: &'d [u8]) -> Option<Self> {
        Self::of(value, 0, value.len()).ok()
    }

    /// The JSON of a member, null or not.
    pub fn member(&self, name: &str) -> Option<&'d [u8]> {
        let mut named = self.entries.iter().rev();
        named
            .find(|(key, _)| *key == name.as_bytes())
            .map(|(_, value)| *value)
    }

    /// The JSON of a member that is not null.
    pub fn get(&self, name: &str) -> Option<&'d [u8]> {
        self.member(name).filter(|value| *value != b"null")
    }

    /// The JSON of a member of a member.
    pub fn at(&self, path: &[&str]) -> Option<&'d [u8]> {
        let (first, rest) = path.split_first()?;
        let value = self.get(first)?;
        match rest {
            [] => Some(value),
            rest => Self::of_value(value)?.at(rest),
        }
    }

    /// A member as text: a string's content, or the JSON of anything else.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        Some(match serde_json::from_slice(value) {
            Ok(Value::String(text)) => text,
            _ => String::from_utf8_lossy(value).into_owned(),
        })
    }
}

/// The elements of a JSON array, as places in the data.
pub(super) fn elements(value: &[u8]) -> Option<Vec<&[u8]>> {
    let mut cursor = Cursor::new(value, 0, value.len());
    cursor.skip_whitespace();
    if !cursor.eat(b'[') {
        return None;
    }
    let mut found = Vec::new();
    cursor.skip_whitespace();
    if cursor.eat(b']') {
        return Some(found);
    }
    loop {
        cursor.skip_whitespace();
        let at = cursor.at;
        cursor.skip_value().ok()?;
        found.push(&value[at..cursor.at]);
        cursor.skip_whitespace();
        if !cursor.eat(b',') {
            return cursor.eat(b']').then_some(found);
        }
    }
}

/// Where a dialect puts the rows that it finds.
pub(super) struct Rows<'r> {
    text: &'r mut Vec<u8>,
    found: Vec<(RowKind, usize, usize)>,
    names: &'r [String],
}

impl Rows<'_> {
    /// A row as it stands in the message.
    pub fn push(&mut self, kind: RowKind, row: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(row);
        self.found.push((kind, start, self.text.len()));
    }

    /// The row before an update, of which the message has only `changed` fields; the others are those of `after`. As in
    /// Flink a field counts as changed if its name occurs anywhere in `all_changed`.
    pub fn push_before(
        &mut self,
        changed: &[u8],
        after: &[u8],
        all_changed: &[u8],
    ) -> Result<(), ValueError> {
        let everything: Value = serde_json::from_slice(all_changed)?;
        let (Some(old), Some(new)) = (Members::of_value(changed), Members::of_value(after)) else {
            return Err(ValueError::Syntax("a row is not a JSON object"));
        };
        let start = self.text.len();
        self.text.push(b'{');
        for name in self.names {
            let value = match old.member(name) {
                Some(value) => Some(value),
                None if occurs(name, &everything) => None,
                None => new.member(name),
            };
            let Some(value) = value else { continue };
            if self.text.len() > start + 1 {
                self.text.push(b',');
            }
            super::encode::write_string(self.text, name);
            self.text.push(b':');
            self.text.extend_from_slice(value);
        }
        self.text.push(b'}');
        self.found.push((RowKind::UpdateBefore, start, self.text.len()));
        Ok(())
    }
}

/// Whether an object anywhere in `value` has a member of this name.
fn occurs(name: &str, value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            members.contains_key(name) || members.values().any(|member| occurs(name, member))
        }
        Value::Array(elements) => elements.iter().any(|element| occurs(name, element)),
        _ => false,
    }
}

/// Decodes the messages of a dialect.
pub(super) struct CdcDecoder<D> {
    dialect: D,
    options: ValueOptions,
    names: Vec<String>,
    program: Program,
    predictor: Predictor,
    columns: Vec<ColumnBuilder>,
    metadata: Vec<&'static MetadataField>,
    metadata_program: Program,
    metadata_columns: Vec<ColumnBuilder>,
    kinds: Vec<RowKind>,
    /// The rows of the message that is decoded.
    text: Vec<u8>,
}

impl<D: Dialect> CdcDecoder<D> {
    /// For the columns of `schema`, by name, and the metadata keys behind them, of those in `offered`.
    pub fn new(
        dialect: D,
        options: &Options,
        schema: &Schema,
        metadata: &[&str],
        offered: &'static [MetadataField],
    ) -> Result<Self, FormatError> {
        let json = JsonOptions::parse(options)?;
        let row = LogicalType::row(schema.columns.iter().map(|c| (c.name.clone(), c.ty.clone())));
        let find = |key: &&str| {
            let field = offered.iter().find(|field| field.key == *key);
            field.ok_or_else(|| FormatError::UnknownMetadata((*key).to_owned()))
        };
        let metadata: Vec<&MetadataField> = metadata.iter().map(find).collect::<Result<_, _>>()?;
        let types: Vec<LogicalType> = metadata.iter().map(|field| field.form.read()).collect();
        let metadata_row = LogicalType::row(
            metadata
                .iter()
                .zip(&types)
                .map(|(f, ty)| (f.key.to_owned(), ty.clone())),
        );
        Ok(Self {
            dialect,
            options: ValueOptions {
                ignore_errors: json.ignore_parse_errors,
                fail_on_missing: false,
                standard: json.standard,
                reads_tree: false,
                decimals: schema.types().any(super::decode::has_decimals),
            },
            names: schema.columns.iter().map(|c| c.name.clone()).collect(),
            program: Program::new(&row),
            predictor: Predictor::default(),
            columns: schema.types().map(ColumnBuilder::new).collect(),
            metadata_program: Program::new(&metadata_row),
            metadata_columns: types.iter().map(ColumnBuilder::new).collect(),
            metadata,
            kinds: Vec::new(),
            text: Vec::new(),
        })
    }

    fn message(&mut self, message: &[u8]) -> Result<(), ValueError> {
        if simdutf8::basic::from_utf8(message).is_err() {
            return Err(ValueError::Utf8);
        }
        let members = Members::of(message, 0, message.len()).map_err(|e| e.reason)?;
        let mut rows = Rows {
            text: &mut self.text,
            found: Vec::new(),
            names: &self.names,
        };
        self.dialect.rows(&members, &mut rows)?;
        let found = rows.found;
        let described = self.describe(&members);
        for (kind, start, end) in found {
            let row = self.kinds.len();
            self.row(start, end, row).map_err(|e| e.reason)?;
            if let Some((start, end)) = described {
                let options = ValueOptions {
                    standard: TimestampStandard::Sql,
                    ..self.options
                };
                let mut cursor = Cursor::new(&self.text, start, end);
                let columns = &mut self.metadata_columns;
                object(&mut cursor, &self.metadata_program, columns, row, options).map_err(|e| e.reason)?;
            }
            self.kinds.push(kind);
        }
        Ok(())
    }

    /// Decodes the object `text[start..end]` as row `row`.
    fn row(&mut self, start: usize, end: usize, row: usize) -> Result<(), ScanError> {
        let (text, columns) = (&self.text, &mut self.columns);
        let (program, options) = (&self.program, self.options);
        if self
            .predictor
            .decode(text, (start, end), program, columns, options)
        {
            return Ok(());
        }
        columns.iter_mut().for_each(|column| column.truncate(row));
        object(&mut Cursor::new(text, start, end), program, columns, row, options)?;
        self.predictor.learn(text, start, end, program);
        Ok(())
    }

    /// Writes the metadata of a message as an object of its own; where it lies.
    fn describe(&mut self, message: &Members<'_>) -> Option<(usize, usize)> {
        if self.metadata.is_empty() {
            return None;
        }
        let start = self.text.len();
        self.text.push(b'{');
        for field in &self.metadata {
            let Some(value) = self.dialect.metadata(message, field) else {
                continue;
            };
            if self.text.len() > start + 1 {
                self.text.push(b',');
            }
            super::encode::write_string(&mut self.text, field.key);
            self.text.push(b':');
            self.text.extend_from_slice(value);
        }
        self.text.push(b'}');
        Some((start, self.text.len()))
    }

    fn truncate(&mut self, rows: usize) {
        let columns = self.columns.iter_mut().chain(&mut self.metadata_columns);
        columns.for_each(|c| c.truncate(rows));
        self.kinds.truncate(rows);
    }
}

impl<D: Dialect> Decoder for CdcDecoder<D> {
    fn decode(&mut self, data: &Buffer, messages: &[MessageRange]) -> Result<Decoded, DecodeError> {
        let mut origins = Vec::with_capacity(messages.len());
        for (index, range) in messages.iter().enumerate() {
            // A tombstone follows a deletion and says nothing new.
            let Some(text) = range.slice(data).filter(|text| !text.is_empty()) else {
                continue;
            };
            let rows = self.kinds.len();
            self.text.clear();
            match self.message(text) {
                Ok(()) => origins.extend(std::iter::repeat_n(index as u32, self.kinds.len() - rows)),
                Err(_) if self.options.ignore_errors => self.truncate(rows),
                Err(reason) => {
                    self.truncate(0);
                    return Err(DecodeError {
                        message: index,
                        subject: Some(Subject::change(self.dialect.name(), text)),
                        reason,
                    });
                }
            }
        }
        let kinds = std::mem::take(&mut self.kinds);
        let mut columns = finish_all(&mut self.columns)?;
        let metadata = finish_all(&mut self.metadata_columns)?;
        columns.extend(
            metadata
                .into_iter()
                .zip(&self.metadata)
                .map(|(read, field)| field.form.convert(read)),
        );
        let is_changelog = kinds.iter().any(|kind| *kind != RowKind::Insert);
        Ok(Decoded {
            columns,
            rows: kinds.len(),
            kinds: is_changelog.then_some(kinds),
            messages: Some(origins),
        })
    }
}

/// What stands before and behind a row in a message, for inserted and for retracted rows.
pub(super) struct Envelope {
    pub added: (&'static str, &'static str),
    pub removed: (&'static str, &'static str),
}

/// Encodes rows with kinds, each as a message with an envelope.
pub(super) struct ChangeEncoder {
    rows: JsonEncoder,
    envelope: Envelope,
}

impl ChangeEncoder {
    pub fn boxed(
        options: JsonOptions,
        schema: &Schema,
        envelope: Envelope,
    ) -> Result<Box<dyn Encoder>, FormatError> {
        let rows = JsonEncoder::new(options, schema)?;
        Ok(Box::new(Self { rows, envelope }))
    }
}

impl Encoder for ChangeEncoder {
    fn encode(&mut self, batch: &Batch, out: &mut Encoded) -> Result<(), EncodeError> {
        let columns = self.rows.cells(&batch.columns);
        for row in 0..batch.rows {
            let (head, tail) = if batch.kind(row).is_addition() {
                self.envelope.added
            } else {
                self.envelope.removed
            };
            out.data.extend_from_slice(head.as_bytes());
            self.rows.object(&columns, row, &mut out.data)?;
            out.data.extend_from_slice(tail.as_bytes());
            out.ends.push(out.data.len());
        }
        Ok(())
    }
}
