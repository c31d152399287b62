//! Tables of events and the watermarks that must follow.

use millstream_dataflow::alignment::{AlignmentGroups, AlignmentSettings};
use millstream_dataflow::valve::{ValveOutput, WatermarkValve};
use millstream_dataflow::watermark::SplitWatermarks;
use millstream_types::Watermark;

enum Event {
    Add(u8),
    Remove(u8),
    Rows(u8, i64),
    /// A row whose time is NULL.
    Null(u8),
}
use Event::*;

/// Runs events (time, event) through a source's watermarks and lists (time, watermark) that came out, and idleness.
fn run(
    interval_ms: i64,
    idle_ms: i64,
    events: &[(i64, Event)],
    until_ms: i64,
) -> (Vec<(i64, i64)>, Vec<i64>) {
    let mut splits = SplitWatermarks::new(interval_ms, idle_ms);
    let (mut out, mut idle) = (Vec::new(), Vec::new());
    for now in 0..=until_ms {
        for (_, event) in events.iter().filter(|(at, _)| *at == now) {
            match event {
                Add(split) => splits.add_split(*split, Watermark::MIN, now),
                Remove(split) => splits.remove_split(split),
                Rows(split, watermark) => splits.observe(split, Some(*watermark), now),
                Null(split) => splits.observe(split, None, now),
            }
            if interval_ms == 0 {
                out.extend(splits.next(now).map(|w| (now, w.0)));
            }
        }
        out.extend(splits.next(now).map(|w| (now, w.0)));
        if splits.is_idle() {
            idle.push(now);
        }
    }
    (out, idle)
}

#[test]
fn the_minimum_of_the_splits_is_emitted_and_never_regresses() {
    let events = [
        (0, Add(1)),
        (0, Add(2)),
        (1, Rows(1, 50)),
        (2, Rows(2, 10)),
        (3, Rows(2, 70)),
        (4, Rows(1, 40)),
    ];
    assert_eq!(run(0, 0, &events, 10).0, [(2, 10), (3, 50)]);
}

#[test]
fn the_interval_holds_watermarks_back() {
    let events = [
        (0, Add(1)),
        (1, Rows(1, 1)),
        (2, Rows(1, 2)),
        (5, Rows(1, 5)),
        (11, Rows(1, 11)),
    ];
    assert_eq!(run(4, 0, &events, 20).0, [(4, 2), (8, 5), (12, 11)]);
}

#[test]
fn a_new_split_holds_back_and_a_finished_one_lets_go() {
    let events = [
        (0, Add(1)),
        (1, Rows(1, 5)),
        (2, Add(2)),
        (3, Rows(1, 9)),
        (4, Remove(2)),
    ];
    assert_eq!(run(0, 0, &events, 10).0, [(1, 5), (4, 9)]);
}

#[test]
fn an_idle_split_does_not_hold_back() {
    let events = [
        (0, Add(1)),
        (0, Add(2)),
        (3, Rows(1, 30)),
        (6, Rows(1, 60)),
        (8, Rows(2, 10)),
        (9, Null(1)),
    ];
    let (out, idle) = run(0, 5, &events, 20);
    // Split 2 is idle from 5 on; its late row at 8 does not take the watermark back.
    assert_eq!(out, [(5, 30), (6, 60)]);
    assert_eq!(
        idle,
        (14..=20).collect::<Vec<_>>(),
        "a row without a time keeps its split awake until 14"
    );
}

#[test]
fn a_source_without_splits_is_idle() {
    assert_eq!(run(0, 0, &[], 1), (Vec::new(), vec![0, 1]));
}

#[test]
fn deadlines_tell_when_to_look_again() {
    let mut splits = SplitWatermarks::new(200, 1000);
    splits.add_split("p0", Watermark::MIN, 0);
    assert_eq!(splits.next(0), None);
    splits.observe(&"p0", Some(7), 10);
    assert_eq!(splits.deadline_ms(), Some(200));
    assert_eq!(splits.next(200), Some(Watermark(7)));
    assert_eq!(splits.deadline_ms(), Some(1010));
}

fn aligned(groups: &AlignmentGroups, watermarks: &[i64]) -> SplitWatermarks<usize> {
    let member = groups.join(AlignmentSettings {
        group: "group".to_owned(),
        max_drift_ms: 10,
        update_interval_ms: 5,
    });
    let mut splits = SplitWatermarks::new(0, 100).aligned(Some(member));
    for (split, watermark) in watermarks.iter().enumerate() {
        splits.add_split(split, Watermark(*watermark), 0);
    }
    splits.next(0);
    splits
}

fn paused(splits: &mut SplitWatermarks<usize>, now_ms: i64) -> Vec<usize> {
    splits.paused(now_ms).into_iter().collect()
}

#[test]
fn aligned_sources_wait_for_the_slowest() {
    let groups = AlignmentGroups::default();
    let mut fast = aligned(&groups, &[100, 31]);
    let mut slow = aligned(&groups, &[i64::MIN]);
    assert_eq!(
        paused(&mut fast, 0),
        [],
        "no source waits for one that has not begun"
    );
    slow.observe(&0, Some(20), 0);
    slow.next(0);
    assert_eq!(paused(&mut slow, 0), []);
    assert_eq!(
        paused(&mut fast, 4),
        [],
        "the group is looked at once an interval"
    );
    assert_eq!(fast.alignment_deadline_ms(), Some(5));
    assert_eq!(paused(&mut fast, 5), [0, 1]);
    slow.observe(&0, Some(25), 6);
    slow.next(6);
    assert_eq!(paused(&mut slow, 6), []);
    assert_eq!(paused(&mut fast, 10), [0]);
}

#[test]
fn sources_wait_neither_for_idle_ones_nor_for_those_that_have_gone() {
    let groups = AlignmentGroups::default();
    let mut fast = aligned(&groups, &[100]);
    let mut idle = aligned(&groups, &[20]);
    let gone = aligned(&groups, &[20]);
    assert_eq!(paused(&mut idle, 0), []);
    drop(gone);
    assert_eq!(paused(&mut fast, 0), [0]);
    fast.observe(&0, Some(101), 90);
    // A split that waits is not idle, however long it waits.
    assert_eq!(paused(&mut fast, 99), [0]);
    idle.next(150);
    assert_eq!(paused(&mut idle, 150), []);
    assert_eq!(paused(&mut fast, 150), []);
    let mut finished = aligned(&groups, &[20]);
    assert_eq!(paused(&mut finished, 150), []);
    assert_eq!(paused(&mut fast, 155), [0]);
    finished.remove_split(&0);
    assert_eq!(paused(&mut fast, 160), []);
}

/// (input, watermark | idle | active) → output.
#[derive(Clone, Copy)]
enum In {
    W(usize, i64),
    Idle(usize),
    Active(usize),
}

fn valve(inputs: usize, table: &[(In, ValveOutput)]) {
    let mut valve = WatermarkValve::new(inputs);
    for (row, (event, expected)) in table.iter().enumerate() {
        let output = match *event {
            In::W(input, watermark) => valve.watermark(input, Watermark(watermark)),
            In::Idle(input) => valve.idle(input),
            In::Active(input) => valve.active(input),
        };
        assert_eq!(output, *expected, "row {row}");
    }
}

const NOTHING: ValveOutput = ValveOutput {
    active: false,
    watermark: None,
    idle: false,
};

fn to(watermark: i64) -> ValveOutput {
    ValveOutput {
        watermark: Some(Watermark(watermark)),
        ..NOTHING
    }
}

#[test]
fn a_valve_merges_by_minimum() {
    valve(
        2,
        &[
            (In::W(0, 5), NOTHING),
            (In::W(1, 3), to(3)),
            (In::W(1, 2), NOTHING),
            (In::W(1, 9), to(5)),
        ],
    );
}

#[test]
fn an_idle_input_counts_again_when_it_has_caught_up() {
    valve(
        2,
        &[
            (In::W(0, 5), NOTHING),
            (In::Idle(1), to(5)),
            (In::W(0, 8), to(8)),
            (In::Active(1), NOTHING),
            (In::W(1, 6), NOTHING),
            (In::W(0, 10), to(10)),
            (In::W(1, 11), NOTHING),
            (In::W(0, 20), to(11)),
        ],
    );
}

#[test]
fn when_all_go_idle_the_highest_watermark_is_let_through() {
    let idle = ValveOutput {
        idle: true,
        ..NOTHING
    };
    let active = ValveOutput {
        active: true,
        ..NOTHING
    };
    valve(
        2,
        &[
            (In::W(0, 5), NOTHING),
            (In::W(1, 3), to(3)),
            (In::Idle(0), NOTHING),
            (
                In::Idle(1),
                ValveOutput {
                    watermark: Some(Watermark(5)),
                    ..idle
                },
            ),
            (In::Active(1), active),
            (In::W(1, 4), NOTHING),
            (In::W(1, 6), to(6)),
        ],
    );
}
