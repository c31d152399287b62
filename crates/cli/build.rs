//! Tells the program its version: with the commit in release builds.
//!
//! The variables do not begin with `MILLSTREAM_`: cargo passes them on to tests, where the program would take them for settings.
//! Debug builds leave the commit out, so that a commit does not rebuild the program while one works on it.

use std::process::Command;

fn main() {
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    println!("cargo::rerun-if-env-changed=BUILD_COMMIT");
    let commit = std::env::var("BUILD_COMMIT").ok().or_else(|| {
        is_release.then(|| {
            // The files that a commit or a change of branch touches.
            for name in ["HEAD", "logs/HEAD"] {
                if let Some(path) = git(&["rev-parse", "--git-path", name]) {
                    println!("cargo::rerun-if-changed={path}");
                }
            }
            git(&["rev-parse", "--short=10", "HEAD"])
        })?
    });
    let version = commit.map_or(version.clone(), |commit| format!("{version} ({commit})"));
    println!("cargo::rustc-env=BUILD_VERSION={version}");
    println!("cargo::rerun-if-changed=build.rs");
}

/// What git prints; `None` outside of a repository, for example in an unpacked source archive.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
