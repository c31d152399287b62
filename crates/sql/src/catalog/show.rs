//! The results of SHOW statements, with Flink's column names, and what they share with DESCRIBE.

use millstream_plan::ObjectIdentifier;
use millstream_types::{ErrorCode, LogicalType, Scalar, Schema, TimeAttribute};

use super::ddl_text::Secrets;
use super::object::{CatalogTable, ResolvedTable, TableColumn, TableColumnKind, View};
use super::{Catalogs, TableLookup, apply, ddl_text};
use crate::bind::error::{SqlError, SqlResult};
use crate::parse::ast::{
    Literal, ObjectKind, ObjectName, PartitionSpec, ShowFilter, ShowScope, ShowStatement,
};
use crate::parse::unparse::expr_to_sql;

/// A small constant table: the result of SHOW, DESCRIBE, EXPLAIN.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowResult {
    pub schema: Schema,
    pub rows: Vec<Vec<Scalar>>,
}

impl ShowResult {
    /// One column of texts.
    pub fn texts(column: &str, texts: impl IntoIterator<Item = String>) -> Self {
        let schema = Schema::new([(column, LogicalType::STRING)]);
        Self {
            schema,
            rows: texts.into_iter().map(|text| vec![Scalar::String(text)]).collect(),
        }
    }

    /// A single row with the column `result`, for SHOW CREATE and EXPLAIN.
    pub fn result(text: impl Into<String>) -> Self {
        Self::texts("result", [text.into()])
    }
}

/// The result of a SHOW statement; `None` for objects outside the catalog (jobs, jars).
pub fn show(
    catalogs: &Catalogs,
    statement: &ShowStatement,
    streaming: bool,
) -> SqlResult<Option<ShowResult>> {
    use ShowStatement as Show;
    let result = match statement {
        Show::Catalogs { filter } => list(
            "catalog name",
            catalogs.catalog_names().map(str::to_owned),
            filter.as_ref(),
        ),
        Show::CurrentCatalog => {
            ShowResult::texts("current catalog name", [catalogs.current_catalog().to_owned()])
        }
        Show::CurrentDatabase => {
            ShowResult::texts("current database name", [catalogs.current_database().to_owned()])
        }
        Show::Databases { from, filter } => show_databases(catalogs, from.as_ref(), filter.as_ref())?,
        Show::Tables { from, filter } => {
            let (catalog, database) = scope(catalogs, from.as_ref())?;
            refuse_ilike(filter.as_ref(), "SHOW TABLES")?;
            list(
                "table name",
                catalogs.table_names(&catalog, &database),
                filter.as_ref(),
            )
        }
        Show::Views { from, filter } => {
            let (catalog, database) = scope(catalogs, from.as_ref())?;
            refuse_ilike(filter.as_ref(), "SHOW VIEWS")?;
            list(
                "view name",
                catalogs.view_names(&catalog, &database),
                filter.as_ref(),
            )
        }
        Show::MaterializedTables { from, filter } => {
            scope(catalogs, from.as_ref())?;
            list("materialized table", [], filter.as_ref())
        }
        Show::Functions { user, from, filter } => {
            show_functions(catalogs, *user, from.as_ref(), filter.as_ref())?
        }
        Show::Procedures { from, .. } => {
            scope(catalogs, from.as_ref())?;
            return Err(SqlError::new(
                "procedures are not implemented in the catalog kind 'generic_in_memory'",
            ));
        }
        Show::Models { from, filter } => {
            let (catalog, database) = scope(catalogs, from.as_ref())?;
            list(
                "model name",
                catalogs.model_names(&catalog, &database),
                filter.as_ref(),
            )
        }
        Show::Connections { filter, .. } => list("connection name", [], filter.as_ref()),
        Show::Columns { table, filter } => {
            let found = require_table(catalogs, &table.name)?;
            columns_of(found.table, filter.as_ref(), streaming)
        }
        Show::Partitions { table, partition } => show_partitions(catalogs, table, partition.as_ref())?,
        Show::Modules { full } => show_modules(catalogs, *full),
        Show::Jars | Show::Jobs => return Ok(None),
        Show::Create { kind, name, .. } => show_create(catalogs, *kind, name)?,
    };
    Ok(Some(result))
}

pub(super) fn require_table<'a>(catalogs: &'a Catalogs, name: &ObjectName) -> SqlResult<TableLookup<'a>> {
    let identifier = catalogs.qualify(name)?;
    catalogs.table(&identifier).ok_or_else(|| {
        let text = ddl_text::quoted_identifier(&identifier);
        let message = format!("tables or views with the identifier {text} doesn't exist");
        table_missing(catalogs, name, &identifier, message)
    })
}

fn table_missing(
    catalogs: &Catalogs,
    name: &ObjectName,
    identifier: &ObjectIdentifier,
    message: String,
) -> SqlError {
    let names = catalogs.table_names(&identifier.catalog, &identifier.database);
    SqlError::at(name.span, message)
        .with_code(ErrorCode::UnknownTable)
        .missing(identifier)
        .offering(&identifier.name, names.iter().map(String::as_str))
}

/// The existing catalog and database of a `FROM` clause, or the current ones.
fn scope(catalogs: &Catalogs, from: Option<&ShowScope>) -> SqlResult<(String, String)> {
    let Some(from) = from else {
        return Ok((
            catalogs.current_catalog().to_owned(),
            catalogs.current_database().to_owned(),
        ));
    };
    let (catalog, database) = catalogs.qualify_database(&from.name)?;
    catalogs
        .require_database(&catalog, &database)
        .map_err(|error| error.with_span(from.name.span))?;
    Ok((catalog, database))
}

fn refuse_ilike(filter: Option<&ShowFilter>, statement: &str) -> SqlResult<()> {
    match filter {
        Some(filter) if filter.case_insensitive => {
            let message = format!("{statement} knows LIKE, not ILIKE");
            Err(SqlError::at(filter.pattern.span, message).with_hint("write LIKE; names are case-sensitive"))
        }
        _ => Ok(()),
    }
}

fn list(column: &str, names: impl IntoIterator<Item = String>, filter: Option<&ShowFilter>) -> ShowResult {
    ShowResult::texts(column, names.into_iter().filter(|name| passes(filter, name)))
}

fn passes(filter: Option<&ShowFilter>, name: &str) -> bool {
    let Some(filter) = filter else { return true };
    let matched = if filter.case_insensitive {
        like(&name.to_lowercase(), &filter.pattern.value.to_lowercase())
    } else {
        like(name, &filter.pattern.value)
    };
    matched != filter.negated
}

/// SQL's LIKE with `\` as the escape character.
fn like(text: &str, pattern: &str) -> bool {
    fn matches(text: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|skip| matches(&text[skip..], rest)),
            ['_', rest @ ..] => !text.is_empty() && matches(&text[1..], rest),
            ['\\', literal, rest @ ..] | [literal, rest @ ..] => {
                text.first() == Some(literal) && matches(&text[1..], rest)
            }
        }
    }
    matches(
        &text.chars().collect::<Vec<_>>(),
        &pattern.chars().collect::<Vec<_>>(),
    )
}

fn show_databases(
    catalogs: &Catalogs,
    from: Option<&ShowScope>,
    filter: Option<&ShowFilter>,
) -> SqlResult<ShowResult> {
    let name = match from {
        None => catalogs.current_catalog().to_owned(),
        Some(from) => match from.name.as_simple() {
            Some(only) => only.value.clone(),
            None => {
                return Err(
                    SqlError::at(from.name.span, "SHOW DATABASES takes the name of a catalog")
                        .with_code(ErrorCode::WrongArguments),
                );
            }
        },
    };
    let catalog = catalogs.require_catalog(&name)?;
    let mut names: Vec<String> = catalog.database_names().map(str::to_owned).collect();
    names.sort_unstable();
    Ok(list("database name", names, filter))
}

fn show_functions(
    catalogs: &Catalogs,
    user_only: bool,
    from: Option<&ShowScope>,
    filter: Option<&ShowFilter>,
) -> SqlResult<ShowResult> {
    // The database need not exist; it then has no functions.
    let mut names = match scope(catalogs, from) {
        Ok((catalog, database)) => catalogs.user_function_names(&catalog, &database),
        Err(_) => Vec::new(),
    };
    if !user_only {
        names.extend(super::function_names::built_in().map(str::to_owned));
    }
    names.sort();
    names.dedup();
    Ok(list("function name", names, filter))
}

fn show_modules(catalogs: &Catalogs, full: bool) -> ShowResult {
    if !full {
        let used = catalogs
            .modules()
            .iter()
            .filter(|m| m.used)
            .map(|m| m.name.clone());
        return ShowResult::texts("module name", used);
    }
    let schema = Schema::new([
        ("module name", LogicalType::STRING),
        ("used", LogicalType::BOOLEAN),
    ]);
    let rows = catalogs
        .modules()
        .iter()
        .map(|m| vec![Scalar::String(m.name.clone()), Scalar::Boolean(m.used)]);
    ShowResult {
        schema,
        rows: rows.collect(),
    }
}

fn show_partitions(
    catalogs: &Catalogs,
    name: &ObjectName,
    wanted: Option<&PartitionSpec>,
) -> SqlResult<ShowResult> {
    let identifier = catalogs.qualify(name)?;
    let found = catalogs
        .table(&identifier)
        .and_then(|found| found.table.as_table());
    let Some(table) = found else {
        return Err(
            SqlError::at(name.span, format!("table (or view) {identifier} does not exist"))
                .with_code(ErrorCode::UnknownTable),
        );
    };
    if table.partition_keys.is_empty() {
        return Err(SqlError::at(
            name.span,
            format!("table {identifier} is not partitioned"),
        ));
    }
    let wanted = wanted.map(partition_pairs).unwrap_or_default();
    let partitions = table
        .partitions
        .iter()
        .filter(|partition| wanted.iter().all(|pair| partition.spec.contains(pair)))
        .map(|partition| apply::partition_text(&partition.spec));
    Ok(ShowResult::texts("partition name", partitions))
}

/// The pairs of a PARTITION clause, values as text.
pub(crate) fn partition_pairs(spec: &PartitionSpec) -> Vec<(String, String)> {
    let text = |value: &crate::parse::ast::Expr| match &value.kind {
        crate::parse::ast::ExprKind::Literal(Literal::String(text)) => text.value.clone(),
        crate::parse::ast::ExprKind::Literal(
            Literal::Date(text) | Literal::Time(text) | Literal::Timestamp(text),
        ) => text.clone(),
        _ => expr_to_sql(value),
    };
    let value =
        |entry: &crate::parse::ast::PartitionEntry| entry.value.as_ref().map(text).unwrap_or_default();
    spec.entries
        .iter()
        .map(|entry| (entry.column.value.clone(), value(entry)))
        .collect()
}

fn show_create(catalogs: &Catalogs, kind: ObjectKind, name: &ObjectName) -> SqlResult<ShowResult> {
    let text = match kind {
        ObjectKind::Catalog => {
            let name = &name.last().map(|ident| ident.value.clone()).unwrap_or_default();
            ddl_text::create_catalog(name, catalogs.require_catalog(name)?, Secrets::Hidden)
        }
        ObjectKind::Model => {
            let identifier = catalogs.qualify(name)?;
            let (model, temporary) = catalogs
                .model(&identifier)
                .ok_or_else(|| model_missing(name, &identifier))?;
            ddl_text::create_model(&identifier, model, temporary)
        }
        ObjectKind::View => match show_create_target(catalogs, name, "VIEW")? {
            (id, CatalogTable::View(view), temporary) => ddl_text::create_view(&id, view, temporary),
            (id, CatalogTable::Table(_), _) => {
                return Err(wrong_kind(name, &id, "VIEW", "views", "table", "TABLE"));
            }
        },
        ObjectKind::Table => match show_create_target(catalogs, name, "TABLE")? {
            (id, CatalogTable::Table(table), temporary) => {
                ddl_text::create_table(&id, table, temporary, Secrets::Hidden)
            }
            (id, CatalogTable::View(_), _) => {
                return Err(wrong_kind(name, &id, "TABLE", "tables", "view", "VIEW"));
            }
        },
        other => {
            return Err(SqlError::unsupported(
                name.span,
                format!("SHOW CREATE {}", other.words()),
            ));
        }
    };
    Ok(ShowResult::result(text))
}

fn show_create_target<'a>(
    catalogs: &'a Catalogs,
    name: &ObjectName,
    kind: &str,
) -> SqlResult<(ObjectIdentifier, &'a CatalogTable, bool)> {
    let identifier = catalogs.qualify(name)?;
    let Some(found) = catalogs.table(&identifier) else {
        let text = ddl_text::quoted_identifier(&identifier);
        let message = format!(
            "could not execute SHOW CREATE {kind}: table or view with identifier {text} does not exist"
        );
        return Err(table_missing(catalogs, name, &identifier, message));
    };
    Ok((found.identifier, found.table, found.temporary))
}

fn wrong_kind(
    name: &ObjectName,
    identifier: &ObjectIdentifier,
    wanted: &str,
    plural: &str,
    is: &str,
    remedy: &str,
) -> SqlError {
    let text = ddl_text::quoted_identifier(identifier);
    let message = format!("SHOW CREATE {wanted} is only supported for {plural}, but {text} is a {is}");
    SqlError::at(name.span, message).with_hint(format!("use SHOW CREATE {remedy} instead"))
}

pub(super) fn model_missing(name: &ObjectName, identifier: &ObjectIdentifier) -> SqlError {
    let text = ddl_text::quoted_identifier(identifier);
    let message = format!("model with the identifier {text} doesn't exist");
    SqlError::at(name.span, message).with_code(ErrorCode::UnknownObject)
}

/// The columns of a table or view. In batch mode, event times are ordinary timestamps, as in Flink.
pub(super) fn columns_of(table: &CatalogTable, filter: Option<&ShowFilter>, streaming: bool) -> ShowResult {
    let mut rows = match table {
        CatalogTable::Table(table) => table
            .columns
            .iter()
            .map(|column| describe_column(table, column, streaming))
            .collect(),
        CatalogTable::View(view) => describe_view(view),
    };
    // The comment column appears only if some column has a comment.
    let commented = rows
        .iter()
        .any(|row: &Vec<Scalar>| row.last().is_some_and(|comment| !comment.is_null()));
    rows.retain(|row| {
        row.first()
            .and_then(Scalar::as_str)
            .is_some_and(|name| passes(filter, name))
    });
    let text = LogicalType::STRING;
    let mut columns = vec![
        ("name", text.clone()),
        ("type", text.clone()),
        ("null", LogicalType::BOOLEAN),
        ("key", text.clone()),
        ("extras", text.clone()),
        ("watermark", text.clone()),
    ];
    if commented {
        columns.push(("comment", text));
    } else {
        rows.iter_mut().for_each(|row| row.truncate(columns.len()));
    }
    ShowResult {
        schema: Schema::new(columns),
        rows,
    }
}

fn describe_column(table: &ResolvedTable, column: &TableColumn, streaming: bool) -> Vec<Scalar> {
    let key = table
        .primary_key
        .as_ref()
        .filter(|key| key.columns.contains(&column.name))
        .map(|key| format!("PRI({})", key.columns.join(", ")));
    let extras = match &column.kind {
        TableColumnKind::Physical => None,
        TableColumnKind::Metadata { .. } => Some(ddl_text::metadata_text(&column.kind)),
        TableColumnKind::Computed(expr) => Some(format!("AS {}", expr_to_sql(expr))),
    };
    let watermark = table
        .watermark
        .as_ref()
        .filter(|w| w.column == column.name)
        .map(|w| expr_to_sql(&w.expr));
    let is_event_time = column.ty.time_attribute() == TimeAttribute::Rowtime;
    let ty = if is_event_time && !streaming {
        column.ty.without_time_attribute()
    } else {
        column.ty.clone()
    };
    vec![
        Scalar::String(column.name.clone()),
        Scalar::String(ddl_text::column_type(&ty)),
        Scalar::Boolean(column.ty.nullable),
        optional(key),
        optional(extras),
        optional(watermark),
        optional(column.comment.clone()),
    ]
}

fn describe_view(view: &View) -> Vec<Vec<Scalar>> {
    let row = |column: &millstream_types::Column| {
        let mut row = vec![
            Scalar::String(column.name.clone()),
            Scalar::String(ddl_text::column_type(&column.ty)),
            Scalar::Boolean(column.ty.nullable),
        ];
        row.resize(7, Scalar::Null);
        row
    };
    view.schema.columns.iter().map(row).collect()
}

pub(super) fn optional(text: Option<String>) -> Scalar {
    text.map_or(Scalar::Null, Scalar::String)
}
