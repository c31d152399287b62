//! `--output table`: the rows that are left when all changes were applied.

use std::collections::HashMap;
use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, presets};
use millstream_types::{LogicalType, RowKind};

use super::{ResultColumns, ResultPrinter, rows_text};

/// Rows of a result that the REPL keeps; more are counted but not shown (`sql-client.execution.max-table-result.rows`).
const ROWS_MAX: usize = 1_000_000;

type Row = Vec<Option<String>>;

/// Collects a changelog into a table.
#[derive(Default)]
pub struct Table {
    names: Vec<String>,
    types: Vec<LogicalType>,
    /// In order of arrival; taken back rows leave holes.
    rows: Vec<Option<Row>>,
    /// Places of equal rows, the last one to be taken back first.
    places: HashMap<Row, Vec<usize>>,
    dropped: u64,
}

impl ResultPrinter for Table {
    fn begin(&mut self, columns: &ResultColumns, _: &mut dyn Write) -> io::Result<()> {
        self.names = columns.names.clone();
        self.types = columns.types.clone();
        Ok(())
    }

    fn row(&mut self, kind: RowKind, values: &[Option<&str>], _: &mut dyn Write) -> io::Result<()> {
        let row: Row = values.iter().map(|v| v.map(str::to_owned)).collect();
        if !kind.is_addition() {
            if let Some(place) = self.places.get_mut(&row).and_then(Vec::pop) {
                self.rows[place] = None;
            }
            return Ok(());
        }
        if self.rows.len() >= ROWS_MAX {
            self.dropped += 1;
            return Ok(());
        }
        self.places.entry(row.clone()).or_default().push(self.rows.len());
        self.rows.push(Some(row));
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let rows: Vec<Row> = std::mem::take(&mut self.rows).into_iter().flatten().collect();
        self.places.clear();
        if rows.is_empty() {
            writeln!(out, "Empty set")?;
            return out.flush();
        }
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::ASCII_MARKDOWN)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(&self.names);
        for row in &rows {
            table.add_row(row.iter().map(|v| v.as_deref().unwrap_or("<NULL>")));
        }
        for (index, ty) in self.types.iter().enumerate() {
            let numeric = ty.is_numeric() || ty.is_interval();
            if let Some(column) = table.column_mut(index).filter(|_| numeric) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(out, "{table}")?;
        writeln!(out, "{} in set", rows_text(rows.len() as u64))?;
        if self.dropped > 0 {
            writeln!(out, "({} more rows are not shown)", self.dropped)?;
        }
        out.flush()
    }
}
