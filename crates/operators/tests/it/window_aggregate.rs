//! Windows: TUMBLE, HOP, CUMULATE, SESSION, attached; late rows, local time, retractions.

use millstream_plan::aggregate::WindowAssign;
use millstream_plan::{AggregateCall, Op, WindowKind, WindowProperty, WindowSpec};
use millstream_types::LogicalType;

use crate::group_aggregate::{call, count};
use crate::harness::{Run, Subject, in_batches, lines, parse};

const TS: LogicalType = LogicalType::timestamp(3);

struct Case {
    kind: WindowKind,
    keyed: bool,
    aggregates: Vec<AggregateCall>,
    retract: bool,
    bounded: bool,
    event_time: bool,
    zone: Option<&'static str>,
    attached: bool,
}

fn sum() -> AggregateCall {
    call("SUM", &[1], LogicalType::INT, LogicalType::INT)
}

impl Case {
    fn new(kind: WindowKind) -> Self {
        Self {
            kind,
            keyed: false,
            aggregates: vec![sum()],
            retract: false,
            bounded: false,
            event_time: true,
            zone: None,
            attached: false,
        }
    }

    /// Columns: key, value, time; output: key, results, start, end.
    fn subject(&self) -> Subject {
        let time = if self.zone.is_some() {
            LogicalType::timestamp_ltz(3)
        } else {
            TS
        };
        let mut types = vec![LogicalType::STRING, LogicalType::INT, time];
        let mut assign = WindowAssign::TimeColumn(2);
        if self.attached {
            types = vec![LogicalType::STRING, LogicalType::INT, TS, TS];
            assign = WindowAssign::Attached {
                start: Some(2),
                end: 3,
            };
        }
        let keys: Vec<usize> = if self.keyed { vec![0] } else { Vec::new() };
        let mut output: Vec<LogicalType> = keys.iter().map(|_| LogicalType::STRING).collect();
        output.extend(self.aggregates.iter().map(|a| a.result.clone()));
        output.extend([TS, TS]);
        let window = WindowSpec {
            kind: self.kind,
            assign,
            event_time: self.event_time,
            local_time: self.zone.is_some(),
        };
        let op = Op::WindowAggregate {
            window,
            keys: keys.clone(),
            aggregates: self.aggregates.clone(),
            properties: vec![WindowProperty::Start, WindowProperty::End],
            retract_input: self.retract,
            bounded: self.bounded,
        };
        Subject::in_zone(op, &[&types], &output, self.zone.unwrap_or("UTC")).keyed(&[&keys])
    }
}

const TUMBLE: WindowKind = WindowKind::Tumble {
    size_ms: 10,
    offset_ms: 0,
};
const HOP: WindowKind = WindowKind::Hop {
    slide_ms: 5,
    size_ms: 10,
    offset_ms: 0,
};
const CUMULATE: WindowKind = WindowKind::Cumulate {
    step_ms: 5,
    size_ms: 20,
    offset_ms: 0,
};
const SESSION: WindowKind = WindowKind::Session { gap_ms: 3 };

/// Rows of one key with a watermark that lags 2 behind: some are late for some windows.
const LATE: &str = "+I a 1 1
    +I a 2 11
    wm 8
    +I a 4 9
    +I a 8 12
    wm 9
    +I a 16 8
    +I a 32 19
    wm 16
    +I a 64 10
    +I a 128 30
    wm 27
    +I a 256 15
    wm max";

#[test]
fn late_rows_count_for_windows_that_have_not_fired() {
    Case::new(TUMBLE)
        .subject()
        .check(LATE, "+I 5 0 10\n+I 106 10 20\n+I 128 30 40");
    Case::new(HOP).subject().check(
        LATE,
        "+I 1 -5 5
         +I 5 0 10
         +I 30 5 15
         +I 106 10 20
         +I 32 15 25
         +I 128 25 35
         +I 128 30 40",
    );
    Case::new(CUMULATE).subject().check(
        LATE,
        "+I 1 0 5
         +I 5 0 10
         +I 31 0 15
         +I 127 0 20
         +I 128 20 35
         +I 128 20 40",
    );
    Case::new(SESSION)
        .subject()
        .check(LATE, "+I 1 1 4\n+I 30 8 15\n+I 32 19 22\n+I 128 30 33");
}

#[test]
fn late_rows_are_counted() {
    for (kind, late) in [(TUMBLE, 2), (HOP, 1), (CUMULATE, 1), (SESSION, 2)] {
        let subject = Case::new(kind).subject();
        let mut run = Run::new(&subject, 1, 1);
        run.steps(&parse(&subject, LATE));
        assert_eq!(run.late_rows(), late, "{kind:?}");
    }
}

#[test]
fn a_late_row_does_not_bring_back_a_window_that_fired_without_rows() {
    Case::new(HOP)
        .subject()
        .check("wm 12\n+I a 1 8\nwm max", "+I 1 5 15");
    Case::new(CUMULATE)
        .subject()
        .check("wm 12\n+I a 1 8\nwm max", "+I 1 0 15\n+I 1 0 20");
}

#[test]
fn keys_and_results_that_cannot_be_taken_out_again() {
    let max = call("MAX", &[1], LogicalType::INT, LogicalType::INT);
    let input = "+I a 7 1
        +I b 2 3
        +I a 1 6
        wm 9
        +I b 5 11
        wm max";
    let hop = Case {
        keyed: true,
        aggregates: vec![max.clone(), count()],
        ..Case::new(HOP)
    };
    // The newest slice is merged first, so its keys come first.
    hop.subject().check(
        input,
        "+I a 7 1 -5 5
         +I b 2 1 -5 5
         +I a 7 2 0 10
         +I b 2 1 0 10
         +I b 5 1 5 15
         +I a 1 1 5 15
         +I b 5 1 10 20",
    );
    let counted = Case {
        keyed: true,
        aggregates: vec![count()],
        ..Case::new(HOP)
    };
    counted.subject().check(
        input,
        "+I a 1 -5 5
         +I b 1 -5 5
         +I a 2 0 10
         +I b 1 0 10
         +I a 1 5 15
         +I b 1 5 15
         +I b 1 10 20",
    );
}

#[test]
fn retractions_before_the_window_fires() {
    let max = call("MAX", &[1], LogicalType::INT, LogicalType::INT);
    let case = Case {
        aggregates: vec![count(), sum(), max],
        retract: true,
        ..Case::new(TUMBLE)
    };
    let input = "+I a 10 1
        +I b 20 2
        -U a 10 1
        +U a 15 1
        -D b 20 2
        +I c 7 12
        -D c 7 12
        +I d 9 25
        wm max";
    case.subject().check(input, "+I 1 15 15 0 10\n+I 1 9 9 20 30");
    let hop = Case {
        retract: true,
        ..Case::new(HOP)
    };
    hop.subject()
        .check(input, "+I 15 -5 5\n+I 15 0 10\n+I 9 20 30\n+I 9 25 35");
}

#[test]
fn offsets_and_times_before_1970() {
    let kind = WindowKind::Tumble {
        size_ms: 10,
        offset_ms: -3,
    };
    Case::new(kind).subject().check(
        "+I a 1 -13\n+I a 2 -4\n+I a 4 6\n+I a 8 7\nwm max",
        "+I 3 -13 -3\n+I 4 -3 7\n+I 8 7 17",
    );
}

#[test]
fn sessions_merge_and_belong_to_keys() {
    let case = Case {
        keyed: true,
        ..Case::new(WindowKind::Session { gap_ms: 10 })
    };
    case.subject().check(
        "+I a 1 0
         +I b 4 9
         +I a 2 20
         +I - 16 1
         +I a 8 10
         +I b 64 19
         +I - 32 10
         +I a 128 28
         wm max",
        "+I - 48 1 20
         +I b 68 9 29
         +I a 139 0 38",
    );
}

#[test]
fn rows_that_carry_their_window() {
    let case = Case {
        attached: true,
        ..Case::new(TUMBLE)
    };
    case.subject().check(
        "+I a 1 0 10
         +I a 2 10 20
         wm 9
         +I a 4 0 10
         +I a 8 10 20
         wm 19",
        "+I 1 0 10\n+I 10 10 20",
    );
}

#[test]
fn a_bounded_input_has_no_late_rows() {
    let case = Case {
        bounded: true,
        ..Case::new(TUMBLE)
    };
    case.subject().check(
        "+I a 1 15\nwm 20\n+I a 2 3\n+I a 4 14\nend",
        "+I 2 0 10\n+I 5 10 20",
    );
}

#[test]
fn windows_by_the_clock() {
    let case = Case {
        event_time: false,
        ..Case::new(TUMBLE)
    };
    case.subject().check(
        "now 3
         +I a 1 0
         now 9
         +I a 2 0
         now 10
         +I a 4 0
         now 25
         +I a 8 0
         end",
        "+I 3 0 10\n+I 4 10 20",
    );
}

#[test]
fn local_time_over_a_changed_clock() {
    // 2024-10-27 in Zurich: 02:00 to 03:00 comes twice; 2024-03-31: 02:00 to 03:00 does not come.
    const HOUR: i64 = 3_600_000;
    let hour = WindowKind::Tumble {
        size_ms: HOUR,
        offset_ms: 0,
    };
    let case = Case {
        zone: Some("Europe/Zurich"),
        ..Case::new(hour)
    };
    let autumn: i64 = 1_729_987_200_000; // 2024-10-27T00:00:00Z, 02:00 local
    let text = |rows: &[(i64, i64)]| {
        let row = |(v, at): &(i64, i64)| format!("+I a {v} {at}\n");
        rows.iter().map(row).collect::<String>()
    };
    let input = format!(
        "{}wm {}\n{}wm max",
        text(&[(1, autumn)]),
        autumn + HOUR,
        text(&[(2, autumn + HOUR), (4, autumn + 2 * HOUR)])
    );
    let local = autumn + 2 * HOUR;
    let expected = format!(
        "+I 3 {local} {}\n+I 4 {} {}",
        local + HOUR,
        local + HOUR,
        local + 2 * HOUR
    );
    case.subject().check(&input, &expected);
    let spring: i64 = 1_711_843_200_000; // 2024-03-31T00:00:00Z, 01:00 local
    let input = format!("{}wm max", text(&[(1, spring), (2, spring + HOUR)]));
    let local = spring + HOUR;
    let expected = format!(
        "+I 1 {local} {}\n+I 2 {} {}",
        local + HOUR,
        local + 2 * HOUR,
        local + 3 * HOUR
    );
    case.subject().check(&input, &expected);
}

#[test]
fn rows_of_several_windows_in_one_batch() {
    let subject = Case {
        keyed: true,
        ..Case::new(TUMBLE)
    }
    .subject();
    let steps = parse(
        &subject,
        "+I a 1 1\n+I b 2 15\n+I a 4 2\n+I a 8 -\n+I b 16 14\nwm max",
    );
    let mut run = Run::new(&subject, 1, 100);
    run.steps(&in_batches(&steps));
    assert_eq!(run.text(), lines("+I a 5 0 10\n+I b 18 10 20"));
}
