//! The settings that a job reads from its configuration, under Flink's keys.

use std::time::Duration;

use millstream_dataflow::{DataflowError, GraphSettings};
use millstream_types::limits::{BATCH_ROWS_DEFAULT, BATCH_ROWS_MAX, KEY_GROUPS_DEFAULT};
use millstream_types::options::{parse_boolean, parse_duration, parse_memory_size};
use millstream_types::{ErrorCode, ErrorKind, OptionDecl, OptionType, Options};

/// The key of [`CheckpointSettings::interval_ms`].
pub(crate) const CHECKPOINT_INTERVAL: &str = "execution.checkpointing.interval";
/// Default of `execution.checkpointing.interval`.
pub const CHECKPOINT_INTERVAL_MS_DEFAULT: i64 = 1000;
/// Flink's upper bound of `pipeline.max-parallelism`.
pub const MAX_PARALLELISM_MAX: u16 = 32_768;

/// The key of [`SideTopics::dead_letters`].
pub const DEAD_LETTER_TOPIC: &str = "millstream.dead-letter.topic";
/// Longest name of a topic, Kafka's.
const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Configuration keys that jobs read.
pub const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        "parallelism.default",
        OptionType::Int,
        "Parallelism of operators; the default is the number of cores.",
    ),
    OptionDecl::new(
        "table.exec.resource.default-parallelism",
        OptionType::Int,
        "Parallelism of operators in SQL jobs; takes precedence over parallelism.default.",
    )
    .with_default("-1"),
    OptionDecl::new(
        "pipeline.max-parallelism",
        OptionType::Int,
        "Number of key groups of a job.",
    )
    .with_default("-1"),
    OptionDecl::new(
        "pipeline.name",
        OptionType::String,
        "Name of the job, which identifies its checkpoints.",
    ),
    OptionDecl::new(
        "millstream.batch.max-rows",
        OptionType::Int,
        "Maximum rows in a batch; 1 produces Flink's record-by-record changelog.",
    )
    .with_default("8192"),
    OptionDecl::new(
        "millstream.memory.size",
        OptionType::MemorySize,
        "State in memory of all jobs of the process. Beyond it, state that can moves to 'io.tmp.dirs'; if that is not enough, \
         the job that holds most fails. Half of the machine's memory unless set.",
    ),
    OptionDecl::new(
        "io.tmp.dirs",
        OptionType::String,
        "Local directories for state beyond 'millstream.memory.size', separated by ',' or '|'. `spill` in the data directory \
         unless set.",
    ),
    OptionDecl::new(
        DEAD_LETTER_TOPIC,
        OptionType::String,
        "Topic for records of Kafka and filesystem tables that cannot be decoded; without it such a record ends the job.",
    ),
    OptionDecl::new(
        "millstream.late-rows.topic",
        OptionType::String,
        "Topic for rows that operators drop because they come too late; without it they are only counted.",
    ),
    OptionDecl::new(
        CHECKPOINT_INTERVAL,
        OptionType::Duration,
        "Interval between checkpoints; 0 disables them.",
    )
    .with_default("1 s"),
    OptionDecl::new(
        "execution.checkpointing.enabled",
        OptionType::Boolean,
        "Whether checkpoints are enabled.",
    )
    .with_default("true"),
    OptionDecl::new(
        "execution.checkpointing.timeout",
        OptionType::Duration,
        "Time after which a checkpoint is aborted.",
    )
    .with_default("10 min"),
    OptionDecl::new(
        "execution.checkpointing.min-pause",
        OptionType::Duration,
        "Minimum time between the end of a checkpoint and the start of the next.",
    )
    .with_default("0 ms"),
    OptionDecl::new(
        "execution.checkpointing.tolerable-failed-checkpoints",
        OptionType::Int,
        "Number of consecutive checkpoint failures that a job tolerates.",
    )
    .with_default("0"),
    OptionDecl::new(
        "execution.checkpointing.num-retained",
        OptionType::Int,
        "Number of completed checkpoints to retain.",
    )
    .with_default("1"),
    OptionDecl::new(
        "execution.checkpointing.dir",
        OptionType::String,
        "Directory for checkpoints: a path, a file: URI or a URL of an object store (s3://, gs://, abfs://); the default is \
         in the data directory.",
    ),
    OptionDecl::new(
        "execution.checkpointing.savepoint-dir",
        OptionType::String,
        "Default directory for savepoints, as for checkpoints.",
    ),
    OptionDecl::new(
        "execution.state-recovery.path",
        OptionType::String,
        "Savepoint to start from; of several, separated by semicolons, each job takes the one with its name.",
    ),
    OptionDecl::new(
        "execution.state-recovery.ignore-unclaimed-state",
        OptionType::Boolean,
        "Start even if some state matches no operator, or some operator has no state.",
    )
    .with_default("false"),
    OptionDecl::new(
        "restart-strategy.type",
        OptionType::Enum(&[
            "none",
            "off",
            "disable",
            "fixed-delay",
            "fixeddelay",
            "failure-rate",
            "failurerate",
            "exponential-delay",
            "exponentialdelay",
        ]),
        "Restart strategy; the default is exponential-delay with checkpoints and none without.",
    ),
    OptionDecl::new(
        "restart-strategy.fixed-delay.attempts",
        OptionType::Int,
        "Number of restarts before the job fails.",
    )
    .with_default("1"),
    OptionDecl::new(
        "restart-strategy.fixed-delay.delay",
        OptionType::Duration,
        "Delay before a restart.",
    )
    .with_default("1 s"),
    OptionDecl::new(
        "restart-strategy.failure-rate.delay",
        OptionType::Duration,
        "Delay before a restart.",
    )
    .with_default("1 s"),
    OptionDecl::new(
        "restart-strategy.failure-rate.failure-rate-interval",
        OptionType::Duration,
        "Interval over which failures are counted.",
    )
    .with_default("1 min"),
    OptionDecl::new(
        "restart-strategy.failure-rate.max-failures-per-interval",
        OptionType::Int,
        "Number of failures tolerated within the interval.",
    )
    .with_default("1"),
    OptionDecl::new(
        "restart-strategy.exponential-delay.initial-backoff",
        OptionType::Duration,
        "Delay before the first restart.",
    )
    .with_default("1 s"),
    OptionDecl::new(
        "restart-strategy.exponential-delay.max-backoff",
        OptionType::Duration,
        "Maximum delay before a restart.",
    )
    .with_default("1 min"),
    OptionDecl::new(
        "restart-strategy.exponential-delay.backoff-multiplier",
        OptionType::Double,
        "Factor by which the delay grows with each restart.",
    )
    .with_default("1.5"),
    OptionDecl::new(
        "restart-strategy.exponential-delay.jitter-factor",
        OptionType::Double,
        "Random part of the delay, as a fraction.",
    )
    .with_default("0.1"),
    OptionDecl::new(
        "restart-strategy.exponential-delay.reset-backoff-threshold",
        OptionType::Duration,
        "Time without failure after which the delay is reset.",
    )
    .with_default("1 h"),
    OptionDecl::new(
        "restart-strategy.exponential-delay.attempts-before-reset-backoff",
        OptionType::Int,
        "Number of restarts before the job fails, counted since the delay was reset.",
    ),
];

/// The settings of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSettings {
    pub parallelism: usize,
    pub graph: GraphSettings,
    /// `None`: no checkpoints.
    pub checkpoints: Option<CheckpointSettings>,
    pub restart: RestartSettings,
    pub name: Option<String>,
    /// Directory for checkpoints, if it is not the data directory.
    pub checkpoint_directory: Option<String>,
    /// What `millstream_object_storage::OPTIONS` names, for directories in object stores.
    pub object_stores: Options,
    pub savepoint_directory: Option<String>,
    pub recovery: RecoverySettings,
    pub side_topics: SideTopics,
    /// A program in BATCH mode: its operators hold their input until it has ended, and take no snapshots.
    pub is_batch: bool,
}

/// Topics for what leaves a job beside its results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideTopics {
    /// Records that cannot be decoded.
    pub dead_letters: Option<String>,
    /// Rows that came too late.
    pub late_rows: Option<String>,
}

/// Where a job starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoverySettings {
    /// Candidate savepoints; the job picks its own.
    pub savepoints: Vec<String>,
    /// Start even if some state does not fit.
    pub allow_partial: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointSettings {
    pub interval_ms: i64,
    pub timeout_ms: i64,
    pub min_pause_ms: i64,
    pub tolerable_failures: u32,
    pub retained: usize,
}

impl Default for CheckpointSettings {
    fn default() -> Self {
        Self {
            interval_ms: CHECKPOINT_INTERVAL_MS_DEFAULT,
            timeout_ms: 600_000,
            min_pause_ms: 0,
            tolerable_failures: 0,
            retained: 1,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum RestartSettings {
    None,
    FixedDelay {
        attempts: u32,
        delay_ms: i64,
    },
    FailureRate {
        delay_ms: i64,
        interval_ms: i64,
        max_failures: u32,
    },
    ExponentialDelay {
        initial_ms: i64,
        max_ms: i64,
        multiplier: f64,
        jitter: f64,
        reset_ms: i64,
        attempts: Option<u32>,
    },
}

impl JobSettings {
    /// Reads a configuration; `cores` is the default parallelism.
    pub fn read(configuration: &Options, cores: usize) -> Result<Self, DataflowError> {
        let reader = Reader { configuration };
        let table_parallelism = reader.integer("table.exec.resource.default-parallelism", -1)?;
        let default = reader.integer("parallelism.default", i64::try_from(cores.max(1)).unwrap_or(1))?;
        let parallelism = if table_parallelism > 0 {
            table_parallelism
        } else {
            default
        };
        let max_parallelism = match reader.integer("pipeline.max-parallelism", -1)? {
            set @ 1.. => set.min(i64::from(MAX_PARALLELISM_MAX)) as u16,
            _ => max_parallelism_for(parallelism),
        };
        if parallelism < 1 || parallelism > i64::from(max_parallelism) {
            let message =
                format!("parallelism {parallelism} is not between 1 and the maximum of {max_parallelism}");
            return Err(DataflowError::new(ErrorKind::Input, message));
        }
        let batch_rows = reader.integer("millstream.batch.max-rows", BATCH_ROWS_DEFAULT as i64)?;
        let batch_rows = batch_rows.clamp(1, BATCH_ROWS_MAX as i64) as usize;
        let checkpoints = reader.checkpoints()?;
        Ok(Self {
            parallelism: parallelism as usize,
            graph: GraphSettings {
                batch_rows,
                max_parallelism,
                memory_bytes: reader.memory_size("millstream.memory.size")?,
                temporary_directories: reader.directories("io.tmp.dirs"),
                ..GraphSettings::default()
            },
            restart: reader.restart(checkpoints.is_some())?,
            checkpoints,
            name: configuration.get("pipeline.name").cloned(),
            checkpoint_directory: configuration.get("execution.checkpointing.dir").cloned(),
            object_stores: millstream_object_storage::OPTIONS
                .iter()
                .filter_map(|option| Some((option.key.to_owned(), configuration.get(option.key)?.clone())))
                .collect(),
            savepoint_directory: configuration
                .get("execution.checkpointing.savepoint-dir")
                .cloned(),
            recovery: reader.recovery()?,
            is_batch: false,
            side_topics: SideTopics {
                dead_letters: reader.topic(DEAD_LETTER_TOPIC)?,
                late_rows: reader.topic("millstream.late-rows.topic")?,
            },
        })
    }
}

/// Flink's default: 1.5 times the parallelism, as a power of two, at least 128.
fn max_parallelism_for(parallelism: i64) -> u16 {
    let wanted = u64::try_from(parallelism)
        .unwrap_or(1)
        .saturating_mul(3)
        .div_ceil(2)
        .next_power_of_two();
    wanted.clamp(u64::from(KEY_GROUPS_DEFAULT), u64::from(MAX_PARALLELISM_MAX)) as u16
}

struct Reader<'a> {
    configuration: &'a Options,
}

impl Reader<'_> {
    fn invalid(&self, key: &str, value: &str, expected: &str) -> DataflowError {
        let message = format!("invalid value '{value}' for option '{key}': expected {expected}");
        DataflowError::coded(ErrorCode::InvalidSetting, message)
    }

    fn topic(&self, key: &str) -> Result<Option<String>, DataflowError> {
        let is_valid = |name: &str| {
            let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            (1..=TOPIC_NAME_BYTES_MAX).contains(&name.len())
                && name.chars().all(is_allowed)
                && name != "."
                && name != ".."
        };
        match self.configuration.get(key) {
            Some(name) if !is_valid(name) => Err(self.invalid(key, name, "the name of a topic")),
            name => Ok(name.cloned()),
        }
    }

    fn integer(&self, key: &str, default: i64) -> Result<i64, DataflowError> {
        let Some(value) = self.configuration.get(key) else {
            return Ok(default);
        };
        value
            .trim()
            .parse()
            .map_err(|_| self.invalid(key, value, "an integer"))
    }

    fn directories(&self, key: &str) -> Vec<String> {
        let value = self.configuration.get(key).map_or("", String::as_str);
        let parts = value.split([',', '|']).map(str::trim);
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    fn memory_size(&self, key: &str) -> Result<Option<usize>, DataflowError> {
        let Some(value) = self.configuration.get(key) else {
            return Ok(None);
        };
        let bytes = parse_memory_size(value).and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = bytes.ok_or_else(|| self.invalid(key, value, "a size such as '4 gb'"))?;
        Ok(Some(bytes))
    }

    fn count(&self, key: &str, default: u32) -> Result<u32, DataflowError> {
        let value = self.integer(key, i64::from(default))?;
        u32::try_from(value).map_err(|_| self.invalid(key, &value.to_string(), "a number of at least 0"))
    }

    fn decimal(&self, key: &str, default: f64) -> Result<f64, DataflowError> {
        let Some(value) = self.configuration.get(key) else {
            return Ok(default);
        };
        value
            .trim()
            .parse()
            .map_err(|_| self.invalid(key, value, "a number"))
    }

    fn duration_ms(&self, key: &str, default: i64) -> Result<i64, DataflowError> {
        let Some(value) = self.configuration.get(key) else {
            return Ok(default);
        };
        let duration: Option<Duration> = parse_duration(value);
        let ms = duration.and_then(|d| i64::try_from(d.as_millis()).ok());
        ms.ok_or_else(|| self.invalid(key, value, "a duration such as '10 s' or '500 ms'"))
    }

    fn recovery(&self) -> Result<RecoverySettings, DataflowError> {
        const IGNORE: &str = "execution.state-recovery.ignore-unclaimed-state";
        let paths = self.configuration.get("execution.state-recovery.path");
        let paths = paths.map_or("", String::as_str).split(';').map(str::trim);
        let allow_partial = match self.configuration.get(IGNORE) {
            None => false,
            Some(text) => parse_boolean(text).ok_or_else(|| self.invalid(IGNORE, text, "true or false"))?,
        };
        Ok(RecoverySettings {
            savepoints: paths.filter(|path| !path.is_empty()).map(str::to_owned).collect(),
            allow_partial,
        })
    }

    fn checkpoints(&self) -> Result<Option<CheckpointSettings>, DataflowError> {
        let defaults = CheckpointSettings::default();
        let key = |name: &str| format!("execution.checkpointing.{name}");
        let interval_ms = self.duration_ms(&key("interval"), defaults.interval_ms)?;
        let enabled = self
            .configuration
            .get("execution.checkpointing.enabled")
            .and_then(|v| parse_boolean(v));
        if interval_ms <= 0 || enabled == Some(false) {
            return Ok(None);
        }
        Ok(Some(CheckpointSettings {
            interval_ms,
            timeout_ms: self.duration_ms(&key("timeout"), defaults.timeout_ms)?,
            min_pause_ms: self.duration_ms(&key("min-pause"), defaults.min_pause_ms)?,
            tolerable_failures: self
                .count(&key("tolerable-failed-checkpoints"), defaults.tolerable_failures)?,
            retained: self.count(&key("num-retained"), 1)?.max(1) as usize,
        }))
    }

    fn restart(&self, has_checkpoints: bool) -> Result<RestartSettings, DataflowError> {
        let by_default = if has_checkpoints {
            "exponential-delay"
        } else {
            "none"
        };
        let chosen = self
            .configuration
            .get("restart-strategy.type")
            .or_else(|| self.configuration.get("restart-strategy"));
        let chosen = chosen.map_or(by_default, String::as_str);
        let key = |name: &str| format!("restart-strategy.{name}");
        match chosen.trim().to_ascii_lowercase().as_str() {
            "none" | "off" | "disable" => Ok(RestartSettings::None),
            "fixed-delay" | "fixeddelay" => Ok(RestartSettings::FixedDelay {
                attempts: self.count(&key("fixed-delay.attempts"), 1)?,
                delay_ms: self.duration_ms(&key("fixed-delay.delay"), 1000)?,
            }),
            "failure-rate" | "failurerate" => Ok(RestartSettings::FailureRate {
                delay_ms: self.duration_ms(&key("failure-rate.delay"), 1000)?,
                interval_ms: self.duration_ms(&key("failure-rate.failure-rate-interval"), 60_000)?,
                max_failures: self.count(&key("failure-rate.max-failures-per-interval"), 1)?,
            }),
            "exponential-delay" | "exponentialdelay" => {
                let attempts = key("exponential-delay.attempts-before-reset-backoff");
                let limited = self.configuration.contains_key(&attempts);
                Ok(RestartSettings::ExponentialDelay {
                    initial_ms: self.duration_ms(&key("exponential-delay.initial-backoff"), 1000)?,
                    max_ms: self.duration_ms(&key("exponential-delay.max-backoff"), 60_000)?,
                    multiplier: self.decimal(&key("exponential-delay.backoff-multiplier"), 1.5)?,
                    jitter: self.decimal(&key("exponential-delay.jitter-factor"), 0.1)?,
                    reset_ms: self
                        .duration_ms(&key("exponential-delay.reset-backoff-threshold"), 3_600_000)?,
                    attempts: if limited {
                        Some(self.count(&attempts, 0)?)
                    } else {
                        None
                    },
                })
            }
            other => Err(self.invalid(
                "restart-strategy.type",
                other,
                "one of none, fixed-delay, failure-rate, exponential-delay",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_defaults_are_those_that_are_used() {
        for strategy in ["fixed-delay", "failure-rate", "exponential-delay"] {
            let base = Options::from([("restart-strategy.type".to_owned(), strategy.to_owned())]);
            let plain = JobSettings::read(&base, 4).expect("defaults are valid");
            for option in OPTIONS {
                let Some(default) = option.default else { continue };
                let mut set = base.clone();
                set.insert(option.key.to_owned(), default.to_owned());
                let read = JobSettings::read(&set, 4).expect("declared defaults are valid");
                assert_eq!(read, plain, "{} = {default}", option.key);
            }
        }
    }
}
