//! The coordinator of transactions.

use bytes::Bytes;
use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::record_batch::{EndTransactionMarker, Marker, RecordBatch};

use super::refuse::add_partitions_to_txn_result;
use super::{Broker, Txn, TxnState};

impl Broker {
    pub(super) fn init_producer_id(&mut self, request: InitProducerIdRequest) -> InitProducerIdResponse {
        let Some(id) = request.transactional_id else {
            if request.producer_id >= 0 {
                return InitProducerIdResponse {
                    producer_id: request.producer_id,
                    producer_epoch: request.producer_epoch + 1,
                    ..Default::default()
                };
            }
            self.next_producer_id += 1;
            return InitProducerIdResponse {
                producer_id: self.next_producer_id,
                producer_epoch: 0,
                ..Default::default()
            };
        };
        let id = id.to_string();
        if self
            .transactions
            .get(&id)
            .is_some_and(|txn| txn.state == TxnState::Ongoing)
        {
            self.finish(&id, false);
        }
        self.next_producer_id += 1;
        let fresh = Txn {
            producer_id: self.next_producer_id,
            epoch: -1,
            state: TxnState::Empty,
            partitions: Vec::new(),
            pending_offsets: Vec::new(),
        };
        let txn = self.transactions.entry(id).or_insert(fresh);
        txn.epoch += 1;
        txn.state = TxnState::Empty;
        InitProducerIdResponse {
            producer_id: txn.producer_id,
            producer_epoch: txn.epoch,
            ..Default::default()
        }
    }

    pub(super) fn add_partitions(
        &mut self,
        request: AddPartitionsToTxnRequest,
    ) -> AddPartitionsToTxnResponse {
        let id = request.v3_and_below_transactional_id;
        let txn = self.transactions.get_mut(id.as_str()).expect("initialised");
        assert_eq!(txn.epoch, request.v3_and_below_producer_epoch);
        txn.state = TxnState::Ongoing;
        for topic in &request.v3_and_below_topics {
            txn.partitions.extend(
                topic
                    .partitions
                    .iter()
                    .map(|partition| (topic.name.to_string(), *partition)),
            );
        }
        let topics = request.v3_and_below_topics.iter();
        let topics = topics.map(|topic| add_partitions_to_txn_result(topic, ErrorCode::NONE));
        AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below: topics.collect(),
            ..Default::default()
        }
    }

    pub(super) fn txn_offset_commit(&mut self, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
        let txn = self
            .transactions
            .get_mut(request.transactional_id.as_str())
            .expect("initialised");
        txn.state = TxnState::Ongoing;
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|p| {
                let group = request.group_id.to_string();
                let offset = (
                    group,
                    topic.name.to_string(),
                    p.partition_index,
                    p.committed_offset,
                );
                txn.pending_offsets.push(offset);
                txn_offset_commit::TxnOffsetCommitResponsePartition {
                    partition_index: p.partition_index,
                    error_code: ErrorCode::NONE,
                }
            });
            txn_offset_commit::TxnOffsetCommitResponseTopic {
                partitions: partitions.collect(),
                name: topic.name.clone(),
            }
        });
        TxnOffsetCommitResponse {
            topics: topics.collect(),
            ..Default::default()
        }
    }

    /// Writes the markers and applies the offsets.
    pub(super) fn finish(&mut self, id: &str, commit: bool) {
        let txn = self.transactions.get_mut(id).expect("initialised");
        let (producer_id, epoch) = (txn.producer_id, txn.epoch);
        txn.state = if commit {
            TxnState::Committed
        } else {
            TxnState::Aborted
        };
        let partitions = std::mem::take(&mut txn.partitions);
        let offsets = std::mem::take(&mut txn.pending_offsets);
        if commit {
            let committed = offsets
                .into_iter()
                .map(|(group, topic, p, offset)| ((group, topic, p), offset));
            self.offsets.extend(committed);
        }
        for (topic, partition) in partitions {
            let log = self.partition(&topic, partition).expect("it was produced to");
            let marker = if commit { Marker::Commit } else { Marker::Abort };
            let marker = EndTransactionMarker {
                marker,
                coordinator_epoch: 0,
            };
            let batch =
                RecordBatch::read(&Bytes::from(marker.to_batch(producer_id, epoch, 0))).expect("fresh");
            let at = log.append(&batch);
            if let Some(first) = log.open.remove(&producer_id)
                && !commit
            {
                log.aborted.push((producer_id, first, at));
            }
        }
    }

    pub(super) fn end_txn(&mut self, request: &EndTxnRequest) -> EndTxnResponse {
        let error = |error_code| EndTxnResponse {
            error_code,
            ..Default::default()
        };
        let v2 = self.versions.has_transactions_v2();
        let Some(txn) = self.transactions.get(request.transactional_id.as_str()) else {
            return error(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        };
        let wanted = if request.committed {
            TxnState::Committed
        } else {
            TxnState::Aborted
        };
        let repeated_epoch = if v2 { txn.epoch - 1 } else { txn.epoch };
        let same = |txn: &Txn| EndTxnResponse {
            producer_id: if v2 { txn.producer_id } else { -1 },
            producer_epoch: if v2 { txn.epoch } else { -1 },
            ..Default::default()
        };
        if request.producer_epoch == repeated_epoch && txn.state == wanted {
            return same(txn);
        }
        if request.producer_epoch != txn.epoch {
            return error(ErrorCode::PRODUCER_FENCED);
        }
        if txn.state != TxnState::Ongoing {
            return error(ErrorCode::INVALID_TXN_STATE);
        }
        self.finish(&request.transactional_id, request.committed);
        let txn = self
            .transactions
            .get_mut(request.transactional_id.as_str())
            .expect("was there");
        if v2 {
            txn.epoch += 1;
        }
        same(txn)
    }
}
