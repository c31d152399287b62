//! Format `ogg-json`: changes of Oracle tables as GoldenGate writes them, with the whole rows before and after.

use millstream_types::{
    Batch, ChangelogMode, FormatDecl, LogicalType, MetadataDecl, OptionDecl, Options, RowKind, Schema,
};

use super::cdc::{self, CdcDecoder, Dialect, Members, MetadataField, MetadataForm, Rows};
use super::{JsonEncoder, JsonOptions};
use crate::{Decoder, EncodeError, Encoded, Encoder, FormatError};

const OPTIONS: &[OptionDecl] = &[
    cdc::IGNORE_PARSE_ERRORS,
    cdc::TIMESTAMP_FORMAT,
    cdc::MAP_NULL_KEY_MODE,
    cdc::MAP_NULL_KEY_LITERAL,
    cdc::DECIMAL_AS_PLAIN,
    cdc::IGNORE_NULL_FIELDS,
];

const METADATA: &[MetadataDecl] = &[
    MetadataDecl {
        key: "table",
        ty: || LogicalType::STRING,
        writable: false,
        doc: "Table of the change.",
    },
    MetadataDecl {
        key: "primary-keys",
        ty: || LogicalType::array(LogicalType::STRING),
        writable: false,
        doc: "Columns of the primary key.",
    },
    MetadataDecl {
        key: "ingestion-timestamp",
        ty: || LogicalType::timestamp_ltz(6),
        writable: false,
        doc: "When GoldenGate processed the change.",
    },
    MetadataDecl {
        key: "event-timestamp",
        ty: || LogicalType::timestamp_ltz(3),
        writable: false,
        doc: "When the database made the change.",
    },
];

const fn field(key: &'static str, path: &'static [&'static str], form: MetadataForm) -> MetadataField {
    MetadataField { key, path, form }
}

const FIELDS: &[MetadataField] = &[
    field("table", &["table"], MetadataForm::Text),
    field("primary-keys", &["primary_keys"], MetadataForm::Texts),
    field("ingestion-timestamp", &["current_ts"], MetadataForm::Timestamp(6)),
    field("event-timestamp", &["op_ts"], MetadataForm::Timestamp(3)),
];

/// The declaration of format `ogg-json`.
pub const DECLARATION: FormatDecl = FormatDecl {
    identifier: "ogg-json",
    doc: "Changes of Oracle tables in GoldenGate's JSON envelope.",
    options: OPTIONS,
    metadata: METADATA,
    decode: Some(ChangelogMode::ALL),
    encode: Some(ChangelogMode::ALL),
    validate: super::DECLARATION.validate,
};

struct Ogg;

impl Dialect for Ogg {
    fn name(&self) -> &'static str {
        "Ogg"
    }

    fn rows(&self, message: &Members<'_>, rows: &mut Rows<'_>) -> Result<(), String> {
        let kind = message.text("op_type");
        let side = |name: &str, change: &str| {
            message.get(name).ok_or_else(|| {
                format!(
                    "The \"{name}\" field of {change} message is null; set REPLICA IDENTITY of the table to FULL if \
                     it is a table of Postgres"
                )
            })
        };
        match kind.as_deref() {
            Some("I") => rows.push(RowKind::Insert, side("after", "INSERT")?),
            Some("U") => {
                rows.push(RowKind::UpdateBefore, side("before", "UPDATE")?);
                rows.push(RowKind::UpdateAfter, side("after", "UPDATE")?);
            }
            Some("D") => rows.push(RowKind::Delete, side("before", "DELETE")?),
            other => {
                return Err(format!(
                    "Unknown \"op_type\" value \"{}\"",
                    other.unwrap_or("null")
                ));
            }
        }
        Ok(())
    }
}

/// A decoder for the columns of `schema` and the metadata keys behind them.
pub(crate) fn decoder(
    options: &Options,
    schema: &Schema,
    metadata: &[&str],
) -> Result<Box<dyn Decoder>, FormatError> {
    let decoder = CdcDecoder::new(Ogg, options, schema, metadata, FIELDS)?;
    Ok(Box::new(decoder))
}

/// Encodes rows with kinds as GoldenGate messages.
pub(crate) struct OggEncoder {
    rows: JsonEncoder,
    /// `encode.ignore-null-fields` leaves out the missing side of the envelope, too.
    ignore_null_fields: bool,
}

impl OggEncoder {
    pub fn new(options: &Options, schema: &Schema) -> Result<Self, FormatError> {
        let json = JsonOptions::parse(options)?;
        Ok(Self {
            ignore_null_fields: json.ignore_null_fields,
            rows: JsonEncoder::new(json, schema)?,
        })
    }
}

impl Encoder for OggEncoder {
    fn encode(&mut self, batch: &Batch, out: &mut Encoded) -> Result<(), EncodeError> {
        let columns = self.rows.cells(&batch.columns);
        for row in 0..batch.rows {
            let is_addition = batch.kind(row).is_addition();
            let (head, tail): (&[u8], &[u8]) = match (is_addition, self.ignore_null_fields) {
                (true, false) => (b"{\"before\":null,\"after\":", b",\"op_type\":\"I\"}"),
                (true, true) => (b"{\"after\":", b",\"op_type\":\"I\"}"),
                (false, false) => (b"{\"before\":", b",\"after\":null,\"op_type\":\"D\"}"),
                (false, true) => (b"{\"before\":", b",\"op_type\":\"D\"}"),
            };
            out.data.extend_from_slice(head);
            self.rows.object(&columns, row, &mut out.data)?;
            out.data.extend_from_slice(tail);
            out.ends.push(out.data.len());
        }
        Ok(())
    }
}
