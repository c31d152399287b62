//! Row buffers against a plain list of rows.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, StringViewArray};
use arrow_buffer::Buffer;
use arrow_schema::DataType;
use millstream_state::{BlockContent, KeyOwner, RowBuffer, SnapshotScope, StateBlocks};
use millstream_types::{Batch, CheckpointId, RowKind};
use proptest::prelude::*;

const TYPES: [DataType; 2] = [DataType::Int64, DataType::Utf8View];
const ALL: KeyOwner<'static> = KeyOwner {
    keys: &[0],
    groups: 0..128,
    max_parallelism: 128,
};

/// A row of the model: number, time, kind, key, text.
type Row = (u64, i64, RowKind, i64, String);

fn batch(rows: &[Row]) -> Batch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.3))),
        Arc::new(StringViewArray::from_iter_values(rows.iter().map(|r| &r.4))),
    ];
    Batch::changes(columns, rows.iter().map(|r| r.2).collect())
}

fn rows_of(batch: &Batch) -> Vec<(RowKind, i64, String)> {
    let keys = batch.columns[0].as_any().downcast_ref::<Int64Array>().unwrap();
    let texts = batch.columns[1]
        .as_any()
        .downcast_ref::<StringViewArray>()
        .unwrap();
    (0..batch.rows)
        .map(|row| (batch.kind(row), keys.value(row), texts.value(row).to_owned()))
        .collect()
}

fn contents(rows: &[Row]) -> Vec<(RowKind, i64, String)> {
    rows.iter().map(|r| (r.2, r.3, r.4.clone())).collect()
}

/// What a checkpoint store does: unchanged blocks come from the checkpoint before.
fn stored(now: StateBlocks, before: &StateBlocks) -> StateBlocks {
    let mut whole = StateBlocks::new();
    for block in now.blocks {
        let bytes = match block.content {
            BlockContent::Bytes(bytes) => bytes,
            BlockContent::Stored(_) => panic!("the blocks are in memory"),
            BlockContent::Unchanged => before.get(&block.name).expect("the block was written").into(),
        };
        whole.push(block.name, bytes);
    }
    whole
}

#[derive(Clone, Debug)]
enum Step {
    Push(Vec<(i64, i64)>),
    Remove(Vec<usize>),
    TakeDue(i64),
    Checkpoint,
    Restore(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec((0..20i64, 0..1000i64), 1..60).prop_map(Step::Push),
        2 => prop::collection::vec(0..4000usize, 1..200).prop_map(Step::Remove),
        2 => (0..1200i64).prop_map(Step::TakeDue),
        2 => Just(Step::Checkpoint),
        1 => any::<bool>().prop_map(Step::Restore),
    ]
}

struct Model {
    buffer: RowBuffer,
    rows: Vec<Row>,
    checkpoint: u64,
    stored: StateBlocks,
    /// The rows of the stored checkpoint.
    held: Vec<Row>,
}

impl Model {
    fn new() -> Self {
        Self {
            buffer: RowBuffer::new(&TYPES),
            rows: Vec::new(),
            checkpoint: 0,
            stored: StateBlocks::new(),
            held: Vec::new(),
        }
    }

    fn push(&mut self, rows: &[(i64, i64)]) {
        let row = |(i, (key, time)): (usize, &(i64, i64))| {
            let kind = if (key + time) % 7 == 0 {
                RowKind::Delete
            } else {
                RowKind::Insert
            };
            (
                i as u64,
                *time,
                kind,
                *key,
                format!("the text of row {i} with key {key}"),
            )
        };
        let mut new: Vec<Row> = rows.iter().enumerate().map(row).collect();
        let times: Vec<i64> = new.iter().map(|row| row.1).collect();
        let numbers = self.buffer.push(&batch(&new), Some(&times)).unwrap();
        assert_eq!(numbers.end - numbers.start, new.len() as u64);
        new.iter_mut()
            .zip(numbers)
            .for_each(|(row, number)| row.0 = number);
        self.rows.extend(new);
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Push(rows) => self.push(rows),
            Step::Remove(places) => {
                let mut numbers = Vec::new();
                for place in places.iter().filter(|_| !self.rows.is_empty()) {
                    numbers.push(self.rows[place % self.rows.len()].0);
                }
                self.rows.retain(|row| !numbers.contains(&row.0));
                self.buffer.remove(numbers).unwrap();
            }
            Step::TakeDue(until) => {
                let (mut due, rest): (Vec<Row>, Vec<Row>) =
                    self.rows.drain(..).partition(|row| row.1 <= *until);
                self.rows = rest;
                due.sort_by_key(|row| row.1);
                let taken = self.buffer.take_due(*until).unwrap();
                let (rows, times) = taken.map_or((Vec::new(), Vec::new()), |(b, t)| (rows_of(&b), t));
                assert_eq!(rows, contents(&due));
                assert_eq!(times, due.iter().map(|row| row.1).collect::<Vec<_>>());
            }
            Step::Checkpoint => {
                let base = (self.checkpoint > 0).then_some(CheckpointId(self.checkpoint));
                self.checkpoint += 1;
                let checkpoint = CheckpointId(self.checkpoint);
                let mut blocks = StateBlocks::new();
                let scope = SnapshotScope { checkpoint, base };
                self.buffer.snapshot("rows", &scope, &mut blocks).unwrap();
                self.stored = stored(blocks, &self.stored);
                self.held = self.rows.clone();
            }
            Step::Restore(in_halves) => self.restore(*in_halves),
        }
    }

    /// A crash: everything since the checkpoint is lost.
    fn restore(&mut self, in_halves: bool) {
        let mut buffer = RowBuffer::new(&TYPES);
        let middle = if in_halves { 64u16 } else { 128 };
        let owners = [0..middle, middle..128];
        let (mut rows, mut parts) = (Vec::new(), Vec::new());
        for groups in owners {
            let owner = KeyOwner { groups, ..ALL };
            let mut part = RowBuffer::new(&TYPES);
            let mut old = Vec::new();
            part.restore("rows", std::slice::from_ref(&self.stored), &owner, |restored| {
                old.extend(restored.old_numbers.iter().copied().zip(restored.numbers));
                Ok(())
            })
            .unwrap();
            for (old, _) in &old {
                rows.push(self.held.iter().find(|row| row.0 == *old).unwrap().clone());
            }
            assert_eq!(part.len(), old.len());
            let mut blocks = StateBlocks::new();
            part.snapshot("rows", &SnapshotScope::full(CheckpointId(1)), &mut blocks)
                .unwrap();
            parts.push(blocks);
        }
        let mut numbers = Vec::new();
        buffer
            .restore("rows", &parts, &ALL, |restored| {
                numbers.extend(restored.numbers);
                Ok(())
            })
            .unwrap();
        assert_eq!(
            rows.len(),
            self.held.len(),
            "each row belongs to one of the halves"
        );
        rows.iter_mut()
            .zip(numbers)
            .for_each(|(row, number)| row.0 = number);
        (self.buffer, self.rows) = (buffer, rows);
        (self.checkpoint, self.stored, self.held) = (0, StateBlocks::new(), Vec::new());
        self.apply(&Step::Checkpoint);
    }

    fn check(&self) {
        assert_eq!(self.buffer.len(), self.rows.len());
        let earliest = self.rows.iter().map(|row| row.1).min();
        assert!(self.buffer.earliest() <= earliest.unwrap_or(i64::MAX));
        let mut numbers: Vec<u64> = self.rows.iter().map(|row| row.0).collect();
        assert_eq!(
            rows_of(&self.buffer.rows(&numbers).unwrap()),
            contents(&self.rows)
        );
        numbers.reverse();
        let mut backwards = self.rows.clone();
        backwards.reverse();
        assert_eq!(
            rows_of(&self.buffer.rows(&numbers).unwrap()),
            contents(&backwards)
        );
        let all = self.buffer.batches().unwrap();
        assert_eq!(
            all.iter().flat_map(rows_of).collect::<Vec<_>>(),
            contents(&self.rows)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_buffer_is_a_list_of_rows(steps in prop::collection::vec(step(), 1..60)) {
        let mut model = Model::new();
        for step in &steps {
            model.apply(step);
            model.check();
        }
    }
}

/// Rows whose text lies in a message of 64 KiB, as a source hands them on.
fn rows_in_a_message(rows: usize) -> Batch {
    let mut texts = arrow_array::builder::StringViewBuilder::new();
    let block = texts.append_block(Buffer::from(vec![b'm'; 64 << 10]));
    for row in 0..rows {
        texts.try_append_view(block, row as u32 * 40, 40).unwrap();
    }
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
    Batch::inserts(vec![keys, Arc::new(texts.finish())], rows)
}

#[test]
fn string_columns_do_not_keep_their_messages() {
    let mut buffer = RowBuffer::new(&TYPES);
    let times: Vec<i64> = (0..10).collect();
    for _ in 0..1000 {
        buffer.push(&rows_in_a_message(10), Some(&times)).unwrap();
    }
    // 10,000 rows of a number, a view, 40 bytes and a time.
    assert!(
        buffer.memory_size() < 10_000 * (8 + 16 + 40 + 8) * 5 / 4,
        "{}",
        buffer.memory_size()
    );
    let mut blocks = StateBlocks::new();
    buffer
        .snapshot("rows", &SnapshotScope::full(CheckpointId(1)), &mut blocks)
        .unwrap();
    assert!(blocks.size_bytes() < 1_000_000, "{}", blocks.size_bytes());
    buffer.take_due(5).unwrap();
    assert!(buffer.memory_size() < 4_000 * 72 * 2, "{}", buffer.memory_size());
    let mut restored = RowBuffer::new(&TYPES);
    restored.restore("rows", &[blocks], &ALL, |_| Ok(())).unwrap();
    assert!(restored.memory_size() < 1_000_000, "{}", restored.memory_size());
    buffer.clear();
    assert_eq!(buffer.memory_size(), 0);
}

#[test]
fn a_checkpoint_costs_the_rows_that_came() {
    let mut buffer = RowBuffer::new(&TYPES);
    let mut base = None;
    let mut written = Vec::new();
    for checkpoint in 1..=60 {
        for i in 0..20 {
            let times: Vec<i64> = vec![checkpoint * 20 + i; 50];
            buffer.push(&rows_in_a_message(50), Some(&times)).unwrap();
        }
        // A minute of rows is kept, from both ends of the order something changes.
        buffer.take_due((checkpoint - 30) * 20).unwrap();
        let id = CheckpointId(checkpoint as u64);
        let mut blocks = StateBlocks::new();
        buffer
            .snapshot("rows", &SnapshotScope { checkpoint: id, base }, &mut blocks)
            .unwrap();
        base = Some(id);
        written.push(blocks.size_bytes());
    }
    // 1,000 rows come in each; 30,000 are there.
    let mean = written[40..].iter().sum::<usize>() / 20;
    let mut full = StateBlocks::new();
    buffer
        .snapshot("rows", &SnapshotScope::full(CheckpointId(100)), &mut full)
        .unwrap();
    assert!(mean * 6 < full.size_bytes(), "{mean} of {}", full.size_bytes());
}

#[test]
fn damaged_blocks_are_errors() {
    let mut buffer = RowBuffer::new(&TYPES);
    buffer.push(&rows_in_a_message(10), None).unwrap();
    let mut blocks = StateBlocks::new();
    buffer
        .snapshot("rows", &SnapshotScope::full(CheckpointId(1)), &mut blocks)
        .unwrap();
    let bytes = blocks.get("rows/0").unwrap().to_vec();
    let restored = |name: &str, bytes: &[u8]| {
        let parts = [StateBlocks::single(name, bytes.to_vec())];
        RowBuffer::new(&TYPES).restore("rows", &parts, &ALL, |_| Ok(()))
    };
    restored("rows/0", &bytes).unwrap();
    assert!(
        restored("rows/x", &bytes)
            .unwrap_err()
            .to_string()
            .contains("corrupt")
    );
    assert!(
        restored("rows/gone", &bytes)
            .unwrap_err()
            .to_string()
            .contains("corrupt")
    );
    for end in 0..bytes.len() - 24 {
        assert!(restored("rows/0", &bytes[..end]).is_err(), "first {end} bytes");
    }
    let other = RowBuffer::new(&[DataType::Int64]).restore("rows", &[blocks], &ALL, |_| Ok(()));
    assert!(other.unwrap_err().to_string().contains("does not fit"));
}
