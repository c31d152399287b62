//! Statements in the loose form that Flink's client takes before its grammar does: `SET key = value` and
//! `RESET key` without quotes.
//!
//! The value reaches to the next blank, whatever signs it holds, so that these are matched on the text: a key
//! such as `a.b-c` and a value such as `Asia/Tokyo` are not tokens.

use super::ast::{Span, SqlOption, Statement, StatementKind, StringLiteral};

/// The statement, if the text is a SET or RESET without quotes around the key.
pub fn loose_statement(sql: &str) -> Option<Statement> {
    let start = sql.len() - sql.trim_start().len();
    let text = sql.trim_end().trim_end_matches(';').trim_end();
    let rest = text.get(start..)?;
    let word_length = rest.find(char::is_whitespace)?;
    let after = start + word_length;
    let kind = match rest[..word_length].to_ascii_uppercase().as_str() {
        "SET" => set(text, after)?,
        "RESET" => StatementKind::Reset(Some(bare_word(text, after)?)),
        _ => return None,
    };
    Some(Statement {
        kind,
        span: Span::new(start, text.len()),
    })
}

/// `key = value` from `from` to the end of the text.
fn set(text: &str, from: usize) -> Option<StatementKind> {
    let equals = from + text[from..].find('=')?;
    let key = bare_word(&text[..equals], from)?;
    let value_start = equals + 1 + (text[equals + 1..].len() - text[equals + 1..].trim_start().len());
    let value = &text[value_start..];
    let quoted = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    let content = match quoted {
        Some(inner) if !inner.contains('\'') => inner,
        Some(_) => return None,
        None if value.is_empty() || value.contains(|c: char| c.is_whitespace() || "';".contains(c)) => {
            return None;
        }
        None => value,
    };
    let value = StringLiteral {
        value: content.to_owned(),
        span: Span::new(value_start, text.len()),
    };
    let span = key.span.to(value.span);
    Some(StatementKind::Set(Some(SqlOption { key, value, span })))
}

/// The only word after `from`, if it has no quotes.
fn bare_word(text: &str, from: usize) -> Option<StringLiteral> {
    let word = text[from..].trim();
    if word.is_empty() || word.contains(|c: char| c.is_whitespace() || "'`;=".contains(c)) {
        return None;
    }
    let start = from + (text[from..].len() - text[from..].trim_start().len());
    Some(StringLiteral {
        value: word.to_owned(),
        span: Span::new(start, start + word.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_parts(sql: &str) -> Option<(String, String)> {
        match loose_statement(sql)?.kind {
            StatementKind::Set(Some(option)) => Some((option.key.value, option.value.value)),
            _ => None,
        }
    }

    #[test]
    fn takes_keys_and_values_without_quotes() {
        let expected = Some(("table.local-time-zone".to_owned(), "Asia/Tokyo".to_owned()));
        assert_eq!(set_parts("SET table.local-time-zone = Asia/Tokyo"), expected);
        assert_eq!(set_parts("  set table.local-time-zone='Asia/Tokyo' ;"), expected);
    }

    #[test]
    fn leaves_the_rest_to_the_grammar() {
        for sql in [
            "SET",
            "SET 'a' = 'b'",
            "SET x y",
            "SET x = y z",
            "RESET",
            "RESET 'a'",
            "SELECT a = b",
            "SET a = ",
        ] {
            assert!(loose_statement(sql).is_none(), "{sql}");
        }
        assert!(matches!(
            loose_statement("reset a.b;").map(|s| s.kind),
            Some(StatementKind::Reset(Some(_)))
        ));
    }
}
