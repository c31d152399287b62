//! `--output json`: one JSON object a line, for programs.
//!
//! A statement gives `{"statement":1,"columns":[…],"types":[…]}` if it has rows, then `{"statement":1,"op":"+I","row":[…]}`
//! for each (a statement without rows of its own has one column `result` with `OK`), then `{"statement":1,"status":"ok"}` or `{"statement":1,"status":"error","code":"UNKNOWN_COLUMN","kind":"input",
//! "message":"…","hint":"…","spans":[{"primary":true,"line":1,"column":8,"end_line":1,"end_column":12}],"rendered":"…"}`
//! (hint, spans and rendered where there are any). Values are the texts that people see, or null.

use std::io::{self, Write};

use millstream_types::RowKind;
use serde_json::{Value, json};

use super::ResultColumns;

/// Writes the lines of one program run.
pub struct JsonStream {
    statement: u64,
}

impl JsonStream {
    pub fn new() -> Self {
        Self { statement: 0 }
    }

    /// Starts the next statement; they are numbered from 1.
    pub fn next_statement(&mut self) {
        self.statement += 1;
    }

    pub fn columns(&self, columns: &ResultColumns, out: &mut dyn Write) -> io::Result<()> {
        let types: Vec<String> = columns.types.iter().map(ToString::to_string).collect();
        self.line(
            out,
            json!({"statement": self.statement, "columns": columns.names, "types": types}),
        )
    }

    pub fn row(&self, kind: RowKind, values: &[Option<&str>], out: &mut dyn Write) -> io::Result<()> {
        self.line(
            out,
            json!({"statement": self.statement, "op": kind.symbol(), "row": values}),
        )
    }

    /// The result of a statement without rows: a column `result` with `OK`, as in Flink's gateway.
    pub fn done(&self, out: &mut dyn Write) -> io::Result<()> {
        self.line(
            out,
            json!({"statement": self.statement, "columns": ["result"], "types": ["STRING"]}),
        )?;
        self.row(RowKind::Insert, &[Some("OK")], out)
    }

    pub fn ok(&self, out: &mut dyn Write) -> io::Result<()> {
        self.line(out, json!({"statement": self.statement, "status": "ok"}))?;
        out.flush()
    }

    /// The statement failed; the members of `error` say why.
    pub fn error(&self, error: Value, out: &mut dyn Write) -> io::Result<()> {
        let mut line = json!({"statement": self.statement, "status": "error"});
        if let (Value::Object(line), Value::Object(members)) = (&mut line, error) {
            line.extend(members);
        }
        self.line(out, line)?;
        out.flush()
    }

    fn line(&self, out: &mut dyn Write, value: Value) -> io::Result<()> {
        serde_json::to_writer(&mut *out, &value)?;
        out.write_all(b"\n")
    }
}
