//! Every operator with state, in the ways in which its state differs.

use millstream_plan::aggregate::WindowAssign;
use millstream_plan::node::LengthEnforcer;
use millstream_plan::{
    AggregateCall, ChangelogTraits, Expr, MatchCondition, MatchSkip, MatchSpec, MatchVariable, Navigation,
    NavigationKind, Op, RankKind, RankRange, RowsExprs, SortKey, WindowKind, WindowProperty, WindowSpec,
};
use millstream_types::{ChangelogMode, LogicalType, TypeKind};

use super::Case;
use super::feed::{KEY, Kind, ROW, TEXT, TIME, VALUE, WINDOW_END, WINDOW_MS, segments};
use crate::changelogs::sink;
use crate::group_aggregate::{call, count};
use crate::harness::{Subject, traits};

const TS: LogicalType = LogicalType::timestamp(3);
const STRING: LogicalType = LogicalType::STRING;
const BIGINT: LogicalType = LogicalType::BIGINT;
const FLAG_A: usize = 5;
const FLAG_B: usize = 6;
pub const TTL_MS: i64 = 200;

/// A case by key with one input.
fn case(name: &'static str, operator: &'static str, op: Op, output: &[LogicalType], kind: Kind) -> Case {
    let subject = Subject::with_traits(op, &[&ROW], output, &[input_traits(kind)], "UTC").keyed(&[&[KEY]]);
    Case {
        name,
        operator,
        subject,
        segments: segments(1, kind),
        shares_blocks: true,
    }
}

pub fn input_traits(kind: Kind) -> ChangelogTraits {
    match kind {
        Kind::Append => ChangelogTraits::default(),
        Kind::Changes => traits(ChangelogMode::ALL, &[]),
        Kind::Upserts => {
            let upserts = ChangelogMode {
                insert: true,
                update_after: true,
                ..ChangelogMode::default()
            };
            traits(upserts, &[&[KEY]])
        }
    }
}

pub fn unshared(case: Case) -> Case {
    Case {
        shares_blocks: false,
        ..case
    }
}

fn global(case: Case) -> Case {
    Case {
        subject: case.subject.keyed(&[&[]]),
        shares_blocks: false,
        ..case
    }
}

fn ascending(column: usize) -> SortKey {
    SortKey {
        column,
        ascending: true,
        nulls_first: true,
    }
}

pub fn with(more: &[LogicalType]) -> Vec<LogicalType> {
    [&ROW, more].concat()
}

fn calls() -> Vec<AggregateCall> {
    let text = |function: &str| call(function, &[TEXT], STRING, STRING);
    let distinct = AggregateCall {
        distinct: true,
        ..call("COUNT", &[VALUE], BIGINT, LogicalType::not_null(TypeKind::BigInt))
    };
    let sum = call("SUM", &[VALUE], BIGINT, BIGINT);
    vec![
        count(),
        sum,
        text("MIN"),
        text("MAX"),
        distinct,
        text("LAST_VALUE"),
    ]
}

/// Calls whose results can be retracted one by one.
fn frame_calls() -> Vec<AggregateCall> {
    let text = |function: &str| call(function, &[TEXT], STRING, STRING);
    vec![
        count(),
        call("SUM", &[VALUE], BIGINT, BIGINT),
        text("MAX"),
        text("FIRST_VALUE"),
    ]
}

fn results(keys: &[LogicalType], calls: &[AggregateCall]) -> Vec<LogicalType> {
    let results = calls.iter().map(|call| call.result.clone());
    keys.iter().cloned().chain(results).collect()
}

pub fn aggregates() -> Vec<Case> {
    let group = |kind: Kind, bounded: bool, ttl_ms: i64, calls: Vec<AggregateCall>| Op::GroupAggregate {
        keys: vec![KEY],
        aggregates: calls,
        update_before: true,
        retract_input: kind != Kind::Append,
        bounded,
        ttl_ms,
    };
    let collectors = || {
        let list = LogicalType::new(TypeKind::Array(Box::new(STRING)));
        vec![
            call("LISTAGG", &[TEXT], STRING, STRING),
            call("ARRAY_AGG", &[TEXT], STRING, list),
        ]
    };
    let of = |name, kind, bounded, ttl_ms, calls: Vec<AggregateCall>| {
        let output = results(&[STRING], &calls);
        case(
            name,
            "GroupAggregate",
            group(kind, bounded, ttl_ms, calls),
            &output,
            kind,
        )
    };
    let normalize = |ttl_ms| Op::ChangelogNormalize {
        keys: vec![KEY],
        update_before: true,
        condition: None,
        ttl_ms,
    };
    vec![
        of("group by, rows only come", Kind::Append, false, 0, calls()),
        of("group by, rows come and go", Kind::Changes, false, 0, calls()),
        of(
            "group by with a time to live",
            Kind::Append,
            false,
            TTL_MS,
            calls(),
        ),
        of("group by in batch mode", Kind::Append, true, 0, calls()),
        of("collectors", Kind::Append, false, 0, collectors()),
        case(
            "normalise",
            "ChangelogNormalize",
            normalize(0),
            &ROW,
            Kind::Upserts,
        ),
        case(
            "normalise with a time to live",
            "ChangelogNormalize",
            normalize(TTL_MS),
            &ROW,
            Kind::Upserts,
        ),
    ]
}

fn window(kind: WindowKind, event_time: bool) -> WindowSpec {
    WindowSpec {
        kind,
        assign: WindowAssign::TimeColumn(TIME),
        event_time,
        local_time: false,
    }
}

const TUMBLE: WindowKind = WindowKind::Tumble {
    size_ms: WINDOW_MS,
    offset_ms: 0,
};
const HOP: WindowKind = WindowKind::Hop {
    slide_ms: 50,
    size_ms: 200,
    offset_ms: 0,
};
const CUMULATE: WindowKind = WindowKind::Cumulate {
    step_ms: 50,
    size_ms: 300,
    offset_ms: 0,
};
const SESSION: WindowKind = WindowKind::Session { gap_ms: 30 };
/// Stays open while others come, although the clock moves with each batch.
const LONG_SESSION: WindowKind = WindowKind::Session { gap_ms: 200 };

pub fn windows() -> Vec<Case> {
    let aggregate = |name, operator, window: WindowSpec, kind: Kind, bounded: bool| {
        let calls = calls();
        let output = [results(&[STRING], &calls), vec![TS, TS]].concat();
        let op = Op::WindowAggregate {
            window,
            keys: vec![KEY],
            aggregates: calls,
            properties: vec![WindowProperty::Start, WindowProperty::End],
            retract_input: kind != Kind::Append,
            bounded,
        };
        case(name, operator, op, &output, kind)
    };
    let slices = |name, kind, input| aggregate(name, "WindowAggregate", window(kind, true), input, false);
    let attached = WindowSpec {
        assign: WindowAssign::Attached {
            start: None,
            end: WINDOW_END,
        },
        ..window(TUMBLE, true)
    };
    let by_clock = |name, operator, kind| {
        unshared(aggregate(
            name,
            operator,
            window(kind, false),
            Kind::Append,
            false,
        ))
    };
    vec![
        slices("tumble", TUMBLE, Kind::Append),
        slices("tumble over changes", TUMBLE, Kind::Changes),
        slices("hop", HOP, Kind::Append),
        slices("cumulate", CUMULATE, Kind::Append),
        slices("cumulate over changes", CUMULATE, Kind::Changes),
        aggregate(
            "attached windows",
            "WindowAggregate",
            attached,
            Kind::Append,
            false,
        ),
        aggregate(
            "tumble in batch mode",
            "WindowAggregate",
            window(TUMBLE, true),
            Kind::Append,
            true,
        ),
        by_clock("tumble by the clock", "WindowAggregate", TUMBLE),
        aggregate(
            "sessions",
            "SessionAggregate",
            window(SESSION, true),
            Kind::Append,
            false,
        ),
        by_clock("sessions by the clock", "SessionAggregate", LONG_SESSION),
        aggregate(
            "sessions in batch mode",
            "SessionAggregate",
            window(SESSION, true),
            Kind::Append,
            true,
        ),
        aggregate(
            "sessions over changes",
            "SessionAggregate",
            window(SESSION, true),
            Kind::Changes,
            false,
        ),
        session_rows("rows of sessions", true),
        unshared(session_rows("rows of sessions by the clock", false)),
    ]
}

fn session_rows(name: &'static str, event_time: bool) -> Case {
    let op = Op::WindowTableFunction {
        window: window(SESSION, event_time),
        partition: vec![KEY],
    };
    case(name, "SessionRows", op, &with(&[TS, TS, TS]), Kind::Append)
}

pub fn over() -> Vec<Case> {
    let lag = AggregateCall {
        parameters: vec![millstream_types::Scalar::Int(2)],
        ..call("LAG", &[TEXT], STRING, STRING)
    };
    let of = |name,
              operator,
              rows: bool,
              preceding,
              event_time: Option<Option<bool>>,
              calls: Vec<AggregateCall>| {
        let output = with(&results(&[], &calls));
        let op = Op::Over {
            partition: vec![KEY],
            order: vec![ascending(if event_time == Some(None) { VALUE } else { TIME })],
            rows,
            preceding,
            following: Some(0),
            event_time: event_time.flatten(),
            calls,
            bounded: event_time.is_none(),
        };
        case(name, operator, op, &output, Kind::Append)
    };
    let event = Some(Some(true));
    let clock = Some(Some(false));
    let more = || [frame_calls(), vec![lag.clone()]].concat();
    vec![
        of("range of time", "Over", false, Some(60), event, frame_calls()),
        of("range of time with lag", "Over", false, Some(60), event, more()),
        of("rows before", "Over", true, Some(3), event, more()),
        of("all rows before", "Over", false, None, event, more()),
        unshared(of(
            "rows before, by the clock",
            "Over",
            true,
            Some(3),
            clock,
            more(),
        )),
        unshared(of("range of the clock", "Over", false, Some(60), clock, more())),
        unshared(of(
            "all rows before, by the clock",
            "Over",
            false,
            None,
            clock,
            more(),
        )),
        of(
            "over in batch mode",
            "BoundedOver",
            false,
            Some(60),
            None,
            frame_calls(),
        ),
        of(
            "over another order than time",
            "UpdatingOver",
            false,
            None,
            Some(None),
            frame_calls(),
        ),
    ]
}

fn rank_op(to: u64, rank_output: bool, kind: Kind, ttl_ms: i64) -> Op {
    Op::Rank {
        kind: RankKind::RowNumber,
        partition: vec![KEY],
        order: vec![ascending(VALUE), ascending(TEXT)],
        range: RankRange::Constant { from: 1, to },
        rank_output,
        update_before: true,
        retract_input: kind == Kind::Changes,
        bounded: false,
        window_end: None,
        ttl_ms,
    }
}

/// The planner distributes rows by all columns of the partition.
fn of_windows(case: Case) -> Case {
    Case {
        subject: case.subject.keyed(&[&[KEY, WINDOW_END]]),
        ..case
    }
}

pub fn ranks() -> Vec<Case> {
    let rank = |name, to, rank_output, kind, ttl_ms| {
        let rank_column = [BIGINT];
        let output = with(if rank_output { &rank_column } else { &[] });
        case(
            name,
            "Rank",
            rank_op(to, rank_output, kind, ttl_ms),
            &output,
            kind,
        )
    };
    let of_kind = |bounded: bool, window_end: Option<usize>| Op::Rank {
        kind: RankKind::RowNumber,
        partition: [vec![KEY], window_end.into_iter().collect()].concat(),
        order: vec![ascending(VALUE), ascending(TEXT)],
        range: RankRange::Constant { from: 1, to: 2 },
        rank_output: true,
        update_before: true,
        retract_input: false,
        bounded,
        window_end,
        ttl_ms: 0,
    };
    let bounded = of_kind(true, None);
    let windowed = of_kind(false, Some(WINDOW_END));
    let by_column = |name, op: Op| {
        let output = with(&[BIGINT]);
        case(
            name,
            if name.contains("batch") {
                "BoundedRank"
            } else {
                "WindowRank"
            },
            op,
            &output,
            Kind::Append,
        )
    };
    vec![
        rank("top 3", 3, false, Kind::Append, 0),
        rank("top 3 with rank", 3, true, Kind::Append, 0),
        rank("top 3 over changes", 3, true, Kind::Changes, 0),
        rank("top 3 of upserts", 3, true, Kind::Upserts, 0),
        rank("top 2 with a time to live", 2, false, Kind::Append, TTL_MS),
        by_column("top 2 in batch mode", bounded),
        of_windows(by_column("top 2 of windows", windowed)),
    ]
}

pub fn deduplications() -> Vec<Case> {
    let last = "Deduplicate";
    let end = Some(WINDOW_END);
    vec![
        dedup("last row by event time", last, true, true, 0, None),
        dedup(
            "last row by the clock, with a time to live",
            last,
            true,
            false,
            TTL_MS,
            None,
        ),
        dedup("first row by event time", last, false, true, 0, None),
        dedup(
            "first row by event time with a time to live",
            last,
            false,
            true,
            TTL_MS,
            None,
        ),
        dedup("first row by the clock", "FirstArrival", false, false, 0, None),
        dedup(
            "first row by the clock with a time to live",
            "FirstArrival",
            false,
            false,
            TTL_MS,
            None,
        ),
        of_windows(dedup("first row of windows", "WindowRank", false, true, 0, end)),
        of_windows(dedup("last row of windows", "WindowRank", true, true, 0, end)),
    ]
}

fn dedup(
    name: &'static str,
    operator: &'static str,
    keep_last: bool,
    event_time: bool,
    ttl_ms: i64,
    window_end: Option<usize>,
) -> Case {
    let op = Op::Deduplicate {
        keys: [vec![KEY], window_end.into_iter().collect()].concat(),
        time: TIME,
        keep_last,
        event_time,
        update_before: true,
        ttl_ms,
        window_end,
    };
    case(name, operator, op, &ROW, Kind::Append)
}

fn pattern(event_time: bool, within_ms: Option<i64>) -> Op {
    let variable = |name: &str, max, column| MatchVariable {
        name: name.to_owned(),
        min: 1,
        max,
        greedy: true,
        condition: MatchCondition::Column(column),
    };
    let text = |variable, kind| Navigation {
        variable: Some(variable),
        kind,
        ty: STRING,
    };
    let (column, offset) = (TEXT, 0);
    let measures = RowsExprs {
        navigations: vec![
            text(0, NavigationKind::First { column, offset }),
            text(0, NavigationKind::Last { column, offset }),
            text(1, NavigationKind::Last { column, offset }),
        ],
        exprs: (0..3).map(|i| Expr::column(i, STRING)).collect(),
    };
    let spec = MatchSpec {
        partition: vec![KEY],
        order: vec![ascending(TIME)],
        variables: vec![variable("A", None, FLAG_A), variable("B", Some(1), FLAG_B)],
        skip: MatchSkip::PastLastRow,
        within_ms,
        measures,
    };
    Op::Match {
        spec: Box::new(spec),
        event_time,
    }
}

pub fn others() -> Vec<Case> {
    let of = |name, operator, op| case(name, operator, op, &ROW, Kind::Append);
    let sort = Op::Sort {
        keys: vec![ascending(VALUE), ascending(TEXT)],
    };
    let best = Op::SortLimit {
        keys: vec![ascending(VALUE), ascending(TEXT)],
        offset: 2,
        fetch: 500,
        update_before: true,
        retract_input: false,
        bounded: true,
    };
    let temporal_sort = Op::TemporalSort {
        keys: vec![ascending(TIME), ascending(TEXT)],
    };
    let limit = Op::Limit {
        offset: 4000,
        fetch: Some(700),
        update_before: true,
    };
    let watermarks = Op::WatermarkAssigner {
        rowtime: TIME,
        expr: Expr::column(TIME, TS),
        interval_ms: 0,
    };
    let matches = [STRING, STRING, STRING, STRING];
    let sink = Case {
        segments: segments(1, Kind::Changes),
        ..of("materialised sink", "SinkInput", Op::UnionAll)
    };
    let sink = Case {
        subject: self::sink_subject(),
        ..sink
    };
    vec![
        global(of("sort in batch mode", "Sort", sort)),
        global(of("best rows in batch mode", "Sort", best)),
        Case {
            shares_blocks: true,
            ..global(of("sort by time", "TemporalSort", temporal_sort))
        },
        global(of("limit", "Limit", limit)),
        global(of("watermarks", "WatermarkAssigner", watermarks)),
        case(
            "pattern",
            "MatchRecognize",
            pattern(true, None),
            &matches,
            Kind::Append,
        ),
        case(
            "pattern within",
            "MatchRecognize",
            pattern(true, Some(150)),
            &matches,
            Kind::Append,
        ),
        case(
            "pattern by the clock",
            "MatchRecognize",
            pattern(false, Some(150)),
            &matches,
            Kind::Append,
        ),
        sink,
    ]
}

/// A sink that keeps the rows of each key.
fn sink_subject() -> Subject {
    sink(&ROW, true, &[], false, LengthEnforcer::Ignore)
}
