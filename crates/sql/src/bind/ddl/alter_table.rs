//! ALTER TABLE: every change produces a new definition, which is resolved as a whole.

use millstream_plan::ObjectIdentifier;
use millstream_types::ErrorCode;

use super::table::{
    bind_column, bind_constraint, bind_distribution, bind_options, bind_watermark, columns_of, no_such_column,
};
use crate::bind::Binder;
use crate::bind::error::{SqlError, SqlResult};
use crate::catalog::show::partition_pairs;
use crate::catalog::{CatalogOperation, CatalogTable, Partition, ResolvedTable, TableColumnKind};
use crate::parse::ast::{
    AlterTable, AlterTableAction, ColumnChange, ColumnPosition, Ident, ObjectName, PartitionSpec,
    SchemaChange, StringLiteral,
};
use crate::parse::span::Span;

/// Options that ALTER TABLE … RESET must not remove.
const CONNECTOR_OPTION: &str = "connector";

impl Binder<'_> {
    pub(super) fn bind_alter_table(&self, alter: &AlterTable) -> SqlResult<CatalogOperation> {
        let identifier = self.qualify(&alter.name)?;
        let Some(found) = self.catalogs.table(&identifier) else {
            return self.missing_table(alter, &identifier);
        };
        let CatalogTable::Table(table) = found.table else {
            let message = format!("ALTER TABLE for a view is not allowed: '{identifier}'");
            return Err(SqlError::at(alter.name.span, message)
                .with_code(ErrorCode::InvalidAlteration)
                .with_hint("use ALTER VIEW"));
        };
        let operation = match &alter.action {
            AlterTableAction::Rename(to) => {
                let to = to.last().map(|ident| ident.value.clone()).unwrap_or_default();
                return Ok(CatalogOperation::RenameTable { identifier, to });
            }
            AlterTableAction::AddPartitions {
                if_not_exists,
                partitions,
            } => {
                let partition = |added: &crate::parse::ast::PartitionToAdd| {
                    let spec = self.partition_of(table, &identifier, &added.partition)?;
                    Ok(Partition {
                        spec,
                        options: bind_options(&added.options)?,
                    })
                };
                let partitions = partitions.iter().map(partition).collect::<SqlResult<_>>()?;
                return Ok(CatalogOperation::AddPartitions {
                    identifier,
                    partitions,
                    if_not_exists: *if_not_exists,
                });
            }
            AlterTableAction::DropPartitions {
                if_exists,
                partitions,
            } => {
                let partitions = partitions.iter().map(partition_pairs).collect();
                return Ok(CatalogOperation::DropPartitions {
                    identifier,
                    partitions,
                    if_exists: *if_exists,
                });
            }
            AlterTableAction::Compact { .. } => {
                return Err(SqlError::unsupported(alter.action_span, "ALTER TABLE … COMPACT"));
            }
            action => self.changed(table, action, alter.action_span)?,
        };
        let table = self
            .resolve_table(operation)
            .map_err(|error| error.without_places().with_span(alter.action_span))?;
        Ok(CatalogOperation::AlterTable {
            identifier,
            table: Box::new(CatalogTable::Table(table)),
        })
    }

    fn missing_table(
        &self,
        alter: &AlterTable,
        identifier: &ObjectIdentifier,
    ) -> SqlResult<CatalogOperation> {
        if alter.if_exists {
            return Ok(CatalogOperation::Nothing);
        }
        let text = crate::catalog::ddl_text::quoted_identifier(identifier);
        let names = self
            .catalogs
            .table_names(&identifier.catalog, &identifier.database);
        Err(SqlError::at(
            alter.name.span,
            format!("Table {text} doesn't exist or is a temporary table"),
        )
        .with_code(ErrorCode::UnknownTable)
        .offering(&identifier.name, names.iter().map(String::as_str)))
    }

    /// The changed definition, not yet resolved.
    fn changed(
        &self,
        table: &ResolvedTable,
        action: &AlterTableAction,
        span: Span,
    ) -> SqlResult<ResolvedTable> {
        let mut changed = table.clone();
        match action {
            AlterTableAction::Set(options) => {
                changed.options.extend(bind_options(options)?);
            }
            AlterTableAction::Reset(keys) => reset_options(&mut changed, keys)?,
            AlterTableAction::RenameColumn { from, to } => self.rename_column(&mut changed, from, to)?,
            AlterTableAction::Add(change) => add(&mut changed, change, span)?,
            AlterTableAction::Modify(change) => modify(&mut changed, change, span)?,
            AlterTableAction::DropColumns(names) => self.drop_columns(&mut changed, names)?,
            AlterTableAction::DropPrimaryKey => {
                if changed.primary_key.take().is_none() {
                    return Err(
                        SqlError::at(span, "The current table does not define any primary key")
                            .with_code(ErrorCode::InvalidAlteration),
                    );
                }
            }
            AlterTableAction::DropConstraint(name) => drop_constraint(&mut changed, name)?,
            AlterTableAction::DropWatermark => {
                if changed.watermark.take().is_none() {
                    return Err(SqlError::at(
                        span,
                        "The current table does not define any watermark strategy",
                    )
                    .with_code(ErrorCode::InvalidWatermark));
                }
            }
            AlterTableAction::DropDistribution => {
                if changed.distribution.take().is_none() {
                    return Err(SqlError::at(span, "Table does not have a distribution to drop")
                        .with_code(ErrorCode::InvalidAlteration));
                }
            }
            _ => return Err(SqlError::internal("this change does not touch the definition")),
        }
        Ok(changed)
    }

    fn rename_column(&self, table: &mut ResolvedTable, from: &ObjectName, to: &Ident) -> SqlResult<()> {
        let old = top_level(from)?;
        if table.column(&old.value).is_none() {
            return Err(no_such_column(old, table));
        }
        if table.column(&to.value).is_some() {
            let message = format!("The column `{}` already existed in table schema", to.value);
            return Err(SqlError::at(to.span, message).with_code(ErrorCode::UnknownColumn));
        }
        self.refuse_if_computed_on(table, old, &[], "rename")?;
        refuse_if_watermark(table, old, self, "rename")?;
        let in_distribution = table
            .distribution
            .as_ref()
            .is_some_and(|d| d.columns.contains(&old.value));
        if table.partition_keys.contains(&old.value) || in_distribution {
            let message = format!(
                "Can not rename column `{}` because it is used as the partition keys",
                old.value
            );
            return Err(SqlError::at(old.span, message).with_code(ErrorCode::InvalidAlteration));
        }
        for column in table.columns.iter_mut().filter(|column| column.name == old.value) {
            column.name.clone_from(&to.value);
        }
        if let Some(key) = &mut table.primary_key {
            for column in key.columns.iter_mut().filter(|column| **column == old.value) {
                column.clone_from(&to.value);
            }
        }
        Ok(())
    }

    fn drop_columns(&self, table: &mut ResolvedTable, names: &[ObjectName]) -> SqlResult<()> {
        let mut dropped: Vec<String> = Vec::new();
        for name in names {
            let ident = top_level(name)?;
            if dropped.contains(&ident.value) {
                return Err(
                    SqlError::at(ident.span, format!("Duplicate column `{}`", ident.value))
                        .with_code(ErrorCode::DuplicateName),
                );
            }
            if table.column(&ident.value).is_none() {
                return Err(no_such_column(ident, table));
            }
            dropped.push(ident.value.clone());
        }
        for name in names {
            let ident = top_level(name)?;
            self.refuse_if_computed_on(table, ident, &dropped, "drop")?;
            refuse_if_watermark(table, ident, self, "drop")?;
            let in_key = table
                .primary_key
                .as_ref()
                .is_some_and(|key| key.columns.contains(&ident.value));
            let in_partition = table.partition_keys.contains(&ident.value);
            let in_distribution = table
                .distribution
                .as_ref()
                .is_some_and(|d| d.columns.contains(&ident.value));
            let role = if in_key {
                "the column is used as the primary key"
            } else if in_partition {
                "the column is used as the partition keys"
            } else if in_distribution {
                "the column is used as a distribution key"
            } else {
                continue;
            };
            return Err(SqlError::at(
                ident.span,
                format!("Failed to drop column `{}`: {role}", ident.value),
            )
            .with_code(ErrorCode::InvalidAlteration));
        }
        table.columns.retain(|column| !dropped.contains(&column.name));
        Ok(())
    }

    /// Rejects the change if a remaining computed column uses the column.
    fn refuse_if_computed_on(
        &self,
        table: &ResolvedTable,
        name: &Ident,
        leaving: &[String],
        verb: &str,
    ) -> SqlResult<()> {
        for column in table
            .columns
            .iter()
            .filter(|column| !leaving.contains(&column.name))
        {
            let TableColumnKind::Computed(expr) = &column.kind else {
                continue;
            };
            if columns_of(expr, table, self).contains(&name.value) {
                let message = format!(
                    "Failed to {verb} column `{}`: the column is referenced by computed column `{}`",
                    name.value, column.name
                );
                return Err(SqlError::at(name.span, message).with_code(ErrorCode::InvalidAlteration));
            }
        }
        Ok(())
    }

    /// The pairs of a partition, in the order of the partition keys.
    fn partition_of(
        &self,
        table: &ResolvedTable,
        identifier: &ObjectIdentifier,
        spec: &PartitionSpec,
    ) -> SqlResult<Vec<(String, String)>> {
        if table.partition_keys.is_empty() {
            return Err(
                SqlError::at(spec.span, format!("table {identifier} is not partitioned"))
                    .with_code(ErrorCode::InvalidAlteration),
            );
        }
        let pairs = partition_pairs(spec);
        let in_order = table
            .partition_keys
            .iter()
            .map(|key| pairs.iter().find(|(k, _)| k == key).cloned());
        let in_order: Option<Vec<_>> = in_order.collect();
        in_order
            .filter(|found| found.len() == pairs.len())
            .ok_or_else(|| {
                let message = format!(
                    "PartitionSpec does not match partition keys [{}] of table {identifier}",
                    table.partition_keys.join(", ")
                );
                SqlError::at(spec.span, message).with_code(ErrorCode::InvalidAlteration)
            })
    }
}

fn top_level(name: &ObjectName) -> SqlResult<&Ident> {
    name.as_simple()
        .ok_or_else(|| SqlError::unsupported(name.span, format!("altering the nested field '{name}'")))
}

fn refuse_if_watermark(
    table: &ResolvedTable,
    name: &Ident,
    binder: &Binder<'_>,
    verb: &str,
) -> SqlResult<()> {
    let Some(watermark) = &table.watermark else {
        return Ok(());
    };
    let is_used =
        watermark.column == name.value || columns_of(&watermark.expr, table, binder).contains(&name.value);
    if !is_used {
        return Ok(());
    }
    let message = format!(
        "Failed to {verb} column `{}`: the column is referenced by watermark expression",
        name.value
    );
    Err(SqlError::at(name.span, message).with_code(ErrorCode::InvalidWatermark))
}

fn reset_options(table: &mut ResolvedTable, keys: &[StringLiteral]) -> SqlResult<()> {
    if keys.is_empty() {
        return Err(SqlError::new("ALTER TABLE RESET does not support empty key")
            .with_code(ErrorCode::InvalidAlteration));
    }
    for key in keys {
        if key.value == CONNECTOR_OPTION {
            return Err(SqlError::at(
                key.span,
                "ALTER TABLE RESET does not support changing 'connector'",
            )
            .with_code(ErrorCode::InvalidAlteration));
        }
        table.options.remove(&key.value);
    }
    Ok(())
}

fn drop_constraint(table: &mut ResolvedTable, name: &Ident) -> SqlResult<()> {
    match &table.primary_key {
        None => Err(SqlError::at(
            name.span,
            format!(
                "The current table does not define any primary key, so there is no constraint '{}'",
                name.value
            ),
        )
        .with_code(ErrorCode::InvalidAlteration)),
        Some(key) if key.name != name.value => {
            let message = format!(
                "The current table does not define a primary key constraint named '{}'. Available constraint name: ['{}']",
                name.value, key.name
            );
            Err(SqlError::at(name.span, message)
                .with_code(ErrorCode::UnknownObject)
                .offering(&name.value, [key.name.as_str()]))
        }
        Some(_) => {
            table.primary_key = None;
            Ok(())
        }
    }
}

fn add(table: &mut ResolvedTable, change: &SchemaChange, span: Span) -> SqlResult<()> {
    refuse_duplicates(&change.columns)?;
    for added in &change.columns {
        let name = &added.column.name;
        if table.column(&name.value).is_some() {
            let message = format!(
                "Try to add a column `{}` which already exists in the table",
                name.value
            );
            return Err(SqlError::at(name.span, message).with_code(ErrorCode::AlreadyExists));
        }
        insert_at(table, added)?;
    }
    if change.watermark.is_some() && table.watermark.is_some() {
        let message = "The base table has already defined a watermark strategy. You might want to drop it before adding a new one";
        return Err(SqlError::at(span, message).with_code(ErrorCode::AlreadyExists));
    }
    if change.distribution.is_some() && table.distribution.is_some() {
        let message = "The base table has already defined a distribution. You might want to drop it before adding a new one";
        return Err(SqlError::at(span, message).with_code(ErrorCode::AlreadyExists));
    }
    if let Some(constraint) = constraints(change).next()
        && let Some(key) = &table.primary_key
    {
        let message = format!(
            "The base table has already defined the primary key constraint [{}]. You might want to drop it before \
             adding a new one",
            key.columns.join(", ")
        );
        return Err(SqlError::at(constraint.span, message).with_code(ErrorCode::AlreadyExists));
    }
    set_rest(table, change)
}

fn modify(table: &mut ResolvedTable, change: &SchemaChange, span: Span) -> SqlResult<()> {
    refuse_duplicates(&change.columns)?;
    for modified in &change.columns {
        let name = &modified.column.name;
        let Some(place) = table.columns.iter().position(|column| column.name == name.value) else {
            let message = format!(
                "Try to modify a column `{}` which does not exist in the table",
                name.value
            );
            return Err(SqlError::at(name.span, message)
                .with_code(ErrorCode::UnknownColumn)
                .offering(&name.value, table.columns.iter().map(|c| c.name.as_str())));
        };
        let old = table.columns.remove(place);
        let mut column = bind_column(&modified.column)?;
        column.comment = column.comment.or(old.comment);
        let is_key = table
            .primary_key
            .as_ref()
            .is_some_and(|key| key.columns.contains(&column.name));
        if is_key && column.is_physical() {
            column.ty.nullable = false;
        }
        match &modified.position {
            None => table.columns.insert(place, column),
            // A position after the column itself means its current position.
            Some(ColumnPosition::After(other)) if other.is_word(&name.value) => {
                table.columns.insert(place, column);
            }
            Some(position) => {
                let at = position_of(table, position)?;
                table.columns.insert(at, column);
            }
        }
    }
    if change.watermark.is_some() && table.watermark.is_none() {
        let message = "The current table does not define any watermark. You might want to add a new one";
        return Err(SqlError::at(span, message).with_code(ErrorCode::InvalidWatermark));
    }
    if constraints(change).next().is_some() && table.primary_key.is_none() {
        let message =
            "The current table does not define any primary key constraint. You might want to add a new one";
        return Err(SqlError::at(span, message).with_code(ErrorCode::InvalidAlteration));
    }
    set_rest(table, change)
}

/// The constraints of the change, including those on columns.
fn constraints(change: &SchemaChange) -> impl Iterator<Item = &crate::parse::ast::TableConstraint> {
    let on_columns = change
        .columns
        .iter()
        .filter_map(|added| match &added.column.kind {
            crate::parse::ast::ColumnKind::Physical { constraint, .. } => constraint.as_ref(),
            _ => None,
        });
    change.constraints.iter().chain(on_columns)
}

fn set_rest(table: &mut ResolvedTable, change: &SchemaChange) -> SqlResult<()> {
    for constraint in constraints(change) {
        let key = bind_constraint(constraint)?;
        for column in table
            .columns
            .iter_mut()
            .filter(|c| key.columns.contains(&c.name) && c.is_physical())
        {
            column.ty.nullable = false;
        }
        table.primary_key = Some(key);
    }
    if let Some(watermark) = &change.watermark {
        table.watermark = Some(bind_watermark(watermark)?);
    }
    if let Some(distribution) = &change.distribution {
        table.distribution = Some(bind_distribution(distribution)?);
    }
    Ok(())
}

fn refuse_duplicates(columns: &[ColumnChange]) -> SqlResult<()> {
    for (i, change) in columns.iter().enumerate() {
        let name = &change.column.name;
        if columns[..i]
            .iter()
            .any(|known| known.column.name.value == name.value)
        {
            return Err(
                SqlError::at(name.span, format!("Encounter duplicate column `{}`", name.value))
                    .with_code(ErrorCode::DuplicateName),
            );
        }
    }
    Ok(())
}

fn insert_at(table: &mut ResolvedTable, added: &ColumnChange) -> SqlResult<()> {
    let column = bind_column(&added.column)?;
    let at = match &added.position {
        None => table.columns.len(),
        Some(position) => position_of(table, position)?,
    };
    table.columns.insert(at, column);
    Ok(())
}

fn position_of(table: &ResolvedTable, position: &ColumnPosition) -> SqlResult<usize> {
    match position {
        ColumnPosition::First => Ok(0),
        ColumnPosition::After(name) => {
            let ident = top_level(name)?;
            let found = table.columns.iter().position(|column| column.name == ident.value);
            found.map(|i| i + 1).ok_or_else(|| {
                let message = format!(
                    "Referenced column `{}` by 'AFTER' does not exist in the table",
                    ident.value
                );
                SqlError::at(ident.span, message)
                    .with_code(ErrorCode::UnknownColumn)
                    .offering(&ident.value, table.columns.iter().map(|c| c.name.as_str()))
            })
        }
    }
}
