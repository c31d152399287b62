//! Functions with operator state: lists that belong to no key (`CheckpointedFunction`).

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_dataflow::{
    Context as Instance, DataflowError, Operator, OperatorFactory, Output, SnapshotScope, StateBlocks,
};
use millstream_state::StateValue;
use millstream_state::keyed::{decode_value, encode_value};
use millstream_types::Records;
use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::error::Result;
use crate::functions::{CheckpointedFunction, ProcessFunction};
use crate::operators::simple::Process;

const BLOCK: &str = "operator-state";

/// The lists of one instance: each element on its own, so that they can be divided without their type.
#[derive(Default, Serialize, Deserialize)]
struct Saved {
    subtask: usize,
    parallelism: usize,
    lists: BTreeMap<String, Vec<Vec<u8>>>,
}

/// Where a function gets its operator state back, before its first record.
pub struct FunctionInitializationContext<'a> {
    parts: &'a [Saved],
    subtask: usize,
    parallelism: usize,
}

impl FunctionInitializationContext<'_> {
    /// Whether there is a checkpoint that the job continues from.
    pub fn is_restored(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Number of this instance.
    pub fn index_of_this_subtask(&self) -> usize {
        self.subtask
    }

    pub fn number_of_parallel_subtasks(&self) -> usize {
        self.parallelism
    }

    /// The elements of a list that fall to this instance: its own, or at another parallelism an even share of all
    /// (`getListState`).
    pub fn list_state<V: StateValue>(&self, name: &str) -> Result<Vec<V>> {
        let is_same = self.parts.iter().all(|part| part.parallelism == self.parallelism);
        let mut share = Vec::new();
        let mut seen: usize = 0;
        for part in self.parts {
            for element in part.lists.get(name).into_iter().flatten() {
                let owner = if is_same {
                    part.subtask
                } else {
                    seen % self.parallelism
                };
                if owner == self.subtask {
                    share.push(decode_value(name, element)?);
                }
                seen += 1;
            }
        }
        Ok(share)
    }

    /// The elements of a list of all instances (`getUnionListState`).
    pub fn union_list_state<V: StateValue>(&self, name: &str) -> Result<Vec<V>> {
        let lists = self.parts.iter().filter_map(|part| part.lists.get(name));
        let elements = lists.flatten().map(|element| Ok(decode_value(name, element)?));
        elements.collect()
    }
}

/// Where a function puts its operator state at a checkpoint.
pub struct FunctionSnapshotContext<'a> {
    checkpoint: u64,
    lists: &'a mut BTreeMap<String, Vec<Vec<u8>>>,
}

impl FunctionSnapshotContext<'_> {
    /// Number of the checkpoint.
    pub fn checkpoint_id(&self) -> u64 {
        self.checkpoint
    }

    /// Stores a list. How it is divided when the job continues is up to the call that reads it.
    pub fn put_list<'v, V: StateValue>(
        &mut self,
        name: &str,
        elements: impl IntoIterator<Item = &'v V>,
    ) -> Result<()> {
        let encoded = elements
            .into_iter()
            .map(encode_value)
            .collect::<Result<Vec<_>, _>>()?;
        self.lists.insert(name.to_owned(), encoded);
        Ok(())
    }
}

/// A factory of operators that need the state of all instances.
pub(crate) struct RestoresAll(pub Arc<dyn OperatorFactory>);

impl OperatorFactory for RestoresAll {
    fn create(&self, context: &Instance) -> Result<Box<dyn Operator>, DataflowError> {
        self.0.create(context)
    }

    fn restores_all(&self) -> bool {
        true
    }
}

/// A [`ProcessFunction`] that is a [`CheckpointedFunction`].
pub(crate) struct CheckpointedProcess<T, U, F> {
    process: Process<T, U, F>,
    subtask: usize,
    parallelism: usize,
    is_initialized: bool,
}

impl<T: Data, U: Data, F: ProcessFunction<T, U> + CheckpointedFunction> CheckpointedProcess<T, U, F> {
    pub fn new(process: Process<T, U, F>, instance: &Instance) -> Self {
        Self {
            process,
            subtask: instance.subtask,
            parallelism: instance.parallelism,
            is_initialized: false,
        }
    }

    /// Before the first call of the function, with the state of a checkpoint if there is one.
    fn initialize(&mut self, parts: &[Saved]) -> Result<(), DataflowError> {
        if self.is_initialized {
            return Ok(());
        }
        self.is_initialized = true;
        let mut context = FunctionInitializationContext {
            parts,
            subtask: self.subtask,
            parallelism: self.parallelism,
        };
        Ok(self.process.function.initialize_state(&mut context)?)
    }
}

impl<T, U, F> Operator for CheckpointedProcess<T, U, F>
where
    T: Data,
    U: Data,
    F: ProcessFunction<T, U> + CheckpointedFunction,
{
    fn records(
        &mut self,
        port: usize,
        records: Records,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        self.initialize(&[])?;
        self.process.records(port, records, instance, out)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        self.initialize(&[])?;
        let mut saved = Saved {
            subtask: self.subtask,
            parallelism: self.parallelism,
            lists: BTreeMap::new(),
        };
        let mut context = FunctionSnapshotContext {
            checkpoint: scope.checkpoint.0,
            lists: &mut saved.lists,
        };
        self.process.function.snapshot_state(&mut context)?;
        Ok(StateBlocks::single(BLOCK, encode_value(&saved)?))
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, _: &Instance) -> Result<(), DataflowError> {
        let parts = blocks.iter().filter_map(|part| part.get(BLOCK));
        let parts = parts.map(|bytes| decode_value(BLOCK, bytes));
        let parts: Vec<Saved> = parts.collect::<Result<_, _>>()?;
        self.initialize(&parts)
    }
}
