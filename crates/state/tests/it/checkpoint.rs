//! Checkpoints over a directory.

use std::sync::Arc;

use millstream_state::{
    CheckpointHeader, CheckpointKind, CheckpointStore, InstanceState, StateBlocks, StateError,
    read_savepoint, write_savepoint,
};
use millstream_types::storage::{OpenMode, OsStorage, Storage};
use millstream_types::{CheckpointId, Watermark};

fn header(checkpoint: u64) -> CheckpointHeader {
    CheckpointHeader {
        checkpoint,
        triggered_ms: 5,
        job: "job".into(),
        max_parallelism: 128,
        fingerprint: 0,
        operators: Vec::new(),
        finished: false,
        kind: CheckpointKind::Checkpoint,
        origin: None,
    }
}

fn state(subtask: usize, blocks: &[(&str, Option<&[u8]>)]) -> InstanceState {
    let mut all = StateBlocks::new();
    for (name, bytes) in blocks {
        match bytes {
            Some(bytes) => all.push(*name, *bytes),
            None => all.push_unchanged(*name),
        }
    }
    InstanceState {
        uid: "sum".into(),
        subtask,
        parallelism: 2,
        watermark: Watermark(7),
        finished: false,
        blocks: all,
    }
}

fn store() -> (tempfile::TempDir, Arc<dyn Storage>, CheckpointStore) {
    let directory = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(OsStorage::open(directory.path()).unwrap());
    let store = CheckpointStore::open(Arc::clone(&storage), "jobs/a", 1).unwrap();
    (directory, storage, store)
}

fn files(storage: &Arc<dyn Storage>) -> usize {
    storage.list("jobs/a").unwrap().len()
}

#[test]
fn unchanged_blocks_are_found_again_and_old_files_go_when_nothing_needs_them() {
    let (_directory, storage, mut store) = store();
    let first = [
        state(0, &[("a", Some(b"A1")), ("b", Some(b"B1"))]),
        state(1, &[("a", Some(b"other"))]),
    ];
    assert_eq!(store.write(header(1), &first).unwrap().written_bytes, 9);
    let second = [
        state(0, &[("a", Some(b"A2")), ("b", None)]),
        state(1, &[("a", None)]),
    ];
    let size = store.write(header(2), &second).unwrap();
    assert_eq!((size.written_bytes, size.full_bytes, files(&storage)), (2, 9, 2));

    let reopened = CheckpointStore::open(Arc::clone(&storage), "jobs/a", 1).unwrap();
    assert_eq!(reopened.latest(), Some(CheckpointId(2)));
    let loaded = reopened.load(CheckpointId(2)).unwrap();
    let whole = [
        state(0, &[("a", Some(b"A2")), ("b", Some(b"B1"))]),
        state(1, &[("a", Some(b"other"))]),
    ];
    assert_eq!(loaded, whole);

    store.write(header(3), &whole).unwrap();
    assert_eq!(files(&storage), 3, "checkpoint 2 is kept and refers to file 1");
    store.write(header(4), &whole).unwrap();
    assert_eq!(
        files(&storage),
        2,
        "nothing refers to the first two files any more"
    );
    store.remove_all().unwrap();
    assert_eq!((files(&storage), store.latest()), (0, None));
}

#[test]
fn an_unchanged_block_without_a_base_is_refused() {
    let (_directory, _storage, mut store) = store();
    let error = store.write(header(1), &[state(0, &[("a", None)])]).unwrap_err();
    assert!(error.to_string().contains("'a'"), "{error}");
}

#[test]
fn damage_is_found() {
    let (_directory, storage, mut store) = store();
    store
        .write(header(1), &[state(0, &[("a", Some(b"some bytes"))])])
        .unwrap();
    let path = store.path(1);
    let whole = storage.read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        let file = storage.open(&path, OpenMode::Truncate).unwrap();
        file.write_at(&damaged, 0).unwrap();
        // A damaged version number looks like that of another release, which is an error of its own.
        let Ok(reopened) = CheckpointStore::open(Arc::clone(&storage), "jobs/a", 1) else {
            assert!((8..12).contains(&at), "byte {at}");
            continue;
        };
        let is_set_aside = reopened.latest().is_none() && reopened.damaged().count() == 1;
        let found = is_set_aside || reopened.load(CheckpointId(1)).is_err();
        assert!(found, "byte {at}");
        assert_eq!(reopened.newest_number(), Some(1), "its number is not used again");
    }
    for length in 0..whole.len() {
        let file = storage.open(&path, OpenMode::Truncate).unwrap();
        file.write_at(&whole[..length], 0).unwrap();
        let reopened = CheckpointStore::open(Arc::clone(&storage), "jobs/a", 1).unwrap();
        assert_eq!(
            (reopened.latest(), reopened.damaged().count()),
            (None, 1),
            "{length} bytes"
        );
    }
}

#[test]
fn a_checkpoint_of_a_newer_version_is_not_taken_for_absent() {
    let (_directory, storage, mut store) = store();
    store.write(header(1), &[state(0, &[("a", Some(b"A"))])]).unwrap();
    store.write(header(2), &[state(0, &[("a", Some(b"B"))])]).unwrap();
    let file = storage.open(&store.path(2), OpenMode::Write).unwrap();
    file.write_at(&99u32.to_le_bytes(), 8).unwrap();
    let error = CheckpointStore::open(Arc::clone(&storage), "jobs/a", 1).unwrap_err();
    assert!(
        matches!(error, StateError::Version { version: 99, .. }),
        "{error}"
    );
    CheckpointStore::clear(storage.as_ref(), "jobs/a").unwrap();
    let store = CheckpointStore::open(storage, "jobs/a", 1).unwrap();
    assert_eq!(store.newest_number(), None);
}

#[test]
fn damaged_checkpoints_go_when_enough_newer_ones_are_whole() {
    let (_directory, storage, mut store) = store();
    let whole = [state(0, &[("a", Some(b"A"))])];
    store.write(header(1), &whole).unwrap();
    storage.open(&store.path(1), OpenMode::Truncate).unwrap();
    let mut store = CheckpointStore::open(Arc::clone(&storage), "jobs/a", 1).unwrap();
    store.write(header(2), &whole).unwrap();
    assert_eq!(store.damaged().count(), 1);
    store.write(header(3), &whole).unwrap();
    assert_eq!((store.damaged().count(), files(&storage)), (0, 2));
}

#[test]
fn a_savepoint_holds_everything_itself() {
    let (_directory, storage, mut store) = store();
    store
        .write(header(1), &[state(0, &[("a", Some(b"A")), ("b", Some(b"B"))])])
        .unwrap();
    store
        .write(header(2), &[state(0, &[("a", Some(b"A2")), ("b", None)])])
        .unwrap();
    let states = store.load(CheckpointId(2)).unwrap();
    let bytes = write_savepoint(storage.as_ref(), "savepoint-1", header(2), &states).unwrap();
    store.remove_all().unwrap();
    let (read, back) = read_savepoint(storage.as_ref(), "savepoint-1").unwrap();
    assert_eq!(
        (read.kind, read.checkpoint, bytes),
        (CheckpointKind::Savepoint, 2, 3)
    );
    assert_eq!(back, states);
    let error = read_savepoint(storage.as_ref(), "elsewhere").unwrap_err();
    assert!(error.to_string().contains("elsewhere/_metadata"), "{error}");
}

#[test]
fn mostly_garbage_asks_for_a_full_checkpoint() {
    let (_directory, _storage, mut store) = store();
    let large = vec![1u8; 8 << 20];
    store
        .write(
            header(1),
            &[state(0, &[("large", Some(&large)), ("small", Some(b"x"))])],
        )
        .unwrap();
    let size = store.write(header(2), &[state(0, &[("small", None)])]).unwrap();
    assert!(size.rewrite_next);
}
