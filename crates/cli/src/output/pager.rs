//! Results longer than the terminal, shown by the program that the user reads long texts with.

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

/// Variables that name the program; an empty one means none.
const VARIABLES: [&str; 2] = ["MILLSTREAM_PAGER", "PAGER"];
/// Without them: long lines are cut and can be scrolled, and the text stays on the screen at the end.
const DEFAULT: &str = "less -S -X";

/// Shows a text and waits until it was read; `false`: there is no program, and nothing was shown.
pub fn show(text: &str) -> bool {
    let named = VARIABLES.iter().find_map(|name| std::env::var(name).ok());
    let command = named.unwrap_or_else(|| DEFAULT.to_owned());
    let mut words = command.split_whitespace();
    let Some(program) = words.next() else { return false };
    let started = Command::new(program).args(words).stdin(Stdio::piped()).spawn();
    let Ok(mut pager) = started else { return false };
    if let Some(mut input) = pager.stdin.take()
        && let Err(error) = input.write_all(text.as_bytes())
        && error.kind() != ErrorKind::BrokenPipe
    {
        // A pager that was left early is no failure.
        tracing::debug!(%error, "the pager has not read everything");
    }
    _ = pager.wait();
    true
}
