//! Compacted topics: the last value of each key stays, and what transactions and tombstones need.

use crate::driver::{Driver, batch_of, producer};
use bytes::Bytes;
use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::compression::{Codec, Compressor};
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::record_batch::{BatchBuilder, BatchProducer, HEADER_SIZE, batches};
use millstream_types::{Rng, SeededRng};
use std::collections::BTreeMap;

const HOUR_MS: i64 = 3_600_000;

fn keyed(producer: BatchProducer, codec: Codec, timestamp: i64, records: &[(&str, Option<&str>)]) -> Bytes {
    let mut builder = BatchBuilder::new(codec).with_producer(producer);
    for (key, value) in records {
        builder.append(timestamp, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
    }
    builder.build(&mut Compressor::default()).unwrap().into()
}

impl Driver {
    fn put(&mut self, records: &[(&str, Option<&str>)]) {
        let records = keyed(BatchProducer::NONE, Codec::Lz4, self.now, records);
        assert_eq!(self.produce("c", 0, records).0, ErrorCode::NONE);
    }

    /// A compacted topic that closes its segment at each checkpoint.
    fn compacted(delete_retention: &str) -> Driver {
        let mut driver = Driver::new();
        let configs = [
            ("cleanup.policy", "compact"),
            ("segment.ms", "1"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("delete.retention.ms", delete_retention),
        ];
        driver.create_with("c", 1, &configs);
        driver
    }

    fn close_segment(&mut self) {
        self.broker.request_checkpoint();
        self.settle();
        self.advance(10);
    }

    fn compact(&mut self) {
        self.close_segment();
        self.put(&[("pad", Some("pad"))]);
        self.close_segment();
        self.advance(20_000);
        self.broker.request_checkpoint();
        self.settle();
    }

    /// Offsets, keys and values that are left.
    fn left(&mut self) -> Vec<(i64, String, Option<String>)> {
        let (mut offset, mut left) = (self.offset_at("c", 0, -2), Vec::new());
        let end = self.offset_at("c", 0, -1);
        while offset < end {
            let data = self.fetch("c", 0, offset, 0);
            assert_eq!(data.error_code, ErrorCode::NONE);
            let before = offset;
            for batch in batches(data.records.unwrap_or_default()).map(Result::unwrap) {
                batch.verify_checksum().unwrap();
                offset = batch.header.base_offset + i64::from(batch.header.last_offset_delta) + 1;
                if batch.header.attributes.is_control() {
                    continue;
                }
                let data = batch.records_data(&mut Default::default(), 1 << 30).unwrap();
                for record in batch.records(&data).map(Result::unwrap) {
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    left.push((record.offset, text(record.key.unwrap()), record.value.map(text)));
                }
            }
            assert!(offset > before, "a reader hangs at {offset} of {end}");
        }
        left
    }

    fn keys_left(&mut self) -> Vec<(String, Option<String>)> {
        let left = self.left().into_iter().filter(|(_, key, _)| key != "pad");
        left.map(|(_, key, value)| (key, value)).collect()
    }
}

fn pairs(expected: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
    expected
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned)))
        .collect()
}

#[test]
fn the_last_value_of_each_key_stays_at_its_offset() {
    let mut driver = Driver::compacted("86400000");
    driver.put(&[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))]);
    driver.close_segment();
    driver.put(&[("b", Some("2")), ("c", Some("1"))]);
    driver.compact();
    let expected = [(2, "a", "2"), (3, "b", "2"), (4, "c", "1")];
    let expected: Vec<_> = expected
        .iter()
        .map(|(offset, k, v)| (*offset, (*k).to_owned(), Some((*v).to_owned())))
        .collect();
    assert_eq!(driver.left()[..3], expected);
    for restart in [Driver::crash, Driver::restart] {
        restart(&mut driver);
        assert_eq!(driver.left()[..3], expected);
    }
    driver.put(&[("a", Some("3"))]);
    driver.compact();
    assert_eq!(
        driver.keys_left(),
        pairs(&[("b", Some("2")), ("c", Some("1")), ("a", Some("3"))])
    );
    assert_eq!(driver.offset_at("c", 0, -2), 0, "the start does not move");
}

#[test]
fn what_has_been_dirty_for_too_long_is_compacted_however_little_it_is() {
    for (max_lag, is_compacted) in [("3600000", true), ("9223372036854775807", false)] {
        let mut driver = Driver::new();
        let configs = [
            ("cleanup.policy", "compact"),
            ("min.cleanable.dirty.ratio", "1"),
            ("max.compaction.lag.ms", max_lag),
        ];
        driver.create_with("c", 1, &configs);
        driver.put(&[("a", Some("1")), ("a", Some("2"))]);
        driver.close_segment();
        driver.advance(2 * HOUR_MS); // the segment closes, as it may not wait for longer
        driver.compact();
        let left = driver.keys_left().len();
        assert_eq!(left == 1, is_compacted, "{max_lag}: {left}");
    }
}

#[test]
fn a_tombstone_stays_for_a_while_after_it_was_first_cleaned() {
    let mut driver = Driver::compacted("7200000");
    driver.put(&[("a", Some("1")), ("b", Some("1"))]);
    driver.put(&[("a", None)]);
    driver.compact();
    assert_eq!(driver.keys_left(), pairs(&[("b", Some("1")), ("a", None)]));
    driver.advance(HOUR_MS);
    driver.compact();
    assert_eq!(driver.keys_left(), pairs(&[("b", Some("1")), ("a", None)]));
    driver.restart();
    driver.advance(HOUR_MS);
    driver.compact();
    assert_eq!(driver.keys_left(), pairs(&[("b", Some("1"))]));
}

impl Driver {
    /// Transactions of one producer, each with a record of the key `a` and one of its own.
    fn transactions(&mut self, transactions: &[(&str, bool)]) {
        let init = self.call(InitProducerIdRequest {
            transactional_id: Some("tx".into()),
            transaction_timeout_ms: 600_000,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        });
        let mut epoch = init.producer_epoch;
        for (value, committed) in transactions {
            let by = BatchProducer {
                transactional: true,
                ..producer(init.producer_id, epoch, 0)
            };
            let own = [("a", Some(*value)), (*value, Some("own"))];
            let records = keyed(by, Codec::Zstd, self.now, &own);
            let mut request = self.produce_request("c", 0, records);
            request.transactional_id = Some("tx".into());
            request.topic_data[0].name = Default::default();
            let code = self.call(request).responses[0].partition_responses[0].error_code;
            assert_eq!(code, ErrorCode::NONE);
            let ended = self.call(EndTxnRequest {
                transactional_id: "tx".into(),
                producer_id: init.producer_id,
                producer_epoch: epoch,
                committed: *committed,
            });
            epoch = ended.producer_epoch;
        }
    }
}

#[test]
fn aborted_records_do_not_shadow_committed_ones_and_markers_stay_with_their_data() {
    let mut driver = Driver::compacted("0");
    driver.transactions(&[("kept", true), ("aborted", false)]);
    driver.compact();
    let expected = pairs(&[("a", Some("kept")), ("kept", Some("own"))]);
    assert_eq!(driver.keys_left(), expected);
    assert_eq!(driver.values("c", 0, true)[..2], ["kept", "own"]);
    driver.restart();
    driver.compact();
    assert_eq!(
        driver.values("c", 0, true)[..2],
        ["kept", "own"],
        "the commit is known as long as its data is there"
    );
}

#[test]
fn a_transaction_after_an_aborted_one_is_seen_when_compaction_has_removed_the_marker() {
    let mut driver = Driver::compacted("0");
    driver.transactions(&[("aborted", false), ("kept", true)]);
    for round in 0..3 {
        driver.compact();
        let values = driver.values("c", 0, true);
        assert_eq!(values[..2], ["kept", "own"], "round {round}");
        let data = driver.fetch("c", 0, 0, 1);
        let aborted = data.aborted_transactions.unwrap_or_default();
        assert_eq!(
            aborted.len(),
            usize::from(round == 0),
            "round {round}: {aborted:?}"
        );
    }
    driver.restart();
    assert_eq!(driver.values("c", 0, true)[..2], ["kept", "own"]);
}

#[test]
fn a_log_that_cannot_be_compacted_does_not_hold_up_others() {
    let mut driver = Driver::new();
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1"),
        ("min.cleanable.dirty.ratio", "0.5"),
    ];
    driver.create_with("bad", 1, &configs);
    let put = |driver: &mut Driver, topic: &str, key: &str| {
        let records = keyed(BatchProducer::NONE, Codec::None, driver.now, &[(key, Some("v"))]);
        assert_eq!(driver.produce(topic, 0, records).0, ErrorCode::NONE);
    };
    put(&mut driver, "bad", "k");
    driver.close_segment();
    let files = driver.storage.files().into_iter();
    let segment = files
        .map(|(path, _)| path)
        .find(|path| path.ends_with("-0.log"))
        .unwrap();
    let flip = |driver: &Driver| driver.storage.flip(&segment, HEADER_SIZE + 3, 1).unwrap();
    flip(&driver);
    for topic in ["good", "last"] {
        driver.create_with(topic, 1, &configs);
    }
    // All are as dirty as can be, and the bad one is the first.
    for key in ["k", "k", "pad"] {
        for topic in ["bad", "good", "last"] {
            put(&mut driver, topic, key);
        }
        driver.close_segment();
    }
    let first_offset = |driver: &mut Driver, topic: &str| {
        let records = driver.fetch(topic, 0, 0, 0).records.unwrap_or_default();
        batches(records).next().unwrap().unwrap().header.base_offset
    };
    driver.advance(20_000);
    for topic in ["good", "last"] {
        assert_eq!(first_offset(&mut driver, topic), 1, "{topic} is compacted");
    }
    assert_eq!(first_offset(&mut driver, "bad"), 0);
    // It is tried again when the disk may have been repaired.
    flip(&driver);
    driver.advance(HOUR_MS);
    assert_eq!(first_offset(&mut driver, "bad"), 2);
}

#[test]
fn the_greatest_timestamp_is_found_when_compaction_has_removed_the_record_that_had_it() {
    let mut driver = Driver::compacted("86400000");
    let mut builder = BatchBuilder::new(Codec::Lz4);
    let later = driver.now + HOUR_MS / 2;
    for (key, timestamp) in [("a", later + 500), ("b", later), ("c", driver.now)] {
        builder.append(timestamp, Some(key.as_bytes()), Some(b"old"), &[]);
    }
    let records = builder.build(&mut Compressor::default()).unwrap();
    assert_eq!(driver.produce("c", 0, records.into()).0, ErrorCode::NONE);
    driver.put(&[("a", Some("new"))]);
    assert_eq!(driver.list_offset("c", 0, -3, 0), (0, later + 500));
    driver.compact();
    assert_eq!(driver.left()[0].0, 1);
    for _ in 0..2 {
        assert_eq!(driver.list_offset("c", 0, -3, 0), (1, later));
        assert_eq!(driver.list_offset("c", 0, later + 1, 0), (-1, -1));
        driver.restart();
    }
}

#[test]
fn an_open_transaction_stops_compaction_before_it() {
    let mut driver = Driver::compacted("86400000");
    driver.put(&[("a", Some("1"))]);
    let request = InitProducerIdRequest {
        transactional_id: Some("tx".into()),
        transaction_timeout_ms: 900_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let init = driver.call(request);
    let by = BatchProducer {
        transactional: true,
        ..producer(init.producer_id, 0, 0)
    };
    let mut request = driver.produce_request("c", 0, batch_of(by, Codec::None, driver.now, &["open"]));
    request.transactional_id = Some("tx".into());
    request.topic_data[0].name = Default::default();
    driver.call(request);
    driver.put(&[("a", Some("2"))]);
    driver.compact();
    assert_eq!(driver.keys_left().iter().filter(|(key, _)| key == "a").count(), 2);
}

#[test]
fn random_histories_keep_the_last_value_of_each_key() {
    for seed in 0..8 {
        let rng = SeededRng::new(seed);
        let mut driver = Driver::compacted("0");
        let mut last: BTreeMap<String, Option<String>> = BTreeMap::new();
        for step in 0..60 {
            match rng.below(10) {
                0 => driver.compact(),
                1 => driver.crash(),
                2 => driver.restart(),
                3 => driver.close_segment(),
                _ => {
                    let key = format!("k{}", rng.below(8));
                    let value = (rng.below(5) > 0).then(|| format!("v{step}"));
                    driver.put(&[(&key, value.as_deref())]);
                    last.insert(key, value);
                }
            }
        }
        for round in 0..4 {
            driver.compact();
            let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
            for (key, value) in driver.keys_left() {
                found.insert(key, value);
            }
            for (key, value) in &last {
                let is_right = found.get(key) == Some(value) || value.is_none() && !found.contains_key(key);
                assert!(
                    is_right,
                    "seed {seed}, round {round}: {key} is {:?}, not {value:?}",
                    found.get(key)
                );
            }
        }
        let left = driver.keys_left();
        let values = last.values().filter(|value| value.is_some()).count();
        assert_eq!(
            left.len(),
            values,
            "seed {seed}: superfluous records stay in {left:?}"
        );
    }
}

#[test]
fn a_batch_that_inflates_a_lot_is_compacted_and_found_by_time() {
    let mut driver = Driver::compacted("86400000");
    let long = "x".repeat(4 << 20);
    let first = driver.now;
    for value in ["old", long.as_str()] {
        let records = keyed(
            BatchProducer::NONE,
            Codec::Zstd,
            driver.now,
            &[("k", Some(value))],
        );
        assert!(records.len() < 4_000, "it is small on the wire");
        assert_eq!(driver.produce("c", 0, records).0, ErrorCode::NONE);
        driver.advance(1_000);
    }
    assert_eq!(driver.list_offset("c", 0, first + 500, 0), (1, first + 1_000));
    driver.compact();
    let keys: Vec<(i64, String)> = driver
        .left()
        .into_iter()
        .map(|(offset, key, _)| (offset, key))
        .collect();
    assert_eq!(keys, [(1, "k".to_owned()), (2, "pad".to_owned())]);
}
