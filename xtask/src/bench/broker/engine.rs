//! The brokers under measurement: the one here, and a real Kafka that a rig starts.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::bench::cluster::Cluster;
use crate::bench::millstream::Millstream;
use crate::bench::process::{Observed, Process};
use crate::bench::rig::Kafka;

/// A broker that can be started and ended on a log of its own.
pub trait Engine {
    fn name(&self) -> &'static str;

    /// How often it is worth to measure a start.
    fn starts(&self) -> usize;

    fn address(&self) -> &str;

    /// Starts it on an empty log; milliseconds until its first response.
    fn start_empty(&mut self) -> anyhow::Result<f64>;

    /// Starts it on what it had.
    fn start(&mut self) -> anyhow::Result<f64>;

    /// Ends it: asked to, or by SIGKILL.
    fn stop(&mut self, kill: bool) -> anyhow::Result<()>;

    /// Its process, while it runs.
    fn process(&self) -> anyhow::Result<Observed>;

    fn cluster(&self) -> anyhow::Result<Cluster> {
        Cluster::connect(self.address())
    }
}

/// The broker here: every acknowledged record is on the disk.
pub struct Here {
    binary: PathBuf,
    home: Millstream,
    process: Option<Process>,
}

impl Here {
    pub fn new(binary: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            binary: binary.to_path_buf(),
            home: Millstream::new(binary)?,
            process: None,
        })
    }
}

impl Engine for Here {
    fn name(&self) -> &'static str {
        "millstream"
    }

    fn starts(&self) -> usize {
        9
    }

    fn address(&self) -> &str {
        self.home.address()
    }

    fn start_empty(&mut self) -> anyhow::Result<f64> {
        self.home = Millstream::new(&self.binary)?;
        self.start()
    }

    fn start(&mut self) -> anyhow::Result<f64> {
        let (process, start_ms) = self.home.start_broker()?;
        self.process = Some(process);
        Ok(start_ms)
    }

    fn stop(&mut self, kill: bool) -> anyhow::Result<()> {
        let process = self.process.take().context("the broker does not run")?;
        if kill {
            process.kill()?;
        } else {
            process.terminate()?;
        }
        Ok(())
    }

    fn process(&self) -> anyhow::Result<Observed> {
        let process = self.process.as_ref().context("the broker does not run")?;
        Ok(process.observed())
    }
}

/// Kafka as the rig configures it: acknowledged records are in memory, the system writes them some time later.
pub struct Real(Kafka);

impl Real {
    pub fn new(directory: &Path) -> anyhow::Result<Self> {
        Ok(Self(Kafka::stopped(directory)?))
    }
}

impl Engine for Real {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn starts(&self) -> usize {
        3
    }

    fn address(&self) -> &str {
        self.0.address()
    }

    fn start_empty(&mut self) -> anyhow::Result<f64> {
        self.0.restart(true)
    }

    fn start(&mut self) -> anyhow::Result<f64> {
        self.0.restart(false)
    }

    fn stop(&mut self, kill: bool) -> anyhow::Result<()> {
        self.0.stop(kill)
    }

    fn process(&self) -> anyhow::Result<Observed> {
        self.0.process()
    }
}
