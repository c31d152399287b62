//! Format `json`: one JSON object (or an array of objects) in a message.
//!
//! Decoding is directed by the schema. [`shape`] remembers the shapes of the records seen so far (keys, their order,
//! nesting, white space), and [`fast`] reads a record of a known shape by comparing bytes. Every other record goes through
//! [`decode`], which alone defines the semantics. A property test compares the two.

pub mod canal;
mod cdc;
mod cells;
pub mod debezium;
pub mod decode;
pub mod encode;
pub mod fast;
pub mod maxwell;
pub mod number;
pub mod ogg;
pub mod scan;
mod shape;
mod tree;
mod value;

use millstream_types::{
    ChangelogMode, FormatDecl, LogicalType, OptionDecl, OptionType, Options, TypeFamily, TypeKind,
};

pub use decode::JsonDecoder;
pub use encode::JsonEncoder;
pub(crate) use encode::write_string;

use crate::error::ColumnError;
use crate::temporal::TimestampStandard;
use crate::{FormatError, boolean_option};

const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new("fail-on-missing-field", OptionType::Boolean, "Whether a missing field is an error instead of NULL.")
        .with_default("false"),
    OptionDecl::new(
        "ignore-parse-errors",
        OptionType::Boolean,
        "Whether a value that does not match its column becomes NULL and a message that is not a JSON object is skipped, instead of failing the job.",
    )
    .with_default("false"),
    OptionDecl::new(
        "timestamp-format.standard",
        OptionType::Enum(&["SQL", "ISO-8601"]),
        "Timestamp format: SQL is 'yyyy-MM-dd HH:mm:ss.s{precision}', ISO-8601 is 'yyyy-MM-ddTHH:mm:ss.s{precision}'; TIMESTAMP_LTZ has the suffix 'Z'.",
    )
    .with_default("SQL"),
    OptionDecl::new(
        "map-null-key.mode",
        OptionType::String,
        "What to do with a NULL key of a MAP when writing: FAIL, DROP the entry, or write map-null-key.literal (LITERAL).",
    )
    .with_default("FAIL"),
    OptionDecl::new("map-null-key.literal", OptionType::String, "The text that replaces a NULL key of a MAP.")
        .with_default("null"),
    OptionDecl::new(
        "encode.decimal-as-plain-number",
        OptionType::Boolean,
        "Whether decimals are written in plain notation with their scale (0.000000027 instead of 2.7E-8).",
    )
    .with_default("false"),
    OptionDecl::new("encode.ignore-null-fields", OptionType::Boolean, "Whether NULL fields are omitted when writing.")
        .with_default("false"),
    OptionDecl::new(
        "decode.json-parser.enabled",
        OptionType::Boolean,
        "Whether numbers in a STRING column keep their digits, and a top-level array ends at an element that is no object. Decoding streams in both cases.",
    )
    .with_default("true"),
];

/// The declaration of format `json`.
pub const DECLARATION: FormatDecl = FormatDecl {
    identifier: "json",
    doc: "JSON objects, one per message or line.",
    options: OPTIONS,
    metadata: &[],
    decode: Some(ChangelogMode::INSERT_ONLY),
    encode: Some(ChangelogMode::INSERT_ONLY),
    narrows_rows: true,
    validate: |table| {
        if let Some(column) = table.physical.columns.iter().find(|c| !is_supported(&c.ty)) {
            let (column, ty) = (column.name.clone(), column.ty.clone());
            return Err(match ty.kind {
                TypeKind::Map(..) | TypeKind::Multiset(_) => ColumnError::JsonKey { column, ty },
                _ => ColumnError::Json { column, ty },
            }
            .into());
        }
        Ok(())
    },
};

fn is_supported(ty: &LogicalType) -> bool {
    match &ty.kind {
        TypeKind::Map(key, value) => key.family() == TypeFamily::CharacterString && is_supported(value),
        TypeKind::Multiset(element) => element.family() == TypeFamily::CharacterString,
        TypeKind::Array(element) => is_supported(element),
        TypeKind::Row(fields) => fields.iter().all(|f| is_supported(&f.ty)),
        TypeKind::Raw { .. } | TypeKind::Bitmap | TypeKind::Variant | TypeKind::Descriptor => false,
        _ => true,
    }
}

/// `map-null-key.mode`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapNullKey {
    Fail,
    Drop,
    Literal,
    /// Another word.
    Unknown,
}

/// The options of format `json`, parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JsonOptions {
    pub fail_on_missing_field: bool,
    pub ignore_parse_errors: bool,
    pub standard: TimestampStandard,
    pub map_null_key: MapNullKey,
    /// `map-null-key.mode` as it was given.
    pub map_null_mode: String,
    pub map_null_literal: String,
    pub decimal_as_plain_number: bool,
    pub ignore_null_fields: bool,
    /// `decode.json-parser.enabled` = `false`: results are those of a reader that makes a tree of the message.
    pub reads_tree: bool,
}

impl JsonOptions {
    /// Reads options given without the prefix `json.`.
    pub fn parse(options: &Options) -> Result<Self, FormatError> {
        let flag = |key, default| boolean_option("json", options, key, default);
        let wrong = |key: &str, expected: &str| FormatError::Option {
            format: "json",
            key: key.to_owned(),
            value: options.get(key).cloned().unwrap_or_default(),
            expected: expected.to_owned(),
        };
        let standard = match options
            .get("timestamp-format.standard")
            .map(|v| v.to_uppercase())
            .as_deref()
        {
            None | Some("SQL") => TimestampStandard::Sql,
            Some("ISO-8601") => TimestampStandard::Iso8601,
            Some(_) => return Err(wrong("timestamp-format.standard", "SQL or ISO-8601")),
        };
        let map_null_key = match options
            .get("map-null-key.mode")
            .map(|v| v.to_uppercase())
            .as_deref()
        {
            None | Some("FAIL") => MapNullKey::Fail,
            Some("DROP") => MapNullKey::Drop,
            Some("LITERAL") => MapNullKey::Literal,
            // Only writers need it, and they refuse it.
            Some(_) => MapNullKey::Unknown,
        };
        let reads_tree = !flag("decode.json-parser.enabled", true)?;
        let parsed = Self {
            reads_tree,
            fail_on_missing_field: flag("fail-on-missing-field", false)?,
            ignore_parse_errors: flag("ignore-parse-errors", false)?,
            standard,
            map_null_key,
            map_null_mode: options.get("map-null-key.mode").cloned().unwrap_or_default(),
            map_null_literal: options
                .get("map-null-key.literal")
                .cloned()
                .unwrap_or_else(|| "null".to_owned()),
            decimal_as_plain_number: flag("encode.decimal-as-plain-number", false)?,
            ignore_null_fields: flag("encode.ignore-null-fields", false)?,
        };
        if parsed.fail_on_missing_field && parsed.ignore_parse_errors {
            return Err(FormatError::Conflict(
                "fail-on-missing-field and ignore-parse-errors shouldn't both be true",
            ));
        }
        Ok(parsed)
    }
}
