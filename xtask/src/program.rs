//! The program under test as a process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// A process, killed when it is dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds the program in release.
pub fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let status = Command::new(cargo)
        .args(["build", "--release", "-p", "millstream-cli"])
        .current_dir(root)
        .status()?;
    anyhow::ensure!(status.success(), "the build failed");
    let target = std::env::var("CARGO_TARGET_DIR").map_or_else(|_| root.join("target"), PathBuf::from);
    Ok(target.join("release/millstream"))
}
