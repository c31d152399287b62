//! The columns of CREATE TABLE AS: what the statement declares, and what the query gives.

use millstream_functions::typing::supports_implicit_cast;
use millstream_types::{Column, ErrorCode, LogicalType};

use crate::bind::error::{SqlError, SqlResult};
use crate::bind::logical::Rel;
use crate::catalog::{ResolvedTable, TableColumn, TableColumnKind};
use crate::parse::ast::CreateTable;

/// The statement's own columns, then the query's. A query column that is also declared gets the declared type.
pub(super) fn with_query_columns(
    own: ResolvedTable,
    create: &CreateTable,
    rel: &Rel,
) -> SqlResult<ResolvedTable> {
    let query = &rel.schema.columns;
    for (i, column) in query.iter().enumerate() {
        if query[..i].iter().any(|known| known.name == column.name) {
            let message = format!(
                "A column named '{}' already exists in the query; give it an alias",
                column.name
            );
            return Err(SqlError::at(create.name.span, message).with_code(ErrorCode::DuplicateName));
        }
    }
    let mut order: Vec<&millstream_types::Column> = query.iter().collect();
    let names = &create.schema.column_names;
    if !names.is_empty() {
        if names.len() != query.len() {
            return Err(SqlError::at(
                create.schema.span,
                "The number of columns in the column list must match the number of columns in the source schema",
            ));
        }
        order.clear();
        for name in names {
            let found = query
                .iter()
                .find(|column| column.name == name.value)
                .ok_or_else(|| {
                    let message = format!("Column '{}' not found in the source schema", name.value);
                    SqlError::at(name.span, message)
                        .with_code(ErrorCode::UnknownColumn)
                        .offering(&name.value, query.iter().map(|c| c.name.as_str()))
                })?;
            order.push(found);
        }
    }
    let plain = |ty: &LogicalType| ty.without_time_attribute();
    let declared = own.columns.clone();
    check_declared(&declared, query).map_err(|error| error.with_span(create.schema.span))?;
    let is_selected = |name: &str| query.iter().any(|column| column.name == name);
    let mut columns: Vec<TableColumn> = declared
        .iter()
        .filter(|column| !is_selected(&column.name))
        .cloned()
        .collect();
    for column in order {
        columns.push(match declared.iter().find(|known| known.name == column.name) {
            Some(known) => known.clone(),
            None => TableColumn::physical(column.name.clone(), plain(&column.ty)),
        });
    }
    if let Some(key) = &own.primary_key {
        for column in columns
            .iter_mut()
            .filter(|c| key.columns.contains(&c.name) && c.is_physical())
        {
            column.ty.nullable = false;
        }
    }
    Ok(ResolvedTable { columns, ..own })
}

/// Whether each declared column goes with the query: its values are cast implicitly, or it is one that the query does not
/// give and that may be NULL. Messages and positions (from 1) are those of Flink 2.3.
fn check_declared(declared: &[TableColumn], query: &[Column]) -> SqlResult<()> {
    for (index, column) in declared.iter().enumerate() {
        let name = &column.name;
        let is_computed = matches!(column.kind, TableColumnKind::Computed(_));
        let Some(given) = query.iter().find(|given| given.name == *name) else {
            if column.is_physical() && !column.ty.nullable {
                let message = format!("Column '{name}' has no default value and does not allow NULLs.");
                return Err(SqlError::new(message).with_code(ErrorCode::SinkMismatch));
            }
            continue;
        };
        if is_computed {
            let message = format!(
                "A column named '{name}' already exists in the source schema. Computed columns cannot overwrite columns \
                 from source."
            );
            return Err(SqlError::new(message).with_code(ErrorCode::DuplicateName));
        }
        let (from, to) = (
            given.ty.without_time_attribute(),
            column.ty.without_time_attribute(),
        );
        let nullable = |ty: &LogicalType| ty.clone().with_nullable(true);
        let casts = from.kind == to.kind || supports_implicit_cast(&nullable(&from), &nullable(&to));
        if !casts || (from.nullable && !to.nullable) {
            let message = format!(
                "Incompatible types for sink column '{name}' at position {}. The source column has type '{from}', while \
                 the target column has type '{to}'.",
                index + 1
            );
            let hint = format!("cast the value: CAST(… AS {})", nullable(&to));
            return Err(SqlError::new(message)
                .with_code(ErrorCode::SinkMismatch)
                .with_hint(hint));
        }
    }
    Ok(())
}
