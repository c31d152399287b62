//! Sessions against snapshot files in `tests/scripts`: DDL, SHOW and DESCRIBE, and what is refused with which words.
//!
//! A file is a session from its first case on: cases stand between lines of `====`, each a statement, a line `----` and
//! the output. `UPDATE_SNAPSHOTS=1 cargo test -p millstream-sql scripts` writes the current output; read the
//! difference before you commit it.

use millstream_sql::bind::statement::{BoundStatement, bind_statement};
use millstream_sql::catalog::Catalogs;
use millstream_sql::parse::ast::StatementKind;
use millstream_sql::parse::parse_statement;
use millstream_types::{
    ChangelogMode, ConnectorDecl, Declarations, FormatDecl, FormatUse, InvalidTable, LogicalType,
    MetadataDecl, OptionDecl, OptionType, Options, Scalar, SinkAdaptation, SourceAbilities, SourceWatermarks,
    TableDefinition,
};

const CASES: &str = "\n====\n";
const SEPARATOR: &str = "\n----\n";

const APPEND: Option<ChangelogMode> = Some(ChangelogMode::INSERT_ONLY);
const CHANGES: Option<ChangelogMode> = Some(ChangelogMode::ALL);
const UPSERTS: Option<ChangelogMode> = Some(ChangelogMode::UPSERT);

const FILE_METADATA: &[MetadataDecl] = &[
    MetadataDecl {
        key: "file.name",
        ty: || LogicalType::STRING,
        writable: false,
        doc: "",
    },
    MetadataDecl {
        key: "file.size",
        ty: || LogicalType::BIGINT,
        writable: false,
        doc: "",
    },
];
const RECORD_METADATA: &[MetadataDecl] = &[
    MetadataDecl {
        key: "timestamp",
        ty: || LogicalType::timestamp_ltz(3),
        writable: true,
        doc: "",
    },
    MetadataDecl {
        key: "offset",
        ty: || LogicalType::BIGINT,
        writable: false,
        doc: "",
    },
];
const LOG_OPTIONS: &[OptionDecl] = &[
    OptionDecl::new("topic", OptionType::String, "").required(),
    OptionDecl::new(
        "scan.startup.mode",
        OptionType::Enum(&["earliest-offset", "latest-offset"]),
        "",
    ),
    OptionDecl::new("properties.*", OptionType::String, ""),
];
const NO_OPTIONS: &[OptionDecl] = &[];

const FILES: ConnectorDecl = ConnectorDecl {
    identifier: "filesystem",
    doc: "",
    options: NO_OPTIONS,
    metadata: FILE_METADATA,
    formats: FormatUse::Value,
    source: APPEND,
    sink: APPEND,
    source_abilities: SourceAbilities {
        limits: true,
        ..SourceAbilities::NONE
    },
    sink_adaptation: SinkAdaptation::Fixed,
    strict: false,
    bounded: |_| true,
    validate: accept,
};
const LOG: ConnectorDecl = ConnectorDecl {
    identifier: "kafka",
    options: LOG_OPTIONS,
    metadata: RECORD_METADATA,
    formats: FormatUse::KeyAndValue,
    strict: true,
    bounded: |_| false,
    source_abilities: SourceAbilities {
        watermarks: SourceWatermarks::PerSplit,
        shared_across_filters: true,
        ..SourceAbilities::NONE
    },
    ..FILES
};
const UPSERT_LOG: ConnectorDecl = ConnectorDecl {
    identifier: "upsert-kafka",
    formats: FormatUse::None,
    source: UPSERTS,
    sink: UPSERTS,
    ..LOG
};
const SINK: ConnectorDecl = ConnectorDecl {
    identifier: "print",
    metadata: &[],
    formats: FormatUse::None,
    source: None,
    sink: CHANGES,
    sink_adaptation: SinkAdaptation::AsProduced,
    ..FILES
};
const GENERATOR: ConnectorDecl = ConnectorDecl {
    identifier: "datagen",
    metadata: &[],
    formats: FormatUse::None,
    sink: None,
    source_abilities: SourceAbilities::NONE,
    ..FILES
};
const JSON: FormatDecl = FormatDecl {
    identifier: "json",
    doc: "",
    options: &[OptionDecl::new("ignore-parse-errors", OptionType::Boolean, "")],
    metadata: &[],
    decode: APPEND,
    encode: APPEND,
    narrows_rows: true,
    validate: accept,
};
const CDC: FormatDecl = FormatDecl {
    identifier: "debezium-json",
    decode: CHANGES,
    encode: CHANGES,
    narrows_rows: false,
    ..JSON
};

const DECLARATIONS: Declarations = Declarations {
    connectors: &[&FILES, &LOG, &UPSERT_LOG, &SINK, &GENERATOR],
    formats: &[&JSON, &CDC],
};

fn accept(_: &TableDefinition<'_>) -> Result<(), InvalidTable> {
    Ok(())
}

#[derive(Default)]
struct Session {
    catalogs: Catalogs,
    configuration: Options,
}

impl Session {
    fn output(&mut self, sql: &str) -> String {
        let statement = match parse_statement(sql) {
            Ok(statement) => statement,
            Err(error) => return format!("error[{}]: {}", error.code, error.render(sql)),
        };
        match &statement.kind {
            StatementKind::Set(Some(option)) => {
                self.configuration
                    .insert(option.key.value.clone(), option.value.value.clone());
                return "ok".to_owned();
            }
            StatementKind::Reset(Some(key)) => {
                self.configuration.remove(&key.value);
                return "ok".to_owned();
            }
            _ => {}
        }
        match bind_statement(&statement, &self.catalogs, &self.configuration, &DECLARATIONS) {
            Err(error) => format!("error[{}]: {}", error.code(), error.render(sql)),
            Ok(BoundStatement::Catalog(operation) | BoundStatement::CreateTableAs { operation, .. }) => {
                match self.catalogs.apply(operation) {
                    Ok(()) => "ok".to_owned(),
                    Err(error) => format!("error[{}]: {}", error.code(), error.render(sql)),
                }
            }
            Ok(BoundStatement::Show(result)) => {
                let rows = result
                    .rows
                    .iter()
                    .map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" | "));
                rows.map(|row| row.trim_end().to_owned())
                    .collect::<Vec<_>>()
                    .join("\n")
            }
            Ok(BoundStatement::Query(query)) => {
                let columns = query
                    .schema
                    .columns
                    .iter()
                    .map(|c| format!("{}: {}", c.name, c.ty));
                format!("query ({})", columns.collect::<Vec<_>>().join(", "))
            }
            Ok(BoundStatement::Insert(insert)) => format!("insert into {}", insert.sinks.join(", ")),
            Ok(BoundStatement::Session) => "ok".to_owned(),
        }
    }
}

fn cell(value: &Scalar) -> String {
    match value {
        Scalar::Null => "NULL".to_owned(),
        Scalar::Boolean(value) => value.to_string().to_uppercase(),
        Scalar::String(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn check(name: &str) {
    let path = format!("{}/tests/scripts/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut session = Session::default();
    let (mut today, mut failures) = (Vec::new(), Vec::new());
    for case in text.trim_end().split(CASES) {
        let (sql, expected) = case.split_once(SEPARATOR).unwrap_or((case, ""));
        let output = session.output(sql);
        if output != expected {
            failures.push(format!("{sql}\nexpected:\n{expected}\ngot:\n{output}"));
        }
        today.push(format!("{}{SEPARATOR}{output}", sql.trim_end()));
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, format!("{}\n", today.join(CASES))).expect("the snapshot can be written");
        return;
    }
    assert!(
        failures.is_empty(),
        "{} results in {name} differ:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

#[test]
fn tables_are_defined_and_shown() {
    check("tables");
}

#[test]
fn tables_are_altered() {
    check("alter");
}

#[test]
fn catalogs_and_temporary_objects() {
    check("catalogs");
}

#[test]
fn views_are_written_out() {
    check("views");
}

#[test]
fn wrong_queries_say_what_to_write() {
    check("query_errors");
}

#[test]
fn errors_point_at_their_place() {
    check("diagnostics");
}

#[test]
fn what_streaming_cannot_do() {
    check("streaming_errors");
}

#[test]
fn inserts_fit_their_sinks() {
    check("inserts");
}

#[test]
fn old_spellings_have_remedies() {
    check("old_spellings");
}

#[test]
fn types_and_time_attributes_of_queries() {
    check("types");
}
