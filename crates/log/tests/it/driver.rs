//! Batches and a log that is driven by hand.

use bytes::Bytes;
use millstream_log::batch::{HEADER_BYTES, Marker};
use millstream_log::*;
use millstream_testkit::storage::{Fault, MemStorage, Operation};
use std::io::ErrorKind;
use std::sync::Arc;

/// A batch of `count` records whose bodies are `fill` bytes; not readable as records, which the log does not look at.
#[derive(Clone, Copy)]
pub struct Produce {
    pub count: i32,
    pub fill: usize,
    pub timestamp: i64,
    pub producer: Option<(i64, i16, i32)>,
    pub transactional: bool,
}

impl Default for Produce {
    fn default() -> Self {
        Produce {
            count: 1,
            fill: 20,
            timestamp: 0,
            producer: None,
            transactional: false,
        }
    }
}

impl Produce {
    pub fn encode(self) -> Bytes {
        let (id, epoch, sequence) = self.producer.unwrap_or((-1, -1, -1));
        let mut batch = vec![0u8; HEADER_BYTES];
        batch[8..12].copy_from_slice(&((HEADER_BYTES - 12 + self.fill) as i32).to_be_bytes());
        batch[16] = 2;
        batch[21..23].copy_from_slice(&(if self.transactional { 16i16 } else { 0 }).to_be_bytes());
        batch[23..27].copy_from_slice(&(self.count - 1).to_be_bytes());
        batch[27..35].copy_from_slice(&self.timestamp.to_be_bytes());
        batch[35..43].copy_from_slice(&self.timestamp.to_be_bytes());
        batch[43..51].copy_from_slice(&id.to_be_bytes());
        batch[51..53].copy_from_slice(&epoch.to_be_bytes());
        batch[53..57].copy_from_slice(&sequence.to_be_bytes());
        batch[57..61].copy_from_slice(&self.count.to_be_bytes());
        batch.extend((0..self.fill).map(|index| (index as i64 * 31 + self.timestamp) as u8));
        let crc = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        Bytes::from(batch)
    }
}

pub struct Driver {
    pub storage: MemStorage,
    pub log: Log,
    pub snapshot: Option<Bytes>,
    pub metadata: Vec<Bytes>,
    /// What the owner's snapshot will be.
    pub owner: Vec<u8>,
    pub now: i64,
}

pub fn small() -> LogOptions {
    LogOptions {
        checkpoint_bytes: 1 << 40,
        tail_cache_bytes: 0,
        wal_salt: 0x5a17_5a17,
        ..LogOptions::default()
    }
}

impl Driver {
    pub fn open(storage: &MemStorage, options: LogOptions) -> Result<Driver, OpenError> {
        let opened = Log::open(Arc::new(storage.clone()), options)?;
        Ok(Driver {
            storage: storage.clone(),
            log: opened.log,
            snapshot: opened.snapshot,
            metadata: opened.metadata.into_iter().map(|(_, bytes)| bytes).collect(),
            owner: Vec::new(),
            now: 1000,
        })
    }

    pub fn fresh() -> Driver {
        Self::open(&MemStorage::new(), small()).unwrap()
    }

    /// The same directory after its process was killed.
    pub fn reopened(self) -> Driver {
        let now = self.now;
        self.storage.kill();
        let driver = Self::open(&self.storage, small()).unwrap();
        Driver { now, ..driver }
    }

    pub fn create(&mut self) -> LogId {
        let id = self.log.next_log_id();
        self.log
            .append_record(
                self.now,
                &Record {
                    entries: vec![Entry::CreateLog(id)],
                },
            )
            .unwrap();
        id
    }

    pub fn append(&mut self, log: LogId, produce: Produce) -> i64 {
        let batch = produce.encode();
        let header = BatchHeader::check(&batch).unwrap();
        self.log.append(self.now, log, &batch, &header).unwrap().1
    }

    pub fn commit(&mut self) {
        let owner = self.owner.clone();
        if let Some(job) = self.log.take_commit(self.now, || owner) {
            self.log.on_commit(job.run()).unwrap();
        }
    }

    /// A commit that fails in this operation; of a write the first bytes reach the file.
    pub fn fail_commit(&mut self, operation: Operation, torn_bytes: usize) {
        self.storage.fail(Fault {
            operation,
            after: 0,
            kind: ErrorKind::Other,
            torn_bytes,
            sticky: true,
        });
        let job = self.log.take_commit(self.now, Vec::new).unwrap();
        let result = self.log.on_commit(job.run());
        self.storage.heal();
        assert!(matches!(result, Err(LogError::Poisoned { .. })));
    }

    /// The files of the WAL with their lengths, in order.
    pub fn wal_files(&self) -> Vec<(String, usize)> {
        let files = self.storage.files().into_iter();
        files.filter(|(path, _)| path.ends_with(".wal")).collect()
    }

    /// A checkpoint as before a clean end.
    pub fn checkpoint(&mut self) {
        let job = self.begin_checkpoint();
        self.log.on_checkpoint(job.run()).unwrap();
    }

    /// The same, captured; the caller resumes it.
    pub fn begin_checkpoint(&mut self) -> CheckpointJob {
        self.log.request_clean_end();
        self.commit();
        self.log.take_checkpoint().expect("a checkpoint was requested")
    }

    /// The log begins at `offset` from now on.
    pub fn delete_below(&mut self, log: LogId, offset: i64) {
        let entry = Entry::StartOffset { log, offset };
        let record = Record { entries: vec![entry] };
        self.log.append_record(self.now, &record).unwrap();
    }

    /// Ends a producer's transaction; gives the offset of the marker.
    pub fn end_transaction(&mut self, log: LogId, producer_id: i64, control: ControlType) -> i64 {
        let marker = Marker {
            producer_id,
            producer_epoch: 0,
            coordinator_epoch: 0,
            control,
            timestamp: self.now,
        };
        let batch = marker.encode();
        let header = BatchHeader::check(&batch).unwrap();
        self.log.append(self.now, log, &batch, &header).unwrap().1
    }

    /// Everything readable, as pairs of base offset and bytes after the stamped fields.
    pub fn read_all(&mut self, log: LogId, max_bytes: usize) -> Vec<(i64, Bytes)> {
        let start = self.log.offsets(log).unwrap().start;
        read_from(&mut self.log, log, start, max_bytes)
    }
}

/// All batches from `offset` on, as pairs of base offset and bytes after the stamped fields.
pub fn read_from(log: &mut Log, id: LogId, mut offset: i64, max_bytes: usize) -> Vec<(i64, Bytes)> {
    let mut batches = Vec::new();
    let limit = ReadLimit {
        max_bytes,
        at_least_one: true,
    };
    loop {
        let read = log.read(id, offset, limit, Isolation::ReadUncommitted).unwrap();
        if read.chunks.is_empty() {
            return batches;
        }
        offset = read.next_offset;
        let mut all = log.contiguous(read.chunks);
        while !all.is_empty() {
            let batch = all.split_to(BatchHeader::parse(&all).unwrap().size());
            let header = BatchHeader::check(&batch).unwrap();
            batches.push((header.base_offset, batch.slice(16..)));
        }
    }
}
