//! Reading `.slt` files: SQL with recorded results, in the format of sqllogictest.
//!
//! The parser keeps what the conformance files use: `statement ok`, `statement error <regex>`, `query T… rowsort|nosort`,
//! `halt`, the directives `# kafka-topic` and `# kafka-produce` in the comments before a record, and `# differs: reason`. Comparing is done
//! here too, so that every runner compares alike.

use std::collections::BTreeMap;

/// One record of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Line on which it starts, from 1.
    pub line: usize,
    /// Directives in the comments before it, without `# `.
    pub directives: Vec<String>,
    /// Why the recorded result differs, from a comment `# differs: …` before it. Such a record runs, and its outcome is
    /// not compared; `docs/differences.md` lists the reasons.
    pub differs: Option<String>,
    pub sql: String,
    pub expected: Expected,
}

/// The expected result of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    Ok,
    /// A regular expression that the message must match somewhere, in any case.
    Error(String),
    Rows {
        sorted: bool,
        rows: Vec<String>,
    },
}

/// A line that belongs to no record.
#[derive(Debug, PartialEq, Eq)]
pub struct SltError {
    /// Counted from 1.
    pub line: usize,
    pub text: String,
}

impl std::fmt::Display for SltError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "line {}: a record is expected, found: {}",
            self.line, self.text
        )
    }
}

impl std::error::Error for SltError {}

/// Parses a file.
pub fn parse(text: &str) -> Result<Vec<Record>, SltError> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut records, mut directives, mut differs, mut at) = (Vec::new(), Vec::new(), None, 0);
    while at < lines.len() {
        let line = lines[at];
        if let Some(comment) = line.strip_prefix('#') {
            let comment = comment.trim();
            if comment.starts_with("kafka-") {
                directives.push(comment.to_owned());
            } else if let Some(reason) = comment.strip_prefix("differs: ") {
                differs = Some(reason.to_owned());
            }
        } else if line.trim() == "halt" {
            return Ok(records);
        } else if line.starts_with("statement") || line.starts_with("query") {
            let (mut record, next) = record(&lines, at, std::mem::take(&mut directives))?;
            record.differs = differs.take();
            records.push(record);
            at = next;
            continue;
        } else if !line.trim().is_empty() && !line.starts_with("control") {
            return Err(SltError {
                line: at + 1,
                text: line.to_owned(),
            });
        }
        at += 1;
    }
    Ok(records)
}

fn record(lines: &[&str], start: usize, directives: Vec<String>) -> Result<(Record, usize), SltError> {
    let mut at = start + 1;
    let until = |from: usize, stop: fn(&str) -> bool| {
        (from..lines.len())
            .find(|i| stop(lines[*i]))
            .unwrap_or(lines.len())
    };
    let end_of_sql = until(at, |l| l.trim().is_empty() || l == "----");
    let sql = lines[at..end_of_sql].join("\n");
    at = end_of_sql;
    let mut rows = Vec::new();
    if lines.get(at) == Some(&"----") {
        let end = until(at + 1, |l| l.trim().is_empty());
        rows = lines[at + 1..end].iter().map(|l| (*l).to_owned()).collect();
        at = end;
    }
    let mut words = lines[start].splitn(3, char::is_whitespace);
    let (kind, second) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let rest = words.next().unwrap_or("").trim().to_owned();
    let expected = match (kind, second) {
        ("statement", "ok") => Expected::Ok,
        ("statement", "error") => Expected::Error(rest),
        ("query", _) => {
            let sorted = rest.starts_with("rowsort");
            if sorted {
                rows.sort();
            }
            Expected::Rows { sorted, rows }
        }
        _ => {
            return Err(SltError {
                line: start + 1,
                text: lines[start].to_owned(),
            });
        }
    };
    Ok((
        Record {
            line: start + 1,
            directives,
            differs: None,
            sql,
            expected,
        },
        at,
    ))
}

/// A value as the files write it.
pub fn cell(value: Option<&str>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) => text
            .replace('\\', "\\\\")
            .replace('\t', "\\t")
            .replace('\n', "\\n")
            .replace('\r', "\\r"),
    }
}

/// Applies a changelog and returns the remaining rows, in the order in which equal rows first appeared. A retraction of
/// a row that was never there shows as a row of its own.
pub fn materialize(changes: &[(String, Vec<String>)]) -> Vec<Vec<String>> {
    let mut order: Vec<Vec<String>> = Vec::new();
    let mut counts: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    for (op, row) in changes {
        let is_addition = matches!(op.as_str(), "+I" | "+U");
        if is_addition {
            if !counts.contains_key(row) {
                order.push(row.clone());
            }
            *counts.entry(row.clone()).or_insert(0) += 1;
        } else if counts.get(row).is_some_and(|count| *count > 0) {
            counts.entry(row.clone()).and_modify(|count| *count -= 1);
        } else {
            let mut stranger = vec![format!("RETRACTED {op}")];
            stranger.extend(row.iter().cloned());
            order.push(stranger.clone());
            *counts.entry(stranger).or_insert(0) += 1;
        }
    }
    let repeated = |row: Vec<String>| {
        let count = counts.get(&row).copied().unwrap_or(0).max(0) as usize;
        std::iter::repeat_n(row, count)
    };
    order.into_iter().flat_map(repeated).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_with_their_directives() {
        let text = "# about\nstatement ok\nSET 'a' = 'b'\n\n# kafka-topic t 2\nquery TT rowsort\nSELECT 1,\n 2\n----\nb\t1\na\t2\n\nstatement error no such|missing\nSELECT x\n";
        let records = parse(text).unwrap();
        assert_eq!(records.len(), 3);
        assert_eq!(records[1].directives, ["kafka-topic t 2"]);
        assert_eq!(records[1].sql, "SELECT 1,\n 2");
        let rows = vec!["a\t2".to_owned(), "b\t1".to_owned()];
        assert_eq!(records[1].expected, Expected::Rows { sorted: true, rows });
        assert_eq!(records[2].expected, Expected::Error("no such|missing".to_owned()));
        assert_eq!(records[1].differs, None);
        assert!(parse("nonsense").unwrap_err().to_string().contains("line 1"));
        let marked = parse("# differs: no Java\nstatement ok\nSELECT 1\n").unwrap();
        assert_eq!(marked[0].differs.as_deref(), Some("no Java"));
    }

    #[test]
    fn a_changelog_leaves_its_last_rows() {
        let row = |op: &str, v: &str| (op.to_owned(), vec![v.to_owned()]);
        let changes = [
            row("+I", "1"),
            row("+I", "2"),
            row("-U", "1"),
            row("+U", "3"),
            row("-D", "9"),
        ];
        assert_eq!(
            materialize(&changes),
            [vec!["2"], vec!["3"], vec!["RETRACTED -D", "9"]]
        );
    }
}
