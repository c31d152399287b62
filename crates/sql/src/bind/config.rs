//! The part of the session configuration that planning reads. It is parsed once, with defaults, so that an error names
//! the key with the invalid value.

use std::sync::Arc;
use std::time::Duration;

use millstream_functions::Environment;
use millstream_functions::scalar::temporal::zone::session_zone;
use millstream_plan::node::LengthEnforcer;
use millstream_types::options::{parse_boolean, parse_duration};
use millstream_types::{ErrorCode, OptionDecl, OptionType, Options, SeededRng};

use super::error::{SqlError, SqlResult};

const RUNTIME_MODE: OptionDecl = OptionDecl::new(
    "execution.runtime-mode",
    OptionType::Enum(&["STREAMING", "BATCH", "AUTOMATIC"]),
    "Whether queries run as streaming jobs that emit changes, or as batch jobs over bounded input that emit only final results.",
)
.with_default("STREAMING");
const LOCAL_TIME_ZONE: OptionDecl = OptionDecl::new(
    "table.local-time-zone",
    OptionType::String,
    "Session time zone: a name such as 'Europe/Berlin' or 'UTC', or an offset such as 'GMT+03:00'; 'default' is the machine's. Used to print and cast TIMESTAMP_LTZ.",
)
.with_default("default");
const WATERMARK_INTERVAL: OptionDecl = OptionDecl::new(
    "pipeline.auto-watermark-interval",
    OptionType::Duration,
    "Interval at which sources emit watermarks.",
)
.with_default("200 ms");
const STATE_TTL: OptionDecl = OptionDecl::new(
    "table.exec.state.ttl",
    OptionType::Duration,
    "Minimum time for which the state of an idle key is kept; 0 keeps it forever.",
)
.with_default("0 ms");
const IDLE_TIMEOUT: OptionDecl = OptionDecl::new(
    "table.exec.source.idle-timeout",
    OptionType::Duration,
    "Time without records after which a partition is idle and no longer holds back the watermark; 0 disables idleness.",
)
.with_default("0 ms");
const CDC_EVENTS_DUPLICATE: OptionDecl = OptionDecl::new(
    "table.exec.source.cdc-events-duplicate",
    OptionType::Boolean,
    "Whether a changelog source may contain duplicate changes, which are then removed by primary key.",
)
.with_default("false");
const NOT_NULL_ENFORCER: OptionDecl = OptionDecl::new(
    "table.exec.sink.not-null-enforcer",
    OptionType::Enum(&["ERROR", "DROP"]),
    "What happens to a row with NULL in a NOT NULL column of the sink table.",
)
.with_default("ERROR");
const LENGTH_ENFORCER: OptionDecl = OptionDecl::new(
    "table.exec.sink.type-length-enforcer",
    OptionType::Enum(&["IGNORE", "TRIM_PAD", "ERROR"]),
    "What happens to values that do not match the length of the sink's CHAR, VARCHAR, BINARY or VARBINARY columns.",
)
.with_default("IGNORE");
const UPSERT_MATERIALIZE: OptionDecl = OptionDecl::new(
    "table.exec.sink.upsert-materialize",
    OptionType::Enum(&["NONE", "AUTO", "FORCE"]),
    "Whether the sink keeps the newest row of each primary key, so that out-of-order changes end in the right row.",
)
.with_default("AUTO");
const REQUIRE_ON_CONFLICT: OptionDecl = OptionDecl::new(
    "table.exec.sink.require-on-conflict",
    OptionType::Boolean,
    "Whether an INSERT needs ON CONFLICT if the query's upsert key differs from the sink's primary key.",
)
.with_default("true");
const DYNAMIC_TABLE_OPTIONS: OptionDecl = OptionDecl::new(
    "table.dynamic-table-options.enabled",
    OptionType::Boolean,
    "Whether OPTIONS hints are allowed.",
)
.with_default("true");
const MINI_BATCH: OptionDecl = OptionDecl::new(
    "table.exec.mini-batch.enabled",
    OptionType::Boolean,
    "Whether aggregations wait for a mini-batch of rows, so that the changes of a group within it fold into one.",
)
.with_default("false");
const MINI_BATCH_LATENCY: OptionDecl = OptionDecl::new(
    "table.exec.mini-batch.allow-latency",
    OptionType::Duration,
    "Time for which a row may wait for its mini-batch. It must be positive if mini-batches are enabled.",
)
.with_default("0 ms");
const MINI_BATCH_SIZE: OptionDecl = OptionDecl::new(
    "table.exec.mini-batch.size",
    OptionType::Int,
    "Rows of a mini-batch. It must be positive if mini-batches are enabled and the query aggregates.",
)
.with_default("-1");
const LEGACY_CAST: OptionDecl = OptionDecl::new(
    "table.exec.legacy-cast-behaviour",
    OptionType::Enum(&["ENABLED", "DISABLED"]),
    "Whether CAST returns NULL for a value that cannot be cast, as before Flink 1.15.",
)
.with_default("DISABLED");

/// Configuration keys that planning reads.
pub const OPTIONS: &[OptionDecl] = &[
    RUNTIME_MODE,
    LOCAL_TIME_ZONE,
    DYNAMIC_TABLE_OPTIONS,
    STATE_TTL,
    IDLE_TIMEOUT,
    CDC_EVENTS_DUPLICATE,
    NOT_NULL_ENFORCER,
    LENGTH_ENFORCER,
    UPSERT_MATERIALIZE,
    REQUIRE_ON_CONFLICT,
    MINI_BATCH,
    MINI_BATCH_LATENCY,
    MINI_BATCH_SIZE,
    LEGACY_CAST,
    WATERMARK_INTERVAL,
];

/// The zone used if the session does not name the machine's.
const DEFAULT_ZONE: &str = "UTC";

/// The settings that planning reads.
#[derive(Clone)]
pub struct PlannerConfig {
    pub options: Options,
    /// `execution.runtime-mode`: `false` is batch.
    pub streaming: bool,
    pub state_ttl_ms: i64,
    pub watermark_interval_ms: i64,
    pub idle_timeout_ms: i64,
    pub cdc_events_duplicate: bool,
    pub not_null_drop: bool,
    pub length_enforcer: LengthEnforcer,
    pub upsert_materialize: UpsertMaterialize,
    pub require_on_conflict: bool,
    pub dynamic_table_options: bool,
    /// `table.exec.mini-batch.size`, if mini-batches are enabled.
    pub mini_batch_size: Option<i64>,
    /// The parallelism that EXPLAIN shows; the session provides the number of cores.
    pub parallelism: usize,
    /// The environment of constant folding. Its clock and randomness are never used.
    pub environment: Environment,
}

impl std::fmt::Debug for PlannerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlannerConfig")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// `table.exec.sink.upsert-materialize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpsertMaterialize {
    None,
    Auto,
    Force,
}

impl PlannerConfig {
    pub fn new(options: &Options) -> SqlResult<Self> {
        let reader = Reader { options };
        let streaming = reader.word(&RUNTIME_MODE)? != "BATCH";
        Ok(Self {
            streaming,
            state_ttl_ms: reader.duration_ms(&STATE_TTL)?,
            watermark_interval_ms: reader.duration_ms(&WATERMARK_INTERVAL)?,
            idle_timeout_ms: reader.duration_ms(&IDLE_TIMEOUT)?,
            cdc_events_duplicate: reader.boolean(&CDC_EVENTS_DUPLICATE)?,
            not_null_drop: reader.word(&NOT_NULL_ENFORCER)? == "DROP",
            length_enforcer: match reader.word(&LENGTH_ENFORCER)? {
                "TRIM_PAD" => LengthEnforcer::TrimPad,
                "ERROR" => LengthEnforcer::Error,
                _ => LengthEnforcer::Ignore,
            },
            upsert_materialize: match reader.word(&UPSERT_MATERIALIZE)? {
                "NONE" => UpsertMaterialize::None,
                "FORCE" => UpsertMaterialize::Force,
                _ => UpsertMaterialize::Auto,
            },
            require_on_conflict: reader.boolean(&REQUIRE_ON_CONFLICT)?,
            dynamic_table_options: reader.boolean(&DYNAMIC_TABLE_OPTIONS)?,
            mini_batch_size: reader.mini_batch_size(streaming)?,
            parallelism: parallelism(options),
            environment: environment(options, streaming)?,
            options: options.clone(),
        })
    }
}

/// The first of Flink's two parallelism keys that is set.
fn parallelism(options: &Options) -> usize {
    ["table.exec.resource.default-parallelism", "parallelism.default"]
        .iter()
        .filter_map(|key| options.get(*key)?.trim().parse().ok())
        .find(|instances| *instances > 0)
        .unwrap_or(1)
}

fn environment(options: &Options, streaming: bool) -> SqlResult<Environment> {
    let name = match options.get(LOCAL_TIME_ZONE.key).map(String::as_str) {
        None | Some("default") => DEFAULT_ZONE,
        Some(name) => name,
    };
    let zone = session_zone(name).map_err(|e| {
        SqlError::new(e.to_string())
            .with_code(ErrorCode::InvalidSetting)
            .with_hint("SET 'table.local-time-zone' = 'Europe/Berlin'")
    })?;
    Ok(Environment {
        zone,
        zone_name: name.into(),
        now_ms: 0,
        watermark_ms: None,
        rng: Arc::new(SeededRng::new(0)),
        legacy_cast: options
            .get(LEGACY_CAST.key)
            .is_some_and(|v| v.eq_ignore_ascii_case("enabled")),
        current_database: "".into(),
        streaming,
    })
}

struct Reader<'a> {
    options: &'a Options,
}

impl Reader<'_> {
    fn text(&self, option: &OptionDecl) -> &str {
        let set = self.options.get(option.key).map(String::as_str);
        set.or(option.default).unwrap_or_default()
    }

    fn boolean(&self, option: &OptionDecl) -> SqlResult<bool> {
        let text = self.text(option);
        parse_boolean(text).ok_or_else(|| wrong(option.key, text, "true or false"))
    }

    fn duration_ms(&self, option: &OptionDecl) -> SqlResult<i64> {
        let text = self.text(option);
        let duration: Duration =
            parse_duration(text).ok_or_else(|| wrong(option.key, text, "a duration such as '10 s'"))?;
        Ok(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }

    fn mini_batch_size(&self, streaming: bool) -> SqlResult<Option<i64>> {
        if !streaming || !self.boolean(&MINI_BATCH)? {
            return Ok(None);
        }
        if self.duration_ms(&MINI_BATCH_LATENCY)? <= 0 {
            let message = "MiniBatch Latency must be greater than 0 ms";
            return Err(SqlError::new(message)
                .with_code(ErrorCode::InvalidSetting)
                .with_hint("SET 'table.exec.mini-batch.allow-latency' = '1 s'"));
        }
        let text = self.text(&MINI_BATCH_SIZE);
        let size = text.trim().parse();
        size.map(Some)
            .map_err(|_| wrong(MINI_BATCH_SIZE.key, text, "a number of rows"))
    }

    /// The declared word that the text means; `-` matches `_`.
    fn word(&self, option: &OptionDecl) -> SqlResult<&'static str> {
        let OptionType::Enum(words) = option.ty else {
            return Ok("");
        };
        let text = self.text(option);
        let meant = text.trim().replace('-', "_");
        let found = words.iter().find(|word| word.eq_ignore_ascii_case(&meant));
        found
            .copied()
            .ok_or_else(|| wrong(option.key, text, &format!("one of {}", words.join(", "))))
    }
}

fn wrong(key: &str, value: &str, expected: &str) -> SqlError {
    SqlError::new(format!("could not parse value '{value}' for key '{key}'"))
        .with_code(ErrorCode::InvalidSetting)
        .with_hint(format!("SET it to {expected}, or RESET '{key}'"))
}
