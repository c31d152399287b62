//! Canonical DDL of catalog objects, as SHOW CREATE prints it. Executing it creates an equal object, so a durable
//! catalog stores objects in this form.

use std::fmt::Write;

use millstream_plan::ObjectIdentifier;
use millstream_types::logical_type::MAX_LENGTH;
use millstream_types::redact::{HIDDEN, is_sensitive};
use millstream_types::{LogicalType, Options, RowField, TypeKind};

use super::database::Catalog;
use super::object::{Model, ResolvedTable, TableColumn, TableColumnKind, TableDistribution, View};
use crate::parse::ast::DistributionKind;
use crate::parse::unparse::expr_to_sql;

/// `` `name` ``, back-ticks doubled.
pub fn quoted_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// `'text'`, quotes doubled.
pub fn quoted_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `` `catalog`.`database`.`name` ``
pub fn quoted_identifier(identifier: &ObjectIdentifier) -> String {
    let parts = [&identifier.catalog, &identifier.database, &identifier.name];
    parts.map(|part| quoted_name(part)).join(".")
}

/// `` `a`, `b` ``
pub fn quoted_names(names: &[String]) -> String {
    names
        .iter()
        .map(|name| quoted_name(name))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What a statement does with the values of options that are secrets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Secrets {
    /// The statement is kept, to be executed again.
    Kept,
    /// The statement is shown.
    Hidden,
}

/// CREATE TABLE of a table.
pub fn create_table(
    identifier: &ObjectIdentifier,
    table: &ResolvedTable,
    temporary: bool,
    secrets: Secrets,
) -> String {
    let mut elements: Vec<String> = table.columns.iter().map(column_text).collect();
    if let Some(watermark) = &table.watermark {
        let (column, expr) = (quoted_name(&watermark.column), expr_to_sql(&watermark.expr));
        elements.push(format!("WATERMARK FOR {column} AS {expr}"));
    }
    if let Some(key) = &table.primary_key {
        let (name, columns) = (quoted_name(&key.name), quoted_names(&key.columns));
        elements.push(format!("CONSTRAINT {name} PRIMARY KEY ({columns}) NOT ENFORCED"));
    }
    let mut text = format!(
        "CREATE {}TABLE {} (\n{}\n)\n",
        temporary_word(temporary),
        quoted_identifier(identifier),
        indented(&elements)
    );
    push_comment(&mut text, table.comment.as_deref());
    if let Some(distribution) = &table.distribution {
        text.push_str(&distribution_text(distribution));
    }
    if !table.partition_keys.is_empty() {
        let _ = writeln!(text, "PARTITIONED BY ({})", quoted_names(&table.partition_keys));
    }
    push_options(&mut text, &table.options, secrets);
    text
}

/// CREATE VIEW of a view.
pub fn create_view(identifier: &ObjectIdentifier, view: &View, temporary: bool) -> String {
    let columns: Vec<String> = view.schema.columns.iter().map(|c| quoted_name(&c.name)).collect();
    let mut text = format!(
        "CREATE {}VIEW {} (\n{}\n)\n",
        temporary_word(temporary),
        quoted_identifier(identifier),
        indented(&columns)
    );
    push_comment(&mut text, view.comment.as_deref());
    let _ = writeln!(text, "AS {}", view.expanded);
    text
}

/// CREATE CATALOG of a catalog.
pub fn create_catalog(name: &str, catalog: &Catalog, secrets: Secrets) -> String {
    let mut text = format!("CREATE CATALOG {}\n", quoted_name(name));
    push_comment(&mut text, catalog.comment.as_deref());
    push_options(&mut text, &catalog.options, secrets);
    text
}

/// CREATE MODEL of a model, its secrets hidden.
pub fn create_model(identifier: &ObjectIdentifier, model: &Model, temporary: bool) -> String {
    let mut text = format!(
        "CREATE {}MODEL {}\n",
        temporary_word(temporary),
        quoted_identifier(identifier)
    );
    for (word, columns) in [("INPUT", &model.input), ("OUTPUT", &model.output)] {
        if !columns.is_empty() {
            let columns: Vec<String> = columns.iter().map(column_text).collect();
            let _ = writeln!(text, "{word} ({})", columns.join(", "));
        }
    }
    push_comment(&mut text, model.comment.as_deref());
    push_options(&mut text, &model.options, Secrets::Hidden);
    text
}

fn temporary_word(temporary: bool) -> &'static str {
    if temporary { "TEMPORARY " } else { "" }
}

fn indented(elements: &[String]) -> String {
    elements
        .iter()
        .map(|element| format!("  {element}"))
        .collect::<Vec<_>>()
        .join(",\n")
}

fn push_comment(text: &mut String, comment: Option<&str>) {
    if let Some(comment) = comment.filter(|comment| !comment.is_empty()) {
        let _ = writeln!(text, "COMMENT {}", quoted_text(comment));
    }
}

fn push_options(text: &mut String, options: &Options, secrets: Secrets) {
    if options.is_empty() {
        return;
    }
    let pair = |(key, value): (&String, &String)| {
        let is_hidden = secrets == Secrets::Hidden && is_sensitive(key);
        let value = if is_hidden { HIDDEN } else { value };
        format!("{} = {}", quoted_text(key), quoted_text(value))
    };
    let pairs: Vec<String> = options.iter().map(pair).collect();
    let _ = writeln!(text, "WITH (\n{}\n)", indented(&pairs));
}

fn column_text(column: &TableColumn) -> String {
    let mut text = quoted_name(&column.name);
    match &column.kind {
        TableColumnKind::Physical => {
            let _ = write!(text, " {}", type_text(&column.ty));
        }
        TableColumnKind::Metadata { .. } => {
            let _ = write!(text, " {} {}", type_text(&column.ty), metadata_text(&column.kind));
        }
        TableColumnKind::Computed(expr) => {
            let _ = write!(text, " AS {}", expr_to_sql(expr));
        }
    }
    if let Some(comment) = column.comment.as_deref().filter(|comment| !comment.is_empty()) {
        let _ = write!(text, " COMMENT {}", quoted_text(comment));
    }
    text
}

/// `METADATA FROM 'key' VIRTUAL`; nothing for other columns.
pub fn metadata_text(kind: &TableColumnKind) -> String {
    let TableColumnKind::Metadata { key, is_virtual } = kind else {
        return String::new();
    };
    let mut text = "METADATA".to_owned();
    if let Some(key) = key {
        let _ = write!(text, " FROM {}", quoted_text(key));
    }
    if *is_virtual {
        text.push_str(" VIRTUAL");
    }
    text
}

fn distribution_text(distribution: &TableDistribution) -> String {
    let mut text = "DISTRIBUTED".to_owned();
    if !distribution.columns.is_empty() {
        let kind = match distribution.kind {
            DistributionKind::Unknown => "",
            DistributionKind::Hash => "HASH",
            DistributionKind::Range => "RANGE",
        };
        let _ = write!(text, " BY {kind}({})", quoted_names(&distribution.columns));
    }
    if let Some(count) = distribution.bucket_count {
        let _ = write!(text, " INTO {count} BUCKETS");
    }
    text.push('\n');
    text
}

/// A type in DDL notation: all lengths explicit, without time attributes and field comments.
pub fn type_text(ty: &LogicalType) -> String {
    let kind = match &ty.kind {
        TypeKind::Varchar(MAX_LENGTH) => format!("VARCHAR({MAX_LENGTH})"),
        TypeKind::Varbinary(MAX_LENGTH) => format!("VARBINARY({MAX_LENGTH})"),
        TypeKind::TimestampLtz { precision, .. } => format!("TIMESTAMP({precision}) WITH LOCAL TIME ZONE"),
        TypeKind::Timestamp { precision, .. } => format!("TIMESTAMP({precision})"),
        TypeKind::Array(element) => format!("ARRAY<{}>", type_text(element)),
        TypeKind::Multiset(element) => format!("MULTISET<{}>", type_text(element)),
        TypeKind::Map(key, value) => format!("MAP<{}, {}>", type_text(key), type_text(value)),
        TypeKind::Row(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("{} {}", quoted_name(&field.name), type_text(&field.ty)))
                .collect();
            format!("ROW<{}>", fields.join(", "))
        }
        other => other.to_string(),
    };
    if ty.nullable {
        kind
    } else {
        format!("{kind} NOT NULL")
    }
}

/// The type of a column in DESCRIBE, where NOT NULL has a column of its own.
pub fn column_type(ty: &LogicalType) -> String {
    described(&ty.with_nullable(true)).to_string()
}

/// A type as DESCRIBE shows it: without the comments of fields, and intervals by their smallest unit.
fn described(ty: &LogicalType) -> LogicalType {
    let kind = match &ty.kind {
        TypeKind::Array(element) => TypeKind::Array(Box::new(described(element))),
        TypeKind::Multiset(element) => TypeKind::Multiset(Box::new(described(element))),
        TypeKind::Map(key, value) => TypeKind::Map(Box::new(described(key)), Box::new(described(value))),
        TypeKind::Row(fields) => TypeKind::Row(
            fields
                .iter()
                .map(|field| RowField {
                    name: field.name.clone(),
                    ty: described(&field.ty),
                    description: None,
                })
                .collect(),
        ),
        _ => millstream_functions::typing::interval::widest_interval(ty).kind,
    };
    LogicalType {
        kind,
        nullable: ty.nullable,
    }
}
