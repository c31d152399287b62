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
    /// On a terminal: lines that the last picture of the growing table took, and changes since then.
    live: Option<Live>,
}

/// A picture of the table that is drawn again in place as rows come.
struct Live {
    /// Rows of the table that fit.
    rows: usize,
    drawn_lines: usize,
}

impl Table {
    /// A table that shows its newest rows in place on a terminal with this many lines.
    pub fn live(lines: usize) -> Self {
        Self {
            live: Some(Live {
                rows: lines.saturating_sub(LINES_AROUND_ROWS).max(1),
                drawn_lines: 0,
            }),
            ..Self::default()
        }
    }

    /// A table that grows for ever keeps the newer half of its rows.
    fn forget_older_half(&mut self) {
        let kept: Vec<Option<Row>> = self
            .rows
            .split_off(self.rows.len() / 2)
            .into_iter()
            .filter(Option::is_some)
            .collect();
        self.places.clear();
        for (place, row) in kept.iter().enumerate() {
            self.places
                .entry(row.clone().unwrap_or_default())
                .or_default()
                .push(place);
        }
        self.rows = kept;
    }

    fn render(&self, rows: &[&Row]) -> comfy_table::Table {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::ASCII_MARKDOWN)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(&self.names);
        for row in rows {
            table.add_row(
                row.iter()
                    .map(|v| shortened(v.as_deref().unwrap_or("<NULL>"), self.live.is_some())),
            );
        }
        for (index, ty) in self.types.iter().enumerate() {
            let numeric = ty.is_numeric() || ty.is_interval();
            if let Some(column) = table.column_mut(index).filter(|_| numeric) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }
}

/// Flink's width of a column on a terminal (`table.display.max-column-width`).
const COLUMN_WIDTH_MAX: usize = 30;
/// Lines of a live table that are no rows: its header, the count, the prompt.
const LINES_AROUND_ROWS: usize = 5;

fn shortened(text: &str, is_live: bool) -> String {
    if !is_live || text.chars().count() <= COLUMN_WIDTH_MAX {
        return text.to_owned();
    }
    let kept: String = text.chars().take(COLUMN_WIDTH_MAX - 3).collect();
    format!("{kept}...")
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
        if self.rows.len() >= ROWS_MAX && self.live.is_some() {
            self.forget_older_half();
        }
        if self.rows.len() >= ROWS_MAX {
            self.dropped += 1;
            return Ok(());
        }
        self.places.entry(row.clone()).or_default().push(self.rows.len());
        self.rows.push(Some(row));
        Ok(())
    }

    fn redraw(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let Some(live) = &self.live else { return Ok(()) };
        let (wanted, before) = (live.rows, live.drawn_lines);
        let count = self.rows.iter().flatten().count();
        let mut newest: Vec<&Row> = self.rows.iter().rev().flatten().take(wanted).collect();
        newest.reverse();
        let picture = self.render(&newest).to_string();
        if before > 0 {
            // Up to the first line of the last picture, and everything below it away.
            write!(out, "\x1b[{before}A\x1b[J")?;
        }
        let hidden = count.saturating_sub(newest.len());
        let above = if hidden > 0 {
            format!(", the newest {} are shown", newest.len())
        } else {
            String::new()
        };
        writeln!(
            out,
            "{picture}\n{} so far{above}; Ctrl-C ends the query",
            rows_text(count as u64)
        )?;
        if let Some(live) = &mut self.live {
            live.drawn_lines = picture.lines().count() + 1;
        }
        out.flush()
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        // A picture that was drawn stays: printing all rows again would push it off the screen.
        if self.live.as_ref().is_some_and(|live| live.drawn_lines > 0) {
            self.redraw(out)?;
            return out.flush();
        }
        let all = std::mem::take(&mut self.rows);
        self.places.clear();
        let rows: Vec<&Row> = all.iter().flatten().collect();
        if rows.is_empty() {
            writeln!(out, "Empty set")?;
            return out.flush();
        }
        writeln!(out, "{}", self.render(&rows))?;
        writeln!(out, "{} in set", rows_text(rows.len() as u64))?;
        if self.dropped > 0 {
            writeln!(out, "({} more rows are not shown)", self.dropped)?;
        }
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_table_redraws_in_place_and_shows_its_newest_rows() {
        let mut table = Table::live(LINES_AROUND_ROWS + 2);
        let columns = ResultColumns {
            names: vec!["a".to_owned()],
            types: vec![LogicalType::INT],
            is_changelog: true,
        };
        let mut out = Vec::new();
        table.begin(&columns, &mut out).expect("memory");
        for value in ["1", "2", "3"] {
            table
                .row(RowKind::Insert, &[Some(value)], &mut out)
                .expect("memory");
        }
        table.redraw(&mut out).expect("memory");
        table
            .row(RowKind::Delete, &[Some("3")], &mut out)
            .expect("memory");
        table.end(&mut out).expect("memory");
        let text = String::from_utf8_lossy(&out);
        let (first, second) = text.split_once("\x1b[5A\x1b[J").expect("drawn twice");
        assert!(first.contains("| 3 |") && !first.contains("| 1 |"), "{first}");
        assert!(
            second.contains("| 1 |") && second.contains("2 rows so far"),
            "{second}"
        );
    }
}
