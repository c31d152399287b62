//! Format `avro`: Avro datums without a header, in the binary or the JSON encoding, and container files of datums.
//!
//! Writer and reader of datums have the schema that Flink derives from the columns of the table: a record whose nullable
//! fields are unions of null and their type, in this order. It is never written down, so both sides need the same columns.
//! A file holds its writer's schema.

mod container;
mod decode;
mod encode;
mod json;
#[cfg(test)]
mod tests;

use millstream_types::{
    ChangelogMode, FormatDecl, LogicalType, OptionDecl, OptionType, Options, Schema, TypeKind,
};

pub use container::{
    AvroCodec, AvroCodecError, ContainerError, ContainerReader, ContainerWriter, SchemaError, SchemaMismatch,
};
pub use decode::AvroDecoder;
pub use encode::AvroEncoder;

use crate::error::ColumnError;
use crate::{FormatError, boolean_option, options_behind};

const NAME: &str = "avro";

/// What a MULTISET says of its elements.
static COUNT: LogicalType = LogicalType::INT;

const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        "encoding",
        OptionType::Enum(&["binary", "json"]),
        "Whether datums use Avro's binary or JSON encoding.",
    )
    .with_default("binary"),
    OptionDecl::new(
        "timestamp_mapping.legacy",
        OptionType::Boolean,
        "Whether TIMESTAMP maps to `timestamp-millis`, as before Flink 1.19. Otherwise, TIMESTAMP maps to a local timestamp and TIMESTAMP_LTZ to an instant, in milliseconds or microseconds.",
    )
    .with_default("true"),
];

/// The declaration of format `avro`.
pub const DECLARATION: FormatDecl = FormatDecl {
    identifier: NAME,
    doc: "Avro datums without a header, with the schema of the table's columns; in files, containers.",
    options: OPTIONS,
    metadata: &[],
    decode: Some(ChangelogMode::INSERT_ONLY),
    encode: Some(ChangelogMode::INSERT_ONLY),
    narrows_rows: false,
    validate: |table| {
        let options = AvroOptions::parse(&options_behind("avro.", table.options))?;
        let mut types = table.physical.columns.iter().map(|column| &column.ty);
        Ok(types.try_for_each(|ty| options.check(ty))?)
    },
};

/// The options of format `avro`, parsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AvroOptions {
    pub json: bool,
    pub legacy_timestamps: bool,
}

impl Default for AvroOptions {
    fn default() -> Self {
        AvroOptions {
            json: false,
            legacy_timestamps: true,
        }
    }
}

impl AvroOptions {
    /// Reads options given without the prefix `avro.`.
    pub fn parse(options: &Options) -> Result<Self, FormatError> {
        let json = match options.get("encoding").map(|e| e.to_lowercase()).as_deref() {
            None | Some("binary") => false,
            Some("json") => true,
            Some(_) => {
                return Err(FormatError::Option {
                    format: NAME,
                    key: "encoding".to_owned(),
                    value: options.get("encoding").cloned().unwrap_or_default(),
                    expected: "binary or json".to_owned(),
                });
            }
        };
        Ok(Self {
            json,
            legacy_timestamps: boolean_option(NAME, options, "timestamp_mapping.legacy", true)?,
        })
    }

    fn check_all(self, schema: &Schema) -> Result<(), FormatError> {
        let mut types = schema.types();
        Ok(types.try_for_each(|ty| self.check(ty))?)
    }

    /// Whether Flink derives an Avro type from this one.
    fn check(self, ty: &LogicalType) -> Result<(), ColumnError> {
        let too_precise = |what, precision, limit| {
            Err(ColumnError::AvroPrecision {
                what,
                precision,
                limit,
            })
        };
        match &ty.kind {
            TypeKind::Time(precision) if *precision > 3 => too_precise("TIME", *precision, 3),
            TypeKind::Timestamp { precision, .. } if self.legacy_timestamps && *precision > 3 => {
                too_precise("TIMESTAMP", *precision, 3)
            }
            TypeKind::Timestamp { precision, .. } if *precision > 6 => {
                too_precise("LOCAL TIMESTAMP", *precision, 6)
            }
            TypeKind::TimestampLtz { precision, .. } if !self.legacy_timestamps && *precision > 6 => {
                too_precise("TIMESTAMP", *precision, 6)
            }
            TypeKind::TimestampLtz { .. } if self.legacy_timestamps => unsupported(ty),
            TypeKind::Map(key, _) if !is_text(key) => not_text("map", key),
            TypeKind::Multiset(element) if !is_text(element) => not_text("multiset", element),
            TypeKind::IntervalYearMonth(_)
            | TypeKind::IntervalDayTime(_)
            | TypeKind::Variant
            | TypeKind::Bitmap
            | TypeKind::Raw { .. }
            | TypeKind::Descriptor => unsupported(ty),
            _ => ty.children().into_iter().try_for_each(|child| self.check(child)),
        }
    }
}

fn unsupported(ty: &LogicalType) -> Result<(), ColumnError> {
    Err(ColumnError::Avro(ty.clone()))
}

/// Avro's name of the type that a value which is not null is written as.
fn type_name(ty: &LogicalType) -> &'static str {
    match &ty.kind {
        TypeKind::Boolean => "boolean",
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Int | TypeKind::Date | TypeKind::Time(_) => "int",
        TypeKind::BigInt | TypeKind::Timestamp { .. } | TypeKind::TimestampLtz { .. } => "long",
        TypeKind::Float => "float",
        TypeKind::Double => "double",
        TypeKind::Char(_) | TypeKind::Varchar(_) => "string",
        TypeKind::Array(_) => "array",
        TypeKind::Map(..) | TypeKind::Multiset(_) => "map",
        TypeKind::Row(_) => "record",
        _ => "bytes",
    }
}

fn is_text(ty: &LogicalType) -> bool {
    matches!(ty.kind, TypeKind::Char(_) | TypeKind::Varchar(_))
}

fn not_text(what: &'static str, key: &LogicalType) -> Result<(), ColumnError> {
    Err(ColumnError::AvroKey {
        what,
        key: key.clone(),
    })
}
