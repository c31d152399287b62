//! Whether Enter ends the input or begins another line.

use millstream_sql::parse::split::{Pending, Splitter};
use reedline::{ValidationResult, Validator};

/// Commands of the shell, which need no `;`.
const COMMANDS: [&str; 4] = ["QUIT", "EXIT", "CLEAR", "HELP"];

/// Whether the text holds whole statements and nothing else.
pub fn is_complete(text: &str) -> bool {
    if text.trim().is_empty() || command(text).is_some() {
        return true;
    }
    let mut splitter = Splitter::default();
    splitter.push(text);
    while splitter.next_statement().is_some() {}
    splitter.pending() == Pending::Nothing
}

/// The command of the shell that a line is, in upper case, with what stands behind it: only HELP takes something.
pub fn command(line: &str) -> Option<(String, &str)> {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let word = word.to_ascii_uppercase();
    let rest = rest.trim();
    let fits =
        COMMANDS.contains(&word.as_str()) && !rest.contains(';') && (rest.is_empty() || word == "HELP");
    fits.then_some((word, rest))
}

/// Validation for the line editor.
pub struct ShellValidator;

impl Validator for ShellValidator {
    fn validate(&self, line: &str) -> ValidationResult {
        if is_complete(line) {
            ValidationResult::Complete
        } else {
            ValidationResult::Incomplete
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_complete_at_its_semicolon() {
        let complete = [
            "",
            "SELECT 1;",
            "SELECT ';' ;",
            "SELECT 1; SELECT 2;",
            "quit",
            "HELP upper",
            "Exit;",
            "SELECT 1; -- done",
        ];
        let open = [
            "SELECT 1",
            "SELECT 1; SELECT",
            "SELECT ';",
            "SELECT /* ;",
            "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1;",
            "quit now",
            "`;",
        ];
        complete
            .into_iter()
            .for_each(|text| assert!(is_complete(text), "{text}"));
        open.into_iter()
            .for_each(|text| assert!(!is_complete(text), "{text}"));
    }

    #[test]
    fn commands_of_the_shell() {
        assert_eq!(
            command(" help  concat_ws ;"),
            Some(("HELP".to_owned(), "concat_ws"))
        );
        assert_eq!(command("EXIT"), Some(("EXIT".to_owned(), "")));
        assert_eq!(command("SELECT 1;"), None);
    }
}
