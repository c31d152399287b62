//! INSERT: maps query columns to sink columns and checks types.

use millstream_functions::typing::supports_implicit_cast;
use millstream_plan::{Expr, MetadataColumn, ObjectIdentifier, TableSpec};
use millstream_types::{
    ChangelogMode, ConnectorDecl, ErrorCode, FormatUse, LogicalType, Options, RowField, Scalar, Schema,
    SinkAdaptation, TypeKind,
};

use super::error::{SqlError, SqlResult};
use super::expr::{Calls, Clause, ExprBinder};
use super::logical::Rel;
use super::query::Environment;
use super::scan::{offered_metadata, table_spec, unknown_metadata};
use super::scope::Scope;
use super::{Binder, coerce, options};
use crate::catalog::{CatalogTable, ResolvedTable, TableColumn, TableColumnKind};
use crate::parse::ast::{self, ConflictBehavior, HintArguments, Insert, PartitionSpec};
use crate::parse::span::Span;

/// A checked INSERT. The columns of `rel` are those that the sink accepts: physical columns, then metadata.
#[derive(Debug, Clone)]
pub struct BoundInsert {
    pub rel: Rel,
    pub table: TableSpec,
    pub metadata: Vec<MetadataColumn>,
    /// The row kinds that the sink accepts.
    pub accepts: ChangelogMode,
    pub adaptation: SinkAdaptation,
    pub overwrite: bool,
    pub static_partition: Vec<(String, Scalar)>,
    pub on_conflict: Option<ConflictBehavior>,
    /// Positions of NOT NULL columns.
    pub not_null: Vec<usize>,
    pub span: Span,
}

/// A sink column and the source of its value.
struct Target<'t> {
    column: &'t TableColumn,
    value: Option<Expr>,
}

impl Binder<'_> {
    /// An INSERT into a table of the catalog.
    pub fn bind_insert(&self, insert: &Insert) -> SqlResult<BoundInsert> {
        let identifier = self.qualify(&insert.target)?;
        let found = self.catalogs.table(&identifier);
        let found = found
            .ok_or_else(|| self.catalogs.object_not_found(&insert.target, &identifier))
            .map_err(|e| SqlError {
                message: format!("cannot find table '{identifier}' to write to: {}", e.message),
                ..e
            })?;
        let CatalogTable::Table(table) = found.table else {
            let message = format!("Sink '{identifier}' cannot be written to: it is a view");
            return Err(SqlError::at(insert.target.span, message).with_code(ErrorCode::WrongDirection));
        };
        if insert.overwrite && self.config.streaming {
            return Err(
                SqlError::at(insert.span, "INSERT OVERWRITE is only supported in batch mode")
                    .with_code(ErrorCode::SinkMismatch)
                    .with_hint("SET 'execution.runtime-mode' = 'batch'"),
            );
        }
        let rel = self.bind_query(&insert.source)?;
        let targets = self.bind_targets(insert, table, &rel, &identifier)?;
        let mut options = table.options.clone();
        for hint in insert
            .hints
            .iter()
            .filter(|hint| hint.name.value.eq_ignore_ascii_case("OPTIONS"))
        {
            if let HintArguments::Options(pairs) = &hint.arguments {
                options.extend(pairs.iter().map(|p| (p.key.value.clone(), p.value.value.clone())));
            }
        }
        let static_partition = self.bind_partition(insert.partition.as_ref(), table, &identifier)?;
        let bound = self
            .write_to(&identifier, table, options, rel, targets, insert.source.span)
            .map_err(|error| error.with_span(insert.target.span))?;
        Ok(BoundInsert {
            overwrite: insert.overwrite,
            static_partition: static_partition
                .into_iter()
                .map(|(name, value, _)| (name, value))
                .collect(),
            on_conflict: insert.on_conflict,
            span: insert.span,
            ..bound
        })
    }

    /// All columns of `rel` into a table that the catalog may not contain yet (CREATE TABLE … AS).
    pub fn bind_insert_all(
        &self,
        identifier: &ObjectIdentifier,
        table: &ResolvedTable,
        rel: Rel,
        span: Span,
    ) -> SqlResult<BoundInsert> {
        let columns: Vec<&TableColumn> = table.columns.iter().filter(|c| c.is_persisted()).collect();
        let targets = columns
            .into_iter()
            .map(|column| {
                let value = rel.schema.index_of(&column.name);
                let value = value.map(|i| Expr::column(i, rel.schema.columns[i].ty.clone()));
                Target { column, value }
            })
            .collect();
        self.write_to(identifier, table, table.options.clone(), rel, targets, span)
    }

    /// The sink columns with their values; NULL for missing ones.
    fn bind_targets<'t>(
        &self,
        insert: &Insert,
        table: &'t ResolvedTable,
        rel: &Rel,
        identifier: &ObjectIdentifier,
    ) -> SqlResult<Vec<Target<'t>>> {
        let persisted: Vec<&TableColumn> = table.columns.iter().filter(|c| c.is_persisted()).collect();
        let fixed = self.bind_partition(insert.partition.as_ref(), table, identifier)?;
        let is_fixed = |name: &str| fixed.iter().any(|(n, _, _)| n == name);
        let given: Vec<&TableColumn> = if insert.columns.is_empty() {
            persisted.iter().copied().filter(|c| !is_fixed(&c.name)).collect()
        } else {
            target_columns(insert, &persisted)?
        };
        if let Some(column) = given.iter().find(|c| is_fixed(&c.name)) {
            let message = format!("target column '{}' is assigned by PARTITION already", column.name);
            return Err(SqlError::at(insert.span, message).with_code(ErrorCode::SinkMismatch));
        }
        if given.len() != rel.schema.len() {
            return Err(self.wrong_width(insert, identifier, &given, rel, &fixed));
        }
        let mut targets = Vec::new();
        for column in persisted {
            let place = given.iter().position(|c| c.name == column.name);
            let value = match place {
                Some(i) => Some(Expr::column(i, rel.schema.columns[i].ty.clone())),
                None => fixed
                    .iter()
                    .find(|(n, _, _)| *n == column.name)
                    .map(|(_, v, ty)| Expr::literal(v.clone(), ty.clone())),
            };
            if value.is_none() && !column.ty.nullable {
                let message = format!(
                    "Column '{}' has no default value and does not allow NULLs",
                    column.name
                );
                return Err(SqlError::at(insert.span, message)
                    .with_code(ErrorCode::SinkMismatch)
                    .with_hint("name it in the column list"));
            }
            targets.push(Target { column, value });
        }
        Ok(targets)
    }

    fn wrong_width(
        &self,
        insert: &Insert,
        identifier: &ObjectIdentifier,
        given: &[&TableColumn],
        rel: &Rel,
        fixed: &[(String, Scalar, LogicalType)],
    ) -> SqlError {
        let span = insert.source.span;
        if !insert.columns.is_empty() {
            let message = format!(
                "Number of columns must match number of query columns: {} named, {} selected",
                given.len(),
                rel.schema.len()
            );
            return SqlError::at(span, message).with_code(ErrorCode::ColumnCountMismatch);
        }
        let cause = if fixed.is_empty() {
            "Different number of columns".to_owned()
        } else {
            let names: Vec<&str> = fixed.iter().map(|(name, _, _)| name.as_str()).collect();
            format!(
                "Different number of columns; PARTITION gives {} already",
                names.join(", ")
            )
        };
        let sink = Schema::new(given.iter().map(|c| (c.name.clone(), c.ty.clone())));
        SqlError::at(span, mismatch(identifier, &cause, &rel.schema, &sink))
            .with_code(ErrorCode::SinkMismatch)
    }

    /// The values of `PARTITION (k = v)`, as the columns' types.
    fn bind_partition(
        &self,
        partition: Option<&PartitionSpec>,
        table: &ResolvedTable,
        identifier: &ObjectIdentifier,
    ) -> SqlResult<Vec<(String, Scalar, LogicalType)>> {
        let mut values = Vec::new();
        for entry in partition.iter().flat_map(|spec| &spec.entries) {
            let name = &entry.column.value;
            if !table.partition_keys.contains(name) {
                let message = format!("column '{name}' is not a partition column of table '{identifier}'");
                return Err(SqlError::at(entry.column.span, message)
                    .with_code(ErrorCode::UnknownColumn)
                    .offering(name, table.partition_keys.iter().map(String::as_str)));
            }
            let Some(written) = &entry.value else {
                return Err(SqlError::at(
                    entry.column.span,
                    format!("partition column '{name}' needs a value"),
                )
                .with_code(ErrorCode::SinkMismatch));
            };
            let ty = table.column(name).map_or(LogicalType::STRING, |c| c.ty.clone());
            let value = self.bind_constant(written)?;
            let cast = crate::rules::fold::fold(coerce::cast_to(value, &ty), self.config);
            let Some(value) = coerce::literal_of(&cast) else {
                return Err(
                    SqlError::at(written.span, "the value of a partition column is a literal")
                        .with_code(ErrorCode::WrongArguments),
                );
            };
            values.push((name.clone(), value.clone(), ty));
        }
        Ok(values)
    }

    /// An expression without columns.
    pub(crate) fn bind_constant(&self, expr: &ast::Expr) -> SqlResult<Expr> {
        let (scope, environment, mut calls) = (Scope::default(), Environment::default(), Calls::default());
        ExprBinder::new(self, &scope, &environment, &mut calls, Clause::TableDefinition).bind(expr)
    }

    /// Casts the values to the sink's types and checks that the sink can write them.
    fn write_to(
        &self,
        identifier: &ObjectIdentifier,
        table: &ResolvedTable,
        options: Options,
        rel: Rel,
        targets: Vec<Target<'_>>,
        span: Span,
    ) -> SqlResult<BoundInsert> {
        check_types(identifier, &targets, &rel, span)?;
        let spec = table_spec(identifier, table, options);
        let connector = options::check(self.declarations, &spec, table)?;
        let Some(sink) = connector.sink else {
            let message = format!(
                "connector '{}' can only be used as a source. It cannot be used as a sink",
                connector.identifier
            );
            return Err(SqlError::new(message).with_code(ErrorCode::WrongDirection));
        };
        if table.distribution.is_some() {
            return Err(SqlError::new(format!(
                "Table '{identifier}' is distributed into buckets, but the connector '{}' doesn't support bucketing",
                connector.identifier
            )).with_code(ErrorCode::SinkMismatch));
        }
        let accepts = self.sink_changelog(connector, &spec, sink);
        let (mut exprs, mut names, mut metadata, mut not_null) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for target in targets.iter().filter(|target| target.column.is_physical()) {
            if !target.column.ty.nullable {
                not_null.push(exprs.len());
            }
            exprs.push(target_value(target, &target.column.ty));
            names.push(target.column.name.clone());
        }
        for target in &targets {
            let TableColumnKind::Metadata { .. } = target.column.kind else {
                continue;
            };
            let written = self.writable_metadata(identifier, target.column, connector, &spec.options)?;
            let declared = target_value(target, &target.column.ty);
            exprs.push(coerce::cast_to(declared, &written.ty));
            names.push(target.column.name.clone());
            metadata.push(written);
        }
        let rel = rel.project(exprs, names);
        Ok(BoundInsert {
            rel,
            table: spec,
            metadata,
            accepts,
            adaptation: connector.sink_adaptation,
            overwrite: false,
            static_partition: Vec::new(),
            on_conflict: None,
            not_null,
            span,
        })
    }

    fn writable_metadata(
        &self,
        identifier: &ObjectIdentifier,
        column: &TableColumn,
        connector: &ConnectorDecl,
        options: &Options,
    ) -> SqlResult<MetadataColumn> {
        let key = column.metadata_key().unwrap_or_default();
        let offered: Vec<_> = offered_metadata(self.declarations, connector, options)
            .into_iter()
            .filter(|m| m.writable)
            .collect();
        if offered.is_empty() {
            return Err(SqlError::new(format!(
                "Table '{identifier}' declares persistable metadata columns, but the connector '{}' doesn't support \
                 writing metadata. If the column should not be persisted, it can be declared with the VIRTUAL keyword",
                connector.identifier
            )).with_code(ErrorCode::SinkMismatch));
        }
        match offered.iter().find(|m| m.key == key) {
            Some(found) => Ok(MetadataColumn {
                key: key.to_owned(),
                ty: found.ty.clone(),
            }),
            None => Err(
                unknown_metadata(identifier, column, key, connector, &offered, "writing")
                    .with_hint("declare the column VIRTUAL if it should not be written"),
            ),
        }
    }

    /// The row kinds that the sink accepts: the connector's, unless its format encodes changes.
    fn sink_changelog(
        &self,
        connector: &ConnectorDecl,
        spec: &TableSpec,
        sink: ChangelogMode,
    ) -> ChangelogMode {
        if connector.formats == FormatUse::None || sink == ChangelogMode::UPSERT {
            return sink;
        }
        let format = options::value_format(&spec.options).and_then(|name| self.declarations.format(name));
        format.and_then(|format| format.encode).unwrap_or(sink)
    }
}

/// The columns that the INSERT names.
fn target_columns<'t>(insert: &Insert, persisted: &[&'t TableColumn]) -> SqlResult<Vec<&'t TableColumn>> {
    let mut given: Vec<&TableColumn> = Vec::new();
    for name in &insert.columns {
        let Some(ident) = name.as_simple() else {
            return Err(SqlError::unsupported(
                name.span,
                format!("writing the nested field '{name}'"),
            ));
        };
        let Some(column) = persisted.iter().find(|c| c.name == ident.value) else {
            let message = format!("Unknown target column '{}'", ident.value);
            return Err(SqlError::at(ident.span, message)
                .with_code(ErrorCode::UnknownColumn)
                .offering(&ident.value, persisted.iter().map(|c| c.name.as_str())));
        };
        if given.iter().any(|c| c.name == column.name) {
            let message = format!("Target column '{}' is assigned more than once", ident.value);
            return Err(SqlError::at(ident.span, message).with_code(ErrorCode::DuplicateName));
        }
        given.push(column);
    }
    Ok(given)
}

fn target_value(target: &Target<'_>, ty: &LogicalType) -> Expr {
    match &target.value {
        Some(value) => coerce::cast_to(value.clone(), ty),
        None => Expr::literal(Scalar::Null, ty.without_time_attribute().with_nullable(true)),
    }
}

fn check_types(
    identifier: &ObjectIdentifier,
    targets: &[Target<'_>],
    rel: &Rel,
    span: Span,
) -> SqlResult<()> {
    let given = targets
        .iter()
        .filter_map(|target| target.value.as_ref().map(|value| (target.column, value.ty())));
    for (position, (column, from)) in given.enumerate() {
        let (from, to) = (anything_nullable(&from), anything_nullable(&column.ty));
        if coerce::same_values(&from, &to) || supports_implicit_cast(&from, &to) {
            continue;
        }
        let cause = format!(
            "Incompatible types for sink column '{}' at position {position}",
            column.name
        );
        let sink = Schema::new(
            targets
                .iter()
                .map(|t| (t.column.name.clone(), t.column.ty.clone())),
        );
        return Err(
            SqlError::at(span, mismatch(identifier, &cause, &rel.schema, &sink))
                .with_code(ErrorCode::SinkMismatch)
                .with_hint(format!("cast the value: CAST(… AS {})", to.with_nullable(true))),
        );
    }
    Ok(())
}

/// The type with NULL allowed at every depth: writes do not enforce nested NOT NULL.
fn anything_nullable(ty: &LogicalType) -> LogicalType {
    let inner = |ty: &LogicalType| Box::new(anything_nullable(ty));
    let kind = match &ty.without_time_attribute().kind {
        TypeKind::Array(element) => TypeKind::Array(inner(element)),
        TypeKind::Multiset(element) => TypeKind::Multiset(inner(element)),
        TypeKind::Map(key, value) => TypeKind::Map(inner(key), inner(value)),
        TypeKind::Row(fields) => {
            let field = |f: &RowField| RowField {
                ty: anything_nullable(&f.ty),
                ..f.clone()
            };
            TypeKind::Row(fields.iter().map(field).collect())
        }
        other => other.clone(),
    };
    LogicalType::new(kind)
}

/// Flink's error, with both schemas.
fn mismatch(identifier: &ObjectIdentifier, cause: &str, query: &Schema, sink: &Schema) -> String {
    let list = |schema: &Schema| {
        let columns: Vec<String> = schema
            .columns
            .iter()
            .map(|c| format!("{}: {}", c.name, c.ty))
            .collect();
        format!("[{}]", columns.join(", "))
    };
    format!(
        "Column types of query result and sink for '{identifier}' do not match. Cause: {cause}. Query schema: {}. \
         Sink schema: {}",
        list(query),
        list(sink)
    )
}
