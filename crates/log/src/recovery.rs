//! Opening a directory: manifest, WAL, and the checks after an unclean end.

use crate::batch::BatchHeader;
use crate::checkpoint::Manifest;
use crate::error::OpenError;
use crate::limits::GROUP_BUFFERS_BYTES;
use crate::log::{Log, LogOptions, Opened};
use crate::partition::Partition;
use crate::pending::Pending;
use crate::record::{Entry, ReadEntry, ReadRecord};
use crate::segment::{directory, scan, write_indexes};
use crate::segment_read::SegmentReader;
use crate::tail::Groups;
use crate::wal::{self, ReadFile, WalWriter};
use bytes::Bytes;
use millstream_types::Buffers;
use millstream_types::storage::{OpenMode, Storage};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

const LOCK: &str = "lock";
const LOGS: &str = "logs";

impl Log {
    /// Opens a directory, making what is missing. Everything that had been acknowledged is there afterwards.
    pub fn open(storage: Arc<dyn Storage>, options: LogOptions) -> Result<Opened, OpenError> {
        let lock = storage.try_lock(LOCK).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked,
            _ => OpenError::io("lock", LOCK)(error),
        })?;
        for path in [wal::DIRECTORY, LOGS] {
            storage
                .create_directory(path)
                .map_err(OpenError::io("create", path))?;
        }
        storage.sync_directory("").map_err(OpenError::io("sync", "."))?;
        let manifest = Manifest::load(storage.as_ref())?;
        let files = wal::read_all(storage.as_ref(), manifest.sequence)?;
        let is_clean = manifest.clean && files.iter().all(|file| file.records.is_empty());
        let snapshot = manifest.snapshot.clone();
        let reads = storage.clone();
        let group_buffers = Buffers::new(GROUP_BUFFERS_BYTES);
        let mut log = Log {
            writer: Some(WalWriter::new(storage.clone(), options.sync)),
            storage,
            _lock: lock,
            options,
            partitions: manifest.partitions,
            next_log: manifest.next_log,
            groups: Groups::default(),
            pending: Pending::new(group_buffers.clone()),
            pending_logs: Vec::new(),
            next_sequence: manifest.sequence + 1,
            durable_sequence: manifest.sequence,
            flushed_sequence: manifest.sequence,
            wal_files: Vec::new(),
            spare_wal_file: None,
            uncaptured_bytes: 0,
            checkpoint_requested: false,
            captured: None,
            checkpoint_running: false,
            compaction_running: false,
            garbage: Vec::new(),
            poison: None,
            reader: SegmentReader::new(reads),
            group_buffers,
        };
        if !is_clean {
            log.remove_orphans()?;
            log.check_segments()?;
        }
        let mut metadata = Vec::new();
        for file in files {
            log.replay(file, &mut metadata);
        }
        log.durable_sequence = log.next_sequence - 1;
        for partition in log.partitions.values_mut() {
            partition.high_watermark = partition.next_offset;
            partition.producers.on_durable(partition.next_offset);
        }
        Ok(Opened {
            log,
            snapshot,
            metadata,
        })
    }

    fn replay(&mut self, file: ReadFile, metadata: &mut Vec<(i64, Bytes)>) {
        let group = self.groups.pending_id();
        let mut touched = BTreeSet::new();
        for record in &file.records {
            if record.sequence < self.next_sequence {
                continue; // the manifest holds it
            }
            self.next_sequence = record.sequence + 1;
            self.replay_record(record, (group, &file.bytes), metadata, &mut touched);
        }
        let end = |id| Some((id, self.partitions.get(&id)?.next_offset));
        let logs = touched.into_iter().filter_map(end).collect();
        self.wal_files.push(file.first_sequence);
        self.uncaptured_bytes += file.bytes.len() as u64;
        let held_bytes = file.bytes.len();
        self.groups
            .push(file.bytes, held_bytes, self.next_sequence - 1, logs);
    }

    fn replay_record(
        &mut self,
        record: &ReadRecord,
        (group, file): (u64, &Bytes),
        metadata: &mut Vec<(i64, Bytes)>,
        touched: &mut BTreeSet<crate::LogId>,
    ) {
        for entry in &record.entries {
            match entry {
                ReadEntry::Other(Entry::Metadata(bytes)) => metadata.push((record.time_ms, bytes.clone())),
                ReadEntry::Other(entry) => self.apply(entry),
                ReadEntry::Batch { log, position, len } => {
                    let Some(partition) = self.partitions.get_mut(log) else {
                        continue; // dropped since
                    };
                    let bytes = &file[*position..*position + *len];
                    match BatchHeader::parse(bytes) {
                        Ok(header) if header.base_offset == partition.next_offset => {
                            partition.push(&header, (group, *position), bytes, record.time_ms);
                            touched.insert(*log);
                        }
                        Ok(header) => partition.set_quarantine(format!(
                            "the write-ahead log goes on at offset {} where {} is next",
                            header.base_offset, partition.next_offset
                        )),
                        Err(error) => {
                            partition.set_quarantine(format!("a batch in the write-ahead log: {error}"))
                        }
                    }
                }
            }
        }
    }

    /// Removes files that the manifest does not know: remnants of a checkpoint that did not finish.
    fn remove_orphans(&mut self) -> Result<(), OpenError> {
        let mut known = BTreeSet::new();
        let mut directories = BTreeSet::new();
        for (id, partition) in &self.partitions {
            directories.insert(directory(*id));
            known.extend(partition.segments.iter().flat_map(|segment| segment.files(*id)));
        }
        for entry in self.storage.list(LOGS).map_err(OpenError::io("list", LOGS))? {
            let path = format!("{LOGS}/{}", entry.name);
            if !directories.contains(&path) {
                self.storage
                    .remove_directory(&path)
                    .map_err(OpenError::io("remove", path))?;
                continue;
            }
            for file in self
                .storage
                .list(&path)
                .map_err(OpenError::io("list", path.clone()))?
            {
                let file = format!("{path}/{}", file.name);
                if !known.contains(&file) {
                    self.storage
                        .remove(&file)
                        .map_err(OpenError::io("remove", file))?;
                }
            }
        }
        Ok(())
    }

    /// Scans the last segment of each log, cuts off remnants behind it, and rebuilds its indexes.
    fn check_segments(&mut self) -> Result<(), OpenError> {
        for (id, partition) in &mut self.partitions {
            let Some(known) = partition.segments.last().copied() else {
                continue;
            };
            let found = scan(self.storage.as_ref(), *id, &known)?;
            let path = known.path(*id, ".log");
            if let Some((position, error)) = found.damage {
                partition.set_quarantine(format!("segment '{path}' at byte {position}: {error}"));
                continue;
            }
            if found.segment.end_offset != known.end_offset {
                partition.set_quarantine(format!("segment '{path}' does not end at {}", known.end_offset));
                continue;
            }
            let file = self
                .storage
                .open(&path, OpenMode::Write)
                .map_err(OpenError::io("open", path.clone()))?;
            file.set_len(known.bytes)
                .map_err(OpenError::io("truncate", path.clone()))?;
            write_indexes(self.storage.as_ref(), (*id, &known), (0, &found.entries), false)
                .map_err(OpenError::io("index", path))?;
            if let Some(last) = partition.segments.last_mut() {
                *last = found.segment;
            }
        }
        Ok(())
    }
}

impl Partition {
    fn set_quarantine(&mut self, reason: String) {
        self.quarantine.get_or_insert_with(|| reason.into());
    }
}
