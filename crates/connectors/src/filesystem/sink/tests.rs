//! Files through crashes and changes of parallelism.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array};
use arrow_buffer::Buffer;
use jiff::tz::TimeZone;
use millstream_formats::MessageRange;
use millstream_formats::avro::{AvroOptions, ContainerReader};
use millstream_kafka_client::Transport;
use millstream_plan::{ObjectIdentifier, TableSpec};
use millstream_types::{SeededRng, SystemClock, TypeKind};
use tokio::runtime::Handle;

use super::*;
use crate::PrintTarget;
use crate::kafka::KafkaClusters;

/// What file sinks do not use.
struct Nothing;

impl PrintTarget for Nothing {
    fn print_line(&self, _: &str, _: bool) {}
}

impl KafkaClusters for Nothing {
    fn transport(&self, _: &BTreeMap<String, String>) -> Result<Arc<dyn Transport>, DataflowError> {
        Err(DataflowError::internal("no cluster"))
    }

    fn is_embedded(&self, _: &BTreeMap<String, String>) -> bool {
        false
    }

    fn runtime(&self) -> Handle {
        Handle::current()
    }
}

fn factory(directory: &Path, format: &str, seed: u64) -> FileSinkFactory {
    let options = [
        ("connector", "filesystem"),
        ("path", directory.to_str().expect("a path of text")),
        ("format", format),
    ];
    let table = TableSpec {
        identifier: ObjectIdentifier {
            catalog: "c".into(),
            database: "d".into(),
            name: "t".into(),
        },
        options: options.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        physical: Schema::new([("n", LogicalType::not_null(TypeKind::BigInt))]),
        primary_key: Vec::new(),
        partition_keys: Vec::new(),
    };
    let spec = SinkSpec {
        table,
        columns: vec![0],
        metadata: Vec::new(),
        overwrite: false,
        static_partition: Vec::new(),
    };
    let context = ConnectorContext {
        clock: Arc::new(SystemClock),
        rng: Arc::new(SeededRng::new(seed)),
        print: Arc::new(Nothing),
        kafka: Arc::new(Nothing),
        zone: TimeZone::UTC,
        zone_name: "UTC".into(),
        alignment: Default::default(),
        batch: false,
    };
    FileSinkFactory::new(spec, &context).expect("a valid table")
}

/// The rows of the files that readers see, sorted.
fn visible(directory: &Path, format: &str) -> Vec<i64> {
    let files = std::fs::read_dir(directory).expect("the directory");
    let files = files.map(|entry| entry.expect("an entry").path());
    let is_visible = |path: &PathBuf| {
        !path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with('.'))
    };
    let read = |path: PathBuf| {
        if format == "avro" {
            numbers(&path)
        } else {
            lines(&path)
        }
    };
    let mut rows: Vec<i64> = files.filter(is_visible).flat_map(read).collect();
    rows.sort_unstable();
    rows
}

fn lines(path: &Path) -> Vec<i64> {
    let text = std::fs::read_to_string(path).expect("a file");
    text.lines().map(|line| line.parse().expect("a number")).collect()
}

/// The column of a container.
fn numbers(path: &Path) -> Vec<i64> {
    let mut reader = ContainerReader::open(File::open(path).expect("a file")).expect("a container");
    let schema = Schema::new([("n", LogicalType::not_null(TypeKind::BigInt))]);
    let mut decoder = reader
        .decoder(AvroOptions::default(), &schema)
        .expect("a schema that fits");
    let mut rows = Vec::new();
    while let Some(block) = reader.block().expect("a block") {
        let range = MessageRange::new(0, block.len() as u32);
        let decoded = decoder.decode(&Buffer::from(block), &[range]).expect("rows");
        let column: &Int64Array = decoded.columns[0].as_primitive();
        rows.extend_from_slice(column.values());
    }
    rows
}

/// Each instance of a run writes a number, a checkpoint is taken, each writes another, the run crashes.
/// After 2 to 1 one file was never published; after 1 to 2 both instances wrote to the same one.
#[test]
fn a_change_of_parallelism_keeps_every_row_once() {
    ["csv", "avro"].iter().for_each(|format| rescale(format));
}

fn rescale(format: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut states: Vec<StateBlocks> = Vec::new();
    let mut expected = Vec::new();
    let mut next = 0;
    let runs = [2, 1, 3, 2, 2];
    for (run, parallelism) in runs.into_iter().enumerate() {
        let checkpoint = CheckpointId(run as u64 + 1);
        let factory = factory(directory.path(), format, checkpoint.0);
        let contexts: Vec<Context> = (0..parallelism).map(|i| Context::new(i, parallelism)).collect();
        let same = states.len() == parallelism;
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        for context in &contexts {
            let mut sink = factory.create(context).expect("a sink");
            if run > 0 {
                let own = if same {
                    vec![states[context.subtask].clone()]
                } else {
                    states.clone()
                };
                sink.restore(own, context).expect("restored");
            }
            sink.open(context, Waker::new(|| {})).expect("open");
            sinks.push(sink);
        }
        let mut write = |sinks: &mut Vec<Box<dyn Sink>>| {
            let mut written = Vec::new();
            for (sink, context) in sinks.iter_mut().zip(&contexts) {
                let column: ArrayRef = Arc::new(Int64Array::from(vec![next]));
                sink.write(Batch::inserts(vec![column], 1), context)
                    .expect("written");
                written.push(next);
                next += 1;
            }
            written
        };
        expected.extend(write(&mut sinks));
        states.clear();
        let is_last = run + 1 == runs.len();
        for (sink, context) in sinks.iter_mut().zip(&contexts) {
            if is_last {
                sink.finish(context).expect("finished");
            }
            sink.prepare(checkpoint, context).expect("prepared");
            let commit = sink
                .prepared(checkpoint, context)
                .expect("prepared")
                .expect("at once");
            states.push(commit.state);
        }
        for (sink, context) in sinks.iter_mut().zip(&contexts) {
            assert!(sink.commit(checkpoint, context).expect("committed"));
        }
        if !is_last {
            write(&mut sinks);
        }
    }
    assert_eq!(visible(directory.path(), format), expected, "{format}");
}
