//! Processes under observation: CPU time and memory, read from `/proc` while they run and once more when they have
//! ended, before they are waited for.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;

use super::stopwatch::{Started, pause};

/// Ticks of CPU time in a second as `/proc` counts them; the same on every architecture that matters.
const TICKS_PER_SECOND: f64 = 100.0;
/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(20);

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    pub user_s: f64,
    pub system_s: f64,
}

impl Cpu {
    pub fn total_s(self) -> f64 {
        self.user_s + self.system_s
    }
}

/// What a process has used from its start to its end.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    pub wall_s: f64,
    pub cpu: Cpu,
    pub rss_peak_mib: f64,
    /// By how many percent the resident memory of the last quarter of the run is above that of the second.
    pub rss_growth_percent: f64,
}

/// A process that is looked at from outside; started by any process.
#[derive(Clone, Copy, Debug)]
pub struct Observed(u32);

impl Observed {
    pub fn new(id: u32) -> Self {
        Self(id)
    }

    fn path(self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.0))
    }

    /// CPU time so far, and whether the process has ended.
    pub fn cpu(self) -> anyhow::Result<(Cpu, bool)> {
        let path = self.path("stat");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("'{}' cannot be read: the process is gone", path.display()))?;
        let behind_name = text.rsplit(')').next().unwrap_or("");
        let fields: Vec<&str> = behind_name.split_ascii_whitespace().collect();
        // Counted from the state: user and system time of the process, and of children that were waited for.
        let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        let cpu = Cpu {
            user_s: (ticks(11) + ticks(13)) / TICKS_PER_SECOND,
            system_s: (ticks(12) + ticks(14)) / TICKS_PER_SECOND,
        };
        Ok((cpu, fields.first() == Some(&"Z")))
    }

    /// A size in MiB from the process's status; 0 when it has ended.
    pub fn memory_mib(self, name: &str) -> f64 {
        let status = std::fs::read_to_string(self.path("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|l| {
            l.trim_start_matches(':')
                .split_ascii_whitespace()
                .next()?
                .parse()
                .ok()
        });
        kib.map_or(0.0, |kib: f64| kib / 1024.0)
    }

    /// Resets the peak memory to the currently resident memory.
    pub fn reset_peak(self) -> anyhow::Result<()> {
        Ok(std::fs::write(self.path("clear_refs"), "5")?)
    }
}

/// A process that is ended when it is dropped.
pub struct Process {
    child: Child,
    started: Started,
}

impl Process {
    pub fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let started = Started::now();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Self { child, started })
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub fn started(&self) -> Started {
        self.started
    }

    pub fn observed(&self) -> Observed {
        Observed(self.child.id())
    }

    /// Observes the process until it ends.
    pub fn observe(mut self) -> anyhow::Result<(ExitStatus, Usage)> {
        let (mut usage, mut memory) = (Usage::default(), Vec::new());
        let observed = self.observed();
        loop {
            let (cpu, ended) = observed.cpu()?;
            usage.cpu = cpu;
            if ended {
                break;
            }
            usage.rss_peak_mib = usage.rss_peak_mib.max(observed.memory_mib("VmHWM"));
            memory.push(observed.memory_mib("VmRSS"));
            pause(LOOK);
        }
        usage.wall_s = self.started.seconds();
        usage.rss_growth_percent = growth_percent(&memory);
        Ok((self.child.wait()?, usage))
    }

    /// Asks the process to end, as Ctrl-C does.
    pub fn interrupt(&self) -> anyhow::Result<()> {
        let process = self.child.id().to_string();
        // It may have ended by itself.
        let mut kill = Command::new("kill");
        kill.args(["-INT", &process]).stderr(Stdio::null()).status()?;
        Ok(())
    }

    /// Asks the process to end and waits for that.
    pub fn terminate(mut self) -> anyhow::Result<ExitStatus> {
        self.interrupt()?;
        Ok(self.child.wait()?)
    }

    /// Ends the process without a chance to do anything, as `kill -9` does.
    pub fn kill(mut self) -> anyhow::Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Has ended already on every path but that of an error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn growth_percent(samples: &[f64]) -> f64 {
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let quarter = samples.len() / 4;
    let (second, last) = (&samples[quarter..2 * quarter], &samples[3 * quarter..]);
    if quarter == 0 {
        return 0.0;
    }
    (mean(last) / mean(second).max(1e-9) - 1.0) * 100.0
}
