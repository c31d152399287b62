//! Tables in the style of the `kafka-*` tools: column names in capitals, values below.

use std::io::{self, Write};

/// Spaces between two columns.
const GAP: usize = 2;

/// Prints rows with columns as wide as their widest value; a missing value is `-`.
pub fn print<const N: usize>(
    out: &mut dyn Write,
    head: [&str; N],
    rows: &[[Option<String>; N]],
) -> io::Result<()> {
    let text = |cell: &Option<String>| match cell.as_deref() {
        None | Some("") => "-".to_owned(),
        Some(text) => text.to_owned(),
    };
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| std::array::from_fn(|i| text(&row[i])))
        .collect();
    let width = |i: usize| {
        let values = rows.iter().map(|row| row[i].chars().count());
        values.chain([head[i].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            let width = width + GAP;
            line.push_str(&format!("{cell:<width$}"));
        }
        line
    };
    writeln!(out, "{}", line(head).trim_end())?;
    for row in &rows {
        let cells: [&str; N] = std::array::from_fn(|i| row[i].as_str());
        writeln!(out, "{}", line(cells).trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut out = Vec::new();
        let rows = [
            [Some("billing".to_owned()), None],
            [Some("b".to_owned()), Some("7".to_owned())],
        ];
        print(&mut out, ["GROUP", "LAG"], &rows).expect("memory takes everything");
        assert_eq!(
            String::from_utf8_lossy(&out),
            "GROUP    LAG\nbilling  -\nb        7\n"
        );
    }
}
