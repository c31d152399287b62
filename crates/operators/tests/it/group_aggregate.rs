//! GROUP BY without windows.

use millstream_plan::{AggregateCall, Op};
use millstream_types::{LogicalType, TypeKind};

use crate::harness::Subject;

pub fn call(function: &str, args: &[usize], ty: LogicalType, result: LogicalType) -> AggregateCall {
    AggregateCall {
        function: function.to_owned(),
        args: args.to_vec(),
        arg_types: vec![ty; args.len()],
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        parameters: Vec::new(),
        result,
        name: function.to_lowercase(),
    }
}

pub fn count() -> AggregateCall {
    call(
        "COUNT",
        &[],
        LogicalType::INT,
        LogicalType::not_null(TypeKind::BigInt),
    )
}

const KV: &[LogicalType] = &[LogicalType::STRING, LogicalType::INT];

fn group(
    keys: &[usize],
    aggregates: Vec<AggregateCall>,
    retract_input: bool,
    bounded: bool,
    ttl_ms: i64,
) -> Subject {
    let mut output: Vec<LogicalType> = keys.iter().map(|k| KV[*k].clone()).collect();
    output.extend(aggregates.iter().map(|a| a.result.clone()));
    let keys = keys.to_vec();
    let op = Op::GroupAggregate {
        keys: keys.clone(),
        aggregates,
        update_before: true,
        retract_input,
        bounded,
        ttl_ms,
    };
    Subject::new(op, &[KV], &output).keyed(&[&keys])
}

fn sum() -> AggregateCall {
    call("SUM", &[1], LogicalType::INT, LogicalType::INT)
}

fn max() -> AggregateCall {
    call("MAX", &[1], LogicalType::INT, LogicalType::INT)
}

#[test]
fn a_group_comes_changes_and_is_not_sent_again_unchanged() {
    group(&[0], vec![max()], false, false, 0).check(
        "+I a 5
         +I a 3
         +I a 5
         +I a 9
         +I b -
         +I b -
         +I b 0",
        "+I a 5
         -U a 5
         +U a 9
         +I b -
         -U b -
         +U b 0",
    );
}

#[test]
fn a_group_without_rows_is_deleted() {
    let input = "+I x 10
                 +I y 20
                 -U x 10
                 +U y 15
                 -D y 20
                 -D y 15";
    group(&[0], vec![count(), sum()], true, false, 0).check(
        input,
        "+I x 1 10
         +I y 1 20
         -D x 1 10
         -U y 1 20
         +U y 2 35
         -U y 2 35
         +U y 1 15
         -D y 1 15",
    );
    group(&[], vec![count(), sum(), max()], true, false, 0).check(
        input,
        "+I 1 10 10
         -U 1 10 10
         +U 2 30 20
         -U 2 30 20
         +U 1 20 20
         -U 1 20 20
         +U 2 35 20
         -U 2 35 20
         +U 1 15 15
         -D 1 15 15",
    );
}

#[test]
fn taking_back_what_never_came_is_ignored() {
    group(&[0], vec![count(), sum()], true, false, 0).check(
        "-D a 5
         +I a 7
         -D a 7
         -D a 7
         +I a 1",
        "+I a 1 7
         -D a 1 7
         +I a 1 1",
    );
}

#[test]
fn distinct_rows_are_groups_without_aggregates() {
    group(&[0], Vec::new(), true, false, 0).check(
        "+I x 1
         +I y 1
         +I x 2
         -D x 1
         -D x 2",
        "+I x
         +I y
         -D x",
    );
}

#[test]
fn distinct_and_filter() {
    let distinct = AggregateCall {
        distinct: true,
        ..call("COUNT", &[1], LogicalType::INT, count().result)
    };
    let listed = AggregateCall {
        distinct: true,
        ..call(
            "ARRAY_AGG",
            &[1],
            LogicalType::INT,
            LogicalType::array(LogicalType::INT),
        )
    };
    group(&[0], vec![distinct, listed], true, false, 0).check(
        "+I a 1
         +I a 2
         +I a 1
         -D a 1
         -D a 1
         +I a -",
        "+I a 1 [1]
         -U a 1 [1]
         +U a 2 [1,2]
         -U a 2 [1,2]
         +U a 1 [2]
         -U a 1 [2]
         +U a 1 [2,-]",
    );
    let types = [LogicalType::STRING, LogicalType::INT, LogicalType::BOOLEAN];
    let filtered = AggregateCall {
        filter: Some(2),
        ..sum()
    };
    let op = Op::GroupAggregate {
        keys: vec![0],
        aggregates: vec![filtered],
        update_before: true,
        retract_input: false,
        bounded: false,
        ttl_ms: 0,
    };
    Subject::new(op, &[&types], &[LogicalType::STRING, LogicalType::INT])
        .keyed(&[&[0]])
        .check(
            "+I a 1 false
         +I a 2 true
         +I a 4 -
         +I a 8 true",
            "+I a -
         -U a -
         +U a 2
         -U a 2
         +U a 10",
        );
}

#[test]
fn a_bounded_input_gives_each_group_once() {
    group(&[0], vec![count(), sum()], false, true, 0).check(
        "+I a 1
         +I b 2
         +I a 3
         end",
        "+I a 2 4
         +I b 1 2",
    );
    group(&[], vec![count(), sum()], false, true, 0).check("end", "+I 0 -");
    group(&[0], vec![count()], false, true, 0).check("end", "");
}

#[test]
fn idle_groups_are_forgotten() {
    let subject = group(&[0], vec![count()], false, false, 1000);
    let output = subject.run(
        "now 100
         +I a 1
         now 900
         +I a 1
         now 1950
         +I a 1
         +I b 1",
    );
    assert_eq!(output, "+I a 1\n-U a 1\n+U a 2\n+I a 1\n+I b 1");
}

#[test]
fn changes_of_one_batch_fold() {
    use crate::harness::{Run, in_batches, parse};
    let subject = group(&[0], vec![sum()], true, false, 0);
    let mut run = Run::new(&subject, 1, 100);
    run.steps(&in_batches(&parse(
        &subject,
        "+I a 1\n+I b 1\n+I a 2\n-D b 1\n+I c 5",
    )));
    assert_eq!(run.text(), "+I a 3\n+I c 5");
}
