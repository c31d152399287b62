//! Progress of running jobs: a block of lines on a terminal, otherwise an occasional log line.

use std::collections::VecDeque;
use std::io::{IsTerminal, stderr, stdout};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use millstream_session::{JobHandle, JobStatus};
use millstream_types::calendar::civil_from_days;
use millstream_types::{Clock, SystemClock};
use serde_json::{Map, Value};

use super::notices::Notices;
use super::statement::Interrupt;
use crate::args::Common;
use crate::logging;

/// Interval at which jobs are polled.
pub const LOOK: Duration = Duration::from_millis(200);
/// Polls per line without a terminal: 10 s.
const LOOKS_PER_LINE: u32 = 50;
/// Polls over which a terminal's records per second are averaged: 2 s.
const LOOKS_PER_RATE: usize = 10;

const MS_PER_DAY: i64 = 86_400_000;

/// Why following the jobs ended.
pub enum Followed {
    /// All jobs ended successfully.
    Ended,
    /// The job at this position failed; the others continue.
    Failed(usize),
    Interrupted,
}

/// Shows progress until all jobs have ended, one has failed, or Ctrl-C.
pub fn follow(jobs: &[JobHandle], interrupt: &Interrupt, common: &Common) -> Followed {
    let mut display = Display::new(jobs, common.quiet);
    loop {
        if let Some(running) = jobs.iter().find(|job| !job.status().is_terminal()) {
            running.wait(LOOK);
        }
        let failed = jobs.iter().position(|job| job.status() == JobStatus::Failed);
        let all_ended = jobs.iter().all(|job| job.status().is_terminal());
        let followed = match failed {
            Some(position) => Followed::Failed(position),
            None if all_ended => Followed::Ended,
            None if interrupt.is_set() => Followed::Interrupted,
            None => {
                display.look(jobs);
                continue;
            }
        };
        display.clear();
        return followed;
    }
}

/// Where progress is shown.
struct Display {
    block: MultiProgress,
    bars: Vec<ProgressBar>,
    lines: bool,
    looks: u32,
    /// Earlier figures of each job.
    seen: Vec<VecDeque<Figures>>,
    notices: Vec<Notices>,
}

impl Display {
    fn new(jobs: &[JobHandle], quiet: bool) -> Self {
        let is_terminal = stderr().is_terminal() && stdout().is_terminal() && !logging::is_json();
        let block = MultiProgress::new();
        let bars = if is_terminal && !quiet {
            logging::write_above(Some(block.clone()));
            jobs.iter().map(|_| block.add(bar())).collect()
        } else {
            Vec::new()
        };
        Self {
            block,
            bars,
            lines: !is_terminal && !quiet,
            looks: 0,
            seen: vec![VecDeque::new(); jobs.len()],
            notices: jobs.iter().map(|_| Notices::default()).collect(),
        }
    }

    fn look(&mut self, jobs: &[JobHandle]) {
        self.looks += 1;
        let elapsed = LOOK * self.looks;
        for (job, notices) in jobs.iter().zip(&mut self.notices) {
            let news = notices.look(job, elapsed);
            if self.lines {
                for text in news {
                    logging::report(&format!("{}: {text}", job.name()), subject(job));
                }
            }
        }
        let bars = self.bars.iter().zip(&self.notices);
        for (job, ((bar, notices), seen)) in jobs.iter().zip(bars.zip(&mut self.seen)) {
            let now = Figures::of(job);
            seen.push_back(now);
            let looks = u32::try_from(seen.len() - 1).unwrap_or(1);
            let texts = texts(&now, seen.front().unwrap_or(&now), LOOK * looks);
            let mut message = format!("{} {}: {}", job.name(), job.status().name(), texts.join("\n    "));
            for notice in notices.now() {
                message.push_str("\n    ");
                message.push_str(&notice);
            }
            bar.set_message(message);
            bar.tick();
            if seen.len() > LOOKS_PER_RATE {
                seen.pop_front();
            }
        }
        if self.lines && self.looks.is_multiple_of(LOOKS_PER_LINE) {
            for (job, seen) in jobs.iter().zip(&mut self.seen) {
                let now = Figures::of(job);
                let before = seen.pop_front().unwrap_or_default();
                seen.push_back(now);
                let mut fields = subject(job);
                fields.extend(now.fields(&before, LOOK * LOOKS_PER_LINE));
                logging::report(&line(job, &now, &before, LOOK * LOOKS_PER_LINE), fields);
            }
        }
    }

    fn clear(&self) {
        self.bars.iter().for_each(ProgressBar::finish_and_clear);
        // Clearing the bars one by one leaves lines of those that have several.
        let _ = self.block.clear();
        logging::write_above(None);
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    match ProgressStyle::with_template("{spinner} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A job's figures at one moment.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Figures {
    read: u64,
    written: u64,
    /// Records not yet read by the sources, if they know.
    lag: Option<u64>,
    /// The watermark that has reached every sink, if any.
    watermark: Option<i64>,
    state_bytes: u64,
    checkpoint: Option<u64>,
    restarts: u32,
    now_ms: i64,
}

impl Figures {
    fn of(job: &JobHandle) -> Self {
        let metrics = job.metrics();
        let vertices = job.vertices();
        let checkpoint = job.checkpoints().latest_completed().map(|c| c.id);
        let mut figures = Self {
            checkpoint,
            restarts: job.restarts(),
            now_ms: SystemClock.now_ms(),
            ..Self::default()
        };
        let mut watermark = i64::MAX;
        for (vertex, info) in vertices.iter().enumerate() {
            let is_sink = !vertices.iter().any(|other| other.inputs.contains(&vertex));
            for operator in metrics.of_vertex(vertex) {
                figures.state_bytes += operator.state_bytes.load(Relaxed);
                if info.inputs.is_empty() {
                    figures.read += operator.records_out.load(Relaxed);
                    let pending = operator.pending_records();
                    figures.lag = figures
                        .lag
                        .map_or(pending, |lag| Some(lag + pending.unwrap_or(0)));
                }
                if is_sink {
                    figures.written += operator.records_in.load(Relaxed);
                    watermark = watermark.min(operator.input_watermark.load(Relaxed));
                }
            }
        }
        figures.watermark = Some(watermark).filter(|ms| *ms > i64::MIN && *ms < i64::MAX);
        figures
    }

    fn watermark_delay_ms(&self) -> Option<i64> {
        self.watermark
            .map(|watermark| self.now_ms.saturating_sub(watermark))
    }

    /// For programs: what is not known is null.
    fn fields(&self, before: &Self, elapsed: Duration) -> Map<String, Value> {
        let fields = [
            ("records_read", self.read.into()),
            (
                "records_read_per_second",
                per_second(self.read, before.read, elapsed).into(),
            ),
            ("records_written", self.written.into()),
            (
                "records_written_per_second",
                per_second(self.written, before.written, elapsed).into(),
            ),
            ("lag", self.lag.into()),
            ("watermark_ms", self.watermark.into()),
            ("watermark_delay_ms", self.watermark_delay_ms().into()),
            ("state_bytes", self.state_bytes.into()),
            ("checkpoint", self.checkpoint.into()),
            ("restarts", self.restarts.into()),
        ];
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect()
    }
}

/// Which job an event is about.
pub fn subject(job: &JobHandle) -> Map<String, Value> {
    let fields = [
        ("job", job.name().into()),
        ("job_id", job.id().to_string().into()),
        ("status", job.status().name().into()),
    ];
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

fn line(job: &JobHandle, now: &Figures, before: &Figures, elapsed: Duration) -> String {
    let texts = texts(now, before, elapsed);
    format!("{} {}: {}", job.name(), job.status().name(), texts.join(", "))
}

/// What flows through a job, and how it stands: two lines that fit on a terminal.
fn texts(now: &Figures, before: &Figures, elapsed: Duration) -> [String; 2] {
    let rate = |now: u64, before: u64| grouped(per_second(now, before, elapsed));
    let mut flow = vec![
        format!("read {} ({}/s)", grouped(now.read), rate(now.read, before.read)),
        format!(
            "written {} ({}/s)",
            grouped(now.written),
            rate(now.written, before.written)
        ),
    ];
    flow.extend(now.lag.map(|records| format!("lag {}", grouped(records))));
    let mut stand = Vec::new();
    if let (Some(watermark), Some(delay)) = (now.watermark, now.watermark_delay_ms()) {
        stand.push(format!("watermark {} ({})", timestamp(watermark), behind(delay)));
    }
    stand.push(format!("state {}", bytes(now.state_bytes)));
    stand.push(
        now.checkpoint
            .map_or_else(|| "no checkpoint".to_owned(), |id| format!("checkpoint {id}")),
    );
    if now.restarts > 0 {
        stand.push(format!("restarts {}", now.restarts));
    }
    [flow.join(", "), stand.join(", ")]
}

/// How far a watermark is from the time of day, in a unit that keeps the number readable.
fn behind(delay_ms: i64) -> String {
    let units = [("d", MS_PER_DAY), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)];
    let delay = delay_ms.unsigned_abs();
    let text = match units.iter().find(|(_, ms)| delay >= ms.unsigned_abs() * 2) {
        Some((unit, ms)) => format!("{} {unit}", grouped(delay / ms.unsigned_abs())),
        None => format!("{delay} ms"),
    };
    let side = if delay_ms < 0 { "ahead" } else { "behind" };
    format!("{text} {side}")
}

fn per_second(now: u64, before: u64, elapsed: Duration) -> u64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 {
        (now.saturating_sub(before) as f64 / seconds).round() as u64
    } else {
        0
    }
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in a unit that keeps the number readable.
fn bytes(count: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    if count < 1_000 {
        return format!("{count} B");
    }
    let (mut value, mut unit) = (count as f64 / 1_000.0, 0);
    while value >= 1_000.0 && unit + 1 < units.len() {
        value /= 1_000.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// Milliseconds since the epoch as local time.
fn timestamp(ms: i64) -> String {
    let (year, month, day) = civil_from_days(ms.div_euclid(MS_PER_DAY));
    let seconds = ms.rem_euclid(MS_PER_DAY) / 1_000;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_of_watermarks_have_readable_units() {
        for (delay_ms, text) in [
            (0, "0 ms behind"),
            (1_999, "1999 ms behind"),
            (119_000, "119 s behind"),
            (120_000, "2 min behind"),
            (-7_200_000, "2 h ahead"),
            (13 * 365 * MS_PER_DAY, "4,745 d behind"),
        ] {
            assert_eq!(behind(delay_ms), text);
        }
    }

    #[test]
    fn figures_in_two_lines() {
        let before = Figures {
            read: 1_000_000,
            written: 10,
            ..Figures::default()
        };
        let now = Figures {
            read: 1_234_567,
            written: 30,
            lag: Some(12_000),
            watermark: Some(1_357_016_523_999),
            state_bytes: 2_500_000,
            checkpoint: Some(12),
            restarts: 3,
            now_ms: 1_357_016_529_000,
        };
        assert_eq!(
            texts(&now, &before, Duration::from_secs(2)),
            [
                "read 1,234,567 (117,284/s), written 30 (10/s), lag 12,000",
                "watermark 2013-01-01 05:02:03 (5 s behind), state 2.5 MB, checkpoint 12, restarts 3"
            ]
        );
        let fields = now.fields(&before, Duration::from_secs(2));
        assert_eq!(fields["records_read_per_second"], 117_284);
        assert_eq!(fields["watermark_delay_ms"], 5_001);
        let nothing = Figures::default();
        assert_eq!(
            texts(&nothing, &nothing, Duration::ZERO),
            ["read 0 (0/s), written 0 (0/s)", "state 0 B, no checkpoint"]
        );
        assert_eq!(nothing.fields(&nothing, Duration::ZERO)["lag"], Value::Null);
    }
}
