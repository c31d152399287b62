//! A copy of the data directory in which the script runs, is killed, and runs again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use millstream_kafka_client::admin::OffsetSpec;
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_client::{ClientConfig, KafkaClient, TopicPartition};
use millstream_kafka_wire::KafkaString;

use super::outputs::{Rows, rows_of_files, rows_of_topic};
use super::script::{INTERVAL, OUTSIDE, Output, Place, Script};
use crate::args::{ChaosArgs, Common};
use crate::failpoints;
use crate::process::Process;

/// Between two looks at a script.
const LOOK_MS: i64 = 5;
/// Between two looks at its outputs.
const LOOK_AT_OUTPUTS_MS: i64 = 100;
/// A script that uses more of a core than this is not at rest.
const BUSY_PERCENT: i64 = 20;
/// Parts of the data directory that a fresh start must not find.
const NOT_COPIED: [&str; 4] = ["checkpoints", "spill", "jobs", "kafka.address"];
const LOG: &str = "run.log";
/// Bytes of the log that an error message shows.
const LOG_SHOWN: usize = 2_000;

/// What all trials have in common.
pub struct Setting<'a> {
    pub process: &'a Process,
    pub common: &'a Common,
    pub args: &'a ChaosArgs,
    pub script: &'a Script,
    pub directory: PathBuf,
}

/// A copy, and where its broker listens.
pub struct Trial<'a> {
    setting: &'a Setting<'a>,
    pub directory: PathBuf,
    address: String,
    file: PathBuf,
}

/// How waiting for a script ended.
pub enum Waited {
    /// It ran to its end.
    Ended,
    /// Nothing has changed since this many milliseconds after its start.
    AtRest { active_ms: u64 },
}

/// A running script, killed without notice when it is dropped.
pub struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        // SIGKILL: nothing of the process runs after it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl<'a> Trial<'a> {
    /// Copies the data directory and the files of outputs.
    pub fn prepare(setting: &'a Setting<'a>, name: &str) -> anyhow::Result<Self> {
        let directory = setting.directory.join(name);
        let data = directory.join("data");
        fs::create_dir_all(&data).with_context(|| format!("cannot create '{}'", data.display()))?;
        copy(&setting.common.data_dir, &data, &NOT_COPIED)
            .with_context(|| format!("cannot copy '{}'", setting.common.data_dir.display()))?;
        for (from, name) in &setting.script.existing {
            let to = directory.join(name);
            fs::create_dir_all(&to)?;
            copy(from, &to, &[]).with_context(|| format!("cannot copy '{}'", from.display()))?;
        }
        let address = free_address()?;
        let name = setting
            .args
            .file
            .file_name()
            .context("the script has no file name")?;
        let file = directory.join(name);
        fs::write(&file, setting.script.render(&directory, &address))?;
        Ok(Self {
            setting,
            directory,
            address,
            file,
        })
    }

    /// The program with the options of this trial.
    fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let program = std::env::current_exe().context("cannot find the program's own file")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .arg("--data-dir")
            .arg(self.directory.join("data"));
        command.args(["--kafka", &self.address, "--log", "warn"]);
        for (key, value) in &self.setting.common.define {
            if !OUTSIDE.contains(&key.as_str()) && key != INTERVAL {
                command.args(["-D", &format!("{key}={value}")]);
            }
        }
        let interval = &self.setting.args.checkpoint_interval;
        command.args(["-D", &format!("{INTERVAL}={interval}")]);
        command.env_remove(failpoints::VARIABLE).stdin(Stdio::null());
        Ok(command)
    }

    /// The file that a script at a failpoint creates.
    pub fn reached_file(&self) -> PathBuf {
        self.directory.join("reached")
    }

    /// Starts the script, possibly with a failpoint armed, to stop at the pass of that number.
    pub fn start(&self, parallelism: Option<u64>, failpoint: Option<(&str, u64)>) -> anyhow::Result<Run> {
        let mut command = self.command(&["run", "--quiet"])?;
        command.arg(&self.file);
        if let Some(parallelism) = parallelism {
            command.args(["-D", &format!("parallelism.default={parallelism}")]);
        }
        if let Some((name, pass)) = failpoint {
            let reached = self.reached_file();
            command.env(
                failpoints::VARIABLE,
                format!("{name}:{pass}:{}", reached.display()),
            );
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.directory.join(LOG))?;
        let child = command.stdout(Stdio::null()).stderr(log).spawn();
        Ok(Run(child.context("cannot start the script")?))
    }

    /// Waits until the script ends or nothing changes any more.
    pub fn rest(&self, run: &mut Run) -> anyhow::Result<Waited> {
        let (clock, args) = (&self.setting.process.clock, self.setting.args);
        let settle_ms = i64::try_from(args.settle).unwrap_or(i64::MAX);
        let started = clock.now_ms();
        let (mut since, mut busy_before, mut before) = (started, 0, None);
        let client = self.client()?;
        loop {
            if self.has_ended(run)? {
                return Ok(Waited::Ended);
            }
            let (now, busy) = (clock.now_ms(), busy_ms(&run.0));
            let outputs = self.look(&client);
            if outputs.is_none() || outputs != before {
                (since, busy_before, before) = (now, busy, outputs);
            } else if now - since >= settle_ms {
                if (busy - busy_before) * 100 < (now - since) * BUSY_PERCENT {
                    let active_ms = u64::try_from(since - started).unwrap_or(0);
                    return Ok(Waited::AtRest { active_ms });
                }
                (since, busy_before) = (now, busy);
            }
            if now - started > i64::try_from(args.timeout).unwrap_or(i64::MAX) {
                bail!(
                    "the script was not at rest after {} s; chaos needs input that ends. --timeout waits longer, a \
                     bounded 'datagen' table ends",
                    args.timeout / 1_000
                );
            }
            self.sleep(LOOK_AT_OUTPUTS_MS);
        }
    }

    fn sleep(&self, ms: i64) {
        let duration = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let timer = async { tokio::time::sleep(duration).await };
        self.setting.process.runtime.block_on(timer);
    }

    /// Lets the script run until `end_ms` after now or until it stands at the failpoint; `None` if it ended before.
    pub fn run_until(&self, run: &mut Run, end_ms: u64) -> anyhow::Result<Option<bool>> {
        let clock = &self.setting.process.clock;
        let end = clock.now_ms() + i64::try_from(end_ms).unwrap_or(i64::MAX);
        let reached = self.reached_file();
        loop {
            if self.has_ended(run)? {
                return Ok(None);
            }
            if reached.exists() {
                return Ok(Some(true));
            }
            if clock.now_ms() >= end {
                return Ok(Some(false));
            }
            self.sleep(LOOK_MS);
        }
    }

    /// Whether the script has ended in success; a failure is an error.
    fn has_ended(&self, run: &mut Run) -> anyhow::Result<bool> {
        match run.0.try_wait()? {
            None => Ok(false),
            Some(status) if status.success() => Ok(true),
            Some(status) => bail!("the script failed ({status}):\n{}", self.log()),
        }
    }

    /// Stops the script after a last checkpoint, as Ctrl-C does.
    pub fn stop(&self, mut run: Run) -> anyhow::Result<()> {
        let kill = Command::new("kill")
            .args(["-INT", &run.0.id().to_string()])
            .status();
        kill.context("cannot run 'kill'")?;
        let clock = &self.setting.process.clock;
        let end = clock.now_ms() + i64::try_from(self.setting.args.timeout).unwrap_or(i64::MAX);
        loop {
            if let Some(status) = run.0.try_wait()? {
                let is_stopped = status.success() || status.code() == Some(130);
                return if is_stopped {
                    Ok(())
                } else {
                    bail!("the script failed ({status}):\n{}", self.log())
                };
            }
            if clock.now_ms() > end {
                bail!("the script did not stop:\n{}", self.log());
            }
            self.sleep(LOOK_AT_OUTPUTS_MS);
        }
    }

    /// The end of what the script said on standard error.
    fn log(&self) -> String {
        let text = fs::read(self.directory.join(LOG)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_SHOWN)..]).into_owned();
        text.trim_end().to_owned()
    }

    fn client(&self) -> anyhow::Result<KafkaClient> {
        let settings = [
            ("bootstrap.servers", self.address.as_str()),
            ("reconnect.backoff.ms", "20"),
            ("reconnect.backoff.max.ms", "100"),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let config = ClientConfig::parse(&BTreeMap::from(settings))?.config;
        let runtime = self.setting.process.runtime.enter();
        let client = KafkaClient::connect(&config)?;
        drop(runtime);
        Ok(client)
    }

    /// End offsets of the topics and sizes of the files; `None` while the broker does not respond.
    fn look(&self, client: &KafkaClient) -> Option<Vec<i64>> {
        let outputs = &self.setting.script.outputs;
        let mut seen = Vec::new();
        let mut topics = Vec::new();
        for output in outputs {
            match &output.place {
                Place::Topic { topic, .. } => topics.push(KafkaString::from(topic.as_str())),
                Place::Files { directory } => seen.push(size(&self.directory.join(directory)).ok()?),
            }
        }
        if topics.is_empty() {
            return Some(seen);
        }
        let ends = async {
            let metadata = client.topics(&topics, false).await.ok()?;
            let mut wanted = BTreeMap::new();
            for topic in &topics {
                for partition in metadata.topic(topic).iter().flat_map(|topic| &topic.partitions) {
                    let partition = TopicPartition::new(topic.clone(), partition.partition);
                    wanted.insert(partition, OffsetSpec::Latest);
                }
            }
            client
                .list_offsets(&wanted, IsolationLevel::ReadUncommitted)
                .await
                .ok()
        };
        let patience = Duration::from_secs(1);
        let runtime = &self.setting.process.runtime;
        let ends = runtime.block_on(async { tokio::time::timeout(patience, ends).await.ok().flatten() })?;
        seen.extend(ends.values().map(|end| end.offset));
        Some(seen)
    }

    /// What the script has committed to an output.
    pub fn rows(&self, output: &Output) -> anyhow::Result<Rows> {
        let (topic, content) = match &output.place {
            Place::Files { directory } => {
                let directory = self.directory.join(directory);
                return Ok(if directory.exists() {
                    rows_of_files(&directory)?
                } else {
                    Rows::new()
                });
            }
            Place::Topic { topic, content } => (topic, *content),
        };
        let tail = "--from-beginning --exit-at-end --isolation-level read_committed --output json --quiet";
        let mut arguments = vec!["topic", "tail", topic];
        arguments.extend(tail.split(' '));
        let found = self.command(&arguments)?.output()?;
        let said = String::from_utf8_lossy(&found.stderr);
        if !found.status.success() && said.contains("does not exist") {
            return Ok(Rows::new());
        }
        if !found.status.success() {
            bail!("cannot read topic '{topic}': {}", said.trim());
        }
        rows_of_topic(&String::from_utf8_lossy(&found.stdout), content)
            .with_context(|| format!("in topic '{topic}'"))
    }
}

/// Copies a directory without some of its entries. A directory that is not there is empty.
fn copy(from: &Path, to: &Path, without: &[&str]) -> io::Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if without.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target, &[])?;
        } else if entry.file_type()?.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// An address on which nothing listens.
fn free_address() -> io::Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

/// Bytes of all files below a directory.
fn size(path: &Path) -> io::Result<i64> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        metadata => metadata?,
    };
    if metadata.is_file() {
        return Ok(i64::try_from(metadata.len()).unwrap_or(i64::MAX));
    }
    let mut all = 0;
    for entry in fs::read_dir(path)? {
        all += size(&entry?.path())?;
    }
    Ok(all)
}

/// Milliseconds of CPU time that a process has used; 0 where the system does not report it.
fn busy_ms(child: &Child) -> i64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    // The name of the program may contain blanks; the fields after it do not.
    let fields = stat.rsplit(')').next().unwrap_or("");
    let ticks: i64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|t| t.parse::<i64>().ok())
        .sum();
    // Linux counts hundredths of a second for user programs.
    ticks * 10
}
