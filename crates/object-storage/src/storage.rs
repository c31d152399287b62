//! [`Storage`] over the objects below a path of a bucket.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use millstream_types::storage::{
    DirectoryEntry, OpenMode, Storage, StorageFile, StorageLock, WriteContent, check_path,
};
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};

use crate::runtime::{Pending, start};

/// Bytes that are written in one request; larger objects are uploaded in parts of this size. S3 takes 10,000 of them.
const PART_BYTES: usize = 16 << 20;
/// Parts that are on their way at once.
const PARTS_IN_FLIGHT: usize = 3;
/// Bytes that are read at once; what is read next is mostly what comes next.
const WINDOW_BYTES: u64 = 4 << 20;

#[derive(Clone)]
pub(crate) struct ObjectStorage {
    store: Arc<dyn ObjectStore>,
    root: Path,
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectStorage({}/{})", self.store, self.root)
    }
}

impl ObjectStorage {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, root: Path) -> Self {
        Self { store, root }
    }

    fn resolve(&self, path: &str) -> io::Result<Path> {
        check_path(path)?;
        let separator = if self.root.as_ref().is_empty() || path.is_empty() {
            ""
        } else {
            "/"
        };
        // Not `Path::join`, which would escape the escapes in names.
        Path::parse(format!("{}{separator}{path}", self.root)).map_err(io::Error::other)
    }

    /// Sends a request and waits for its response.
    fn ask<T: Send + 'static, F>(&self, request: impl FnOnce(Arc<dyn ObjectStore>) -> F) -> io::Result<T>
    where
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        start(request(Arc::clone(&self.store)))?.wait()?.map_err(to_io)
    }

    /// Whether objects lie below the path.
    fn is_directory(&self, path: Path) -> io::Result<bool> {
        self.ask(|store| async move { Ok(store.list(Some(&path)).try_next().await?.is_some()) })
    }
}

fn to_io(error: Error) -> io::Error {
    let kind = match &error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::AlreadyExists { .. } | Error::Precondition { .. } => io::ErrorKind::AlreadyExists,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        Error::NotSupported { .. } | Error::NotImplemented { .. } => io::ErrorKind::Unsupported,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

fn unsupported(what: &str) -> io::Error {
    let message = format!("an object store cannot {what}");
    io::Error::new(io::ErrorKind::Unsupported, message)
}

impl Storage for ObjectStorage {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn StorageFile>> {
        if mode != OpenMode::Read {
            return Err(unsupported("write into an object"));
        }
        let path = self.resolve(path)?;
        let of = path.clone();
        let meta = self.ask(|store| async move { store.head(&of).await })?;
        Ok(Arc::new(ObjectFile {
            storage: self.clone(),
            path,
            length: meta.size,
            window: Mutex::default(),
        }))
    }

    fn create_directory(&self, path: &str) -> io::Result<()> {
        check_path(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirectoryEntry>> {
        let path = self.resolve(path)?;
        let listed = self.ask(|store| async move { store.list_with_delimiter(Some(&path)).await })?;
        let entry = |path: &Path, is_directory| {
            let name = path.filename()?.to_owned();
            Some(DirectoryEntry { name, is_directory })
        };
        let files = listed
            .objects
            .iter()
            .filter_map(|meta| entry(&meta.location, false));
        let directories = listed.common_prefixes.iter().filter_map(|path| entry(path, true));
        let mut entries: Vec<DirectoryEntry> = files.chain(directories).collect();
        entries.sort();
        Ok(entries)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        let path = self.resolve(path)?;
        let of = path.clone();
        match self.ask(|store| async move { store.head(&of).await }) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.is_directory(path),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Err(unsupported("rename an object"))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let path = self.resolve(path)?;
        self.ask(|store| async move { store.delete(&path).await })
    }

    fn remove_directory(&self, path: &str) -> io::Result<()> {
        let path = self.resolve(path)?;
        self.ask(|store| async move {
            let found = store.list(Some(&path)).map_ok(|meta| meta.location).boxed();
            let removed: Vec<Path> = store.delete_stream(found).try_collect().await?;
            drop(removed);
            Ok(())
        })
    }

    fn sync_directory(&self, path: &str) -> io::Result<()> {
        check_path(path)
    }

    fn try_lock(&self, _path: &str) -> io::Result<Box<dyn StorageLock>> {
        Err(unsupported("lock an object"))
    }

    fn replace(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let (path, content) = (self.resolve(path)?, PutPayload::from(content.to_vec()));
        self.ask(|store| async move { store.put(&path, content).await })?;
        Ok(())
    }

    fn publish(&self, path: &str, write: &mut WriteContent<'_>) -> io::Result<()> {
        let mut upload = Upload {
            storage: self,
            path: self.resolve(path)?,
            buffer: Vec::new(),
            parts: None,
        };
        match write(&mut |bytes| upload.write(bytes)) {
            Ok(()) => upload.complete(),
            Err(error) => {
                upload.abort();
                Err(error)
            }
        }
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// An object that is being written.
struct Upload<'a> {
    storage: &'a ObjectStorage,
    path: Path,
    buffer: Vec<u8>,
    parts: Option<Parts>,
}

/// One that is too large for a single request.
struct Parts {
    upload: Box<dyn MultipartUpload>,
    in_flight: VecDeque<Pending<object_store::Result<()>>>,
}

impl Parts {
    fn push(&mut self, part: Vec<u8>) -> io::Result<()> {
        while self.in_flight.len() >= PARTS_IN_FLIGHT {
            self.settle()?;
        }
        self.in_flight
            .push_back(start(self.upload.put_part(part.into()))?);
        Ok(())
    }

    /// Waits for the oldest part on its way.
    fn settle(&mut self) -> io::Result<()> {
        match self.in_flight.pop_front() {
            Some(part) => part.wait()?.map_err(to_io),
            None => Ok(()),
        }
    }
}

impl Upload<'_> {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.buffer.len() == PART_BYTES {
                self.flush()?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(PART_BYTES - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let part = std::mem::take(&mut self.buffer);
        let parts = match &mut self.parts {
            Some(parts) => parts,
            None => {
                let path = self.path.clone();
                let upload = self
                    .storage
                    .ask(|store| async move { store.put_multipart(&path).await })?;
                self.parts.insert(Parts {
                    upload,
                    in_flight: VecDeque::new(),
                })
            }
        };
        parts.push(part)
    }

    fn complete(mut self) -> io::Result<()> {
        if self.parts.is_none() {
            let (path, content) = (self.path, PutPayload::from(self.buffer));
            self.storage
                .ask(|store| async move { store.put(&path, content).await })?;
            return Ok(());
        }
        if let Err(error) = self.complete_parts() {
            self.abort();
            return Err(error);
        }
        Ok(())
    }

    fn complete_parts(&mut self) -> io::Result<()> {
        self.flush()?;
        let Some(mut parts) = self.parts.take() else {
            return Ok(());
        };
        while !parts.in_flight.is_empty() {
            if let Err(error) = parts.settle() {
                self.parts = Some(parts);
                return Err(error);
            }
        }
        let (completed, upload) =
            start(async move { (parts.upload.complete().await, parts.upload) })?.wait()?;
        if completed.is_err() {
            self.parts = Some(Parts {
                upload,
                in_flight: VecDeque::new(),
            });
        }
        completed.map(|_| ()).map_err(to_io)
    }

    /// Aborts the upload, so that its parts are not paid for. If that fails, the bucket's own rule for incomplete uploads
    /// removes them.
    fn abort(self) {
        let Some(mut parts) = self.parts else { return };
        while !parts.in_flight.is_empty() {
            _ = parts.settle();
        }
        _ = start(async move { parts.upload.abort().await }).and_then(Pending::wait);
    }
}

/// An object to read.
#[derive(Debug)]
struct ObjectFile {
    storage: ObjectStorage,
    path: Path,
    length: u64,
    /// What was read last, and where it starts.
    window: Mutex<(u64, Bytes)>,
}

impl ObjectFile {
    fn load(&self, range: Range<u64>) -> io::Result<Bytes> {
        let path = self.path.clone();
        self.storage
            .ask(|store| async move { store.get_range(&path, range).await })
    }
}

impl StorageFile for ObjectFile {
    fn write_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
        Err(unsupported("write into an object"))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.length || buffer.is_empty() {
            return Ok(0);
        }
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let is_inside = offset >= window.0 && offset < window.0 + window.1.len() as u64;
        if !is_inside {
            let end = offset.saturating_add(WINDOW_BYTES.max(buffer.len() as u64));
            let loaded = self.load(offset..end.min(self.length))?;
            if loaded.is_empty() {
                return Ok(0);
            }
            *window = (offset, loaded);
        }
        let there = &window.1[(offset - window.0) as usize..];
        let length = there.len().min(buffer.len());
        buffer[..length].copy_from_slice(&there[..length]);
        Ok(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(unsupported("write into an object"))
    }
}

#[cfg(test)]
mod tests {
    use millstream_types::storage::read_full_at;
    use object_store::memory::InMemory;

    use super::*;

    fn storage() -> ObjectStorage {
        ObjectStorage::new(Arc::new(InMemory::new()), Path::from("a/root"))
    }

    /// Content of which every place can be told apart.
    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
    }

    fn publish(storage: &ObjectStorage, path: &str, content: &[u8]) -> io::Result<()> {
        storage.publish(path, &mut |write| {
            content.chunks(3 << 20).try_for_each(&mut *write)
        })
    }

    #[test]
    fn objects_are_written_whole_and_read_in_parts() {
        let storage = storage();
        for length in [0, 100, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 77] {
            let content = content(length);
            publish(&storage, "jobs/orders/1", &content).unwrap();
            assert_eq!(storage.read("jobs/orders/1").unwrap(), content, "{length}");
            let file = storage.open("jobs/orders/1", OpenMode::Read).unwrap();
            let places = [0, 5, length / 2, length.saturating_sub(24), 1, length];
            for offset in places.into_iter().filter(|offset| *offset <= length) {
                let mut buffer = [0; 64];
                let read = read_full_at(file.as_ref(), &mut buffer, offset as u64).unwrap();
                assert_eq!(
                    buffer[..read],
                    content[offset..length.min(offset + 64)],
                    "{offset}"
                );
            }
        }
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let storage = storage();
        for length in [10, 2 * PART_BYTES] {
            let failed = storage.publish("jobs/orders/1", &mut |write| {
                write(&content(length))?;
                Err(io::Error::other("the block is damaged"))
            });
            assert_eq!(failed.unwrap_err().to_string(), "the block is damaged");
            assert!(!storage.exists("jobs/orders/1").unwrap());
        }
    }

    #[test]
    fn directories_are_what_names_have_in_common() {
        let storage = storage();
        for path in ["jobs/orders/2", "jobs/orders/1", "jobs/users%231/1", "locks"] {
            publish(&storage, path, b"x").unwrap();
        }
        let names = |path: &str| -> Vec<String> {
            let entries = storage.list(path).unwrap();
            entries
                .iter()
                .map(|entry| format!("{}{}", entry.name, if entry.is_directory { "/" } else { "" }))
                .collect()
        };
        assert_eq!(names(""), ["jobs/", "locks"]);
        assert_eq!(names("jobs"), ["orders/", "users%231/"]);
        assert_eq!(names("jobs/orders"), ["1", "2"]);
        assert!(names("elsewhere").is_empty());
        assert!(storage.exists("jobs/orders").unwrap() && !storage.exists("jobs/ord").unwrap());
        storage.remove("jobs/orders/1").unwrap();
        storage.remove_directory("jobs/users%231").unwrap();
        storage.remove_directory("jobs/users%231").unwrap();
        assert_eq!(names("jobs"), ["orders/"]);
        storage.replace("owner", b"first").unwrap();
        storage.replace("owner", b"second").unwrap();
        assert_eq!(storage.read("owner").unwrap(), b"second");
        let missing = storage.read("jobs/users/1").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let outside = storage.open("../other", OpenMode::Read).unwrap_err();
        assert_eq!(outside.kind(), io::ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn callers_may_be_asynchronous() {
        let storage = storage();
        publish(&storage, "a", b"x").unwrap();
        assert_eq!(storage.read("a").unwrap(), b"x");
    }
}
