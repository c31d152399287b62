//! The session configuration, as far as planning depends on it: parsed once, with defaults, so that a wrong value is
//! reported by name.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::{Offset, TimeZone};
use millstream_functions::Environment;
use millstream_plan::node::LengthEnforcer;
use millstream_types::options::{parse_boolean, parse_duration};
use millstream_types::{Options, SeededRng};

use super::error::{SqlError, SqlResult};

/// Milliseconds between watermarks unless `pipeline.auto-watermark-interval` says otherwise.
const WATERMARK_INTERVAL_MS_DEFAULT: i64 = 200;

/// The session's zone unless it is set.
const DEFAULT_ZONE: &str = "UTC";

/// What planning reads from the configuration.
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
    pub mini_batch: bool,
    /// What constant folding knows of the session; its clock and its randomness are never asked.
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
        let streaming = !reader
            .word(
                "execution.runtime-mode",
                "streaming",
                &["streaming", "batch", "automatic"],
            )?
            .eq("batch");
        let not_null = reader.word("table.exec.sink.not-null-enforcer", "error", &["error", "drop"])?;
        let length = reader.word(
            "table.exec.sink.type-length-enforcer",
            "ignore",
            &["ignore", "trim_pad", "error"],
        )?;
        let materialize = reader.word(
            "table.exec.sink.upsert-materialize",
            "auto",
            &["none", "auto", "force"],
        )?;
        let interval =
            reader.duration_ms("pipeline.auto-watermark-interval", WATERMARK_INTERVAL_MS_DEFAULT)?;
        Ok(Self {
            streaming,
            state_ttl_ms: reader.duration_ms("table.exec.state.ttl", 0)?,
            watermark_interval_ms: interval,
            idle_timeout_ms: reader.duration_ms("table.exec.source.idle-timeout", 0)?,
            cdc_events_duplicate: reader.boolean("table.exec.source.cdc-events-duplicate", false)?,
            not_null_drop: not_null == "drop",
            length_enforcer: match length.as_str() {
                "trim_pad" => LengthEnforcer::TrimPad,
                "error" => LengthEnforcer::Error,
                _ => LengthEnforcer::Ignore,
            },
            upsert_materialize: match materialize.as_str() {
                "none" => UpsertMaterialize::None,
                "force" => UpsertMaterialize::Force,
                _ => UpsertMaterialize::Auto,
            },
            require_on_conflict: reader.boolean("table.exec.sink.require-on-conflict", true)?,
            dynamic_table_options: reader.boolean("table.dynamic-table-options.enabled", true)?,
            mini_batch: reader.boolean("table.exec.mini-batch.enabled", false)?,
            environment: environment(options, streaming)?,
            options: options.clone(),
        })
    }
}

fn environment(options: &Options, streaming: bool) -> SqlResult<Environment> {
    let name = options
        .get("table.local-time-zone")
        .map_or(DEFAULT_ZONE, String::as_str);
    let name = if name == "default" { DEFAULT_ZONE } else { name };
    let zone = zone(name).ok_or_else(|| {
        SqlError::new(format!("the supported time zone is a full name such as 'America/Los_Angeles' or a custom one such as 'GMT-08:00', found '{name}'"))
            .with_hint("SET 'table.local-time-zone' = 'Europe/Berlin'")
    })?;
    Ok(Environment {
        zone,
        zone_name: name.into(),
        now_ms: 0,
        watermark_ms: None,
        rng: Arc::new(SeededRng::new(0)),
        legacy_cast: options
            .get("table.exec.legacy-cast-behaviour")
            .is_some_and(|v| v.eq_ignore_ascii_case("enabled")),
        current_database: "".into(),
        streaming,
    })
}

/// A zone by its full name, or an offset as `GMT-08:00` or `UTC+1`.
fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" || name == "GMT" {
        return Some(TimeZone::UTC);
    }
    if let Some(offset) = name.strip_prefix("GMT").or_else(|| name.strip_prefix("UTC")) {
        let (sign, digits) = match offset.as_bytes().first()? {
            b'+' => (1, &offset[1..]),
            b'-' => (-1, &offset[1..]),
            _ => return None,
        };
        let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "0"));
        let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
        let in_range = hours <= 18 && minutes < 60;
        let seconds = sign * (hours * 3600 + minutes * 60);
        return in_range
            .then(|| Offset::from_seconds(seconds).ok().map(TimeZone::fixed))
            .flatten();
    }
    // Abbreviations and bare offsets are refused, as in Flink.
    if !name.contains('/') {
        return None;
    }
    TimeZone::get(name).ok()
}

struct Reader<'a> {
    options: &'a Options,
}

impl Reader<'_> {
    fn boolean(&self, key: &str, default: bool) -> SqlResult<bool> {
        let Some(text) = self.options.get(key) else {
            return Ok(default);
        };
        parse_boolean(text).ok_or_else(|| wrong(key, text, "true or false"))
    }

    fn duration_ms(&self, key: &str, default: i64) -> SqlResult<i64> {
        let Some(text) = self.options.get(key) else {
            return Ok(default);
        };
        let duration: Duration =
            parse_duration(text).ok_or_else(|| wrong(key, text, "a duration such as '10 s'"))?;
        Ok(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }

    fn word(&self, key: &str, default: &str, words: &[&str]) -> SqlResult<String> {
        let Some(text) = self.options.get(key) else {
            return Ok(default.to_owned());
        };
        let lower = text.trim().to_lowercase().replace('-', "_");
        if words.contains(&lower.as_str()) {
            return Ok(lower);
        }
        let expected = format!("one of {}", words.join(", "));
        Err(wrong(
            key,
            text,
            &format!("{expected}: Could not parse value for enum class"),
        ))
    }
}

fn wrong(key: &str, value: &str, expected: &str) -> SqlError {
    SqlError::new(format!(
        "could not parse value '{value}' for key '{key}': expected {expected}"
    ))
    .with_hint(format!("set another value, or RESET '{key}'"))
}
