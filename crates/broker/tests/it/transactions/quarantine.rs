//! Transactions with data in a partition that cannot be read for a while.

use super::Producer;
use crate::driver::Driver;
use millstream_kafka_wire::ErrorCode;
use millstream_types::storage::Storage;

#[test]
fn a_transaction_that_ends_during_a_quarantine_has_ended_when_that_does() {
    for commits in [true, false] {
        let mut driver = Driver::new();
        driver.create("damaged", 1);
        driver.create("whole", 1);
        let mut producer = driver.init("tx");
        let mut other = producer.clone();
        driver.transactional(13, &mut producer, "damaged", &["first"]);
        driver.transactional(13, &mut other, "whole", &["first"]);
        driver.restart();
        let files = driver.storage.files().into_iter().map(|(path, _)| path);
        let segments: Vec<String> = files.filter(|path| path.ends_with("-0.log")).collect();
        let sound = driver.storage.read(&segments[0]).unwrap();
        driver.storage.flip(&segments[0], 70, 1).unwrap();
        driver.append("whole", 0, &["makes the end unclean"]);
        driver.crash();
        let refused = driver.fetch("damaged", 0, 0, 1).error_code;
        assert_eq!(refused, ErrorCode::KAFKA_STORAGE_ERROR);

        assert_eq!(driver.end(&mut producer, commits), ErrorCode::NONE);
        let mut expected = vec!["first"];
        expected.retain(|_| commits);
        let whole = driver.values("whole", 0, true);
        assert_eq!(whole.len(), 1 + expected.len(), "{whole:?}");
        let refused = driver.transactional(13, &mut producer, "damaged", &["refused"]);
        assert_eq!(refused, ErrorCode::KAFKA_STORAGE_ERROR);
        driver.restart();
        driver.storage.replace(&segments[0], &sound).unwrap();
        driver.crash();
        assert_eq!(driver.values("damaged", 0, true), expected);

        // The next transaction of the same producer is on its own.
        let mut producer = Producer {
            sequence: 0,
            ..producer
        };
        driver.transactional(13, &mut producer, "damaged", &["second"]);
        assert_eq!(driver.end(&mut producer, !commits), ErrorCode::NONE);
        expected.extend((!commits).then_some("second"));
        assert_eq!(driver.values("damaged", 0, true), expected);
    }
}
