//! Tests of programs: operators in virtual time, and whole programs in a test without ports.
//!
//! [`OneInputStreamOperatorTestHarness`] and [`TwoInputStreamOperatorTestHarness`] run a piece of a program as a job that
//! moves only when it is given something: a record, a watermark, a processing time. No clock is read and no thread is
//! started, so a test has the same outcome every time. [`environment`] runs a whole program as it would run in production,
//! but without Kafka and without a directory.
//!
//! ```
//! use millstream_datastream::context::KeyedContext;
//! use millstream_datastream::functions::KeyedProcessFunction;
//! use millstream_datastream::state::{RuntimeContext, ValueState};
//! use millstream_datastream::testing::OneInputStreamOperatorTestHarness;
//! use millstream_datastream::{Collector, DataStream, Result};
//!
//! #[derive(Clone, Default)]
//! struct Count(ValueState<u64>);
//!
//! impl KeyedProcessFunction<String, String, (String, u64)> for Count {
//!     fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
//!         self.0 = ctx.value_state("count")?;
//!         Ok(())
//!     }
//!
//!     fn process_element(
//!         &mut self,
//!         word: String,
//!         ctx: &mut KeyedContext<'_, String>,
//!         out: &mut Collector<(String, u64)>,
//!     ) -> Result<()> {
//!         let count = self.0.value(ctx).copied().unwrap_or(0) + 1;
//!         self.0.update(ctx, count);
//!         out.collect((word, count));
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let counting = |words: DataStream<String>| words.key_by_ref(|word| word).process(Count::default());
//! let mut harness = OneInputStreamOperatorTestHarness::new(counting);
//! harness.process_element("a".to_owned(), 10)?;
//! harness.process_element("a".to_owned(), 20)?;
//! assert_eq!(harness.extract_output_values(), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
//!
//! // Three instances continue from the state.
//! let snapshot = harness.snapshot()?;
//! let mut harness = OneInputStreamOperatorTestHarness::new(counting).set_parallelism(3);
//! harness.initialize_state(&snapshot)?;
//! harness.process_element("a".to_owned(), 30)?;
//! assert_eq!(harness.extract_output_values(), [("a".to_owned(), 3)]);
//! # Ok(())
//! # }
//! ```

mod feed;
mod host;
mod job;

use crate::data::Data;
use crate::error::Result;
use crate::output::OutputTag;
use crate::stream::DataStream;
use crate::watermark::WatermarkStrategy;

use feed::{Feed, FeedItem};
use job::HarnessJob;

pub use feed::StreamElement;
pub use host::environment;
pub use job::OperatorSnapshot;

/// What a harness gives: everything but its inputs.
macro_rules! outputs {
    () => {
        /// Instances of the operators, and of the input; one unless set. Records go to the instances of the input in turn.
        pub fn set_parallelism(mut self, parallelism: usize) -> Self {
            self.job.set_parallelism(parallelism);
            self
        }

        /// Collects a side output of the last operator.
        pub fn with_side_output<S: Data>(mut self, tag: OutputTag<S>) -> Self {
            self.job.with_side_output(&self.output, tag);
            self
        }

        /// Starts the operators without state. What is given to the harness starts them, too.
        pub fn open(&mut self) -> Result<()> {
            self.job.start(None)
        }

        /// Starts the operators with the state of a snapshot, which may have been taken at another parallelism.
        pub fn initialize_state(&mut self, snapshot: &OperatorSnapshot) -> Result<()> {
            self.job.start(Some(snapshot))
        }

        /// The state of all operators, as a checkpoint would hold it. The harness can be used further.
        pub fn snapshot(&mut self) -> Result<OperatorSnapshot> {
            self.job.snapshot()
        }

        /// Sets the clock, in milliseconds, and fires the timers that are due. It begins at 0. Windows by processing time
        /// fire when their last millisecond is over.
        pub fn set_processing_time(&mut self, now_ms: i64) -> Result<()> {
            self.job.set_processing_time(now_ms)
        }

        pub fn processing_time(&self) -> i64 {
            self.job.now_ms()
        }

        /// Ends the input: event time comes to its end, then operators emit what they hold.
        pub fn end_input(&mut self) -> Result<()> {
            self.job.start_if_new()?;
            self.finish();
            self.job.run()
        }

        /// Takes the output so far: records with their timestamps, and watermarks between them.
        pub fn take_output(&mut self) -> Vec<StreamElement<O>> {
            self.job.collected::<O>(None).take()
        }

        /// Takes the records of the output so far.
        pub fn extract_output_values(&mut self) -> Vec<O> {
            feed::values(self.take_output())
        }

        /// Takes the records of a side output that was asked for by [`Self::with_side_output`].
        pub fn get_side_output<S: Data>(&mut self, tag: OutputTag<S>) -> Vec<S> {
            feed::values(self.job.collected::<S>(Some(tag.name())).take())
        }
    };
}

/// A piece of a program with one input, in virtual time. See the [module](self) for an example.
pub struct OneInputStreamOperatorTestHarness<I, O> {
    job: HarnessJob,
    output: DataStream<O>,
    input: Feed<I>,
}

impl<I: Data, O: Data> OneInputStreamOperatorTestHarness<I, O> {
    /// `program` adds the operators to be tested to its input.
    pub fn new(program: impl FnOnce(DataStream<I>) -> DataStream<O>) -> Self {
        let mut job = HarnessJob::new();
        let input = Feed::new();
        let stream =
            job.environment()
                .from_source(input.clone(), WatermarkStrategy::no_watermarks(), "input");
        let output = program(stream);
        job.collect(&output, None);
        Self { job, output, input }
    }

    outputs!();

    fn finish(&self) {
        self.input.to_all(&FeedItem::End);
    }

    fn give(&mut self, item: FeedItem<I>) -> Result<()> {
        self.job.start_if_new()?;
        self.input.put(item);
        self.job.run()
    }

    /// A record with its event time.
    pub fn process_element(&mut self, value: I, timestamp: i64) -> Result<()> {
        self.give(FeedItem::Record(value, timestamp))
    }

    /// A record without an event time.
    pub fn process_element_without_timestamp(&mut self, value: I) -> Result<()> {
        self.give(FeedItem::Record(value, feed::NONE))
    }

    /// Moves event time, and fires the timers that are due.
    pub fn process_watermark(&mut self, timestamp: i64) -> Result<()> {
        self.give(FeedItem::Watermark(timestamp))
    }
}

/// A piece of a program with two inputs, in virtual time.
///
/// ```
/// # use millstream_datastream::testing::TwoInputStreamOperatorTestHarness;
/// # use millstream_datastream::{DataStream, Result};
/// # fn main() -> Result<()> {
/// let mut harness = TwoInputStreamOperatorTestHarness::new(
///     |numbers: DataStream<i32>, words: DataStream<String>| {
///         numbers.connect(&words).map(|n| n.to_string(), |word| word)
///     },
/// );
/// harness.process_element1(1, 0)?;
/// harness.process_element2("two".to_owned(), 0)?;
/// assert_eq!(harness.extract_output_values(), ["1", "two"]);
/// # Ok(())
/// # }
/// ```
pub struct TwoInputStreamOperatorTestHarness<A, B, O> {
    job: HarnessJob,
    output: DataStream<O>,
    first: Feed<A>,
    second: Feed<B>,
}

impl<A: Data, B: Data, O: Data> TwoInputStreamOperatorTestHarness<A, B, O> {
    /// `program` adds the operators to be tested to its inputs.
    pub fn new(program: impl FnOnce(DataStream<A>, DataStream<B>) -> DataStream<O>) -> Self {
        let mut job = HarnessJob::new();
        let (first, second) = (Feed::new(), Feed::new());
        let env = job.environment();
        let one = env.from_source(first.clone(), WatermarkStrategy::no_watermarks(), "input 1");
        let two = env.from_source(second.clone(), WatermarkStrategy::no_watermarks(), "input 2");
        let output = program(one, two);
        job.collect(&output, None);
        Self {
            job,
            output,
            first,
            second,
        }
    }

    outputs!();

    fn finish(&self) {
        self.first.to_all(&FeedItem::End);
        self.second.to_all(&FeedItem::End);
    }

    fn give1(&mut self, item: FeedItem<A>) -> Result<()> {
        self.job.start_if_new()?;
        self.first.put(item);
        self.job.run()
    }

    fn give2(&mut self, item: FeedItem<B>) -> Result<()> {
        self.job.start_if_new()?;
        self.second.put(item);
        self.job.run()
    }

    /// A record of the first input with its event time.
    pub fn process_element1(&mut self, value: A, timestamp: i64) -> Result<()> {
        self.give1(FeedItem::Record(value, timestamp))
    }

    /// A record of the second input with its event time.
    pub fn process_element2(&mut self, value: B, timestamp: i64) -> Result<()> {
        self.give2(FeedItem::Record(value, timestamp))
    }

    /// Moves the event time of the first input; that of the operators is the lower one of both.
    pub fn process_watermark1(&mut self, timestamp: i64) -> Result<()> {
        self.give1(FeedItem::Watermark(timestamp))
    }

    /// Moves the event time of the second input.
    pub fn process_watermark2(&mut self, timestamp: i64) -> Result<()> {
        self.give2(FeedItem::Watermark(timestamp))
    }

    /// Moves the event time of both inputs.
    pub fn process_both_watermarks(&mut self, timestamp: i64) -> Result<()> {
        self.process_watermark1(timestamp)?;
        self.process_watermark2(timestamp)
    }
}
