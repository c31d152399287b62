//! Direct IO (`O_DIRECT`): writes that bypass the page cache.
//!
//! Copying into the page cache, allocating pages and writing them back costs several times the CPU time that the disk
//! itself needs. Where a file system or a write does not support it, the caller writes through the page cache.

use super::DIRECT_ALIGNMENT;
use super::handles::is_out_of_handles;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::OnceLock;

/// Further handles of a file, opened when they are first needed; `None` inside where that is not possible.
#[derive(Debug, Default)]
pub(super) struct Direct {
    durable: OnceLock<Option<File>>,
    cold: OnceLock<Option<File>>,
}

impl Direct {
    /// Writes `bytes` so that they are durable afterwards; `None` if nothing was done.
    pub fn write_durable(&self, file: &File, bytes: &[u8], offset: u64) -> Option<io::Result<()>> {
        write(&self.durable, libc::O_DIRECT | libc::O_DSYNC, file, bytes, offset)
    }

    /// Writes `bytes`, to be made durable by a sync of the file; `None` if nothing was done.
    pub fn write_cold(&self, file: &File, bytes: &[u8], offset: u64) -> Option<io::Result<()>> {
        write(&self.cold, libc::O_DIRECT, file, bytes, offset)
    }
}

fn write(
    handle: &OnceLock<Option<File>>,
    flags: i32,
    file: &File,
    bytes: &[u8],
    offset: u64,
) -> Option<io::Result<()>> {
    let is_aligned = [bytes.as_ptr().addr(), bytes.len(), offset as usize]
        .iter()
        .all(|each| each.is_multiple_of(DIRECT_ALIGNMENT));
    if !is_aligned {
        return None;
    }
    let direct = match handle.get() {
        Some(direct) => direct,
        None => match again(file, flags) {
            // There will be handles again; this write does without.
            Err(error) if is_out_of_handles(&error) => return None,
            opened => handle.get_or_init(|| opened.ok()),
        },
    };
    let direct = direct.as_ref()?;
    match direct.write_all_at(bytes, offset) {
        // The disk wants larger blocks than are usual.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => None,
        result => Some(result),
    }
}

/// Opens the same file again with other flags, whatever its name is by now.
fn again(file: &File, flags: i32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(flags);
    options.open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
