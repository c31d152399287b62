//! `HELP`, generated from the declarations.

use std::fmt::Write;

use millstream_connectors::DECLARATIONS;
use millstream_functions::scalar::Group;
use millstream_functions::{aggregate_function, all_aggregates, all_scalars, scalar_function};
use millstream_sql::language::{EXPRESSIONS, TABLES};
use millstream_sql::parse::similar::nearest;
use millstream_types::OptionDecl;

/// Width of a line of names.
const LINE_WIDTH: usize = 96;

/// The statements, each with a template.
const STATEMENTS: [(&str, &str); 20] = [
    ("SELECT", "SELECT a, COUNT(*) FROM t WHERE b > 1 GROUP BY a;"),
    ("VALUES", "VALUES (1, 'a'), (2, 'b');"),
    (
        "CREATE TABLE",
        "CREATE TABLE t (a INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector' = 'kafka', 'topic' = 't', 'format' = 'json');",
    ),
    ("CREATE VIEW", "CREATE VIEW v AS SELECT a FROM t;"),
    ("CREATE DATABASE", "CREATE DATABASE d;"),
    (
        "CREATE CATALOG",
        "CREATE CATALOG c WITH ('type' = 'generic_in_memory');",
    ),
    ("ALTER TABLE", "ALTER TABLE t ADD (c STRING);"),
    ("DROP", "DROP TABLE IF EXISTS t;"),
    ("INSERT", "INSERT INTO t SELECT a, b FROM s;"),
    (
        "EXECUTE STATEMENT SET",
        "EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1; INSERT INTO s SELECT 2; END;",
    ),
    (
        "SHOW",
        "SHOW TABLES; SHOW CREATE TABLE t; SHOW FUNCTIONS; SHOW JOBS;",
    ),
    ("DESCRIBE", "DESCRIBE t;"),
    ("EXPLAIN", "EXPLAIN CHANGELOG_MODE SELECT a FROM t;"),
    ("USE", "USE d; USE CATALOG c;"),
    ("SET", "SET 'execution.runtime-mode' = 'batch'; SET;"),
    ("RESET", "RESET 'execution.runtime-mode'; RESET;"),
    ("STOP JOB", "STOP JOB 'id';"),
    ("HELP", "HELP; HELP concat_ws; HELP kafka;"),
    ("SOURCE", "SOURCE setup.sql;"),
    ("QUIT", "QUIT; EXIT; CLEAR;"),
];

/// Statements, functions and connectors: everything that has its own help page.
pub fn overview() -> String {
    let mut text = String::from("Statements end with ;\n\n");
    for (name, form) in STATEMENTS {
        line(&mut text, format_args!("  {name:<22} {form}"));
    }
    let mut groups: Vec<(Group, Vec<&str>)> = Vec::new();
    for function in all_scalars().filter(|f| f.syntax.starts_with(f.name)) {
        match groups.iter_mut().find(|(group, _)| *group == function.group) {
            Some((_, names)) => names.push(function.name),
            None => groups.push((function.group, vec![function.name])),
        }
    }
    groups.sort_by_key(|(group, _)| *group);
    text.push_str("\nFunctions; HELP name says more\n");
    for (group, mut names) in groups {
        names.sort_unstable();
        section(&mut text, &format!("{group:?}"), &names);
    }
    let mut aggregates: Vec<&str> = all_aggregates().map(|f| f.name).collect();
    aggregates.sort_unstable();
    section(&mut text, "Aggregate", &aggregates);
    text.push_str("\nConnectors and formats; HELP name lists their options\n");
    let connectors: Vec<&str> = DECLARATIONS.connectors.iter().map(|c| c.identifier).collect();
    section(&mut text, "Connectors", &connectors);
    let formats: Vec<&str> = DECLARATIONS.formats.iter().map(|f| f.identifier).collect();
    section(&mut text, "Formats", &formats);
    text
}

/// The help page of a name.
pub fn topic(name: &str) -> String {
    let name = name.trim().trim_matches(['\'', '`']);
    let mut text = String::new();
    if let Some(function) = scalar_function(name) {
        entry(&mut text, function.syntax, function.doc, function.aliases);
    }
    if let Some(function) = aggregate_function(name) {
        entry(&mut text, function.syntax, function.doc, function.aliases);
    }
    let lower = name.to_lowercase();
    if let Some(connector) = DECLARATIONS.connector(&lower) {
        line(
            &mut text,
            format_args!("connector '{}': {}", connector.identifier, connector.doc),
        );
        options(&mut text, connector.options);
    }
    if let Some(format) = DECLARATIONS.format(&lower) {
        line(
            &mut text,
            format_args!("format '{}': {}", format.identifier, format.doc),
        );
        options(&mut text, format.options);
    }
    let upper = name.to_uppercase();
    let forms = EXPRESSIONS.iter().chain(TABLES);
    for form in forms.filter(|form| form.syntax.starts_with(&upper)) {
        entry(&mut text, form.syntax, form.doc, &[]);
    }
    for (_, form) in STATEMENTS
        .iter()
        .filter(|(statement, _)| statement.starts_with(&upper))
    {
        line(&mut text, format_args!("{form}"));
    }
    if text.is_empty() {
        let known = all_scalars()
            .map(|f| f.name)
            .chain(all_aggregates().map(|f| f.name));
        let hint = nearest(&upper, known).map_or_else(String::new, |near| format!("; did you mean {near}?"));
        line(
            &mut text,
            format_args!("there is no function, statement, connector or format '{name}'{hint}"),
        );
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{arguments}");
}

fn entry(text: &mut String, syntax: &str, doc: &str, aliases: &[&str]) {
    line(text, format_args!("{syntax}"));
    line(text, format_args!("  {doc}"));
    if !aliases.is_empty() {
        line(text, format_args!("  also: {}", aliases.join(", ")));
    }
}

fn options(text: &mut String, options: &[OptionDecl]) {
    for option in options {
        let default = match (option.required, option.default) {
            (true, _) => "required".to_owned(),
            (false, Some(default)) => format!("default '{default}'"),
            (false, None) => "optional".to_owned(),
        };
        line(text, format_args!("  '{}' ({default})", option.key));
        line(text, format_args!("      {}", option.doc));
    }
}

/// A labelled list of names, wrapped for a terminal.
fn section(text: &mut String, label: &str, names: &[&str]) {
    let mut row = format!("  {label:<13}");
    let indent = row.len();
    for (i, name) in names.iter().enumerate() {
        let item = if i + 1 < names.len() {
            format!(" {name},")
        } else {
            format!(" {name}")
        };
        if row.len() + item.len() > LINE_WIDTH && row.len() > indent {
            line(text, format_args!("{row}"));
            row = " ".repeat(indent);
        }
        row.push_str(&item);
    }
    line(text, format_args!("{row}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overview_names_everything_that_is_declared() {
        let text = overview();
        for name in ["SELECT", "EXPLAIN", "UPPER", "COUNT", "kafka", "json"] {
            assert!(text.contains(name), "{name}");
        }
        assert!(text.lines().all(|line| !line.ends_with(' ')), "{text}");
    }

    #[test]
    fn topics() {
        assert!(
            topic("concat_ws").starts_with("CONCAT_WS("),
            "{}",
            topic("concat_ws")
        );
        assert!(topic("datagen").contains("'rows-per-second'"));
        assert!(topic("explain").contains("EXPLAIN CHANGELOG_MODE"));
        assert!(
            topic("tumble").starts_with("TUMBLE(TABLE t"),
            "{}",
            topic("tumble")
        );
        assert!(topic("UPPR").contains("did you mean UPPER?"), "{}", topic("UPPR"));
    }
}
