//! Opening a directory: manifest, WAL, and the checks after an unclean end.

use crate::batch::BatchHeader;
use crate::checkpoint::Manifest;
use crate::error::OpenError;
use crate::limits::BUFFERS_BYTES;
use crate::log::{Log, LogId, LogOptions, Opened};
use crate::partition::Partition;
use crate::pending::Pending;
use crate::record::{Entry, ReadEntry, ReadRecord};
use crate::segment::directory;
use crate::segment_check::{Checked, check, is_of_segment};
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
    /// Opens or creates a directory. Everything that was acknowledged is there afterwards.
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
        let known_salt = wal::read_salt(storage.as_ref())?;
        let files = wal::read_all(storage.as_ref(), manifest.sequence, known_salt)?;
        let salt = match known_salt {
            Some(salt) => salt,
            None => wal::write_salt(storage.as_ref(), options.wal_salt)?,
        };
        // An older manifest has no sums of indexes: they are made once, by reading the segments.
        let is_clean =
            manifest.clean && !manifest.is_older && files.iter().all(|file| file.records.is_empty());
        let snapshot = manifest.snapshot.clone();
        let reads = storage.clone();
        let buffers = Buffers::new(BUFFERS_BYTES);
        let mut log = Log {
            writer: Some(WalWriter::new(storage.clone(), options.sync)),
            storage,
            _lock: lock,
            options,
            partitions: manifest.partitions,
            next_log: manifest.next_log,
            groups: Groups::default(),
            pending: Pending::new(buffers.clone(), salt),
            pending_logs: Vec::new(),
            next_sequence: manifest.sequence + 1,
            durable_sequence: manifest.sequence,
            flushed_sequence: manifest.sequence,
            wal_files: Vec::new(),
            spare_wal_file: None,
            uncaptured_bytes: 0,
            checkpoint_requested: false,
            end_requested: false,
            captured: None,
            checkpoint_running: false,
            compaction_running: false,
            garbage: Vec::new(),
            poison: None,
            reader: SegmentReader::new(reads, buffers.clone()),
            buffers,
        };
        if !is_clean || manifest.leaves_files {
            log.remove_orphans()?;
        }
        log.check_segments(is_clean)?;
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
        self.groups
            .push(file.bytes, file.held_bytes, self.next_sequence - 1, logs);
    }

    fn replay_record(
        &mut self,
        record: &ReadRecord,
        (group, file): (u64, &Bytes),
        metadata: &mut Vec<(i64, Bytes)>,
        touched: &mut BTreeSet<LogId>,
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
                            "the write-ahead log continues at offset {} where {} is next",
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

    /// Removes files that the manifest does not know: remnants of a checkpoint or a compaction that did not finish.
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

    fn check_segments(&mut self, is_clean: bool) -> Result<(), OpenError> {
        let mut partitions = self.partitions.iter_mut();
        partitions
            .try_for_each(|(id, partition)| partition.check_segments(self.storage.as_ref(), *id, is_clean))
    }
}

impl Partition {
    fn set_quarantine(&mut self, reason: String) {
        self.quarantine.get_or_insert_with(|| reason.into());
    }

    /// Checks segments, see [`crate::segment_check`]: after an unclean shutdown the last one, the only one that was
    /// being written; of a quarantined log all of them, because more than the named one may be damaged or missing. The
    /// quarantine is lifted when all are sound: restored from a copy, or deleted because the log starts behind them.
    fn check_segments(&mut self, storage: &dyn Storage, log: LogId, is_clean: bool) -> Result<(), OpenError> {
        if self
            .quarantine
            .as_deref()
            .is_some_and(|reason| !is_of_segment(reason))
        {
            return Ok(()); // the write-ahead log was the reason
        }
        let is_quarantined = self.quarantine.is_some();
        let first = match is_clean {
            _ if is_quarantined => 0,
            true => self.segments.len(),
            false => self.segments.len().saturating_sub(1),
        };
        for segment in &mut self.segments[first..] {
            match check(storage, log, segment)? {
                Checked::Sound(found) => *segment = found,
                Checked::Damaged(reason) => {
                    self.quarantine = Some(reason.into());
                    return Ok(());
                }
            }
        }
        if is_quarantined {
            self.sync_restored(storage, log)?;
            self.quarantine = None;
        }
        Ok(())
    }

    /// Syncs restored and rebuilt files: most of these segments are never checked again.
    fn sync_restored(&mut self, storage: &dyn Storage, log: LogId) -> Result<(), OpenError> {
        for segment in &mut self.segments {
            let open = |path: &String| storage.open(path, OpenMode::Write);
            let files: io::Result<Vec<_>> = segment.files(log).iter().map(open).collect();
            files
                .and_then(|files| storage.sync_all(&files))
                .and_then(|()| storage.sync_directory(&directory(log)))
                .map_err(OpenError::io("sync", segment.path(log, ".log")))?;
            segment.durable_index = segment.index;
        }
        Ok(())
    }
}
