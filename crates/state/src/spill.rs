//! Where state goes that does not fit into memory, and how much memory state may take.
//!
//! A [`MemoryPool`] is the budget of a process. Each operator instance that can move state to disk holds a
//! [`MemoryShare`] of it and reports its bytes with every batch, so that it learns at once how much has to go. What
//! goes lies in files of a [`SpillSpace`]: a directory of the process on a local disk. The files are neither synced
//! nor found again after a crash; a checkpoint copies what it needs.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use millstream_types::storage::{OpenMode, Storage, StorageFile, StorageLock, read_full_at};

use crate::error::StateError;

/// Directories of processes below a root.
const DIRECTORIES_TRIED: u32 = 10_000;
const LOCK_FILE: &str = "lock";
/// State goes to disk once it takes this part of the budget, in eighths: the rest is for what cannot be moved at once.
const SPILL_AT_EIGHTHS: usize = 6;

/// A file outside of the heap; one that belongs to a [`SpillSpace`] is removed with its last user.
pub struct StoredFile {
    path: String,
    file: Arc<dyn StorageFile>,
    directory: Option<Arc<Directory>>,
}

impl fmt::Debug for StoredFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredFile({})", self.path)
    }
}

impl StoredFile {
    /// A file that belongs to someone else, such as that of a checkpoint.
    pub fn new(path: String, file: Arc<dyn StorageFile>) -> Self {
        Self {
            path,
            file,
            directory: None,
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), StateError> {
        self.file
            .write_at(bytes, offset)
            .map_err(|source| self.error("spill state to", source))
    }

    /// Fills the buffer from `offset`.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), StateError> {
        let read = read_full_at(self.file.as_ref(), buffer, offset);
        let read = read.map_err(|source| self.error("read state from", source))?;
        if read < buffer.len() {
            return Err(StateError::corrupt(&self.path, "it is too short"));
        }
        Ok(())
    }

    fn error(&self, action: &'static str, source: io::Error) -> StateError {
        StateError::Storage {
            action,
            path: self.path.clone(),
            source,
        }
    }
}

impl Drop for StoredFile {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            // What cannot be removed goes with the directory.
            _ = directory.storage.remove(&self.path);
        }
    }
}

/// A directory of this process for state that does not fit into memory. It is made when the first file is. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SpillSpace(Arc<Space>);

struct Space {
    location: String,
    open: Box<dyn Fn() -> io::Result<Arc<dyn Storage>> + Send + Sync>,
    opened: Mutex<Option<Arc<Directory>>>,
    next_file: AtomicU64,
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Space({})", self.location)
    }
}

/// The directory, locked.
struct Directory {
    storage: Arc<dyn Storage>,
    path: String,
    _lock: Box<dyn StorageLock>,
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A later process removes what is left.
        _ = self.storage.remove_directory(&self.path);
    }
}

impl Directory {
    /// Takes a directory below the root of `storage`, and removes those that processes left behind that have ended.
    fn take(storage: Arc<dyn Storage>) -> io::Result<Self> {
        storage.create_directory("")?;
        for entry in storage.list("")?.iter().filter(|entry| entry.is_directory) {
            let is_ours = entry.name.parse::<u32>().is_ok();
            let lock = || storage.try_lock(&format!("{}/{LOCK_FILE}", entry.name));
            if is_ours && lock().is_ok() {
                storage.remove_directory(&entry.name)?;
            }
        }
        for number in 0..DIRECTORIES_TRIED {
            let path = number.to_string();
            storage.create_directory(&path)?;
            match storage.try_lock(&format!("{path}/{LOCK_FILE}")) {
                Ok(lock) => {
                    return Ok(Self {
                        storage,
                        path,
                        _lock: lock,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("too many processes use the directory"))
    }
}

impl SpillSpace {
    /// `location` names the directory in errors; `open` makes the storage when it is needed.
    pub fn new(
        location: &str,
        open: impl Fn() -> io::Result<Arc<dyn Storage>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Space {
            location: location.to_owned(),
            open: Box::new(open),
            opened: Mutex::new(None),
            next_file: AtomicU64::new(0),
        }))
    }

    fn directory(&self) -> io::Result<Arc<Directory>> {
        let mut opened = self.0.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = &*opened {
            return Ok(Arc::clone(directory));
        }
        let directory = Arc::new(Directory::take((self.0.open)()?)?);
        Ok(Arc::clone(opened.insert(directory)))
    }

    /// A new file, which lives as long as it is used.
    pub fn create(&self) -> Result<StoredFile, StateError> {
        let number = self.0.next_file.fetch_add(1, Relaxed);
        let create = || {
            let directory = self.directory()?;
            let path = format!("{}/{number}", directory.path);
            let file = directory.storage.open(&path, OpenMode::Truncate)?;
            Ok(StoredFile {
                path,
                file,
                directory: Some(directory),
            })
        };
        create().map_err(|source| StateError::Storage {
            action: "spill state to",
            path: self.0.location.clone(),
            source,
        })
    }
}

/// The memory that state may take, shared by the operators of a process.
#[derive(Debug, Default)]
pub struct MemoryPool {
    /// 0: no limit.
    limit_bytes: AtomicUsize,
    /// Bytes of operators that can move state to disk.
    movable_bytes: AtomicUsize,
    /// Bytes of all other operators, as of their last reports.
    fixed_bytes: AtomicUsize,
    shares: AtomicUsize,
}

static PROCESS_POOL: LazyLock<Arc<MemoryPool>> = LazyLock::new(Arc::default);

impl MemoryPool {
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes: AtomicUsize::new(limit_bytes),
            ..Self::default()
        }
    }

    /// The one of this process.
    pub fn of_process() -> Arc<Self> {
        Arc::clone(&PROCESS_POOL)
    }

    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes.load(Relaxed)
    }

    pub fn set_limit(&self, bytes: usize) {
        self.limit_bytes.store(bytes, Relaxed);
    }

    /// Takes note of the bytes of all operators, those with a share included.
    pub fn report_total(&self, bytes: usize) {
        let fixed = bytes.saturating_sub(self.movable_bytes.load(Relaxed));
        self.fixed_bytes.store(fixed, Relaxed);
    }
}

/// What an operator needs to move state to disk. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spill {
    pub space: SpillSpace,
    pub pool: Arc<MemoryPool>,
    /// The limit of the job (`millstream.memory.size`), which goes before that of the pool.
    pub limit_bytes: Option<usize>,
}

impl Spill {
    pub fn share(&self) -> MemoryShare {
        self.pool.shares.fetch_add(1, Relaxed);
        MemoryShare {
            pool: Arc::clone(&self.pool),
            limit_bytes: self.limit_bytes,
            held_bytes: 0,
        }
    }
}

/// What one operator instance holds of a pool; given back when it goes.
#[derive(Debug)]
pub struct MemoryShare {
    pool: Arc<MemoryPool>,
    limit_bytes: Option<usize>,
    held_bytes: usize,
}

impl MemoryShare {
    /// Reports the bytes that the instance holds. Returns how many of them must go to disk. Instances that hold more than
    /// an equal share make room, one eighth more than is needed, so that they are not asked again with the next batch.
    pub fn report(&mut self, bytes: usize) -> usize {
        let pool = &self.pool;
        pool.movable_bytes.fetch_add(bytes, Relaxed);
        let movable = pool.movable_bytes.fetch_sub(self.held_bytes, Relaxed) - self.held_bytes;
        self.held_bytes = bytes;
        let limit = self.limit_bytes.unwrap_or_else(|| pool.limit_bytes());
        if limit == 0 {
            return 0;
        }
        let available = (limit / 8 * SPILL_AT_EIGHTHS).saturating_sub(pool.fixed_bytes.load(Relaxed));
        let share = available / pool.shares.load(Relaxed).max(1);
        if movable <= available || bytes <= share {
            return 0;
        }
        (movable - available / 8 * 7).min(bytes - share / 8 * 7)
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.pool.movable_bytes.fetch_sub(self.held_bytes, Relaxed);
        self.pool.shares.fetch_sub(1, Relaxed);
    }
}
