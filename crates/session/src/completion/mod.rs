//! Completion: candidates for the text at the cursor, from the catalog, the declared options, the functions and the
//! keywords.
//!
//! The position decides which candidates apply: tables after FROM, the connector's options inside the strings of a WITH
//! clause, the columns of `t` after `t.`. Candidates come from tokens, not from a syntax tree, because the statement is
//! still incomplete. A wrong guess costs one key press.

mod options;
mod vocabulary;
pub mod words;

use std::collections::BTreeSet;

use millstream_sql::parse::words::{NON_RESERVED, RESERVED, is_reserved};
use millstream_sql::parse::{Sign, Token, TokenKind};

use words::{is_word_part, open_string, readable};

pub use vocabulary::Vocabulary;

/// The longest list that a menu shows.
const CANDIDATES_MAX: usize = 200;

/// Keywords that start a statement.
pub const STATEMENT_STARTS: [&str; 31] = [
    "ADD", "ALTER", "ANALYZE", "BEGIN", "CALL", "CLEAR", "COMPILE", "CREATE", "DELETE", "DESC", "DESCRIBE",
    "DROP", "END", "EXECUTE", "EXIT", "EXPLAIN", "HELP", "INSERT", "LOAD", "QUIT", "REMOVE", "RESET",
    "SELECT", "SET", "SHOW", "STOP", "TRUNCATE", "UPDATE", "USE", "VALUES", "WITH",
];

/// Keywords that are followed by a table.
const BEFORE_TABLES: [&str; 10] = [
    "FROM",
    "JOIN",
    "INTO",
    "OVERWRITE",
    "TABLE",
    "VIEW",
    "DESCRIBE",
    "DESC",
    "UPDATE",
    "EXISTS",
];

/// A candidate for the text at the cursor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    pub text: String,
    /// A short description, shown beside the text.
    pub about: String,
}

impl Candidate {
    fn new(text: impl Into<String>, about: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            about: about.into(),
        }
    }
}

/// The candidates, and the position from which a candidate replaces the text up to the cursor.
pub fn candidates(vocabulary: &Vocabulary, line: &str, cursor: usize) -> (usize, Vec<Candidate>) {
    let before = line.get(..cursor).unwrap_or(line);
    if let Some(start) = open_string(before) {
        let offered = options::candidates(vocabulary, line, &before[..start - 1]);
        return (start, matching(offered, &before[start..]));
    }
    let start = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_word_part(*c))
        .last()
        .map_or(before.len(), |(i, _)| i);
    let prefix = &before[start..];
    let (tokens, _) = readable(&before[..start]);
    let statement = last_statement(&tokens);
    if let Some(Token {
        kind: TokenKind::Sign(Sign::Dot),
        ..
    }) = statement.last()
    {
        let qualifier = statement
            .len()
            .checked_sub(2)
            .map_or("", |i| statement[i].span.text(before));
        return (start, matching(behind_dot(vocabulary, line, qualifier), prefix));
    }
    let words: Vec<String> = statement
        .iter()
        .map(|token| token.span.text(before).to_uppercase())
        .collect();
    let offered = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] if prefix.is_empty() && !tokens.is_empty() => Vec::new(),
        [] => words_of(&STATEMENT_STARTS, prefix),
        ["HELP"] => help_topics(prefix),
        [.., "CATALOG"] => named(&vocabulary.catalogs, "catalog"),
        [.., "DATABASE"] => named(&vocabulary.databases, "database"),
        ["USE"] => {
            let mut offered = words_of(&["CATALOG", "MODULES"], prefix);
            offered.extend(named(&vocabulary.databases, "database"));
            offered
        }
        [.., last] if BEFORE_TABLES.contains(last) => tables(vocabulary),
        _ if prefix.is_empty() => columns(vocabulary, line),
        _ => anything(vocabulary, line, prefix),
    };
    (start, matching(offered, prefix))
}

/// The tokens after the last `;`.
fn last_statement(tokens: &[Token]) -> &[Token] {
    let is_end = |token: &Token| token.kind == TokenKind::Sign(Sign::Semicolon);
    &tokens[tokens.iter().rposition(is_end).map_or(0, |end| end + 1)..]
}

fn matching(offered: Vec<Candidate>, prefix: &str) -> Vec<Candidate> {
    let prefix = prefix.to_lowercase();
    let mut seen = BTreeSet::new();
    let fits = |candidate: &Candidate| candidate.text.to_lowercase().starts_with(&prefix);
    let new = |candidate: &Candidate| seen.insert(candidate.text.clone());
    offered
        .into_iter()
        .filter(fits)
        .filter(new)
        .take(CANDIDATES_MAX)
        .collect()
}

/// Keywords, in the case that the user types.
fn words_of(words: &[&str], prefix: &str) -> Vec<Candidate> {
    let is_lower = prefix.starts_with(|c: char| c.is_lowercase());
    let spelled = |word: &&str| {
        if is_lower {
            word.to_lowercase()
        } else {
            (*word).to_owned()
        }
    };
    words
        .iter()
        .map(|word| Candidate::new(spelled(word), ""))
        .collect()
}

fn named(names: &[String], about: &str) -> Vec<Candidate> {
    names
        .iter()
        .map(|name| Candidate::new(quoted(name), about))
        .collect()
}

/// A name, quoted if it needs quotes.
fn quoted(name: &str) -> String {
    let is_plain = name.chars().all(is_word_part)
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !is_reserved(name);
    if is_plain {
        name.to_owned()
    } else {
        format!("`{}`", name.replace('`', "``"))
    }
}

fn tables(vocabulary: &Vocabulary) -> Vec<Candidate> {
    let here = vocabulary
        .tables
        .iter()
        .filter(|table| table.is_current)
        .map(|table| (&table.name, table.kind()));
    let databases = vocabulary.databases.iter().map(|name| (name, "database"));
    here.chain(databases)
        .map(|(name, about)| Candidate::new(quoted(name), about))
        .collect()
}

/// The columns of a table or alias, or the tables of a database.
fn behind_dot(vocabulary: &Vocabulary, line: &str, qualifier: &str) -> Vec<Candidate> {
    let name = qualifier.trim_matches('`');
    let mentioned = vocabulary.mentioned(line);
    let by_alias = mentioned
        .iter()
        .find(|(alias, _)| alias.eq_ignore_ascii_case(name))
        .map(|(_, table)| *table);
    let table = by_alias.or_else(|| {
        vocabulary
            .tables
            .iter()
            .find(|table| table.is_current && table.name == name)
    });
    if let Some(table) = table {
        return table
            .columns
            .iter()
            .map(|(column, ty)| Candidate::new(quoted(column), ty.clone()))
            .collect();
    }
    let in_database = vocabulary.tables.iter().filter(|table| table.database == name);
    in_database
        .map(|table| Candidate::new(quoted(&table.name), table.kind()))
        .collect()
}

/// The columns of all tables that the line mentions.
fn columns(vocabulary: &Vocabulary, line: &str) -> Vec<Candidate> {
    let tables = vocabulary.mentioned(line).into_iter().map(|(_, table)| table);
    tables
        .flat_map(|table| &table.columns)
        .map(|(column, ty)| Candidate::new(quoted(column), ty.clone()))
        .collect()
}

fn anything(vocabulary: &Vocabulary, line: &str, prefix: &str) -> Vec<Candidate> {
    let mut offered = columns(vocabulary, line);
    offered.extend(
        vocabulary
            .mentioned(line)
            .into_iter()
            .map(|(alias, table)| Candidate::new(quoted(alias), table.kind())),
    );
    offered.extend(tables(vocabulary));
    offered.extend(functions(prefix));
    offered.extend(words_of(&RESERVED, prefix));
    offered.extend(words_of(&NON_RESERVED, prefix));
    offered
}

/// Functions that are called by name.
fn functions(prefix: &str) -> Vec<Candidate> {
    let is_lower = prefix.starts_with(|c: char| c.is_lowercase());
    let scalars = millstream_functions::all_scalars().map(|f| (f.name, f.syntax));
    let aggregates = millstream_functions::all_aggregates().map(|f| (f.name, f.syntax));
    let callable = scalars
        .chain(aggregates)
        .filter(|(name, syntax)| syntax.starts_with(name) && name.chars().all(is_word_part));
    let spelled = |name: &str| {
        if is_lower {
            name.to_lowercase()
        } else {
            name.to_owned()
        }
    };
    let mut offered: Vec<Candidate> = callable
        .map(|(name, syntax)| Candidate::new(spelled(name), syntax))
        .collect();
    offered.sort_by(|a, b| a.text.cmp(&b.text));
    offered
}

fn help_topics(prefix: &str) -> Vec<Candidate> {
    let mut offered = words_of(&STATEMENT_STARTS, prefix);
    offered.extend(functions(prefix));
    offered
}

#[cfg(test)]
mod tests {
    use super::vocabulary::VocabularyTable;
    use super::*;

    fn vocabulary() -> Vocabulary {
        let table = |database: &str, name: &str, columns: &[&str], is_current| VocabularyTable {
            database: database.to_owned(),
            name: name.to_owned(),
            columns: columns
                .iter()
                .map(|column| ((*column).to_owned(), "INT".to_owned()))
                .collect(),
            is_view: false,
            is_current,
        };
        Vocabulary {
            catalogs: vec!["default_catalog".to_owned()],
            databases: vec!["default_database".to_owned(), "other".to_owned()],
            tables: vec![
                table("default_database", "orders", &["id", "price", "order"], true),
                table("default_database", "items", &["id", "item_name"], true),
                table("other", "remote", &["x"], false),
            ],
        }
    }

    /// The alternatives that `|` separates, the first of each pair only.
    fn offered(marked: &str) -> Vec<String> {
        let cursor = marked.find('|').expect("a cursor");
        let (_, candidates) = candidates(&vocabulary(), &marked.replace('|', ""), cursor);
        candidates
            .into_iter()
            .map(|candidate| candidate.text)
            .take(6)
            .collect()
    }

    #[test]
    fn the_place_decides() {
        let cases: [(&str, &[&str]); 14] = [
            ("sel|", &["select"]),
            ("SELECT 1; EXPL|", &["EXPLAIN"]),
            (
                "SELECT * FROM |",
                &["orders", "items", "default_database", "other"],
            ),
            ("SELECT * FROM ord|", &["orders"]),
            ("SELECT o.| FROM orders AS o", &["id", "price", "`order`"]),
            ("SELECT items.i| FROM items", &["id", "item_name"]),
            ("SELECT pr| FROM orders", &["price"]),
            ("SELECT * FROM other.|", &["remote"]),
            ("USE CATALOG |", &["default_catalog"]),
            ("CREATE TABLE t (a INT) WITH ('|", &["connector"]),
            ("CREATE TABLE t (a INT) WITH ('connector' = 'da|", &["datagen"]),
            (
                "CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'rows-per|",
                &["rows-per-second"],
            ),
            (
                "SET 'sql-client.execution.result-mode' = 'tab|",
                &["TABLE", "TABLEAU"],
            ),
            ("SET 'execution.run|", &["execution.runtime-mode"]),
        ];
        for (line, expected) in cases {
            let offered = offered(line);
            assert!(
                offered.starts_with(&expected.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>()),
                "{line}: {offered:?}"
            );
        }
    }

    #[test]
    fn words_follow_the_case_that_is_typed() {
        assert_eq!(offered("SELECT upp|"), ["upper"]);
        assert_eq!(offered("SELECT UPP|"), ["UPPER"]);
    }

    #[test]
    fn a_cursor_in_the_middle_completes_the_word_before_it() {
        let line = "SELECT it FROM items";
        let (start, found) = candidates(&vocabulary(), line, 9);
        assert_eq!(&line[start..9], "it");
        assert_eq!(found[0].text, "item_name");
    }
}
