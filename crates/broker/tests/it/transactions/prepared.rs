//! Prepared transactions (KIP-939): they wait for the external decision, under the id they were prepared with.

use super::{EPOCH_MAX, Producer, RESTARTS};
use crate::driver::{Driver, newest};
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ApiKey, ErrorCode};

impl Driver {
    fn init_prepared(&mut self, producer: Option<&Producer>, keep: bool) -> InitProducerIdResponse {
        let (producer_id, producer_epoch) =
            producer.map_or((-1, -1), |known| (known.producer_id, known.epoch));
        let request = InitProducerIdRequest {
            enable2_pc: true,
            keep_prepared_txn: keep,
            producer_id,
            producer_epoch,
            ..self.init_request("tx")
        };
        self.call_version(newest(ApiKey::InitProducerId), request)
    }

    /// The first instance.
    fn prepare(&mut self, values: &[&str]) -> Producer {
        self.context.is_internal = true;
        let mut producer = producer(&self.init_prepared(None, false));
        assert_eq!(
            self.transactional(13, &mut producer, "t", values),
            ErrorCode::NONE
        );
        producer
    }

    /// A new instance, which learns of the prepared transaction.
    fn resume(&mut self, prepared: &Producer) -> Producer {
        let kept = self.init_prepared(None, true);
        assert_eq!(
            ongoing(&kept),
            (prepared.producer_id, prepared.epoch),
            "it keeps its name"
        );
        producer(&kept)
    }

    fn last_stable_offset(&mut self) -> i64 {
        self.fetch("t", 0, 0, 1).last_stable_offset
    }

    fn described(&mut self) -> (String, i64, i16) {
        let request = DescribeTransactionsRequest {
            transactional_ids: vec!["tx".into()],
        };
        let state = self.call(request).transaction_states.remove(0);
        (
            state.transaction_state.to_string(),
            state.producer_id,
            state.producer_epoch,
        )
    }

    fn listed_by(&mut self, producer_id: i64) -> Vec<i64> {
        let request = ListTransactionsRequest {
            producer_id_filters: vec![producer_id],
            duration_filter: -1,
            ..Default::default()
        };
        let states = self.call(request).transaction_states;
        states.iter().map(|state| state.producer_id).collect()
    }

    /// Nothing can be done to the transaction by an instance before the newest one.
    fn assert_fenced(&mut self, old: &Producer) {
        for (version, committed) in [(4, true), (4, false), (5, true), (5, false)] {
            let code = self.end_version(version, old, committed).error_code;
            let is_fenced =
                [ErrorCode::PRODUCER_FENCED, ErrorCode::INVALID_PRODUCER_ID_MAPPING].contains(&code);
            assert!(is_fenced, "{code:?}");
        }
        for version in [11, 13] {
            let code = self.transactional(version, &mut old.clone(), "t", &["late"]);
            let is_fenced = [
                ErrorCode::INVALID_PRODUCER_EPOCH,
                ErrorCode::INVALID_PRODUCER_ID_MAPPING,
            ]
            .contains(&code);
            assert!(is_fenced, "{code:?}");
        }
    }

    /// The newest instance cannot add to what was prepared.
    fn assert_closed(&mut self, newest: &Producer) {
        let closed = ErrorCode::INVALID_TXN_STATE;
        for version in [11, 13] {
            let code = self.transactional(version, &mut newest.clone(), "t", &["more"]);
            assert_eq!(code, closed);
        }
        assert_eq!(self.add_partitions(newest, &["t"]), [closed]);
        for version in [3, 5] {
            assert_eq!(self.commit_in(version, newest, 5), closed);
        }
    }
}

fn producer(response: &InitProducerIdResponse) -> Producer {
    assert_eq!(response.error_code, ErrorCode::NONE);
    Producer {
        id: "tx",
        producer_id: response.producer_id,
        epoch: response.producer_epoch,
        sequence: 0,
    }
}

fn ongoing(response: &InitProducerIdResponse) -> (i64, i16) {
    (
        response.ongoing_txn_producer_id,
        response.ongoing_txn_producer_epoch,
    )
}

#[test]
fn a_prepared_transaction_never_expires_and_is_resumed() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let denied = driver.init_prepared(None, false);
    assert_eq!(
        denied.error_code,
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    );
    let prepared = driver.prepare(&["prepared"]);
    driver.crash();
    driver.advance(100 * 24 * 3_600_000);
    assert_eq!(driver.list_offset("t", 0, -1, 1).0, 0, "still open");
    let mut resumed = driver.resume(&prepared);
    driver.assert_fenced(&prepared);
    assert_eq!(driver.end(&mut resumed, true), ErrorCode::NONE);
    assert_eq!(driver.values("t", 0, true), ["prepared"]);
    assert_eq!(ongoing(&driver.init_prepared(None, true)), (-1, -1));
}

#[test]
fn a_prepared_transaction_keeps_its_name_however_often_it_is_resumed() {
    for (restart, happens) in RESTARTS {
        for (version, committed) in [(4, true), (4, false), (5, true), (5, false)] {
            let mut driver = Driver::new();
            driver.create("t", 1);
            let prepared = driver.prepare(&["prepared"]);
            let mut earlier = vec![prepared.clone()];
            for _ in 0..3 {
                happens(&mut driver);
                let resumed = driver.resume(&prepared);
                assert_eq!(resumed.epoch, earlier.last().unwrap().epoch + 1, "{restart}");
                for old in &earlier {
                    driver.assert_fenced(old);
                }
                driver.assert_closed(&resumed);
                earlier.push(resumed);
            }
            happens(&mut driver);
            let first = (prepared.producer_id, prepared.epoch);
            assert_eq!(driver.described(), ("Ongoing".to_owned(), first.0, first.1));
            assert_eq!(driver.last_stable_offset(), 0, "{restart}");
            let mut newest = earlier.pop().unwrap();
            let ended = driver.end_version(version, &newest, committed);
            assert_eq!(ended.error_code, ErrorCode::NONE);
            if version == 5 {
                (newest.producer_id, newest.epoch) = (ended.producer_id, ended.producer_epoch);
            }
            happens(&mut driver);
            assert_eq!(driver.last_stable_offset(), 2, "{restart}: the marker is there");
            for old in &earlier {
                driver.assert_fenced(old);
            }
            let sent = driver.transactional(13, &mut newest, "t", &["next"]);
            assert_eq!(
                sent,
                ErrorCode::NONE,
                "{restart}: the next transaction is an ordinary one"
            );
            assert_eq!(driver.end(&mut newest, true), ErrorCode::NONE);
            let expected: &[&str] = if committed {
                &["prepared", "next"]
            } else {
                &["next"]
            };
            assert_eq!(driver.values("t", 0, true), expected, "{restart}");
        }
    }
}

#[test]
fn who_repeats_that_it_keeps_a_prepared_transaction_is_told_of_it_again() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let prepared = driver.prepare(&["prepared"]);
    let first = driver.resume(&prepared);
    for _ in 0..2 {
        let kept = driver.init_prepared(Some(&first), true);
        assert_eq!(ongoing(&kept), (prepared.producer_id, prepared.epoch));
        assert_eq!(producer(&kept).epoch, first.epoch + 1);
    }
}

#[test]
fn who_does_not_keep_a_resumed_transaction_aborts_it() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let prepared = driver.prepare(&["prepared"]);
    driver.resume(&prepared);
    let begun = driver.init_prepared(None, false);
    assert_eq!(ongoing(&begun), (-1, -1));
    assert_eq!(driver.last_stable_offset(), 2);
    let mut next = producer(&begun);
    driver.transactional(13, &mut next, "t", &["next"]);
    let again = driver.resume(&next);
    assert_eq!(driver.end_version(5, &again, true).error_code, ErrorCode::NONE);
    assert_eq!(driver.values("t", 0, true), ["next"]);
}

#[test]
fn a_prepared_transaction_whose_producer_id_has_no_epochs_left_is_resumed_under_another() {
    for is_prepared_last in [true, false] {
        let mut driver = Driver::new();
        driver.create("t", 1);
        if is_prepared_last {
            driver.init_to("tx", EPOCH_MAX - 1);
        }
        let prepared = driver.prepare(&["prepared"]);
        assert_eq!(prepared.epoch == EPOCH_MAX, is_prepared_last);
        let mut last = prepared.clone();
        for epoch in prepared.epoch + 1..=EPOCH_MAX {
            last = driver.resume(&prepared);
            assert_eq!(last.epoch, epoch);
        }
        for (_, happens) in RESTARTS {
            happens(&mut driver);
            let resumed = driver.resume(&prepared);
            assert_ne!(resumed.producer_id, prepared.producer_id);
            driver.assert_fenced(&prepared);
            driver.assert_fenced(&last);
            driver.assert_closed(&resumed);
        }
        let id = prepared.producer_id;
        assert_eq!(driver.described(), ("Ongoing".to_owned(), id, prepared.epoch));
        assert_eq!(driver.listed_by(id), [id]);
        let mut newest = driver.resume(&prepared);
        assert_eq!(driver.listed_by(newest.producer_id), Vec::<i64>::new());
        assert_eq!(driver.end(&mut newest, true), ErrorCode::NONE);
        for (restart, happens) in RESTARTS {
            happens(&mut driver);
            assert_eq!(driver.last_stable_offset(), 2, "{restart}");
            driver.assert_fenced(&prepared);
            driver.assert_fenced(&last);
        }
        driver.transactional(13, &mut newest, "t", &["next"]);
        assert_eq!(driver.end(&mut newest, true), ErrorCode::NONE);
        assert_eq!(driver.values("t", 0, true), ["prepared", "next"]);
    }
}
