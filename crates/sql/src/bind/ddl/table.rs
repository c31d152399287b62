//! CREATE TABLE: columns, keys, watermark, partitions, distribution. Also resolves a definition, which ALTER TABLE
//! repeats after each change.

use millstream_types::{ErrorCode, LogicalType, Options, Schema, TimeAttribute, TypeKind};

use super::like;
use crate::bind::Binder;
use crate::bind::error::{SqlError, SqlResult};
use crate::bind::scope::Scope;
use crate::bind::types::bind_type;
use crate::catalog::{
    PrimaryKey, ResolvedTable, TableColumn, TableColumnKind, TableDistribution, WatermarkDefinition,
};
use crate::parse::ast::{
    self, ColumnDefinition, ColumnKind, ConstraintKind, CreateTable, Distribution, ExprKind, Ident,
    SqlOption, TableConstraint, TableSchema, Watermark,
};

/// Largest precision of an event-time column.
const ROWTIME_PRECISION_MAX: u8 = 3;

impl Binder<'_> {
    /// The table that CREATE TABLE (without AS) defines.
    pub(super) fn define_table(&self, create: &CreateTable) -> SqlResult<ResolvedTable> {
        let own = self.own_definition(create)?;
        let table = match &create.like {
            Some(clause) => {
                let base = self.like_source(clause)?;
                let merged = like::merge(&base, own, clause)?;
                // Expressions of the other table have places in another text.
                return self.resolve_table(merged).map_err(SqlError::without_places);
            }
            None => own,
        };
        // The expression has a place of its own; what is wrong without one is the column.
        let watermark = create
            .schema
            .watermark
            .as_ref()
            .map(|watermark| watermark.column.span);
        self.resolve_table(table).map_err(|error| match watermark {
            Some(span) if error.code() == ErrorCode::InvalidWatermark => error.with_span(span),
            _ => error,
        })
    }

    /// The definition in the statement, unresolved: computed columns have no types yet.
    pub(super) fn own_definition(&self, create: &CreateTable) -> SqlResult<ResolvedTable> {
        if let Some(connection) = &create.connection {
            return Err(SqlError::unsupported(connection.span, "USING CONNECTION"));
        }
        let mut table = self.schema_definition(&create.schema)?;
        table.comment = create.comment.as_ref().map(|comment| comment.value.clone());
        table.partition_keys = create
            .partitioned_by
            .iter()
            .map(|ident| ident.value.clone())
            .collect();
        table.distribution = create.distribution.as_ref().map(bind_distribution).transpose()?;
        table.options = bind_options(&create.options)?;
        Ok(table)
    }

    fn schema_definition(&self, schema: &TableSchema) -> SqlResult<ResolvedTable> {
        let mut table = ResolvedTable::default();
        let mut constraints: Vec<&TableConstraint> = schema.constraints.iter().collect();
        for definition in &schema.columns {
            if table.column(&definition.name.value).is_some() {
                let is_physical = matches!(definition.kind, ColumnKind::Physical { .. });
                let message = format!(
                    "A {} named '{}' already exists in the table",
                    if is_physical { "regular Column" } else { "column" },
                    definition.name.value
                );
                return Err(SqlError::at(definition.name.span, message).with_code(ErrorCode::DuplicateName));
            }
            table.columns.push(bind_column(definition)?);
            if let ColumnKind::Physical {
                constraint: Some(constraint),
                ..
            } = &definition.kind
            {
                constraints.push(constraint);
            }
        }
        for constraint in constraints {
            let key = bind_constraint(constraint)?;
            if table.primary_key.is_some() {
                return Err(SqlError::at(constraint.span, "Duplicate primary key definition")
                    .with_code(ErrorCode::DuplicateName));
            }
            for column in table
                .columns
                .iter_mut()
                .filter(|column| key.columns.contains(&column.name))
            {
                column.ty.nullable = column.ty.nullable && !column.is_physical();
            }
            table.primary_key = Some(key);
        }
        table.watermark = schema.watermark.as_ref().map(bind_watermark).transpose()?;
        Ok(table)
    }

    /// Validates a complete definition and determines the types of computed and event-time columns.
    pub(super) fn resolve_table(&self, mut table: ResolvedTable) -> SqlResult<ResolvedTable> {
        check_metadata_keys(&table)?;
        check_primary_key(&mut table)?;
        let stored = table.columns.iter().filter(|column| !column.is_computed());
        let stored = Schema::new(
            stored
                .map(|c| (c.name.clone(), c.ty.without_time_attribute()))
                .collect::<Vec<_>>(),
        );
        let scope = Scope::of_schema(&stored);
        for column in &mut table.columns {
            if let TableColumnKind::Computed(expr) = &column.kind {
                column.ty = self.type_of_computed(&column.name, expr, &scope)?;
            } else {
                column.ty = column.ty.without_time_attribute();
            }
        }
        self.resolve_watermark(&mut table)?;
        let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        for key in &table.partition_keys {
            if !names.contains(&key.as_str()) {
                let message = format!(
                    "Partition column '{key}' not defined in the table schema. Available columns: [{}]",
                    names.join(", ")
                );
                return Err(SqlError::new(message)
                    .with_code(ErrorCode::UnknownColumn)
                    .offering(key, names));
            }
        }
        check_distribution(&table)?;
        Ok(table)
    }

    fn type_of_computed(&self, name: &str, expr: &ast::Expr, scope: &Scope<'_>) -> SqlResult<LogicalType> {
        let bound = self.bind_detached(expr, scope).map_err(|error| SqlError {
            message: format!("computed column '{name}': {}", in_definition(&error.message)),
            ..error
        })?;
        let ty = bound.ty();
        if ty.is_null() {
            return Err(SqlError::at(
                expr.span,
                format!("computed column '{name}': Illegal use of 'NULL'"),
            )
            .with_code(ErrorCode::UntypedNull)
            .with_hint("give it a type: CAST(NULL AS INT)"));
        }
        Ok(ty)
    }

    fn resolve_watermark(&self, table: &mut ResolvedTable) -> SqlResult<()> {
        let Some(watermark) = &table.watermark else {
            return Ok(());
        };
        let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let Some(index) = names.iter().position(|name| *name == watermark.column) else {
            let message = format!(
                "Invalid column name '{}' for rowtime attribute in watermark declaration. Available columns are: [{}]",
                watermark.column,
                names.join(", ")
            );
            let error = SqlError::new(message).with_code(ErrorCode::InvalidWatermark);
            return Err(if watermark.column.contains('.') {
                error.with_hint("a nested field needs a computed column of its own: ts AS event.ts")
            } else {
                error.offering(&watermark.column, names)
            });
        };
        let refuse = |what: &str, subject: &str, ty: &LogicalType| {
            SqlError::new(format!(
                "Invalid data type of {what} for watermark definition. The field must be of type TIMESTAMP(p) or \
                 TIMESTAMP_LTZ(p), the supported precision 'p' is from 0 to 3, but the {subject} type is {ty}"
            )).with_code(ErrorCode::InvalidWatermark)
        };
        let ty = table.columns[index].ty.clone();
        if !is_rowtime_type(&ty) {
            return Err(refuse("time field", "time field", &ty).with_hint(time_field_hint(&ty)));
        }
        if !is_source_watermark(&watermark.expr) {
            let scope = Scope::of_schema(&table.schema());
            let bound = self.bind_detached(&watermark.expr, &scope)?;
            if !is_rowtime_type(&bound.ty()) {
                let ty = bound.ty().without_time_attribute();
                let error = refuse("expression", "watermark expression", &ty);
                return Err(error.with_span(watermark.expr.span));
            }
        }
        let column = &mut table.columns[index];
        column.ty = column.ty.with_time_attribute(TimeAttribute::Rowtime);
        Ok(())
    }
}

/// Whether the connector provides the watermark: `SOURCE_WATERMARK()`.
pub fn is_source_watermark(expr: &ast::Expr) -> bool {
    matches!(&expr.kind, ExprKind::Function(call) if call.name.is_word("SOURCE_WATERMARK") && call.arguments().is_empty())
}

fn is_rowtime_type(ty: &LogicalType) -> bool {
    ty.is_timestamp_like() && ty.precision().is_some_and(|p| p <= ROWTIME_PRECISION_MAX)
}

fn time_field_hint(ty: &LogicalType) -> &'static str {
    if ty.is_timestamp_like() {
        "use TIMESTAMP(3) or TIMESTAMP_LTZ(3)"
    } else if ty.is_character() {
        "make a computed column first: ts AS TO_TIMESTAMP(text)"
    } else if ty.is_integer() {
        "make a computed column first: ts AS TO_TIMESTAMP_LTZ(millis, 3)"
    } else {
        "make a computed column of type TIMESTAMP(3) or TIMESTAMP_LTZ(3) first"
    }
}

/// A column as declared. Computed columns are typed later.
pub(super) fn bind_column(definition: &ColumnDefinition) -> SqlResult<TableColumn> {
    let comment = definition.comment.as_ref().map(|comment| comment.value.clone());
    let name = definition.name.value.clone();
    let (ty, kind) = match &definition.kind {
        ColumnKind::Physical { data_type, .. } => (bind_type(data_type)?, TableColumnKind::Physical),
        ColumnKind::Metadata {
            data_type,
            key,
            is_virtual,
        } => {
            let key = key.as_ref().map(|key| key.value.clone());
            (
                bind_type(data_type)?,
                TableColumnKind::Metadata {
                    key,
                    is_virtual: *is_virtual,
                },
            )
        }
        ColumnKind::Computed(expr) => (
            LogicalType::new(TypeKind::Null),
            TableColumnKind::Computed(expr.clone()),
        ),
    };
    Ok(TableColumn {
        name,
        ty,
        kind,
        comment,
    })
}

/// Binds a PRIMARY KEY; other constraints are rejected.
pub(super) fn bind_constraint(constraint: &TableConstraint) -> SqlResult<PrimaryKey> {
    if constraint.kind == ConstraintKind::Unique {
        return Err(
            SqlError::at(constraint.span, "UNIQUE constraint is not supported yet")
                .with_code(ErrorCode::InvalidSchema)
                .with_hint("declare a PRIMARY KEY … NOT ENFORCED"),
        );
    }
    if constraint.enforced != Some(false) {
        let message = "Flink doesn't support ENFORCED mode for PRIMARY KEY constraint: the data belongs to the connector, \
                       so that only NOT ENFORCED is supported";
        return Err(SqlError::at(constraint.span, message)
            .with_code(ErrorCode::InvalidSchema)
            .with_hint("write PRIMARY KEY (…) NOT ENFORCED"));
    }
    let columns: Vec<String> = constraint
        .columns
        .iter()
        .map(|column| column.value.clone())
        .collect();
    let name = match &constraint.name {
        Some(name) => name.value.clone(),
        None => format!("PK_{}", columns.join("_")),
    };
    Ok(PrimaryKey { name, columns })
}

pub(super) fn bind_watermark(watermark: &Watermark) -> SqlResult<WatermarkDefinition> {
    Ok(WatermarkDefinition {
        column: watermark.column.to_string(),
        expr: watermark.expr.clone(),
    })
}

pub(super) fn bind_distribution(distribution: &Distribution) -> SqlResult<TableDistribution> {
    let bucket_count = match &distribution.bucket_count {
        Some(count) => Some(count.text.parse::<u32>().ok().filter(|n| *n > 0).ok_or_else(|| {
            let message = format!(
                "Invalid bucket count '{}'. The number of buckets for a distributed table must be at least 1",
                count.text
            );
            SqlError::at(count.span, message).with_code(ErrorCode::InvalidSchema)
        })?),
        None => None,
    };
    let columns = distribution
        .columns
        .iter()
        .map(|column| column.value.clone())
        .collect();
    Ok(TableDistribution {
        kind: distribution.kind,
        columns,
        bucket_count,
    })
}

/// The pairs of WITH.
pub fn bind_options(options: &[SqlOption]) -> SqlResult<Options> {
    let mut bound = Options::new();
    for option in options {
        bound.insert(option.key.value.clone(), option.value.value.clone());
    }
    Ok(bound)
}

fn check_metadata_keys(table: &ResolvedTable) -> SqlResult<()> {
    let metadata: Vec<&TableColumn> = table
        .columns
        .iter()
        .filter(|c| c.metadata_key().is_some())
        .collect();
    for (i, column) in metadata.iter().enumerate() {
        if let Some(first) = metadata[..i]
            .iter()
            .find(|c| c.metadata_key() == column.metadata_key())
        {
            return Err(SqlError::new(format!(
                "The column `{}` and `{}` in the table are both from the same metadata key '{}'",
                first.name,
                column.name,
                column.metadata_key().unwrap_or_default()
            ))
            .with_code(ErrorCode::InvalidSchema)
            .with_hint("declare one of them as a computed column of the other"));
        }
    }
    Ok(())
}

fn check_primary_key(table: &mut ResolvedTable) -> SqlResult<()> {
    let Some(key) = table.primary_key.clone() else {
        return Ok(());
    };
    let known: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
    for (i, name) in key.columns.iter().enumerate() {
        if key.columns[..i].contains(name) {
            return Err(SqlError::new(format!(
                "Invalid primary key '{}'. A primary key must not contain duplicate columns. Found: [{name}]",
                key.name
            ))
            .with_code(ErrorCode::DuplicateName));
        }
        let Some(column) = table.column(name) else {
            let message = format!("Primary key column '{name}' is not defined in the schema");
            return Err(SqlError::new(message)
                .with_code(ErrorCode::InvalidSchema)
                .offering(name, known.iter().map(String::as_str)));
        };
        if !column.is_physical() {
            return Err(SqlError::new(format!(
                "Could not create a PRIMARY KEY with column '{name}'. A PRIMARY KEY constraint must be declared on \
                 physical columns"
            )).with_code(ErrorCode::InvalidSchema));
        }
        if column.ty.nullable {
            let message = format!("Invalid primary key '{}'. Column '{name}' is nullable", key.name);
            return Err(SqlError::new(message)
                .with_code(ErrorCode::InvalidSchema)
                .with_hint("declare the column NOT NULL"));
        }
    }
    Ok(())
}

/// In a table definition, an unknown column is an unknown identifier.
fn in_definition(message: &str) -> String {
    let unknown = message
        .strip_prefix("Column ")
        .and_then(|rest| rest.strip_suffix(" not found in any table"));
    unknown.map_or_else(|| message.to_owned(), |name| format!("Unknown identifier {name}"))
}

fn check_distribution(table: &ResolvedTable) -> SqlResult<()> {
    let Some(distribution) = &table.distribution else {
        return Ok(());
    };
    let physical: Vec<&str> = table
        .columns
        .iter()
        .filter(|c| c.is_physical())
        .map(|c| c.name.as_str())
        .collect();
    for name in &distribution.columns {
        if !physical.contains(&name.as_str()) {
            let message = format!(
                "Invalid bucket key '{name}'. A bucket key for a distribution must reference a physical column in the \
                 schema. Available columns are: [{}]",
                physical.join(", ")
            );
            return Err(SqlError::new(message)
                .with_code(ErrorCode::InvalidSchema)
                .offering(name, physical));
        }
    }
    Ok(())
}

/// The columns that an expression of the table refers to.
pub(super) fn columns_of(expr: &ast::Expr, table: &ResolvedTable, binder: &Binder<'_>) -> Vec<String> {
    let schema = table.schema();
    let scope = Scope::of_schema(&schema);
    match binder.bind_detached(expr, &scope) {
        Ok(bound) => bound
            .columns()
            .into_iter()
            .filter_map(|i| schema.columns.get(i))
            .map(|c| c.name.clone())
            .collect(),
        Err(_) => Vec::new(),
    }
}

/// Locates an unknown name for messages.
pub(super) fn no_such_column(name: &Ident, table: &ResolvedTable) -> SqlError {
    let message = format!("The column `{}` does not exist in the base table", name.value);
    SqlError::at(name.span, message)
        .with_code(ErrorCode::UnknownColumn)
        .offering(&name.value, table.columns.iter().map(|c| c.name.as_str()))
}
