//! First and last rows of keys.

use millstream_plan::Op;
use millstream_types::LogicalType;

use crate::harness::Subject;

const ROW: &[LogicalType] = &[LogicalType::INT, LogicalType::STRING, LogicalType::timestamp(3)];

fn subject(keep_last: bool, event_time: bool) -> Subject {
    with_ttl(keep_last, event_time, 0)
}

fn with_ttl(keep_last: bool, event_time: bool, ttl_ms: i64) -> Subject {
    let op = Op::Deduplicate {
        keys: vec![1],
        time: 2,
        keep_last,
        event_time,
        update_before: true,
        ttl_ms,
        window_end: None,
    };
    Subject::new(op, &[ROW], ROW).keyed(&[&[1]])
}

const TIES: &str = "+I 1 x 2
    +I 2 x 2
    +I 3 x 1
    +I 4 x 2
    wm max";

#[test]
fn keep_last_by_event_time_takes_ties() {
    subject(true, true).check(
        TIES,
        "+I 1 x 2
         -U 1 x 2
         +U 2 x 2
         -U 2 x 2
         +U 4 x 2",
    );
}

#[test]
fn keep_first_by_event_time_waits_for_the_watermark() {
    subject(false, true).check(TIES, "+I 3 x 1");
    subject(false, true).check(
        "+I 1 a 3
         +I 2 b 2
         +I 3 a 1
         +I 4 a 9
         wm 4
         +I 5 b 2
         +I 6 - 8
         +I 7 c 3
         wm max",
        "+I 3 a 1
         +I 2 b 2
         +I 6 - 8",
    );
}

#[test]
fn by_processing_time() {
    let input = "+I 1 x 10
        +I 2 x 30
        +I 3 y 5
        +I 4 x 20";
    subject(false, false).check(input, "+I 1 x 10\n+I 3 y 5");
    subject(true, false).check(
        input,
        "+I 1 x 10
         -U 1 x 10
         +U 2 x 30
         +I 3 y 5
         -U 2 x 30
         +U 4 x 20",
    );
}

#[test]
fn within_windows() {
    let types = [
        LogicalType::INT,
        LogicalType::STRING,
        LogicalType::timestamp(3),
        LogicalType::timestamp(3),
    ];
    let op = |keep_last| Op::Deduplicate {
        keys: vec![1, 3],
        time: 2,
        keep_last,
        event_time: true,
        update_before: false,
        ttl_ms: 0,
        window_end: Some(3),
    };
    let input = "+I 1 x 2 10
        +I 2 x 7 10
        +I 3 x 7 10
        +I 4 x 2 10
        wm max";
    Subject::new(op(false), &[&types], &types)
        .keyed(&[&[1, 3]])
        .check(input, "+I 1 x 2 10");
    Subject::new(op(true), &[&types], &types)
        .keyed(&[&[1, 3]])
        .check(input, "+I 3 x 7 10");
}

#[test]
fn keys_are_forgotten_after_their_time_to_live() {
    let input = "now 0
        +I 1 x 1
        now 900
        +I 2 x 2
        now 1100
        +I 3 x 3
        +I 4 x 4";
    assert_eq!(with_ttl(false, false, 1000).run(input), "+I 1 x 1\n+I 3 x 3");
    assert_eq!(
        with_ttl(true, false, 1000).run("now 0\n+I 1 x 1\nnow 900\n+I 2 x 2\nnow 2000\n+I 3 x 3"),
        "+I 1 x 1\n-U 1 x 1\n+U 2 x 2\n+I 3 x 3"
    );
}
