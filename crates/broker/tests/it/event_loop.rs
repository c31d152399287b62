//! What the broker's thread decides, with jobs that end when the test says so.

use crate::driver::{batch, context, creation};
use millstream_broker::{
    Broker, BrokerConfig, Command, EventLoop, Host, Job, JobOutcome, Reply, Rest, Submitted,
};
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ErrorCode, KafkaString, Request, Response};
use millstream_log::{LogError, LogOptions};
use millstream_testkit::storage::{Fault, MemStorage, Operation};
use millstream_types::SeededRng;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The kinds of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Commit,
    Checkpoint,
    Compaction,
    Read,
}

fn kind(job: &Job) -> Kind {
    match job {
        Job::Commit(_) => Kind::Commit,
        Job::Checkpoint(_) => Kind::Checkpoint,
        Job::Compaction(_) => Kind::Compaction,
        Job::Read(_) => Kind::Read,
    }
}

/// What is around the broker: a caller is a number.
#[derive(Default)]
struct TestHost {
    now_ms: i64,
    inbox: VecDeque<Command<u64>>,
    replies: Vec<(u64, Reply)>,
    jobs: VecDeque<Job>,
    failures: Vec<LogError>,
}

impl Host<u64> for TestHost {
    fn now_ms(&self) -> i64 {
        self.now_ms
    }

    fn next_command(&mut self) -> Option<Command<u64>> {
        self.inbox.pop_front()
    }

    fn respond(&mut self, caller: u64, reply: Reply) {
        self.replies.push((caller, reply));
    }

    fn start(&mut self, job: Job) -> bool {
        self.jobs.push_back(job);
        true
    }

    fn log_failed(&mut self, error: LogError) {
        self.failures.push(error);
    }
}

struct Desk {
    storage: MemStorage,
    event_loop: EventLoop<u64>,
    host: TestHost,
}

const NOW_MS: i64 = 1_000_000;

impl Desk {
    /// A broker with a topic `t` that accepts this many commands at once.
    fn new(commands_max: usize, backlog_bytes: u64) -> Desk {
        Desk::with_topic(Desk::on(MemStorage::new(), commands_max, backlog_bytes))
    }

    /// The same, with this cap on bytes that wait for the next commit.
    fn with_pending_bytes(commands_max: usize, pending_bytes: u64) -> Desk {
        let log = LogOptions {
            pending_bytes,
            ..LogOptions::default()
        };
        Desk::with_topic(Desk::open(MemStorage::new(), commands_max, log))
    }

    fn with_topic(mut desk: Desk) -> Desk {
        desk.put(0, 7, creation("t"));
        desk.settle();
        desk.host.replies.clear();
        desk
    }

    fn on(storage: MemStorage, commands_max: usize, backlog_bytes: u64) -> Desk {
        let log = LogOptions {
            backlog_bytes,
            tail_cache_bytes: 0,
            ..LogOptions::default()
        };
        Desk::open(storage, commands_max, log)
    }

    fn open(storage: MemStorage, commands_max: usize, log: LogOptions) -> Desk {
        let config = BrokerConfig {
            log,
            ..BrokerConfig::default()
        };
        let rng = Arc::new(SeededRng::new(7));
        let broker = Broker::open(config, Arc::new(storage.clone()), rng, NOW_MS).unwrap();
        let host = TestHost {
            now_ms: NOW_MS,
            ..TestHost::default()
        };
        let mut desk = Desk {
            storage,
            event_loop: EventLoop::new(broker, commands_max),
            host,
        };
        desk.event_loop.go_on(&mut desk.host);
        desk
    }

    fn put(&mut self, caller: u64, version: i16, request: impl Into<Request>) {
        let submitted = Submitted {
            context: context(),
            version,
            request: request.into(),
            caller,
        };
        self.host.inbox.push_back(Command::Request(Box::new(submitted)));
    }

    fn produce(&mut self, caller: u64) {
        self.produce_with(caller, -1);
    }

    fn produce_with(&mut self, caller: u64, acks: i16) {
        let partition_data = vec![produce::PartitionProduceData {
            index: 0,
            records: Some(batch(NOW_MS, &[&format!("record {caller}")])),
        }];
        let request = ProduceRequest {
            acks,
            topic_data: vec![produce::TopicProduceData {
                name: KafkaString::from_static("t"),
                partition_data,
                ..Default::default()
            }],
            ..Default::default()
        };
        self.put(caller, 12, request);
    }

    fn fetch(&mut self, caller: u64, offset: i64) {
        let request = FetchRequest {
            max_bytes: 1 << 20,
            topics: vec![fetch::FetchTopic {
                topic: "t".into(),
                partitions: vec![fetch::FetchPartition {
                    fetch_offset: offset,
                    current_leader_epoch: -1,
                    partition_max_bytes: 1 << 20,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        self.put(caller, 12, request);
    }

    fn ask_for_checkpoint(&mut self) {
        let ask = Command::Inspect(Box::new(Broker::request_checkpoint));
        self.host.inbox.push_back(ask);
    }

    /// One waking of the broker's thread, if there is something in its inbox.
    fn turn(&mut self) -> Rest {
        if let Some(command) = self.host.inbox.pop_front() {
            self.event_loop.take_in(command, &mut self.host);
        }
        self.event_loop.go_on(&mut self.host)
    }

    /// Runs the loop until the inbox is empty.
    fn empty_inbox(&mut self) {
        while !self.host.inbox.is_empty() {
            self.turn();
        }
    }

    /// The oldest job of this kind ends; its outcome is the last in the inbox.
    fn end_job(&mut self, wanted: Kind) {
        let found = self.host.jobs.iter().position(|job| kind(job) == wanted);
        let job = found.and_then(|index| self.host.jobs.remove(index));
        let job = job.unwrap_or_else(|| panic!("there is no {wanted:?}"));
        self.host.inbox.push_back(Command::Done(job.run()));
    }

    /// Everything ends, in the order in which it began.
    fn settle(&mut self) {
        loop {
            self.empty_inbox();
            let Some(job) = self.host.jobs.pop_front() else {
                match self.event_loop.go_on(&mut self.host) {
                    // A commit that is held back for others is not held back any more when none have come.
                    Rest::For(rest) if rest <= Duration::from_millis(1) => self.event_loop.on_idle(),
                    _ => return,
                }
                self.event_loop.go_on(&mut self.host);
                if self.host.jobs.is_empty() {
                    return;
                }
                continue;
            };
            self.host.inbox.push_back(Command::Done(job.run()));
        }
    }

    fn jobs(&self) -> Vec<Kind> {
        self.host.jobs.iter().map(kind).collect()
    }

    /// The callers that got a reply since the last call, and the offsets that their records got.
    fn produced(&mut self) -> Vec<(u64, i64)> {
        let replies = std::mem::take(&mut self.host.replies).into_iter();
        replies
            .map(|(caller, reply)| match reply {
                Reply::Response(response) => match *response {
                    Response::Produce(response) => {
                        let partition = &response.responses[0].partition_responses[0];
                        assert_eq!(partition.error_code, ErrorCode::NONE);
                        (caller, partition.base_offset)
                    }
                    other => panic!("{other:?}"),
                },
                other => panic!("{caller} gets {other:?}"),
            })
            .collect()
    }
}

#[test]
fn nothing_is_lost_at_the_end_of_a_turn() {
    for commands_max in [1, 2, 3, 256] {
        for requests in [
            commands_max - 1,
            commands_max,
            commands_max + 1,
            2 * commands_max + 1,
        ] {
            let mut desk = Desk::new(commands_max, 8 << 20);
            desk.produce(0);
            desk.turn();
            assert_eq!(desk.jobs(), [Kind::Commit]);
            // The outcome of the commit is the last of a turn, the first of the next one, or in the middle.
            (1..=requests as u64).for_each(|caller| desk.produce(caller));
            desk.end_job(Kind::Commit);
            (requests as u64 + 1..=2 * requests as u64).for_each(|caller| desk.produce(caller));
            let mut event_loop = 0;
            while !desk.host.inbox.is_empty() {
                let before = desk.host.inbox.len();
                desk.turn();
                event_loop += 1;
                assert_eq!(
                    before - desk.host.inbox.len(),
                    before.min(commands_max),
                    "turn {event_loop}"
                );
            }
            desk.settle();
            let expected: Vec<_> = (0..=2 * requests as u64)
                .map(|caller| (caller, caller as i64))
                .collect();
            assert_eq!(
                desk.produced(),
                expected,
                "{requests} requests around a commit, {commands_max} in a turn"
            );
        }
    }
}

/// A checkpoint is captured and held, and callers from 0 on fill the room; gives the first that has to wait.
fn held_checkpoint(commands_max: usize) -> (Desk, u64) {
    let mut desk = Desk::new(commands_max, 20_000);
    let next = desk.hold_checkpoint();
    (desk, next)
}

impl Desk {
    fn hold_checkpoint(&mut self) -> u64 {
        self.ask_for_checkpoint();
        self.empty_inbox();
        assert_eq!(self.jobs(), [Kind::Checkpoint]);
        let mut next = 0;
        while !self.event_loop.broker().is_backlogged() {
            self.produce(next);
            self.empty_inbox();
            self.end_job(Kind::Commit);
            self.empty_inbox();
            assert_eq!(self.produced(), [(next, next as i64)]);
            next += 1;
        }
        assert!(next > 2, "there was room");
        next
    }
}

/// Its heartbeat came in time, whenever it is come to.
#[test]
fn a_member_whose_heartbeat_waits_for_the_disk_stays() {
    let mut desk = Desk::new(256, 20_000);
    let beat = |epoch| ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: "m".into(),
        member_epoch: epoch,
        rebalance_timeout_ms: if epoch == 0 { 60_000 } else { -1 },
        subscribed_topic_names: (epoch == 0).then(|| vec!["t".into()]),
        topic_partitions: (epoch == 0).then(Vec::new),
        ..Default::default()
    };
    let joined = |desk: &mut Desk, caller| {
        let position = desk.host.replies.iter().position(|(of, _)| *of == caller);
        let (_, reply) = desk.host.replies.remove(position.expect("it gets a reply"));
        match reply {
            Reply::Response(response) => match *response {
                Response::ConsumerGroupHeartbeat(response) => (response.error_code, response.member_epoch),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    desk.put(900, 1, beat(0));
    desk.settle();
    let (code, epoch) = joined(&mut desk, 900);
    assert_eq!(code, ErrorCode::NONE);
    desk.hold_checkpoint();
    desk.host.now_ms += 44_000;
    desk.put(901, 1, beat(epoch));
    desk.empty_inbox();
    desk.host.now_ms += 10_000;
    desk.event_loop.go_on(&mut desk.host);
    assert_eq!(desk.jobs(), [Kind::Checkpoint], "it still waits");
    desk.settle();
    assert_eq!(joined(&mut desk, 901).0, ErrorCode::NONE);
    desk.host.now_ms += 46_000;
    desk.event_loop.go_on(&mut desk.host);
    desk.put(902, 1, beat(epoch));
    desk.settle();
    assert_eq!(
        joined(&mut desk, 902).0,
        ErrorCode::UNKNOWN_MEMBER_ID,
        "no request waits now"
    );
}

#[test]
fn who_waits_for_a_checkpoint_is_not_overtaken() {
    // This many requests arrive before the checkpoint ends, in the same turn after it, and in later ones.
    let cases = [
        (1, 1, 0),
        (1, 1, 1),
        (3, 5, 2),
        (0, 4, 1),
        (5, 0, 3),
        (20, 20, 20),
    ];
    for commands_max in [1, 2, 3, 256] {
        for (before, with, after) in cases {
            let (mut desk, first) = held_checkpoint(commands_max);
            let mut callers = first..;
            let mut come = |desk: &mut Desk, count| {
                callers
                    .by_ref()
                    .take(count)
                    .for_each(|caller| desk.produce(caller))
            };
            come(&mut desk, before);
            desk.empty_inbox();
            assert_eq!(desk.produced(), [], "all of them wait");
            assert_eq!(desk.jobs(), [Kind::Checkpoint]);
            desk.end_job(Kind::Checkpoint);
            come(&mut desk, with);
            desk.turn();
            come(&mut desk, after);
            desk.settle();
            let all = first..first + (before + with + after) as u64;
            let expected: Vec<_> = all.map(|caller| (caller, caller as i64)).collect();
            assert_eq!(
                desk.produced(),
                expected,
                "{before} wait, {with} come with the end, {after} later, {commands_max} in a turn"
            );
        }
    }
}

#[test]
fn requests_wait_again_when_the_room_is_full_again() {
    let (mut desk, first) = held_checkpoint(256);
    let all = first..first + 600;
    all.clone().for_each(|caller| desk.produce(caller));
    desk.empty_inbox();
    // With the end of the checkpoint another one begins, which is held as well: there is room for some.
    desk.end_job(Kind::Checkpoint);
    desk.ask_for_checkpoint();
    desk.empty_inbox();
    assert_eq!(desk.jobs(), [Kind::Checkpoint, Kind::Commit]);
    desk.end_job(Kind::Commit);
    desk.empty_inbox();
    let mut produced = desk.produced();
    assert!((1..600).contains(&produced.len()), "{}", produced.len());
    assert_eq!(desk.jobs(), [Kind::Checkpoint]);
    desk.end_job(Kind::Checkpoint);
    desk.settle();
    produced.extend(desk.produced());
    let expected: Vec<_> = all.map(|caller| (caller, caller as i64)).collect();
    assert_eq!(produced, expected);
}

/// No response waits for these requests, so a hanging disk does not delay them.
#[test]
fn requests_wait_when_too_much_waits_for_a_commit() {
    for (commands_max, is_failing) in [(1, false), (256, false), (1, true), (256, true)] {
        let mut desk = Desk::with_pending_bytes(commands_max, 2_000);
        desk.produce_with(0, 0);
        desk.turn();
        assert_eq!(desk.jobs(), [Kind::Commit], "it is held");
        let mut next = 1;
        while !desk.event_loop.broker().is_backlogged() {
            desk.produce_with(next, 0);
            desk.empty_inbox();
            next += 1;
            assert!(next < 100, "so much does not fit");
        }
        assert!(next > 2, "there was room");
        let silent: Vec<_> = (0..next).map(|caller| (caller, Reply::Silent)).collect();
        assert_eq!(std::mem::take(&mut desk.host.replies), silent);
        let last = next + 300;
        (next..last).for_each(|caller| desk.produce_with(caller, 0));
        desk.empty_inbox();
        assert_eq!(desk.host.replies, [], "all of them wait");
        assert_eq!(desk.jobs(), [Kind::Commit]);
        if is_failing {
            desk.storage.fail(Fault {
                operation: Operation::Sync,
                after: 0,
                kind: std::io::ErrorKind::Other,
                torn_bytes: 0,
                sticky: true,
            });
        }
        desk.settle();
        let reply = if is_failing { Reply::Close } else { Reply::Silent };
        let completed: Vec<_> = (next..last).map(|caller| (caller, reply.clone())).collect();
        assert_eq!(desk.host.replies, completed, "{commands_max} in a turn");
        if !is_failing {
            let log = desk.event_loop.broker().log();
            let id = log.logs().next().unwrap();
            assert_eq!(log.offsets(id).unwrap().high_watermark, last as i64);
        }
    }
}

#[test]
fn reads_may_end_in_any_order_and_delay_no_other() {
    let mut desk = Desk::new(256, 8 << 20);
    desk.produce(0);
    desk.settle();
    desk.ask_for_checkpoint();
    desk.produce(1);
    desk.settle();
    desk.host.replies.clear();
    for order in [[0, 0], [1, 0]] {
        desk.fetch(10, 0);
        desk.fetch(11, 1);
        desk.produce(12);
        desk.turn();
        assert_eq!(desk.jobs(), [Kind::Commit, Kind::Read, Kind::Read]);
        desk.end_job(Kind::Commit);
        desk.turn();
        let completed: Vec<_> = desk.produced().into_iter().map(|(caller, _)| caller).collect();
        assert_eq!(completed, [12]);
        for index in order {
            let job = desk.host.jobs.remove(index).unwrap();
            desk.host.inbox.push_back(Command::Done(job.run()));
        }
        desk.empty_inbox();
        let completed = std::mem::take(&mut desk.host.replies).into_iter();
        let completed: Vec<_> = completed.map(|(caller, _)| caller).collect();
        assert_eq!(
            completed,
            match order {
                [0, 0] => [10, 11],
                _ => [11, 10],
            }
        );
    }
}

#[test]
fn a_stop_waits_for_all_work_and_completes_accepted_requests() {
    let (mut desk, first) = held_checkpoint(256);
    desk.produce(first);
    desk.empty_inbox();
    desk.host.inbox.push_back(Command::Stop);
    desk.produce(first + 1); // came too late
    desk.empty_inbox();
    assert_eq!(desk.produced(), []);
    let mut ended = Vec::new();
    let mut rest = desk.turn();
    while rest != Rest::End {
        let kind = desk.jobs()[0];
        ended.push(kind);
        desk.end_job(kind);
        rest = desk.turn();
    }
    let expected = [Kind::Checkpoint, Kind::Checkpoint, Kind::Commit];
    assert_eq!(
        ended, expected,
        "the one that was held, the last one, what had to wait"
    );
    assert_eq!(desk.produced(), [(first, first as i64)]);
    assert!(desk.event_loop.broker().is_idle());
    let storage = desk.storage.clone();
    drop(desk);
    let desk = Desk::on(storage, 256, 8 << 20);
    let broker = desk.event_loop.broker();
    let log = broker.log().logs().next().unwrap();
    assert_eq!(broker.log().offsets(log).unwrap().end, first as i64 + 1);
}

/// Compactions are no longer due then, as none is begun.
#[test]
fn an_end_that_waits_for_a_long_job_does_not_keep_the_processor_busy() {
    let mut desk = Desk::new(256, 8 << 20);
    desk.produce(0);
    desk.turn();
    assert_eq!(desk.jobs(), [Kind::Commit], "it takes long");
    desk.host.inbox.push_back(Command::Stop);
    desk.turn();
    for _ in 0..4 {
        desk.host.now_ms += 20_000;
        let rest = desk.turn();
        assert!(
            matches!(rest, Rest::For(rest) if rest > Duration::ZERO),
            "{rest:?}"
        );
    }
    let mut rest = desk.turn();
    while rest != Rest::End {
        let kind = desk.jobs()[0];
        desk.end_job(kind);
        rest = desk.turn();
    }
    assert_eq!(desk.produced(), [(0, 0)]);
}

#[test]
fn a_failed_log_is_reported_before_any_reply() {
    let mut desk = Desk::new(256, 8 << 20);
    desk.storage.fail(Fault {
        operation: Operation::Sync,
        after: 0,
        kind: std::io::ErrorKind::Other,
        torn_bytes: 0,
        sticky: false,
    });
    desk.produce(0);
    desk.turn();
    desk.end_job(Kind::Commit);
    let command = desk.host.inbox.pop_front().unwrap();
    let is_commit = matches!(command, Command::Done(JobOutcome::Commit(_)));
    assert!(is_commit);
    desk.event_loop.take_in(command, &mut desk.host);
    assert_eq!(desk.host.failures.len(), 1);
    assert_eq!(desk.host.replies, []);
    desk.event_loop.go_on(&mut desk.host);
    assert_eq!(desk.host.replies, [(0, Reply::Close)]);
}

#[test]
fn a_commit_is_held_back_while_requests_are_expected_and_no_longer() {
    let mut desk = Desk::new(256, 8 << 20);
    (0..4).for_each(|caller| desk.produce(caller));
    desk.turn();
    desk.end_job(Kind::Commit);
    desk.produce(4);
    assert_eq!(
        desk.turn(),
        Rest::For(Duration::from_millis(1)),
        "the other three are expected"
    );
    assert_eq!(desk.jobs(), []);
    (5..8).for_each(|caller| desk.produce(caller));
    desk.turn();
    assert_eq!(desk.jobs(), [Kind::Commit]);
    desk.end_job(Kind::Commit);
    desk.produce(8);
    desk.turn();
    assert_eq!(desk.jobs(), []);
    desk.event_loop.on_idle();
    desk.turn();
    assert_eq!(desk.jobs(), [Kind::Commit], "they have not come");
}

/// Two callers share a commit, so the next one is held back for both; while other requests keep coming without a pause,
/// it is held back for a few milliseconds at most.
#[test]
fn a_commit_is_not_held_back_for_long() {
    let mut desk = Desk::new(1, 8 << 20);
    desk.produce(1);
    desk.turn();
    for caller in [2, 3] {
        desk.produce(caller);
    }
    desk.empty_inbox();
    desk.end_job(Kind::Commit);
    desk.empty_inbox();
    desk.event_loop.on_idle();
    desk.event_loop.go_on(&mut desk.host);
    assert_eq!(desk.jobs(), [Kind::Commit], "of two");
    desk.end_job(Kind::Commit);
    desk.empty_inbox();
    desk.host.replies.clear();
    desk.produce(4);
    desk.empty_inbox();
    assert_eq!(desk.jobs(), [], "the other one is expected");
    let mut waited_ms = 0;
    while desk.jobs().is_empty() {
        assert!(waited_ms < 100, "held back forever");
        desk.fetch(9, 0);
        desk.empty_inbox();
        desk.host.now_ms += 1;
        waited_ms += 1;
    }
    assert_eq!(desk.jobs(), [Kind::Commit]);
    assert!((1..=6).contains(&waited_ms), "{waited_ms} ms");
}
