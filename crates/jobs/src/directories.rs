//! Directories named by options, for checkpoints and savepoints.

use std::sync::Arc;

use millstream_dataflow::DataflowError;
use millstream_types::ErrorKind;
use millstream_types::storage::{OsStorage, Storage};

/// Opens a directory for writing and creates it if necessary. Accepts a path or a `file:` URI.
pub fn open_directory(location: &str) -> Result<Arc<dyn Storage>, DataflowError> {
    let path = local_path(location)?;
    match OsStorage::open(path) {
        Ok(storage) => Ok(Arc::new(storage)),
        Err(error) => {
            let message = format!("cannot use the directory '{location}': {error}");
            Err(DataflowError::new(ErrorKind::Environment, message))
        }
    }
}

/// The path in a location.
pub fn local_path(location: &str) -> Result<&str, DataflowError> {
    let path = match location.strip_prefix("file:") {
        Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
        None => location,
    };
    if path.contains("://") {
        let message = format!(
            "not supported yet: the location '{location}'; name a local directory, as a path or as 'file:///…'"
        );
        return Err(DataflowError::new(ErrorKind::Unsupported, message));
    }
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
        let error = local_path("s3://bucket/a").expect_err("object stores are refused");
        assert!(error.message.contains("s3://bucket/a"), "{error}");
        assert_eq!(join("/a/", "b"), "/a/b");
    }
}
