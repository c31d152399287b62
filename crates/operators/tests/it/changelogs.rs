//! Operators that repair changelogs: normalisation, and what stands before a sink; UNNEST.

use millstream_plan::node::LengthEnforcer;
use millstream_plan::{ChangelogTraits, Expr, Node, ObjectIdentifier, Op, Plan, TableSpec};
use millstream_types::{LogicalType, Options, Scalar, TypeKind};

use crate::harness::{Run, Subject, parse, schema};

const ROW: &[LogicalType] = &[LogicalType::INT, LogicalType::STRING];

fn normalize(update_before: bool, condition: Option<Expr>) -> Subject {
    let op = Op::ChangelogNormalize {
        keys: vec![0],
        update_before,
        condition,
        ttl_ms: 0,
    };
    Subject::new(op, &[ROW], ROW).keyed(&[&[0]])
}

const UPSERTS: &str = "+I 1 a
    +U 1 b
    +U 1 b
    +I 2 x
    -D 1 -
    -D 3 -
    +U 1 c";

#[test]
fn upserts_become_a_changelog() {
    normalize(true, None).check(
        UPSERTS,
        "+I 1 a
         -U 1 a
         +U 1 b
         +I 2 x
         -D 1 b
         +I 1 c",
    );
}

#[test]
fn a_row_that_leaves_the_condition_is_deleted() {
    let text = |value: &str| Expr::literal(Scalar::String(value.to_owned()), LogicalType::STRING);
    let args = vec![Expr::column(1, LogicalType::STRING), text("b")];
    let condition = Expr::Call {
        function: "<>".to_owned(),
        args,
        ty: LogicalType::BOOLEAN,
    };
    normalize(true, Some(condition)).check(
        UPSERTS,
        "+I 1 a
         -D 1 a
         +I 2 x
         +I 1 c",
    );
}

/// A sink of a number and three characters; the first column is the primary key.
fn small_sink(materialize: bool, not_null: &[usize], drop: bool, lengths: LengthEnforcer) -> Subject {
    let declared = [LogicalType::INT, LogicalType::new(TypeKind::Char(3))];
    Subject {
        inputs: vec![ROW.to_vec()],
        output: ROW.to_vec(),
        ..sink(&declared, materialize, not_null, drop, lengths)
    }
}

/// A sink whose first column is the primary key.
pub fn sink(
    declared: &[LogicalType],
    materialize: bool,
    not_null: &[usize],
    drop: bool,
    lengths: LengthEnforcer,
) -> Subject {
    let table = TableSpec {
        identifier: ObjectIdentifier {
            catalog: "c".into(),
            database: "d".into(),
            name: "t".into(),
        },
        options: Options::default(),
        physical: schema(declared),
        primary_key: vec![0],
        partition_keys: Vec::new(),
    };
    let op = Op::Sink {
        table,
        columns: (0..declared.len()).collect(),
        metadata: Vec::new(),
        overwrite: false,
        static_partition: Vec::new(),
        materialize,
        not_null: not_null.to_vec(),
        not_null_drop: drop,
        length_enforcer: lengths,
    };
    let mut plan = Plan::new(Options::default());
    let traits = ChangelogTraits::default();
    let input = Node {
        op: Op::Collect,
        inputs: Vec::new(),
        schema: schema(declared),
        traits: traits.clone(),
    };
    let input = plan.add(input);
    let id = plan.add(Node {
        op,
        inputs: vec![input],
        schema: schema(declared),
        traits,
    });
    let factory = millstream_operators::sink_input(&plan, id).unwrap().unwrap();
    Subject {
        factory,
        inputs: vec![declared.to_vec()],
        output: declared.to_vec(),
        keys: vec![vec![0]],
    }
}

#[test]
fn the_last_row_of_a_key_stays_in_the_sink() {
    small_sink(true, &[], false, LengthEnforcer::Ignore).check(
        "+I 1 a
         +I 1 b
         -D 1 a
         +I 1 c
         -D 1 c
         -D 1 b
         -D 1 b",
        "+I 1 a
         +U 1 b
         +U 1 c
         +U 1 b
         -D 1 b",
    );
}

#[test]
fn null_in_a_not_null_column() {
    let input = "+I 1 a\n+I - b\n+I 3 -";
    assert_eq!(
        small_sink(false, &[0], true, LengthEnforcer::Ignore).run(input),
        "+I 1 a\n+I 3 -"
    );
    let subject = small_sink(false, &[0], false, LengthEnforcer::Ignore);
    let mut run = Run::new(&subject, 1, 1);
    let error = parse(&subject, input)
        .iter()
        .find_map(|step| run.step(step).err())
        .unwrap();
    assert!(
        error
            .message
            .starts_with("Column 'c0' is NOT NULL, however, a null value is being"),
        "{error}"
    );
}

#[test]
fn lengths_are_made_to_fit_or_refused() {
    let input = "+I 1 ab\n+I 2 abcdef\n+I 3 -";
    let output = small_sink(false, &[], false, LengthEnforcer::TrimPad).run(input);
    assert_eq!(output, "+I 1 ab \n+I 2 abc\n+I 3 -");
    let subject = small_sink(false, &[], false, LengthEnforcer::Error);
    let error = Run::new(&subject, 1, 1)
        .step(&parse(&subject, input)[0])
        .unwrap_err();
    assert!(error.message.contains("column 'c1'"), "{error}");
}

#[test]
fn unnest_of_an_array() {
    let array = LogicalType::array(LogicalType::INT);
    let literal = |items: Scalar| Expr::literal(items, array.clone());
    let items = Scalar::Array(vec![Scalar::Int(7), Scalar::Null]);
    let unnest = |function: &str, items, outer, output: &[LogicalType]| {
        let op = Op::Correlate {
            function: function.to_owned(),
            args: vec![literal(items)],
            outer,
            condition: None,
            output: output.to_vec(),
        };
        Subject::new(op, &[ROW], &[ROW, output].concat())
    };
    let input = "+I 1 a\n-D 1 a";
    unnest("UNNEST", items.clone(), false, &[LogicalType::INT])
        .check(input, "+I 1 a 7\n+I 1 a -\n-D 1 a 7\n-D 1 a -");
    unnest(
        "UNNEST_WITH_ORDINALITY",
        items,
        false,
        &[LogicalType::INT, LogicalType::INT],
    )
    .check(input, "+I 1 a 7 1\n+I 1 a - 2\n-D 1 a 7 1\n-D 1 a - 2");
    unnest("UNNEST", Scalar::Null, true, &[LogicalType::INT]).check(input, "+I 1 a -\n-D 1 a -");
    unnest("UNNEST", Scalar::Array(Vec::new()), false, &[LogicalType::INT]).check(input, "");
}

#[test]
fn replicated_rows() {
    let columns = [LogicalType::BIGINT, LogicalType::STRING];
    let column = |index: usize| Expr::column(index, columns[index].clone());
    let op = Op::Correlate {
        function: "REPLICATE_ROWS".to_owned(),
        args: vec![column(0), column(1)],
        outer: false,
        condition: None,
        output: vec![LogicalType::STRING],
    };
    Subject::new(
        op,
        &[&columns],
        &[LogicalType::BIGINT, LogicalType::STRING, LogicalType::STRING],
    )
    .check(
        "+I 2 a\n+I 0 b\n+I -1 c\n-D 2 a",
        "+I 2 a a\n+I 2 a a\n-D 2 a a\n-D 2 a a",
    );
}
