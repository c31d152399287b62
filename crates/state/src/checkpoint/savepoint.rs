//! Savepoints: a checkpoint that holds every block itself and belongs to the user.
//!
//! A savepoint is a directory with one file, as in Flink, so that the directory can be copied, moved and deleted whole.
//! Blocks belong to key groups or splits, not to instances, so a savepoint restores at any parallelism.

use std::sync::Arc;

use millstream_types::storage::{OpenMode, Storage};

use crate::error::StateError;

use super::manifest::{CheckpointHeader, CheckpointKind};
use super::{InstanceState, file, lay_out, load_states, storage_error, write_file};

/// The file in the directory of a savepoint, by Flink's name.
pub const SAVEPOINT_FILE: &str = "_metadata";

/// Writes a savepoint into `directory`, which is made; it is durable when this returns. Gives the bytes of its blocks.
pub fn write_savepoint(
    storage: &dyn Storage,
    directory: &str,
    header: CheckpointHeader,
    states: &[InstanceState],
) -> Result<u64, StateError> {
    let header = CheckpointHeader {
        kind: CheckpointKind::Savepoint,
        ..header
    };
    let fail = |e| storage_error("write savepoint", directory, e);
    storage.create_directory(directory).map_err(fail)?;
    let (manifest, data) = lay_out(header, states, None)?;
    write_file(storage, &path_in(directory), &manifest, &data)?;
    storage.sync_directory("").map_err(fail)?;
    Ok(data.iter().map(super::length_of).sum())
}

/// Reads the savepoint in `directory` (`""`: the root of the storage).
pub fn read_savepoint(
    storage: &dyn Storage,
    directory: &str,
) -> Result<(CheckpointHeader, Vec<InstanceState>), StateError> {
    let path = path_in(directory);
    let file = storage
        .open(&path, OpenMode::Read)
        .map_err(|e| storage_error("read", &path, e))?;
    let (manifest, _) = file::read_manifest(&path, file.as_ref())?;
    let own = (path, Arc::clone(&file));
    let states = load_states(&manifest, |number| {
        (number == manifest.header.checkpoint).then_some(&own)
    })?;
    Ok((manifest.header, states))
}

fn path_in(directory: &str) -> String {
    match directory {
        "" => SAVEPOINT_FILE.to_owned(),
        directory => format!("{directory}/{SAVEPOINT_FILE}"),
    }
}
