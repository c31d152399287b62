//! Format `maxwell-json`: changes of MySQL tables as Maxwell writes them; of a row before an update only the fields that
//! changed.

use millstream_types::{ChangelogMode, FormatDecl, LogicalType, MetadataDecl, Options, RowKind, Schema};

use super::JsonOptions;
use super::cdc::{
    self, CdcDecoder, ChangeEncoder, Dialect, Envelope, Members, MetadataField, MetadataForm, Rows, field,
};
use crate::{Decoder, Encoder, FormatError, ValueError};

const METADATA: &[MetadataDecl] = &[
    cdc::DATABASE,
    cdc::TABLE,
    cdc::readable(
        "primary-key-columns",
        || LogicalType::array(LogicalType::STRING),
        "Columns of the primary key.",
    ),
    cdc::readable(
        "ingestion-timestamp",
        || LogicalType::timestamp_ltz(3),
        "When Maxwell processed the change.",
    ),
];

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
    options: cdc::OPTIONS,
    metadata: METADATA,
    decode: Some(ChangelogMode::ALL),
    encode: Some(ChangelogMode::ALL),
    narrows_rows: false,
    validate: super::DECLARATION.validate,
};

struct Maxwell;

impl Dialect for Maxwell {
    fn name(&self) -> &'static str {
        "Maxwell"
    }

    fn rows(&self, message: &Members<'_>, rows: &mut Rows<'_>) -> Result<(), ValueError> {
        let kind = message.text("type");
        let data = || {
            message
                .get("data")
                .ok_or(ValueError::Syntax("the message has no object 'data'"))
        };
        match kind.as_deref() {
            Some("insert") => rows.push(RowKind::Insert, data()?),
            Some("update") => {
                let old = message
                    .get("old")
                    .ok_or(ValueError::Syntax("the message has no object 'old'"))?;
                rows.push_before(old, data()?, old)?;
                rows.push(RowKind::UpdateAfter, data()?);
            }
            Some("delete") => rows.push(RowKind::Delete, data()?),
            value => {
                return Err(ValueError::Operation {
                    field: "type",
                    value: value.map(str::to_owned),
                });
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
    let decoder = CdcDecoder::new(Maxwell, options, schema, metadata, FIELDS)?;
    Ok(Box::new(decoder))
}

/// An encoder of rows with kinds.
pub(crate) fn encoder(options: &Options, schema: &Schema) -> Result<Box<dyn Encoder>, FormatError> {
    let envelope = Envelope {
        added: ("{\"data\":", ",\"type\":\"insert\"}"),
        removed: ("{\"data\":", ",\"type\":\"delete\"}"),
    };
    ChangeEncoder::boxed(JsonOptions::parse(options)?, schema, envelope)
}
