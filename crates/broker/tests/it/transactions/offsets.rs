//! Offsets of transactions beside other commits, and beside what removes them.

use super::{Producer, RESTARTS};
use crate::driver::Driver;
use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::messages::*;

const COMMIT: i16 = 9;
/// The first version of TxnOffsetCommit that needs nothing added before.
const COMMIT_IN: i16 = 5;

impl Driver {
    fn commit_plainly(&mut self, offset: i64) {
        let code = self.commit_offset(COMMIT, "t", ("", -1), (0, offset));
        assert_eq!(code, ErrorCode::NONE);
    }

    fn commit_with(&mut self, producer: &Producer, offset: i64) {
        assert_eq!(self.commit_in(COMMIT_IN, producer, offset), ErrorCode::NONE);
    }

    fn delete_group(&mut self) -> ErrorCode {
        let request = DeleteGroupsRequest {
            groups_names: vec!["g".into()],
        };
        self.call(request).results[0].error_code
    }

    fn delete_offset(&mut self) -> ErrorCode {
        let partitions = vec![offset_delete::OffsetDeleteRequestPartition { partition_index: 0 }];
        let response = self.call(OffsetDeleteRequest {
            group_id: "g".into(),
            topics: vec![offset_delete::OffsetDeleteRequestTopic {
                name: "t".into(),
                partitions,
            }],
        });
        assert_eq!(response.error_code, ErrorCode::NONE);
        response.topics[0].partitions[0].error_code
    }

    fn has_group(&mut self) -> bool {
        !self.call(ListGroupsRequest::default()).groups.is_empty()
    }
}

#[test]
fn the_end_of_a_transaction_leaves_an_offset_that_was_committed_after_its_own() {
    for (what, restart) in RESTARTS {
        for (first, last, expected) in [(100, 0, 0), (0, 100, 100)] {
            let mut driver = Driver::new();
            driver.create("t", 1);
            driver.commit_plainly(50);
            let mut producer = driver.init("tx");
            driver.commit_with(&producer, first);
            restart(&mut driver);
            driver.commit_plainly(last);
            assert_eq!(driver.committed(true).0, ErrorCode::UNSTABLE_OFFSET_COMMIT);
            restart(&mut driver);
            assert_eq!(driver.end(&mut producer, true), ErrorCode::NONE);
            for after in ["at once", "later"] {
                assert_eq!(
                    driver.committed(true),
                    (ErrorCode::NONE, expected),
                    "{what}, {after}"
                );
                restart(&mut driver);
            }
        }
    }
}

#[test]
fn of_two_transactions_the_offset_that_was_committed_last_wins_and_not_the_end() {
    for (what, restart) in RESTARTS {
        for ends_in_order in [true, false] {
            let mut driver = Driver::new();
            driver.create("t", 1);
            let (mut first, mut second) = (driver.init("one"), driver.init("two"));
            driver.commit_with(&second, 1);
            driver.commit_with(&first, 10);
            restart(&mut driver);
            driver.commit_with(&second, 20);
            restart(&mut driver);
            let mut ends = [&mut first, &mut second];
            if !ends_in_order {
                ends.reverse();
            }
            for producer in ends {
                assert_eq!(driver.end(producer, true), ErrorCode::NONE);
                restart(&mut driver);
            }
            assert_eq!(
                driver.committed(true),
                (ErrorCode::NONE, 20),
                "{what}, in order {ends_in_order}"
            );
        }
    }
}

#[test]
fn what_was_deleted_does_not_come_back_with_the_end_of_a_transaction() {
    type Delete = fn(&mut Driver) -> ErrorCode;
    let deletes: [(&str, Delete, bool); 2] = [
        ("the group", Driver::delete_group, false),
        ("its offset", Driver::delete_offset, true),
    ];
    for (what, restart) in RESTARTS {
        for (deleted, delete, stays) in deletes {
            for has_committed in [true, false] {
                let mut driver = Driver::new();
                driver.create("t", 1);
                if has_committed {
                    driver.commit_plainly(5);
                }
                let mut producer = driver.init("tx");
                driver.commit_with(&producer, 100);
                restart(&mut driver);
                assert_eq!(delete(&mut driver), ErrorCode::NONE);
                restart(&mut driver);
                assert_eq!(driver.committed(true), (ErrorCode::NONE, -1), "{deleted}, {what}");
                assert_eq!(driver.end(&mut producer, true), ErrorCode::NONE);
                restart(&mut driver);
                assert_eq!(driver.committed(true), (ErrorCode::NONE, -1), "{deleted}, {what}");
                assert_eq!(driver.has_group(), stays, "{deleted}, {what}");
            }
        }
    }
}

#[test]
fn what_a_transaction_commits_after_a_deletion_counts() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut producer = driver.init("tx");
    driver.commit_with(&producer, 100);
    assert_eq!(driver.delete_group(), ErrorCode::NONE);
    driver.commit_with(&producer, 200);
    driver.crash();
    assert_eq!(driver.end(&mut producer, true), ErrorCode::NONE);
    assert_eq!(driver.committed(true), (ErrorCode::NONE, 200));
}

#[test]
fn an_offset_that_a_transaction_is_to_replace_does_not_expire() {
    let mut driver = Driver::with(&[
        ("offsets.retention.minutes", "10"),
        ("transaction.max.timeout.ms", "3600000"),
    ]);
    driver.create("t", 1);
    driver.commit_plainly(5);
    let request = InitProducerIdRequest {
        transaction_timeout_ms: 3_600_000,
        ..driver.init_request("tx")
    };
    let response = driver.call_version(5, request);
    let mut producer = Producer {
        id: "tx",
        producer_id: response.producer_id,
        epoch: response.producer_epoch,
        sequence: 0,
    };
    driver.commit_with(&producer, 100);
    driver.advance(20 * 60_000);
    assert_eq!(driver.committed(false), (ErrorCode::NONE, 5));
    assert_eq!(driver.end(&mut producer, true), ErrorCode::NONE);
    assert_eq!(driver.committed(true), (ErrorCode::NONE, 100));
}
