//! The transactions of an instance as a checkpoint holds them.

use millstream_dataflow::{DataflowError, SinkCommit, StateBlocks};
use millstream_kafka_client::PreparedTransaction;
use serde::{Deserialize, Serialize};

const STATE_BLOCK: &str = "transactions";
const STATE_VERSION: u8 = 1;

/// What an instance puts into a checkpoint.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved {
    pub subtask: usize,
    pub slots: usize,
    pub prefix: String,
    pub incarnation: String,
    pub transactions: Vec<Prepared>,
}

/// A transaction that is written and waits for its checkpoint.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Prepared {
    pub checkpoint: u64,
    pub transactional_id: String,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub transactions_v2: bool,
    pub records: u64,
    /// The group and the topic (partition 0) under which the number of the checkpoint was committed.
    pub group: String,
    pub topic: String,
    pub incarnation: String,
}

impl Prepared {
    pub fn identity(&self) -> PreparedTransaction {
        PreparedTransaction {
            transactional_id: self.transactional_id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            transactions_v2: self.transactions_v2,
            is_empty: false,
        }
    }
}

pub(super) fn transactional_id(prefix: &str, subtask: usize, slot: usize) -> String {
    format!("{prefix}-{subtask}-{slot}")
}

pub(super) fn written(saved: &Saved) -> Result<SinkCommit, DataflowError> {
    let mut bytes = vec![STATE_VERSION];
    serde_json::to_writer(&mut bytes, saved)
        .map_err(|e| DataflowError::internal(format!("cannot write the state of a sink: {e}")))?;
    Ok(SinkCommit {
        state: StateBlocks::single(STATE_BLOCK, bytes),
    })
}

pub(super) fn read(blocks: &StateBlocks) -> Result<Option<Saved>, DataflowError> {
    let Some(bytes) = blocks.get(STATE_BLOCK) else {
        return Ok(None);
    };
    match bytes.split_first() {
        Some((&STATE_VERSION, json)) => serde_json::from_slice(json).map(Some).map_err(|e| {
            DataflowError::internal(format!("the transactions in the checkpoint cannot be read: {e}"))
        }),
        _ => Err(DataflowError::internal(
            "the transactions in the checkpoint are of an unknown version",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_gives_back_what_was_prepared() {
        let prepared = Prepared {
            checkpoint: 7,
            transactional_id: "p-0-1".to_owned(),
            producer_id: 5,
            producer_epoch: 3,
            transactions_v2: true,
            records: 10,
            group: "p-0-committed".to_owned(),
            topic: "t".to_owned(),
            incarnation: "i".to_owned(),
        };
        let saved = Saved {
            subtask: 0,
            slots: 3,
            prefix: "p".to_owned(),
            incarnation: "i".to_owned(),
            transactions: vec![prepared],
        };
        let blocks = written(&saved).expect("written").state;
        let back = read(&blocks).expect("read").expect("there");
        assert_eq!(back.transactions[0].identity(), saved.transactions[0].identity());
        assert!(read(&StateBlocks::new()).expect("nothing").is_none());
        let unknown = StateBlocks::single(STATE_BLOCK, vec![STATE_VERSION + 1]);
        assert!(read(&unknown).is_err());
    }
}
