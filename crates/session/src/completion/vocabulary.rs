//! A snapshot of the session's names for completion. The editor needs its own copy because it runs between statements,
//! without access to the session.

use crate::Session;
use millstream_sql::catalog::{CatalogTable, Catalogs};
use millstream_sql::parse::TokenKind;
use millstream_sql::parse::words::is_reserved;

use super::words::readable;

/// Names of the catalog.
#[derive(Default, Debug)]
pub struct Vocabulary {
    pub catalogs: Vec<String>,
    /// Databases of the current catalog.
    pub databases: Vec<String>,
    /// Tables and views of the current catalog.
    pub tables: Vec<VocabularyTable>,
}

/// A table or view.
#[derive(Debug)]
pub struct VocabularyTable {
    pub database: String,
    pub name: String,
    /// Names and types.
    pub columns: Vec<(String, String)>,
    pub is_view: bool,
    /// Whether it is in the current database, so that its name alone finds it.
    pub is_current: bool,
}

impl VocabularyTable {
    pub fn kind(&self) -> &'static str {
        if self.is_view { "view" } else { "table" }
    }
}

impl Vocabulary {
    /// The names that the next statement can use.
    pub fn of(session: &Session) -> Self {
        let catalogs = session.catalogs();
        let current = catalogs.current_catalog();
        let databases: Vec<String> = catalogs
            .catalog(current)
            .into_iter()
            .flat_map(|c| c.database_names())
            .map(str::to_owned)
            .collect();
        let tables = databases
            .iter()
            .flat_map(|database| tables_of(catalogs, current, database))
            .collect();
        Self {
            catalogs: catalogs.catalog_names().map(str::to_owned).collect(),
            databases,
            tables,
        }
    }

    /// The tables that a line mentions, by the alias that the line gives them.
    pub fn mentioned<'v, 'l>(&'v self, line: &'l str) -> Vec<(&'l str, &'v VocabularyTable)> {
        let (tokens, _) = readable(line);
        let text = |i: usize| tokens.get(i).map(|token| token.span.text(line));
        let mut found = Vec::new();
        for (i, token) in tokens.iter().enumerate() {
            let name = token.span.text(line).trim_matches('`');
            let Some(table) = self.tables.iter().find(|table| table.name == name) else {
                continue;
            };
            let has_as = text(i + 1).is_some_and(|word| word.eq_ignore_ascii_case("AS"));
            let alias = if has_as { i + 2 } else { i + 1 };
            let is_name = |token: &millstream_sql::parse::Token| match &token.kind {
                TokenKind::Word => !is_reserved(token.span.text(line)),
                TokenKind::QuotedIdent(_) => true,
                _ => false,
            };
            let alias = tokens
                .get(alias)
                .filter(|token| is_name(token))
                .map(|token| token.span.text(line));
            found.push((alias.map_or(name, |alias| alias.trim_matches('`')), table));
        }
        found
    }
}

fn tables_of(catalogs: &Catalogs, catalog: &str, database: &str) -> Vec<VocabularyTable> {
    let is_current = database == catalogs.current_database();
    let identifier = |name: &str| millstream_sql::catalog::ObjectIdentifier {
        catalog: catalog.to_owned(),
        database: database.to_owned(),
        name: name.to_owned(),
    };
    let mut tables = Vec::new();
    for name in catalogs.table_names(catalog, database) {
        let Some(found) = catalogs.table(&identifier(&name)) else {
            continue;
        };
        let (schema, is_view) = match found.table {
            CatalogTable::Table(table) => (table.schema(), false),
            CatalogTable::View(view) => (view.schema.clone(), true),
        };
        let columns = schema
            .columns
            .into_iter()
            .map(|column| (column.name, column.ty.to_string()))
            .collect();
        tables.push(VocabularyTable {
            database: database.to_owned(),
            name,
            columns,
            is_view,
            is_current,
        });
    }
    tables
}
