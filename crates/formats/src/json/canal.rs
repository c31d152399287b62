//! Format `canal-json`: changes of MySQL tables as Canal writes them; a message has several rows, and of a row before an
//! update only the fields that changed.

use millstream_types::{
    ChangelogMode, FormatDecl, LogicalType, MetadataDecl, OptionDecl, OptionType, Options, RowKind, Schema,
};
use regex::Regex;

use super::JsonOptions;
use super::cdc::{
    self, CdcDecoder, ChangeEncoder, Dialect, Envelope, Members, MetadataField, MetadataForm, Rows, elements,
    field,
};
use crate::{Decoder, Encoder, FormatError, ValueError};

const NAME: &str = "canal-json";

const OPTIONS: &[OptionDecl] = &[
    cdc::IGNORE_PARSE_ERRORS,
    cdc::TIMESTAMP_FORMAT,
    OptionDecl::new(
        "database.include",
        OptionType::String,
        "A regular expression; reads only changes of databases whose full name matches.",
    ),
    OptionDecl::new(
        "table.include",
        OptionType::String,
        "A regular expression; reads only changes of tables whose full name matches.",
    ),
    cdc::MAP_NULL_KEY_MODE,
    cdc::MAP_NULL_KEY_LITERAL,
    cdc::DECIMAL_AS_PLAIN,
    cdc::IGNORE_NULL_FIELDS,
];

const METADATA: &[MetadataDecl] = &[
    cdc::DATABASE,
    cdc::TABLE,
    cdc::readable(
        "sql-type",
        || LogicalType::map(LogicalType::STRING, LogicalType::INT),
        "JDBC types of the columns.",
    ),
    cdc::readable(
        "pk-names",
        || LogicalType::array(LogicalType::STRING),
        "Columns of the primary key.",
    ),
    cdc::readable(
        "ingestion-timestamp",
        || LogicalType::timestamp_ltz(3),
        "When Canal processed the change.",
    ),
    cdc::readable(
        "event-timestamp",
        || LogicalType::timestamp_ltz(3),
        "When the database made the change.",
    ),
];

const FIELDS: &[MetadataField] = &[
    field("database", &["database"], MetadataForm::Text),
    field("table", &["table"], MetadataForm::Text),
    field("sql-type", &["sqlType"], MetadataForm::Numbers),
    field("pk-names", &["pkNames"], MetadataForm::Texts),
    field("ingestion-timestamp", &["ts"], MetadataForm::Millis),
    field("event-timestamp", &["es"], MetadataForm::Millis),
];

/// The declaration of format `canal-json`.
pub const DECLARATION: FormatDecl = FormatDecl {
    identifier: NAME,
    doc: "Changes of MySQL tables in Canal's JSON envelope.",
    options: OPTIONS,
    metadata: METADATA,
    decode: Some(ChangelogMode::ALL),
    encode: Some(ChangelogMode::ALL),
    narrows_rows: false,
    validate: super::DECLARATION.validate,
};

struct Canal {
    database: Option<Regex>,
    table: Option<Regex>,
}

impl Canal {
    /// Whether the message is about a database and table that are wanted.
    fn is_wanted(&self, message: &Members<'_>) -> bool {
        let matches = |pattern: &Option<Regex>, name: &str| {
            let Some(pattern) = pattern else { return true };
            message.text(name).is_some_and(|text| pattern.is_match(&text))
        };
        matches(&self.database, "database") && matches(&self.table, "table")
    }
}

impl Dialect for Canal {
    fn name(&self) -> &'static str {
        "Canal"
    }

    fn rows(&self, message: &Members<'_>, rows: &mut Rows<'_>) -> Result<(), ValueError> {
        if !self.is_wanted(message) {
            return Ok(());
        }
        let kind = message.text("type");
        let data = || {
            message
                .get("data")
                .and_then(elements)
                .ok_or(ValueError::Syntax("the message has no array 'data'"))
        };
        match kind.as_deref() {
            Some("INSERT") => data()?
                .into_iter()
                .for_each(|row| rows.push(RowKind::Insert, row)),
            Some("UPDATE") => {
                let old = message
                    .get("old")
                    .ok_or(ValueError::Syntax("the message has no array 'old'"))?;
                let changed = elements(old).ok_or(ValueError::Syntax("the message has no array 'old'"))?;
                for (i, after) in data()?.into_iter().enumerate() {
                    rows.push_before(changed.get(i).copied().unwrap_or(b"{}"), after, old)?;
                    rows.push(RowKind::UpdateAfter, after);
                }
            }
            Some("DELETE") => data()?
                .into_iter()
                .for_each(|row| rows.push(RowKind::Delete, row)),
            // The definition of a table, not its content.
            Some("CREATE") => {}
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
    let pattern = |key: &str| {
        let Some(text) = options.get(key) else {
            return Ok(None);
        };
        let compiled = Regex::new(&format!("^(?:{text})$"));
        compiled.map(Some).map_err(|_| FormatError::Option {
            format: NAME,
            key: key.to_owned(),
            value: text.clone(),
            expected: "a regular expression".to_owned(),
        })
    };
    let dialect = Canal {
        database: pattern("database.include")?,
        table: pattern("table.include")?,
    };
    let decoder = CdcDecoder::new(dialect, options, schema, metadata, FIELDS)?;
    Ok(Box::new(decoder))
}

/// An encoder of rows with kinds as messages of one row.
pub(crate) fn encoder(options: &Options, schema: &Schema) -> Result<Box<dyn Encoder>, FormatError> {
    let envelope = Envelope {
        added: ("{\"data\":[", "],\"type\":\"INSERT\"}"),
        removed: ("{\"data\":[", "],\"type\":\"DELETE\"}"),
    };
    ChangeEncoder::boxed(JsonOptions::parse(options)?, schema, envelope)
}
