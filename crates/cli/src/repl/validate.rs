//! Decides whether Enter submits the input or starts a new line.

use millstream_sql::parse::split::{Pending, Splitter};
use reedline::{ValidationResult, Validator};

/// Shell commands, which need no `;`.
const COMMANDS: [&str; 5] = ["QUIT", "EXIT", "CLEAR", "HELP", "SOURCE"];
/// Those that take an argument.
const WITH_ARGUMENT: [&str; 2] = ["HELP", "SOURCE"];

/// Whether the text consists of complete statements.
pub fn is_complete(text: &str) -> bool {
    if text.trim().is_empty() || command(text).is_some() {
        return true;
    }
    let mut splitter = Splitter::default();
    splitter.push(text);
    while splitter.next_statement().is_some() {}
    splitter.pending() == Pending::Nothing
}

/// The shell command on a line, in upper case, and its argument.
pub fn command(line: &str) -> Option<(String, &str)> {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let word = word.to_ascii_uppercase();
    let rest = rest.trim();
    let takes_rest = WITH_ARGUMENT.contains(&word.as_str());
    let fits = COMMANDS.contains(&word.as_str()) && !rest.contains(';') && (rest.is_empty() || takes_rest);
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
        assert_eq!(
            command("source 'my setup.sql';"),
            Some(("SOURCE".to_owned(), "'my setup.sql'"))
        );
        assert_eq!(command("EXIT"), Some(("EXIT".to_owned(), "")));
        assert_eq!(command("SELECT 1;"), None);
    }
}
