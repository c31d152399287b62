//! Figures: a JSON line as soon as one is known, tables at the end.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Map, Value};

use super::process::Usage;

/// What was measured of one subject, in the order in which it is shown.
#[derive(Clone, Debug, Default)]
pub struct Figures(Map<String, Value>);

impl Figures {
    /// `subject` is the first column.
    pub fn of(subject: impl Into<String>) -> Self {
        Self::default().text("subject", subject)
    }

    /// These figures, and behind the subject those of `other`.
    pub fn with(self, other: &Figures) -> Self {
        let mut figures = Map::new();
        for (name, value) in self.0 {
            let is_subject = name == "subject";
            figures.insert(name, value);
            if is_subject {
                figures.extend(other.0.clone());
            }
        }
        Self(figures)
    }

    /// These figures, and those of `other` behind them.
    pub fn with_all(mut self, other: Figures) -> Self {
        self.0.extend(other.0);
        self
    }

    /// What a run over so many events took.
    pub fn run(self, events: u64, usage: &Usage) -> Self {
        let events = events as f64;
        self.number("events", events)
            .number("events_per_cpu_s", events / usage.cpu.total_s().max(0.01))
            .number("events_per_s", events / usage.wall_s)
            .number("wall_s", usage.wall_s)
            .number("user_s", usage.cpu.user_s)
            .number("system_s", usage.cpu.system_s)
            .number("rss_peak_mib", usage.rss_peak_mib)
    }

    pub fn text(mut self, name: &str, text: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), Value::String(text.into()));
        self
    }

    /// A number, rounded to what is significant.
    pub fn number(mut self, name: &str, number: f64) -> Self {
        let rounded = match number.abs() {
            large if large >= 100.0 => number.round(),
            medium if medium >= 1.0 => (number * 10.0).round() / 10.0,
            _ => (number * 1000.0).round() / 1000.0,
        };
        let value = if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
            Value::from(rounded as i64)
        } else {
            Value::from(rounded)
        };
        self.0.insert(name.to_owned(), value);
        self
    }
}

/// Where figures go.
pub struct Report {
    file: File,
    path: PathBuf,
    json: bool,
    rows: Vec<(String, Figures)>,
}

impl Report {
    pub fn create(path: &Path, json: bool) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("'{}' cannot be written", path.display()))?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            json,
            rows: Vec::new(),
        })
    }

    /// Notes figures of a bench.
    pub fn add(&mut self, bench: &str, figures: Figures) -> anyhow::Result<()> {
        let mut line = Map::new();
        line.insert("bench".to_owned(), Value::String(bench.to_owned()));
        line.extend(figures.0.clone());
        let line = Value::Object(line).to_string();
        writeln!(self.file, "{line}")?;
        if self.json {
            println!("{line}");
        } else {
            eprintln!("{line}");
        }
        self.rows.push((bench.to_owned(), figures));
        Ok(())
    }

    /// Prints the tables, one for each bench.
    pub fn finish(self) {
        if self.json {
            return;
        }
        let mut benches: Vec<&str> = Vec::new();
        for (bench, _) in &self.rows {
            if !benches.contains(&bench.as_str()) {
                benches.push(bench);
            }
        }
        for bench in benches {
            let rows: Vec<&Figures> = self
                .rows
                .iter()
                .filter(|(b, _)| b == bench)
                .map(|(_, f)| f)
                .collect();
            println!("\n{bench}\n\n{}", table(&rows));
        }
        println!("\nJSON lines: {}", self.path.display());
    }
}

/// A Markdown table over all columns that any row has.
fn table(rows: &[&Figures]) -> String {
    let mut columns: Vec<&String> = Vec::new();
    for row in rows {
        for name in row.0.keys() {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
    }
    let cell = |row: &Figures, name: &String| row.0.get(name).map_or(String::new(), show);
    let width = |name: &&String| {
        rows.iter()
            .map(|row| cell(row, name).chars().count())
            .chain([name.chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = columns.iter().map(width).collect();
    let line = |cells: Vec<String>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(i, (cell, width))| match i {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        format!("| {} |", padded.join(" | "))
    };
    let mut lines = vec![line(columns.iter().map(|c| (*c).clone()).collect())];
    lines.push(line(
        widths
            .iter()
            .enumerate()
            .map(|(i, w)| match i {
                0 => "-".repeat(*w),
                _ => format!("{}:", "-".repeat(w.saturating_sub(1))),
            })
            .collect(),
    ));
    lines.extend(
        rows.iter()
            .map(|row| line(columns.iter().map(|c| cell(row, c)).collect())),
    );
    lines.join("\n")
}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => grouped(whole),
            None => number.to_string(),
        },
        other => other.to_string(),
    }
}

fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = String::new();
    if number < 0 {
        out.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_the_columns_of_all_rows() {
        let a = Figures::of("a").number("x", 1_234_567.8);
        let b = Figures::of("b").number("x", 0.1234).text("y", "z");
        assert_eq!(
            table(&[&a, &b]),
            "| subject |         x | y |\n| ------- | --------: | : |\n| a       | 1,234,568 |   |\n| b       |     0.123 | z |"
        );
    }
}
