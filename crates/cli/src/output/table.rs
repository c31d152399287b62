//! `--output table`: the rows that remain after all changes.

use std::collections::HashMap;
use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, presets};
use millstream_types::{LogicalType, RowKind};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{ResultColumns, ResultPrinter, pager, rows_text};

/// Rows kept of a result; further rows are counted but not shown (`sql-client.execution.max-table-result.rows`).
const ROWS_MAX: usize = 1_000_000;

type Row = Vec<Option<String>>;

/// Applies a changelog to a table.
#[derive(Default)]
pub struct Table {
    names: Vec<String>,
    types: Vec<LogicalType>,
    /// In order of arrival; retracted rows leave holes.
    rows: Vec<Option<Row>>,
    /// Positions of equal rows; the last one is retracted first.
    places: HashMap<Row, Vec<usize>>,
    dropped: u64,
    /// On a terminal: the number of lines of the last drawing, and the changes since then.
    live: Option<Live>,
}

/// A drawing of the table that is updated in place.
struct Live {
    /// Lines and columns of the terminal.
    lines: usize,
    width: usize,
    drawn_lines: usize,
}

impl Live {
    /// Moves to the beginning of the last drawing and clears everything below. The terminal may have echoed Ctrl-C.
    fn clear(&mut self, out: &mut dyn Write) -> io::Result<()> {
        match std::mem::take(&mut self.drawn_lines) {
            0 => Ok(()),
            lines => write!(out, "\r\x1b[{lines}A\x1b[J"),
        }
    }
}

impl Table {
    /// A table that shows its newest rows in place on a terminal of this size.
    pub fn live(lines: usize, width: usize) -> Self {
        Self {
            live: Some(Live {
                lines,
                width,
                drawn_lines: 0,
            }),
            ..Self::default()
        }
    }

    /// Bounds memory: drops the older half of the rows.
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

    /// The newest rows as they fit on the terminal: as a table, or one below the other if their columns are too wide.
    fn picture(&self, live: &Live) -> (String, usize) {
        let newest = |count: usize| {
            let mut rows: Vec<&Row> = self.rows.iter().rev().flatten().take(count.max(1)).collect();
            rows.reverse();
            rows
        };
        let room = live.lines.saturating_sub(LINES_AROUND_ROWS);
        let rows = newest(room);
        let table = self.render(&rows).to_string();
        if table.lines().all(|line| line.width() <= live.width) {
            return (table, rows.len());
        }
        let rows = newest(room / (self.names.len() + 1));
        (self.vertical(&rows, live.width), rows.len())
    }

    /// Draws the newest rows in the place of the last drawing, and how many rows there are.
    fn draw(&mut self, count_suffix: &str, end: &str, out: &mut dyn Write) -> io::Result<()> {
        let Some(live) = &self.live else { return Ok(()) };
        let count = self.rows.iter().flatten().count();
        let (picture, shown) = self.picture(live);
        let above = match count.saturating_sub(shown) {
            0 => String::new(),
            _ => format!(", the newest {shown} are shown"),
        };
        if let Some(live) = &mut self.live {
            live.clear(out)?;
            live.drawn_lines = picture.lines().count() + 1;
        }
        let rows = rows_text(count as u64);
        writeln!(out, "{picture}\n{rows}{count_suffix}{above}{end}")?;
        out.flush()
    }

    /// All rows, for reading in peace.
    fn whole(&self, rows: &[&Row], width: usize) -> String {
        let table = self.render(rows).to_string();
        if table.lines().next().is_some_and(|line| line.width() > width) {
            self.vertical(rows, usize::MAX)
        } else {
            table
        }
    }

    /// Each row as lines of `name: value`, cut at the terminal's edge so that a line stays one.
    fn vertical(&self, rows: &[&Row], width: usize) -> String {
        let widest = self.names.iter().map(|name| name.width()).max().unwrap_or(0);
        let mut lines = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            lines.push(cut(&format!("-- row {}", number + 1), width));
            for (name, value) in self.names.iter().zip(row.iter()) {
                let padding = " ".repeat(widest - name.width());
                let value = value
                    .as_deref()
                    .unwrap_or("<NULL>")
                    .replace(['\n', '\r', '\t'], " ");
                lines.push(cut(&format!("{padding}{name}: {value}"), width));
            }
        }
        lines.join("\n")
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

/// Flink's column width on a terminal (`table.display.max-column-width`).
const COLUMN_WIDTH_MAX: usize = 30;
/// Lines of a live table besides its rows: header, count, prompt.
const LINES_AROUND_ROWS: usize = 5;

fn shortened(text: &str, is_live: bool) -> String {
    if !is_live || text.chars().count() <= COLUMN_WIDTH_MAX {
        return text.to_owned();
    }
    let kept: String = text.chars().take(COLUMN_WIDTH_MAX - 3).collect();
    format!("{kept}...")
}

/// The beginning of a line that takes at most `width` columns.
fn cut(line: &str, width: usize) -> String {
    if line.width() <= width {
        return line.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= room;
        room = room.saturating_sub(width);
        fits
    };
    let kept: String = line.chars().take_while(fits).collect();
    format!("{kept}…")
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
        self.draw(" so far", "; Ctrl-C ends the query", out)
    }

    fn interrupt(&mut self, out: &mut dyn Write) -> io::Result<()> {
        // Keeps the drawing: printing all rows would scroll it off the screen.
        match self.live {
            Some(_) => self.draw("", "; the query has been ended", out),
            None => self.end(out),
        }
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        // The result is shown as if it had not been drawn while it grew.
        if let Some(live) = &mut self.live {
            live.clear(out)?;
        }
        let all = std::mem::take(&mut self.rows);
        self.places.clear();
        let rows: Vec<&Row> = all.iter().flatten().collect();
        if rows.is_empty() {
            writeln!(out, "Empty set")?;
            return out.flush();
        }
        let mut text = match &self.live {
            Some(live) => self.whole(&rows, live.width),
            None => self.render(&rows).to_string(),
        };
        text.push_str(&format!("\n{} in set\n", rows_text(rows.len() as u64)));
        if self.dropped > 0 {
            text.push_str(&format!("({} more rows are not shown)\n", self.dropped));
        }
        if let Some(live) = &self.live
            && text.lines().count() >= live.lines
            && pager::show(&text)
        {
            return Ok(());
        }
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_table_redraws_in_place_and_shows_its_newest_rows() {
        let mut table = Table::live(LINES_AROUND_ROWS + 2, 80);
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
        table.interrupt(&mut out).expect("memory");
        let text = String::from_utf8_lossy(&out);
        let (first, second) = text.split_once("\r\x1b[5A\x1b[J").expect("drawn twice");
        assert!(first.contains("| 3 |") && !first.contains("| 1 |"), "{first}");
        let expected = "| a |\n|---|\n| 1 |\n| 2 |\n2 rows; the query has been ended\n";
        assert_eq!(second, expected);
    }

    /// The last drawing stood for the result of a query that had ended: its first rows were nowhere to be seen.
    #[test]
    fn the_drawing_of_a_growing_table_gives_way_to_the_whole_result() {
        let mut table = Table::live(20, 80);
        let columns = ResultColumns {
            names: vec!["a".to_owned()],
            types: vec![LogicalType::INT],
            is_changelog: false,
        };
        let mut out = Vec::new();
        table.begin(&columns, &mut out).expect("memory");
        for value in ["1", "2"] {
            table
                .row(RowKind::Insert, &[Some(value)], &mut out)
                .expect("memory");
            table.redraw(&mut out).expect("memory");
        }
        table.end(&mut out).expect("memory");
        let text = String::from_utf8_lossy(&out);
        let (_, whole) = text.rsplit_once("\r\x1b[5A\x1b[J").expect("drawn");
        assert_eq!(whole, "| a |\n|---|\n| 1 |\n| 2 |\n2 rows in set\n");
    }

    #[test]
    fn rows_that_are_wider_than_the_terminal_stand_one_below_the_other() {
        let mut table = Table::live(LINES_AROUND_ROWS + 4, 20);
        let columns = ResultColumns {
            names: vec!["id".to_owned(), "note".to_owned()],
            types: vec![LogicalType::INT, LogicalType::STRING],
            is_changelog: true,
        };
        let mut out = Vec::new();
        table.begin(&columns, &mut out).expect("memory");
        for id in ["1", "2"] {
            let values = [Some(id), Some("a text that\nfits nowhere 語語語語")];
            table.row(RowKind::Insert, &values, &mut out).expect("memory");
        }
        table.redraw(&mut out).expect("memory");
        let text = String::from_utf8_lossy(&out);
        assert_eq!(
            text,
            "-- row 1\n  id: 2\nnote: a text that f…\n2 rows so far, the newest 1 are shown; Ctrl-C ends the query\n"
        );
        assert!(text.lines().take(3).all(|line| line.width() <= 20));
    }
}
