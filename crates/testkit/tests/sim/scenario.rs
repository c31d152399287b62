//! What a seed means: how bad network and disk are, who takes part, and the examination at the end.

use crate::groups;
use crate::history::PARTITIONS;
use crate::mixed_group;
use crate::node::{Node, NodeOptions};
use crate::producers;
use crate::reader::{Reader, TOPIC, follow, read_all};
use crate::shrinking;
use crate::threads::Pace;
use crate::transactional::{Version, group_of, transactional, writer};
use crate::world::{Client, EPOCH_MS, Handle, Life, Outcome, World, run};
use millstream_broker::limits::REQUESTS_PER_TURN;
use millstream_broker::mutants::Mutant;
use millstream_kafka_wire::messages::CreateTopicsRequest;
use millstream_kafka_wire::messages::MetadataRequest;
use millstream_kafka_wire::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use millstream_kafka_wire::messages::metadata::MetadataRequestTopic;
use millstream_kafka_wire::{ErrorCode, Uuid};
use millstream_log::limits::BACKLOG_BYTES;
use millstream_testkit::network::NetworkFaults;
use millstream_types::{Rng, SeededRng};
use std::cell::RefCell;
use std::rc::Rc;

/// Who takes part.
struct Cast {
    plain: u64,
    /// Those with several requests under way that repeat nothing.
    pipelined: u64,
    idempotent: u64,
    /// For each transactional id its version and how many instances fight for it.
    transactional: Vec<(Version, u64)>,
    classic: u64,
    consumer: u64,
    /// Members of a group in which both protocols are spoken.
    mixed: u64,
    /// Clients of topics that lose records on purpose.
    deleting: bool,
    compacting: bool,
}

/// Runs the world of a seed, with a broken broker if one is given.
pub fn simulate(seed: u64, mutant: Option<Mutant>) -> Outcome {
    let rng = SeededRng::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5EED);
    let (backlog_bytes, commands_max, thread_ms_max) = turns(seed);
    let options = NodeOptions {
        checkpoint_bytes: 1_000 << rng.below(7),
        tail_cache_bytes: rng.below(3) * 5_000,
        backlog_bytes,
        commands_max,
        power_fails: rng.below(4) > 0,
        disk_fails: rng.below(3) == 0,
        pace: Pace {
            disk_ms_max: 1 + rng.below(12),
            thread_ms_max,
        },
        mutant,
    };
    let virtual_ms = 10_000 + rng.below(40_000) as i64;
    let trouble_ms = [2_000, 8_000, 40_000][rng.below(3) as usize];
    let cast = Cast {
        plain: rng.below(2),
        pipelined: SeededRng::new(seed ^ 0x919E).below(2),
        idempotent: rng.below(3),
        transactional: (0..1 + rng.below(3)).map(|_| version(&rng)).collect(),
        classic: rng.below(4),
        consumer: rng.below(4),
        mixed: mixed(seed),
        deleting: SeededRng::new(seed ^ 0xDE1E).below(2) == 0,
        compacting: SeededRng::new(seed ^ 0xC0DE).below(2) == 0,
    };
    let faults = network(&rng);
    let world = World::new(rng, faults, Node::new(options), EPOCH_MS + virtual_ms, trouble_ms);
    run(world, |handle| Box::pin(everything(handle.clone(), cast)))
}

/// By a chance of its own, so that it changes nothing about the others.
fn mixed(seed: u64) -> u64 {
    let rng = SeededRng::new(seed ^ 0xB0A7);
    [0, 0, 2, 3, 4][rng.below(5) as usize]
}

/// What may wait for a checkpoint, how much the broker's thread takes in at once and how late it is scheduled; also by a
/// chance of its own.
fn turns(seed: u64) -> (u64, usize, u64) {
    let rng = SeededRng::new(seed ^ 0x7E4D);
    let backlog_bytes = [200, 2_000, 20_000, BACKLOG_BYTES][rng.below(4) as usize];
    let commands_max = [1, 2, 5, REQUESTS_PER_TURN][rng.below(4) as usize];
    let thread_ms_max = [0, 1, 5, 30][rng.below(4) as usize];
    (backlog_bytes, commands_max, thread_ms_max)
}

fn version(rng: &SeededRng) -> (Version, u64) {
    let version = if rng.below(3) == 0 {
        Version::One
    } else {
        Version::Two
    };
    (version, 1 + rng.below(4) / 3)
}

fn network(rng: &SeededRng) -> NetworkFaults {
    match rng.below(3) {
        0 => NetworkFaults::NONE,
        1 => NetworkFaults {
            delay_ms_max: 10,
            stall: 5,
            stall_ms_max: 4_000,
            dead: 3,
            half_open: 200,
            pieces: 100,
        },
        _ => NetworkFaults {
            delay_ms_max: 60,
            stall: 30,
            stall_ms_max: 6_000,
            dead: 15,
            half_open: 500,
            pieces: 300,
        },
    }
}

/// Abandoned requests arrive within this time: more than the longest stall of every network above.
const LATE_MS: u64 = 7_000;

/// The whole life of the world, as a client of its own.
async fn everything(world: Handle, cast: Cast) {
    let topic_id = create_topic(&world).await;
    let readers: Rc<RefCell<Vec<Reader>>> = Rc::default();
    let mut lives: Vec<Life> = Vec::new();
    for is_committed in [true, false, true] {
        let (world, readers) = (world.clone(), readers.clone());
        lives.push(Box::pin(async move {
            let reader = follow(world, topic_id, is_committed).await;
            readers.borrow_mut().push(reader);
        }));
    }
    let mut writers = Vec::new();
    for _ in 0..cast.plain {
        lives.push(Box::pin(producers::plain(world.clone(), topic_id)));
    }
    for _ in 0..cast.pipelined {
        lives.push(Box::pin(producers::pipelined(world.clone(), topic_id)));
    }
    for _ in 0..cast.idempotent {
        lives.push(Box::pin(producers::idempotent(world.clone(), topic_id)));
    }
    for (version, instances) in cast.transactional {
        let writer = writer(&world);
        writers.push(writer);
        for _ in 0..instances {
            lives.push(Box::pin(transactional(world.clone(), topic_id, writer, version)));
        }
    }
    for _ in 0..cast.classic {
        lives.push(Box::pin(groups::classic(world.clone(), topic_id)));
    }
    for _ in 0..cast.consumer {
        lives.push(Box::pin(groups::consumer(world.clone(), topic_id)));
    }
    for _ in 0..cast.mixed {
        lives.push(Box::pin(mixed_group::member(world.clone(), topic_id)));
    }
    if cast.deleting {
        lives.push(Box::pin(shrinking::deleting(world.clone())));
    }
    if cast.compacting {
        lives.push(Box::pin(shrinking::compacting(world.clone())));
    }
    lives.push(Box::pin(groups::watch_offsets(
        world.clone(),
        topic_id,
        writers.clone(),
    )));
    world.run_all(lives).await;
    world.sleep(LATE_MS).await;
    while !world.with(|world| world.node.is_idle()) {
        world.sleep(100).await; // a slow thread still has requests of clients that have gone
    }
    let readers = readers.take();
    examine(&world, topic_id, &readers, &writers).await;
}

async fn create_topic(world: &Handle) -> Uuid {
    let mut client = Client::new(world);
    let configs = [("segment.ms", "3000"), ("compression.type", "producer")];
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: TOPIC.into(),
            num_partitions: PARTITIONS as i32,
            replication_factor: 1,
            configs: configs
                .iter()
                .map(|(name, value)| CreatableTopicConfig {
                    name: (*name).into(),
                    value: Some((*value).into()),
                })
                .collect(),
            ..Default::default()
        }],
        timeout_ms: 1_000,
        validate_only: false,
    };
    loop {
        let response = client.insist(7, request.clone()).await;
        match response.topics[0].error_code {
            ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS => break,
            _ => world.sleep(100).await,
        }
    }
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(TOPIC.into()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    client.insist(12, request).await.topics[0].topic_id
}

/// All is over: everything is read once more, and compared with what all clients did and saw.
async fn examine(world: &Handle, topic_id: Uuid, readers: &[Reader], writers: &[usize]) {
    let all = read_all(world, topic_id, false).await;
    let committed = read_all(world, topic_id, true).await;
    if all.positions != committed.positions {
        let text = format!(
            "{:?} can be read, {:?} committed",
            all.positions, committed.positions
        );
        world.violation("stable-offset", text);
    }
    world.history(|history| {
        history.finish(&all.shown, &committed.shown);
        for reader in readers.iter().filter(|reader| reader.is_committed) {
            for partition in 0..PARTITIONS {
                let end = reader.positions[partition];
                let expected = history.expected_below(&committed.shown[partition], end);
                if reader.shown[partition] != expected {
                    let text =
                        format!("a reader of partition {partition} up to {end} did not see what it should");
                    history.violation("lost-read", text);
                }
            }
        }
    });
    let mut client = Client::new(world);
    for writer in writers {
        let group = group_of(*writer);
        let found = loop {
            if let Ok(found) = groups::read_offsets(&mut client, &group, topic_id).await {
                break found;
            }
        };
        let offset = found.first().map_or(-1, |(_, offset)| *offset);
        let expected = world.history(|history| history.transactional_offset(*writer, &committed.shown));
        if offset != expected {
            let text =
                format!("'{group}' has offset {offset}, its last visible transaction committed {expected}");
            world.violation("torn-transaction", text);
        }
    }
}
