//! Printers of results on standard output: `--output table|tableau|changelog|json`.

mod changelog;
mod json;
mod pager;
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
    /// Every change on arrival, as a table with a column `op`
    Tableau,
    /// Every change on arrival, as a line such as +I[1, a]
    Changelog,
    /// One JSON object per line
    Json,
}

/// Columns of a result.
#[derive(Clone, Debug)]
pub struct ResultColumns {
    pub names: Vec<String>,
    pub types: Vec<LogicalType>,
    /// Whether row kinds carry information: a streaming query.
    pub is_changelog: bool,
}

/// Prints one result. `begin` comes first; `end` comes last and reports the number of rows.
pub trait ResultPrinter {
    fn begin(&mut self, columns: &ResultColumns, out: &mut dyn Write) -> io::Result<()>;
    /// One row; `None` is NULL.
    fn row(&mut self, kind: RowKind, values: &[Option<&str>], out: &mut dyn Write) -> io::Result<()>;
    fn end(&mut self, out: &mut dyn Write) -> io::Result<()>;
    /// Like `end`, for a result that the user does not want to see to its end.
    fn interrupt(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.end(out)
    }
    /// Updates an in-place display of the rows so far, if the printer has one.
    fn redraw(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// A printer for people. JSON output uses [`JsonStream`], which also reports how statements ended.
pub fn printer(format: OutputFormat) -> Box<dyn ResultPrinter> {
    match format {
        OutputFormat::Tableau => Box::<tableau::Tableau>::default(),
        OutputFormat::Changelog => Box::<changelog::Changelog>::default(),
        OutputFormat::Table | OutputFormat::Json => Box::<table::Table>::default(),
    }
}

/// A printer for queries, which may be unbounded: on a terminal, the table is redrawn as it grows.
pub fn query_printer(format: OutputFormat) -> Box<dyn ResultPrinter> {
    use std::io::IsTerminal;
    if format == OutputFormat::Table && std::io::stdout().is_terminal() {
        let (lines, width) = console::Term::stdout().size();
        return Box::new(table::Table::live(usize::from(lines), usize::from(width)));
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
