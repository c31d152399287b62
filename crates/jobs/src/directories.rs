//! Directories named by options, for checkpoints and savepoints.

use std::path::Path;
use std::sync::Arc;

use millstream_dataflow::DataflowError;
use millstream_object_storage::{LocationError, is_object_store};
use millstream_state::SAVEPOINT_FILE;
use millstream_types::error::with_causes;
use millstream_types::storage::{OsStorage, Storage};
use millstream_types::{ErrorKind, Options};

/// Opens a directory for writing: a path or `file:` URI, which is created if necessary, or the URL of an object store.
pub fn open_directory(location: &str, stores: &Options) -> Result<Arc<dyn Storage>, DataflowError> {
    if is_object_store(location) {
        return millstream_object_storage::open(location, stores).map_err(cannot_open);
    }
    match OsStorage::open(local_path(location)?) {
        Ok(storage) => Ok(Arc::new(storage)),
        Err(error) => {
            let message = format!("cannot use the directory '{location}': {error}");
            Err(DataflowError::new(ErrorKind::Environment, message))
        }
    }
}

/// Opens the directory of a savepoint, which must be there.
pub fn open_savepoint(location: &str, stores: &Options) -> Result<Arc<dyn Storage>, DataflowError> {
    let missing = || {
        let message = format!("savepoint '{location}' does not exist, or is not a directory");
        DataflowError::new(ErrorKind::Input, message)
    };
    if !is_object_store(location) && !Path::new(local_path(location)?).is_dir() {
        return Err(missing());
    }
    let storage = open_directory(location, stores)?;
    if !storage.is_shared() {
        return Ok(storage);
    }
    // An object store has no directories: what is not there opens as well.
    match storage.exists(SAVEPOINT_FILE) {
        Ok(true) => Ok(storage),
        Ok(false) => Err(missing()),
        Err(error) => {
            let message = format!("savepoint '{location}' cannot be read: {}", with_causes(&error));
            Err(DataflowError::new(ErrorKind::Environment, message))
        }
    }
}

fn cannot_open(error: LocationError) -> DataflowError {
    let kind = match &error {
        LocationError::Scheme { .. } => ErrorKind::Unsupported,
        LocationError::Bucket { .. } | LocationError::Setting { .. } => ErrorKind::Input,
        LocationError::Store { .. } => ErrorKind::Environment,
    };
    DataflowError::new(kind, with_causes(&error))
}

/// The path in a location.
fn local_path(location: &str) -> Result<&str, DataflowError> {
    let path = match location.strip_prefix("file:") {
        Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
        None => location,
    };
    if path.is_empty() {
        let message = format!("the location '{location}' names no directory");
        return Err(DataflowError::new(ErrorKind::Input, message));
    }
    Ok(path)
}

/// Appends a name to a directory's location.
pub fn join(location: &str, name: &str) -> String {
    format!("{}/{name}", location.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_paths_or_file_uris() {
        for location in ["/a/b", "file:/a/b", "file:///a/b"] {
            assert_eq!(local_path(location).ok(), Some("/a/b"), "{location}");
        }
        let error = open_directory("hdfs://host/a", &Options::new()).expect_err("HDFS is no object store");
        assert!(error.message.contains("hdfs://host/a"), "{error}");
        assert_eq!(join("/a/", "b"), "/a/b");
    }
}
