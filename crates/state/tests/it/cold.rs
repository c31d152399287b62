//! State on disk against the same state in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringViewArray};
use arrow_schema::DataType;
use millstream_state::{
    CheckpointHeader, CheckpointKind, CheckpointStore, ColdGroups, DueGroups, Expiry, GroupTable,
    InstanceState, MemoryPool, RowStore, SnapshotScope, Spill, SpillSpace, StateBlocks, StateError,
};
use millstream_types::storage::OsStorage;
use millstream_types::{CheckpointId, Watermark};

/// A small generator of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

fn space(path: impl AsRef<std::path::Path>) -> SpillSpace {
    let path = path.as_ref().to_owned();
    SpillSpace::new("spill", move || Ok(Arc::new(OsStorage::open(&path)?)))
}

struct Disk {
    _directory: tempfile::TempDir,
    checkpoints: CheckpointStore,
    spill: Spill,
}

impl Disk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = |name: &str| Arc::new(OsStorage::open(directory.path().join(name)).unwrap());
        Self {
            checkpoints: CheckpointStore::open(storage("checkpoints"), "job", 2).unwrap(),
            spill: Spill {
                space: space(directory.path().join("spill")),
                pool: Arc::new(MemoryPool::new(0)),
                limit_bytes: None,
            },
            _directory: directory,
        }
    }

    /// Writes a checkpoint; returns the bytes that were written.
    fn write(&mut self, checkpoint: u64, blocks: StateBlocks) -> u64 {
        let header = CheckpointHeader {
            checkpoint,
            triggered_ms: 0,
            job: "job".to_owned(),
            max_parallelism: 128,
            fingerprint: 0,
            operators: Vec::new(),
            finished: false,
            kind: CheckpointKind::Checkpoint,
            origin: None,
        };
        let state = InstanceState {
            uid: "operator".into(),
            subtask: 0,
            parallelism: 1,
            watermark: Watermark::MIN,
            finished: false,
            blocks,
        };
        self.checkpoints.write(header, &[state]).unwrap().written_bytes
    }

    fn load(&self) -> Vec<StateBlocks> {
        let latest = self.checkpoints.latest().unwrap();
        let states = self.checkpoints.load(latest).unwrap();
        states.into_iter().map(|state| state.blocks).collect()
    }
}

fn key_text(key: u64) -> String {
    format!("a key with the number {key}")
}

fn texts(keys: &[u64]) -> ArrayRef {
    Arc::new(StringViewArray::from_iter_values(
        keys.iter().copied().map(key_text),
    ))
}

/// Sums by key: a table with an array beside it, of which a part is on disk.
struct Sums {
    table: GroupTable,
    cold: ColdGroups,
    sums: Vec<i64>,
    written_ms: Vec<i64>,
}

impl Sums {
    fn new(disk: &Disk) -> Self {
        let mut table = GroupTable::new(&[DataType::Utf8View]).unwrap();
        table.track_use();
        let values = [DataType::Int64, DataType::Int64];
        let cold = ColdGroups::new(disk.spill.space.clone(), table.types(), &values).unwrap();
        Self {
            table,
            cold,
            sums: Vec::new(),
            written_ms: Vec::new(),
        }
    }

    fn add(&mut self, keys: &[u64], now_ms: i64) {
        let mut groups = Vec::new();
        self.table
            .intern(&[texts(keys)], keys.len(), &mut groups)
            .unwrap();
        self.sums.resize(self.table.end(), 0);
        self.written_ms.resize(self.table.end(), 0);
        for group in self.table.created() {
            self.sums[*group as usize] = 0;
        }
        if let Some(recalled) = self.cold.recall(&self.table).unwrap() {
            self.take_back(&recalled.groups, &recalled.columns);
        }
        for (key, group) in keys.iter().zip(groups) {
            self.sums[group as usize] += *key as i64 + 1;
            self.written_ms[group as usize] = now_ms;
        }
    }

    fn take_back(&mut self, groups: &[u32], columns: &[ArrayRef]) {
        let numbers = |i: usize| columns[i].as_any().downcast_ref::<Int64Array>().unwrap();
        for (i, group) in groups.iter().enumerate() {
            self.sums[*group as usize] = numbers(0).value(i);
            self.written_ms[*group as usize] = numbers(1).value(i);
        }
    }

    fn evict(&mut self, count: usize) {
        let groups = self.table.least_used(count);
        let column = |values: &[i64], groups: &[u32]| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(
                groups.iter().map(|g| values[*g as usize]),
            ))
        };
        let (sums, written_ms) = (&self.sums, &self.written_ms);
        let values = |groups: &[u32]| {
            assert!(groups.len() <= 4096, "columns of {} groups at once", groups.len());
            Ok::<_, StateError>(vec![column(sums, groups), column(written_ms, groups)])
        };
        let time = |group: u32| written_ms[group as usize];
        self.cold.evict(&mut self.table, &groups, time, values).unwrap();
    }

    /// Everything, by key.
    fn drain(mut self) -> BTreeMap<String, i64> {
        let mut all = BTreeMap::new();
        let mut note = |keys: &ArrayRef, sums: &[i64]| {
            let keys = keys.as_any().downcast_ref::<StringViewArray>().unwrap();
            for (key, sum) in keys.iter().zip(sums) {
                let before = all.insert(key.unwrap().to_owned(), *sum);
                assert_eq!(before, None, "a key is in memory and on disk");
            }
        };
        let groups: Vec<u32> = self.table.groups().collect();
        let sums: Vec<i64> = groups.iter().map(|group| self.sums[*group as usize]).collect();
        note(&self.table.keys(&groups).unwrap()[0], &sums);
        while let Some(many) = self.cold.take_many().unwrap() {
            let (keys, values) = (many.keys, many.values);
            note(
                &keys[0],
                values[0].as_any().downcast_ref::<Int64Array>().unwrap().values(),
            );
        }
        all
    }
}

fn model_of(model: &BTreeMap<u64, i64>) -> BTreeMap<String, i64> {
    let named = |(key, sum): (&u64, &i64)| (format!("a key with the number {key}"), *sum);
    model.iter().map(named).collect()
}

#[test]
fn groups_come_back_from_disk_as_they_went() {
    for seed in 0..4 {
        let mut numbers = Numbers(seed);
        let disk = Disk::new();
        let (mut sums, mut model) = (Sums::new(&disk), BTreeMap::new());
        for round in 0..120 {
            let keys: Vec<u64> = (0..numbers.below(300)).map(|_| numbers.below(5000)).collect();
            sums.add(&keys, round);
            for key in keys {
                *model.entry(key).or_insert(0) += key as i64 + 1;
            }
            if numbers.below(3) > 0 {
                sums.evict(numbers.below(500) as usize);
            }
            assert_eq!(sums.table.len() + sums.cold.len(), model.len());
        }
        assert!(sums.cold.len() > 500 && sums.cold.disk_size() > 0);
        assert_eq!(sums.drain(), model_of(&model), "seed {seed}");
    }
}

#[test]
fn checkpoints_of_groups_on_disk_are_incremental_and_rescale() {
    let mut disk = Disk::new();
    let (mut sums, mut numbers) = (Sums::new(&disk), Numbers(7));
    let keys: Vec<u64> = (0..20_000).collect();
    sums.add(&keys, 0);
    sums.evict(20_000);
    assert!(sums.table.is_empty());
    let mut written = Vec::new();
    for checkpoint in 1..=5 {
        let scope = SnapshotScope {
            checkpoint: CheckpointId(checkpoint),
            base: (checkpoint > 1).then_some(CheckpointId(checkpoint - 1)),
        };
        let mut out = StateBlocks::new();
        sums.cold.snapshot("cold/groups", &scope, &mut out);
        written.push(disk.write(checkpoint, out));
        let some: Vec<u64> = (0..10).map(|_| numbers.below(20_000)).collect();
        sums.add(&some, 0);
        sums.evict(20);
    }
    assert!(written[0] > 1_000_000, "{written:?}");
    assert!(
        written[1..].iter().all(|bytes| *bytes < written[0] / 50),
        "{written:?}"
    );
    // The checkpoint is older than what came after it.
    let mut found = BTreeMap::new();
    for owned in [0..40, 40..128] {
        let mut part = Sums::new(&disk);
        part.cold
            .restore("cold/groups", &disk.load(), &owned, 128)
            .unwrap();
        assert!(part.cold.len() > 4000, "{}", part.cold.len());
        found.extend(part.drain());
    }
    assert!(found.len() > 19_900, "what was in memory is not in these blocks");
    assert!(
        found
            .iter()
            .all(|(key, sum)| key.ends_with(&format!(" {}", sum - 1)) || *sum % 2 == 0)
    );
}

#[test]
fn expired_groups_leave_the_disk() {
    let disk = Disk::new();
    let mut sums = Sums::new(&disk);
    for round in 0..6u64 {
        let keys: Vec<u64> = (round * 1000..(round + 1) * 1000).collect();
        sums.add(&keys, round as i64);
        sums.evict(1000);
    }
    let before = sums.cold.disk_size();
    sums.cold.expire(3);
    assert!(sums.cold.disk_size() < before / 2);
    assert_eq!(sums.cold.len(), 2000);
    sums.cold.expire(5);
    assert_eq!((sums.cold.len(), sums.cold.disk_size()), (0, 0));
}

const ROW: [DataType; 3] = [DataType::Int64, DataType::Utf8View, DataType::Int64];

fn row_columns(rows: &[(i64, i64)]) -> Vec<ArrayRef> {
    let text = |(key, value): &(i64, i64)| format!("the text of row {value} of key {key}");
    vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|(key, _)| *key))),
        Arc::new(StringViewArray::from_iter_values(rows.iter().map(text))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, value)| *value))),
    ]
}

/// The rows of a key with counts, times and marks, oldest first.
fn rows_of(store: &mut RowStore, key: i64) -> Vec<(i64, u32, i64, bool)> {
    let key: ArrayRef = Arc::new(Int64Array::from(vec![key]));
    let mut keys = Vec::new();
    store.find_keys(&[key], 1, &mut keys).unwrap();
    let rows: Vec<u32> = store.rows_of(keys[0]).collect();
    let columns = store.columns(&rows).unwrap();
    let values = columns[2].as_any().downcast_ref::<Int64Array>().unwrap();
    let meta = |row: &u32| (store.count(*row), store.time_ms(*row), store.is_marked(*row));
    let whole = |(row, value): (&u32, i64)| {
        let (count, time, marked) = meta(row);
        (value, count, time, marked)
    };
    rows.iter()
        .zip(values.values().iter().copied())
        .map(whole)
        .collect()
}

fn change(store: &mut RowStore, rows: &[(i64, i64)], additions: &[bool], now_ms: i64) {
    let (mut keys, mut numbers) = (Vec::new(), Vec::new());
    store
        .resolve(&row_columns(rows), rows.len(), &mut keys, &mut numbers)
        .unwrap();
    for (i, row) in numbers.iter().enumerate() {
        if additions[i] {
            store.add(keys[i], *row, now_ms);
            if now_ms % 3 == 0 {
                store.mark(*row);
            }
        } else {
            store.subtract(*row);
        }
    }
    store.end_batch().unwrap();
}

#[test]
fn rows_by_key_come_back_from_disk_as_they_went() {
    for seed in 0..4 {
        let (mut numbers, mut disk) = (Numbers(seed), Disk::new());
        let make = |spill: Option<&Spill>| {
            let mut store = RowStore::new(&ROW, &[0]).unwrap();
            store.spill_to(spill, Expiry::Never);
            store
        };
        let (mut store, mut model) = (make(Some(&disk.spill)), make(None));
        for round in 0..80 {
            let rows: Vec<(i64, i64)> = (0..numbers.below(200))
                .map(|_| (numbers.below(400) as i64, numbers.below(6) as i64))
                .collect();
            let additions: Vec<bool> = rows.iter().map(|_| numbers.below(3) > 0).collect();
            change(&mut store, &rows, &additions, round);
            change(&mut model, &rows, &additions, round);
            if numbers.below(2) == 0 {
                let used = store.used_bytes();
                let keys = store.least_used(used / 2, used);
                store.evict(&keys, |row| row).unwrap();
            }
            store.recalled();
            if round == 40 {
                let mut out = StateBlocks::new();
                store
                    .snapshot("rows", &SnapshotScope::full(CheckpointId(1)), &mut out)
                    .unwrap();
                disk.write(1, out);
                store = make(Some(&disk.spill));
                store.restore("rows", &disk.load(), 0..128, 128).unwrap();
            }
        }
        assert!(store.disk_size() > 0);
        for key in 0..400 {
            assert_eq!(
                rows_of(&mut store, key),
                rows_of(&mut model, key),
                "seed {seed}, key {key}"
            );
        }
        assert_eq!(store.len(), model.len(), "every key was read");
    }
}

#[test]
fn cold_rows_without_a_directory_are_refused() {
    let mut disk = Disk::new();
    let mut store = RowStore::new(&ROW, &[0]).unwrap();
    store.spill_to(Some(&disk.spill), Expiry::Never);
    change(&mut store, &[(1, 1), (2, 2)], &[true, true], 0);
    let keys: Vec<u32> = store.keys().collect();
    store.evict(&keys, |_| 0).unwrap();
    let mut out = StateBlocks::new();
    store
        .snapshot("rows", &SnapshotScope::full(CheckpointId(1)), &mut out)
        .unwrap();
    disk.write(1, out);
    let mut other = RowStore::new(&ROW, &[0]).unwrap();
    let error = other.restore("rows", &disk.load(), 0..128, 128).unwrap_err();
    assert!(error.to_string().contains("'io.tmp.dirs'"), "{error}");
}

#[test]
fn an_operator_above_its_share_is_told_how_much_must_go() {
    let disk = Disk::new();
    let spill = Spill {
        pool: Arc::new(MemoryPool::new(8000)),
        ..disk.spill.clone()
    };
    let (mut one, mut other) = (spill.share(), spill.share());
    assert_eq!((one.report(2000), other.report(2000)), (0, 0));
    assert_eq!(other.report(2900), 0, "below its share of 3000");
    assert_eq!(one.report(4000), 4000 - 2625);
    drop(other);
    assert_eq!(one.report(5000), 0, "the share of the other is free again");
    spill.pool.report_total(5000 + 4000);
    assert_eq!(one.report(5000), 5000 - 1750, "4000 bytes cannot be moved");
}

#[test]
fn directories_of_processes_that_ended_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("7")).unwrap();
    std::fs::write(directory.path().join("7/3"), b"left behind").unwrap();
    std::fs::create_dir_all(directory.path().join("of-someone-else")).unwrap();
    let (first, second) = (space(directory.path()), space(directory.path()));
    let (_one, _two) = (first.create().unwrap(), second.create().unwrap());
    let names = || {
        let entries = std::fs::read_dir(directory.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["0", "1", "of-someone-else"]);
    drop((first, _one));
    assert_eq!(names(), ["1", "of-someone-else"]);
}

/// Keys with lists of times go to disk, the latest first, for more times than there are buckets; each comes back no
/// later than at the first of its times, with all of them, through a checkpoint in between.
#[test]
fn due_groups_are_back_in_time() {
    let mut disk = Disk::new();
    let space = disk.spill.space.clone();
    let mut table = GroupTable::new(&[DataType::Utf8View]).unwrap();
    let new =
        |table: &GroupTable| DueGroups::new(space.clone(), table.types(), &[DataType::Int64], 10).unwrap();
    let times_of = |key: u64| -> Vec<i64> { (0..=key % 3).map(|i| (key * 100 + i) as i64).collect() };
    let mut due = new(&table);
    let mut groups = Vec::new();
    for key in (0..200).rev() {
        table.intern(&[texts(&[key])], 1, &mut groups).unwrap();
        let times = times_of(key);
        let values: ArrayRef = Arc::new(Int64Array::from(times.clone()));
        let values = |_: &[u32]| Ok::<_, StateError>((vec![times.len()], vec![Arc::clone(&values)]));
        due.evict(&mut table, &groups, &times[..1], values).unwrap();
    }
    assert!(table.is_empty() && due.disk_size() > 0);
    let scope = SnapshotScope {
        checkpoint: CheckpointId(1),
        base: None,
    };
    let mut blocks = StateBlocks::new();
    due.snapshot("due", &scope, &mut blocks);
    let mut due = new(&table);
    disk.write(1, blocks);
    due.restore("due", &disk.load(), &(0..128), 128).unwrap();

    table.intern(&[texts(&[150])], 1, &mut groups).unwrap();
    let recalled = due.recall(&table).unwrap();
    assert_eq!(recalled.len(), 1);
    assert_eq!(recalled[0].groups, vec![groups[0]; times_of(150).len()]);
    let mut back = BTreeMap::from([(key_text(150), times_of(150))]);
    for now_ms in (0..20_000).step_by(50) {
        while let Some(columns) = due.take_due(now_ms).unwrap() {
            let keys = columns.keys[0]
                .as_any()
                .downcast_ref::<StringViewArray>()
                .unwrap();
            let times = columns.values[0].as_any().downcast_ref::<Int64Array>().unwrap();
            for (key, time) in keys.iter().zip(times.values()) {
                back.entry(key.unwrap().to_owned()).or_default().push(*time);
            }
        }
        assert!(!due.can_evict(now_ms) && due.next_due_ms().is_none_or(|at| at > now_ms));
        let until = (0..200).filter(|key| times_of(*key)[0] <= now_ms);
        until.for_each(|key| assert_eq!(back.get(&key_text(key)), Some(&times_of(key))));
    }
    assert_eq!((back.len(), due.disk_size()), (200, 0));
}
