//! Regular joins: what every kind emits, streaming and bounded.

use millstream_plan::{Expr, JoinKind, Op};
use millstream_types::LogicalType;

use crate::harness::{Run, Subject, parse};

const ROW: &[LogicalType] = &[LogicalType::INT, LogicalType::STRING];

struct Case {
    kind: JoinKind,
    condition: Option<Expr>,
    null_safe: bool,
    unique: bool,
    bounded: bool,
    ttl_ms: i64,
}

impl Case {
    fn new(kind: JoinKind) -> Self {
        Self {
            kind,
            condition: None,
            null_safe: false,
            unique: false,
            bounded: false,
            ttl_ms: 0,
        }
    }

    fn subject(&self) -> Subject {
        let unique = self.unique.then(|| vec![0]);
        let op = Op::Join {
            kind: self.kind,
            left_keys: vec![0],
            right_keys: vec![0],
            null_safe: vec![self.null_safe],
            condition: self.condition.clone(),
            left_unique: unique.clone(),
            right_unique: unique,
            bounded: self.bounded,
            left_ttl_ms: self.ttl_ms,
            right_ttl_ms: self.ttl_ms,
        };
        let output = match self.kind {
            JoinKind::Semi | JoinKind::Anti => ROW.to_vec(),
            _ => [ROW, ROW].concat(),
        };
        Subject::new(op, &[ROW, ROW], &output).keyed(&[&[0], &[0]])
    }
}

fn differ() -> Expr {
    let column = |index| Expr::column(index, LogicalType::STRING);
    Expr::Call {
        function: "<>".to_owned(),
        args: vec![column(1), column(3)],
        ty: LogicalType::BOOLEAN,
    }
}

#[test]
fn inner_passes_the_kind_of_the_row_that_comes() {
    Case::new(JoinKind::Inner).subject().check(
        "+I 1 a
         1: +I 1 x
         1: +I 2 y
         +U 1 b
         +I - n
         1: +I - m
         1: -U 1 x
         1: +U 1 z",
        "+I 1 a 1 x
         +U 1 b 1 x
         -U 1 a 1 x
         -U 1 b 1 x
         +U 1 a 1 z
         +U 1 b 1 z",
    );
}

#[test]
fn null_keys_match_where_they_should() {
    let case = Case {
        null_safe: true,
        ..Case::new(JoinKind::Inner)
    };
    case.subject().check("+I - a\n1: +I - b", "+I - a - b");
}

#[test]
fn left_pads_until_something_matches() {
    Case::new(JoinKind::Left).subject().check(
        "+I 1 a
         1: +I 1 x
         1: +I 1 y
         1: -U 1 x
         1: +U 1 z
         1: -D 1 y
         1: -D 1 z
         +I - n
         -D 1 a
         -D - n",
        "+I 1 a - -
         -D 1 a - -
         +I 1 a 1 x
         +I 1 a 1 y
         -U 1 a 1 x
         +I 1 a 1 z
         -D 1 a 1 y
         -D 1 a 1 z
         +I 1 a - -
         +I - n - -
         -D 1 a - -
         -D - n - -",
    );
}

#[test]
fn an_update_of_the_right_side_shows_the_padding() {
    Case::new(JoinKind::Left).subject().check(
        "+I 1 a
         1: +I 1 x
         1: -U 1 x
         1: +U 1 z",
        "+I 1 a - -
         -D 1 a - -
         +I 1 a 1 x
         -U 1 a 1 x
         +I 1 a - -
         -D 1 a - -
         +I 1 a 1 z",
    );
}

#[test]
fn full_pads_both_sides() {
    Case::new(JoinKind::Full).subject().check(
        "+I 1 a
         1: +I 2 y
         +I 2 b
         1: +I 1 x
         -D 1 a",
        "+I 1 a - -
         +I - - 2 y
         -D - - 2 y
         +I 2 b 2 y
         -D 1 a - -
         +I 1 a 1 x
         -D 1 a 1 x
         +I - - 1 x",
    );
}

#[test]
fn semi_and_anti() {
    let input = "+I 1 a
        +I 1 a
        1: +I 1 x
        1: +U 1 y
        +I 2 b
        1: -D 1 x
        1: -U 1 y
        1: +U 1 z";
    Case::new(JoinKind::Semi).subject().check(
        input,
        "+I 1 a
         +I 1 a
         -U 1 a
         -U 1 a
         +U 1 a
         +U 1 a",
    );
    Case::new(JoinKind::Anti).subject().check(
        input,
        "+I 1 a
         +I 1 a
         -D 1 a
         -D 1 a
         +I 2 b
         +I 1 a
         +I 1 a
         -D 1 a
         -D 1 a",
    );
}

#[test]
fn a_condition_decides_on_pairs() {
    let case = Case {
        condition: Some(differ()),
        ..Case::new(JoinKind::Left)
    };
    case.subject().check(
        "+I 1 a
         1: +I 1 a
         1: +I 1 b
         1: -D 1 b",
        "+I 1 a - -
         -D 1 a - -
         +I 1 a 1 b
         -D 1 a 1 b
         +I 1 a - -",
    );
}

#[test]
fn a_row_replaces_the_one_with_its_unique_key() {
    let case = Case {
        unique: true,
        ..Case::new(JoinKind::Inner)
    };
    case.subject().check(
        "+I 1 a
         +U 1 b
         1: +I 1 x
         -D 1 b
         1: +U 1 y",
        "+I 1 b 1 x
         -D 1 b 1 x",
    );
}

#[test]
fn rows_expire() {
    let case = Case {
        ttl_ms: 1000,
        ..Case::new(JoinKind::Inner)
    };
    let output = case
        .subject()
        .run("now 10\n+I 1 a\nnow 500\n+I 1 b\nnow 1100\n1: +I 1 x");
    assert_eq!(output, "+I 1 b 1 x");
}

#[test]
fn bounded_inputs_are_joined_at_the_end_of_the_right_one() {
    let input = "+I 1 a
        1: +I 1 x
        +I 2 b
        1: +I 3 z
        1: +I 1 y
        1: +I - n
        +I - m
        end";
    let case = |kind| Case {
        bounded: true,
        ..Case::new(kind)
    };
    case(JoinKind::Inner)
        .subject()
        .check(input, "+I 1 a 1 x\n+I 1 a 1 y");
    case(JoinKind::Left)
        .subject()
        .check(input, "+I 1 a 1 x\n+I 1 a 1 y\n+I 2 b - -\n+I - m - -");
    case(JoinKind::Semi).subject().check(input, "+I 1 a");
    case(JoinKind::Anti).subject().check(input, "+I 2 b\n+I - m");
    let full = case(JoinKind::Full).subject();
    let mut run = Run::new(&full, 1, 100);
    run.steps(&parse(&full, input));
    let mut rows: Vec<String> = run.text().lines().map(str::to_owned).collect();
    rows.sort();
    assert_eq!(
        rows,
        [
            "+I - - - n",
            "+I - - 3 z",
            "+I - m - -",
            "+I 1 a 1 x",
            "+I 1 a 1 y",
            "+I 2 b - -"
        ]
    );
}
