//! Completion inside string literals: keys and values of options, from their declarations.

use crate::configuration_options;
use millstream_connectors::DECLARATIONS;
use millstream_sql::parse::{Sign, Token, TokenKind};
use millstream_types::{FormatUse, OptionDecl, OptionType};

use super::words::readable;
use super::{Candidate, Vocabulary, last_statement};

/// Option keys whose values are formats.
const FORMAT_KEYS: [&str; 3] = ["format", "key.format", "value.format"];

/// The candidates for a string that opens after `before`.
pub fn candidates(_: &Vocabulary, line: &str, before: &str) -> Vec<Candidate> {
    let (tokens, _) = readable(before);
    let statement = last_statement(&tokens);
    let first = statement
        .first()
        .map_or("", |token| token.span.text(before))
        .to_uppercase();
    let is_setting = first == "SET" || first == "RESET";
    let declared: Vec<Declared> = if is_setting {
        configuration_options().map(Declared::plain).collect()
    } else {
        table_options(line)
    };
    match statement {
        [
            ..,
            Token {
                kind: TokenKind::String(key),
                ..
            },
            Token {
                kind: TokenKind::Sign(Sign::Equals),
                ..
            },
        ] => values(key, &declared),
        [.., last] if is_setting || is_option_list(statement, last) => declared
            .iter()
            .map(|option| Candidate::new(option.key.clone(), option.option.doc))
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether a string after this token can be a key: inside the parentheses of WITH or OPTIONS.
fn is_option_list(statement: &[Token], last: &Token) -> bool {
    matches!(last.kind, TokenKind::Sign(Sign::LeftParen | Sign::Comma))
        && statement
            .iter()
            .rev()
            .any(|token| token.kind == TokenKind::Sign(Sign::LeftParen))
}

/// An option under the full key that users write; formats add a prefix.
struct Declared {
    key: String,
    option: &'static OptionDecl,
}

impl Declared {
    fn plain(option: &'static OptionDecl) -> Self {
        Self {
            key: option.key.to_owned(),
            option,
        }
    }
}

const CONNECTOR: OptionDecl = OptionDecl::new(
    "connector",
    OptionType::String,
    "Where the rows come from or go to.",
)
.required();
const FORMAT: OptionDecl = OptionDecl::new("format", OptionType::String, "How a row is written.");

/// The options of the connector and the formats that the line names.
fn table_options(line: &str) -> Vec<Declared> {
    let named = named_options(line);
    let value = |key: &str| {
        named
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    };
    let Some(connector) = value("connector").and_then(|name| DECLARATIONS.connector(name)) else {
        return vec![Declared::plain(&CONNECTOR)];
    };
    let mut declared: Vec<Declared> = connector.options.iter().map(Declared::plain).collect();
    if connector.formats != FormatUse::None && !declared.iter().any(|option| option.key == FORMAT.key) {
        declared.push(Declared::plain(&FORMAT));
    }
    for key in FORMAT_KEYS {
        let Some(format) = value(key).and_then(|name| DECLARATIONS.format(name)) else {
            continue;
        };
        let prefix = key.strip_suffix("format").unwrap_or_default();
        let prefixed = |option: &'static OptionDecl| Declared {
            key: format!("{prefix}{}.{}", format.identifier, option.key),
            option,
        };
        declared.extend(format.options.iter().map(prefixed));
    }
    declared
}

/// All pairs `'key' = 'value'` of a line.
fn named_options(line: &str) -> Vec<(String, String)> {
    let (tokens, _) = readable(line);
    let pair = |window: &[Token]| match window {
        [
            Token {
                kind: TokenKind::String(key),
                ..
            },
            Token {
                kind: TokenKind::Sign(Sign::Equals),
                ..
            },
            Token {
                kind: TokenKind::String(value),
                ..
            },
        ] => Some((key.clone(), value.clone())),
        _ => None,
    };
    tokens.windows(3).filter_map(pair).collect()
}

fn values(key: &str, declared: &[Declared]) -> Vec<Candidate> {
    if key == CONNECTOR.key {
        return DECLARATIONS
            .connectors
            .iter()
            .map(|c| Candidate::new(c.identifier, c.doc))
            .collect();
    }
    if FORMAT_KEYS.contains(&key) {
        return DECLARATIONS
            .formats
            .iter()
            .map(|f| Candidate::new(f.identifier, f.doc))
            .collect();
    }
    let Some(Declared { option, .. }) = declared.iter().find(|option| option.key == key) else {
        return Vec::new();
    };
    match option.ty {
        OptionType::Enum(words) => words.iter().map(|word| Candidate::new(*word, "")).collect(),
        OptionType::Boolean => ["true", "false"].map(|word| Candidate::new(word, "")).into(),
        _ => option
            .default
            .map(|default| Candidate::new(default, "default"))
            .into_iter()
            .collect(),
    }
}
