//! Durable bytes: files and directories below one root, reached by relative path.
//!
//! Everything that must survive a crash (broker logs, checkpoints, the job store) writes through [`Storage`], so that
//! the simulator can tear writes, fail an fsync, fill the disk or lose unsynced bytes, and so that only [`OsStorage`]
//! names `std::fs`. It is not a virtual file system: no permissions, links, or streaming reads.
//!
//! Paths are relative, separated by `/`, without `.`, `..` or empty parts; others fail with `InvalidInput`.

#[cfg(target_os = "linux")]
mod direct;
mod handles;
mod private;

use crate::failpoint;
use crate::limits::SYNC_THREADS;
use handles::with_handle;
use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// How [`Storage::open`] treats a file that is there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// The file must exist; writing through the handle is an error.
    Read,
    /// The file must exist.
    Write,
    /// The file is made if it is missing; its content is kept otherwise.
    Create,
    /// The file is made if it is missing; its content is dropped otherwise.
    Truncate,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirectoryEntry {
    /// The last part of the path.
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
}

/// Files and directories below one root.
///
/// Contracts (unchecked unless an implementation says otherwise):
/// - every handle reads the bytes of `write_at` at once, but they survive a crash only after `sync_data`;
/// - a created, renamed or removed name survives a crash only after `sync_directory` of its parent;
/// - `rename` replaces its target atomically;
/// - after a failed `sync_data` the state of the unsynced bytes is unknown: callers must not retry and trust the
///   result.
pub trait Storage: Send + Sync + fmt::Debug {
    /// Opens a file.
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn StorageFile>>;
    /// Makes a directory and its missing parents; no error if it is there.
    fn create_directory(&self, path: &str) -> io::Result<()>;
    /// The entries of a directory, sorted by name.
    fn list(&self, path: &str) -> io::Result<Vec<DirectoryEntry>>;
    /// Whether a file or directory of this path exists.
    fn exists(&self, path: &str) -> io::Result<bool>;
    /// Renames a file or a directory, replacing a file of the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; an error of kind `NotFound` if it is not there.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Removes a directory with its content; a missing one is not an error.
    fn remove_directory(&self, path: &str) -> io::Result<()>;
    /// Makes the names in a directory durable (`""` is the root).
    fn sync_directory(&self, path: &str) -> io::Result<()>;
    /// Makes all writes to the files durable, in any order or concurrently.
    fn sync_all(&self, files: &[Arc<dyn StorageFile>]) -> io::Result<()> {
        files.iter().try_for_each(|file| file.sync_data())
    }
    /// Takes an exclusive lock on a file, which is created if missing. Dropping the returned value releases it. The
    /// error kind is `WouldBlock` if another process holds the lock.
    fn try_lock(&self, path: &str) -> io::Result<Box<dyn StorageLock>>;

    /// Reads a whole file.
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut content = vec![0; len];
        let read = read_full_at(file.as_ref(), &mut content, 0)?;
        content.truncate(read);
        Ok(content)
    }

    /// Replaces a file so that after a crash either the old or the new content is there: written beside, synced,
    /// renamed, directory synced.
    fn replace(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let beside = format!("{path}.tmp");
        let file = self.open(&beside, OpenMode::Truncate)?;
        file.write_at(content, 0)?;
        file.sync_data()?;
        self.rename(&beside, path)?;
        self.sync_directory(parent(path))
    }

    /// Writes a file that appears under its name only when it is whole and durable. `write` gets a function that takes
    /// the bytes in order; if it fails, there is no file.
    fn publish(&self, path: &str, write: &mut WriteContent<'_>) -> io::Result<()> {
        let beside = format!("{path}.tmp");
        let file = self.open(&beside, OpenMode::Truncate)?;
        let mut offset = 0;
        write(&mut |bytes| {
            file.write_at(bytes, offset)?;
            offset += bytes.len() as u64;
            Ok(())
        })?;
        file.sync_data()?;
        failpoint::hit("checkpoint-written");
        self.rename(&beside, path)?;
        failpoint::hit("checkpoint-renamed");
        self.sync_directory(parent(path))
    }

    /// Whether other machines write here as well, which a lock of this one's operating system does not exclude.
    fn is_shared(&self) -> bool {
        false
    }
}

/// Writes the content of a file, piece by piece, with the function that it is given.
pub type WriteContent<'a> = dyn FnMut(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> + 'a;

/// Alignment of direct IO: the addresses in memory, the positions in files and the lengths of writes must be multiples
/// of this, the largest block size of common disks.
pub const DIRECT_ALIGNMENT: usize = 4096;

/// An open file; positions are explicit, so handles may be shared among threads.
pub trait StorageFile: Send + Sync + fmt::Debug {
    /// Writes all of `bytes` at `offset`, extending the file if needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Makes everything written durable, the file's length included.
    fn sync_data(&self) -> io::Result<()>;
    /// Writes like [`Self::write_at`] and makes these bytes durable, with the length that they need. Cheapest if their
    /// place in memory and in the file and their number are multiples of [`DIRECT_ALIGNMENT`].
    fn write_durable_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_at(bytes, offset)?;
        self.sync_data()
    }
    /// Like [`Self::write_at`], for bytes that will hardly be read soon: bypasses the page cache if the alignment
    /// allows it, which leaves memory to other files.
    fn write_cold_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_at(bytes, offset)
    }
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

/// An exclusive lock, released on drop.
pub trait StorageLock: Send + Sync + fmt::Debug {}

/// Reads until `buffer` is full or the file ends; returns the number of bytes read.
pub fn read_full_at(file: &dyn StorageFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The directory part of a path, `""` for a name in the root.
pub fn parent(path: &str) -> &str {
    path.rfind('/').map_or("", |slash| &path[..slash])
}

/// Checks the form of a relative path; every implementation calls it.
pub fn check_path(path: &str) -> io::Result<()> {
    let well_formed = path.is_empty()
        || Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
            && !path.contains("//")
            && !path.ends_with('/')
            && !path.contains("/./")
            && !path.ends_with("/.");
    if well_formed {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("storage path '{path}' is not relative and plain"),
    ))
}

/// [`Storage`] over a directory of the operating system. What it makes belongs to the user of the process alone: files hold
/// records, passwords of clusters and state. Existing files and directories keep their permissions.
#[derive(Debug, Clone)]
pub struct OsStorage {
    root: PathBuf,
}

impl OsStorage {
    /// Uses `root`, which is made if it is missing.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        private::create_directories(&root)?;
        Ok(Self { root })
    }

    /// The directory that all paths are relative to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn resolve(&self, path: &str) -> io::Result<PathBuf> {
        check_path(path)?;
        Ok(self.root.join(path))
    }
}

impl Storage for OsStorage {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = private::options();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => _ = options.write(true),
            OpenMode::Create => _ = options.write(true).create(true).truncate(false),
            OpenMode::Truncate => _ = options.write(true).create(true).truncate(true),
        }
        let path = self.resolve(path)?;
        let file = with_handle(|| options.open(&path)).map_err(|error| full(error, &path))?;
        Ok(Arc::new(OsFile {
            file,
            path,
            #[cfg(target_os = "linux")]
            direct: (mode != OpenMode::Read).then(direct::Direct::default),
        }))
    }

    fn create_directory(&self, path: &str) -> io::Result<()> {
        private::create_directories(&self.resolve(path)?)
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirectoryEntry>> {
        let mut entries = Vec::new();
        let path = self.resolve(path)?;
        for entry in with_handle(|| std::fs::read_dir(&path))? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(DirectoryEntry {
                    name,
                    is_directory: entry.file_type()?.is_dir(),
                });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.resolve(path)?.try_exists()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.resolve(from)?, self.resolve(to)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        std::fs::remove_file(self.resolve(path)?)
    }

    fn remove_directory(&self, path: &str) -> io::Result<()> {
        let path = self.resolve(path)?;
        match with_handle(|| std::fs::remove_dir_all(&path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn sync_directory(&self, path: &str) -> io::Result<()> {
        let path = self.resolve(path)?;
        if cfg!(windows) {
            return Ok(()); // Windows has no handle to sync a directory by; NTFS journals names itself.
        }
        with_handle(|| File::open(&path))?.sync_all()
    }

    /// Syncs on several threads, because file systems and disks combine concurrent syncs. 16 files of 144 KiB on ext4
    /// take 60 to 76 ms one after the other, and 12 to 18 ms together.
    fn sync_all(&self, files: &[Arc<dyn StorageFile>]) -> io::Result<()> {
        let sync = |files: &[Arc<dyn StorageFile>]| files.iter().try_for_each(|file| file.sync_data());
        let mut shares = files.chunks(files.len().div_ceil(SYNC_THREADS).max(1));
        let own = shares.next().unwrap_or_default();
        std::thread::scope(|scope| {
            let start = |share| {
                let thread = std::thread::Builder::new().name("sync".into());
                (share, thread.spawn_scoped(scope, move || sync(share)))
            };
            let started: Vec<_> = shares.map(start).collect();
            let mut result = sync(own);
            for (share, thread) in started {
                let synced = match thread.map(|thread| thread.join()) {
                    Ok(Ok(synced)) => synced,
                    Ok(Err(_)) => Err(io::Error::other("the thread that synced a file has ended")),
                    // No thread could be started.
                    Err(_) => sync(share),
                };
                result = result.and(synced);
            }
            result
        })
    }

    fn try_lock(&self, path: &str) -> io::Result<Box<dyn StorageLock>> {
        let mut options = private::options();
        options.read(true).write(true).create(true).truncate(false);
        let path = self.resolve(path)?;
        let file = with_handle(|| options.open(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(OsLock { _file: file })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The error with the path and the remedy, if the disk or its quota is full.
fn full(error: io::Error, path: &Path) -> io::Error {
    match error.kind() {
        kind @ (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            let path = path.display();
            io::Error::new(
                kind,
                format!("the disk of '{path}' is full ({error}); free some space and start again"),
            )
        }
        _ => error,
    }
}

#[derive(Debug)]
struct OsFile {
    file: File,
    path: PathBuf,
    #[cfg(target_os = "linux")]
    direct: Option<direct::Direct>,
}

#[cfg(target_os = "linux")]
impl OsFile {
    /// A write with direct IO; `None` if it is not possible, and nothing was done.
    fn past_cache(
        &self,
        write: impl FnOnce(&direct::Direct, &File) -> Option<io::Result<()>>,
    ) -> Option<io::Result<()>> {
        let result = write(self.direct.as_ref()?, &self.file)?;
        Some(result.map_err(|error| full(error, &self.path)))
    }
}

impl StorageFile for OsFile {
    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, offset)
            .map_err(|error| full(error, &self.path))
    }

    #[cfg(windows)]
    fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::os::windows::fs::FileExt::seek_write(&self.file, bytes, offset)
                .map_err(|error| full(error, &self.path))?;
            bytes = &bytes[written..];
            offset += written as u64;
        }
        Ok(())
    }

    #[cfg(unix)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, buffer, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.file, buffer, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().map_err(|error| full(error, &self.path))
    }

    #[cfg(target_os = "linux")]
    fn write_durable_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.past_cache(|direct, file| direct.write_durable(file, bytes, offset))
            .unwrap_or_else(|| self.write_at(bytes, offset).and_then(|()| self.sync_data()))
    }

    #[cfg(target_os = "linux")]
    fn write_cold_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.past_cache(|direct, file| direct.write_cold(file, bytes, offset))
            .unwrap_or_else(|| self.write_at(bytes, offset))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len).map_err(|error| full(error, &self.path))
    }
}

#[derive(Debug)]
struct OsLock {
    _file: File,
}

impl StorageLock for OsLock {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn paths_that_leave_the_root_are_refused() {
        for path in ["/etc/passwd", "../up", "a/../b", "a//b", "a/", "./a", "a/."] {
            assert_eq!(
                check_path(path).unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{path}"
            );
        }
        for path in ["", "a", "a/b", "a/b.log", "..a"] {
            check_path(path).unwrap();
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_named() {
        // The kernel's own full disk.
        let storage = OsStorage::open("/dev").unwrap();
        let file = storage.open("full", OpenMode::Write).unwrap();
        let error = file.write_at(b"x", 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let text = error.to_string();
        assert!(
            text.contains("'/dev/full' is full") && text.contains("free some space"),
            "{text}"
        );
    }

    /// A file that counts its syncs; of some the sync fails.
    #[derive(Debug, Default)]
    struct Synced {
        times: AtomicUsize,
        fails: bool,
    }

    impl StorageFile for Synced {
        fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            Ok(())
        }

        fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
            Ok(0)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.times.fetch_add(1, Ordering::Relaxed);
            if self.fails {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(())
            }
        }

        fn len(&self) -> io::Result<u64> {
            Ok(0)
        }

        fn set_len(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_file_is_synced_once_and_no_error_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let storage = OsStorage::open(directory.path()).unwrap();
        for count in [0, 1, 2, SYNC_THREADS, SYNC_THREADS + 1, 3 * SYNC_THREADS - 1] {
            for failing in (0..count).map(Some).chain([None]) {
                let file = |at| Synced {
                    fails: Some(at) == failing,
                    ..Default::default()
                };
                let files: Vec<_> = (0..count).map(|at| Arc::new(file(at))).collect();
                let shared: Vec<_> = files
                    .iter()
                    .map(|file| file.clone() as Arc<dyn StorageFile>)
                    .collect();
                let result = storage.sync_all(&shared).map_err(|error| error.kind());
                match failing {
                    Some(_) => assert_eq!(result, Err(io::ErrorKind::StorageFull)),
                    None => {
                        let times = files.iter().map(|file| file.times.load(Ordering::Relaxed));
                        assert_eq!((result, times.collect::<Vec<_>>()), (Ok(()), vec![1; count]));
                    }
                }
            }
        }
    }

    #[test]
    fn every_way_to_write_gives_the_same_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let storage = OsStorage::open(directory.path()).unwrap();
        let file = storage.open("file", OpenMode::Truncate).unwrap();
        let data: Vec<u8> = (0..5 * DIRECT_ALIGNMENT).map(|at| (at % 251) as u8).collect();
        let start = data.as_ptr().align_offset(DIRECT_ALIGNMENT);
        let aligned = &data[start..start + 2 * DIRECT_ALIGNMENT];
        let odd = &data[start + 1..start + 1 + DIRECT_ALIGNMENT];
        let mut expected = Vec::new();
        for (nth, bytes) in [
            aligned,
            aligned,
            odd,
            odd,
            &data[..7],
            &data[..7],
            aligned,
            aligned,
        ]
        .into_iter()
        .enumerate()
        {
            let offset = expected.len() as u64;
            match nth % 2 {
                0 => file.write_durable_at(bytes, offset).unwrap(),
                _ => file.write_cold_at(bytes, offset).unwrap(),
            }
            expected.extend_from_slice(bytes);
            assert_eq!(storage.read("file").unwrap(), expected, "write {nth}");
        }
        file.sync_data().unwrap();
        assert_eq!(file.len().unwrap(), expected.len() as u64);
        let reader = storage.open("file", OpenMode::Read).unwrap();
        assert!(reader.write_durable_at(aligned, 0).is_err());
        assert_eq!(storage.read("file").unwrap(), expected);
    }

    #[test]
    fn parent_of_a_path() {
        assert_eq!(parent("a/b/c"), "a/b");
        assert_eq!(parent("a"), "");
    }
}
