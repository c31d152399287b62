//! Joins of two inputs.

use millstream_plan::{JoinKind, Op, TimeBounds};

use super::Case;
use super::cases::{TTL_MS, input_traits, unshared, with};
use super::feed::{KEY, Kind, ROW, TEXT, TIME, WINDOW_END, segments};
use crate::harness::Subject;

pub fn joins() -> Vec<Case> {
    vec![
        regular("inner join", JoinKind::Inner, false, false, 0, Kind::Append),
        regular(
            "full join over changes",
            JoinKind::Full,
            false,
            false,
            0,
            Kind::Changes,
        ),
        regular(
            "left join with unique keys",
            JoinKind::Left,
            true,
            false,
            0,
            Kind::Append,
        ),
        regular(
            "anti join over changes",
            JoinKind::Anti,
            false,
            false,
            0,
            Kind::Changes,
        ),
        regular(
            "join with a time to live",
            JoinKind::Inner,
            false,
            false,
            TTL_MS,
            Kind::Append,
        ),
        regular(
            "full join in batch mode",
            JoinKind::Full,
            false,
            true,
            0,
            Kind::Append,
        ),
        interval("interval join", JoinKind::Full, true),
        interval("inner interval join", JoinKind::Inner, true),
        interval("left interval join", JoinKind::Left, true),
        unshared(interval(
            "inner interval join by the clock",
            JoinKind::Inner,
            false,
        )),
        unshared(interval("interval join by the clock", JoinKind::Left, false)),
        windowed("window join", JoinKind::Full),
        temporal("temporal join", JoinKind::Left, Kind::Append),
    ]
}

fn regular(
    name: &'static str,
    kind: JoinKind,
    unique: bool,
    bounded: bool,
    ttl_ms: i64,
    input: Kind,
) -> Case {
    let unique = unique.then(|| vec![TEXT]);
    let op = Op::Join {
        kind,
        left_keys: vec![KEY],
        right_keys: vec![KEY],
        null_safe: vec![false],
        condition: None,
        left_unique: unique.clone(),
        right_unique: unique,
        bounded,
        left_ttl_ms: ttl_ms,
        right_ttl_ms: ttl_ms * 2,
    };
    let operator = if bounded { "BoundedJoin" } else { "Join" };
    join(
        name,
        operator,
        op,
        matches!(kind, JoinKind::Semi | JoinKind::Anti),
        input,
    )
}

fn interval(name: &'static str, kind: JoinKind, event_time: bool) -> Case {
    let op = Op::IntervalJoin {
        kind,
        left_keys: vec![KEY],
        right_keys: vec![KEY],
        bounds: TimeBounds {
            lower_ms: -40,
            upper_ms: 10,
            left_time: TIME,
            right_time: TIME,
            event_time,
        },
        condition: None,
    };
    join(name, "IntervalJoin", op, false, Kind::Append)
}

fn windowed(name: &'static str, kind: JoinKind) -> Case {
    let op = Op::WindowJoin {
        kind,
        left_keys: vec![KEY],
        right_keys: vec![KEY],
        left_end: WINDOW_END,
        right_end: WINDOW_END,
        condition: None,
    };
    join(name, "WindowJoin", op, false, Kind::Append)
}

fn temporal(name: &'static str, kind: JoinKind, input: Kind) -> Case {
    let op = Op::TemporalJoin {
        kind,
        left_keys: vec![KEY],
        right_keys: vec![KEY],
        left_time: TIME,
        right_time: TIME,
        condition: None,
    };
    join(name, "TemporalJoin", op, false, input)
}

/// A join of two inputs by key.
fn join(name: &'static str, operator: &'static str, op: Op, left_only: bool, kind: Kind) -> Case {
    let output = if left_only { ROW.to_vec() } else { with(&ROW) };
    let inputs = [input_traits(kind), input_traits(kind)];
    let subject = Subject::with_traits(op, &[&ROW, &ROW], &output, &inputs, "UTC").keyed(&[&[KEY], &[KEY]]);
    Case {
        name,
        operator,
        subject,
        segments: segments(2, kind),
        shares_blocks: true,
    }
}
