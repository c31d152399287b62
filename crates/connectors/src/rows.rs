//! Helpers that several connectors share: decoders and encoders from a table's options, options by name.

use millstream_dataflow::DataflowError;
use millstream_formats::{Decoder, Encoder};
use millstream_plan::TableSpec;
use millstream_types::options::{parse_duration, parse_memory_size};
use millstream_types::{ErrorKind, Options, Schema};

/// The format named by `key` (`format`, `value.format`), and its options without their prefix.
pub fn format_of(table: &TableSpec, key: &str, prefix: &str) -> Result<(String, Options), DataflowError> {
    let Some(format) = table.options.get(key) else {
        return Err(DataflowError::new(
            ErrorKind::Input,
            format!("table '{}' needs option '{key}'", table.identifier),
        ));
    };
    let start = format!("{prefix}{format}.");
    let options = table
        .options
        .iter()
        .filter_map(|(k, v)| Some((k.strip_prefix(&start)?.to_owned(), v.clone())))
        .collect();
    Ok((format.clone(), options))
}

/// A decoder of `columns` from messages with the fields `all`.
pub fn decoder(
    format: &(String, Options),
    columns: &Schema,
    all: &Schema,
) -> Result<Box<dyn Decoder>, DataflowError> {
    millstream_formats::file_decoder(&format.0, &format.1, columns, all)
        .map_err(|e| DataflowError::new(ErrorKind::Input, e.to_string()))
}

pub fn encoder(format: &(String, Options), schema: &Schema) -> Result<Box<dyn Encoder>, DataflowError> {
    millstream_formats::file_encoder(&format.0, &format.1, schema)
        .map_err(|e| DataflowError::new(ErrorKind::Input, e.to_string()))
}

fn wrong(table: &TableSpec, key: &str, expected: &str) -> DataflowError {
    let value = table.options.get(key).cloned().unwrap_or_default();
    DataflowError::new(
        ErrorKind::Input,
        format!(
            "invalid value '{value}' for option '{key}' of table '{}': expected {expected}",
            table.identifier
        ),
    )
}

/// A duration option in milliseconds; `None` when it is not set.
pub fn duration_ms(table: &TableSpec, key: &str) -> Result<Option<i64>, DataflowError> {
    let Some(value) = table.options.get(key) else {
        return Ok(None);
    };
    let parsed = parse_duration(value).and_then(|d| i64::try_from(d.as_millis()).ok());
    parsed
        .map(Some)
        .ok_or_else(|| wrong(table, key, "a duration such as '10 s'"))
}

/// A size option in bytes.
pub fn memory_size(table: &TableSpec, key: &str) -> Result<Option<u64>, DataflowError> {
    let Some(value) = table.options.get(key) else {
        return Ok(None);
    };
    parse_memory_size(value)
        .map(Some)
        .ok_or_else(|| wrong(table, key, "a size such as '64 mb'"))
}

/// An option of any type that reads from text.
pub fn parsed<T: std::str::FromStr>(
    table: &TableSpec,
    key: &str,
    expected: &str,
) -> Result<Option<T>, DataflowError> {
    let Some(value) = table.options.get(key) else {
        return Ok(None);
    };
    value
        .trim()
        .parse()
        .map(Some)
        .map_err(|_| wrong(table, key, expected))
}
