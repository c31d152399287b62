//! Operators against slow and obvious ones, on random input.

use std::collections::BTreeMap;

use millstream_plan::aggregate::WindowAssign;
use millstream_plan::{JoinKind, Op, RankKind, RankRange, SortKey, WindowKind, WindowProperty, WindowSpec};
use millstream_types::LogicalType;
use proptest::prelude::*;

use crate::group_aggregate::{call, count};
use crate::harness::{Run, Subject, in_batches, parse, table};

const TS: LogicalType = LogicalType::timestamp(3);

fn hop(slide_ms: i64, slides: i64, function: &str) -> Subject {
    let types = [LogicalType::INT, LogicalType::INT, TS];
    let kind = WindowKind::Hop {
        slide_ms,
        size_ms: slide_ms * slides,
        offset_ms: 0,
    };
    let window = WindowSpec {
        kind,
        assign: WindowAssign::TimeColumn(2),
        event_time: true,
        local_time: false,
    };
    let result = call(function, &[1], LogicalType::INT, LogicalType::INT);
    let op = Op::WindowAggregate {
        window,
        keys: vec![0],
        aggregates: vec![result, count()],
        properties: vec![WindowProperty::End],
        retract_input: false,
        bounded: false,
    };
    let output = [LogicalType::INT, LogicalType::INT, LogicalType::BIGINT, TS];
    Subject::new(op, &[&types], &output).keyed(&[&[0]])
}

/// Each row into each of its windows that the watermark has not passed.
fn hop_oracle(rows: &[(i32, i32, i64)], slide: i64, slides: i64, lag: i64, max: bool) -> String {
    let mut windows: BTreeMap<(i64, i32), Vec<i32>> = BTreeMap::new();
    let mut watermark = i64::MIN;
    for (key, value, time) in rows {
        let first_end = time.div_euclid(slide) * slide + slide;
        for i in 0..slides {
            let end = first_end + i * slide;
            if end - 1 > watermark {
                windows.entry((end, *key)).or_default().push(*value);
            }
        }
        watermark = watermark.max(time - lag);
    }
    let mut lines: Vec<String> = windows
        .iter()
        .map(|((end, key), values)| {
            let result = if max {
                values.iter().max().copied().unwrap()
            } else {
                values.iter().sum()
            };
            format!("{key} {result} {} {end}", values.len())
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hop_windows(
        rows in prop::collection::vec((0..4i32, -9..9i32, 0..120i64), 1..80),
        slide in 1..9i64,
        slides in 1..7i64,
        lag in 0..30i64,
        max in any::<bool>(),
        cut in 0..80usize,
    ) {
        let subject = hop(slide, slides, if max { "MAX" } else { "SUM" });
        let mut text = String::new();
        let mut watermark = i64::MIN;
        for (key, value, time) in &rows {
            text += &format!("+I {key} {value} {time}\n");
            if time - lag > watermark {
                watermark = time - lag;
                text += &format!("wm {watermark}\n");
            }
        }
        text += "wm max";
        let steps = parse(&subject, &text);
        let mut run = Run::new(&subject, 1, 3);
        let cut = cut.min(steps.len());
        run.steps(&steps[..cut]);
        run.restart(1);
        run.steps(&steps[cut..]);
        prop_assert_eq!(table(&run.out), hop_oracle(&rows, slide, slides, lag, max));
    }

    #[test]
    fn joins_keep_the_join_of_what_is_there(
        changes in prop::collection::vec((any::<bool>(), any::<bool>(), 0..4i32, 0..3i32), 1..60),
        kind in prop::sample::select(vec![
            JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full, JoinKind::Semi, JoinKind::Anti,
        ]),
        in_large_batches in any::<bool>(),
    ) {
        let row = [LogicalType::INT, LogicalType::INT];
        let op = Op::Join {
            kind,
            left_keys: vec![0],
            right_keys: vec![0],
            null_safe: vec![false],
            condition: None,
            left_unique: None,
            right_unique: None,
            bounded: false,
            left_ttl_ms: 0,
            right_ttl_ms: 0,
        };
        let is_filter = matches!(kind, JoinKind::Semi | JoinKind::Anti);
        let output = if is_filter { row.to_vec() } else { [row.clone(), row.clone()].concat() };
        let subject = Subject::new(op, &[&row, &row], &output);
        let mut sides: [Vec<(i32, i32)>; 2] = [Vec::new(), Vec::new()];
        let mut text = String::new();
        for (right, delete, key, value) in changes {
            let side = &mut sides[usize::from(right)];
            let prefix = if right { "1: " } else { "" };
            match side.iter().position(|held| *held == (key, value)) {
                Some(at) if delete => {
                    side.remove(at);
                    text += &format!("{prefix}-D {key} {value}\n");
                }
                _ => {
                    side.push((key, value));
                    text += &format!("{prefix}+I {key} {value}\n");
                }
            }
        }
        let steps = parse(&subject, &text);
        let mut run = Run::new(&subject, 1, 100);
        run.steps(&if in_large_batches { in_batches(&steps) } else { steps });
        prop_assert_eq!(table(&run.out), join_oracle(kind, &sides[0], &sides[1]));
    }

    #[test]
    fn top_n_keeps_the_best_rows(
        changes in prop::collection::vec((any::<bool>(), 0..3i32, 0..20i32), 1..60),
        n in 1..5u64,
        from in 1..3u64,
        ranked in any::<bool>(),
    ) {
        let row = [LogicalType::INT, LogicalType::INT];
        let op = Op::Rank {
            kind: RankKind::RowNumber,
            partition: vec![0],
            order: vec![SortKey { column: 1, ascending: false, nulls_first: false }],
            range: RankRange::Constant { from, to: n },
            rank_output: ranked,
            update_before: true,
            retract_input: true,
            bounded: false,
            window_end: None,
            ttl_ms: 0,
        };
        let output = if ranked { vec![LogicalType::INT, LogicalType::INT, LogicalType::BIGINT] } else { row.to_vec() };
        let subject = Subject::new(op, &[&row], &output);
        let mut held: Vec<(i32, i32)> = Vec::new();
        let mut text = String::new();
        for (delete, key, value) in changes {
            match held.iter().position(|row| *row == (key, value)) {
                Some(at) if delete => {
                    held.remove(at);
                    text += &format!("-D {key} {value}\n");
                }
                _ => {
                    held.push((key, value));
                    text += &format!("+I {key} {value}\n");
                }
            }
        }
        let mut run = Run::new(&subject, 1, 100);
        run.steps(&in_batches(&parse(&subject, &text)));
        let mut expected = Vec::new();
        for key in 0..3 {
            let mut values: Vec<i32> = held.iter().filter(|row| row.0 == key).map(|row| row.1).collect();
            values.sort_by(|a, b| b.cmp(a));
            for (i, value) in values.iter().enumerate() {
                let rank = i as u64 + 1;
                if (from..=n).contains(&rank) {
                    expected.push(if ranked { format!("{key} {value} {rank}") } else { format!("{key} {value}") });
                }
            }
        }
        expected.sort();
        prop_assert_eq!(table(&run.out), expected.join("\n"));
    }
}

fn join_oracle(kind: JoinKind, left: &[(i32, i32)], right: &[(i32, i32)]) -> String {
    let text = |row: &(i32, i32)| format!("{} {}", row.0, row.1);
    let mut rows = Vec::new();
    for l in left {
        let matches: Vec<_> = right.iter().filter(|r| r.0 == l.0).collect();
        match kind {
            JoinKind::Semi if !matches.is_empty() => rows.push(text(l)),
            JoinKind::Anti if matches.is_empty() => rows.push(text(l)),
            JoinKind::Semi | JoinKind::Anti => {}
            _ => rows.extend(matches.iter().map(|r| format!("{} {}", text(l), text(r)))),
        }
        if matches.is_empty() && matches!(kind, JoinKind::Left | JoinKind::Full) {
            rows.push(format!("{} - -", text(l)));
        }
    }
    if matches!(kind, JoinKind::Right | JoinKind::Full) {
        let unmatched = right.iter().filter(|r| left.iter().all(|l| l.0 != r.0));
        rows.extend(unmatched.map(|r| format!("- - {}", text(r))));
    }
    rows.sort();
    rows.join("\n")
}
