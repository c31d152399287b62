//! How long the disk takes to keep a write: the least that an acknowledgement of the broker here can take.

use std::io::Write;
use std::path::Path;

use crate::bench::report::{Figures, Report};
use crate::bench::stopwatch::Started;

/// Writes that are timed.
const WRITES: usize = 500;
/// Bytes of a write: some batches of small records.
const WRITE_BYTES: usize = 16 << 10;

/// Appends to a file beside the binary, as the write-ahead log does.
pub fn run(binary: &Path, report: &mut Report) -> anyhow::Result<()> {
    let directory = binary.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::tempfile_in(directory)?;
    let bytes = vec![b'x'; WRITE_BYTES];
    let mut times = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let started = Started::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        times.push(started.seconds() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let figures = Figures::of(format!("append {} KiB and fdatasync", WRITE_BYTES >> 10))
        .number("p50_ms", times[WRITES / 2])
        .number("p99_ms", times[WRITES * 99 / 100])
        .number("max_ms", times[WRITES - 1]);
    report.add("broker-disk", figures)
}
