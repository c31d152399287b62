//! Which files the statements of a session may name.
//!
//! A person at the command line may name every file. Statements that arrive over a network act with the rights of the
//! server's process, so a server limits such sessions to directories that its administrator has named. Paths are
//! compared after symbolic links are followed, and the data directory stays out of reach: it holds every topic and the
//! secrets of every job.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use millstream_connectors::filesystem::local_path;
use millstream_jobs::is_object_store;
use millstream_plan::{Op, Plan, TableSpec};
use millstream_types::Options;

use crate::error::SessionError;

/// Key of the server that names the directories.
pub const ALLOWED_DIRECTORIES: &str = "millstream.sql.allowed-directories";
/// Options of sessions that name directories of checkpoints and savepoints.
const DIRECTORY_SETTINGS: [&str; 3] = [
    "execution.checkpointing.dir",
    "execution.checkpointing.savepoint-dir",
    "execution.state-recovery.path",
];

/// The files of a session.
#[derive(Clone, Debug, Default)]
pub enum FileAccess {
    #[default]
    Everything,
    Limited(Arc<FileLimits>),
}

/// Directories that may be used, and the one that may not.
#[derive(Debug)]
pub struct FileLimits {
    allowed: Vec<PathBuf>,
    /// URLs of object stores.
    stores: Vec<String>,
    data_dir: PathBuf,
}

impl FileAccess {
    /// Only what is below `allowed`, directories and URLs of object stores, and outside of `data_dir`, unless an allowed
    /// directory is itself below it.
    pub fn limited<'a>(allowed: impl IntoIterator<Item = &'a str>, data_dir: &Path) -> io::Result<Self> {
        let (stores, directories): (Vec<&str>, Vec<&str>) = allowed
            .into_iter()
            .partition(|location| is_object_store(location));
        let path = |text: &str| resolve(Path::new(text.trim_start_matches("file://")));
        Ok(Self::Limited(Arc::new(FileLimits {
            allowed: directories.into_iter().map(path).collect::<io::Result<_>>()?,
            stores: stores
                .into_iter()
                .map(|url| url.trim_end_matches('/').to_owned())
                .collect(),
            data_dir: resolve(data_dir)?,
        })))
    }

    /// This access, and what is below `directory`.
    pub fn with(&self, directory: &Path) -> io::Result<Self> {
        let Self::Limited(limits) = self else {
            return Ok(self.clone());
        };
        let mut allowed = limits.allowed.clone();
        allowed.push(resolve(directory)?);
        Ok(Self::Limited(Arc::new(FileLimits {
            allowed,
            stores: limits.stores.clone(),
            data_dir: limits.data_dir.clone(),
        })))
    }

    /// Refuses a path or `file:` URI that lies outside. What it is follows `what` in the message.
    pub fn check(&self, what: &str, uri: &str) -> Result<(), SessionError> {
        let Self::Limited(limits) = self else {
            return Ok(());
        };
        let outside = |path: &str| {
            SessionError::input(format!(
                "{what} '{path}' is outside of the directories that sessions of this server may use; its administrator \
                 names them in '{ALLOWED_DIRECTORIES}'"
            ))
        };
        if is_object_store(uri) {
            let is_permitted = limits.permit_url(uri);
            return is_permitted.then_some(()).ok_or_else(|| outside(uri));
        }
        let path = local_path(uri).map_err(|error| SessionError::input(error.to_string()))?;
        let resolved = resolve(Path::new(path))
            .map_err(|error| SessionError::input(format!("{what} '{path}' cannot be used: {error}")))?;
        limits
            .permit(&resolved)
            .then_some(())
            .ok_or_else(|| outside(path))
    }

    /// Refuses a job whose tables or directories of checkpoints lie outside.
    pub(crate) fn check_job(&self, plan: &Plan, configuration: &Options) -> Result<(), SessionError> {
        if matches!(self, Self::Everything) {
            return Ok(());
        }
        for table in plan.nodes.iter().filter_map(|node| table_of(&node.op)) {
            if let Some(path) = table.options.get("path") {
                self.check(&format!("'path' of table '{}'", table.identifier), path)?;
            }
        }
        for key in DIRECTORY_SETTINGS {
            let named = configuration.get(key).map_or("", String::as_str);
            for path in named.split(';').map(str::trim).filter(|path| !path.is_empty()) {
                self.check(&format!("'{key}'"), path)?;
            }
        }
        Ok(())
    }
}

impl FileLimits {
    fn permit_url(&self, url: &str) -> bool {
        let is_plain = !url.split('/').any(|part| part == "..");
        let is_below = |allowed: &String| {
            let rest = url.strip_prefix(allowed.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        is_plain && self.stores.iter().any(is_below)
    }

    fn permit(&self, path: &Path) -> bool {
        let is_open = |allowed: &&PathBuf| path.starts_with(allowed);
        let Some(nearest) = self
            .allowed
            .iter()
            .filter(is_open)
            .max_by_key(|a| a.as_os_str().len())
        else {
            return false;
        };
        // A table over a directory reads what is below, so a directory around the data directory counts as well.
        let touches_data = path.starts_with(&self.data_dir) || self.data_dir.starts_with(path);
        !touches_data || (nearest.starts_with(&self.data_dir) && *nearest != self.data_dir)
    }
}

fn table_of(op: &Op) -> Option<&TableSpec> {
    match op {
        Op::Scan { table, .. } | Op::LookupJoin { table, .. } | Op::Sink { table, .. } => Some(table),
        _ => None,
    }
}

/// The path without symbolic links and `..`. What does not exist yet is taken as it stands.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    for ancestor in absolute.ancestors() {
        match std::fs::canonicalize(ancestor) {
            Ok(found) => {
                let rest = absolute.strip_prefix(ancestor).map_err(io::Error::other)?;
                if rest
                    .components()
                    .any(|part| !matches!(part, Component::Normal(_)))
                {
                    return Err(io::Error::other("'..' follows a directory that does not exist"));
                }
                return Ok(found.join(rest));
            }
            // A link without a target would be created through.
            Err(_) if std::fs::symlink_metadata(ancestor).is_ok_and(|found| found.is_symlink()) => {
                return Err(io::Error::other("a symbolic link leads nowhere"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(absolute)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn allowed(access: &FileAccess, path: &Path) -> bool {
        access.check("table", &path.display().to_string()).is_ok()
    }

    #[test]
    fn only_what_lies_below_allowed_directories_may_be_named() {
        let root = tempfile::tempdir().unwrap();
        let (open, data) = (root.path().join("open"), root.path().join("open/data"));
        for directory in [&open, &data, &root.path().join("closed"), &data.join("shared")] {
            std::fs::create_dir_all(directory).unwrap();
        }
        symlink(root.path().join("closed"), open.join("link")).unwrap();
        symlink(root.path().join("nowhere"), open.join("dangling")).unwrap();
        let permitted = [&open, &data.join("shared")].map(|path| path.display().to_string());
        let access = FileAccess::limited(permitted.iter().map(String::as_str), &data).unwrap();
        let uri = format!("file://{}/in", open.display());
        assert!(access.check("table", &uri).is_ok());
        for (path, expected) in [
            (open.join("in.csv"), true),
            (open.join("new/deep/in.csv"), true),
            (open.join("sub/../../closed/x"), false),
            (open.join("../closed"), false),
            (open.join("link/x"), false),
            (open.join("dangling"), false),
            (root.path().join("opened"), false),
            (PathBuf::from("/etc/passwd"), false),
            (open.clone(), false),
            (data.join("jobs"), false),
            (data.join("shared/x"), true),
        ] {
            assert_eq!(allowed(&access, &path), expected, "{}", path.display());
        }
        assert!(allowed(&FileAccess::Everything, Path::new("/etc/passwd")));
        let wider = access.with(&data.join("savepoints")).unwrap();
        assert!(allowed(&wider, &data.join("savepoints/new")) && allowed(&wider, &open.join("in.csv")));
        assert!(!allowed(&wider, &data.join("jobs")) && !allowed(&access, &data.join("savepoints/new")));
    }
}
