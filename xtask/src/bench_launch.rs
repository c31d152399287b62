//! `cargo xtask bench`, first half: builds the binary and the benches in release, and hands over to them.
//!
//! What is measured must be what ships, so `millstream` and the benches are built by one command with one set of
//! features; everyday `cargo xtask` stays small and quick to build.

#![cfg_attr(feature = "bench", allow(dead_code))]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// Builds, then runs the benches with the rest of the command line.
pub fn run(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let built = Command::new(&cargo)
        .args([
            "build",
            "--release",
            "--package",
            "millstream-cli",
            "--package",
            "xtask",
            "--package",
            "millstream",
            "--bins",
            "--example",
            "bench_programs",
        ])
        .args(["--features", "xtask/bench"])
        .current_dir(root)
        .status()
        .context("cargo cannot be run")?;
    ensure!(built.success(), "the release build failed");
    let benches = target_directory(&cargo, root)?.join("release").join("xtask");
    let ran = Command::new(&benches)
        .arg("bench")
        .args(arguments)
        .status()
        .with_context(|| format!("'{}' cannot be run", benches.display()))?;
    ensure!(ran.success(), "the benches failed");
    Ok(())
}

fn target_directory(cargo: &str, root: &Path) -> anyhow::Result<PathBuf> {
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output()?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata gave no JSON")?;
    let directory = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target directory")?;
    Ok(directory.into())
}
