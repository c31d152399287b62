//! EXPLAIN against snapshot files in `tests/explain`.
//!
//! A file begins with statements that define its tables; cases follow behind lines of `====`, each a statement, a line
//! `----` and the output. `UPDATE_SNAPSHOTS=1 cargo test -p millstream-sql explain` writes the current output; read
//! the difference before you commit it.

use millstream_plan::Op;
use millstream_sql::bind::statement::{BoundStatement, bind_statement};
use millstream_sql::catalog::Catalogs;
use millstream_sql::language::{EXPRESSIONS, TABLES};
use millstream_sql::parse::{parse_statement, parse_statements};
use millstream_types::{
    ChangelogMode, ConnectorDecl, Declarations, FormatUse, InvalidTable, OptionDecl, OptionType, Options,
    Scalar, SinkAdaptation, SourceAbilities, SourceWatermarks, TableDefinition,
};

const CASES: &str = "\n====\n";
const SEPARATOR: &str = "\n----\n";

pub const fn connector(
    identifier: &'static str,
    source: Option<ChangelogMode>,
    sink: Option<ChangelogMode>,
) -> ConnectorDecl {
    const OPTIONS: &[OptionDecl] = &[
        OptionDecl::new("bounded", OptionType::Boolean, ""),
        OptionDecl::new("sink.parallelism", OptionType::Int, ""),
    ];
    ConnectorDecl {
        identifier,
        doc: "",
        options: OPTIONS,
        metadata: &[],
        formats: FormatUse::None,
        source,
        sink,
        source_abilities: SourceAbilities::NONE,
        sink_adaptation: SinkAdaptation::Fixed,
        strict: false,
        bounded: ends,
        validate: accept,
    }
}

/// A connector whose source makes watermarks for each split.
pub const KAFKA: ConnectorDecl = ConnectorDecl {
    source_abilities: SourceAbilities {
        watermarks: SourceWatermarks::PerSplit,
        shared_across_filters: true,
        ..SourceAbilities::NONE
    },
    ..connector("kafka", APPEND, APPEND)
};

fn ends(options: &Options) -> bool {
    options.get("bounded").is_some_and(|value| value == "true")
}

fn accept(_: &TableDefinition<'_>) -> Result<(), InvalidTable> {
    Ok(())
}

const APPEND: Option<ChangelogMode> = Some(ChangelogMode::INSERT_ONLY);
const CHANGES: Option<ChangelogMode> = Some(ChangelogMode::ALL);
const UPSERTS: Option<ChangelogMode> = Some(ChangelogMode::UPSERT);

/// Connectors for plans alone: `kafka` makes watermarks in the source, the others do not.
const DECLARATIONS: Declarations = Declarations {
    connectors: &[
        &connector("append", APPEND, APPEND),
        &connector("changes", CHANGES, CHANGES),
        &connector("upserts", UPSERTS, UPSERTS),
        &KAFKA,
    ],
    formats: &[],
};

/// The plans of one session.
struct Session {
    catalogs: Catalogs,
    configuration: Options,
}

impl Session {
    fn define(&mut self, script: &str) {
        for statement in parse_statements(script).unwrap_or_else(|error| panic!("{}", error.render(script))) {
            let bound = bind_statement(&statement, &self.catalogs, &self.configuration, &DECLARATIONS);
            match bound.unwrap_or_else(|error| panic!("{}", error.render(script))) {
                BoundStatement::Catalog(operation) => self.catalogs.apply(operation).expect("a definition"),
                other => panic!("definitions only, not {other:?}"),
            }
        }
    }

    fn explain(&self, sql: &str) -> String {
        let statement = parse_statement(sql).unwrap_or_else(|error| panic!("{}", error.render(sql)));
        match bind_statement(&statement, &self.catalogs, &self.configuration, &DECLARATIONS) {
            Ok(BoundStatement::Show(result)) => match result.rows.as_slice() {
                [row] => match row.as_slice() {
                    [Scalar::String(text)] => text.trim_end().to_owned(),
                    other => panic!("one text, not {other:?}"),
                },
                rows => panic!("one row, not {rows:?}"),
            },
            Ok(other) => panic!("EXPLAIN must return text, not {other:?}"),
            Err(error) => format!("error: {}", error.render(sql)),
        }
    }
}

fn check(name: &str, configuration: &[(&str, &str)]) {
    let path = format!("{}/tests/explain/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut parts = text.trim_end().split(CASES);
    let definitions = parts.next().unwrap_or_default();
    let configuration = configuration
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let mut session = Session {
        catalogs: Catalogs::new(),
        configuration,
    };
    session.define(definitions);
    let mut today = definitions.to_owned();
    let mut failures = Vec::new();
    for case in parts {
        let (sql, expected) = case.split_once(SEPARATOR).unwrap_or((case, ""));
        let output = session.explain(sql);
        if output != expected {
            failures.push(format!("{sql}\nexpected:\n{expected}\ngot:\n{output}"));
        }
        today.push_str(&format!("{CASES}{}{SEPARATOR}{output}", sql.trim_end()));
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, format!("{today}\n")).expect("the snapshot can be written");
        return;
    }
    assert!(
        failures.is_empty(),
        "{} plans in {name} differ:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

#[test]
fn projections_and_filters() {
    check("calc", &[]);
}

#[test]
fn aggregates_and_windows() {
    check("aggregate", &[]);
}

#[test]
fn joins() {
    check("join", &[]);
}

#[test]
fn ranks_and_sorts() {
    check("order", &[]);
}

#[test]
fn sinks() {
    check("sink", &[]);
}

#[test]
fn advice() {
    check("advice", &[]);
}

#[test]
fn details() {
    check("details", &[("parallelism.default", "4")]);
}

/// The forms that the reference names are there.
#[test]
fn forms_of_the_language() {
    let mut session = Session {
        catalogs: Catalogs::new(),
        configuration: Options::new(),
    };
    session.define(
        "CREATE TABLE t (id INT, name STRING, list ARRAY<INT>, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
         WITH ('connector' = 'append')",
    );
    for form in EXPRESSIONS.iter().chain(TABLES) {
        let output = session.explain(&format!("EXPLAIN {}", form.example));
        assert!(
            output.starts_with("== Abstract Syntax Tree =="),
            "{}: {output}",
            form.syntax
        );
    }
}

#[test]
fn batch() {
    check("batch", &[("execution.runtime-mode", "batch")]);
}

#[test]
fn state_ttl_hints_reach_aggregates() {
    let mut session = Session {
        catalogs: Catalogs::new(),
        configuration: [("table.exec.state.ttl".to_owned(), "1 h".to_owned())].into(),
    };
    session.define("CREATE TABLE t (a INT, b STRING) WITH ('connector' = 'append')");
    let ttl = |sql: &str| {
        let statement = parse_statement(sql).expect("a statement");
        let bound = bind_statement(
            &statement,
            &session.catalogs,
            &session.configuration,
            &DECLARATIONS,
        );
        let Ok(BoundStatement::Query(query)) = bound else {
            panic!("a query, not {bound:?}");
        };
        let ttl = query.plan.nodes.iter().find_map(|node| match &node.op {
            Op::GroupAggregate { ttl_ms, .. } => Some(*ttl_ms),
            _ => None,
        });
        ttl.expect("an aggregate")
    };
    assert_eq!(ttl("SELECT a, COUNT(*) FROM t GROUP BY a"), 3_600_000);
    assert_eq!(
        ttl("SELECT /*+ STATE_TTL('t' = '2 d') */ a, COUNT(*) FROM t GROUP BY a"),
        172_800_000
    );
    assert_eq!(
        ttl("SELECT /*+ STATE_TTL('x' = '2 d') */ a, COUNT(*) FROM t AS x GROUP BY a"),
        172_800_000
    );
    assert_eq!(
        ttl("SELECT /*+ STATE_TTL('y' = '2 d') */ a, COUNT(*) FROM t AS x GROUP BY a"),
        3_600_000
    );
}
