//! The schema of a table over a stream.

use std::fmt::Write as _;

use millstream_types::LogicalType;

/// Columns of a table over a stream, with expressions in SQL.
///
/// Without physical columns those of the row type are taken.
///
/// ```
/// use millstream_datastream::table::Schema;
///
/// let schema = Schema::new()
///     .column("user", "STRING")
///     .column("millis", "BIGINT")
///     .column_by_expression("ts", "TO_TIMESTAMP_LTZ(millis, 3)")
///     .watermark("ts", "ts - INTERVAL '5' SECOND");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Schema {
    columns: Vec<(String, Declared)>,
    watermark: Option<(String, String)>,
    primary_key: Vec<String>,
}

#[derive(Clone, Debug)]
enum Declared {
    Physical(String),
    Computed(String),
    Metadata { ty: String, key: Option<String> },
}

impl Schema {
    pub fn new() -> Self {
        Self::default()
    }

    /// A column of the stream's rows, with a type of SQL. A struct's field is found by the column's name, a tuple's by
    /// its position.
    pub fn column(self, name: impl Into<String>, ty: impl Into<String>) -> Self {
        self.with(name, Declared::Physical(ty.into()))
    }

    /// A column that is computed from others.
    pub fn column_by_expression(self, name: impl Into<String>, expression: impl Into<String>) -> Self {
        self.with(name, Declared::Computed(expression.into()))
    }

    /// A metadata column. `rowtime` is the timestamp of the record.
    pub fn column_by_metadata(self, name: impl Into<String>, ty: impl Into<String>) -> Self {
        let (ty, key) = (ty.into(), None);
        self.with(name, Declared::Metadata { ty, key })
    }

    /// A metadata column under another name.
    pub fn column_by_metadata_key(
        self,
        name: impl Into<String>,
        ty: impl Into<String>,
        key: impl Into<String>,
    ) -> Self {
        let (ty, key) = (ty.into(), Some(key.into()));
        self.with(name, Declared::Metadata { ty, key })
    }

    /// Makes a column the event time. `SOURCE_WATERMARK()` takes over the watermarks of the stream.
    pub fn watermark(mut self, column: impl Into<String>, expression: impl Into<String>) -> Self {
        self.watermark = Some((column.into(), expression.into()));
        self
    }

    pub fn primary_key<N: Into<String>>(mut self, columns: impl IntoIterator<Item = N>) -> Self {
        self.primary_key = columns.into_iter().map(Into::into).collect();
        self
    }

    fn with(mut self, name: impl Into<String>, declared: Declared) -> Self {
        self.columns.push((name.into(), declared));
        self
    }

    pub(super) fn has_primary_key(&self) -> bool {
        !self.primary_key.is_empty()
    }

    /// Names of the declared columns of the stream's rows.
    pub(super) fn physical_names(&self) -> Vec<&str> {
        let physical = self.columns.iter();
        physical
            .filter(|(_, declared)| matches!(declared, Declared::Physical(_)))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// The statement that makes the table. `derived` are the columns of the row type.
    pub(super) fn create_table(
        &self,
        name: &str,
        derived: &[(String, LogicalType)],
        options: &[(&str, String)],
    ) -> String {
        let mut parts = Vec::new();
        if self.physical_names().is_empty() {
            parts.extend(derived.iter().map(|(name, ty)| format!("{} {ty}", quoted(name))));
        }
        parts.extend(self.columns.iter().map(|(name, declared)| {
            let name = quoted(name);
            match declared {
                Declared::Physical(ty) => format!("{name} {ty}"),
                Declared::Computed(expression) => format!("{name} AS {expression}"),
                Declared::Metadata { ty, key: None } => format!("{name} {ty} METADATA"),
                Declared::Metadata { ty, key: Some(key) } => {
                    format!("{name} {ty} METADATA FROM {}", literal(key))
                }
            }
        }));
        if let Some((column, expression)) = &self.watermark {
            parts.push(format!("WATERMARK FOR {} AS {expression}", quoted(column)));
        }
        if self.has_primary_key() {
            let columns: Vec<String> = self.primary_key.iter().map(|column| quoted(column)).collect();
            parts.push(format!("PRIMARY KEY ({}) NOT ENFORCED", columns.join(", ")));
        }
        let mut statement = format!(
            "CREATE TEMPORARY TABLE {name} (\n  {}\n) WITH (",
            parts.join(",\n  ")
        );
        for (index, (key, value)) in options.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let _ = write!(statement, "{comma}{} = {}", literal(key), literal(value));
        }
        statement.push(')');
        statement
    }
}

/// An identifier as SQL takes it.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A path of identifiers as SQL takes it; one with backquotes is taken as it is.
pub(super) fn quoted_path(path: &str) -> String {
    if path.contains('`') {
        return path.to_owned();
    }
    let parts: Vec<String> = path.split('.').map(quoted).collect();
    parts.join(".")
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
