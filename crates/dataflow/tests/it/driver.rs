//! Runs of whole graphs: determinism, both drivers, failures, cancellation.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use millstream_dataflow::*;
use millstream_types::{Batch, CheckpointId, Clock, ErrorKind, ManualClock, SystemClock, Watermark};

use crate::toys::*;

const NUMBERS: CountingSource = CountingSource {
    rows: 2000,
    keys: 17,
    bounded: true,
    splits: 3,
};

/// Runs to the end with a last checkpoint; what the sink saw.
fn run_stepped(parallelism: usize, batch_rows: usize) -> Collecting {
    let sink = Collecting::default();
    let mut job = SteppedJob::start(&sum_graph(NUMBERS, parallelism, batch_rows, &sink), 0, None).unwrap();
    job.run(1).unwrap();
    job.command(&Command::Trigger {
        checkpoint: CheckpointId(1),
        stop: false,
    });
    job.run(2).unwrap();
    job.command(&Command::Completed {
        checkpoint: CheckpointId(1),
        is_base: true,
    });
    job.run(2).unwrap();
    job.command(&Command::Close);
    assert_eq!(job.run(3).unwrap(), StepOutcome::Closed);
    sink
}

#[test]
fn two_runs_are_equal_to_the_byte() {
    for (parallelism, batch_rows) in [(1, 1), (1, 100), (3, 1), (3, 7), (4, 1000)] {
        let (first, second) = (
            run_stepped(parallelism, batch_rows),
            run_stepped(parallelism, batch_rows),
        );
        assert_eq!(
            first.all(),
            second.all(),
            "parallelism {parallelism}, batches of {batch_rows}"
        );
        assert_eq!(first.rows().len(), NUMBERS.rows as usize);
        assert_eq!(
            final_sums(&first.rows()),
            final_sums(&expected_sums(NUMBERS.rows, NUMBERS.keys))
        );
    }
}

#[test]
fn watermarks_lie_between_the_rows_they_belong_to() {
    let seen = run_stepped(1, 1).all();
    let expected = expected_sums(3, 17);
    assert_eq!(seen[0], Seen::Row(expected[0].0, expected[0].1));
    assert_eq!(seen[1], Seen::Watermark(0));
    assert_eq!(seen[3], Seen::Watermark(1));
    let tail = [
        Seen::Watermark(i64::MAX),
        Seen::Finish,
        Seen::Prepare(1),
        Seen::Commit(1),
    ];
    assert_eq!(seen[seen.len() - 4..], tail);
}

#[test]
fn one_row_a_step_cuts_what_operators_emit() {
    struct Doubles;
    impl Operator for Doubles {
        fn process(
            &mut self,
            _: usize,
            batch: millstream_types::Batch,
            _: &Context,
            out: &mut dyn Output,
        ) -> Result<(), DataflowError> {
            let rows: Rows = rows_of(&batch).into_iter().flat_map(|r| [r, r]).collect();
            out.batch(crate::toys::batch(&rows))
        }
    }
    struct OneRowOnly;
    impl Operator for OneRowOnly {
        fn process(
            &mut self,
            _: usize,
            batch: millstream_types::Batch,
            _: &Context,
            out: &mut dyn Output,
        ) -> Result<(), DataflowError> {
            assert_eq!(batch.rows, 1);
            out.batch(batch)
        }
    }
    let sink = Collecting::default();
    let mut graph = Graph::new(GraphSettings {
        batch_rows: 1,
        ..GraphSettings::default()
    });
    let values = CountingSource {
        rows: 2,
        keys: 5,
        bounded: true,
        splits: 1,
    };
    let source = graph.add("s", "s", 1, VertexKind::Source(Arc::new(values)));
    let doubles = graph.add(
        "d",
        "d",
        1,
        VertexKind::Operator(Arc::new(
            |_: &Context| -> Result<Box<dyn Operator>, DataflowError> { Ok(Box::new(Doubles)) },
        )),
    );
    let single = graph.add(
        "o",
        "o",
        1,
        VertexKind::Operator(Arc::new(
            |_: &Context| -> Result<Box<dyn Operator>, DataflowError> { Ok(Box::new(OneRowOnly)) },
        )),
    );
    let end = graph.add("k", "k", 1, VertexKind::Sink(Arc::new(sink.clone())));
    graph.connect(source, doubles, 0, Partitioning::Forward);
    graph.connect(doubles, single, 0, Partitioning::Forward);
    graph.connect(single, end, 0, Partitioning::Forward);
    SteppedJob::start(&graph, 0, None).unwrap().run(0).unwrap();
    assert_eq!(sink.rows(), [(0, 0), (0, 0), (1, 1), (1, 1)]);
}

/// Two sources into one operator, whose output goes to two sinks, one of them behind another operator.
#[test]
fn graphs_may_join_and_fork() {
    let (left, right) = (Collecting::default(), Collecting::default());
    let mut graph = Graph::new(GraphSettings::default());
    let numbers = |rows| {
        VertexKind::Source(Arc::new(CountingSource {
            rows,
            keys: 5,
            bounded: true,
            splits: 1,
        }))
    };
    let first = graph.add("a", "a", 1, numbers(10));
    let second = graph.add("b", "b", 1, numbers(20));
    let union = graph.add("u", "u", 1, VertexKind::Operator(pass_through()));
    let sum = graph.add("sum", "sum", 2, VertexKind::Operator(sum_by_key()));
    let raw = graph.add("raw", "raw", 1, VertexKind::Sink(Arc::new(left.clone())));
    let summed = graph.add("summed", "summed", 2, VertexKind::Sink(Arc::new(right.clone())));
    graph.connect(first, union, 0, Partitioning::Forward);
    graph.connect(second, union, 1, Partitioning::Forward);
    graph.connect(union, sum, 0, Partitioning::Hash(vec![0]));
    graph.connect(union, raw, 0, Partitioning::Forward);
    graph.connect(sum, summed, 0, Partitioning::Forward);
    let mut job = SteppedJob::start(&graph, 0, None).unwrap();
    job.run(0).unwrap();
    assert_eq!((left.rows().len(), right.rows().len()), (30, 30));
    let watermarks: Vec<Seen> = left
        .all()
        .into_iter()
        .filter(|seen| matches!(seen, Seen::Watermark(_)))
        .collect();
    assert_eq!(
        watermarks,
        [Seen::Watermark(9), Seen::Watermark(19), Seen::Watermark(i64::MAX)]
    );
    let finished = job
        .events()
        .iter()
        .filter(|e| matches!(e, WorkerEvent::Finished { .. }))
        .count();
    assert_eq!(finished, 2);
}

#[test]
fn timers_fire_when_their_time_has_come() {
    struct Ticks(i64);
    impl Operator for Ticks {
        fn process(
            &mut self,
            _: usize,
            _: millstream_types::Batch,
            context: &Context,
            _: &mut dyn Output,
        ) -> Result<(), DataflowError> {
            self.0 = context.now_ms + 10;
            Ok(())
        }
        fn next_timer(&self) -> Option<i64> {
            (self.0 < i64::MAX).then_some(self.0)
        }
        fn timer(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
            self.0 = i64::MAX;
            out.batch(batch(&[(0, context.now_ms)]))
        }
    }
    let sink = Collecting::default();
    let mut graph = Graph::new(GraphSettings::default());
    let numbers = CountingSource {
        rows: 1,
        keys: 1,
        bounded: false,
        splits: 1,
    };
    let source = graph.add("s", "s", 1, VertexKind::Source(Arc::new(numbers)));
    let ticks = graph.add(
        "t",
        "t",
        1,
        VertexKind::Operator(Arc::new(
            |_: &Context| -> Result<Box<dyn Operator>, DataflowError> { Ok(Box::new(Ticks(i64::MAX))) },
        )),
    );
    let end = graph.add("k", "k", 1, VertexKind::Sink(Arc::new(sink.clone())));
    graph.connect(source, ticks, 0, Partitioning::Forward);
    graph.connect(ticks, end, 0, Partitioning::Forward);
    let mut job = SteppedJob::start(&graph, 0, None).unwrap();
    assert_eq!(job.run(5).unwrap(), StepOutcome::Waiting { until_ms: Some(15) });
    job.run(14).unwrap();
    assert_eq!(sink.rows(), []);
    assert_eq!(job.run(15).unwrap(), StepOutcome::Waiting { until_ms: None });
    assert_eq!(sink.rows(), [(0, 15)]);
}

fn sink_of(sender: &std::sync::mpsc::Sender<WorkerEvent>) -> EventSink {
    let sender = sender.clone();
    EventSink::new(move |event| _ = sender.send(event))
}

fn start(graph: &Graph, clock: Arc<dyn Clock>, events: &std::sync::mpsc::Sender<WorkerEvent>) -> ThreadedJob {
    ThreadedJob::start(graph, &clock, None, &sink_of(events)).unwrap()
}

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn threads_give_the_same_rows_as_steps() {
    let sink = Collecting::default();
    let (sender, events) = channel();
    let graph = sum_graph(NUMBERS, 3, 50, &sink);
    let job = start(&graph, Arc::new(SystemClock), &sender);
    let mut finished = 0;
    while finished < job.workers() {
        match events.recv_timeout(PATIENCE).unwrap() {
            WorkerEvent::Finished { .. } => finished += 1,
            WorkerEvent::Failed { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
    job.close();
    assert_eq!(final_sums(&sink.rows()), final_sums(&run_stepped(3, 50).rows()));
    assert_eq!(sink.rows().len(), NUMBERS.rows as usize);
}

#[test]
fn a_panic_fails_the_job_and_nothing_else() {
    let sink = Collecting::default();
    let mut graph = Graph::new(GraphSettings {
        batch_rows: 10,
        ..GraphSettings::default()
    });
    let source = graph.add(
        "s",
        "s",
        1,
        VertexKind::Source(Arc::new(CountingSource {
            bounded: false,
            ..NUMBERS
        })),
    );
    let panics = graph.add("p", "p", 2, VertexKind::Operator(panics_at(55)));
    let end = graph.add("k", "k", 2, VertexKind::Sink(Arc::new(sink.clone())));
    graph.connect(source, panics, 0, Partitioning::Rebalance);
    graph.connect(panics, end, 0, Partitioning::Forward);
    let (sender, events) = channel();
    let job = start(&graph, Arc::new(ManualClock::new(0)), &sender);
    let error = loop {
        if let WorkerEvent::Failed { error, .. } = events.recv_timeout(PATIENCE).unwrap() {
            break error;
        }
    };
    assert!(error.message.contains("value 55 came"), "{error}");
    job.close();
    let mut stepped = SteppedJob::start(&graph, 0, None).unwrap();
    assert!(stepped.run(0).unwrap_err().message.contains("value 55 came"));
}

#[test]
fn an_endless_job_ends_when_it_is_closed() {
    let sink = Collecting::default();
    let source = CountingSource {
        rows: i64::MAX,
        keys: 3,
        bounded: false,
        splits: 2,
    };
    let (sender, events) = channel();
    let graph = sum_graph(source, 2, 100, &sink);
    let job = start(&graph, Arc::new(SystemClock), &sender);
    assert!(matches!(
        events.recv_timeout(PATIENCE).unwrap(),
        WorkerEvent::Running { .. }
    ));
    job.close();
    drop(sender);
    let closed = events
        .iter()
        .filter(|e| matches!(e, WorkerEvent::Closed { .. }))
        .count();
    assert_eq!(closed, 2);
}

#[test]
fn metrics_carry_flinks_names() {
    let sink = Collecting::default();
    let mut job = SteppedJob::start(&sum_graph(NUMBERS, 1, 100, &sink), 0, None).unwrap();
    job.run(1).unwrap();
    let sum = job.metrics().of_vertex(1).next().unwrap();
    let values = sum.values();
    let value = |name: &str| values.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    assert_eq!(
        (value("numRecordsIn"), value("numRecordsOut")),
        (Some(2000), Some(2000))
    );
    assert_eq!(value("currentInputWatermark"), Some(Watermark::MAX.0));
    assert!(value("stateSize") > Some(0));
}

#[test]
fn bytes_are_counted_at_exchanges_and_at_the_sink() {
    let sink = Collecting::default();
    let mut job = SteppedJob::start(&sum_graph(NUMBERS, 2, 100, &sink), 0, None).unwrap();
    job.run(1).unwrap();
    let metrics = job.metrics();
    let total = |vertex, name: &str| -> i64 {
        let values = metrics.of_vertex(vertex).flat_map(|instance| instance.values());
        values.filter(|(n, _)| *n == name).map(|(_, value)| value).sum()
    };
    let row_bytes = 2 * size_of::<i64>() as i64;
    assert_eq!(total(0, "numBytesIn"), 0);
    for (sender, receiver) in [(0, 1), (1, 2)] {
        let sent = total(sender, "numBytesOut");
        assert!(sent >= 2000 * row_bytes, "{sent} bytes sent by {sender}");
        assert_eq!(total(receiver, "numBytesIn"), sent);
    }
    assert_eq!(total(2, "numBytesOut"), 2000 * row_bytes);
}

#[test]
fn state_beyond_the_memory_fails_the_job_and_names_the_operator() {
    struct Hoarder;
    impl Operator for Hoarder {
        fn process(
            &mut self,
            _: usize,
            batch: Batch,
            _: &Context,
            out: &mut dyn Output,
        ) -> Result<(), DataflowError> {
            out.batch(batch)
        }

        fn state_bytes(&self) -> usize {
            3 << 40
        }
    }
    let hoard: Arc<dyn OperatorFactory> = Arc::new(|_: &Context| Ok(Box::new(Hoarder) as Box<dyn Operator>));
    let source = CountingSource {
        rows: i64::MAX,
        keys: 3,
        bounded: false,
        splits: 1,
    };
    let run = |memory_bytes| {
        let mut graph = Graph::new(GraphSettings {
            memory_bytes,
            ..GraphSettings::default()
        });
        let source = graph.add("s", "s", 1, VertexKind::Source(Arc::new(source.clone())));
        let operator = graph.add("h", "Hoarder", 1, VertexKind::Operator(Arc::clone(&hoard)));
        let sink = graph.add("k", "k", 1, VertexKind::Sink(Arc::new(Collecting::default())));
        graph.connect(source, operator, 0, Partitioning::Forward);
        graph.connect(operator, sink, 0, Partitioning::Forward);
        let mut job = SteppedJob::start(&graph, 0, None).unwrap();
        (0..5).try_for_each(|second| job.step(second * 1000).map(|_| ()))
    };
    run(Some(4 << 40)).unwrap();
    let error = run(Some(2 << 40)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Input, "a restart would not help");
    for part in ["3.0 TiB", "2.0 TiB", "'millstream.memory.size'", "'Hoarder'"] {
        assert!(error.message.contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn graphs_that_cannot_run_are_refused() {
    let mut graph = Graph::new(GraphSettings::default());
    graph.add("p", "lonely", 1, VertexKind::Operator(pass_through()));
    let error = SteppedJob::start(&graph, 0, None).err().unwrap();
    assert!(error.message.contains("'lonely'"), "{error}");
}

/// A source whose time to be polled has come while its sink is full must not keep the worker awake.
#[test]
fn a_held_back_source_asks_for_no_wake_up() {
    struct Ticking;
    impl Source for Ticking {
        fn open(&mut self, _: &Context, _: Waker) -> Result<(), DataflowError> {
            Ok(())
        }
        fn poll(&mut self, context: &Context, out: &mut dyn Output) -> Result<SourceStatus, DataflowError> {
            out.batch(batch(&[(0, context.now_ms)]))?;
            Ok(SourceStatus::Pending {
                until_ms: Some(context.now_ms + 5),
            })
        }
        fn snapshot(&mut self) -> Result<StateBlocks, DataflowError> {
            Ok(StateBlocks::default())
        }
        fn restore(&mut self, _: Vec<StateBlocks>, _: &Context) -> Result<(), DataflowError> {
            Ok(())
        }
    }
    struct Factory;
    impl SourceFactory for Factory {
        fn create(&self, _: &Context) -> Result<Box<dyn Source>, DataflowError> {
            Ok(Box::new(Ticking))
        }
        fn is_bounded(&self) -> bool {
            false
        }
    }
    let sink = Collecting {
        room: Some(Arc::new(std::sync::Mutex::new(1))),
        ..Collecting::default()
    };
    let mut graph = Graph::new(GraphSettings::default());
    let source = graph.add("s", "s", 1, VertexKind::Source(Arc::new(Factory)));
    let end = graph.add("k", "k", 1, VertexKind::Sink(Arc::new(sink)));
    graph.connect(source, end, 0, Partitioning::Forward);
    let mut job = SteppedJob::start(&graph, 0, None).unwrap();
    job.run(0).unwrap();
    assert_eq!(job.run(100).unwrap(), StepOutcome::Waiting { until_ms: None });
}
