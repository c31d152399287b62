//! Values made of numbers: Flink's `DataGeneratorSource`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::data::Data;
use crate::error::{Error, Result};
use crate::source::{Boundedness, ReaderOutput, ReaderStatus, SequenceSplit, Source, SplitReader};

/// A reader that could not emit for a while makes up for this much of it at once, as Flink's rate limiter does.
const BURST_MS: f64 = 1_000.0;
const MS_PER_SECOND: f64 = 1_000.0;

/// Makes values of the numbers from 0 on, as many as are asked for, at a limited rate if one is set. A restart goes back to
/// the numbers of the checkpoint.
///
/// ```
/// # use millstream_datastream::source::DataGeneratorSource;
/// let source = DataGeneratorSource::new(|n| format!("Number: {n}"), 1_000)?.rate_per_second(100.0)?;
/// # Ok::<(), millstream_datastream::Error>(())
/// ```
pub struct DataGeneratorSource<T> {
    make: Arc<dyn Fn(i64) -> T + Send + Sync>,
    count: i64,
    per_second: Option<f64>,
    splits: i64,
}

impl<T> Clone for DataGeneratorSource<T> {
    fn clone(&self) -> Self {
        Self {
            make: Arc::clone(&self.make),
            ..*self
        }
    }
}

impl<T> DataGeneratorSource<T> {
    /// `count` values; `i64::MAX` for a source that practically never ends. Fails if the count is negative.
    pub fn new(make: impl Fn(i64) -> T + Send + Sync + 'static, count: i64) -> Result<Self> {
        if count < 0 {
            return Err(Error::input(format!("a generator cannot make {count} values")));
        }
        Ok(Self {
            make: Arc::new(make),
            count,
            per_second: None,
            splits: 1,
        })
    }

    /// Values per second, of all instances together (`RateLimiterStrategy.perSecond`). Fails unless it is positive.
    pub fn rate_per_second(mut self, values: f64) -> Result<Self> {
        if !(values.is_finite() && values > 0.0) {
            return Err(Error::input(format!(
                "a rate of {values} values per second is not positive"
            )));
        }
        self.per_second = Some(values);
        Ok(self)
    }

    /// Shares the numbers out over this many splits, and so over as many instances at most; one unless set. Within a split
    /// they are in order.
    pub fn split_into(mut self, splits: usize) -> Self {
        self.splits = i64::try_from(splits).unwrap_or(i64::MAX).max(1);
        self
    }
}

impl<T: Data> Source for DataGeneratorSource<T> {
    type Item = T;
    type Split = SequenceSplit;
    type Reader = DataGeneratorReader<T>;

    fn name(&self) -> String {
        "Data Generator Source".to_owned()
    }

    fn boundedness(&self) -> Boundedness {
        if self.count == i64::MAX {
            Boundedness::ContinuousUnbounded
        } else {
            Boundedness::Bounded
        }
    }

    fn splits(&self) -> Result<Vec<SequenceSplit>> {
        Ok((0..self.splits)
            .map(|part| SequenceSplit::new(0, part, self.splits))
            .collect())
    }

    fn discovers_splits(&self) -> bool {
        false
    }

    fn split_id(&self, split: &SequenceSplit) -> String {
        split.id()
    }

    fn create_reader(&self) -> Result<DataGeneratorReader<T>> {
        Ok(DataGeneratorReader {
            source: self.clone(),
            splits: VecDeque::new(),
            next_ms: None,
        })
    }
}

/// Reads a [`DataGeneratorSource`].
pub struct DataGeneratorReader<T> {
    source: DataGeneratorSource<T>,
    splits: VecDeque<SequenceSplit>,
    /// When the next value may be made.
    next_ms: Option<f64>,
}

impl<T> DataGeneratorReader<T> {
    /// Values that may be made now. With a rate, also the time between two of them.
    fn allowance(&mut self, now_ms: i64, room: usize) -> (usize, Option<f64>) {
        let Some(per_second) = self.source.per_second else {
            return (room, None);
        };
        let share = self.splits.len() as f64 / self.source.splits as f64;
        let interval_ms = MS_PER_SECOND / (per_second * share);
        let now_ms = now_ms as f64;
        let next_ms = self.next_ms.unwrap_or(now_ms).max(now_ms - BURST_MS);
        self.next_ms = Some(next_ms);
        let due = ((now_ms - next_ms) / interval_ms).floor() + 1.0;
        let due = if next_ms > now_ms { 0 } else { due as usize };
        (due.min(room), Some(interval_ms))
    }
}

impl<T: Data> SplitReader<T, SequenceSplit> for DataGeneratorReader<T> {
    fn add_split(&mut self, split: SequenceSplit) -> Result<()> {
        self.splits.push_back(split);
        Ok(())
    }

    fn poll(&mut self, out: &mut ReaderOutput<T>) -> Result<ReaderStatus> {
        if self.splits.is_empty() {
            return Ok(ReaderStatus::Finished);
        }
        let (mut left, interval_ms) = self.allowance(out.current_processing_time(), out.room());
        // In turns, so that splits keep pace with each other.
        let turn = left.div_ceil(self.splits.len()).max(1);
        while left > 0 {
            let Some(mut split) = self.splits.pop_front() else {
                break;
            };
            let id = split.id();
            for _ in 0..turn.min(left) {
                let Some(number) = split.take_below(self.source.count) else {
                    break;
                };
                out.collect(&id, (self.source.make)(number));
                left -= 1;
                if let (Some(next_ms), Some(interval_ms)) = (&mut self.next_ms, interval_ms) {
                    *next_ms += interval_ms;
                }
            }
            if split.is_below(self.source.count) {
                self.splits.push_back(split);
            } else {
                out.finish_split(&id);
            }
        }
        if self.splits.is_empty() {
            return Ok(ReaderStatus::Finished);
        }
        Ok(match self.next_ms {
            Some(next_ms) if next_ms > out.current_processing_time() as f64 => {
                ReaderStatus::PendingUntil(next_ms.ceil() as i64)
            }
            _ => ReaderStatus::Ready,
        })
    }

    fn snapshot(&mut self) -> Result<Vec<SequenceSplit>> {
        Ok(self.splits.iter().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(source: &DataGeneratorSource<i64>, splits: Vec<SequenceSplit>) -> DataGeneratorReader<i64> {
        let mut reader = source.create_reader().unwrap();
        splits
            .into_iter()
            .for_each(|split| reader.add_split(split).unwrap());
        reader
    }

    fn poll(reader: &mut DataGeneratorReader<i64>, now_ms: i64, room: usize) -> (Vec<i64>, ReaderStatus) {
        let mut out = ReaderOutput::at(now_ms, room);
        let status = reader.poll(&mut out).unwrap();
        (out.into_rows(), status)
    }

    #[test]
    fn every_number_comes_once_through_snapshots() {
        let source = DataGeneratorSource::new(|n| n * 10, 25).unwrap().split_into(3);
        let mut splits = source.splits().unwrap();
        let mut made = Vec::new();
        loop {
            let mut reader = reader(&source, splits);
            let (rows, status) = poll(&mut reader, 0, 4);
            made.extend(rows);
            splits = reader.snapshot().unwrap();
            if status == ReaderStatus::Finished {
                break;
            }
        }
        made.sort_unstable();
        assert_eq!(made, (0..25).map(|n| n * 10).collect::<Vec<_>>());
    }

    #[test]
    fn a_rate_is_kept_and_made_up_for() {
        let source = DataGeneratorSource::new(|n| n, i64::MAX).unwrap();
        let source = source.rate_per_second(100.0).unwrap().split_into(2);
        // Half of the splits, and so half of the rate.
        let mut reader = reader(&source, source.splits().unwrap()[..1].to_vec());
        assert_eq!(
            poll(&mut reader, 1_000, 100),
            (vec![0], ReaderStatus::PendingUntil(1_020))
        );
        assert_eq!(
            poll(&mut reader, 1_019, 100),
            (vec![], ReaderStatus::PendingUntil(1_020))
        );
        assert_eq!(
            poll(&mut reader, 1_060, 100),
            (vec![2, 4, 6], ReaderStatus::PendingUntil(1_080))
        );
        assert_eq!(poll(&mut reader, 1_080, 0), (vec![], ReaderStatus::Ready));
        let (rows, _) = poll(&mut reader, 60_000, 1_000);
        assert_eq!(rows.len(), 51, "a second's worth");
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        assert!(DataGeneratorSource::new(|n| n, -1).is_err());
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let source = DataGeneratorSource::new(|n| n, 1).unwrap();
            assert!(source.rate_per_second(rate).is_err(), "{rate}");
        }
        let none = DataGeneratorSource::new(|n| n, 0).unwrap();
        let mut reader = reader(&none, none.splits().unwrap());
        assert_eq!(poll(&mut reader, 0, 10), (vec![], ReaderStatus::Finished));
    }
}
