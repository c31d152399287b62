//! Format `ogg-json`: changes of Oracle tables as GoldenGate writes them, with the whole rows before and after.

use millstream_types::{ChangelogMode, FormatDecl, LogicalType, MetadataDecl, Options, RowKind, Schema};

use super::JsonOptions;
use super::cdc::{
    self, CdcDecoder, ChangeEncoder, Dialect, Envelope, Members, MetadataField, MetadataForm, Rows, field,
};
use crate::{Decoder, Encoder, FormatError, ValueError};

const METADATA: &[MetadataDecl] = &[
    cdc::TABLE,
    cdc::readable(
        "primary-keys",
        || LogicalType::array(LogicalType::STRING),
        "Columns of the primary key.",
    ),
    cdc::readable(
        "ingestion-timestamp",
        || LogicalType::timestamp_ltz(6),
        "When GoldenGate processed the change.",
    ),
    cdc::readable(
        "event-timestamp",
        || LogicalType::timestamp_ltz(3),
        "When the database made the change.",
    ),
];

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
    options: cdc::OPTIONS,
    metadata: METADATA,
    decode: Some(ChangelogMode::ALL),
    encode: Some(ChangelogMode::ALL),
    narrows_rows: false,
    validate: super::DECLARATION.validate,
};

struct Ogg;

impl Dialect for Ogg {
    fn name(&self) -> &'static str {
        "Ogg"
    }

    fn rows(&self, message: &Members<'_>, rows: &mut Rows<'_>) -> Result<(), ValueError> {
        let kind = message.text("op_type");
        let side = |side, change| {
            message.get(side).ok_or(ValueError::MissingSide {
                side,
                change,
                hint: "set REPLICA IDENTITY of the table to FULL if it is a table of Postgres",
            })
        };
        match kind.as_deref() {
            Some("I") => rows.push(RowKind::Insert, side("after", "INSERT")?),
            Some("U") => {
                rows.push(RowKind::UpdateBefore, side("before", "UPDATE")?);
                rows.push(RowKind::UpdateAfter, side("after", "UPDATE")?);
            }
            Some("D") => rows.push(RowKind::Delete, side("before", "DELETE")?),
            value => {
                return Err(ValueError::Operation {
                    field: "op_type",
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
    let decoder = CdcDecoder::new(Ogg, options, schema, metadata, FIELDS)?;
    Ok(Box::new(decoder))
}

/// An encoder of rows with kinds.
pub(crate) fn encoder(options: &Options, schema: &Schema) -> Result<Box<dyn Encoder>, FormatError> {
    let options = JsonOptions::parse(options)?;
    // The option leaves out the missing side of the envelope, too.
    let envelope = if !options.ignore_null_fields {
        Envelope {
            added: ("{\"before\":null,\"after\":", ",\"op_type\":\"I\"}"),
            removed: ("{\"before\":", ",\"after\":null,\"op_type\":\"D\"}"),
        }
    } else {
        Envelope {
            added: ("{\"after\":", ",\"op_type\":\"I\"}"),
            removed: ("{\"before\":", ",\"op_type\":\"D\"}"),
        }
    };
    ChangeEncoder::boxed(options, schema, envelope)
}
