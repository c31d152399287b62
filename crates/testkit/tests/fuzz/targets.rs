//! What is done with bytes of bad intent: one function for a target, which must not panic whatever it is given.
//!
//! The same functions are driven by libFuzzer (`fuzz/` at the root of the repository, with its own workspace as it needs
//! a nightly compiler) and by the driver beside this file, which runs with the other tests. The first bytes of the
//! input choose what the rest is taken for: the API and version, or whether checksums are made right first.

use bytes::Bytes;
use millstream_broker::{Broker, BrokerConfig, Endpoint, Progress, RequestContext};
use millstream_kafka_wire::compression::Decompressor;
use millstream_kafka_wire::record_batch::{
    ControlRecord, HEADER_SIZE, RecordBatch, RecordColumns, batches, recompute_crc, validate,
};
use millstream_kafka_wire::{ApiKey, Reader, Request, RequestHeader, Response};
use millstream_log::{Isolation, Log, LogOptions, ReadLimit};
use millstream_testkit::bad_input::Target;
use millstream_testkit::storage::MemStorage;
use millstream_types::SeededRng;
use millstream_types::storage::{OpenMode, Storage};
use std::cell::RefCell;
use std::sync::Arc;

/// All targets.
pub const TARGETS: &[Target] = &[
    Target::before("headers", headers),
    Target::before("any_message", any_message),
    Target::before("produce", produce),
    Target::before("fetch", fetch),
    Target::before("metadata", metadata),
    Target::before("groups", groups),
    Target::before("transactions", transactions),
    Target::after("batches_none", batches_none),
    Target::after("batches_gzip", batches_gzip),
    Target::after("batches_snappy", batches_snappy),
    Target::after("batches_lz4", batches_lz4),
    Target::after("batches_zstd", batches_zstd),
    Target::after("broker", broker),
    Target::after("wal_files", wal_files),
    Target::after("index_files", index_files),
    Target::after("manifest", manifest),
];

/// A batch may inflate to so much here.
const INFLATED_BYTES_MAX: usize = 1 << 20;

/// The header of a frame.
pub fn headers(data: &[u8]) {
    let mut reader = Reader::new(Bytes::copy_from_slice(data));
    if let Ok(header) = RequestHeader::decode(&mut reader) {
        let _ = ApiKey::from_code(header.api_key).map(|key| key.is_flexible(header.api_version));
    }
}

/// The bytes that choose, and the rest.
fn choose(data: &[u8]) -> Option<(u8, u8, Bytes)> {
    let ([api, version], rest) = data.split_first_chunk::<2>()?;
    Some((*api, *version, Bytes::copy_from_slice(rest)))
}

fn decode(keys: &[ApiKey], data: &[u8]) {
    let Some((api, version, body)) = choose(data) else {
        return;
    };
    let key = keys[usize::from(api >> 1) % keys.len()];
    let (lowest, highest) = key.versions();
    let version = lowest + i16::from(version) % (highest - lowest + 1);
    let mut reader = Reader::new(body);
    match api & 1 {
        0 => drop(Request::decode(key, version, &mut reader)),
        _ => drop(Response::decode(key, version, &mut reader)),
    }
}

/// Any request or response.
pub fn any_message(data: &[u8]) {
    decode(ApiKey::ALL, data);
}

pub fn produce(data: &[u8]) {
    decode(&[ApiKey::Produce], data);
}

pub fn fetch(data: &[u8]) {
    decode(&[ApiKey::Fetch, ApiKey::ListOffsets], data);
}

pub fn metadata(data: &[u8]) {
    let keys = [
        ApiKey::Metadata,
        ApiKey::ApiVersions,
        ApiKey::SaslHandshake,
        ApiKey::SaslAuthenticate,
    ];
    decode(&keys, data);
}

pub fn groups(data: &[u8]) {
    let keys = [
        ApiKey::JoinGroup,
        ApiKey::SyncGroup,
        ApiKey::Heartbeat,
        ApiKey::LeaveGroup,
        ApiKey::OffsetCommit,
        ApiKey::OffsetFetch,
        ApiKey::ConsumerGroupHeartbeat,
        ApiKey::FindCoordinator,
    ];
    decode(&keys, data);
}

pub fn transactions(data: &[u8]) {
    let keys = [
        ApiKey::InitProducerId,
        ApiKey::AddPartitionsToTxn,
        ApiKey::AddOffsetsToTxn,
        ApiKey::TxnOffsetCommit,
        ApiKey::EndTxn,
        ApiKey::WriteTxnMarkers,
    ];
    decode(&keys, data);
}

/// Batches with a codec forced upon them; the checksum is made right, as an attacker would.
fn batches_of(codec: u8, data: &[u8]) {
    let mut bytes = data.to_vec();
    if bytes.len() >= HEADER_SIZE {
        bytes[22] = (bytes[22] & !7) | codec;
        let length = (bytes.len() - 12) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        recompute_crc(&mut bytes);
    }
    for batch in batches(Bytes::from(bytes)).flatten() {
        let is_valid = validate(&batch, INFLATED_BYTES_MAX).is_ok();
        let read = read_batch(&batch);
        assert!(!is_valid || read, "a valid batch cannot be read");
    }
}

/// Reads a batch in every way that there is; whether all was well.
fn read_batch(batch: &RecordBatch) -> bool {
    let Ok(data) = batch.records_data(&mut Decompressor::new(), INFLATED_BYTES_MAX) else {
        return false;
    };
    let _ = ControlRecord::read(&batch.header, &data);
    let mut is_whole = true;
    for record in batch.records(&data) {
        is_whole &= record.is_ok_and(|record| record.headers.iter().count() == record.headers.count());
    }
    let columns = RecordColumns::new(true, true).append(&batch.header, &data, 0);
    is_whole && columns.is_ok()
}

pub fn batches_none(data: &[u8]) {
    batches_of(0, data);
}

pub fn batches_gzip(data: &[u8]) {
    batches_of(1, data);
}

pub fn batches_snappy(data: &[u8]) {
    batches_of(2, data);
}

pub fn batches_lz4(data: &[u8]) {
    batches_of(3, data);
}

pub fn batches_zstd(data: &[u8]) {
    batches_of(4, data);
}

/// Requests per broker: enough that earlier ones matter, but bounded.
const REQUESTS_PER_LIFE: u32 = 500;

thread_local! {
    static BROKER: RefCell<Option<(Broker, u32)>> = const { RefCell::new(None) };
}

fn new_broker() -> Broker {
    let storage: Arc<dyn Storage> = Arc::new(MemStorage::new());
    let opened = Broker::open(BrokerConfig::new([]), storage, Arc::new(SeededRng::new(1)), 1_000);
    opened.expect("an empty directory opens")
}

/// Requests that can be read are handled by a broker, and its responses can be encoded.
pub fn broker(data: &[u8]) {
    let Some((api, version, body)) = choose(data) else {
        return;
    };
    let key = ApiKey::ALL[usize::from(api) % ApiKey::ALL.len()];
    let (lowest, highest) = key.versions();
    let version = lowest + i16::from(version) % (highest - lowest + 1);
    let Ok(request) = Request::decode(key, version, &mut Reader::new(body)) else {
        return;
    };
    BROKER.with_borrow_mut(|slot| {
        let (broker, handled) = slot.get_or_insert_with(|| (new_broker(), 0));
        handle(broker, i64::from(*handled), version, request);
        *handled += 1;
        if *handled == REQUESTS_PER_LIFE {
            *slot = None;
        }
    });
}

fn handle(broker: &mut Broker, handled: i64, version: i16, request: Request) {
    let endpoint = Endpoint {
        host: "127.0.0.1".into(),
        port: 9092,
    };
    let context = RequestContext {
        is_internal: false,
        ..RequestContext::internal("fuzz", endpoint)
    };
    let now_ms = 1_000 + 50 * handled;
    let key = request.api_key();
    let mut replies = Vec::new();
    match broker.handle(now_ms, &context, version, request) {
        Progress::Ready(reply) => replies.push(reply),
        Progress::Pending(ticket) => {
            if let Some(job) = broker.take_commit(now_ms) {
                broker.on_commit(job.run()).expect("the disk is sound");
            }
            let own = broker
                .take_completed()
                .into_iter()
                .filter(|(of, _)| *of == ticket);
            replies.extend(own.map(|(_, reply)| reply));
        }
    }
    broker.tick(now_ms);
    for reply in replies {
        if let millstream_broker::Reply::Response(response) = reply {
            let written = millstream_kafka_wire::header::encode_response(&response, version, 1);
            assert!(written.is_ok(), "{key:?} version {version}: {:?}", written.err());
        }
    }
}

const GROUP_HEADER_BYTES: usize = 40;

fn put(storage: &MemStorage, path: &str, bytes: &[u8]) {
    let file = storage.open(path, OpenMode::Truncate).expect("the disk is sound");
    file.write_at(bytes, 0).expect("the disk is sound");
}

fn directories(names: &[&str]) -> MemStorage {
    let storage = MemStorage::new();
    for name in names {
        storage.create_directory(name).expect("the disk is sound");
    }
    storage
}

/// Opens a directory and reads all that it holds.
fn open(storage: &MemStorage) {
    let Ok(mut opened) = Log::open(Arc::new(storage.clone()), LogOptions::default()) else {
        return;
    };
    let logs: Vec<_> = opened.log.logs().take(4).collect();
    for log in logs {
        let start = opened.log.offsets(log).map_or(0, |offsets| offsets.start);
        let limit = ReadLimit {
            max_bytes: 4_096,
            at_least_one: true,
        };
        for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
            let _ = opened.log.read(log, start, limit, isolation);
        }
        let _ = opened.log.find_by_time(log, 1, start);
        let _ = opened.log.find_max_timestamp(log);
    }
}

/// A file of the write-ahead log; with an odd first byte, lengths and checksums of its first group and record fit.
pub fn wal_files(data: &[u8]) {
    let Some((flags, file)) = data.split_first() else {
        return;
    };
    let mut file = file.to_vec();
    if flags & 1 == 1 && file.len() >= GROUP_HEADER_BYTES + 32 {
        let length = (file.len() - GROUP_HEADER_BYTES) as u64;
        file[..4].copy_from_slice(b"MWG1");
        file[8..16].copy_from_slice(&1u64.to_le_bytes());
        file[24..32].copy_from_slice(&length.to_le_bytes());
        seal(&mut file, GROUP_HEADER_BYTES, (4, 8));
        let record = &mut file[GROUP_HEADER_BYTES..];
        record[..4].copy_from_slice(b"MWR1");
        record[8..16].copy_from_slice(&1u64.to_le_bytes());
        let entries = (record.len() - 32) as u32;
        record[24..28].copy_from_slice(&entries.to_le_bytes());
        let end = record.len();
        seal(record, end, (4, 8));
    }
    let storage = directories(&["wal", "logs"]);
    put(&storage, "wal/00000000000000000001.wal", &file);
    open(&storage);
}

/// Writes the checksum of `bytes[from..end]` to `at`.
fn seal(bytes: &mut [u8], end: usize, (at, from): (usize, usize)) {
    let crc = crc32c::crc32c(&bytes[from..end]);
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

/// The manifest; with an odd first byte its checksum fits, and the second bit makes it one of the first version.
pub fn manifest(data: &[u8]) {
    let Some((flags, file)) = data.split_first() else {
        return;
    };
    let mut file = file.to_vec();
    if flags & 1 == 1 && file.len() >= 12 {
        file[..4].copy_from_slice(b"MSCP");
        let version = if flags & 2 == 0 { 2u32 } else { 1 };
        file[4..8].copy_from_slice(&version.to_le_bytes());
        let end = file.len();
        seal(&mut file, end, (8, 12));
    }
    let storage = segment_directory();
    put(&storage, "checkpoint", &file);
    open(&storage);
}

const SEGMENT: &str = "logs/0000000000/00000000000000000000-0";
/// Where the manifest of [`segment_directory`] has what is changed here.
const CLEAN_AT: usize = 20;
const INDEX_ENTRIES_AT: usize = 105;
const INDEX_CRC_AT: usize = 125;

/// A directory with one segment, one of whose files is given. The first byte says which, and what the manifest says: that
/// it ended cleanly, so that nothing is checked before it is read; that it did not; or that it did not and that these are
/// the entries that the indexes should have.
pub fn index_files(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    let storage = segment_directory();
    let suffix = ["index", "timeindex", "log"][usize::from(*choice) % 3];
    put(&storage, &format!("{SEGMENT}.{suffix}"), bytes);
    let manifest = storage.read("checkpoint").expect("it is there");
    match choice / 3 % 3 {
        0 => {}
        1 => put(&storage, "checkpoint", &unclean(manifest)),
        _ => put(&storage, "checkpoint", &unclean(with_sum(&storage, manifest))),
    }
    open(&storage);
}

/// The manifest of a process that was killed.
fn unclean(mut manifest: Vec<u8>) -> Vec<u8> {
    manifest[CLEAN_AT] = 0;
    let end = manifest.len();
    seal(&mut manifest, end, (8, 12));
    manifest
}

/// The manifest with the sum of the entries that are in the indexes.
fn with_sum(storage: &MemStorage, mut manifest: Vec<u8>) -> Vec<u8> {
    let [offsets, times] = ["index", "timeindex"].map(|suffix| {
        let path = format!("{SEGMENT}.{suffix}");
        storage.read(&path).expect("it is there")
    });
    let both = offsets.chunks_exact(8).zip(times.chunks_exact(8));
    let entries: Vec<u8> = both.flat_map(|(offset, time)| [offset, time].concat()).collect();
    let (count, crc) = ((entries.len() / 16) as u32, crc32c::crc32c(&entries));
    manifest[INDEX_ENTRIES_AT..][..4].copy_from_slice(&count.to_le_bytes());
    manifest[INDEX_CRC_AT..][..4].copy_from_slice(&crc.to_le_bytes());
    manifest
}

/// A directory as it is after batches were written and the process ended cleanly.
pub fn segment_directory() -> MemStorage {
    thread_local! {
        static WRITTEN: MemStorage = write_segment();
    }
    WRITTEN.with(MemStorage::fork)
}

fn write_segment() -> MemStorage {
    use millstream_kafka_wire::compression::{Codec, Compressor};
    use millstream_kafka_wire::record_batch::BatchBuilder;
    use millstream_log::{BatchHeader, Entry, LogId, Record};
    let storage = MemStorage::new();
    let mut log = Log::open(Arc::new(storage.clone()), LogOptions::default())
        .expect("it is empty")
        .log;
    let create = Record {
        entries: vec![Entry::CreateLog(LogId(0))],
    };
    log.append_record(1, &create).expect("the log is sound");
    for index in 0..20 {
        let mut builder = BatchBuilder::new(Codec::None);
        builder.append(index, Some(b"key"), Some(&[b'v'; 700]), &[]);
        let batch = builder.build(&mut Compressor::default()).expect("a small batch");
        let header = BatchHeader::parse(&batch).expect("a batch");
        log.append(index, LogId(0), &batch, &header)
            .expect("the log is sound");
    }
    log.request_clean_end();
    let commit = log
        .take_commit(30, Vec::new)
        .expect("there is something to write");
    log.on_commit(commit.run()).expect("the disk is sound");
    let checkpoint = log.take_checkpoint().expect("one was asked for");
    log.on_checkpoint(checkpoint.run()).expect("the disk is sound");
    drop(log);
    storage.kill();
    storage
}
