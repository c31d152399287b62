//! Event time: timestamps of records, and watermarks made of them.

use std::sync::Arc;
use std::time::Duration;

use millstream_dataflow::alignment::AlignmentSettings;
use millstream_types::records::NO_TIMESTAMP;

use crate::operators::simple::Timestamps;

/// Makes watermarks from the records of one split.
pub trait WatermarkGenerator<T>: Send {
    /// Called for each record; a watermark that is given is emitted at the next occasion.
    fn on_event(&mut self, event: &T, timestamp: i64) -> Option<i64>;

    /// Called after each batch.
    fn on_periodic_emit(&mut self) -> Option<i64>;
}

type GeneratorFactory<T> = Arc<dyn Fn() -> Box<dyn WatermarkGenerator<T>> + Send + Sync>;

/// Gives timestamps to whole batches: one call a batch, whatever the closure is.
trait Assigner<T>: Send + Sync {
    fn assign(&self, rows: &[T], timestamps: &mut Vec<i64>);
}

impl<T, F: Fn(&T, i64) -> i64 + Send + Sync> Assigner<T> for F {
    fn assign(&self, rows: &[T], timestamps: &mut Vec<i64>) {
        timestamps.resize(rows.len(), NO_TIMESTAMP);
        for (row, timestamp) in rows.iter().zip(timestamps) {
            *timestamp = self(row, *timestamp);
        }
    }
}

enum Kind<T> {
    None,
    Bounded(i64),
    Own(GeneratorFactory<T>),
}

/// How timestamps and watermarks are made.
///
/// ```
/// # use std::time::Duration;
/// # use millstream_datastream::watermark::WatermarkStrategy;
/// let strategy = WatermarkStrategy::<(u64, i64)>::for_bounded_out_of_orderness(Duration::from_secs(5))
///     .with_timestamp_assigner(|event, _| event.1)
///     .with_idleness(Duration::from_secs(60));
/// ```
pub struct WatermarkStrategy<T> {
    kind: Arc<Kind<T>>,
    assigner: Option<Arc<dyn Assigner<T>>>,
    idle_timeout_ms: i64,
    alignment: Option<AlignmentSettings>,
}

impl<T> Clone for WatermarkStrategy<T> {
    fn clone(&self) -> Self {
        Self {
            kind: Arc::clone(&self.kind),
            assigner: self.assigner.clone(),
            idle_timeout_ms: self.idle_timeout_ms,
            alignment: self.alignment.clone(),
        }
    }
}

impl<T: 'static> WatermarkStrategy<T> {
    fn of(kind: Kind<T>) -> Self {
        Self {
            kind: Arc::new(kind),
            assigner: None,
            idle_timeout_ms: 0,
            alignment: None,
        }
    }

    /// No watermarks: event time does not move before the end of the input.
    pub fn no_watermarks() -> Self {
        Self::of(Kind::None)
    }

    /// Timestamps of a split only grow.
    pub fn for_monotonous_timestamps() -> Self {
        Self::of(Kind::Bounded(0))
    }

    /// Records of a split are at most so late.
    pub fn for_bounded_out_of_orderness(by: Duration) -> Self {
        Self::of(Kind::Bounded(millis(by)))
    }

    /// Watermarks of the program's own making; there is one generator for each split.
    pub fn for_generator<G: WatermarkGenerator<T> + 'static>(
        generator: impl Fn() -> G + Send + Sync + 'static,
    ) -> Self {
        Self::of(Kind::Own(Arc::new(move || Box::new(generator()))))
    }

    /// The event time of a record, from the record and the timestamp that the source gave it (`i64::MIN`: none).
    pub fn with_timestamp_assigner(
        mut self,
        assigner: impl Fn(&T, i64) -> i64 + Send + Sync + 'static,
    ) -> Self {
        self.assigner = Some(Arc::new(assigner));
        self
    }

    /// A split without records for so long does not hold back the others.
    pub fn with_idleness(mut self, timeout: Duration) -> Self {
        self.idle_timeout_ms = millis(timeout);
        self
    }

    /// Lets the source wait while it is further than `max_drift` ahead of the slowest source of its group, so that operators
    /// behind need not hold what it has read too early. Splits wait on their own if the source can do that; Kafka's can.
    /// The group is looked at every `update_interval`; it is that of the streams of one program.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millstream_datastream::watermark::WatermarkStrategy;
    /// let strategy = WatermarkStrategy::<(u64, i64)>::for_monotonous_timestamps().with_watermark_alignment(
    ///     "orders",
    ///     Duration::from_secs(20),
    ///     Duration::from_secs(1),
    /// );
    /// ```
    pub fn with_watermark_alignment(
        mut self,
        group: impl Into<String>,
        max_drift: Duration,
        update_interval: Duration,
    ) -> Self {
        self.alignment = Some(AlignmentSettings {
            group: group.into(),
            max_drift_ms: millis(max_drift),
            update_interval_ms: millis(update_interval),
        });
        self
    }

    /// Gives timestamps only.
    pub(crate) fn without_watermarks(&self) -> Self {
        Self {
            kind: Arc::new(Kind::None),
            ..self.clone()
        }
    }

    pub(crate) fn makes_watermarks(&self) -> bool {
        !matches!(*self.kind, Kind::None)
    }

    pub(crate) fn alignment(&self) -> Option<&AlignmentSettings> {
        self.alignment.as_ref()
    }

    pub(crate) fn idle_timeout_ms(&self) -> i64 {
        self.idle_timeout_ms
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The strategy at work on one split.
pub(crate) struct Generator<T> {
    strategy: WatermarkStrategy<T>,
    own: Option<Box<dyn WatermarkGenerator<T>>>,
    highest: i64,
}

impl<T: 'static> Generator<T> {
    pub fn new(strategy: WatermarkStrategy<T>) -> Self {
        let own = match &*strategy.kind {
            Kind::Own(factory) => Some(factory()),
            Kind::None | Kind::Bounded(_) => None,
        };
        Self {
            strategy,
            own,
            highest: i64::MIN,
        }
    }
}

impl<T: 'static> Timestamps<T> for Generator<T> {
    /// Timestamps of a batch, and the watermark after it.
    fn assign(&mut self, rows: &[T], mut timestamps: Vec<i64>) -> (Vec<i64>, Option<i64>) {
        if let Some(assigner) = &self.strategy.assigner {
            assigner.assign(rows, &mut timestamps);
        }
        let watermark = match &*self.strategy.kind {
            Kind::None => None,
            Kind::Bounded(delay_ms) => {
                if let Some(highest) = timestamps.iter().copied().max() {
                    self.highest = self.highest.max(highest);
                }
                (self.highest != i64::MIN).then(|| self.highest.saturating_sub(*delay_ms).saturating_sub(1))
            }
            Kind::Own(_) => self.own.as_mut().and_then(|own| {
                let mut highest = None;
                for (index, row) in rows.iter().enumerate() {
                    let timestamp = timestamps.get(index).copied().unwrap_or(NO_TIMESTAMP);
                    highest = highest.max(own.on_event(row, timestamp));
                }
                highest.max(own.on_periodic_emit())
            }),
        };
        (timestamps, watermark)
    }
}
