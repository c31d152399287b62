//! The log: on standard error, as text or JSON, with its newest lines kept for the server's REST API.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, OnceLock};

use millstream_server::lines::LastLines;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// `--log-format`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// A line for a person
    #[default]
    Text,
    /// A JSON object a line, for programs
    Json,
}

/// The newest lines of the process's log.
pub fn last_lines() -> Arc<LastLines> {
    static LINES: OnceLock<Arc<LastLines>> = OnceLock::new();
    Arc::clone(LINES.get_or_init(Arc::default))
}

/// Starts to log. A filter that cannot be read is reported and replaced. Colours are for terminals only.
pub fn start(filter: &str, format: LogFormat) {
    let parsed = EnvFilter::try_new(filter).unwrap_or_else(|error| {
        eprintln!("warning: --log '{filter}' is no log filter ({error}); using warn");
        EnvFilter::new("warn")
    });
    let colors = std::env::var_os("NO_COLOR").is_none() && io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_ansi(colors && format == LogFormat::Text)
        .with_writer(Tee);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
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

/// One event of the log.
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
        // There is nowhere to report that the log cannot be written.
        let _ = io::stderr().write_all(&self.0);
        let text = String::from_utf8_lossy(&self.0);
        text.lines().for_each(|line| last_lines().push(line));
    }
}
