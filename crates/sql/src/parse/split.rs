//! Where statements end, in a script or in input that still arrives.
//!
//! A statement ends at a `;` that is not in a string, in a quoted name, in a comment, or between BEGIN and END of a
//! statement set. Text is scanned once, however it is cut into pieces, so that a program or a person may feed it line
//! by line. Nothing is checked here: what is no SQL is cut at its semicolons all the same.

use super::span::Span;

/// Maximum length of a word that matters for splitting; longer words are not stored.
const WORD_LENGTH_MAX: usize = 9;

/// Collects input and gives out complete statements.
///
/// ```
/// use millstream_sql::parse::split::{Pending, Splitter};
///
/// let mut splitter = Splitter::default();
/// splitter.push("SELECT ';'; SELECT");
/// assert_eq!(splitter.next_statement().as_deref(), Some("SELECT ';'"));
/// assert_eq!(splitter.next_statement(), None);
/// assert_eq!(splitter.pending(), Pending::Statement);
/// splitter.push(" 2;\n");
/// assert_eq!(splitter.next_statement().as_deref(), Some("SELECT 2"));
/// assert_eq!(splitter.pending(), Pending::Nothing);
/// ```
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: String,
    scanner: Scanner,
}

/// The state at the end of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// No statement has begun.
    Nothing,
    /// A statement without its `;`.
    Statement,
    /// BEGIN without its END.
    StatementSet,
    /// An open string.
    String,
    /// An open quoted name.
    Identifier,
    /// An open comment.
    Comment,
}

impl Splitter {
    /// Adds input, which may be cut anywhere.
    pub fn push(&mut self, text: &str) {
        self.buffer.push_str(text);
    }

    /// The next complete statement, without its `;`. Empty statements are skipped.
    pub fn next_statement(&mut self) -> Option<String> {
        while let Some(end) = self.scanner.scan(&self.buffer) {
            let has_content = self.scanner.has_content;
            let statement = self.buffer[..end].trim().to_owned();
            self.buffer.drain(..=end);
            self.scanner = Scanner::default();
            if has_content {
                return Some(statement);
            }
        }
        None
    }

    /// Whether the input is incomplete. Only meaningful after [`Self::next_statement`] has returned `None`.
    pub fn pending(&self) -> Pending {
        self.scanner.pending()
    }

    /// The last statement, if the input ends without a `;`. The splitter is empty afterwards.
    pub fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.buffer);
        let scanner = std::mem::take(&mut self.scanner);
        (scanner.pending() != Pending::Nothing && scanner.has_content).then(|| rest.trim().to_owned())
    }

    /// Discards the remaining input, for example after an interrupt.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The statements of a whole script as byte ranges, without their `;`. Empty statements are skipped.
pub fn split(script: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut start = 0;
    while start < script.len() {
        let mut scanner = Scanner::default();
        let rest = &script[start..];
        let end = scanner.scan(rest);
        let text = &rest[..end.unwrap_or(rest.len())];
        if scanner.has_content {
            let first = start + (text.len() - text.trim_start().len());
            spans.push(Span::new(first, first + text.trim().len()));
        }
        start += text.len() + 1;
    }
    spans
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Code,
    String,
    Identifier,
    LineComment,
    /// After `/*`: a `+` makes it a hint, which is code.
    CommentStart,
    BlockComment,
}

/// Progress through `STATEMENT SET BEGIN … END`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Progress {
    #[default]
    None,
    SawStatement,
    SawWords,
    /// Inside, with the number of CASE expressions that are open.
    Inside {
        cases: usize,
    },
}

/// The scanner's state between two pieces of input.
#[derive(Debug, Default)]
struct Scanner {
    position: usize,
    mode: Mode,
    set: Progress,
    /// The byte before `position`, unless it was consumed as a part of something.
    previous: u8,
    before_previous: u8,
    word: String,
    /// Whether anything but blanks and comments has been seen.
    has_content: bool,
}

impl Scanner {
    /// Scans to the end of the statement and returns the position of its `;`.
    fn scan(&mut self, text: &str) -> Option<usize> {
        let bytes = text.as_bytes();
        while let Some(&byte) = bytes.get(self.position) {
            self.position += 1;
            match self.mode {
                Mode::Code => {
                    if self.code(byte) {
                        return Some(self.position - 1);
                    }
                }
                Mode::String if byte == b'\'' => self.mode = Mode::Code,
                Mode::Identifier if byte == b'`' => self.mode = Mode::Code,
                Mode::LineComment if byte == b'\n' => self.mode = Mode::Code,
                Mode::CommentStart if byte == b'+' => {
                    self.mode = Mode::Code;
                    self.has_content = true;
                }
                Mode::CommentStart => {
                    self.mode = Mode::BlockComment;
                    self.previous = byte;
                }
                Mode::BlockComment if byte == b'/' && self.previous == b'*' => {
                    self.mode = Mode::Code;
                    self.previous = 0;
                }
                Mode::BlockComment => self.previous = byte,
                Mode::String | Mode::Identifier | Mode::LineComment => {}
            }
        }
        None
    }

    /// Handles one byte outside of strings and comments. Returns whether it ends the statement.
    fn code(&mut self, byte: u8) -> bool {
        let is_word = byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80;
        if is_word {
            if self.word.len() <= WORD_LENGTH_MAX {
                self.word.push(char::from(byte.to_ascii_uppercase()));
            }
        } else {
            self.end_word();
        }
        let (previous, before) = (self.previous, self.before_previous);
        self.before_previous = previous;
        self.previous = byte;
        match byte {
            b'\'' => self.enter(Mode::String),
            b'`' => self.enter(Mode::Identifier),
            b'-' if previous == b'-' => self.enter(Mode::LineComment),
            // `http://` in an unquoted value is not a comment.
            b'/' if previous == b'/' && before != b':' => self.enter(Mode::LineComment),
            b'*' if previous == b'/' => self.enter(Mode::CommentStart),
            b';' if !matches!(self.set, Progress::Inside { .. }) => return true,
            _ => {}
        }
        self.has_content |= matches!(self.mode, Mode::String | Mode::Identifier)
            || !(byte.is_ascii_whitespace() || self.mode != Mode::Code || matches!(byte, b'-' | b'/'));
        let resets_set = !is_word && !byte.is_ascii_whitespace() && !matches!(byte, b'-' | b'/' | b'*');
        if resets_set && matches!(self.set, Progress::SawStatement | Progress::SawWords) {
            self.set = Progress::None;
        }
        false
    }

    fn enter(&mut self, mode: Mode) {
        self.mode = mode;
        self.previous = 0;
    }

    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        self.set = match (self.set, self.word.as_str()) {
            (Progress::Inside { cases }, "CASE") => Progress::Inside { cases: cases + 1 },
            (Progress::Inside { cases: 0 }, "END") => Progress::None,
            (Progress::Inside { cases }, "END") => Progress::Inside { cases: cases - 1 },
            (Progress::Inside { cases }, _) => Progress::Inside { cases },
            (Progress::SawWords, "BEGIN") => Progress::Inside { cases: 0 },
            (Progress::SawStatement, "SET") => Progress::SawWords,
            (_, "STATEMENT") => Progress::SawStatement,
            _ => Progress::None,
        };
        self.word.clear();
    }

    fn pending(&self) -> Pending {
        match (self.mode, self.set) {
            (Mode::String, _) => Pending::String,
            (Mode::Identifier, _) => Pending::Identifier,
            (Mode::BlockComment | Mode::CommentStart, _) => Pending::Comment,
            (_, Progress::Inside { cases: 0 }) if self.word == "END" => Pending::Statement,
            (_, Progress::Inside { .. }) => Pending::StatementSet,
            _ if self.has_content => Pending::Statement,
            _ => Pending::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<&str> {
        split(script).into_iter().map(|span| span.text(script)).collect()
    }

    #[test]
    fn cuts_at_semicolons_of_the_script_only() {
        for (script, expected) in [
            ("a; b ;;\n; c", vec!["a", "b", "c"]),
            ("a ';' b; `;`", vec!["a ';' b", "`;`"]),
            ("a 'it''s;'; b", vec!["a 'it''s;'", "b"]),
            ("a -- x; y\n; b", vec!["a -- x; y", "b"]),
            ("a // x; 'y\n; b", vec!["a // x; 'y", "b"]),
            ("a /* ; ' */; b", vec!["a /* ; ' */", "b"]),
            ("a /*+ OPTIONS(';') */; b", vec!["a /*+ OPTIONS(';') */", "b"]),
            ("a /**/; b /***/; c", vec!["a /**/", "b /***/", "c"]),
            ("SET a = http://x; b", vec!["SET a = http://x", "b"]),
            ("-- only a comment;\n", vec![]),
            ("/* one */ ; -- two", vec![]),
            ("", vec![]),
            ("a - -1; b / /* c */ 2", vec!["a - -1", "b / /* c */ 2"]),
            ("é; 日本", vec!["é", "日本"]),
        ] {
            assert_eq!(texts(script), expected, "{script}");
        }
    }

    #[test]
    fn keeps_statement_sets_together() {
        let set =
            "EXECUTE STATEMENT SET /* ; */ BEGIN\nINSERT INTO s SELECT CASE a WHEN 1 THEN 2 END FROM t;\nEND";
        let script = format!("{set}; b; BEGIN STATEMENT SET; i; END; c");
        assert_eq!(texts(&script), [set, "b", "BEGIN STATEMENT SET", "i", "END", "c"]);
    }

    #[test]
    fn chunking_of_the_input_does_not_change_the_result() {
        let script = "SELECT 'a;b' /* ;*/ -- ;\n; EXECUTE STATEMENT SET BEGIN x; END; é`;`; last";
        let whole: Vec<String> = texts(script).into_iter().map(str::to_owned).collect();
        for size in 1..script.len() {
            let characters: Vec<char> = script.chars().collect();
            let mut splitter = Splitter::default();
            let mut statements = Vec::new();
            for piece in characters.chunks(size) {
                splitter.push(&piece.iter().collect::<String>());
                statements.extend(std::iter::from_fn(|| splitter.next_statement()));
            }
            statements.extend(splitter.finish());
            assert_eq!(statements, whole, "pieces of {size}");
        }
    }

    #[test]
    fn says_what_it_waits_for() {
        for (input, pending) in [
            ("", Pending::Nothing),
            ("  \n-- c\n", Pending::Nothing),
            ("SELECT 1", Pending::Statement),
            ("SELECT 1;", Pending::Nothing),
            ("SELECT 'a", Pending::String),
            ("SELECT `a", Pending::Identifier),
            ("SELECT /* a", Pending::Comment),
            (
                "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1;",
                Pending::StatementSet,
            ),
            (
                "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; END",
                Pending::Statement,
            ),
        ] {
            let mut splitter = Splitter::default();
            splitter.push(input);
            while splitter.next_statement().is_some() {}
            assert_eq!(splitter.pending(), pending, "{input}");
        }
    }
}
