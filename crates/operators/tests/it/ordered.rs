//! ORDER BY and LIMIT.

use millstream_plan::{Op, SortKey};
use millstream_types::{ChangelogMode, LogicalType};

use crate::harness::{Subject, traits};

const ROW: &[LogicalType] = &[LogicalType::STRING, LogicalType::DOUBLE];

fn by_value(ascending: bool) -> SortKey {
    SortKey {
        column: 1,
        ascending,
        nulls_first: ascending,
    }
}

#[test]
fn sort_puts_null_lowest_and_nan_highest() {
    let op = Op::Sort {
        keys: vec![by_value(true)],
    };
    Subject::new(op, &[ROW], ROW).check(
        "+I a NaN
         +I b 1.5
         +I c -
         +I d -inf
         +I e -0.0
         +I f 0.0
         +I g 1.5
         end",
        "+I c -
         +I d -inf
         +I e -0.0
         +I f 0.0
         +I b 1.5
         +I g 1.5
         +I a NaN",
    );
}

#[test]
fn sort_limit_of_a_bounded_input() {
    let op = Op::SortLimit {
        keys: vec![by_value(false)],
        offset: 1,
        fetch: 2,
        update_before: false,
        retract_input: false,
        bounded: true,
    };
    Subject::new(op, &[ROW], ROW).check(
        "+I a 1\n+I b 4\n+I c -\n+I d 3\n+I e 2\nend",
        "+I d 3.0\n+I e 2.0",
    );
}

#[test]
fn sort_limit_of_a_stream() {
    let op = Op::SortLimit {
        keys: vec![by_value(false)],
        offset: 0,
        fetch: 1,
        update_before: true,
        retract_input: false,
        bounded: false,
    };
    let inserts = [traits(ChangelogMode::INSERT_ONLY, &[])];
    let subject = Subject::with_traits(op, &[ROW], ROW, &inserts, "UTC");
    subject.check("+I a 1\n+I b 3\n+I c 2", "+I a 1.0\n-U a 1.0\n+U b 3.0");
}

#[test]
fn limit_takes_the_rows_that_come_first() {
    let inserts = [traits(ChangelogMode::INSERT_ONLY, &[])];
    let limit = |offset, fetch| {
        let op = Op::Limit {
            offset,
            fetch,
            update_before: false,
        };
        Subject::with_traits(op, &[ROW], ROW, &inserts, "UTC")
    };
    let input = "+I a 1\n+I b 2\n+I c 3\n+I d 4\n+I e 5";
    limit(0, Some(3)).check(input, "+I a 1.0\n+I b 2.0\n+I c 3.0");
    limit(2, Some(2)).check(input, "+I c 3.0\n+I d 4.0");
    limit(4, None).check(input, "+I e 5.0");
    limit(0, Some(0)).check(input, "");
}
