//! Top-N, LIMIT over changes, ranks of bounded inputs and of windows.

use millstream_plan::{Op, RankKind, RankRange, SortKey};
use millstream_types::{ChangelogMode, LogicalType};

use crate::harness::{Subject, traits};

const ROW: &[LogicalType] = &[LogicalType::STRING, LogicalType::STRING, LogicalType::INT];

fn desc(column: usize) -> SortKey {
    SortKey {
        column,
        ascending: false,
        nulls_first: false,
    }
}

struct Case {
    partition: Vec<usize>,
    order: Vec<SortKey>,
    from: u64,
    to: u64,
    rank_output: bool,
    retract: bool,
}

impl Case {
    fn new(to: u64, rank_output: bool, retract: bool) -> Self {
        Self {
            partition: vec![0],
            order: vec![desc(2)],
            from: 1,
            to,
            rank_output,
            retract,
        }
    }

    fn op(&self, bounded: bool, window_end: Option<usize>) -> Op {
        Op::Rank {
            kind: RankKind::RowNumber,
            partition: self.partition.clone(),
            order: self.order.clone(),
            range: RankRange::Constant {
                from: self.from,
                to: self.to,
            },
            rank_output: self.rank_output,
            update_before: true,
            retract_input: self.retract,
            bounded,
            window_end,
            ttl_ms: 0,
        }
    }

    fn output(&self) -> Vec<LogicalType> {
        let mut output = ROW.to_vec();
        if self.rank_output {
            output.push(LogicalType::BIGINT);
        }
        output
    }

    fn subject(&self) -> Subject {
        Subject::new(self.op(false, None), &[ROW], &self.output()).keyed(&[&self.partition])
    }
}

const BIDS: &str = "+I x a 10
    +I x b 30
    +I y c 5
    +I x d 20
    +I x e 40
    +I y f 5
    +I x g 1";

#[test]
fn with_rank_every_shift_is_seen() {
    Case::new(2, true, false).subject().check(
        BIDS,
        "+I x a 10 1
         -U x a 10 1
         +U x b 30 1
         +I x a 10 2
         +I y c 5 1
         -U x a 10 2
         +U x d 20 2
         -U x b 30 1
         +U x e 40 1
         -U x d 20 2
         +U x b 30 2
         +I y f 5 2",
    );
}

#[test]
fn without_rank_rows_enter_and_leave() {
    Case::new(2, false, false).subject().check(
        BIDS,
        "+I x a 10
         +I x b 30
         +I y c 5
         -D x a 10
         +I x d 20
         -D x d 20
         +I x e 40
         +I y f 5",
    );
    Case::new(1, false, false).subject().check(
        BIDS,
        "+I x a 10
         -U x a 10
         +U x b 30
         +I y c 5
         -U x b 30
         +U x e 40",
    );
}

#[test]
fn an_offset_goes_by_rank() {
    let case = Case {
        from: 2,
        ..Case::new(2, false, false)
    };
    case.subject().check(
        "+I x a 10
         +I x b 20
         +I x c 15
         +I x d 30",
        "+I x a 10
         -U x a 10
         +U x c 15
         -U x c 15
         +U x b 20",
    );
}

const PLAYERS: &str = "+I x 1 10
    +I x 2 30
    +I x 3 20
    -D x 2 30
    -U x 1 10
    +U x 1 25
    -U x 3 20
    +U y 3 20";

#[test]
fn a_leader_that_goes_pulls_the_next_one_up() {
    Case::new(2, true, true).subject().check(
        PLAYERS,
        "+I x 1 10 1
         -U x 1 10 1
         +U x 2 30 1
         +I x 1 10 2
         -U x 1 10 2
         +U x 3 20 2
         -U x 2 30 1
         +U x 3 20 1
         -U x 3 20 2
         +U x 1 10 2
         -D x 1 10 2
         -U x 3 20 1
         +U x 1 25 1
         +I x 3 20 2
         -D x 3 20 2
         +I y 3 20 1",
    );
    Case::new(1, false, true).subject().check(
        PLAYERS,
        "+I x 1 10
         -D x 1 10
         +I x 2 30
         -D x 2 30
         +I x 3 20
         -D x 3 20
         +I x 1 25
         +I y 3 20",
    );
}

#[test]
fn equal_rows_are_rows_of_their_own() {
    Case::new(2, true, true).subject().check(
        "+I a x 5
         +I a x 5
         +I a x 5
         -D a x 5
         -D a x 5",
        "+I a x 5 1
         +I a x 5 2
         -U a x 5 1
         +U a x 5 1
         -U a x 5 2
         +U a x 5 2
         -U a x 5 1
         +U a x 5 1
         -D a x 5 2",
    );
}

#[test]
fn rows_that_only_rise_are_known_by_key() {
    let case = Case {
        partition: Vec::new(),
        ..Case::new(2, false, false)
    };
    let upserts = [traits(
        ChangelogMode {
            insert: true,
            update_after: true,
            ..ChangelogMode::default()
        },
        &[&[1]],
    )];
    let subject = Subject::with_traits(case.op(false, None), &[ROW], ROW, &upserts, "UTC");
    subject.check(
        "+I x a 1
         +I x b 1
         +I x c 1
         +U x a 2
         +U x c 2
         +U x a 3",
        "+I x a 1
         +I x b 1
         -U x a 1
         +U x a 2
         -D x b 1
         +I x c 2
         -U x a 2
         +U x a 3",
    );
    let ranked = Case {
        partition: Vec::new(),
        ..Case::new(2, true, false)
    };
    let output = ranked.output();
    Subject::with_traits(ranked.op(false, None), &[ROW], &output, &upserts, "UTC").check(
        "+I x a 1
         +I x b 1
         +U x b 5
         +U x b 6",
        "+I x a 1 1
         +I x b 1 2
         -U x a 1 1
         +U x b 5 1
         -U x b 1 2
         +U x a 1 2
         -U x b 5 1
         +U x b 6 1",
    );
}

#[test]
fn a_limit_over_changes_takes_rows_back() {
    let changes = [traits(ChangelogMode::ALL, &[])];
    let op = Op::Limit {
        offset: 0,
        fetch: Some(2),
        update_before: true,
    };
    Subject::with_traits(op, &[ROW], ROW, &changes, "UTC").check(
        "+I x a 1
         +I x b 1
         -U x a 1
         +U x a 2
         +I x c 1
         -U x b 1
         +U x b 2",
        "+I x a 1
         +I x b 1
         -D x a 1
         +I x a 2
         -D x b 1
         +I x c 1",
    );
}

#[test]
fn ranks_of_a_bounded_input() {
    let bounded = |kind| Op::Rank {
        kind,
        partition: vec![0],
        order: vec![desc(2)],
        range: RankRange::Constant { from: 2, to: 3 },
        rank_output: true,
        update_before: false,
        retract_input: false,
        bounded: true,
        window_end: None,
        ttl_ms: 0,
    };
    let output = [ROW, &[LogicalType::BIGINT]].concat();
    let input = "+I x a 5
        +I y q 1
        +I x b 7
        +I x c 7
        +I x d 2
        end";
    let subject = |kind| Subject::new(bounded(kind), &[ROW], &output).keyed(&[&[0]]);
    subject(RankKind::RowNumber).check(input, "+I x c 7 2\n+I x a 5 3");
    subject(RankKind::Rank).check(input, "+I x a 5 3");
    subject(RankKind::DenseRank).check(input, "+I x a 5 2\n+I x d 2 3");
}

#[test]
fn a_window_emits_its_first_rows_once() {
    let types = [LogicalType::STRING, LogicalType::INT, LogicalType::timestamp(3)];
    let op = Op::Rank {
        kind: RankKind::RowNumber,
        partition: vec![0, 2],
        order: vec![desc(1)],
        range: RankRange::Constant { from: 1, to: 1 },
        rank_output: false,
        update_before: false,
        retract_input: false,
        bounded: false,
        window_end: Some(2),
        ttl_ms: 0,
    };
    Subject::new(op, &[&types], &types).keyed(&[&[0, 2]]).check(
        "+I a 1 10
         +I a 3 10
         +I b 2 20
         wm 9
         +I a 9 10
         +I b 1 20
         wm max",
        "+I a 3 10\n+I b 2 20",
    );
}
