//! Checkpoints: move batches from commit groups into segments, replace the manifest, and remove the WAL ahead of it.
//!
//! A log in the manifest: id u32, start offset i64, next offset i64, number of segments u32, each segment (base offset
//! i64, generation u32, bytes u64, end offset i64, greatest timestamp i64, base offset of its batch i64, created i64,
//! index entries u32, bytes since the last one u64, first cleaned i64; since version 2: checksum of the index entries
//! u32, synced index entries u32, their checksum u32), length u32 and bytes of the quarantine reason, number of
//! producers u32, each producer (id i64, epoch i16, last append i64, transaction start i64 or −1, coordinator epoch
//! i32, number of batches u8, each: first and last sequence i32, base and last offset i64, timestamp i64), number of
//! aborted transactions u32, each: producer i64, first and last offset i64.
//!
//! Recovery trusts the manifest. Therefore the batches that it describes are synced before it is replaced, and indexes
//! before it calls them synced. It describes nothing after its sequence, neither producers nor segments.

use crate::codec::{Reader, Writer};
use crate::error::{LogError, OpenError};
use crate::index::write_indexes;
use crate::limits::UNSYNCED_FILES;
use crate::log::{Log, LogId};
use crate::partition::{FlushedSegment, Partition, SegmentAppend};
use crate::segment::{Segment, directory};
use crate::segment_write::SegmentWriter;
use crate::wal;
use bytes::Bytes;
use millstream_types::Buffers;
use millstream_types::storage::{OpenMode, Storage, StorageFile};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

pub(crate) const MANIFEST: &str = "checkpoint";
const MAGIC: [u8; 4] = *b"MSCP";
const VERSION: u32 = 2;
/// Instead of 1: the end was clean, but there may be files that the manifest does not name.
const CLEAN_WITH_FILES: u8 = 2;
/// No log lives long enough to get to this sequence. Nearly twice of it could not be counted on from.
const IMPOSSIBLE_SEQUENCE: u64 = 1 << 63;

/// A captured state on its way to the disk. Run it on any thread and give the outcome back.
#[derive(Debug)]
pub struct CheckpointJob {
    pub(crate) sequence: u64,
    storage: Arc<dyn Storage>,
    appends: Vec<(LogId, Vec<SegmentAppend>)>,
    buffers: Buffers,
    manifest: Vec<u8>,
    wal_files: Vec<u64>,
    keeps_spare: bool,
    garbage: Vec<String>,
}

/// The result of a [`CheckpointJob`].
#[derive(Debug)]
pub struct CheckpointOutcome {
    sequence: u64,
    segments: Vec<(LogId, FlushedSegment)>,
    spare_wal_file: Option<u64>,
    result: io::Result<()>,
}

impl Log {
    /// Captures everything appended so far; all groups are frozen.
    pub(crate) fn capture(&mut self, now_ms: i64, snapshot: &[u8], clean: bool) -> CheckpointJob {
        let mut appends = Vec::new();
        let mut logs = Vec::new();
        let mut writer = Writer(&mut logs);
        for (id, partition) in &mut self.partitions {
            let planned = partition.plan_flush(*id, &self.groups, now_ms, clean);
            let segments = with_planned(&partition.segments, &planned);
            writer.u32(id.0);
            partition.write(&segments, &mut writer);
            if !planned.is_empty() {
                partition.warm_checkpoints = partition.warm_checkpoints.saturating_sub(1);
                appends.push((*id, planned));
            }
        }
        let mut body = Vec::with_capacity(logs.len() + snapshot.len() + 64);
        let mut writer = Writer(&mut body);
        writer.u64(self.last_sequence());
        // Before the last checkpoint has removed files, or a compaction its own, the process may be killed.
        let leaves_files = self.compaction_running || !self.garbage.is_empty();
        writer.u8(match clean {
            true if leaves_files => CLEAN_WITH_FILES,
            clean => u8::from(clean),
        });
        writer.u32(self.next_log);
        writer.u32(self.partitions.len() as u32);
        writer.0.extend_from_slice(&logs);
        writer.u64(snapshot.len() as u64);
        writer.0.extend_from_slice(snapshot);
        if clean {
            self.garbage.extend(self.spare_wal_file.take().map(wal::path));
        }
        CheckpointJob {
            sequence: self.last_sequence(),
            storage: self.storage.clone(),
            appends,
            buffers: self.buffers.clone(),
            manifest: seal(&body),
            wal_files: self.wal_files_up_to(self.last_sequence()),
            keeps_spare: !clean,
            garbage: std::mem::take(&mut self.garbage),
        }
    }

    /// The files with nothing behind this sequence. One that was found empty bears the number of the next record, which the
    /// next group may write into it while the checkpoint runs.
    fn wal_files_up_to(&self, sequence: u64) -> Vec<u64> {
        let files = self.wal_files.iter().copied();
        files.filter(|first| *first <= sequence).collect()
    }

    /// Applies the result of a checkpoint; an error poisons the log.
    pub fn on_checkpoint(&mut self, outcome: CheckpointOutcome) -> Result<(), LogError> {
        self.checkpoint_running = false;
        if let Err(error) = outcome.result {
            return Err(self.poison(&format!("checkpoint: {error}")));
        }
        for (log, segment) in outcome.segments {
            if let Some(partition) = self.partitions.get_mut(&log) {
                partition.apply_flush(&segment);
                self.drop_below_start(log);
            }
        }
        self.flushed_sequence = outcome.sequence;
        self.wal_files.retain(|first| *first > outcome.sequence);
        if outcome.spare_wal_file.is_some() {
            let old = std::mem::replace(&mut self.spare_wal_file, outcome.spare_wal_file);
            self.garbage.extend(old.map(wal::path));
        }
        self.evict();
        Ok(())
    }
}

fn with_planned(segments: &[Segment], planned: &[SegmentAppend]) -> Vec<Segment> {
    let mut all = segments.to_vec();
    for append in planned {
        match all.last_mut() {
            Some(last) if last.base_offset == append.after.base_offset => *last = append.after,
            _ => all.push(append.after),
        }
    }
    all
}

fn seal(body: &[u8]) -> Vec<u8> {
    let mut manifest = Vec::with_capacity(body.len() + 12);
    manifest.extend_from_slice(&MAGIC);
    manifest.extend_from_slice(&VERSION.to_le_bytes());
    manifest.extend_from_slice(&crc32c::crc32c(body).to_le_bytes());
    manifest.extend_from_slice(body);
    manifest
}

/// Files that were written and have to be synced before the manifest is.
type Unsynced = Vec<Arc<dyn StorageFile>>;

impl CheckpointJob {
    /// Writes segments, indexes and the manifest, then removes files that are no longer needed.
    pub fn run(self) -> CheckpointOutcome {
        let result = self.write();
        let spare_wal_file = result.is_ok().then(|| self.clean_up()).flatten();
        let segments = self.appends.iter().flat_map(|(log, appends)| {
            let log = *log;
            appends.iter().map(move |append| (log, append.flushed()))
        });
        CheckpointOutcome {
            sequence: self.sequence,
            segments: segments.collect(),
            spare_wal_file,
            result,
        }
    }

    fn write(&self) -> io::Result<()> {
        let mut unsynced = Vec::new();
        let mut new_directories = Vec::new();
        for (log, appends) in &self.appends {
            if appends.iter().any(SegmentAppend::is_new) {
                let directory = directory(*log);
                self.storage.create_directory(&directory)?;
                new_directories.push(directory);
            }
            for append in appends {
                self.write_segment(*log, append, &mut unsynced)?;
                if unsynced.len() >= UNSYNCED_FILES {
                    self.storage.sync_all(&unsynced)?;
                    unsynced.clear();
                }
            }
        }
        self.storage.sync_all(&unsynced)?;
        for directory in &new_directories {
            self.storage.sync_directory(directory)?;
        }
        if !new_directories.is_empty() {
            self.storage.sync_directory("logs")?;
        }
        self.storage.replace(MANIFEST, &self.manifest)
    }

    fn write_segment(&self, log: LogId, append: &SegmentAppend, unsynced: &mut Unsynced) -> io::Result<()> {
        let mode = if append.is_new() {
            OpenMode::Truncate
        } else {
            OpenMode::Write
        };
        let file = self.storage.open(&append.after.path(log, ".log"), mode)?;
        let mut writer = SegmentWriter::new(file.as_ref(), append, &self.buffers);
        append.chunks.iter().try_for_each(|chunk| writer.push(chunk))?;
        writer.finish()?;
        unsynced.push(file);
        if append.entries.is_empty() && !append.syncs_indexes && !append.is_new() {
            return Ok(());
        }
        let entries = (append.first_entry, append.entries.as_slice());
        let indexes = write_indexes(self.storage.as_ref(), (log, &append.after), entries)?;
        if append.syncs_indexes {
            unsynced.extend(indexes);
        }
        Ok(())
    }

    /// Removes obsolete files. Returns the one WAL file to recycle, if any. Errors are ignored: the next start finds
    /// and removes what is left.
    fn clean_up(&self) -> Option<u64> {
        let newest = self.wal_files.last().copied();
        let spare = newest.filter(|file| self.keeps_spare && wal::is_spare(self.storage.as_ref(), *file));
        for first_sequence in self.wal_files.iter().filter(|file| Some(**file) != spare) {
            let _ = self.storage.remove(&wal::path(*first_sequence));
        }
        for path in &self.garbage {
            let is_file = path.contains('.');
            let _ = if is_file {
                self.storage.remove(path)
            } else {
                self.storage.remove_directory(path)
            };
        }
        spare
    }
}

/// A manifest that was read back.
pub(crate) struct Manifest {
    pub sequence: u64,
    pub clean: bool,
    /// Whether there may be files that it does not name, even after a clean end.
    pub leaves_files: bool,
    /// Whether an earlier version has written it.
    pub is_older: bool,
    pub next_log: u32,
    pub partitions: BTreeMap<LogId, Partition>,
    pub snapshot: Option<Bytes>,
}

impl Manifest {
    pub fn load(storage: &dyn Storage) -> Result<Self, OpenError> {
        let content = match storage.read(MANIFEST) {
            Ok(content) => Bytes::from(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::empty()),
            Err(error) => return Err(OpenError::io("read", MANIFEST)(error)),
        };
        let mut reader = Reader::new(&content);
        if reader.bytes(4) != Some(&MAGIC) {
            return Err(OpenError::Manifest {
                reason: "its first bytes are not those of a manifest",
            });
        }
        let version = match reader.u32() {
            Some(version @ 1..=VERSION) => version,
            Some(found) if found > VERSION => {
                return Err(OpenError::Version {
                    found,
                    known: VERSION,
                });
            }
            _ => {
                return Err(OpenError::Manifest {
                    reason: "it has no version",
                });
            }
        };
        let crc = reader.u32();
        let body = content.slice(content.len().min(12)..);
        if crc != Some(crc32c::crc32c(&body)) {
            return Err(OpenError::Manifest {
                reason: "its checksum does not match",
            });
        }
        let manifest = Self::parse(&body, version).ok_or(OpenError::Manifest {
            reason: "it ends too early",
        })?;
        if manifest.sequence >= IMPOSSIBLE_SEQUENCE {
            return Err(OpenError::Manifest {
                reason: "its sequence is impossible",
            });
        }
        Ok(manifest)
    }

    fn empty() -> Self {
        Manifest {
            sequence: 0,
            clean: true,
            leaves_files: false,
            is_older: false,
            next_log: 0,
            partitions: BTreeMap::new(),
            snapshot: None,
        }
    }

    fn parse(body: &Bytes, version: u32) -> Option<Self> {
        let mut reader = Reader::new(body);
        let (sequence, clean, next_log) = (reader.u64()?, reader.u8()?, reader.u32()?);
        let mut partitions = BTreeMap::new();
        for _ in 0..reader.u32()? {
            let id = LogId(reader.u32()?);
            partitions.insert(id, Partition::read(&mut reader, version)?);
        }
        let len = usize::try_from(reader.u64()?).ok()?;
        let snapshot = body.slice_ref(reader.bytes(len)?);
        reader.is_empty().then_some(Manifest {
            sequence,
            clean: clean != 0,
            leaves_files: clean == CLEAN_WITH_FILES,
            is_older: version < VERSION,
            next_log,
            partitions,
            snapshot: Some(snapshot),
        })
    }
}
