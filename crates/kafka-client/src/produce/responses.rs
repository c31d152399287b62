//! Handles produce responses: batches are done, retried, split, or failed.

use std::collections::BTreeMap;

use millstream_kafka_wire::messages::produce::{PartitionProduceResponse, ProduceResponse};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use millstream_types::Rng;

use super::core::{Identity, ProduceCore, Ticket, millis};
use super::outcome::{Ended, ProduceError};
use super::queue::{Batch, Order, split};
use crate::TopicPartition;
use crate::error::ClientError;

/// What to do with a batch.
enum Verdict {
    Written {
        base_offset: i64,
        append_time_ms: i64,
    },
    Repeat {
        ambiguous: bool,
    },
    /// Out of order: retry it after its predecessors have been written.
    Wait,
    Split,
    /// The numbers are out of step: repeat under a new epoch.
    Renumber,
    Fail(ProduceError),
}

impl ProduceCore {
    /// Handles a response or its failure.
    pub fn complete(
        &mut self,
        ticket: Ticket,
        result: Result<ProduceResponse, ClientError>,
        now_ms: u64,
        rng: &dyn Rng,
    ) {
        if let Some(count) = self.in_flight_by_node.get_mut(&ticket.node) {
            *count = count.saturating_sub(1);
        }
        let acks = self.config.acks;
        let mut by_partition = match &result {
            Ok(response) => by_partition(response, &ticket.topic_ids),
            Err(_) => BTreeMap::new(),
        };
        for (partition, order) in ticket.batches {
            let Some(batch) = self.take_in_flight(&partition, order) else {
                continue;
            };
            let verdict = match (&result, by_partition.remove(&partition)) {
                (Ok(_), Some(written)) => self.judge(&partition, &batch, written),
                (Ok(_), None) if acks == 0 => Verdict::Written {
                    base_offset: -1,
                    append_time_ms: -1,
                },
                (Ok(_), None) => Verdict::Repeat { ambiguous: true },
                (Err(error), _) if error.is_retriable() => Verdict::Repeat { ambiguous: true },
                (Err(error), _) => Verdict::Fail(ProduceError::Client(error.clone())),
            };
            self.carry_out(&partition, batch, verdict, now_ms, rng);
        }
    }

    fn take_in_flight(&mut self, partition: &TopicPartition, order: Order) -> Option<Batch> {
        let queue = self.partitions.get_mut(partition)?;
        let at = queue.in_flight.iter().position(|batch| batch.order == order)?;
        Some(queue.in_flight.remove(at))
    }

    fn judge(
        &self,
        partition: &TopicPartition,
        batch: &Batch,
        written: &PartitionProduceResponse,
    ) -> Verdict {
        let code = written.error_code;
        let fail = || {
            let message = written.error_message.clone().map(String::from);
            Verdict::Fail(ProduceError::Broker {
                partition: partition.clone(),
                code,
                message,
            })
        };
        let idempotent = self.config.idempotence;
        let waits_for_another = || {
            let queue = self.partitions.get(partition);
            queue.is_some_and(|queue| queue.has_unfinished_before(batch.order))
        };
        match code {
            ErrorCode::NONE => Verdict::Written {
                base_offset: written.base_offset,
                append_time_ms: written.log_append_time_ms,
            },
            ErrorCode::DUPLICATE_SEQUENCE_NUMBER if idempotent => Verdict::Written {
                base_offset: -1,
                append_time_ms: -1,
            },
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE if batch.record_count > 1 => {
                Verdict::Split
            }
            // The batch before it has not arrived yet: it will be in step when that one has been repeated.
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER if idempotent && waits_for_another() => Verdict::Wait,
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::INVALID_PRODUCER_EPOCH
                if idempotent && self.transaction.is_none() =>
            {
                Verdict::Renumber
            }
            code if code.is_retriable() => {
                // The leader has written it, or may have, before it found that replicas or time were short.
                let ambiguous = matches!(
                    code,
                    ErrorCode::REQUEST_TIMED_OUT
                        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
                        | ErrorCode::NETWORK_EXCEPTION
                );
                Verdict::Repeat { ambiguous }
            }
            _ => fail(),
        }
    }

    fn carry_out(
        &mut self,
        partition: &TopicPartition,
        mut batch: Batch,
        verdict: Verdict,
        now_ms: u64,
        rng: &dyn Rng,
    ) {
        match verdict {
            Verdict::Written {
                base_offset,
                append_time_ms,
            } => {
                self.used_bytes -= batch.accounted_bytes;
                if let Some(queue) = self.partitions.get_mut(partition) {
                    queue.failures = 0;
                    queue.known_to_broker = true;
                }
                if let Some(transaction) = &mut self.transaction {
                    transaction.started = true;
                }
                self.end(
                    &batch.outcome,
                    batch.order,
                    Ended::Written {
                        base_offset,
                        append_time_ms,
                    },
                );
                self.spare.put(batch.data);
            }
            Verdict::Repeat { ambiguous } => {
                batch.ambiguous |= ambiguous;
                self.stale_topics.insert(partition.topic.clone());
                self.repeat(partition, batch, now_ms, rng);
            }
            Verdict::Wait => {
                if let Some(queue) = self.partitions.get_mut(partition) {
                    queue.put_back(batch);
                }
            }
            Verdict::Renumber => {
                // An earlier attempt may have been written: then the new number would double it.
                self.renew_identity();
                self.repeat(partition, batch, now_ms, rng);
            }
            Verdict::Split => self.split(partition, batch),
            Verdict::Fail(error) => self.fail(batch, error),
        }
    }

    fn repeat(&mut self, partition: &TopicPartition, batch: Batch, now_ms: u64, rng: &dyn Rng) {
        let Some(queue) = self.partitions.get_mut(partition) else {
            return;
        };
        queue.not_before_ms = now_ms + millis(self.backoff.wait(queue.failures, rng));
        queue.failures += 1;
        queue.put_back(batch);
    }

    fn split(&mut self, partition: &TopicPartition, batch: Batch) {
        let parts = match split(&batch, self.config.compression, &mut self.compressor) {
            Ok(Some(parts)) => parts,
            Ok(None) => {
                let code = ErrorCode::MESSAGE_TOO_LARGE;
                let error = ProduceError::Broker {
                    partition: partition.clone(),
                    code,
                    message: None,
                };
                return self.fail(batch, error);
            }
            Err(error) => return self.fail(batch, ProduceError::Batch(error.to_string())),
        };
        self.used_bytes -= batch.accounted_bytes;
        let outcomes = parts
            .iter()
            .map(|part| (part.order.1 - batch.order.1, part.outcome.clone()))
            .collect();
        self.end(&batch.outcome, batch.order, Ended::Split(outcomes));
        for part in parts {
            self.used_bytes += part.accounted_bytes;
            self.unfinished.insert(part.order);
            if let Some(queue) = self.partitions.get_mut(partition) {
                queue.put_back(part);
            }
        }
    }

    fn fail(&mut self, batch: Batch, error: ProduceError) {
        self.used_bytes -= batch.accounted_bytes;
        // Its sequence number is never reused: this batch or a later one may have been written, and the broker would
        // take another batch with the same number for a duplicate.
        if batch.sequence.is_some() {
            self.renew_identity();
        }
        self.abort_transaction(&error);
        self.end(&batch.outcome, batch.order, Ended::Failed(error));
    }

    /// After an error only an abort can end the transaction, or nothing at all if the producer was fenced.
    pub fn abort_transaction(&mut self, error: &ProduceError) {
        if let Some(transaction) = &mut self.transaction {
            transaction.note_error(error);
        }
    }

    /// The broker did not give an id.
    pub fn identity_failed(&mut self, previous: (i64, i16), error: ClientError, now_ms: u64, rng: &dyn Rng) {
        let (producer_id, producer_epoch) = previous;
        self.identity_not_before_ms = now_ms + millis(self.backoff.wait(self.refresh_failures, rng));
        self.refresh_failures += 1;
        self.identity = if producer_id < 0 {
            Identity::Wanted
        } else {
            Identity::Renewal {
                producer_id,
                producer_epoch,
            }
        };
        if !error.is_retriable() {
            self.fail_waiting(&ProduceError::Client(error));
        }
    }

    /// Fails all pending records: the producer is closing.
    pub fn close(&mut self) {
        self.fail_waiting(&ProduceError::State("the producer was closed"));
        for (partition, queue) in std::mem::take(&mut self.partitions) {
            for batch in queue.in_flight {
                let error = ProduceError::Unknown(partition.clone());
                self.end(&batch.outcome, batch.order, Ended::Failed(error));
            }
        }
    }

    /// Fails all that is not on its way.
    pub fn fail_waiting(&mut self, error: &ProduceError) {
        let partitions: Vec<TopicPartition> = self.partitions.keys().cloned().collect();
        for partition in partitions {
            self.seal(&partition);
            let Some(queue) = self.partitions.get_mut(&partition) else {
                continue;
            };
            for batch in std::mem::take(&mut queue.waiting) {
                self.used_bytes -= batch.accounted_bytes;
                self.end(&batch.outcome, batch.order, Ended::Failed(error.clone()));
            }
        }
    }
}

fn by_partition<'a>(
    response: &'a ProduceResponse,
    topic_ids: &BTreeMap<millstream_kafka_wire::Uuid, KafkaString>,
) -> BTreeMap<TopicPartition, &'a PartitionProduceResponse> {
    let mut by_partition = BTreeMap::new();
    for topic in &response.responses {
        let name = if topic.name.is_empty() {
            topic_ids.get(&topic.topic_id)
        } else {
            Some(&topic.name)
        };
        let Some(name) = name else { continue };
        for written in &topic.partition_responses {
            by_partition.insert(
                TopicPartition {
                    topic: name.clone(),
                    partition: written.index,
                },
                written,
            );
        }
    }
    by_partition
}
