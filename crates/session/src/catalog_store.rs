//! A catalog that outlives its sessions: the statements that made it, as lines of one file.
//!
//! A change is appended and synced before the result of its statement. Sessions apply the lines that they have not seen
//! before each statement, so those of one server and those of other processes on the file see the same catalog. A change
//! holds a lock from the look at the newest lines to the end of its own, so that two sessions cannot both create a table.
//! Temporary objects, the current database and modules belong to a session and are not kept.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use millstream_types::storage::{OpenMode, OsStorage, Storage, StorageFile, StorageLock, read_full_at};
use millstream_types::{ErrorKind, OptionDecl, OptionType, Options};
use serde_json::{Value, json};

use crate::error::SessionError;

pub(crate) const KIND: &str = "table.catalog-store.kind";
pub(crate) const PATH: &str = "table.catalog-store.file.path";
/// Configuration keys of the store, Flink's.
pub(crate) const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        KIND,
        OptionType::Enum(&["generic_in_memory", "file"]),
        "Where catalogs, databases, tables, views and functions are kept: file keeps them for later sessions. The shell \
         does so unless this is set.",
    )
    .with_default("generic_in_memory"),
    OptionDecl::new(
        PATH,
        OptionType::String,
        "Directory of the catalog store; `catalog` of the data directory unless set.",
    ),
];

/// Below the data directory.
const DIRECTORY: &str = "catalog";
const FILE: &str = "statements.jsonl";
const LOCK: &str = "lock";
/// Bytes of a kept catalog; a change that would exceed it is rejected.
const CATALOG_STORE_BYTES_MAX: u64 = 64 << 20;
/// How long a change waits for one of another process.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// A statement that changed the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CatalogChange {
    pub statement: String,
    /// Those that were current, by which the statement's names are resolved.
    pub catalog: String,
    pub database: String,
}

/// The kept catalog of a directory. Sessions share it.
#[derive(Debug)]
pub struct CatalogStore {
    directory: PathBuf,
    storage: OnceLock<OsStorage>,
    known: Mutex<Known>,
    /// Held by the session that makes a change.
    changing: Mutex<()>,
}

/// What was read of the file.
#[derive(Debug, Default)]
struct Known {
    changes: Vec<Arc<CatalogChange>>,
    bytes: u64,
}

/// The right to change the catalog.
pub(crate) struct Changing<'a> {
    store: &'a CatalogStore,
    _here: MutexGuard<'a, ()>,
    _elsewhere: Box<dyn StorageLock>,
}

impl CatalogStore {
    /// The directory is made with the first change.
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            storage: OnceLock::new(),
            known: Mutex::default(),
            changing: Mutex::default(),
        }
    }

    /// The store that the configuration asks for, if it does; `by_default`: also without a word on it.
    pub fn configured(options: &Options, data_dir: &Path, by_default: bool) -> Option<Arc<Self>> {
        let is_file = options
            .get(KIND)
            .map_or(by_default, |kind| kind.trim().eq_ignore_ascii_case("file"));
        let directory = options.get(PATH).map(|path| {
            let path = path.trim();
            PathBuf::from(path.strip_prefix("file://").unwrap_or(path))
        });
        let directory = directory.unwrap_or_else(|| data_dir.join(DIRECTORY));
        is_file.then(|| Arc::new(Self::new(directory)))
    }

    /// Changes from this position on.
    pub(crate) fn since(&self, position: usize) -> Result<Vec<Arc<CatalogChange>>, SessionError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.read_on(&mut known)
            .map_err(|error| self.failed("read", &error))?;
        Ok(known.changes.get(position..).unwrap_or_default().to_vec())
    }

    /// Keeps other sessions and processes from changing the catalog.
    pub(crate) fn begin(&self) -> Result<Changing<'_>, SessionError> {
        let here = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let storage = self.storage().map_err(|error| self.failed("change", &error))?;
        let mut waited = Duration::ZERO;
        let elsewhere = loop {
            match storage.try_lock(LOCK) {
                Ok(lock) => break lock,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && waited < LOCK_PATIENCE => {
                    std::thread::park_timeout(LOCK_PAUSE);
                    waited += LOCK_PAUSE;
                }
                Err(error) => return Err(self.failed("change", &error)),
            }
        };
        Ok(Changing {
            store: self,
            _here: here,
            _elsewhere: elsewhere,
        })
    }

    fn storage(&self) -> io::Result<&OsStorage> {
        if let Some(storage) = self.storage.get() {
            return Ok(storage);
        }
        let opened = OsStorage::open(&self.directory)?;
        Ok(self.storage.get_or_init(|| opened))
    }

    fn failed(&self, what: &str, error: &io::Error) -> SessionError {
        let directory = self.directory.display();
        let message = format!("cannot {what} the catalog store in '{directory}': {error}");
        SessionError::new(ErrorKind::Environment, message)
    }

    /// Reads the lines that were added since the last look. The last line has no end while it is being written, or for
    /// ever if that was interrupted; it does not count.
    fn read_on(&self, known: &mut Known) -> io::Result<()> {
        if self.storage.get().is_none() && !self.directory.join(FILE).exists() {
            return Ok(());
        }
        let storage = self.storage()?;
        let file = match storage.open(FILE, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let length = file.len()?;
        if length <= known.bytes {
            return Ok(());
        }
        let new = usize::try_from(length - known.bytes).map_err(io::Error::other)?;
        let mut bytes = vec![0; new];
        let read = read_full_at(file.as_ref(), &mut bytes, known.bytes)?;
        let Some(end) = bytes[..read].iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        for line in bytes[..end].split(|byte| *byte == b'\n') {
            match parse(line) {
                Some(change) => known.changes.push(Arc::new(change)),
                None => tracing::error!(
                    path = %self.directory.join(FILE).display(),
                    "a line of the catalog store cannot be read and is passed over"
                ),
            }
        }
        known.bytes += end as u64 + 1;
        Ok(())
    }
}

impl Changing<'_> {
    /// Appends a change; it is durable when this returns. Gives the position behind it.
    pub(crate) fn append(&self, change: CatalogChange) -> Result<usize, SessionError> {
        let store = self.store;
        let mut known = store.known.lock().unwrap_or_else(PoisonError::into_inner);
        let line = line(&change);
        if known.bytes + line.len() as u64 > CATALOG_STORE_BYTES_MAX {
            return Err(SessionError::new(
                ErrorKind::Environment,
                format!(
                    "the catalog store in '{}' has reached {CATALOG_STORE_BYTES_MAX} bytes; start a new one with '{PATH}'",
                    store.directory.display()
                ),
            ));
        }
        let written = || -> io::Result<()> {
            let storage = store.storage()?;
            let file = storage.open(FILE, OpenMode::Create)?;
            // What an interrupted change has left behind goes.
            file.set_len(known.bytes)?;
            file.write_at(line.as_bytes(), known.bytes)?;
            file.sync_data()?;
            storage.sync_directory("")
        };
        if let Err(error) = written() {
            _ = self.cut(known.bytes);
            return Err(store.failed("write", &error));
        }
        known.bytes += line.len() as u64;
        known.changes.push(Arc::new(change));
        Ok(known.changes.len())
    }

    /// Removes a line that is not whole, or whose statement fails.
    fn cut(&self, bytes: u64) -> io::Result<()> {
        let file: Arc<dyn StorageFile> = self.store.storage()?.open(FILE, OpenMode::Write)?;
        file.set_len(bytes)
    }
}

fn line(change: &CatalogChange) -> String {
    let value = json!({
        "catalog": change.catalog,
        "database": change.database,
        "statement": change.statement,
    });
    format!("{value}\n")
}

fn parse(line: &[u8]) -> Option<CatalogChange> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(CatalogChange {
        statement: text("statement")?,
        catalog: text("catalog")?,
        database: text("database")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(statement: &str) -> CatalogChange {
        CatalogChange {
            statement: statement.to_owned(),
            catalog: "c".to_owned(),
            database: "d".to_owned(),
        }
    }

    #[test]
    fn changes_are_seen_by_others_and_half_a_line_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog");
        let (first, second) = (CatalogStore::new(path.clone()), CatalogStore::new(path.clone()));
        assert!(first.since(0).unwrap().is_empty() && !path.exists());
        first.begin().unwrap().append(change("a\nb")).unwrap();
        assert_eq!(*second.since(0).unwrap()[0], change("a\nb"));
        let file = path.join(FILE);
        let mut text = std::fs::read_to_string(&file).unwrap();
        text.push_str("{\"catalog\": \"c\", \"data");
        std::fs::write(&file, text).unwrap();
        assert!(second.since(1).unwrap().is_empty());
        assert_eq!(second.begin().unwrap().append(change("c")).unwrap(), 2);
        let again = CatalogStore::new(path);
        let statements: Vec<String> = again
            .since(0)
            .unwrap()
            .iter()
            .map(|c| c.statement.clone())
            .collect();
        assert_eq!(statements, ["a\nb", "c"]);
        assert_eq!(first.since(1).unwrap().len(), 1);
    }

    #[test]
    fn one_change_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(CatalogStore::new(directory.path().to_owned()));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let store = Arc::clone(&store);
                std::thread::spawn(move || {
                    for number in 0..5 {
                        let changing = store.begin().unwrap();
                        changing.append(change(&format!("{writer}.{number}"))).unwrap();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let again = CatalogStore::new(directory.path().to_owned());
        assert_eq!(again.since(0).unwrap().len(), 20);
    }
}
