//! Batches and a log that is driven by hand.

use bytes::Bytes;
use millstream_log::batch::HEADER_BYTES;
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

    pub fn checkpoint(&mut self) {
        self.log.request_checkpoint();
        self.commit();
        let job = self.log.take_checkpoint().expect("a checkpoint was requested");
        self.log.on_checkpoint(job.run()).unwrap();
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
