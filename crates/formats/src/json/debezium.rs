//! Format `debezium-json`: changes of a database table as Debezium writes them, an envelope with `before`, `after`, `op`.
//!
//! Reading: `c` and `r` insert, `u` gives the row before and the row after, `d` deletes. Writing: a row that is added is
//! a creation, a retracted row a deletion, as Flink writes them. The envelope's other fields are skipped.

use millstream_types::{
    ChangelogMode, FormatDecl, LogicalType, MetadataDecl, OptionDecl, OptionType, Options, RowKind, Schema,
};

use super::JsonOptions;
use super::cdc::{
    self, CdcDecoder, ChangeEncoder, Dialect, Envelope, Members, MetadataField, MetadataForm, Rows, field,
};
use crate::{Decoder, Encoder, FormatError, ValueError, boolean_option};

const NAME: &str = "debezium-json";
const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        "schema-include",
        OptionType::Boolean,
        "Whether messages wrap the envelope in `payload`, next to a `schema`.",
    )
    .with_default("false"),
    cdc::IGNORE_PARSE_ERRORS,
    cdc::TIMESTAMP_FORMAT,
    cdc::MAP_NULL_KEY_MODE,
    cdc::MAP_NULL_KEY_LITERAL,
    cdc::DECIMAL_AS_PLAIN,
    cdc::IGNORE_NULL_FIELDS,
];

const METADATA: &[MetadataDecl] = &[
    cdc::readable(
        "schema",
        || LogicalType::STRING,
        "JSON schema of the message, if it has one.",
    ),
    cdc::readable(
        "ingestion-timestamp",
        || LogicalType::timestamp_ltz(3),
        "When Debezium processed the change.",
    ),
    cdc::readable(
        "source.timestamp",
        || LogicalType::timestamp_ltz(3),
        "When the database made the change.",
    ),
    cdc::readable(
        "source.database",
        || LogicalType::STRING,
        "Database of the change.",
    ),
    cdc::readable("source.schema", || LogicalType::STRING, "Schema of the change."),
    cdc::readable("source.table", || LogicalType::STRING, "Table of the change."),
    cdc::readable(
        "source.properties",
        || LogicalType::map(LogicalType::STRING, LogicalType::STRING),
        "All properties of the source in the message.",
    ),
];

const FIELDS: &[MetadataField] = &[
    field("schema", &["schema"], MetadataForm::Text),
    field("ingestion-timestamp", &["ts_ms"], MetadataForm::Millis),
    field("source.timestamp", &["source", "ts_ms"], MetadataForm::Millis),
    field("source.database", &["source", "db"], MetadataForm::Text),
    field("source.schema", &["source", "schema"], MetadataForm::Text),
    field("source.table", &["source", "table"], MetadataForm::Text),
    field("source.properties", &["source"], MetadataForm::Properties),
];

/// The declaration of format `debezium-json`.
pub const DECLARATION: FormatDecl = FormatDecl {
    identifier: NAME,
    doc: "Changes of a database table in Debezium's JSON envelope.",
    options: OPTIONS,
    metadata: METADATA,
    decode: Some(ChangelogMode::ALL),
    encode: Some(ChangelogMode::ALL),
    narrows_rows: false,
    validate: super::DECLARATION.validate,
};

struct Debezium {
    schema_include: bool,
}

impl Dialect for Debezium {
    fn name(&self) -> &'static str {
        "Debezium"
    }

    fn rows(&self, message: &Members<'_>, rows: &mut Rows<'_>) -> Result<(), ValueError> {
        let payload;
        let envelope = if self.schema_include {
            let inner = message.get("payload").and_then(Members::of_value);
            payload = inner.ok_or(ValueError::Syntax("the message has no 'payload'"))?;
            &payload
        } else {
            message
        };
        let side = |side, change| {
            envelope.get(side).ok_or(ValueError::MissingSide {
                side,
                change,
                hint: "if you are using the Debezium Postgres connector, set REPLICA IDENTITY of the table to FULL",
            })
        };
        match envelope.text("op").as_deref() {
            Some("c" | "r") => rows.push(RowKind::Insert, side("after", "INSERT")?),
            Some("u") => {
                rows.push(RowKind::UpdateBefore, side("before", "UPDATE")?);
                rows.push(RowKind::UpdateAfter, side("after", "UPDATE")?);
            }
            Some("d") => rows.push(RowKind::Delete, side("before", "DELETE")?),
            value => {
                return Err(ValueError::Operation {
                    field: "op",
                    value: value.map(str::to_owned),
                });
            }
        }
        Ok(())
    }

    fn metadata<'d>(&self, message: &Members<'d>, field: &MetadataField) -> Option<&'d [u8]> {
        match (self.schema_include, field.key) {
            (_, "schema") => message.get("schema"),
            (true, _) => message.get("payload").and_then(Members::of_value)?.at(field.path),
            (false, _) => message.at(field.path),
        }
    }
}

/// A decoder for the columns of `schema` and the metadata keys behind them.
pub(crate) fn decoder(
    options: &Options,
    schema: &Schema,
    metadata: &[&str],
) -> Result<Box<dyn Decoder>, FormatError> {
    let dialect = Debezium {
        schema_include: boolean_option(NAME, options, "schema-include", false)?,
    };
    let decoder = CdcDecoder::new(dialect, options, schema, metadata, FIELDS)?;
    Ok(Box::new(decoder))
}

/// An encoder of rows with kinds.
pub(crate) fn encoder(options: &Options, schema: &Schema) -> Result<Box<dyn Encoder>, FormatError> {
    if boolean_option(NAME, options, "schema-include", false)? {
        return Err(FormatError::Conflict(
            "Debezium JSON serialization doesn't support 'debezium-json.schema-include' option been set to true",
        ));
    }
    let options = JsonOptions::parse(options)?;
    // The option leaves out the missing side of the envelope, too.
    let envelope = if !options.ignore_null_fields {
        Envelope {
            added: ("{\"before\":null,\"after\":", ",\"op\":\"c\"}"),
            removed: ("{\"before\":", ",\"after\":null,\"op\":\"d\"}"),
        }
    } else {
        Envelope {
            added: ("{\"after\":", ",\"op\":\"c\"}"),
            removed: ("{\"before\":", ",\"op\":\"d\"}"),
        }
    };
    ChangeEncoder::boxed(options, schema, envelope)
}
