//! Stream processing in Rust: Flink's DataStream API, with keyed state, event time, windows, timers and exactly-once, and a
//! Kafka broker inside that starts when nothing else serves the address.
//!
//! ```no_run
//! use millstream::prelude::*;
//!
//! fn main() -> Result<()> {
//!     let env = StreamExecutionEnvironment::from_args()?;
//!     let source = KafkaSource::builder()
//!         .bootstrap_servers("localhost:9092")
//!         .topics(["input-topic"])
//!         .group_id("word-count")
//!         .starting_offsets(OffsetsInitializer::earliest())
//!         .value_only(SimpleStringSchema)
//!         .build()?;
//!     let sink = KafkaSink::builder()
//!         .bootstrap_servers("localhost:9092")
//!         .delivery_guarantee(DeliveryGuarantee::ExactlyOnce)
//!         .record_serializer(Record::to("output-topic").value(SimpleStringSchema))
//!         .build()?;
//!     env.from_source(source, WatermarkStrategy::no_watermarks(), "input")
//!         .flat_map(|line: String, out| {
//!             for word in line.split_whitespace() {
//!                 out.collect((word.to_owned(), 1_i64));
//!             }
//!         })
//!         .key_by_ref(|(word, _)| word)
//!         .window(TumblingProcessingTimeWindows::of(Duration::from_secs(10)))
//!         .reduce(|a, b| (a.0, a.1 + b.1))
//!         .map(|(word, count)| format!("{word},{count}"))
//!         .sink_to(sink);
//!     env.execute("word count")?;
//!     Ok(())
//! }
//! ```
//!
//! Everything that survives the process (topics of the embedded broker, checkpoints of jobs) lies in `./.millstream`. A
//! program that was stopped or killed continues where it was when it is run again.

mod process;

use std::ops::Deref;

use millstream_datastream::{Environment, Result};

pub use millstream_datastream as datastream;
pub use millstream_datastream::{
    Collector, Data, DataStream, Error, JobClient, Key, KeyedStream, OutputTag, WindowedStream, asynchronous,
    cep, context, environment, error, functions, sink, source, state, stream, table, testing, time,
    watermark, window,
};

pub use process::Options;

/// What most programs use.
pub mod prelude {
    pub use std::time::Duration;

    pub use crate::StreamExecutionEnvironment;
    pub use millstream_datastream::asynchronous::{
        AsyncDataStream, AsyncFunction, AsyncResult, AsyncRetryStrategy,
    };
    pub use millstream_datastream::cep::{
        self, AfterMatchSkipStrategy, Match, Pattern, PatternProcessFunction,
    };
    pub use millstream_datastream::context::{
        BroadcastContext, Context, FunctionInitializationContext, FunctionSnapshotContext, KeyedContext,
        OnTimerContext, ReadOnlyContext, WindowContext,
    };
    pub use millstream_datastream::environment::RuntimeExecutionMode;
    pub use millstream_datastream::functions::{
        AggregateFunction, BroadcastProcessFunction, CheckpointedFunction, CoProcessFunction,
        KeyedBroadcastProcessFunction, KeyedCoProcessFunction, KeyedProcessFunction, ProcessFunction,
        ProcessWindowFunction,
    };
    pub use millstream_datastream::sink::{DeliveryGuarantee, KafkaSink, Record};
    pub use millstream_datastream::source::{
        BytesSchema, JsonSchema, KafkaRecord, KafkaSource, OffsetsInitializer, SimpleStringSchema,
    };
    pub use millstream_datastream::state::{
        AggregatingState, ListState, MapState, ReducingState, RuntimeContext, StateDescriptor,
        StateTtlConfig, ValueState,
    };
    pub use millstream_datastream::table::{
        Function, Row, RowKind, ScalarFunction, Schema, StreamTableEnvironment, Table, TableResult, Value,
    };
    pub use millstream_datastream::watermark::WatermarkStrategy;
    pub use millstream_datastream::window::{
        ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountEvictor, CountTrigger,
        DeltaTrigger, EventTimeSessionWindows, EventTimeTrigger, GlobalWindows, ProcessingTimeSessionWindows,
        ProcessingTimeTrigger, PurgingTrigger, SlidingEventTimeWindows, SlidingProcessingTimeWindows,
        TimeEvictor, TimeWindow, TumblingEventTimeWindows, TumblingProcessingTimeWindows,
    };
    pub use millstream_datastream::{Collector, DataStream, Error, KeyedStream, OutputTag, Result};
}

/// The environment of a program, in a process of its own: clock, threads, the way to Kafka, and a directory for what must
/// survive. Everything else is [`Environment`]'s.
///
/// ```no_run
/// use millstream::prelude::*;
///
/// fn main() -> Result<()> {
///     let env = StreamExecutionEnvironment::get_execution_environment()?;
///     env.from_collection([1, 2, 3]).map(|n| n * 2).print();
///     env.execute("doubles")?;
///     Ok(())
/// }
/// ```
pub struct StreamExecutionEnvironment {
    environment: Environment,
    kafka: String,
    _process: process::Process,
}

impl StreamExecutionEnvironment {
    /// With the defaults, and the environment variables `MILLSTREAM_DATA_DIR` and `MILLSTREAM_KAFKA`.
    pub fn get_execution_environment() -> Result<Self> {
        Self::with_options(Options::from_environment())
    }

    /// With settings from the command line: `--data-dir DIR`, `--kafka HOST:PORT`, `--fresh`,
    /// `--from-savepoint PATH`, `--config FILE` and
    /// `-D KEY=VALUE` (a configuration key of Flink's, or for the embedded broker one of Kafka's). Other arguments are the
    /// program's own and are left alone.
    pub fn from_args() -> Result<Self> {
        Self::with_options(Options::from_args(std::env::args().skip(1))?)
    }

    pub fn with_options(options: Options) -> Result<Self> {
        let kafka = options.kafka.clone();
        let (host, process) = process::Process::start(options)?;
        Ok(Self {
            kafka,
            environment: Environment::new(host),
            _process: process,
        })
    }

    /// Address of the embedded broker (`--kafka`, `MILLSTREAM_KAFKA`, or 127.0.0.1:9092), for sources and sinks that are to
    /// follow the arguments of the program. When another process serves the address, that Kafka is used.
    pub fn bootstrap_servers(&self) -> &str {
        &self.kafka
    }
}

impl Deref for StreamExecutionEnvironment {
    type Target = Environment;
    fn deref(&self) -> &Environment {
        &self.environment
    }
}
