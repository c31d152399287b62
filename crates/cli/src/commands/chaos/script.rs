//! The script that chaos runs: the user's, with its outputs inside of a trial's directory and checkpoints in quick
//! succession. Nothing outside of that directory is written.
//!
//! Only option values and whole statements are replaced, in place, so that line numbers of error messages stay true.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use millstream_sql::parse::ast::{CreateStatement, CreateTable, SqlOption, Statement, StatementKind};
use millstream_sql::parse::unparse::quote_string;
use millstream_sql::parse::{Span, parse_statements};

use crate::args::Common;

/// Settings that name directories of the user, or state of earlier runs.
pub const OUTSIDE: [&str; 6] = [
    "execution.checkpointing.dir",
    "execution.checkpointing.savepoint-dir",
    "execution.state-recovery.path",
    "state.checkpoints.dir",
    "state.savepoints.dir",
    "execution.savepoint.path",
];
/// The setting that chaos replaces, so that kills hit between checkpoints and inside of them.
pub const INTERVAL: &str = "execution.checkpointing.interval";
const PARALLELISM: &str = "parallelism.default";

/// Options of files: they become visible soon after they are written, whenever the script is stopped.
const ROLLING: [(&str, &str); 2] = [
    ("sink.rolling-policy.rollover-interval", "100 ms"),
    ("sink.rolling-policy.check-interval", "50 ms"),
];

/// Formats whose records are lines of text in files.
const LINE_FORMATS: [&str; 3] = ["json", "csv", "raw"];

/// A table that the script writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub table: String,
    pub place: Place,
    /// Whether the options promise each record once.
    pub is_exactly_once: bool,
}

/// Where the rows of an output are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Topic {
        topic: String,
        content: Content,
    },
    /// Files below the trial's directory of this name.
    Files {
        directory: String,
    },
}

/// What the records of a topic say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Each record is a row.
    Rows,
    /// The last record of a key is its row.
    LastByKey,
    /// Debezium's envelopes: rows that come and go.
    Changes,
}

/// A piece of the script that is replaced.
#[derive(Debug)]
struct Edit {
    span: Span,
    by: Replacement,
}

#[derive(Debug, Clone)]
enum Replacement {
    Text(String),
    /// The address of the trial's broker.
    Broker,
    /// A directory of the trial, and options behind it.
    Directory(String, String),
    Nothing,
}

/// A script that is ready for trials.
#[derive(Debug)]
pub struct Script {
    text: String,
    edits: Vec<Edit>,
    pub outputs: Vec<Output>,
    /// Directories of outputs that exist already, and their names in a trial.
    pub existing: Vec<(PathBuf, String)>,
    pub sets_parallelism: bool,
    /// What chaos leaves out or cannot compare.
    pub notes: Vec<String>,
}

/// The options of a table by key, with the place of each value.
type TableOptions = BTreeMap<String, (String, Span)>;

impl Script {
    /// Reads a script. An error names what keeps it from running on a copy. `is_embedded` tells whether a list of bootstrap
    /// servers names the embedded broker.
    pub fn new(
        text: &str,
        common: &Common,
        interval: &str,
        is_embedded: &dyn Fn(&str) -> bool,
    ) -> anyhow::Result<Self> {
        let statements = parse_statements(text).map_err(|error| anyhow::anyhow!("{error}"))?;
        reject_hints(text)?;
        let mut script = Self {
            text: text.to_owned(),
            edits: Vec::new(),
            outputs: Vec::new(),
            existing: Vec::new(),
            sets_parallelism: common.define.iter().any(|(key, _)| key == PARALLELISM),
            notes: Vec::new(),
        };
        let mut tables: BTreeMap<String, TableOptions> = BTreeMap::new();
        let mut written = Vec::new();
        for statement in &statements {
            script.statement(statement, interval, &mut tables, &mut written)?;
        }
        if written.is_empty() {
            bail!("the script writes to no table; chaos compares what INSERT statements write");
        }
        written.sort();
        written.dedup();
        script.outputs(&tables, &written)?;
        for (name, options) in &tables {
            script.isolate(name, options, common, is_embedded)?;
        }
        Ok(script)
    }

    fn statement(
        &mut self,
        statement: &Statement,
        interval: &str,
        tables: &mut BTreeMap<String, TableOptions>,
        written: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        match &statement.kind {
            StatementKind::Insert(insert) => written.push(last(&insert.target.parts)),
            StatementKind::StatementSet(set) => {
                for statement in &set.statements {
                    self.statement(statement, interval, tables, written)?;
                }
            }
            StatementKind::Create(CreateStatement::Table(table)) => {
                let name = last(&table.name.parts);
                tables.insert(name.clone(), options_of(table, tables));
                if table.query.is_some() {
                    written.push(name);
                }
            }
            StatementKind::Set(Some(SqlOption { key, value, .. })) => {
                let key = key.value.as_str();
                self.sets_parallelism |= key == PARALLELISM;
                if key == INTERVAL {
                    self.replace(value.span, Replacement::Text(quote_string(interval)));
                } else if OUTSIDE.contains(&key) {
                    self.leave_out(statement, &format!("SET '{key}'"));
                }
            }
            StatementKind::Query(_) => self.leave_out(statement, "a query, which writes nothing"),
            StatementKind::Update(_) | StatementKind::Delete(_) | StatementKind::Plan(_) => {
                bail!(
                    "line {}: chaos runs scripts of CREATE, SET and INSERT statements; this one is of another kind",
                    self.line(statement.span)
                );
            }
            _ => {}
        }
        Ok(())
    }

    fn line(&self, span: Span) -> usize {
        self.text[..span.start].matches('\n').count() + 1
    }

    fn leave_out(&mut self, statement: &Statement, what: &str) {
        let line = self.line(statement.span);
        self.notes.push(format!("line {line} is left out: {what}"));
        self.replace(statement.span, Replacement::Nothing);
    }

    fn replace(&mut self, span: Span, by: Replacement) {
        // A value that several tables share by LIKE is replaced once. Spans compare as equal wherever they are.
        if !self.edits.iter().any(|edit| edit.span.start == span.start) {
            self.edits.push(Edit { span, by });
        }
    }

    /// Where the written tables have their rows.
    fn outputs(&mut self, tables: &BTreeMap<String, TableOptions>, written: &[String]) -> anyhow::Result<()> {
        for name in written {
            let options = tables.get(name).with_context(|| {
                format!(
                    "the script writes to '{name}' and does not create it; add its CREATE TABLE to the script"
                )
            })?;
            let place = match text(options, "connector") {
                "kafka" => place_of_topic(options, text(options, "value.format")),
                "upsert-kafka" => Some(Place::Topic {
                    topic: text(options, "topic").to_owned(),
                    content: Content::LastByKey,
                }),
                "filesystem" => LINE_FORMATS
                    .contains(&text(options, "format"))
                    .then(|| Place::Files {
                        directory: format!("files-{name}"),
                    }),
                "print" | "blackhole" => None,
                other => bail!(
                    "table '{name}': chaos cannot run with connector '{other}', whose rows are not in a copy"
                ),
            };
            let Some(place) = place else {
                self.notes.push(format!(
                    "table '{name}' is not compared: its rows cannot be read back"
                ));
                continue;
            };
            let is_exactly_once = matches!(
                place,
                Place::Files { .. }
                    | Place::Topic {
                        content: Content::LastByKey,
                        ..
                    }
            ) || text(options, "sink.delivery-guarantee") == "exactly-once";
            self.outputs.push(Output {
                table: name.clone(),
                place,
                is_exactly_once,
            });
        }
        if self.outputs.is_empty() {
            bail!("no table that the script writes can be read back; chaos compares topics and text files");
        }
        Ok(())
    }

    /// Keeps a table inside of the trial: its broker is the trial's, its files are copies.
    fn isolate(
        &mut self,
        name: &str,
        options: &TableOptions,
        common: &Common,
        is_embedded: &dyn Fn(&str) -> bool,
    ) -> anyhow::Result<()> {
        if let Some((servers, span)) = options.get("properties.bootstrap.servers") {
            if !is_embedded(servers) {
                bail!(
                    "table '{name}' is on the Kafka cluster '{servers}', which chaos must not touch; copy its topics to the \
                     embedded broker and add --map {servers}={}",
                    common.kafka
                );
            }
            self.replace(*span, Replacement::Broker);
        }
        if text(options, "connector") != "filesystem" {
            return Ok(());
        }
        let Some((path, span)) = options.get("path") else {
            return Ok(());
        };
        let absolute = std::path::absolute(path.strip_prefix("file://").unwrap_or(path))?;
        let directory = format!("files-{name}");
        let is_output = |output: &Output| output.table == name && matches!(output.place, Place::Files { .. });
        if self.outputs.iter().any(is_output) {
            self.existing.push((absolute, directory.clone()));
            let mut more = String::new();
            for (key, value) in ROLLING {
                match options.get(key) {
                    Some((_, span)) => self.replace(*span, Replacement::Text(quote_string(value))),
                    None => more.push_str(&format!(", '{key}' = '{value}'")),
                }
            }
            self.replace(*span, Replacement::Directory(directory, more));
        } else {
            let text = quote_string(&absolute.to_string_lossy());
            self.replace(*span, Replacement::Text(text));
        }
        Ok(())
    }

    /// The script of a trial.
    pub fn render(&self, directory: &Path, broker: &str) -> String {
        let mut edits: Vec<&Edit> = self.edits.iter().collect();
        edits.sort_by_key(|edit| edit.span.start);
        let (mut rendered, mut position) = (String::new(), 0);
        for edit in edits {
            rendered.push_str(&self.text[position..edit.span.start]);
            match &edit.by {
                Replacement::Text(text) => rendered.push_str(text),
                Replacement::Broker => rendered.push_str(&quote_string(broker)),
                Replacement::Directory(name, more) => {
                    rendered.push_str(&quote_string(&directory.join(name).to_string_lossy()));
                    rendered.push_str(more);
                }
                Replacement::Nothing => {
                    let lines = self.text[edit.span.start..edit.span.end].matches('\n').count();
                    rendered.push_str(&"\n".repeat(lines));
                }
            }
            position = edit.span.end;
        }
        rendered.push_str(&self.text[position..]);
        rendered
    }
}

fn last(parts: &[millstream_sql::parse::ast::Ident]) -> String {
    parts.last().map(|part| part.value.clone()).unwrap_or_default()
}

/// The options of a table, over those that it takes from another by LIKE.
fn options_of(table: &CreateTable, tables: &BTreeMap<String, TableOptions>) -> TableOptions {
    let base = table.like.as_ref().map(|like| last(&like.source.parts));
    let mut options = base
        .and_then(|name| tables.get(&name).cloned())
        .unwrap_or_default();
    let own = table.options.iter();
    options.extend(own.map(|o| (o.key.value.clone(), (o.value.value.clone(), o.value.span))));
    options
}

fn text<'a>(options: &'a TableOptions, key: &str) -> &'a str {
    options.get(key).map_or("", |(value, _)| value)
}

fn place_of_topic(options: &TableOptions, value_format: &str) -> Option<Place> {
    let format = match value_format {
        "" => text(options, "format"),
        format => format,
    };
    let content = match format {
        "debezium-json" => Content::Changes,
        "canal-json" | "maxwell-json" | "ogg-json" => return None,
        _ => Content::Rows,
    };
    Some(Place::Topic {
        topic: text(options, "topic").to_owned(),
        content,
    })
}

/// Hints can name other topics, files and clusters than the tables do.
fn reject_hints(script: &str) -> anyhow::Result<()> {
    for hint in script.split("/*+").skip(1) {
        let hint = hint.split("*/").next().unwrap_or(hint);
        let keys = ["'path'", "'topic'", "bootstrap.servers", "'connector'"];
        if let Some(key) = keys.into_iter().find(|key| hint.contains(key)) {
            bail!("the hint /*+{hint}*/ changes {key}; write it into the table for chaos");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Cli;

    fn read(text: &str) -> anyhow::Result<Script> {
        let common = Cli::parse_from(["millstream", "broker"]).common;
        Script::new(text, &common, "100 ms", &|servers| servers == "kafka:9092")
    }

    fn rejected(text: &str) -> String {
        format!("{:#}", read(text).expect_err(text))
    }

    const COPY: &str = "SET 'execution.checkpointing.interval' = '1 h';
        SET 'execution.checkpointing.dir' = '/var/state';
        CREATE TABLE a (n INT) WITH ('connector' = 'kafka', 'topic' = 'a', 'format' = 'json',
          'properties.bootstrap.servers' = 'kafka:9092');
        CREATE TABLE b WITH ('topic' = 'b', 'sink.delivery-guarantee' = 'exactly-once') LIKE a;
        CREATE TABLE f (n INT) WITH ('connector' = 'filesystem', 'path' = '/data/f', 'format' = 'csv');
        SELECT 1;
        INSERT INTO b SELECT n FROM a;
        EXECUTE STATEMENT SET BEGIN INSERT INTO f SELECT n FROM a; END;";

    #[test]
    fn a_script_is_moved_into_its_trial() {
        let script = read(COPY).expect("a script that chaos can run");
        let outputs: Vec<_> = script
            .outputs
            .iter()
            .map(|o| (o.table.as_str(), o.is_exactly_once))
            .collect();
        assert_eq!(outputs, [("b", true), ("f", true)]);
        let rendered = script.render(Path::new("/trial"), "127.0.0.1:7");
        for (present, text) in [
            (true, "'execution.checkpointing.interval' = '100 ms'"),
            (true, "'properties.bootstrap.servers' = '127.0.0.1:7'"),
            (true, "'path' = '/trial/files-f'"),
            (false, "/var/state"),
            (false, "SELECT 1"),
        ] {
            assert_eq!(rendered.contains(text), present, "{text} in {rendered}");
        }
        assert_eq!(rendered.matches('\n').count(), COPY.matches('\n').count());
        assert_eq!(script.notes.len(), 2, "{:?}", script.notes);
    }

    #[test]
    fn what_is_outside_of_a_copy_is_named() {
        let table = "CREATE TABLE t (n INT) WITH ('connector' = 'kafka', 'topic' = 't', 'format' = 'json'";
        for (script, expected) in [
            (
                format!("{table}, 'properties.bootstrap.servers' = 'prod:9092'); INSERT INTO t SELECT 1"),
                "'prod:9092'",
            ),
            ("INSERT INTO elsewhere SELECT 1".to_owned(), "'elsewhere'"),
            ("SELECT 1".to_owned(), "writes to no table"),
            (
                format!("{table}); INSERT INTO t /*+ OPTIONS('topic'='x') */ SELECT 1"),
                "'topic'",
            ),
            (format!("{table}); DELETE FROM t"), "line 1"),
        ] {
            let error = rejected(&script);
            assert!(error.contains(expected), "{script}: {error}");
        }
    }
}
