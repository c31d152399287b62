//! Operators that wait for time: interval, window and temporal joins, temporal sort, OVER windows.

use millstream_plan::{AggregateCall, JoinKind, Op, SortKey, TimeBounds};
use millstream_types::{LogicalType, Scalar};

use crate::group_aggregate::{call, count};
use crate::harness::{Run, Subject, parse};

const TS: LogicalType = LogicalType::timestamp(3);
const ROW: &[LogicalType] = &[LogicalType::INT, TS];

fn interval(kind: JoinKind) -> Subject {
    let bounds = TimeBounds {
        lower_ms: -30,
        upper_ms: 0,
        left_time: 1,
        right_time: 1,
        event_time: true,
    };
    let op = Op::IntervalJoin {
        kind,
        left_keys: vec![0],
        right_keys: vec![0],
        bounds,
        condition: None,
    };
    Subject::new(op, &[ROW, ROW], &[ROW, ROW].concat()).keyed(&[&[0], &[0]])
}

#[test]
fn interval_join_includes_both_ends() {
    // The left time is at most 30 before the right one and not after it.
    interval(JoinKind::Inner).check(
        "+I 1 0
         +I 2 10
         +I - 5
         1: +I 1 30
         1: +I 2 9
         1: +I 2 41
         1: +I 2 40
         1: +I - 6
         1: +I 1 0
         wm max",
        "+I 1 0 1 30
         +I 2 10 2 40
         +I 1 0 1 0",
    );
}

#[test]
fn outer_interval_joins_pad_when_time_is_over() {
    let input = "+I 1 0
        +I 2 5
        1: +I 1 20
        1: +I 3 21
        wm 36
        +I 2 4
        wm max";
    interval(JoinKind::Left).check(input, "+I 1 0 1 20\n+I 2 5 - -\n+I 2 4 - -");
    interval(JoinKind::Right).check(input, "+I 1 0 1 20\n+I - - 3 21");
    interval(JoinKind::Full).check(input, "+I 1 0 1 20\n+I 2 5 - -\n+I - - 3 21\n+I 2 4 - -");
}

#[test]
fn an_interval_join_holds_the_watermark_back() {
    let subject = interval(JoinKind::Inner);
    let mut run = Run::new(&subject, 1, 1);
    run.steps(&parse(&subject, "wm 100\nwm max"));
    assert_eq!(run.text_with_watermarks(), format!("wm 70\nwm {}", i64::MAX));
}

#[test]
fn window_join() {
    let join = |kind| {
        let op = Op::WindowJoin {
            kind,
            left_keys: vec![0],
            right_keys: vec![0],
            left_end: 1,
            right_end: 1,
            condition: None,
        };
        let output = if kind == JoinKind::Anti {
            ROW.to_vec()
        } else {
            [ROW, ROW].concat()
        };
        Subject::new(op, &[ROW, ROW], &output).keyed(&[&[0], &[0]])
    };
    let input = "+I 1 10
        1: +I 1 10
        1: +I 1 20
        +I 2 10
        wm 9
        +I 1 10
        +I 1 20
        wm max";
    join(JoinKind::Inner).check(input, "+I 1 10 1 10\n+I 1 20 1 20");
    join(JoinKind::Left).check(input, "+I 1 10 1 10\n+I 2 10 - -\n+I 1 20 1 20");
    join(JoinKind::Anti).check(input, "+I 2 10");
}

#[test]
fn temporal_join_takes_the_version_of_its_time() {
    let right = [LogicalType::STRING, LogicalType::INT, TS];
    let left = [LogicalType::INT, LogicalType::STRING, TS];
    let join = |kind| {
        let op = Op::TemporalJoin {
            kind,
            left_keys: vec![1],
            right_keys: vec![0],
            left_time: 2,
            right_time: 2,
            condition: None,
        };
        Subject::new(op, &[&left, &right], &[left.clone(), right.clone()].concat()).keyed(&[&[1], &[0]])
    };
    let input = "+I 1 E 100
        +I 2 U 105
        1: +I E 110 90
        1: +I U 100 105
        1: -U E 110 90
        1: +U E 120 108
        +I 3 E 110
        wm 104
        1: +I J 1 109
        1: -D J 1 109
        1: +I G 150 120
        +I 4 G 112
        +I 5 - 113
        +I 6 E 125
        +I 9 E 50
        +I 7 J 126
        wm max";
    join(JoinKind::Inner).check(
        input,
        "+I 1 E 100 E 110 90
         +I 2 U 105 U 100 105
         +I 3 E 110 E 120 108
         +I 6 E 125 E 120 108",
    );
    // The row behind the watermark is not late: it is due at the next one.
    join(JoinKind::Left).check(
        input,
        "+I 1 E 100 E 110 90
         +I 9 E 50 - - -
         +I 2 U 105 U 100 105
         +I 3 E 110 E 120 108
         +I 4 G 112 - - -
         +I 5 - 113 - - -
         +I 6 E 125 E 120 108
         +I 7 J 126 - - -",
    );
}

#[test]
fn temporal_sort() {
    let keys = vec![
        SortKey {
            column: 1,
            ascending: true,
            nulls_first: true,
        },
        SortKey {
            column: 0,
            ascending: false,
            nulls_first: false,
        },
    ];
    Subject::new(Op::TemporalSort { keys }, &[ROW], ROW).check(
        "+I 1 5
         +I 2 3
         +I 3 5
         wm 4
         +I 4 4
         +I 5 9
         wm max",
        "+I 2 3
         +I 3 5
         +I 1 5
         +I 5 9",
    );
}

const VALUES: &[LogicalType] = &[LogicalType::STRING, LogicalType::INT, TS];

fn sum() -> AggregateCall {
    call("SUM", &[1], LogicalType::INT, LogicalType::INT)
}

fn over(
    rows: bool,
    preceding: Option<i64>,
    calls: Vec<AggregateCall>,
    bounded: bool,
    event_time: bool,
) -> Subject {
    let mut output = VALUES.to_vec();
    output.extend(calls.iter().map(|call| call.result.clone()));
    let op = Op::Over {
        partition: vec![0],
        order: vec![SortKey {
            column: 2,
            ascending: true,
            nulls_first: true,
        }],
        rows,
        preceding,
        following: Some(0),
        event_time: Some(event_time),
        calls,
        bounded,
    };
    Subject::new(op, &[VALUES], &output).keyed(&[&[0]])
}

const LATE: &str = "+I a 1 5
    +I a 2 4
    wm 3
    +I a 4 10
    wm 8
    +I a 8 7
    +I a 16 9
    +I a 32 20
    wm max";

#[test]
fn over_takes_rows_in_order_of_time() {
    over(true, None, vec![sum()], false, true).check(
        LATE,
        "+I a 2 4 2
         +I a 1 5 3
         +I a 16 9 19
         +I a 4 10 23
         +I a 32 20 55",
    );
    over(true, Some(1), vec![sum()], false, true).check(
        LATE,
        "+I a 2 4 2
         +I a 1 5 3
         +I a 8 7 9
         +I a 16 9 24
         +I a 4 10 20
         +I a 32 20 36",
    );
    over(false, Some(4), vec![sum()], false, true).check(
        LATE,
        "+I a 2 4 2
         +I a 1 5 3
         +I a 8 7 11
         +I a 16 9 25
         +I a 4 10 28
         +I a 32 20 32",
    );
}

#[test]
fn rows_of_one_time_are_one_range() {
    let input = "+I a 1 5
        +I b 7 5
        +I a 2 5
        +I a 4 6
        wm max";
    over(false, None, vec![sum(), count()], false, true).check(
        input,
        "+I a 1 5 3 2
         +I b 7 5 7 1
         +I a 2 5 3 2
         +I a 4 6 7 3",
    );
    over(true, None, vec![sum(), count()], false, true).check(
        input,
        "+I a 1 5 1 1
         +I b 7 5 7 1
         +I a 2 5 3 2
         +I a 4 6 7 3",
    );
}

#[test]
fn lag_looks_back_over_watermarks() {
    let lag = |offset, default| AggregateCall {
        parameters: vec![Scalar::BigInt(offset), default],
        ..call("LAG", &[1], LogicalType::INT, LogicalType::INT)
    };
    over(
        true,
        None,
        vec![lag(1, Scalar::Null), lag(2, Scalar::Int(-1))],
        false,
        true,
    )
    .check(
        "+I a 1 1
         +I b 7 1
         wm 1
         +I a 2 2
         +I a 3 3
         wm 2
         +I b 8 5
         wm max",
        "+I a 1 1 - -1
         +I b 7 1 - -1
         +I a 2 2 1 -1
         +I a 3 3 2 1
         +I b 8 5 7 -1",
    );
}

#[test]
fn over_by_processing_time_emits_at_once() {
    over(true, Some(1), vec![sum()], false, false).check(
        "+I a 1 0\n+I a 2 0\n+I a 4 0",
        "+I a 1 0 1\n+I a 2 0 3\n+I a 4 0 6",
    );
}

/// Rows of one batch have one processing time; `check` compares steps of one row with large batches.
#[test]
fn over_all_rows_before_by_processing_time_takes_rows_one_by_one() {
    over(false, None, vec![sum()], false, false).check(
        "+I a 1 5
         +I a 2 5
         +I b 10 5
         +I a 3 5",
        "+I a 1 5 1
         +I a 2 5 3
         +I b 10 5 10
         +I a 3 5 6",
    );
}

#[test]
fn over_a_bounded_input() {
    let function = |name: &str, result| call(name, &[], LogicalType::INT, result);
    let lead = AggregateCall {
        parameters: vec![Scalar::BigInt(1), Scalar::Int(0)],
        ..call("LEAD", &[1], LogicalType::INT, LogicalType::INT)
    };
    let ntile = AggregateCall {
        parameters: vec![Scalar::Int(2)],
        ..function("NTILE", LogicalType::BIGINT)
    };
    let calls = vec![
        sum(),
        function("RANK", LogicalType::BIGINT),
        function("DENSE_RANK", LogicalType::BIGINT),
        lead,
        ntile,
        function("PERCENT_RANK", LogicalType::DOUBLE),
        function("CUME_DIST", LogicalType::DOUBLE),
    ];
    over(false, None, calls, true, true).check(
        "+I b 9 1
         +I a 4 3
         +I a 1 2
         +I a 2 2
         end",
        "+I a 1 2 3 1 1 2 1 0.0 0.3333333333333333
         +I a 2 2 3 1 1 4 1 0.0 0.6666666666666666
         +I a 4 3 7 3 2 0 2 1.0 1.0
         +I b 9 1 9 1 1 0 1 0.0 1.0",
    );
}

#[test]
fn over_by_a_plain_column_updates_the_rows_behind() {
    let types = [LogicalType::INT, LogicalType::STRING, LogicalType::INT];
    let subject = |rows, calls: Vec<AggregateCall>| {
        let mut output = types.to_vec();
        output.extend(calls.iter().map(|call| call.result.clone()));
        let op = Op::Over {
            partition: vec![1],
            order: vec![SortKey {
                column: 2,
                ascending: true,
                nulls_first: true,
            }],
            rows,
            preceding: None,
            following: Some(0),
            event_time: None,
            calls,
            bounded: false,
        };
        Subject::new(op, &[&types], &output).keyed(&[&[1]])
    };
    let sum = call("SUM", &[2], LogicalType::INT, LogicalType::INT);
    subject(true, vec![sum]).check(
        "+I 1 a 10
         +I 2 a 5
         +I 3 b 7
         +I 4 a 7
         -D 2 a 5",
        "+I 1 a 10 10
         +I 2 a 5 5
         -U 1 a 10 10
         +U 1 a 10 15
         +I 3 b 7 7
         +I 4 a 7 12
         -U 1 a 10 15
         +U 1 a 10 22
         -D 2 a 5 5
         -U 4 a 7 12
         +U 4 a 7 7
         -U 1 a 10 22
         +U 1 a 10 17",
    );
    let rank = call("RANK", &[], LogicalType::INT, LogicalType::BIGINT);
    subject(false, vec![rank]).check(
        "+I 1 a 5\n+I 2 a 5\n+I 3 a 9",
        "+I 1 a 5 1\n+I 2 a 5 1\n+I 3 a 9 3",
    );
}
