//! Format `maxwell-json`: changes of MySQL tables as Maxwell writes them; of a row before an update only the fields that
//! changed.

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
        key: "database",
        ty: || LogicalType::STRING,
        writable: false,
        doc: "Database of the change.",
    },
    MetadataDecl {
        key: "table",
        ty: || LogicalType::STRING,
        writable: false,
        doc: "Table of the change.",
    },
    MetadataDecl {
        key: "primary-key-columns",
        ty: || LogicalType::array(LogicalType::STRING),
        writable: false,
        doc: "Columns of the primary key.",
    },
    MetadataDecl {
        key: "ingestion-timestamp",
        ty: || LogicalType::timestamp_ltz(3),
        writable: false,
        doc: "When Maxwell processed the change.",
    },
];

const fn field(key: &'static str, path: &'static [&'static str], form: MetadataForm) -> MetadataField {
    MetadataField { key, path, form }
}

const FIELDS: &[MetadataField] = &[
    field("database", &["database"], MetadataForm::Text),
    field("table", &["table"], MetadataForm::Text),
    field(
        "primary-key-columns",
        &["primary_key_columns"],
        MetadataForm::Texts,
    ),
    field("ingestion-timestamp", &["ts"], MetadataForm::Seconds),
];

/// The declaration of format `maxwell-json`.
pub const DECLARATION: FormatDecl = FormatDecl {
    identifier: "maxwell-json",
    doc: "Changes of MySQL tables in Maxwell's JSON envelope.",
    options: OPTIONS,
    metadata: METADATA,
    decode: Some(ChangelogMode::ALL),
    encode: Some(ChangelogMode::ALL),
    validate: super::DECLARATION.validate,
};

struct Maxwell;

impl Dialect for Maxwell {
    fn name(&self) -> &'static str {
        "Maxwell"
    }

    fn rows(&self, message: &Members<'_>, rows: &mut Rows<'_>) -> Result<(), String> {
        let kind = message.text("type");
        let data = || message.get("data").ok_or("the message has no object 'data'");
        match kind.as_deref() {
            Some("insert") => rows.push(RowKind::Insert, data()?),
            Some("update") => {
                let old = message.get("old").ok_or("the message has no object 'old'")?;
                rows.push_before(old, data()?, old)?;
                rows.push(RowKind::UpdateAfter, data()?);
            }
            Some("delete") => rows.push(RowKind::Delete, data()?),
            other => return Err(format!("Unknown \"type\" value \"{}\"", other.unwrap_or("null"))),
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
    let decoder = CdcDecoder::new(Maxwell, options, schema, metadata, FIELDS)?;
    Ok(Box::new(decoder))
}

/// Encodes rows with kinds as Maxwell messages.
pub(crate) struct MaxwellEncoder(JsonEncoder);

impl MaxwellEncoder {
    pub fn new(options: &Options, schema: &Schema) -> Result<Self, FormatError> {
        Ok(Self(JsonEncoder::new(JsonOptions::parse(options)?, schema)?))
    }
}

impl Encoder for MaxwellEncoder {
    fn encode(&mut self, batch: &Batch, out: &mut Encoded) -> Result<(), EncodeError> {
        let columns = self.0.cells(&batch.columns);
        for row in 0..batch.rows {
            let kind = if batch.kind(row).is_addition() {
                "insert"
            } else {
                "delete"
            };
            out.data.extend_from_slice(b"{\"data\":");
            self.0.object(&columns, row, &mut out.data)?;
            out.data
                .extend_from_slice(format!(",\"type\":\"{kind}\"}}").as_bytes());
            out.ends.push(out.data.len());
        }
        Ok(())
    }
}
