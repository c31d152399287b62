//! The names of scripts, after which their jobs are called and find their checkpoints again.
//!
//! A script is called by its file's stem. Two scripts of one stem, `a/job.sql` and `b/job.sql`, must not take each
//! other's checkpoints for their own, so the data directory records which file has which name: the second one is called
//! `b/job`. A script that has moved keeps its name.

use std::io;
use std::path::Path;

use millstream_types::storage::Storage;

/// Directory with one file per name, which holds the path of its script.
const DIRECTORY: &str = "scripts";

/// The name of a script; a new name is recorded. `path` is absolute.
pub fn name_of(storage: &dyn Storage, path: &Path) -> io::Result<String> {
    storage.create_directory(DIRECTORY)?;
    let owned = path.to_string_lossy();
    let mut name = stem(path);
    for directory in path.ancestors().skip(1) {
        let record = format!("{DIRECTORY}/{}", escaped(&name));
        let owner = match storage.read(&record) {
            Ok(content) => Some(String::from_utf8_lossy(&content).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let is_free = owner
            .as_ref()
            .is_none_or(|owner| *owner == owned || !Path::new(owner).exists());
        if is_free {
            if owner.as_deref() != Some(&owned) {
                storage.replace(&record, owned.as_bytes())?;
            }
            return Ok(name);
        }
        match directory.file_name() {
            Some(part) => name = format!("{}/{name}", part.to_string_lossy()),
            None => break,
        }
    }
    // Even the full path is taken; this only happens to a script in the root directory.
    Ok(owned.into_owned())
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    stem.to_string_lossy().into_owned()
}

/// Escapes a name as one path component.
fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

#[cfg(test)]
mod tests {
    use millstream_types::storage::OsStorage;

    use super::*;

    #[test]
    fn scripts_of_one_stem_have_names_of_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let storage = OsStorage::open(directory.path().join("data")).unwrap();
        let script = |path: &str| {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path
        };
        let (first, second) = (script("x/a/job.sql"), script("x/b/job.sql"));
        for _ in 0..2 {
            assert_eq!(name_of(&storage, &first).unwrap(), "job");
            assert_eq!(name_of(&storage, &second).unwrap(), "b/job");
        }
        assert_eq!(name_of(&storage, &script("y/b/job.sql")).unwrap(), "y/b/job");
        std::fs::remove_file(&first).unwrap();
        assert_eq!(name_of(&storage, &script("moved/job.sql")).unwrap(), "job");
    }
}
