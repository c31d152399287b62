//! `--output changelog`: a line for each change.

use std::io::{self, Write};

use millstream_types::RowKind;

use super::{ResultColumns, ResultPrinter};

#[derive(Default)]
pub struct Changelog;

impl ResultPrinter for Changelog {
    fn begin(&mut self, _: &ResultColumns, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn row(&mut self, kind: RowKind, values: &[Option<&str>], out: &mut dyn Write) -> io::Result<()> {
        let texts: Vec<&str> = values.iter().map(|v| v.unwrap_or("NULL")).collect();
        writeln!(out, "{}[{}]", kind.symbol(), texts.join(", "))
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.flush()
    }
}
