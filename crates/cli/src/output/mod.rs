//! How results reach standard output: `--output table|tableau|changelog|json`.

mod changelog;
mod json;
mod table;
mod tableau;

use std::io::{self, Write};

use millstream_types::{LogicalType, RowKind};

pub use json::JsonStream;

/// `--output`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum OutputFormat {
    /// The final rows, as a table
    Table,
    /// Every change as it comes, as a table with a column `op`
    Tableau,
    /// Every change as it comes, as a line such as +I[1, a]
    Changelog,
    /// One JSON object a line
    Json,
}

/// Columns of a result.
#[derive(Clone, Debug)]
pub struct ResultColumns {
    pub names: Vec<String>,
    pub types: Vec<LogicalType>,
    /// Whether rows carry kinds worth showing: a streaming query.
    pub is_changelog: bool,
}

/// Prints one result. `begin` comes first, `end` last, and `end` alone tells how many rows there were.
pub trait ResultPrinter {
    fn begin(&mut self, columns: &ResultColumns, out: &mut dyn Write) -> io::Result<()>;
    /// One row; `None` is NULL.
    fn row(&mut self, kind: RowKind, values: &[Option<&str>], out: &mut dyn Write) -> io::Result<()>;
    fn end(&mut self, out: &mut dyn Write) -> io::Result<()>;
    /// Shows the rows of a result that goes on, where that is done in place.
    fn redraw(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// A printer for results that people read. JSON has [`JsonStream`], which also tells how statements ended.
pub fn printer(format: OutputFormat) -> Box<dyn ResultPrinter> {
    match format {
        OutputFormat::Tableau => Box::<tableau::Tableau>::default(),
        OutputFormat::Changelog => Box::<changelog::Changelog>::default(),
        OutputFormat::Table | OutputFormat::Json => Box::<table::Table>::default(),
    }
}

/// A printer for a result of a query, which may never end: on a terminal the table is drawn as it grows.
pub fn query_printer(format: OutputFormat) -> Box<dyn ResultPrinter> {
    use std::io::IsTerminal;
    if format == OutputFormat::Table && std::io::stdout().is_terminal() {
        let (lines, _) = console::Term::stdout().size();
        return Box::new(table::Table::live(usize::from(lines)));
    }
    printer(format)
}

/// `1 row`, `2 rows`.
fn rows_text(count: u64) -> String {
    if count == 1 {
        "1 row".to_owned()
    } else {
        format!("{count} rows")
    }
}
