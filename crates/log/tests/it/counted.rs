//! A storage that counts the bytes that are read, and can block the opening of a file.

use millstream_testkit::storage::MemStorage;
use millstream_types::storage::{DirectoryEntry, OpenMode, Storage, StorageFile, StorageLock};
use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

/// A storage in memory, with the bytes that were read of each file.
#[derive(Debug)]
pub struct Counted {
    storage: MemStorage,
    read: Counts,
    held: Mutex<Option<Held>>,
}

/// A file whose opening blocks until it is released.
#[derive(Debug)]
struct Held {
    path: String,
    has_come: Sender<()>,
    may_go: Receiver<()>,
}

/// How long opening blocks without a release: then the test has failed.
const HELD_MAX: Duration = Duration::from_secs(30);

impl Counted {
    pub fn new(storage: &MemStorage) -> Arc<Self> {
        Arc::new(Counted {
            storage: storage.clone(),
            read: Counts::default(),
            held: Mutex::default(),
        })
    }

    /// Blocks the next open of a file for reading. Returns when that happens, and a way to release it.
    pub fn hold(&self, path: &str) -> (Receiver<()>, Sender<()>) {
        let ((has_come, comes), (go, may_go)) = (channel(), channel());
        *self.held.lock().unwrap() = Some(Held {
            path: path.to_owned(),
            has_come,
            may_go,
        });
        (comes, go)
    }

    /// The bytes that were read of a file.
    pub fn bytes_read(&self, path: &str) -> u64 {
        self.read.lock().unwrap().get(path).copied().unwrap_or(0)
    }
}

impl Storage for Counted {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn StorageFile>> {
        let is_meant = |held: &mut Held| held.path == path && mode == OpenMode::Read;
        let held = self.held.lock().unwrap().take_if(is_meant);
        if let Some(held) = held {
            held.has_come.send(()).unwrap();
            held.may_go.recv_timeout(HELD_MAX).expect("released in time");
        }
        Ok(Arc::new(CountedFile {
            file: self.storage.open(path, mode)?,
            path: path.to_owned(),
            read: self.read.clone(),
        }))
    }
    fn create_directory(&self, path: &str) -> io::Result<()> {
        self.storage.create_directory(path)
    }
    fn list(&self, path: &str) -> io::Result<Vec<DirectoryEntry>> {
        self.storage.list(path)
    }
    fn exists(&self, path: &str) -> io::Result<bool> {
        self.storage.exists(path)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.storage.rename(from, to)
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        self.storage.remove(path)
    }
    fn remove_directory(&self, path: &str) -> io::Result<()> {
        self.storage.remove_directory(path)
    }
    fn sync_directory(&self, path: &str) -> io::Result<()> {
        self.storage.sync_directory(path)
    }
    fn try_lock(&self, path: &str) -> io::Result<Box<dyn StorageLock>> {
        self.storage.try_lock(path)
    }
}

#[derive(Debug)]
struct CountedFile {
    file: Arc<dyn StorageFile>,
    path: String,
    read: Counts,
}

impl StorageFile for CountedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset)?;
        *self.read.lock().unwrap().entry(self.path.clone()).or_default() += read as u64;
        Ok(read)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
