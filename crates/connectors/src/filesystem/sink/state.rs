//! What a file sink keeps in a checkpoint.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A closed file that waits for its checkpoint.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Closed {
    pub hidden: PathBuf,
    pub visible: PathBuf,
}

/// The state in a checkpoint.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Of the instance: part of the names of its files.
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub subtask: usize,
    pub closed: Vec<Closed>,
    /// Files that stay open: relative partition, hidden and visible path, valid length.
    pub open: Vec<(String, PathBuf, PathBuf, u64)>,
}
