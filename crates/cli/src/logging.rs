//! Logging to standard error, as text or JSON. The newest lines are kept for the server's REST API.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use indicatif::MultiProgress;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use millstream_server::lines::LastLines;
use millstream_types::{Clock, SystemClock};
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// `--log-format`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Readable lines
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// The format of this process's log.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();
/// What is drawn at the bottom of the terminal.
static BLOCK: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Whether the log, and with it what a running script reports, is for programs.
pub fn is_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// Writes log lines above a block of progress from now on, so that they do not tear it.
pub fn write_above(block: Option<MultiProgress>) {
    *BLOCK.lock().unwrap_or_else(PoisonError::into_inner) = block;
}

/// Reports what a script does: a line of text, or with `--log-format json` an event with these fields. Both go to standard
/// error. A closed standard error must not fail the job.
pub fn report(text: &str, mut fields: Map<String, Value>) {
    if !is_json() {
        let _ = writeln!(io::stderr(), "{text}");
        return;
    }
    fields.insert("message".to_owned(), text.into());
    let _ = writeln!(io::stderr(), "{}", json_event("INFO", fields, "millstream"));
}

/// An event of `--log-format json`, from the log or from [`report`].
fn json_event(level: &str, fields: Map<String, Value>, target: &str) -> Value {
    let time = Timestamp::from_millisecond(SystemClock.now_ms()).unwrap_or_default();
    json!({"timestamp": format!("{time:.3}"), "level": level, "fields": fields, "target": target})
}

/// The newest log lines of the process.
pub fn last_lines() -> Arc<LastLines> {
    static LINES: OnceLock<Arc<LastLines>> = OnceLock::new();
    Arc::clone(LINES.get_or_init(Arc::default))
}

/// Starts logging. An invalid filter is reported and replaced by the default. Only terminals get colours.
pub fn start(filter: &str, format: LogFormat) {
    let _ = FORMAT.set(format);
    let parsed = EnvFilter::try_new(filter).unwrap_or_else(|error| {
        eprintln!("warning: --log '{filter}' is not a log filter ({error}); using warn");
        EnvFilter::new("warn")
    });
    let colors = std::env::var_os("NO_COLOR").is_none() && io::stderr().is_terminal();
    // Which module logged matters to those who look for a defect, and not to those who run the program.
    let is_for_developers = parsed.max_level_hint() >= Some(LevelFilter::DEBUG);
    let log = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_ansi(colors && format == LogFormat::Text)
        .with_writer(Tee);
    match format {
        LogFormat::Text => log.with_timer(LocalTime).with_target(is_for_developers).init(),
        LogFormat::Json => log.event_format(JsonLines).init(),
    }
}

/// The time of day where the machine stands, to the millisecond, with the date.
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        let now = Timestamp::from_millisecond(SystemClock.now_ms()).map_err(|_| std::fmt::Error)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "a log for people shows the local time of its machine"
        )]
        let zone = TimeZone::system();
        write_local(writer, &now.to_zoned(zone))
    }
}

fn write_local(writer: &mut dyn std::fmt::Write, now: &Zoned) -> std::fmt::Result {
    write!(writer, "{}", now.strftime("%Y-%m-%d %H:%M:%S%.3f"))
}

/// Formats log events as [`json_event`] does.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut fields = JsonFields(Map::new());
        event.record(&mut fields);
        let metadata = event.metadata();
        let line = json_event(metadata.level().as_str(), fields.0, metadata.target());
        writeln!(writer, "{line}")
    }
}

/// The fields of an event; what is neither a number nor a boolean becomes text.
struct JsonFields(Map<String, Value>);

impl JsonFields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        // A field that is a keyword of Rust (`r#type`) is logged under the keyword.
        let name = field.name();
        self.0
            .insert(name.strip_prefix("r#").unwrap_or(name).to_owned(), value.into());
    }
}

impl Visit for JsonFields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.insert(field, value),
            Err(_) => self.insert(field, value.to_string()),
        }
    }
}

/// Writes to standard error and to [`last_lines`].
struct Tee;

impl<'a> MakeWriter<'a> for Tee {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(Vec::new())
    }
}

/// One log event.
struct Line(Vec<u8>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // If the log cannot be written, there is nowhere to report it.
        let write = || {
            let _ = io::stderr().write_all(&self.0);
        };
        match BLOCK.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(block) => block.suspend(write),
            None => write(),
        }
        let text = String::from_utf8_lossy(&self.0);
        text.lines().for_each(|line| last_lines().push(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local_with_milliseconds() {
        let zone = TimeZone::get("Asia/Tokyo").expect("is bundled");
        let at = Timestamp::from_millisecond(1_704_067_200_007).expect("is in range");
        let mut text = String::new();
        write_local(&mut text, &at.to_zoned(zone)).expect("a string takes everything");
        assert_eq!(text, "2024-01-01 09:00:00.007");
    }

    #[test]
    fn events_of_the_log_and_of_reports_have_one_form() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        let log = tracing_subscriber::fmt()
            .event_format(JsonLines)
            .with_writer(move || Shared(Arc::clone(&writer)))
            .finish();
        tracing::subscriber::with_default(log, || {
            tracing::warn!(timeout_ms = 5u128, r#type = "a", rows = -1, "it is {}", "late");
        });
        let text = String::from_utf8(lines.lock().expect("no test panics with it").clone());
        let logged: Value = serde_json::from_str(&text.expect("is UTF-8")).expect("is JSON");
        let fields = json!({"message": "it is late", "timeout_ms": 5, "type": "a", "rows": -1});
        assert_eq!(logged["fields"], fields);
        assert_eq!(logged["level"], "WARN");
        let reported = json_event("INFO", Map::new(), "millstream");
        let keys = |event: &Value| -> Vec<String> {
            let object = event.as_object().expect("is an object");
            object.keys().cloned().collect()
        };
        assert_eq!(keys(&logged), keys(&reported));
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no test panics with it").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn modules_are_shown_from_debug_on() {
        for (filter, shown) in [
            ("warn", false),
            ("info", false),
            ("debug", true),
            ("warn,millstream_jobs=trace", true),
        ] {
            let parsed = EnvFilter::try_new(filter).expect("is a filter");
            assert_eq!(
                parsed.max_level_hint() >= Some(LevelFilter::DEBUG),
                shown,
                "{filter}"
            );
        }
    }
}
