//! What a job takes from its configuration: Flink's keys, read once.

use std::time::Duration;

use millstream_dataflow::{DataflowError, GraphSettings};
use millstream_types::limits::{BATCH_ROWS_DEFAULT, BATCH_ROWS_MAX, KEY_GROUPS_DEFAULT};
use millstream_types::options::{parse_boolean, parse_duration, parse_memory_size};
use millstream_types::{ErrorKind, OptionDecl, OptionType, Options};

/// Interval of checkpoints unless `execution.checkpointing.interval` says otherwise.
pub const CHECKPOINT_INTERVAL_MS_DEFAULT: i64 = 1000;
/// Largest `pipeline.max-parallelism`, Flink's.
pub const MAX_PARALLELISM_MAX: u16 = 32_768;

/// Configuration keys that jobs read.
pub const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        "parallelism.default",
        OptionType::Int,
        "Instances of operators; the number of cores unless set.",
    ),
    OptionDecl::new(
        "table.exec.resource.default-parallelism",
        OptionType::Int,
        "Instances of operators of SQL jobs; goes before parallelism.default.",
    )
    .with_default("-1"),
    OptionDecl::new(
        "pipeline.max-parallelism",
        OptionType::Int,
        "Key groups of a job.",
    )
    .with_default("-1"),
    OptionDecl::new(
        "pipeline.name",
        OptionType::String,
        "Name of the job, by which its checkpoints are found again.",
    ),
    OptionDecl::new(
        "millstream.batch.max-rows",
        OptionType::Int,
        "Rows of a batch; 1 gives Flink's changelog record by record.",
    )
    .with_default("8192"),
    OptionDecl::new(
        "millstream.memory.size",
        OptionType::MemorySize,
        "State of all jobs of the process; beyond it the job that holds most fails. Half of the machine's memory unless set.",
    ),
    OptionDecl::new(
        "execution.checkpointing.interval",
        OptionType::Duration,
        "Time between checkpoints; 0 turns them off.",
    )
    .with_default("1 s"),
    OptionDecl::new(
        "execution.checkpointing.enabled",
        OptionType::Boolean,
        "Whether checkpoints are made.",
    )
    .with_default("true"),
    OptionDecl::new(
        "execution.checkpointing.timeout",
        OptionType::Duration,
        "A checkpoint that takes longer is given up.",
    )
    .with_default("10 min"),
    OptionDecl::new(
        "execution.checkpointing.min-pause",
        OptionType::Duration,
        "Time between the end of a checkpoint and the next.",
    )
    .with_default("0 ms"),
    OptionDecl::new(
        "execution.checkpointing.tolerable-failed-checkpoints",
        OptionType::Int,
        "Checkpoints that may fail in a row before the job does.",
    )
    .with_default("0"),
    OptionDecl::new(
        "execution.checkpointing.num-retained",
        OptionType::Int,
        "Completed checkpoints that are kept.",
    )
    .with_default("1"),
    OptionDecl::new(
        "execution.checkpointing.dir",
        OptionType::String,
        "Directory of checkpoints, as a path or a file: URI; that of the data directory unless set.",
    ),
    OptionDecl::new(
        "execution.checkpointing.savepoint-dir",
        OptionType::String,
        "Directory of savepoints that name none.",
    ),
    OptionDecl::new(
        "execution.state-recovery.path",
        OptionType::String,
        "Savepoint to start from; of several, separated by semicolons, the one of the job's name.",
    ),
    OptionDecl::new(
        "execution.state-recovery.ignore-unclaimed-state",
        OptionType::Boolean,
        "Start although some state fits no operator, and some operators have no state.",
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
        "What follows a failure; exponential-delay with checkpoints, none without.",
    ),
    OptionDecl::new(
        "restart-strategy.fixed-delay.attempts",
        OptionType::Int,
        "Restarts before the job fails.",
    )
    .with_default("1"),
    OptionDecl::new(
        "restart-strategy.fixed-delay.delay",
        OptionType::Duration,
        "Time before a restart.",
    )
    .with_default("1 s"),
    OptionDecl::new(
        "restart-strategy.failure-rate.delay",
        OptionType::Duration,
        "Time before a restart.",
    )
    .with_default("1 s"),
    OptionDecl::new(
        "restart-strategy.failure-rate.failure-rate-interval",
        OptionType::Duration,
        "Time over which failures are counted.",
    )
    .with_default("1 min"),
    OptionDecl::new(
        "restart-strategy.failure-rate.max-failures-per-interval",
        OptionType::Int,
        "Failures within the interval that are borne.",
    )
    .with_default("1"),
    OptionDecl::new(
        "restart-strategy.exponential-delay.initial-backoff",
        OptionType::Duration,
        "Time before the first restart.",
    )
    .with_default("1 s"),
    OptionDecl::new(
        "restart-strategy.exponential-delay.max-backoff",
        OptionType::Duration,
        "Longest time before a restart.",
    )
    .with_default("1 min"),
    OptionDecl::new(
        "restart-strategy.exponential-delay.backoff-multiplier",
        OptionType::Double,
        "Growth of the time from restart to restart.",
    )
    .with_default("1.5"),
    OptionDecl::new(
        "restart-strategy.exponential-delay.jitter-factor",
        OptionType::Double,
        "Random part of the time.",
    )
    .with_default("0.1"),
    OptionDecl::new(
        "restart-strategy.exponential-delay.reset-backoff-threshold",
        OptionType::Duration,
        "Time of good running after which the backoff starts anew.",
    )
    .with_default("1 h"),
    OptionDecl::new(
        "restart-strategy.exponential-delay.attempts-before-reset-backoff",
        OptionType::Int,
        "Restarts before the job fails, unless the backoff was reset.",
    ),
];

/// Settings of one job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSettings {
    pub parallelism: usize,
    pub graph: GraphSettings,
    /// `None`: no checkpoints.
    pub checkpoints: Option<CheckpointSettings>,
    pub restart: RestartSettings,
    pub name: Option<String>,
    /// Where checkpoints are kept instead of in the data directory.
    pub checkpoint_directory: Option<String>,
    pub savepoint_directory: Option<String>,
    pub recovery: RecoverySettings,
}

/// What a job starts from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoverySettings {
    /// Savepoints, of which the job takes its own.
    pub savepoints: Vec<String>,
    /// Start with what fits.
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
    /// Reads a configuration; `cores` is the parallelism unless it is set.
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
                ..GraphSettings::default()
            },
            restart: reader.restart(checkpoints.is_some())?,
            checkpoints,
            name: configuration.get("pipeline.name").cloned(),
            checkpoint_directory: configuration.get("execution.checkpointing.dir").cloned(),
            savepoint_directory: configuration
                .get("execution.checkpointing.savepoint-dir")
                .cloned(),
            recovery: reader.recovery()?,
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
        DataflowError::new(ErrorKind::Input, message)
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
