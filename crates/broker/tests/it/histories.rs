//! Producers, plain and transactional, against crashes at any byte: what was acknowledged is there once, in order, and
//! read-committed readers see all that was committed and nothing else.

use crate::driver::{Driver, batch_of};
use millstream_broker::{Progress, Reply};
use millstream_kafka_wire::compression::Codec;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::record_batch::BatchProducer;
use millstream_kafka_wire::{ErrorCode, KafkaString, Request, RequestMessage};
use millstream_types::{Rng, SeededRng};

/// A producer as its client keeps it, with what an honest history would show.
struct Producer {
    transactional_id: Option<String>,
    producer_id: i64,
    epoch: i16,
    sequences: [i32; 2],
    /// Values of the open transaction, by partition.
    open: Vec<(usize, String)>,
}

struct Run {
    driver: Driver,
    rng: SeededRng,
    producers: Vec<Producer>,
    /// What read-committed readers must see, by partition, in any order among producers.
    visible: [Vec<String>; 2],
    values: u32,
}

impl Run {
    fn start(seed: u64) -> Run {
        let mut driver = Driver::new();
        driver.create("t", 2);
        let mut run = Run {
            driver,
            rng: SeededRng::new(seed),
            producers: Vec::new(),
            visible: Default::default(),
            values: 0,
        };
        for id in [None, Some("one"), Some("two")] {
            run.producers.push(Producer {
                transactional_id: id.map(str::to_owned),
                producer_id: -1,
                epoch: -1,
                sequences: [0; 2],
                open: Vec::new(),
            });
            run.init(run.producers.len() - 1);
        }
        run
    }

    /// Sends a request until it gets a response, with crashes in between.
    fn send<M: RequestMessage + Clone>(&mut self, request: M) -> M::Response {
        loop {
            let version = M::API_KEY.versions().1;
            let reply = match self
                .driver
                .submit(version, Request::from_message(request.clone()))
            {
                Progress::Ready(reply) => reply,
                Progress::Pending(ticket) => {
                    if self.rng.below(6) == 0 {
                        let bytes = self.rng.below(900) as usize;
                        self.driver.crash_while_writing(bytes);
                        continue; // the outcome is unknown: the client retries
                    }
                    self.driver.settle();
                    self.driver.completed.remove(&ticket).expect("the disk is done")
                }
            };
            match reply {
                Reply::Response(response) => {
                    return M::Response::try_from(*response).unwrap_or_else(|_| panic!("another response"));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn init(&mut self, index: usize) {
        let transactional_id = self.producers[index]
            .transactional_id
            .clone()
            .map(KafkaString::from);
        let request = InitProducerIdRequest {
            transactional_id,
            transaction_timeout_ms: 600_000,
            producer_id: -1,
            ..Default::default()
        };
        let response = self.send(request);
        assert_eq!(response.error_code, ErrorCode::NONE);
        let producer = &mut self.producers[index];
        (producer.producer_id, producer.epoch) = (response.producer_id, response.producer_epoch);
        (producer.sequences, producer.open) = ([0; 2], Vec::new());
    }

    fn produce(&mut self, index: usize) {
        let partition = self.rng.below(2) as usize;
        let value = format!("{}-{index}", self.values);
        self.values += 1;
        let producer = &self.producers[index];
        let is_transactional = producer.transactional_id.is_some();
        let by = BatchProducer {
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            base_sequence: producer.sequences[partition],
            transactional: is_transactional,
        };
        let records = batch_of(by, Codec::None, self.driver.now, &[&value]);
        let mut request = self.driver.produce_request("t", partition as i32, records);
        request.topic_data[0].name = KafkaString::EMPTY;
        request.transactional_id = producer.transactional_id.clone().map(KafkaString::from);
        let response = self.send(request);
        let result = &response.responses[0].partition_responses[0];
        assert_eq!(result.error_code, ErrorCode::NONE, "{:?}", result.error_message);
        let producer = &mut self.producers[index];
        producer.sequences[partition] += 1;
        if is_transactional {
            producer.open.push((partition, value))
        } else {
            self.visible[partition].push(value)
        }
    }

    fn end(&mut self, index: usize, committed: bool) {
        let producer = &self.producers[index];
        let Some(id) = producer
            .transactional_id
            .clone()
            .filter(|_| !producer.open.is_empty())
        else {
            return;
        };
        let request = EndTxnRequest {
            transactional_id: id.into(),
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            committed,
        };
        let response = self.send(request);
        assert_eq!(response.error_code, ErrorCode::NONE);
        let producer = &mut self.producers[index];
        assert_eq!(response.producer_epoch, producer.epoch + 1);
        (producer.epoch, producer.sequences) = (response.producer_epoch, [0; 2]);
        for (partition, value) in std::mem::take(&mut producer.open) {
            if committed {
                self.visible[partition].push(value);
            }
        }
    }

    fn check(&mut self, seed: u64) {
        for partition in 0..2 {
            let seen = self.driver.values("t", partition as i32, true);
            // An open transaction hides what was committed after its first record.
            let is_hidden = self
                .producers
                .iter()
                .any(|each| each.open.iter().any(|(of, _)| *of == partition));
            let expected = &self.visible[partition];
            let mut sorted = (seen.clone(), expected.clone());
            sorted.0.sort();
            sorted.1.sort();
            if is_hidden {
                assert!(
                    sorted.0.iter().all(|value| expected.contains(value)),
                    "seed {seed}: {seen:?}"
                )
            } else {
                assert_eq!(sorted.0, sorted.1, "seed {seed}, partition {partition}")
            }
            sorted.0.dedup();
            assert_eq!(
                sorted.0.len(),
                seen.len(),
                "seed {seed}: something is there twice"
            );
            for index in 0..self.producers.len() {
                let of_producer = |value: &&String| value.ends_with(&format!("-{index}"));
                let order: Vec<u32> = seen
                    .iter()
                    .filter(of_producer)
                    .map(|value| value.split('-').next().unwrap().parse().unwrap())
                    .collect();
                assert!(
                    order.is_sorted(),
                    "seed {seed}: records of a producer changed places"
                );
            }
        }
    }
}

trait FromMessage {
    fn from_message<M: RequestMessage>(message: M) -> Request;
}

impl FromMessage for Request {
    fn from_message<M: RequestMessage>(message: M) -> Request {
        message.into()
    }
}

#[test]
fn committed_is_seen_once_and_aborted_never_whatever_crashes() {
    for seed in 0..60 {
        let mut run = Run::start(seed);
        for step in 0..80 {
            let index = run.rng.below(3) as usize;
            match run.rng.below(16) {
                0 | 1 => run.end(index, true),
                2 => run.end(index, false),
                3 => run.init(index),
                4 => run.driver.crash(),
                5 => run.driver.restart(),
                6 => run.driver.advance(1_000),
                _ => run.produce(index),
            }
            if step % 8 == 0 {
                run.check(seed);
            }
        }
        for index in 1..3 {
            run.end(index, true);
        }
        run.check(seed);
    }
}
