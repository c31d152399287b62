//! What scans of a plan read: fields of rows, and one scan for all queries over a table.

use millstream_plan::{Op, Plan};
use millstream_sql::bind::statement::{BoundStatement, bind_statement};
use millstream_sql::catalog::Catalogs;
use millstream_sql::parse::{NESTING_DEPTH_MAX, TREE_HEIGHT_MAX, parse_statements};
use millstream_types::ErrorCode;
use millstream_types::{ChangelogMode, ConnectorDecl, Declarations, FormatDecl, FormatUse, Options};

use crate::explain;

const JSON: FormatDecl = FormatDecl {
    identifier: "json",
    doc: "",
    options: &[],
    metadata: &[],
    decode: Some(ChangelogMode::INSERT_ONLY),
    encode: Some(ChangelogMode::INSERT_ONLY),
    narrows_rows: true,
    validate: |_| Ok(()),
};
const CSV: FormatDecl = FormatDecl {
    identifier: "csv",
    narrows_rows: false,
    ..JSON
};
const KAFKA: ConnectorDecl = ConnectorDecl {
    formats: FormatUse::Value,
    ..explain::KAFKA
};
const DECLARATIONS: Declarations = Declarations {
    connectors: &[&KAFKA],
    formats: &[&JSON, &CSV],
};

/// The stack of a thread as servers start them.
const SMALL_STACK_BYTES: usize = 2 << 20;

/// The plan of the last statement of a script.
fn plan(script: &str) -> Plan {
    let mut catalogs = Catalogs::new();
    let configuration = Options::new();
    let mut last = None;
    for statement in parse_statements(script).unwrap_or_else(|error| panic!("{}", error.render(script))) {
        let bound = bind_statement(&statement, &catalogs, &configuration, &DECLARATIONS);
        match bound.unwrap_or_else(|error| panic!("{}", error.render(script))) {
            BoundStatement::Catalog(operation) => catalogs.apply(operation).expect("a definition"),
            BoundStatement::Query(query) => last = Some(query.plan),
            BoundStatement::Insert(insert) => last = Some(insert.plan),
            other => panic!("not {other:?}"),
        }
    }
    last.expect("a query")
}

/// The types that each scan of a plan produces.
fn scans(plan: &Plan) -> Vec<String> {
    let scans = plan
        .nodes
        .iter()
        .filter(|node| matches!(node.op, Op::Scan { .. }));
    let types = |columns: Vec<String>| columns.join(", ");
    scans
        .map(|node| {
            let columns = node.schema.columns.iter();
            types(columns.map(|c| format!("{} {}", c.name, c.ty)).collect())
        })
        .collect()
}

fn events(format: &str) -> String {
    format!(
        "CREATE TABLE e (kind INT, bid ROW<auction BIGINT, price BIGINT, ts TIMESTAMP(3), extra ROW<a INT, b STRING>>, \
         person ROW<id BIGINT, name STRING>, t AS CASE WHEN kind = 1 THEN bid.ts END, \
         WATERMARK FOR t AS t - INTERVAL '1' SECOND) WITH ('connector' = 'kafka', 'format' = '{format}');\n\
         CREATE VIEW bids AS SELECT bid.auction, bid.price, bid.extra.b AS b, t FROM e WHERE kind = 1;\n\
         CREATE VIEW people AS SELECT person.id, person.name, t FROM e WHERE kind = 0;\n"
    )
}

#[test]
fn a_scan_reads_only_the_fields_that_the_query_and_the_watermark_read() {
    let plan = plan(&format!("{}SELECT auction, b FROM bids", events("json")));
    let expected = "kind INT, bid ROW<`auction` BIGINT, `ts` TIMESTAMP(3), `extra` ROW<`b` STRING>>";
    assert_eq!(scans(&plan), [expected]);
}

#[test]
fn formats_that_go_by_position_read_whole_rows() {
    let plan = plan(&format!("{}SELECT auction, b FROM bids", events("csv")));
    assert!(scans(&plan)[0].contains("`price`"), "{:?}", scans(&plan));
}

#[test]
fn rows_that_leave_the_query_are_read_whole() {
    let plan = plan(&format!("{}SELECT bid, person.id FROM e", events("json")));
    let read = &scans(&plan)[0];
    assert!(
        read.contains("`a` INT") && read.contains("person ROW<`id` BIGINT>"),
        "{read}"
    );
}

#[test]
fn a_row_that_is_only_compared_with_null_keeps_one_field() {
    let plan = plan(&format!(
        "{}SELECT kind FROM e WHERE person IS NOT NULL",
        events("json")
    ));
    assert!(
        scans(&plan)[0].ends_with("person ROW<`id` BIGINT>"),
        "{:?}",
        scans(&plan)
    );
}

#[test]
fn views_over_one_topic_share_its_scan() {
    let join = "SELECT b.price, p.name FROM bids b JOIN people p ON b.auction = p.id";
    let plan = plan(&format!("{}{join}", events("json")));
    let expected = "kind INT, bid ROW<`auction` BIGINT, `price` BIGINT, `ts` TIMESTAMP(3)>, \
                    person ROW<`id` BIGINT, `name` STRING>";
    assert_eq!(scans(&plan), [expected]);
}

#[test]
fn inserts_of_a_set_share_a_scan_of_different_columns() {
    let plan = plan(&format!(
        "{}CREATE TABLE o (x BIGINT) WITH ('connector' = 'kafka', 'format' = 'json');\n\
         EXECUTE STATEMENT SET BEGIN INSERT INTO o SELECT auction FROM bids WHERE price > 10; \
         INSERT INTO o SELECT id FROM people; END",
        events("json")
    ));
    assert_eq!(scans(&plan).len(), 1, "{:?}", scans(&plan));
}

/// Tables that join by primary key, each to the previous one.
fn chain(tables: usize) -> String {
    let mut script = String::new();
    for table in 0..tables {
        script.push_str(&format!(
            "CREATE TABLE t{table} (id INT, v{table} INT, PRIMARY KEY (id) NOT ENFORCED) \
             WITH ('connector' = 'kafka', 'format' = 'json');\n"
        ));
    }
    let joins: Vec<String> = (1..tables)
        .map(|table| format!("JOIN t{table} ON t{}.id = t{table}.id", table - 1))
        .collect();
    script + &format!("SELECT t0.id FROM t0 {}", joins.join(" "))
}

#[test]
fn the_keys_of_forty_joins_are_derived_once_for_each_node() {
    let plan = plan(&chain(40));
    let joins = plan
        .nodes
        .iter()
        .filter(|node| matches!(node.op, Op::Join { .. }));
    assert_eq!(joins.count(), 39);
}

#[test]
fn sixty_joins_are_planned_on_a_small_stack() {
    let planned = std::thread::Builder::new()
        .stack_size(SMALL_STACK_BYTES)
        .spawn(|| plan(&chain(61)));
    let plan = planned.expect("a thread").join().expect("a plan");
    let joins = plan
        .nodes
        .iter()
        .filter(|node| matches!(node.op, Op::Join { .. }));
    assert_eq!(joins.count(), 60);
}

#[test]
fn deep_expressions_are_planned_or_refused_on_a_small_stack() {
    let bound = std::thread::Builder::new()
        .stack_size(SMALL_STACK_BYTES)
        .spawn(|| {
            let nested = |depth: usize| format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth));
            let refused = parse_statements(&nested(5_000)).map_err(|error| error.code);
            assert_eq!(refused, Err(ErrorCode::LimitExceeded));
            plan(&nested(NESTING_DEPTH_MAX / 4));
            let table = "CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'format' = 'json');\n";
            plan(&format!(
                "{table}SELECT a{} FROM t",
                " + a".repeat(TREE_HEIGHT_MAX - 50)
            ));
        });
    bound.expect("a thread").join().expect("no overflow");
}
