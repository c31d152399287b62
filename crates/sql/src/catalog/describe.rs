//! The results of DESCRIBE statements, with Flink's column names.

use millstream_types::redact::redacted;
use millstream_types::{ErrorCode, LogicalType, Options, Scalar, Schema};

use super::object::TableColumn;
use super::show::{ShowResult, columns_of, model_missing, optional, require_table};
use super::{Catalogs, ddl_text};
use crate::bind::error::{SqlError, SqlResult};
use crate::parse::ast::{DescribeStatement, ObjectName};

/// The result of a DESCRIBE statement; `None` for DESCRIBE JOB.
pub fn describe(
    catalogs: &Catalogs,
    statement: &DescribeStatement,
    streaming: bool,
) -> SqlResult<Option<ShowResult>> {
    match statement {
        DescribeStatement::Table { name, .. } => {
            let found = require_table(catalogs, name)?;
            Ok(Some(columns_of(found.table, None, streaming)))
        }
        DescribeStatement::Catalog { extended, name } => {
            describe_catalog(catalogs, &name.value, *extended).map(Some)
        }
        DescribeStatement::Database { extended, name } => {
            describe_database(catalogs, name, *extended).map(Some)
        }
        DescribeStatement::Function { name, .. } => describe_function(catalogs, name).map(Some),
        DescribeStatement::Model { name, .. } => describe_model(catalogs, name).map(Some),
        DescribeStatement::Connection { name, .. } => Err(SqlError::at(
            name.span,
            format!("connection '{name}' doesn't exist"),
        )
        .with_code(ErrorCode::UnknownObject)),
        DescribeStatement::Job { .. } => Ok(None),
    }
}

fn info_rows(pairs: Vec<(String, Option<String>)>, name: &str, value: &str) -> ShowResult {
    let schema = Schema::new([(name, LogicalType::STRING), (value, LogicalType::STRING)]);
    let rows = pairs
        .into_iter()
        .map(|(key, text)| vec![Scalar::String(key), optional(text)])
        .collect();
    ShowResult { schema, rows }
}

fn describe_catalog(catalogs: &Catalogs, name: &str, extended: bool) -> SqlResult<ShowResult> {
    let catalog = catalogs.require_catalog(name)?;
    let mut pairs = vec![
        ("name".to_owned(), Some(name.to_owned())),
        ("type".to_owned(), catalog.options.get("type").cloned()),
        ("comment".to_owned(), catalog.comment.clone()),
    ];
    if extended {
        let mut others = redacted(&catalog.options);
        others.remove("type");
        pairs.extend(option_pairs(others));
    }
    Ok(info_rows(pairs, "info name", "info value"))
}

fn describe_database(catalogs: &Catalogs, name: &ObjectName, extended: bool) -> SqlResult<ShowResult> {
    let (catalog, database) = catalogs.qualify_database(name)?;
    let found = catalogs.require_database(&catalog, &database)?;
    let mut pairs = vec![
        ("name".to_owned(), Some(database)),
        ("comment".to_owned(), found.comment.clone()),
    ];
    if extended {
        pairs.extend(option_pairs(redacted(&found.options)));
    }
    Ok(info_rows(pairs, "info name", "info value"))
}

fn option_pairs(options: Options) -> impl Iterator<Item = (String, Option<String>)> {
    options
        .into_iter()
        .map(|(key, value)| (format!("option:{key}"), Some(value)))
}

fn describe_function(catalogs: &Catalogs, name: &ObjectName) -> SqlResult<ShowResult> {
    let yes_no = |flag: bool| Some(flag.to_string());
    if let Some(function) = catalogs.user_function(name) {
        if function
            .language
            .is_none_or(|language| language != crate::parse::ast::FunctionLanguage::Sql)
        {
            return Err(SqlError::at(
                name.span,
                crate::bind::ddl::no_such_class(&function.class),
            ));
        }
        let language = function
            .language
            .map_or("JAVA", crate::parse::ast::FunctionLanguage::word);
        let pairs = vec![
            ("is system function".to_owned(), yes_no(false)),
            ("class name".to_owned(), Some(function.class.clone())),
            ("function language".to_owned(), Some(language.to_owned())),
        ];
        return Ok(info_rows(pairs, "info name", "info value"));
    }
    let text = name.to_string();
    let scalar = millstream_functions::scalar_function(&text).map(|f| (f.syntax, f.doc));
    let aggregate = millstream_functions::aggregate_function(&text).map(|f| (f.syntax, f.doc));
    let Some((syntax, doc)) = scalar.or(aggregate) else {
        return Err(SqlError::at(
            name.span,
            format!("function with the identifier '{name}' doesn't exist"),
        )
        .with_code(ErrorCode::UnknownFunction));
    };
    let kind = if scalar.is_some() { "SCALAR" } else { "AGGREGATE" };
    let pairs = vec![
        ("is system function".to_owned(), yes_no(true)),
        ("is temporary".to_owned(), yes_no(false)),
        ("kind".to_owned(), Some(kind.to_owned())),
        ("signature".to_owned(), Some(syntax.to_owned())),
        ("description".to_owned(), Some(doc.to_owned())),
    ];
    Ok(info_rows(pairs, "info name", "info value"))
}

fn describe_model(catalogs: &Catalogs, name: &ObjectName) -> SqlResult<ShowResult> {
    let identifier = catalogs.qualify(name)?;
    let (model, _) = catalogs
        .model(&identifier)
        .ok_or_else(|| model_missing(name, &identifier))?;
    let row = |column: &TableColumn, is_input: bool| {
        vec![
            Scalar::String(column.name.clone()),
            Scalar::String(ddl_text::column_type(&column.ty)),
            Scalar::Boolean(column.ty.nullable),
            Scalar::Boolean(is_input),
            optional(column.comment.clone()),
        ]
    };
    let inputs = model.input.iter().map(|column| row(column, true));
    let rows: Vec<Vec<Scalar>> = inputs
        .chain(model.output.iter().map(|column| row(column, false)))
        .collect();
    let mut columns = vec![
        ("name", LogicalType::STRING),
        ("type", LogicalType::STRING),
        ("null", LogicalType::BOOLEAN),
        ("is input", LogicalType::BOOLEAN),
    ];
    let commented = rows
        .iter()
        .any(|row| row.last().is_some_and(|comment| !comment.is_null()));
    if commented {
        columns.push(("comment", LogicalType::STRING));
        return Ok(ShowResult {
            schema: Schema::new(columns),
            rows,
        });
    }
    let rows = rows.into_iter().map(|mut row| {
        row.pop();
        row
    });
    Ok(ShowResult {
        schema: Schema::new(columns),
        rows: rows.collect(),
    })
}
