//! Files and directories that only the user of the process may read.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::Path;

/// Options by which new files are made readable and writable for their owner alone.
pub fn options() -> OpenOptions {
    #[allow(unused_mut, reason = "other systems than Unix have no modes")]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a directory and its missing parents for their owner alone.
pub fn create_directories(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use crate::storage::{OpenMode, OsStorage, Storage};

    #[test]
    fn what_is_made_is_for_the_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let open = directory.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
        let storage = OsStorage::open(open.join("data/jobs")).unwrap();
        storage.create_directory("a/b").unwrap();
        storage.open("a/b/file", OpenMode::Create).unwrap();
        storage.replace("a/job.json", b"{}").unwrap();
        let _lock = storage.try_lock("lock").unwrap();
        for (path, expected) in [
            ("", 0o755),
            ("data", 0o700),
            ("data/jobs", 0o700),
            ("data/jobs/a/b", 0o700),
            ("data/jobs/a/b/file", 0o600),
            ("data/jobs/a/job.json", 0o600),
            ("data/jobs/lock", 0o600),
        ] {
            let mode = std::fs::metadata(open.join(path)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, expected, "{path}");
        }
    }
}
