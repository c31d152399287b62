//! The last lines of a stream of text: what the doors show of logs and of the `print` connector.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::limits::KEPT_LINES_BYTES;

/// Keeps the newest lines, up to a number of bytes.
#[derive(Debug, Default)]
pub struct LastLines(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
}

impl LastLines {
    /// Adds a line without its end.
    pub fn push(&self, line: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += line.len() + 1;
        kept.lines.push_back(line.to_owned());
        while kept.bytes > KEPT_LINES_BYTES
            && let Some(oldest) = kept.lines.pop_front()
        {
            kept.bytes -= oldest.len() + 1;
        }
    }

    /// All kept lines, each with its end.
    pub fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::with_capacity(kept.bytes);
        for line in &kept.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go_first() {
        let lines = LastLines::default();
        let long = "x".repeat(KEPT_LINES_BYTES / 2);
        lines.push("first");
        lines.push(&long);
        lines.push("last");
        assert!(lines.text().starts_with("first\n"));
        lines.push(&long);
        assert!(!lines.text().contains("first") && lines.text().contains("last"));
    }
}
