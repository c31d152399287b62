//! The binary under measurement: its broker as a process of its own, and scripts that it runs.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{bail, ensure};

use super::cluster::{Cluster, responds};
use super::process::{Process, Usage};
use super::stopwatch::pause;

/// Between two attempts to connect to a broker that starts.
const LOOK: Duration = Duration::from_millis(1);

/// Ports are taken in pairs from here on.
const FIRST_PORT: u16 = 15_000;
const PORTS: u32 = 5_000;

/// A data directory, and how to start the binary on it.
pub struct Millstream {
    binary: PathBuf,
    data: tempfile::TempDir,
    /// Where the embedded broker listens.
    address: String,
}

impl Millstream {
    /// An empty data directory beside the binary: on the disk that builds are on, not in memory.
    pub fn new(binary: &Path) -> anyhow::Result<Self> {
        let directory = binary.parent().unwrap_or(Path::new("."));
        Ok(Self {
            binary: binary.to_path_buf(),
            data: tempfile::Builder::new().prefix("bench-").tempdir_in(directory)?,
            address: format!("127.0.0.1:{}", free_port()?),
        })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// The binary on this data directory.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--data-dir").arg(self.data.path());
        command
            .args(["--kafka", &self.address, "--quiet"])
            .stdin(Stdio::null());
        command
    }

    /// Starts the broker and waits until it responds.
    pub fn broker(&self) -> anyhow::Result<(Process, Cluster)> {
        Ok((self.start_broker()?.0, Cluster::connect(&self.address)?))
    }

    /// Starts the broker; also gives the milliseconds until it responded.
    pub fn start_broker(&self) -> anyhow::Result<(Process, f64)> {
        let mut process = Process::spawn(&mut self.command(&["broker"]))?;
        while !responds(&self.address) {
            let ended = process.child().try_wait()?;
            ensure!(ended.is_none(), "the broker has ended before it responded");
            pause(LOOK);
        }
        let start_ms = process.started().seconds() * 1e3;
        Ok((process, start_ms))
    }

    /// Does something with the broker, as a client, and stops it.
    pub fn with_broker<T>(&self, work: impl FnOnce(&Cluster) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let (process, cluster) = self.broker()?;
        let result = work(&cluster);
        drop(cluster);
        process.terminate()?;
        result
    }

    /// Writes a script beside the data.
    pub fn script(&self, name: &str, sql: &str) -> anyhow::Result<PathBuf> {
        let path = self.data.path().join(format!("{name}.sql"));
        std::fs::write(&path, sql)?;
        Ok(path)
    }

    /// Runs a script to its end, by one worker.
    pub fn run(&self, name: &str, sql: &str) -> anyhow::Result<Usage> {
        self.run_with(name, sql, 1)
    }

    /// Runs a script to its end, by that many workers.
    pub fn run_with(&self, name: &str, sql: &str, workers: u32) -> anyhow::Result<Usage> {
        let script = self.script(name, sql)?;
        let parallelism = format!("parallelism.default={workers}");
        let mut command = self.command(&["run", &script.to_string_lossy(), "-D", &parallelism]);
        command.stdout(Stdio::null());
        let (status, usage) = Process::spawn(&mut command)?.observe()?;
        ensure!(status.success(), "script '{name}' ended with {status}");
        Ok(usage)
    }
}

/// A port that is free, as is the one after it, which Kafka takes for its controller. It is below those that the
/// system gives to connections, so that it is still free when a broker comes back to it.
pub fn free_port() -> anyhow::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let start = std::process::id() % PORTS;
    for _ in 0..PORTS {
        let nth = (start + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % PORTS;
        let port = FIRST_PORT + 2 * nth as u16;
        if is_free(port) && is_free(port + 1) {
            return Ok(port);
        }
    }
    bail!("no two ports in a row are free from {FIRST_PORT} on")
}
