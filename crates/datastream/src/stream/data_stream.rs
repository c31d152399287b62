//! A stream of records.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use millstream_dataflow::{DataflowError, OperatorFactory, Partitioning, SinkFactory};
use millstream_state::StateValue;

use crate::data::{Data, Key};
use crate::environment::Job;
use crate::error::Result;
use crate::functions::{CheckpointedFunction, ProcessFunction};
use crate::graph::{Input, Instances, Node, NodeKind, Stateful};
use crate::guard::at_record;
use crate::operators::checkpointed::{CheckpointedProcess, RestoresAll};
use crate::operators::simple::{AssignTimestamps, ChooseTargets, FlatMap, Process, Rows, SelectOutput};
use crate::operators::{Outputs, factory};
use crate::output::{Collector, OutputTag};
use crate::sink::{self, CollectedRows, Sink};
use crate::stream::connected::{BroadcastConnectedStream, BroadcastStream, ConnectedStreams};
use crate::stream::joined::{CoGrouped, Joined};
use crate::stream::keyed::{KeyedStream, key_by, key_by_ref};
use crate::stream::windowed::WindowedStream;
use crate::watermark::{Generator, WatermarkStrategy};
use crate::window::WindowAssigner;
use millstream_types::Watermark;

/// A stream of records of one type. Cheap to clone: a clone is the same stream, with one more reader.
///
/// An operator has as many instances as its input unless [`DataStream::set_parallelism`] says otherwise, and runs in its
/// input's thread.
pub struct DataStream<T> {
    pub(crate) env: Job,
    pub(crate) node: usize,
    pub(crate) partitioning: Partitioning,
    /// Further streams that are read as one with this one.
    pub(crate) others: Vec<(usize, Partitioning)>,
    pub(crate) of: PhantomData<fn() -> T>,
}

impl<T> Clone for DataStream<T> {
    fn clone(&self) -> Self {
        Self {
            env: self.env.clone(),
            node: self.node,
            partitioning: self.partitioning.clone(),
            others: self.others.clone(),
            of: PhantomData,
        }
    }
}

impl<T> DataStream<T> {
    pub(crate) fn new(env: Job, node: usize) -> Self {
        Self {
            env,
            node,
            partitioning: Partitioning::Forward,
            others: Vec::new(),
            of: PhantomData,
        }
    }

    pub(crate) fn with_partitioning(mut self, partitioning: Partitioning) -> Self {
        self.others
            .iter_mut()
            .for_each(|(_, other)| *other = partitioning.clone());
        self.partitioning = partitioning;
        self
    }

    pub(crate) fn input(&self, port: usize) -> Input {
        Input {
            from: self.node,
            port,
            partitioning: self.partitioning.clone(),
        }
    }

    pub(crate) fn inputs(&self, port: usize) -> Vec<Input> {
        let others = self.others.iter().map(|(from, partitioning)| Input {
            from: *from,
            port,
            partitioning: partitioning.clone(),
        });
        std::iter::once(self.input(port)).chain(others).collect()
    }
}

impl<T: Data> DataStream<T> {
    /// Adds an operator behind this stream.
    pub(crate) fn then<U: Data>(
        &self,
        name: &str,
        operator: Arc<dyn OperatorFactory>,
        change: impl FnOnce(Node) -> Node,
    ) -> DataStream<U> {
        let node = Node::new(name, NodeKind::Operator(operator), self.inputs(0)).instances(self.instances());
        self.env.add(change(node))
    }

    /// How many instances an operator behind this stream has.
    pub(crate) fn instances(&self) -> Instances {
        match &self.partitioning {
            Partitioning::Single => Instances::One,
            Partitioning::Rebalance | Partitioning::Broadcast | Partitioning::Hash(_) => Instances::All,
            _ => Instances::AsInput,
        }
    }

    /// One result for each record.
    ///
    /// ```no_run
    /// # fn example(words: millstream_datastream::DataStream<String>) {
    /// let lengths = words.map(|word| word.len());
    /// # }
    /// ```
    pub fn map<U: Data, F>(&self, function: F) -> DataStream<U>
    where
        F: FnMut(T) -> U + Clone + Send + 'static,
    {
        let make = |mut function: F, _: &_| {
            Ok(Rows {
                function: move |rows: Vec<T>, timestamps| {
                    let each = |(index, row)| {
                        at_record(index);
                        function(row)
                    };
                    Ok((rows.into_iter().enumerate().map(each).collect(), timestamps))
                },
                of: PhantomData,
            })
        };
        self.then("Map", factory(function, make), |node| node)
    }

    /// One result for each record, or an error that fails the job.
    pub fn try_map<U: Data, F>(&self, function: F) -> DataStream<U>
    where
        F: FnMut(T) -> Result<U> + Clone + Send + 'static,
    {
        let make = |mut function: F, _: &_| {
            Ok(Rows {
                function: move |rows: Vec<T>, timestamps| {
                    let each = |(index, row)| {
                        at_record(index);
                        function(row).map_err(DataflowError::from)
                    };
                    let rows: Result<Vec<U>, _> = rows.into_iter().enumerate().map(each).collect();
                    Ok((rows?, timestamps))
                },
                of: PhantomData,
            })
        };
        self.then("Map", factory(function, make), |node| node)
    }

    /// The records that `keep` accepts.
    pub fn filter<F>(&self, keep: F) -> DataStream<T>
    where
        F: FnMut(&T) -> bool + Clone + Send + 'static,
    {
        let make = |mut keep: F, _: &_| {
            Ok(Rows {
                function: move |mut rows: Vec<T>, mut timestamps: Vec<i64>| {
                    let mut kept = Vec::with_capacity(if timestamps.is_empty() { 0 } else { rows.len() });
                    let timed = !timestamps.is_empty();
                    let mut index = 0;
                    rows.retain(|row| {
                        at_record(index);
                        index += 1;
                        let keeps = keep(row);
                        if timed {
                            kept.push(keeps);
                        }
                        keeps
                    });
                    let mut kept = kept.into_iter();
                    timestamps.retain(|_| kept.next().unwrap_or(false));
                    Ok((rows, timestamps))
                },
                of: PhantomData,
            })
        };
        self.then("Filter", factory(keep, make), |node| node)
    }

    /// Any number of results for each record.
    ///
    /// ```no_run
    /// # fn example(lines: millstream_datastream::DataStream<String>) {
    /// let words = lines.flat_map(|line: String, out| {
    ///     for word in line.split_whitespace() {
    ///         out.collect(word.to_owned());
    ///     }
    /// });
    /// # let _: millstream_datastream::DataStream<String> = words;
    /// # }
    /// ```
    pub fn flat_map<U: Data, F>(&self, function: F) -> DataStream<U>
    where
        F: FnMut(T, &mut Collector<U>) + Clone + Send + 'static,
    {
        let make = |function: F, _: &_| {
            Ok(FlatMap {
                function,
                collector: Collector::new(),
                of: PhantomData,
            })
        };
        self.then("Flat Map", factory(function, make), |node| node)
    }

    /// Runs a function with side outputs over the records.
    pub fn process<U: Data>(&self, function: impl ProcessFunction<T, U>) -> DataStream<U> {
        let sides = crate::output::SideTags::default();
        let own = sides.clone();
        let make = move |function, _: &_| {
            Ok(Process {
                function,
                outputs: Outputs::new(own.buffers()),
                of: PhantomData,
            })
        };
        self.then("Process", factory(function, make), |mut node| {
            node.sides = sides;
            node
        })
    }

    /// Runs a function with operator state over the records: lists that belong to no key.
    pub fn process_checkpointed<U: Data>(
        &self,
        function: impl ProcessFunction<T, U> + CheckpointedFunction,
    ) -> DataStream<U> {
        let sides = crate::output::SideTags::default();
        let own = sides.clone();
        let make = move |function, instance: &_| {
            let process = Process {
                function,
                outputs: Outputs::new(own.buffers()),
                of: PhantomData,
            };
            Ok(CheckpointedProcess::new(process, instance))
        };
        let factory = Arc::new(RestoresAll(factory(function, make)));
        self.then("Process", factory, |mut node| {
            node.sides = sides;
            node.stateful(Stateful::OperatorState)
        })
    }

    /// What the operator of this stream puts into a side output.
    pub fn get_side_output<U: Data>(&self, tag: OutputTag<U>) -> DataStream<U> {
        let mut output = 0;
        self.env
            .draft()
            .change(self.node, |node| output = node.sides.number_of(tag.name()));
        let make = move |(), _: &_| Ok(SelectOutput { output });
        self.then(
            &format!("Side Output {}", tag.name()),
            factory((), make),
            |node| node,
        )
    }

    /// Partitions the stream by a key that `key` makes. A key inside of the record is found without a copy by
    /// [`DataStream::key_by_ref`].
    pub fn key_by<K: Key>(&self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> KeyedStream<K, T> {
        key_by(self, key)
    }

    /// Partitions the stream by a key that lies in the record.
    ///
    /// ```no_run
    /// # fn example(words: millstream_datastream::DataStream<(String, i64)>) {
    /// let counts = words.key_by_ref(|(word, _)| word).reduce(|a, b| (a.0, a.1 + b.1));
    /// # }
    /// ```
    pub fn key_by_ref<K: Key>(&self, key: impl Fn(&T) -> &K + Send + Sync + 'static) -> KeyedStream<K, T> {
        key_by_ref(self, key)
    }

    /// Windows over all records, in one instance.
    pub fn window_all<A: WindowAssigner<T>>(&self, assigner: A) -> WindowedStream<(), T, A, A::Trigger> {
        let mut keyed = self.key_by(|_| ());
        keyed.single = true;
        keyed.window(assigner)
    }

    /// The records of this stream and of others of its type, in no particular order.
    pub fn union(&self, others: impl IntoIterator<Item = DataStream<T>>) -> DataStream<T> {
        let mut union = self.clone();
        for other in others {
            union.others.push((other.node, other.partitioning));
            union.others.extend(other.others);
        }
        union
    }

    /// Reads this stream and another in one function.
    pub fn connect<B: Data>(&self, other: &DataStream<B>) -> ConnectedStreams<T, B> {
        ConnectedStreams::new(self.clone(), other.clone())
    }

    /// Reads this stream beside one whose records every instance sees.
    pub fn connect_broadcast<B: Data>(&self, rules: &BroadcastStream<B>) -> BroadcastConnectedStream<T, B> {
        BroadcastConnectedStream::new(self.clone(), rules.clone())
    }

    /// The stream as rules that every instance of an operator sees.
    pub fn broadcast_state(&self) -> BroadcastStream<T> {
        BroadcastStream(self.clone().with_partitioning(Partitioning::Broadcast))
    }

    /// Joins records of two streams that have a key and a window in common.
    pub fn join<B: Data + StateValue>(&self, other: &DataStream<B>) -> Joined<T, B>
    where
        T: StateValue,
    {
        Joined::new(self.clone(), other.clone())
    }

    /// Groups the records of two streams by key and window.
    pub fn co_group<B: Data>(&self, other: &DataStream<B>) -> CoGrouped<T, B> {
        CoGrouped::new(self.clone(), other.clone())
    }

    /// Batches in turn to the instances of what follows.
    pub fn rebalance(&self) -> DataStream<T> {
        self.clone().with_partitioning(Partitioning::Rebalance)
    }

    /// As [`DataStream::rebalance`]: in one process there are no groups of instances to keep to.
    pub fn rescale(&self) -> DataStream<T> {
        self.rebalance()
    }

    /// As [`DataStream::rebalance`]: batches are spread evenly, not by chance.
    pub fn shuffle(&self) -> DataStream<T> {
        self.rebalance()
    }

    /// Every record to every instance of what follows.
    pub fn broadcast(&self) -> DataStream<T> {
        self.clone().with_partitioning(Partitioning::Broadcast)
    }

    /// All records to one instance of what follows.
    pub fn global(&self) -> DataStream<T> {
        self.clone().with_partitioning(Partitioning::Single)
    }

    /// To the instance of the same number.
    pub fn forward(&self) -> DataStream<T> {
        self.clone().with_partitioning(Partitioning::Forward)
    }

    /// To the instance that `target` names, modulo their number.
    pub fn partition_custom<F>(&self, target: F) -> DataStream<T>
    where
        F: FnMut(&T) -> u32 + Clone + Send + 'static,
    {
        let make = |function: F, _: &_| {
            Ok(ChooseTargets {
                function,
                of: PhantomData,
            })
        };
        let chosen: DataStream<T> = self.then("Partition", factory(target, make), |node| node);
        chosen.with_partitioning(Partitioning::Hash(Vec::new()))
    }

    /// Gives records their timestamps, and makes watermarks from them; watermarks from before end here. A strategy at the
    /// source ([`crate::Environment::from_source`]) sees each partition on its own and is the better place.
    pub fn assign_timestamps_and_watermarks(&self, strategy: WatermarkStrategy<T>) -> DataStream<T> {
        let make = |strategy: WatermarkStrategy<T>, _: &_| {
            Ok(AssignTimestamps {
                generator: Generator::new(strategy),
                last: Watermark::MIN,
                of: PhantomData,
            })
        };
        let timestamps_only = factory(strategy.without_watermarks(), make);
        self.then("Timestamps/Watermarks", factory(strategy, make), |mut node| {
            node.batch = Some(timestamps_only);
            node
        })
    }

    /// Writes the records to a sink.
    pub fn sink_to(&self, sink: impl Sink<T>) -> DataStreamSink {
        let name = sink.name();
        let of_job = sink.of_job(&self.env);
        match sink.factory(&self.env) {
            Ok(factory) => {
                let end = self.end(&name, factory, None);
                self.env.draft().change(end.node, |node| node.of_job = of_job);
                end
            }
            Err(error) => {
                self.env.fail(error);
                DataStreamSink {
                    env: self.env.clone(),
                    node: usize::MAX,
                }
            }
        }
    }

    /// Prints each record on standard output, as Flink prints it: with the instance's number if there are several.
    pub fn print(&self) -> DataStreamSink
    where
        T: std::fmt::Display,
    {
        self.sink_to(sink::print())
    }

    /// Drops the records.
    pub fn discard(&self) -> DataStreamSink {
        self.sink_to(sink::discard())
    }

    /// Runs the program and gives the records of this stream as they come; the job ends when the iterator is dropped.
    pub fn execute_and_collect(&self, name: &str) -> Result<CollectedRows<T>> {
        let (collector, rows) = sink::collecting::<T>();
        self.end("Collect", Arc::new(collector), Some(1));
        let client = self.env.execute_async(name)?;
        Ok(rows.of(client))
    }

    fn end(&self, name: &str, factory: Arc<dyn SinkFactory>, parallelism: Option<usize>) -> DataStreamSink {
        let mut node = Node::new(name, NodeKind::Sink(factory), self.inputs(0)).stateful(Stateful::Sink);
        node.parallelism = parallelism;
        if matches!(self.partitioning, Partitioning::Hash(_) | Partitioning::Rebalance) {
            node.instances = Instances::All;
        }
        let node = self.env.draft().add(node);
        DataStreamSink {
            env: self.env.clone(),
            node,
        }
    }

    /// Names the operator of this stream, for display and error messages.
    pub fn name(self, name: &str) -> Self {
        self.env
            .draft()
            .change(self.node, |node| name.clone_into(&mut node.name));
        self
    }

    /// The identity of the operator of this stream, under which a checkpoint holds its state.
    pub fn uid(self, uid: &str) -> Self {
        self.env
            .draft()
            .change(self.node, |node| node.uid = Some(uid.to_owned()));
        self
    }

    /// Instances of the operator of this stream.
    pub fn set_parallelism(self, parallelism: usize) -> Self {
        self.env
            .draft()
            .change(self.node, |node| node.parallelism = Some(parallelism.max(1)));
        self
    }

    /// Accepted for Flink's sake: instances of one number share a thread in any case.
    pub fn slot_sharing_group(self, _: &str) -> Self {
        self
    }

    /// How long an operator may hold records back to make batches of them is not a setting here; accepted for Flink's sake.
    pub fn set_buffer_timeout(self, _: Duration) -> Self {
        self
    }
}

/// The end of a stream.
pub struct DataStreamSink {
    env: Job,
    node: usize,
}

impl DataStreamSink {
    pub fn name(self, name: &str) -> Self {
        self.env
            .draft()
            .change(self.node, |node| name.clone_into(&mut node.name));
        self
    }

    /// The identity of the sink, under which a checkpoint holds its state.
    pub fn uid(self, uid: &str) -> Self {
        self.env
            .draft()
            .change(self.node, |node| node.uid = Some(uid.to_owned()));
        self
    }

    pub fn set_parallelism(self, parallelism: usize) -> Self {
        self.env
            .draft()
            .change(self.node, |node| node.parallelism = Some(parallelism.max(1)));
        self
    }
}
