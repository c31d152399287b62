//! Validates a table's options against the declarations of connectors and formats when the table is read or written.

use millstream_plan::TableSpec;
use millstream_types::{
    ConnectorDecl, Declarations, ErrorCode, FormatDecl, FormatUse, InvalidTable, OptionDecl, Options,
    TableDefinition,
};

use super::error::{SqlError, SqlResult};
use crate::catalog::ResolvedTable;
use crate::parse::similar::nearest;

/// Options of every table.
const COMMON_OPTIONS: [&str; 2] = ["connector", "property-version"];
/// Options that Flink's table layer accepts for every source.
const WATERMARK_PREFIX: &str = "scan.watermark.";

/// Option names of old Flink versions and of outdated articles, with their replacements.
const OLD_OPTIONS: [(&str, &str); 12] = [
    ("startup-mode", "scan.startup.mode"),
    ("connector.topic", "topic"),
    ("connector.startup-mode", "scan.startup.mode"),
    (
        "connector.properties.bootstrap.servers",
        "properties.bootstrap.servers",
    ),
    ("connector.properties.group.id", "properties.group.id"),
    ("connector.path", "path"),
    ("connector.version", "nothing: connectors have no versions"),
    ("update-mode", "nothing: the query decides"),
    ("format.type", "format"),
    (
        "format.derive-schema",
        "nothing: the schema is always the table's",
    ),
    ("bootstrap.servers", "properties.bootstrap.servers"),
    ("group.id", "properties.group.id"),
];

/// Where the options of a format are.
struct FormatSlot<'a> {
    format: &'static FormatDecl,
    /// Prefix of its options, format name and dot included.
    prefix: String,
    key: &'a str,
}

/// Validates all options of a table. Returns the connector's declaration.
pub fn check(
    declarations: &Declarations,
    spec: &TableSpec,
    table: &ResolvedTable,
) -> SqlResult<&'static ConnectorDecl> {
    let identifier = spec.identifier.to_string();
    let connector = find_connector(declarations, &spec.options, &identifier)?;
    let at_table = |error: InvalidTable| {
        SqlError::new(format!("table '{identifier}': {error}")).with_code(ErrorCode::InvalidOption)
    };
    let formats = find_formats(declarations, connector, &spec.options, &identifier)?;
    check_required(connector, &spec.options, &identifier)?;
    check_values(connector, &formats, &spec.options).map_err(|error| at_table(error.into()))?;
    check_unknown(connector, &formats, &spec.options, &identifier)?;
    let definition = TableDefinition {
        identifier: &identifier,
        options: &spec.options,
        physical: &spec.physical,
        primary_key: table.key_columns(),
        partition_keys: &spec.partition_keys,
    };
    (connector.validate)(&definition).map_err(&at_table)?;
    // A connector that splits the columns into key and value validates each part with its own format.
    let whole_rows = connector.formats == FormatUse::Value;
    for slot in formats.iter().filter(|_| whole_rows) {
        let own: Options = own_options(slot, &spec.options);
        let definition = TableDefinition {
            options: &own,
            ..definition.clone()
        };
        (slot.format.validate)(&definition).map_err(&at_table)?;
    }
    Ok(connector)
}

/// The connector that `'connector'` names.
pub fn find_connector(
    declarations: &Declarations,
    options: &Options,
    identifier: &str,
) -> SqlResult<&'static ConnectorDecl> {
    let names: Vec<&str> = declarations.connectors.iter().map(|c| c.identifier).collect();
    let Some(name) = options.get("connector") else {
        if let Some(old) = options.get("connector.type") {
            let message = format!("table '{identifier}' uses 'connector.type' = '{old}', an old spelling");
            return Err(SqlError::new(message).with_code(ErrorCode::InvalidOption).with_hint(format!(
                "write 'connector' = '{old}', and the other options without the prefixes 'connector.' and 'format.'"
            )));
        }
        let message = format!(
            "Table options of '{identifier}' do not contain an option key 'connector' for discovering a connector"
        );
        return Err(SqlError::new(message)
            .with_code(ErrorCode::UnknownConnector)
            .with_hint(format!("known connectors: {}", names.join(", "))));
    };
    declarations.connector(name).ok_or_else(|| {
        let message = format!(
            "Could not find any factory for identifier '{name}' in table '{identifier}'. Available factory identifiers \
             are: {}",
            names.join(", ")
        );
        let message = SqlError::new(message).with_code(ErrorCode::UnknownConnector);
        match name.as_str() {
            "kafka-0.11" | "kafka-0.10" | "universal" => message.with_hint("write 'connector' = 'kafka'"),
            _ => message.offering(name, names.iter().copied()),
        }
    })
}

/// The name of the value format, whichever option gives it.
pub fn value_format(options: &Options) -> Option<&str> {
    options
        .get("value.format")
        .or_else(|| options.get("format"))
        .map(String::as_str)
}

fn find_formats<'a>(
    declarations: &Declarations,
    connector: &ConnectorDecl,
    options: &'a Options,
    identifier: &str,
) -> SqlResult<Vec<FormatSlot<'a>>> {
    let keys: &[&str] = match connector.formats {
        FormatUse::None => &[],
        FormatUse::Value => &["format"],
        FormatUse::KeyAndValue | FormatUse::KeyAndValueRequired => &["format", "value.format", "key.format"],
    };
    let mut found = Vec::new();
    for key in keys {
        let Some((key, name)) = options.get_key_value(*key) else {
            continue;
        };
        let Some(format) = declarations.format(name) else {
            let names: Vec<&str> = declarations.formats.iter().map(|f| f.identifier).collect();
            let message = format!(
                "Could not find any format factory for identifier '{name}' in option '{key}' of table '{identifier}'. \
                 Available formats are: {}",
                names.join(", ")
            );
            return Err(SqlError::new(message)
                .with_code(ErrorCode::UnknownFormat)
                .offering(name, names.iter().copied()));
        };
        let prefix = key.strip_suffix("format").unwrap_or_default();
        found.push(FormatSlot {
            format,
            prefix: format!("{prefix}{name}."),
            key,
        });
    }
    let has = |key: &str| options.contains_key(key);
    let missing = match connector.formats {
        FormatUse::None => None,
        FormatUse::Value if !has("format") => Some("format"),
        FormatUse::KeyAndValue if !has("format") && !has("value.format") => Some("format"),
        FormatUse::KeyAndValueRequired if !has("key.format") => Some("key.format"),
        FormatUse::KeyAndValueRequired if !has("value.format") && !has("format") => Some("value.format"),
        _ => None,
    };
    match missing {
        None => Ok(found),
        Some(key) => {
            let names: Vec<&str> = declarations.formats.iter().map(|f| f.identifier).collect();
            let message = format!(
                "One or more required options are missing for connector '{}' of table '{identifier}': '{key}'",
                connector.identifier
            );
            Err(SqlError::new(message)
                .with_code(ErrorCode::MissingOption)
                .with_hint(format!("known formats: {}", names.join(", "))))
        }
    }
}

fn check_required(connector: &ConnectorDecl, options: &Options, identifier: &str) -> SqlResult<()> {
    let missing: Vec<&str> = connector
        .options
        .iter()
        .filter(|decl| decl.required && !options.keys().any(|key| decl.matches(key)))
        .map(|decl| decl.key)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let hint = missing.iter().find_map(|key| {
        let old = OLD_OPTIONS
            .iter()
            .find(|(old, new)| new == key && options.contains_key(*old))?;
        Some(format!("'{}' is an old spelling of '{}'", old.0, old.1))
    });
    let error = SqlError::new(format!(
        "One or more required options are missing for connector '{}' of table '{identifier}': {}",
        connector.identifier,
        missing.join(", ")
    ))
    .with_code(ErrorCode::MissingOption);
    Err(match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    })
}

fn check_values(
    connector: &ConnectorDecl,
    formats: &[FormatSlot<'_>],
    options: &Options,
) -> Result<(), millstream_types::OptionError> {
    for (key, value) in options {
        if let Some(decl) = connector.options.iter().find(|decl| decl.matches(key)) {
            decl.check(value)?;
        }
        if let Some((decl, _)) = format_option(formats, key) {
            decl.check(value).map_err(|error| match error {
                millstream_types::OptionError::Value { value, expected, .. } => {
                    millstream_types::OptionError::Value {
                        key: key.clone(),
                        value,
                        expected,
                    }
                }
                other => other,
            })?;
        }
    }
    Ok(())
}

fn format_option<'f>(
    formats: &'f [FormatSlot<'_>],
    key: &str,
) -> Option<(&'static OptionDecl, &'f FormatSlot<'f>)> {
    formats.iter().find_map(|slot| {
        let own = key.strip_prefix(&slot.prefix)?;
        slot.format
            .options
            .iter()
            .find(|decl| decl.matches(own))
            .map(|decl| (decl, slot))
    })
}

fn check_unknown(
    connector: &ConnectorDecl,
    formats: &[FormatSlot<'_>],
    options: &Options,
    identifier: &str,
) -> SqlResult<()> {
    let is_known = |key: &str| {
        COMMON_OPTIONS.contains(&key)
            || key.starts_with(WATERMARK_PREFIX)
            || connector.options.iter().any(|decl| decl.matches(key))
            || formats.iter().any(|slot| slot.key == key)
            || format_option(formats, key).is_some()
    };
    let is_of_format = |key: &str| formats.iter().any(|slot| key.starts_with(slot.prefix.as_str()));
    let is_ignored =
        |key: &str| !connector.strict && is_of_format(key) && !OLD_OPTIONS.iter().any(|(old, _)| *old == key);
    let unknown: Vec<&str> = options
        .keys()
        .map(String::as_str)
        .filter(|key| !is_known(key) && !is_ignored(key))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    // A lenient connector leaves its format's options to the format, which ignores unknown ones. Known outdated names
    // are still rejected.
    let old = unknown
        .iter()
        .find_map(|key| OLD_OPTIONS.iter().find(|(old, _)| old == key));
    let mut supported: Vec<String> = connector.options.iter().map(|decl| decl.key.to_owned()).collect();
    supported.extend(COMMON_OPTIONS.iter().map(|key| (*key).to_owned()));
    for slot in formats {
        supported.push(slot.key.to_owned());
        supported.extend(
            slot.format
                .options
                .iter()
                .map(|decl| format!("{}{}", slot.prefix, decl.key)),
        );
    }
    supported.sort();
    supported.dedup();
    let error = SqlError::new(format!(
        "Unsupported options found for '{}' in table '{identifier}'. Unsupported options: {}. Supported options: {}",
        connector.identifier,
        unknown.join(", "),
        supported.join(", ")
    )).with_code(ErrorCode::UnknownOption);
    let near = unknown
        .iter()
        .find_map(|key| nearest(key, supported.iter().map(String::as_str)));
    Err(match (old, near) {
        (Some((old, new)), _) => error.with_hint(format!("'{old}' is an old spelling: write '{new}'")),
        (None, Some(near)) => error.with_hint(format!("did you mean '{near}'?")),
        (None, None) => error,
    })
}

/// The options of a format, without their prefix.
fn own_options(slot: &FormatSlot<'_>, options: &Options) -> Options {
    let own =
        |(key, value): (&String, &String)| Some((key.strip_prefix(&slot.prefix)?.to_owned(), value.clone()));
    options.iter().filter_map(own).collect()
}
