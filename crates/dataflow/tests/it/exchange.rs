//! Channels, credits and the spreading of rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::ArrayRef;
use arrow_array::builder::StringViewBuilder;
use arrow_buffer::Buffer;
use millstream_dataflow::exchange::{ChannelReceiver, ExchangeWriter, channel};
use millstream_dataflow::{Partitioning, SteppedJob, Waker};
use millstream_types::{Batch, CheckpointId, Element, Watermark};

use crate::toys::{Collecting, CountingSource, batch, rows_of, sum_graph};

fn counting_waker() -> (Waker, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    (
        Waker::new(move || _ = counter.fetch_add(1, Ordering::SeqCst)),
        count,
    )
}

#[test]
fn credit_is_in_bytes_and_comes_back_with_reading() {
    let (wake_sender, sender_woken) = counting_waker();
    let (wake_receiver, receiver_woken) = counting_waker();
    let one = batch(&[(1, 1), (2, 2)]);
    let (sender, receiver) = channel(2 * one.memory_size(), wake_sender, wake_receiver);
    sender.send(Element::Batch(one.clone()));
    assert!(sender.ready());
    sender.send(Element::Batch(one.clone()));
    assert!(!sender.ready(), "two batches use up the credit");
    sender.send(Element::Barrier(CheckpointId(1)));
    assert_eq!(
        receiver_woken.load(Ordering::SeqCst),
        3,
        "barriers need no credit"
    );
    assert!(matches!(receiver.receive(), Some(Element::Batch(_))));
    assert_eq!(sender_woken.load(Ordering::SeqCst), 1);
    assert!(sender.ready());
    assert!(matches!(receiver.receive(), Some(Element::Batch(_))));
    assert!(matches!(
        receiver.receive(),
        Some(Element::Barrier(CheckpointId(1)))
    ));
    assert!(receiver.receive().is_none());
    assert_eq!(
        sender_woken.load(Ordering::SeqCst),
        1,
        "a sender that does not wait is not woken"
    );
}

/// Rows of two strings each, which lie in one message with much that no column refers to.
fn strings_of_a_message(rows: u32, message_bytes: usize) -> Batch {
    let message = Buffer::from(vec![b'm'; message_bytes]);
    let column = |at: u32| -> ArrayRef {
        let mut strings = StringViewBuilder::new();
        let block = strings.append_block(message.clone());
        for row in 0..rows {
            strings.try_append_view(block, row * 40 + at, 20).unwrap();
        }
        Arc::new(strings.finish())
    };
    Batch::inserts(vec![column(0), column(20)], rows as usize)
}

#[test]
fn string_columns_are_charged_their_own_bytes() {
    let batch = strings_of_a_message(1000, 100_000);
    let (sender, receiver) = channel(4 * batch.memory_size(), Waker::new(|| {}), Waker::new(|| {}));
    for _ in 0..3 {
        assert!(sender.ready());
        sender.send(Element::Batch(batch.clone()));
    }
    assert!(sender.ready(), "three of four");
    sender.send(Element::Batch(batch.clone()));
    assert!(!sender.ready());
    let Some(Element::Batch(received)) = receiver.receive() else {
        panic!("a batch");
    };
    assert_eq!(received.columns, batch.columns);
    assert_eq!(
        received.pinned_bytes(),
        batch.pinned_bytes(),
        "most of the message is in use"
    );
}

#[test]
fn a_few_rows_do_not_keep_a_large_message() {
    let batch = strings_of_a_message(10, 1 << 20);
    let (sender, receiver) = channel(1 << 20, Waker::new(|| {}), Waker::new(|| {}));
    sender.send(Element::Batch(batch.clone()));
    let Some(Element::Batch(received)) = receiver.receive() else {
        panic!("a batch");
    };
    assert_eq!(received.columns, batch.columns);
    assert!(received.pinned_bytes() < 1000, "{}", received.pinned_bytes());
}

fn writer(partitioning: Partitioning, targets: usize) -> (ExchangeWriter, Vec<ChannelReceiver>) {
    let waker = || Waker::new(|| {});
    let (senders, receivers) = (0..targets).map(|_| channel(1 << 20, waker(), waker())).unzip();
    (ExchangeWriter::new(partitioning, senders, 0, 128), receivers)
}

fn batches(receiver: &ChannelReceiver) -> Vec<Batch> {
    std::iter::from_fn(|| receiver.receive())
        .filter_map(|element| {
            if let Element::Batch(batch) = element {
                Some(batch)
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn a_key_always_goes_to_the_owner_of_its_group_in_order() {
    let (mut writer, receivers) = writer(Partitioning::Hash(vec![0]), 3);
    let rows: Vec<(i64, i64)> = (0..300).map(|i| (i % 50, i)).collect();
    writer.batch(batch(&rows)).unwrap();
    writer.batch(batch(&rows)).unwrap();
    let mut owners = vec![None; 50];
    let mut total = 0;
    for (index, receiver) in receivers.iter().enumerate() {
        for batch in batches(receiver) {
            let rows = rows_of(&batch);
            assert!(rows.is_sorted_by_key(|r| r.1), "the order of rows is kept");
            total += rows.len();
            for (key, _) in rows {
                assert_eq!(*owners[key as usize].get_or_insert(index), index);
            }
        }
    }
    assert_eq!(total, 600);
}

#[test]
fn the_other_distributions() {
    let (mut rebalance, receivers) = writer(Partitioning::Rebalance, 2);
    (0..4).for_each(|i| rebalance.batch(batch(&[(0, i)])).unwrap());
    let got = |r: &ChannelReceiver| {
        batches(r)
            .iter()
            .flat_map(rows_of)
            .map(|r| r.1)
            .collect::<Vec<_>>()
    };
    assert_eq!((got(&receivers[0]), got(&receivers[1])), (vec![0, 2], vec![1, 3]));

    let (mut broadcast, receivers) = writer(Partitioning::Broadcast, 2);
    broadcast.batch(batch(&[(0, 7)])).unwrap();
    broadcast.watermark(Watermark(5));
    broadcast.watermark(Watermark(5));
    for receiver in &receivers {
        assert!(matches!(receiver.receive(), Some(Element::Batch(_))));
        assert!(matches!(
            receiver.receive(),
            Some(Element::Watermark(Watermark(5)))
        ));
        assert!(receiver.receive().is_none(), "a watermark is sent once");
    }
}

#[test]
fn a_full_sink_stops_the_source_after_bounded_work() {
    let room = Arc::new(std::sync::Mutex::new(2));
    let sink = Collecting {
        room: Some(Arc::clone(&room)),
        ..Collecting::default()
    };
    let source = CountingSource {
        rows: 1_000_000,
        keys: 10,
        bounded: true,
        splits: 1,
    };
    let mut graph = sum_graph(source, 2, 10, &sink);
    graph.settings.credit_bytes = 2000;
    let mut job = SteppedJob::start(&graph, 0, None).unwrap();
    job.run(0).unwrap();
    let records = |job: &SteppedJob| {
        let source = job.metrics().of_vertex(0).next().unwrap();
        source.records_out.load(Ordering::Relaxed)
    };
    let produced = records(&job);
    assert!(produced < 500, "{produced} rows with room for 2 batches");
    *room.lock().unwrap() = 5;
    job.run(0).unwrap();
    assert!(records(&job) > produced && records(&job) < 1000);
}
