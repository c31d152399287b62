//! Logging to standard error, as text or JSON. The newest lines are kept for the server's REST API.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use indicatif::MultiProgress;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use millstream_server::lines::LastLines;
use millstream_types::{Clock, SystemClock};
use serde_json::{Map, Value, json};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

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
    let time = Timestamp::from_millisecond(SystemClock.now_ms()).unwrap_or_default();
    let event =
        json!({"timestamp": time.to_string(), "level": "INFO", "fields": fields, "target": "millstream"});
    let _ = writeln!(io::stderr(), "{event}");
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
        LogFormat::Json => log.json().init(),
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
