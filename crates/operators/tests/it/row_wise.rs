//! Operators that look at one row at a time: calc, expand, watermarks, dropping of kinds, window table functions.

use millstream_plan::aggregate::WindowAssign;
use millstream_plan::{Expr, Op, WindowKind, WindowSpec};
use millstream_types::{LogicalType, Scalar};

use crate::harness::{Run, Subject, in_batches, parse};

const ROW: &[LogicalType] = &[LogicalType::STRING, LogicalType::INT];

fn column(index: usize) -> Expr {
    Expr::column(index, ROW[index].clone())
}

fn int(value: i32) -> Expr {
    Expr::literal(Scalar::Int(value), LogicalType::INT)
}

#[test]
fn calc_filters_and_projects_and_keeps_kinds() {
    let above = Expr::Call {
        function: ">".to_owned(),
        args: vec![column(1), int(2)],
        ty: LogicalType::BOOLEAN,
    };
    let op = Op::Calc {
        projections: vec![column(1), column(0)],
        condition: Some(above),
    };
    Subject::new(op, &[ROW], &[LogicalType::INT, LogicalType::STRING]).check(
        "+I a 1\n+I b 3\n-U b 3\n+U b -\n-U b -\n+U b 4",
        "+I 3 b\n-U 3 b\n+U 4 b",
    );
}

#[test]
fn expand_repeats_rows_for_each_set() {
    let null = Expr::literal(Scalar::Null, LogicalType::STRING);
    let id = |id| Expr::literal(Scalar::BigInt(id), LogicalType::BIGINT);
    let projects = vec![vec![column(0), column(1), id(0)], vec![null, column(1), id(1)]];
    let output = [LogicalType::STRING, LogicalType::INT, LogicalType::BIGINT];
    Subject::new(Op::Expand { projects }, &[ROW], &output)
        .check("+I b 2\n-D b 2", "+I b 2 0\n+I - 2 1\n-D b 2 0\n-D - 2 1");
}

#[test]
fn union_all_and_drop_update_before() {
    Subject::new(Op::UnionAll, &[ROW, ROW], ROW)
        .keyed(&[&[0], &[0]])
        .check("+I a 1\n1: +I b 2\n1: -U b 2", "+I a 1\n+I b 2\n-U b 2");
    Subject::new(Op::DropUpdateBefore, &[ROW], ROW)
        .check("+I a 1\n-U a 1\n+U a 2\n-D a 2", "+I a 1\n+U a 2\n-D a 2");
}

const TIMED: &[LogicalType] = &[LogicalType::INT, LogicalType::timestamp(3)];

/// Rows and watermarks of an assigner, as text.
fn assigned(interval_ms: i64, input: &str, batches: bool) -> String {
    let rowtime = Expr::column(1, LogicalType::timestamp(3));
    let op = Op::WatermarkAssigner {
        rowtime: 1,
        expr: rowtime,
        interval_ms,
    };
    let subject = Subject::new(op, &[TIMED], TIMED);
    let mut run = Run::new(&subject, 1, 100);
    let steps = parse(&subject, input);
    run.steps(&if batches { in_batches(&steps) } else { steps });
    run.text_with_watermarks()
}

#[test]
fn a_watermark_follows_when_time_moved_by_more_than_the_interval() {
    let input = "+I 1 1000\n+I 2 1100\n+I 3 1201\n+I 4 1100\n+I 5 1401\n+I 6 1402";
    assert_eq!(
        assigned(200, input, false),
        "+I 1 1000\nwm 1000\n+I 2 1100\n+I 3 1201\nwm 1201\n+I 4 1100\n+I 5 1401\n+I 6 1402\nwm 1402"
    );
    // In one batch the watermark stands only before the row that it makes late.
    assert_eq!(
        assigned(200, input, true),
        "+I 1 1000\n+I 2 1100\n+I 3 1201\nwm 1201\n+I 4 1100\n+I 5 1401\n+I 6 1402\nwm 1402"
    );
}

#[test]
fn the_clock_brings_a_watermark_too() {
    let input = "now 0\n+I 1 1000\n+I 2 1100\nnow 100\nnow 200\nnow 500";
    assert_eq!(
        assigned(200, input, false),
        "+I 1 1000\nwm 1000\n+I 2 1100\nwm 1100"
    );
}

#[test]
fn a_row_without_time_is_an_error_that_says_what_to_do() {
    let rowtime = Expr::column(1, LogicalType::timestamp(3));
    let op = Op::WatermarkAssigner {
        rowtime: 1,
        expr: rowtime,
        interval_ms: 0,
    };
    let subject = Subject::new(op, &[TIMED], TIMED);
    let mut run = Run::new(&subject, 1, 1);
    let error = run.step(&parse(&subject, "+I 1 -")[0]).unwrap_err();
    assert!(
        error.message.contains("RowTime field should not be null"),
        "{error}"
    );
}

#[test]
fn window_table_functions_repeat_rows() {
    let kind = WindowKind::Hop {
        slide_ms: 5,
        size_ms: 10,
        offset_ms: 0,
    };
    let assign = WindowAssign::TimeColumn(1);
    let window = WindowSpec {
        kind,
        assign,
        event_time: true,
        local_time: false,
    };
    let ts = LogicalType::timestamp(3);
    let output = [TIMED, &[ts.clone(), ts.clone(), ts]].concat();
    let op = Op::WindowTableFunction {
        window,
        partition: Vec::new(),
    };
    Subject::new(op, &[TIMED], &output).check("+I 1 7\n+I 2 -", "+I 1 7 0 10 9\n+I 1 7 5 15 14");
}
