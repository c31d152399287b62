//! MATCH_RECOGNIZE, SESSION rows, and OVER frames of any bounds.

use millstream_plan::aggregate::WindowAssign;
use millstream_plan::{
    Expr, MatchCondition, MatchSkip, MatchSpec, MatchVariable, Navigation, NavigationKind, Op, RowsExprs,
    SortKey, WindowKind, WindowSpec,
};
use millstream_types::LogicalType;
use proptest::prelude::*;

use crate::group_aggregate::call;
use crate::harness::{Run, Subject, parse, table};

const TS: LogicalType = LogicalType::timestamp(3);
const INT: LogicalType = LogicalType::INT;

fn ascending(column: usize) -> SortKey {
    SortKey {
        column,
        ascending: true,
        nulls_first: true,
    }
}

fn variable(
    name: &str,
    (min, max): (u32, Option<u32>),
    greedy: bool,
    column: Option<usize>,
) -> MatchVariable {
    MatchVariable {
        name: name.to_owned(),
        min,
        max,
        greedy,
        condition: column.map_or(MatchCondition::Always, MatchCondition::Column),
    }
}

/// Rows of key, value, time, whether the row may be an A, whether it may be a B: `A <quantifier> B` gives the first and
/// the last A, and the B.
fn pattern(quantifier: (u32, Option<u32>), greedy: bool, skip: MatchSkip, within_ms: Option<i64>) -> Subject {
    let row = [INT, INT, TS, LogicalType::BOOLEAN, LogicalType::BOOLEAN];
    let value = |variable, kind| Navigation {
        variable: Some(variable),
        kind,
        ty: INT,
    };
    let (column, offset) = (1, 0);
    let measures = RowsExprs {
        navigations: vec![
            value(0, NavigationKind::First { column, offset }),
            value(0, NavigationKind::Last { column, offset }),
            value(1, NavigationKind::Last { column, offset }),
        ],
        exprs: (0..3).map(|i| Expr::column(i, INT)).collect(),
    };
    let spec = MatchSpec {
        partition: vec![0],
        order: vec![ascending(2)],
        variables: vec![
            variable("A", quantifier, greedy, Some(3)),
            variable("B", (1, Some(1)), true, Some(4)),
        ],
        skip,
        within_ms,
        measures,
    };
    let op = Op::Match {
        spec: Box::new(spec),
        event_time: true,
    };
    Subject::new(op, &[&row], &[INT, INT, INT, INT]).keyed(&[&[0]])
}

const ROWS: &str = "+I 1 1 10 true false
    +I 2 2 11 true false
    +I 1 4 40 false true
    +I 1 3 30 true true
    +I 2 5 50 false true
    wm 45
    +I 1 6 44 true true
    +I 1 7 60 true false
    wm 65
    +I 1 8 70 false true
    wm max";

#[test]
fn rows_are_taken_in_order_of_time_and_greedy_loops_give_nothing_back() {
    let next = MatchSkip::ToNextRow;
    // Row 3 may be both: a greedy loop takes it, a reluctant one ends there too.
    pattern((1, None), true, next, None).check(ROWS, "+I 1 1 3 4\n+I 1 3 3 4\n+I 2 2 2 5\n+I 1 7 7 8");
    pattern((1, None), false, next, None).check(ROWS, "+I 1 1 1 3\n+I 1 3 3 4\n+I 2 2 2 5\n+I 1 7 7 8");
    pattern((1, None), true, MatchSkip::PastLastRow, None).check(ROWS, "+I 1 1 3 4\n+I 2 2 2 5\n+I 1 7 7 8");
    pattern((2, Some(2)), true, next, None).check(ROWS, "+I 1 1 3 4");
    pattern((0, None), false, next, None).check(
        ROWS,
        "+I 1 1 1 3\n+I 1 - - 3\n+I 1 - - 4\n+I 2 2 2 5\n+I 2 - - 5\n+I 1 7 7 8\n+I 1 - - 8",
    );
}

#[test]
fn a_match_that_takes_too_long_is_none() {
    let pattern = pattern((1, None), true, MatchSkip::ToNextRow, Some(30));
    pattern.check(ROWS, "+I 1 3 3 4\n+I 1 7 7 8");
}

#[test]
fn skipping_to_the_first_row_of_the_match_is_an_error() {
    let subject = pattern((1, None), true, MatchSkip::ToFirst(0), None);
    let mut run = Run::new(&subject, 1, 1);
    let failed = parse(&subject, ROWS)
        .iter()
        .find_map(|step| run.step(step).err())
        .unwrap();
    assert!(failed.message.contains("skip to first element"), "{failed}");
}

#[test]
fn matches_survive_a_restart_at_any_place_and_with_another_parallelism() {
    for within_ms in [None, Some(30)] {
        let subject = pattern((1, None), false, MatchSkip::ToNextRow, within_ms);
        let steps = parse(&subject, ROWS);
        let mut whole = Run::new(&subject, 1, 1);
        whole.steps(&steps);
        for cut in 0..steps.len() {
            let mut run = Run::new(&subject, 2, 1);
            run.steps(&steps[..cut]);
            run.restart(3);
            run.steps(&steps[cut..]);
            assert_eq!(table(&run.out), table(&whole.out), "restart before step {cut}");
        }
    }
}

fn sessions() -> Subject {
    let row = [INT, INT, TS];
    let window = WindowSpec {
        kind: WindowKind::Session { gap_ms: 10 },
        assign: WindowAssign::TimeColumn(2),
        event_time: true,
        local_time: false,
    };
    let op = Op::WindowTableFunction {
        window,
        partition: vec![0],
    };
    Subject::new(op, &[&row], &[INT, INT, TS, TS, TS, TS]).keyed(&[&[0]])
}

#[test]
fn rows_wait_for_the_end_of_their_session() {
    let input = "+I 1 1 0
        +I 1 2 18
        +I 2 3 5
        +I 1 4 9
        wm 14
        +I 2 5 3
        wm 27
        +I 1 6 17
        wm max";
    let expected = "+I 2 3 5 5 15 14
        +I 1 1 0 0 28 27
        +I 1 2 18 0 28 27
        +I 1 4 9 0 28 27";
    sessions().check(input, expected);
    let subject = sessions();
    let steps = parse(&subject, input);
    for cut in 0..steps.len() {
        let mut run = Run::new(&subject, 1, 1);
        run.steps(&steps[..cut]);
        run.restart(2);
        run.steps(&steps[cut..]);
        assert_eq!(run.out.len(), 4, "restart before step {cut}");
    }
}

/// The sum of the values in the frame of each row, slowly.
fn frame_sums(rows: &[(i32, i32)], by_rows: bool, preceding: Option<i64>, following: Option<i64>) -> String {
    let mut sorted: Vec<(i32, i32)> = rows.to_vec();
    sorted.sort_by_key(|(order, _)| *order);
    let place = |at: usize| {
        if by_rows {
            at as i64
        } else {
            i64::from(sorted[at].0)
        }
    };
    let mut lines = Vec::new();
    for (at, (order, value)) in sorted.iter().enumerate() {
        let low = preceding.map_or(i64::MIN, |distance| place(at) - distance);
        let high = following.map_or(i64::MAX, |distance| place(at) + distance);
        let inside: Vec<i32> = (0..sorted.len())
            .filter(|other| (low..=high).contains(&place(*other)))
            .map(|other| sorted[other].1)
            .collect();
        let sum = if inside.is_empty() {
            "-".to_owned()
        } else {
            inside.iter().sum::<i32>().to_string()
        };
        lines.push(format!("1 {value} {order} {sum}"));
    }
    lines.sort();
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_of_any_bounds(
        rows in prop::collection::vec((0..12i32, -9..9i32), 1..30),
        by_rows in any::<bool>(),
        preceding in prop::option::of(-3..4i64),
        following in prop::option::of(-3..4i64),
    ) {
        let result = call("SUM", &[1], INT, INT);
        let op = Op::Over {
            partition: vec![0],
            order: vec![ascending(2)],
            rows: by_rows,
            preceding,
            following,
            event_time: None,
            calls: vec![result],
            bounded: true,
        };
        let subject = Subject::new(op, &[&[INT, INT, INT]], &[INT, INT, INT, INT]).keyed(&[&[0]]);
        let lines: Vec<String> = rows.iter().map(|(order, value)| format!("+I 1 {value} {order}")).collect();
        // Rows that compare equal may come in any order: only RANGE frames treat them alike.
        let mut places: Vec<i32> = rows.iter().map(|(order, _)| *order).collect();
        places.sort_unstable();
        places.dedup();
        prop_assume!(!by_rows || places.len() == rows.len());
        let input = format!("{}\nwm max\nend", lines.join("\n"));
        let mut run = Run::new(&subject, 1, 3);
        run.steps(&parse(&subject, &input));
        prop_assert_eq!(table(&run.out), frame_sums(&rows, by_rows, preceding, following));
    }
}
