//! `--output tableau`: every change on arrival, in the layout of Flink's SQL Client.
//!
//! Column widths must be known before the rows, so they follow from the types; longer values are truncated.

use std::io::{self, Write};

use millstream_types::{LogicalType, RowKind, TypeKind};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{ResultColumns, ResultPrinter, rows_text};

/// Width of text columns, the default of Flink's `table.display.max-column-width`.
const COLUMN_WIDTH_MAX: usize = 30;
/// Width of `<NULL>`.
const NULL_WIDTH: usize = 6;

/// Prints changes under a header of fixed widths.
#[derive(Default)]
pub struct Tableau {
    widths: Vec<usize>,
    is_changelog: bool,
    rows: u64,
}

impl ResultPrinter for Tableau {
    fn begin(&mut self, columns: &ResultColumns, out: &mut dyn Write) -> io::Result<()> {
        self.is_changelog = columns.is_changelog;
        let width = |(name, ty): (&String, &LogicalType)| type_width(ty).max(name.width()).max(NULL_WIDTH);
        self.widths = columns.names.iter().zip(&columns.types).map(width).collect();
        self.border(out)?;
        let names: Vec<&str> = columns.names.iter().map(String::as_str).collect();
        self.line("op", &names, out)?;
        self.border(out)
    }

    fn row(&mut self, kind: RowKind, values: &[Option<&str>], out: &mut dyn Write) -> io::Result<()> {
        self.rows += 1;
        let texts: Vec<&str> = values.iter().map(|v| v.unwrap_or("<NULL>")).collect();
        self.line(kind.symbol(), &texts, out)?;
        out.flush()
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.rows > 0 {
            self.border(out)?;
        }
        if self.is_changelog {
            writeln!(out, "Received a total of {}", rows_text(self.rows))?
        } else {
            writeln!(out, "{} in set", rows_text(self.rows))?
        }
        out.flush()
    }
}

impl Tableau {
    fn border(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.is_changelog {
            write!(out, "+----")?;
        }
        for width in &self.widths {
            write!(out, "+-{}-", "-".repeat(*width))?;
        }
        writeln!(out, "+")
    }

    fn line(&self, op: &str, texts: &[&str], out: &mut dyn Write) -> io::Result<()> {
        if self.is_changelog {
            write!(out, "| {op} ")?;
        }
        for (text, width) in texts.iter().zip(&self.widths) {
            let text = cut(&text.replace(['\n', '\r', '\t'], " "), *width);
            write!(out, "| {}{text} ", " ".repeat(width.saturating_sub(text.width())))?;
        }
        writeln!(out, "|")
    }
}

/// The text, truncated to the width with a trailing `...`.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut out, mut used) = (String::new(), 3);
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    out + "..."
}

fn type_width(ty: &LogicalType) -> usize {
    match ty.kind {
        TypeKind::Boolean => 5,
        TypeKind::TinyInt => 4,
        TypeKind::SmallInt => 6,
        TypeKind::Int => 11,
        TypeKind::BigInt => 20,
        TypeKind::Decimal { precision, .. } => usize::from(precision) + 2,
        TypeKind::Date => 10,
        TypeKind::Time(0) => 8,
        TypeKind::Time(precision) => 9 + usize::from(precision),
        TypeKind::Timestamp { precision, .. } | TypeKind::TimestampLtz { precision, .. } => {
            if precision == 0 {
                19
            } else {
                20 + usize::from(precision)
            }
        }
        TypeKind::Char(length) | TypeKind::Varchar(length) => (length as usize).min(COLUMN_WIDTH_MAX),
        _ => COLUMN_WIDTH_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_the_sql_client() {
        let columns = ResultColumns {
            names: vec!["id".to_owned()],
            types: vec![LogicalType::INT],
            is_changelog: true,
        };
        let (mut tableau, mut out) = (Tableau::default(), Vec::new());
        tableau.begin(&columns, &mut out).unwrap();
        tableau.row(RowKind::Insert, &[Some("1")], &mut out).unwrap();
        tableau.end(&mut out).unwrap();
        let expected = "\
+----+-------------+
| op |          id |
+----+-------------+
| +I |           1 |
+----+-------------+
Received a total of 1 row
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn long_texts_are_cut_by_their_width() {
        assert_eq!(cut("漢字漢字", 7), "漢字...");
        assert_eq!(cut("short", 5), "short");
    }
}
