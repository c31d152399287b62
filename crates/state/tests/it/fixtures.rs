//! Files of earlier releases. Every release opens them; they are never written again.
//!
//! Those of version 2 were made from `docs/internals/checkpoints.md` alone, so they also hold the page to the code.

use std::path::Path;
use std::sync::Arc;

use millstream_state::{CheckpointKind, CheckpointStore, InstanceState, read_savepoint};
use millstream_types::storage::{OpenMode, OsStorage, Storage};
use millstream_types::{CheckpointId, Watermark};

/// A copy of the fixtures of a version: opening a store may remove files.
fn fixtures(version: &str) -> (tempfile::TempDir, Arc<dyn Storage>) {
    let directory = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(OsStorage::open(directory.path()).unwrap());
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(version);
    let files = [
        "jobs/orders/00000000000000000001.checkpoint",
        "jobs/orders/00000000000000000002.checkpoint",
        "savepoint/_metadata",
    ];
    for file in files {
        storage
            .create_directory(millstream_types::storage::parent(file))
            .unwrap();
        let content = std::fs::read(from.join(file)).unwrap();
        let copy = storage.open(file, OpenMode::Create).unwrap();
        copy.write_at(&content, 0).unwrap();
    }
    (directory, storage)
}

fn check_states(states: &[InstanceState], position: &[u8]) {
    let [scan, aggregate] = states else {
        panic!("{states:?}");
    };
    assert_eq!(&*scan.uid, "TableSourceScan[c.d.orders]-00000001");
    assert_eq!(
        (scan.subtask, scan.parallelism, scan.watermark, scan.finished),
        (0, 1, Watermark::MIN, false)
    );
    assert_eq!(scan.blocks.get("splits"), Some(position));
    assert_eq!(&*aggregate.uid, "GroupAggregate-00000002");
    assert_eq!(
        (aggregate.subtask, aggregate.parallelism, aggregate.watermark),
        (1, 2, Watermark(1_357_016_523_999))
    );
    assert_eq!(aggregate.blocks.get("keys/0"), Some(&b"keys of group 0"[..]));
    assert_eq!(aggregate.blocks.get("values/0"), Some(&[0, 1, 2][..]));
}

#[test]
fn checkpoints_of_version_2_open() {
    let (_directory, storage) = fixtures("version-2");
    let store = CheckpointStore::open(storage, "jobs/orders", 1).unwrap();
    assert_eq!(
        (store.latest(), store.damaged().count()),
        (Some(CheckpointId(2)), 0)
    );
    let header = store.header(CheckpointId(2)).unwrap();
    assert_eq!((header.job.as_str(), header.max_parallelism), ("orders", 128));
    assert_eq!(header.triggered_ms, 1_357_016_524_999);
    assert_eq!(header.fingerprint, 0x1122_3344_5566_7788);
    assert_eq!(header.origin.as_deref(), Some("/savepoints/savepoint-1"));
    assert_eq!(header.operators[1].sinks, ["c.d.totals"]);
    assert_eq!(header.operators[1].traits[0].value, "c.d.orders.k BIGINT");
    check_states(&store.load(CheckpointId(1)).unwrap(), b"position 7");
    // Its unchanged blocks are in the file of the first.
    check_states(&store.load(CheckpointId(2)).unwrap(), b"position 9");
}

#[test]
fn a_savepoint_of_version_2_opens() {
    let (_directory, storage) = fixtures("version-2");
    let (header, states) = read_savepoint(storage.as_ref(), "savepoint").unwrap();
    assert_eq!(
        (header.kind, header.checkpoint, header.origin),
        (CheckpointKind::Savepoint, 2, None)
    );
    check_states(&states, b"position 9");
}
