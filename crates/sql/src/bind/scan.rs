//! Reading a table: options with hints, metadata columns, computed columns, the watermark.

use millstream_functions::typing::{cast_refusal, supports_explicit_cast};
use millstream_plan::{Expr, MetadataColumn, ObjectIdentifier, TableSpec};
use millstream_types::options::parse_duration;
use millstream_types::{
    ChangelogMode, ConnectorDecl, Declarations, ErrorCode, FormatUse, LogicalType, Options, Schema,
    SourceAbilities, TimeAttribute,
};

use super::error::{SqlError, SqlResult};
use super::expr::{Calls, Clause, ExprBinder};
use super::logical::{Rel, RelKind, Scan};
use super::options;
use super::query::Environment;
use super::scope::{Relation, Scope};
use super::{Binder, coerce};
use crate::catalog::{ResolvedTable, TableColumn, TableColumnKind, View};
use crate::parse::ast::{self, Hint, HintArguments};

/// The table option that overrides `table.exec.source.idle-timeout`.
const IDLE_TIMEOUT_OPTION: &str = "scan.watermark.idle-timeout";

impl Binder<'_> {
    /// The rows of a table with a connector, in declaration order.
    pub(super) fn bind_scan(
        &self,
        identifier: &ObjectIdentifier,
        table: &ResolvedTable,
        hints: &[Hint],
        alias: &str,
    ) -> SqlResult<Rel> {
        let options = self.with_option_hints(&table.options, hints)?;
        let spec = table_spec(identifier, table, options);
        let connector = options::check(self.declarations, &spec, table)?;
        let unreadable = connector.source.is_none().then(|| {
            format!(
                "Connector '{}' can only be used as a sink. It cannot be used as a source, as table '{identifier}' is",
                connector.identifier
            )
        });
        let source = connector.source.unwrap_or(ChangelogMode::INSERT_ONLY);
        let bounded = unreadable.is_some() || (connector.bounded)(&spec.options);
        let changelog = source_changelog(self.declarations, connector, &spec, source);
        self.check_runtime_mode(identifier, bounded, changelog)?;
        let metadata = self.readable_metadata(identifier, table, connector, &spec.options)?;
        let idle = spec
            .options
            .get(IDLE_TIMEOUT_OPTION)
            .and_then(|text| parse_duration(text));
        let idle_timeout_ms = idle.map_or(self.config.idle_timeout_ms, |d| {
            i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
        });
        let mut rel = scan_rel(spec, metadata, changelog, bounded, alias);
        if let RelKind::Scan(scan) = &mut rel.kind {
            scan.unreadable = unreadable;
            scan.abilities = connector.source_abilities;
            scan.narrows_rows = narrows_rows(self.declarations, &scan.table.options);
        }
        let exprs = self.column_values(table, &rel)?;
        let schema = self.scan_schema(table);
        rel = Rel::new(RelKind::Project { exprs }, vec![rel], schema);
        let Some(watermark) = table.watermark.as_ref().filter(|_| self.config.streaming) else {
            return Ok(rel);
        };
        let Some(rowtime) = rel.schema.index_of(&watermark.column) else {
            return Ok(rel);
        };
        let scope = Scope::of_schema(&rel.schema);
        let expr = self
            .bind_detached(&watermark.expr, &scope)
            .map_err(SqlError::without_places)?;
        let mut schema = rel.schema.clone();
        let ty = &mut schema.columns[rowtime].ty;
        *ty = ty.with_time_attribute(TimeAttribute::Rowtime);
        Ok(Rel::new(
            RelKind::Watermark {
                rowtime,
                expr,
                idle_timeout_ms,
            },
            vec![rel],
            schema,
        ))
    }

    /// A view's query, bound in the name context of its definition.
    pub(super) fn bind_view(&self, identifier: &ObjectIdentifier, view: &View) -> SqlResult<Rel> {
        let inner = self.in_database(&view.catalog, &view.database);
        let rel = inner.bind_query(&view.query)?;
        if rel.schema.len() != view.schema.len() {
            let message = format!(
                "view '{identifier}' has {} columns, but its query now has {}",
                view.schema.len(),
                rel.schema.len()
            );
            return Err(SqlError::new(message).with_code(ErrorCode::InvalidOption));
        }
        if rel.names().iter().eq(view.schema.columns.iter().map(|c| &c.name)) {
            return Ok(rel);
        }
        let exprs = rel.column_exprs();
        Ok(rel.project(
            exprs,
            view.schema.columns.iter().map(|c| c.name.clone()).collect(),
        ))
    }

    /// An expression of a table definition, outside any query. Errors have places in the text of the definition.
    pub(crate) fn bind_detached(&self, expr: &ast::Expr, scope: &Scope<'_>) -> SqlResult<Expr> {
        let environment = Environment::default();
        let mut calls = Calls::default();
        ExprBinder::new(self, scope, &environment, &mut calls, Clause::TableDefinition).bind(expr)
    }

    fn with_option_hints(&self, options: &Options, hints: &[Hint]) -> SqlResult<Options> {
        let mut options = options.clone();
        for hint in hints
            .iter()
            .filter(|hint| hint.name.value.eq_ignore_ascii_case("OPTIONS"))
        {
            if !self.config.dynamic_table_options {
                return Err(SqlError::at(
                    hint.span,
                    "The 'OPTIONS' hint is allowed only when the config option 'table.dynamic-table-options.enabled' is set to true",
                ).with_code(ErrorCode::InvalidOption));
            }
            let HintArguments::Options(pairs) = &hint.arguments else {
                return Err(SqlError::at(
                    hint.span,
                    "the OPTIONS hint takes key and value pairs: OPTIONS('key' = 'value')",
                )
                .with_code(ErrorCode::InvalidOption));
            };
            options.extend(
                pairs
                    .iter()
                    .map(|pair| (pair.key.value.clone(), pair.value.value.clone())),
            );
        }
        Ok(options)
    }

    fn check_runtime_mode(
        &self,
        identifier: &ObjectIdentifier,
        bounded: bool,
        changelog: ChangelogMode,
    ) -> SqlResult<()> {
        if self.config.streaming {
            return Ok(());
        }
        if !bounded {
            let message = format!(
                "Querying an unbounded table '{identifier}' in batch mode is not allowed. The table source is unbounded."
            );
            return Err(SqlError::new(message)
                .with_code(ErrorCode::UnboundedInput)
                .with_hint("SET 'execution.runtime-mode' = 'streaming', or bound the scan"));
        }
        if !changelog.is_insert_only() {
            let message = format!(
                "Querying a table in batch mode is currently only possible for INSERT-only table sources. \
                 But the source for table '{identifier}' produces other changelog messages than just INSERT"
            );
            return Err(SqlError::new(message)
                .with_code(ErrorCode::InvalidOption)
                .with_hint("SET 'execution.runtime-mode' = 'streaming'"));
        }
        Ok(())
    }

    /// The declared metadata columns, with the connector's types.
    fn readable_metadata(
        &self,
        identifier: &ObjectIdentifier,
        table: &ResolvedTable,
        connector: &ConnectorDecl,
        options: &Options,
    ) -> SqlResult<Vec<MetadataColumn>> {
        let offered = offered_metadata(self.declarations, connector, options);
        let mut columns: Vec<MetadataColumn> = Vec::new();
        for column in &table.columns {
            let Some(key) = column.metadata_key() else {
                continue;
            };
            if offered.is_empty() {
                return Err(SqlError::new(format!(
                    "Table '{identifier}' declares metadata columns, but the connector '{}' doesn't support reading metadata",
                    connector.identifier
                )).with_code(ErrorCode::InvalidOption));
            }
            let Some(found) = offered.iter().find(|offer| offer.key == key) else {
                return Err(unknown_metadata(
                    identifier, column, key, connector, &offered, "reading",
                ));
            };
            let declared = column.ty.without_time_attribute().with_nullable(true);
            if !supports_explicit_cast(&found.ty.with_nullable(true), &declared) {
                let reason = cast_refusal(&found.ty, &column.ty);
                return Err(SqlError::new(format!(
                    "Invalid data type for metadata column '{}' of table '{identifier}' (key '{key}' of type {}): {reason}",
                    column.name, found.ty
                )).with_code(ErrorCode::InvalidOption));
            }
            if !columns.iter().any(|known| known.key == key) {
                columns.push(MetadataColumn {
                    key: key.to_owned(),
                    ty: found.ty.clone(),
                });
            }
        }
        Ok(columns)
    }

    /// The value of each declared column over the scan's output.
    fn column_values(&self, table: &ResolvedTable, scan: &Rel) -> SqlResult<Vec<Expr>> {
        let RelKind::Scan(source) = &scan.kind else {
            return Err(SqlError::internal("no scan"));
        };
        let physical = source.columns.len();
        let mut values: Vec<Option<Expr>> = Vec::new();
        let mut next_physical = 0;
        for column in &table.columns {
            values.push(match &column.kind {
                TableColumnKind::Physical => {
                    next_physical += 1;
                    Some(Expr::column(
                        next_physical - 1,
                        column.ty.without_time_attribute(),
                    ))
                }
                TableColumnKind::Metadata { .. } => {
                    let key = column.metadata_key().unwrap_or_default();
                    let at = source.metadata.iter().position(|m| m.key == key).unwrap_or(0);
                    let value = Expr::column(physical + at, source.metadata[at].ty.clone());
                    Some(cast_declared(value, &column.ty))
                }
                TableColumnKind::Computed(_) => None,
            });
        }
        let stored: Vec<&TableColumn> = table
            .columns
            .iter()
            .filter(|column| !column.is_computed())
            .collect();
        let stored_values: Vec<Expr> = values.iter().flatten().cloned().collect();
        let schema = Schema::new(
            stored
                .iter()
                .map(|c| (c.name.clone(), c.ty.without_time_attribute())),
        );
        let scope = Scope {
            relations: vec![Relation::new(None, Vec::new(), &schema, 0)],
            ..Scope::default()
        };
        for (value, column) in values.iter_mut().zip(&table.columns) {
            if let TableColumnKind::Computed(expr) = &column.kind {
                let bound = self
                    .bind_detached(expr, &scope)
                    .map_err(SqlError::without_places)?;
                *value = Some(bound.transform_up(&mut |e| match e {
                    Expr::Column { index, .. } => stored_values[index].clone(),
                    other => other,
                }));
            }
        }
        Ok(values.into_iter().flatten().collect())
    }

    /// Types of the declared columns below the watermark operator, which assigns event time above.
    fn scan_schema(&self, table: &ResolvedTable) -> Schema {
        let ty = |column: &TableColumn| match column.ty.time_attribute() {
            TimeAttribute::Rowtime => column.ty.without_time_attribute(),
            _ => column.ty.clone(),
        };
        Schema::new(
            table
                .columns
                .iter()
                .map(|column| (column.name.clone(), ty(column))),
        )
    }
}

/// Casts a metadata value to its declared type.
fn cast_declared(value: Expr, declared: &LogicalType) -> Expr {
    let cast = coerce::cast_to(value, declared);
    match cast {
        Expr::Cast { input, ty, safe } => Expr::Cast {
            input,
            ty: ty.with_nullable(declared.nullable || ty.nullable),
            safe,
        },
        other => other,
    }
}

/// The table as connectors receive it.
pub fn table_spec(identifier: &ObjectIdentifier, table: &ResolvedTable, options: Options) -> TableSpec {
    let physical = table.physical_schema();
    let primary_key = table
        .key_columns()
        .iter()
        .filter_map(|name| physical.index_of(name))
        .collect();
    TableSpec {
        identifier: identifier.clone(),
        options,
        primary_key,
        partition_keys: table.partition_keys.clone(),
        physical,
    }
}

fn scan_rel(
    table: TableSpec,
    metadata: Vec<MetadataColumn>,
    changelog: ChangelogMode,
    bounded: bool,
    alias: &str,
) -> Rel {
    let physical = table
        .physical
        .columns
        .iter()
        .map(|c| (c.name.clone(), c.ty.clone()));
    let schema = Schema::new(
        physical
            .chain(metadata.iter().map(|m| (m.key.clone(), m.ty.clone())))
            .collect::<Vec<_>>(),
    );
    let columns = (0..table.physical.len()).collect();
    let scan = Scan {
        table,
        columns,
        metadata,
        changelog,
        abilities: SourceAbilities::NONE,
        bounded,
        filters: Vec::new(),
        narrows_rows: false,
        limit: None,
        alias: alias.to_owned(),
        unreadable: None,
    };
    Rel::new(RelKind::Scan(Box::new(scan)), Vec::new(), schema)
}

/// Whether all formats of the table find fields of rows by name.
fn narrows_rows(declarations: &Declarations, options: &Options) -> bool {
    let used = ["format", "value.format", "key.format"];
    let mut formats = used.iter().filter_map(|key| options.get(*key)).peekable();
    formats.peek().is_some()
        && formats.all(|name| {
            declarations
                .format(name)
                .is_some_and(|format| format.narrows_rows)
        })
}

/// An available metadata key.
pub struct OfferedMetadata {
    pub key: String,
    pub ty: LogicalType,
    pub writable: bool,
}

/// Metadata of the connector, and of its value format under `value.`.
pub fn offered_metadata(
    declarations: &Declarations,
    connector: &ConnectorDecl,
    options: &Options,
) -> Vec<OfferedMetadata> {
    let own = connector.metadata.iter().map(|m| OfferedMetadata {
        key: m.key.to_owned(),
        ty: (m.ty)(),
        writable: m.writable,
    });
    let format = options::value_format(options).and_then(|name| declarations.format(name));
    let prefix = if connector.formats == FormatUse::Value {
        ""
    } else {
        "value."
    };
    let of_format = format
        .into_iter()
        .flat_map(|format| format.metadata)
        .map(|m| OfferedMetadata {
            key: format!("{prefix}{}", m.key),
            ty: (m.ty)(),
            writable: m.writable,
        });
    own.chain(of_format).collect()
}

/// "invalid metadata key", with the available ones.
pub fn unknown_metadata(
    identifier: &ObjectIdentifier,
    column: &TableColumn,
    key: &str,
    connector: &ConnectorDecl,
    offered: &[OfferedMetadata],
    purpose: &str,
) -> SqlError {
    let keys: Vec<&str> = offered.iter().map(|offer| offer.key.as_str()).collect();
    SqlError::new(format!(
        "Invalid metadata key '{key}' in column '{}' of table '{identifier}'. The connector '{}' supports the following \
         metadata keys for {purpose}: {}",
        column.name,
        connector.identifier,
        keys.join(", ")
    )).with_code(ErrorCode::InvalidOption)
    .offering(key, keys)
}

/// The row kinds that a scan produces: the connector's, unless its format decodes changes.
fn source_changelog(
    declarations: &Declarations,
    connector: &ConnectorDecl,
    spec: &TableSpec,
    source: ChangelogMode,
) -> ChangelogMode {
    if connector.formats == FormatUse::None || source == ChangelogMode::UPSERT {
        return source;
    }
    let format = options::value_format(&spec.options).and_then(|name| declarations.format(name));
    format.and_then(|format| format.decode).unwrap_or(source)
}
