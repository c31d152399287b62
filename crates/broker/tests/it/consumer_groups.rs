//! Groups of the new consumer protocol, by rule and by chance.

use crate::driver::{Driver, newest};
use millstream_broker::Progress;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ApiKey, ErrorCode, KafkaString, Uuid};
use millstream_types::{Rng, SeededRng};
use std::collections::{BTreeMap, BTreeSet};

pub type Owned = BTreeSet<(Uuid, i32)>;

/// A member as a client keeps it.
#[derive(Debug, Clone)]
pub struct Client {
    pub id: String,
    pub epoch: i32,
    pub topics: Vec<&'static str>,
    pub owned: Owned,
    /// The broker's target assignment of the member.
    pub wanted: Owned,
}

impl Client {
    pub fn new(id: &str, topics: &[&'static str]) -> Client {
        Client {
            id: id.into(),
            epoch: 0,
            topics: topics.to_vec(),
            owned: Owned::new(),
            wanted: Owned::new(),
        }
    }

    pub fn full(&self) -> ConsumerGroupHeartbeatRequest {
        let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in &self.owned {
            topics.entry(*topic).or_default().push(*partition);
        }
        let topic = |(topic_id, partitions)| consumer_group_heartbeat::RequestTopicPartitions {
            topic_id,
            partitions,
        };
        ConsumerGroupHeartbeatRequest {
            group_id: "g".into(),
            member_id: self.id.as_str().into(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: 30_000,
            subscribed_topic_names: Some(self.topics.iter().map(|topic| (*topic).into()).collect()),
            topic_partitions: Some(topics.into_iter().map(topic).collect()),
            ..Default::default()
        }
    }

    pub fn keep_alive(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            rebalance_timeout_ms: -1,
            subscribed_topic_names: None,
            topic_partitions: None,
            ..self.full()
        }
    }

    pub fn take(&mut self, response: ConsumerGroupHeartbeatResponse) -> ErrorCode {
        match response.error_code {
            ErrorCode::NONE => {}
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH => {
                self.epoch = 0;
                self.owned.clear();
                self.wanted.clear();
                return response.error_code;
            }
            code => return code,
        }
        self.epoch = response.member_epoch;
        if let Some(assignment) = response.assignment {
            let pairs = assignment.topic_partitions.into_iter();
            self.wanted = pairs
                .flat_map(|each| {
                    each.partitions
                        .into_iter()
                        .map(move |index| (each.topic_id, index))
                })
                .collect();
        }
        ErrorCode::NONE
    }

    /// Releases revoked partitions and adopts assigned ones, as a client does between heartbeats.
    pub fn reconcile(&mut self) {
        self.owned = self.wanted.clone();
    }
}

impl Driver {
    pub fn beat(&mut self, client: &mut Client) -> ErrorCode {
        let response = self.call(client.full());
        client.take(response)
    }

    pub fn state(&mut self) -> consumer_group_describe::DescribedGroup {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec!["g".into()],
            ..Default::default()
        };
        self.call(request).groups.remove(0)
    }
}

fn settle(driver: &mut Driver, clients: &mut [Client]) {
    for _ in 0..6 {
        for client in clients.iter_mut() {
            driver.beat(client);
            client.reconcile();
        }
    }
}

#[test]
fn partitions_move_only_after_they_were_given_up() {
    let mut driver = Driver::new();
    driver.create("t", 4);
    let (mut a, mut b) = (Client::new("a", &["t"]), Client::new("b", &["t"]));
    assert_eq!(driver.beat(&mut a), ErrorCode::NONE);
    a.reconcile();
    assert_eq!((a.epoch, a.owned.len()), (2, 4), "groups start at epoch 2");
    assert_eq!(driver.beat(&mut b), ErrorCode::NONE);
    assert_eq!((b.epoch, b.wanted.len()), (3, 0), "nothing is free yet");
    let response = driver.call(a.keep_alive());
    assert_eq!(a.take(response), ErrorCode::NONE);
    assert_eq!((a.epoch, a.wanted.len()), (2, 2), "it is asked to give two up");
    // Keep-alives list nothing and so give nothing up.
    let response = driver.call(a.keep_alive());
    a.take(response);
    driver.beat(&mut b);
    assert_eq!(b.wanted.len(), 0);
    driver.beat(&mut a);
    driver.beat(&mut b);
    assert_eq!(
        b.wanted.len(),
        0,
        "a full heartbeat that still lists them neither"
    );
    a.reconcile();
    driver.beat(&mut a);
    assert_eq!(a.epoch, 3);
    driver.beat(&mut b);
    assert_eq!(b.wanted.len(), 2);
    let group = driver.state();
    assert_eq!(
        (group.group_state.as_str(), group.group_epoch, group.members.len()),
        ("Stable", 3, 2)
    );
}

#[test]
fn heartbeats_are_checked() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut client = Client::new("a", &["t"]);
    let refused = |driver: &mut Driver, change: &dyn Fn(&mut ConsumerGroupHeartbeatRequest)| {
        let mut request = Client::new("b", &["t"]).full();
        change(&mut request);
        driver.call(request).error_code
    };
    assert_eq!(
        refused(&mut driver, &|r| r.group_id = KafkaString::EMPTY),
        ErrorCode::INVALID_REQUEST
    );
    assert_eq!(
        refused(&mut driver, &|r| r.member_id = KafkaString::EMPTY),
        ErrorCode::INVALID_REQUEST
    );
    assert_eq!(
        refused(&mut driver, &|r| r.rebalance_timeout_ms = -1),
        ErrorCode::INVALID_REQUEST
    );
    assert_eq!(
        refused(&mut driver, &|r| r.subscribed_topic_names = None),
        ErrorCode::INVALID_REQUEST
    );
    assert_eq!(
        refused(&mut driver, &|r| r.server_assignor = Some("mine".into())),
        ErrorCode::UNSUPPORTED_ASSIGNOR
    );
    let malformed = refused(&mut driver, &|r| r.subscribed_topic_regex = Some("(".into()));
    assert_eq!(malformed, ErrorCode::INVALID_REGULAR_EXPRESSION);
    let large = refused(&mut driver, &|r| {
        r.subscribed_topic_regex = Some("(?:[a-z]{300}){300}".into());
    });
    assert_eq!(large, ErrorCode::INVALID_REGULAR_EXPRESSION);
    assert_eq!(
        refused(&mut driver, &|r| r.member_epoch = 5),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    driver.beat(&mut client);
    let mut ahead = client.clone();
    ahead.epoch += 1;
    assert_eq!(driver.beat(&mut ahead), ErrorCode::FENCED_MEMBER_EPOCH);
}

#[test]
fn a_regular_expression_follows_topics_that_come() {
    let mut driver = Driver::new();
    driver.create("logs-a", 2);
    driver.create("other", 2);
    let mut client = Client::new("a", &[]);
    let request = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some("logs-.*".into()),
        ..client.full()
    };
    let response = driver.call(request);
    client.take(response);
    client.reconcile();
    assert_eq!(client.owned.len(), 2);
    driver.create("logs-b", 3);
    let response = driver.call(client.keep_alive());
    client.take(response);
    assert_eq!(client.wanted.len(), 5);
}

#[test]
fn silent_members_and_those_that_do_not_give_up_are_removed() {
    let mut driver = Driver::new();
    driver.create("t", 2);
    let (mut a, mut b) = (Client::new("a", &["t"]), Client::new("b", &["t"]));
    driver.beat(&mut a);
    a.reconcile();
    driver.beat(&mut b);
    let response = driver.call(a.keep_alive());
    a.take(response);
    driver.advance(29_000);
    let response = driver.call(a.keep_alive());
    assert_eq!(a.clone().take(response), ErrorCode::NONE);
    driver.advance(1_000);
    let response = driver.call(a.keep_alive());
    assert_eq!(
        a.take(response),
        ErrorCode::UNKNOWN_MEMBER_ID,
        "the rebalance timeout is over"
    );
    driver.beat(&mut b);
    assert_eq!(b.wanted.len(), 2);
    driver.advance(45_000);
    assert_eq!(driver.beat(&mut b), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_static_member_keeps_its_partitions_while_it_is_away() {
    let mut driver = Driver::new();
    driver.create("t", 2);
    let mut first = Client::new("a1", &["t"]);
    let with_instance = |client: &Client| ConsumerGroupHeartbeatRequest {
        instance_id: Some("i".into()),
        ..client.full()
    };
    let response = driver.call(with_instance(&first));
    first.take(response);
    let mut second = Client::new("a2", &["t"]);
    assert_eq!(
        driver.call(with_instance(&second)).error_code,
        ErrorCode::UNRELEASED_INSTANCE_ID
    );
    first.epoch = -2;
    assert_eq!(driver.call(with_instance(&first)).member_epoch, -2);
    let response = driver.call(with_instance(&second));
    assert_eq!(second.take(response), ErrorCode::NONE);
    assert_eq!((second.epoch, second.wanted.len()), (2, 2), "no rebalance");
}

#[test]
fn commits_are_fenced_by_member_epoch() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut client = Client::new("a", &["t"]);
    driver.beat(&mut client);
    let version = newest(ApiKey::OffsetCommit);
    for (member, epoch, code) in [
        ("a", client.epoch, ErrorCode::NONE),
        ("a", client.epoch - 1, ErrorCode::STALE_MEMBER_EPOCH),
        ("b", client.epoch, ErrorCode::UNKNOWN_MEMBER_ID),
    ] {
        let committed = driver.commit_offset(version, "t", (member, epoch), (0, 1));
        assert_eq!(committed, code, "{member} {epoch}");
    }
}

/// Members come, go, are slow, lose responses; topics come; the broker crashes. No member ever owns what another owns.
#[test]
fn no_partition_is_owned_twice_whatever_happens() {
    for seed in 0..30 {
        let rng = SeededRng::new(seed);
        let mut driver = Driver::new();
        driver.create("t", 5);
        driver.create("u", 3);
        let mut clients: Vec<Client> = Vec::new();
        for step in 0..120 {
            let chosen = rng.below(clients.len().max(1) as u64) as usize;
            match rng.below(20) {
                0 | 1 if clients.len() < 5 => {
                    let topics: &[&'static str] = if rng.below(2) == 0 { &["t"] } else { &["t", "u"] };
                    clients.push(Client::new(&format!("m{seed}-{step}"), topics));
                }
                2 if !clients.is_empty() => {
                    let mut gone = clients.remove(chosen);
                    gone.epoch = -1;
                    driver.call(gone.full());
                }
                3 => driver.crash(),
                // A response is lost. Not while the client still takes in an earlier one: what it takes then is not
                // visible to the broker, in Kafka neither.
                4 if clients
                    .get(chosen)
                    .is_some_and(|client| client.owned == client.wanted) =>
                {
                    driver.call(clients[chosen].full());
                }
                5..=8 if !clients.is_empty() => {
                    let response = driver.call(clients[chosen].keep_alive_or_join());
                    clients[chosen].take(response);
                }
                9..=12 if !clients.is_empty() => clients[chosen].reconcile(),
                13 => driver.advance(200), // far below the timeouts: no member expires unnoticed
                _ if !clients.is_empty() => _ = driver.beat(&mut clients[chosen]),
                _ => {}
            }
            let mut owners = BTreeMap::new();
            for client in &clients {
                for partition in &client.owned {
                    let other = owners.insert(*partition, &client.id);
                    assert!(
                        other.is_none(),
                        "seed {seed}, step {step}: {partition:?} of {other:?} and {}",
                        client.id
                    );
                }
            }
        }
        settle(&mut driver, &mut clients);
        let total: usize = clients.iter().map(|client| client.owned.len()).sum();
        let reads_u = clients.iter().any(|client| client.topics.len() == 2);
        let expected = if clients.is_empty() {
            0
        } else {
            5 + if reads_u { 3 } else { 0 }
        };
        let is_blocked = driver.state().members.len() > clients.len();
        assert!(
            total == expected || is_blocked,
            "seed {seed}: {total} of {expected} owned"
        );
    }
}

impl Client {
    fn keep_alive_or_join(&self) -> ConsumerGroupHeartbeatRequest {
        if self.epoch == 0 {
            self.full()
        } else {
            self.keep_alive()
        }
    }
}

#[test]
fn a_repeated_heartbeat_waits_until_the_first_one_is_durable() {
    let mut driver = Driver::new();
    driver.create("t", 2);
    let mut client = Client::new("a", &["t"]);
    for what in ["the first", "the repeated"] {
        let result = driver.submit(1, client.full());
        assert!(
            matches!(result, Progress::Pending(_)),
            "{what} heartbeat completes at once"
        );
    }
    driver.beat(&mut client);
    assert!(matches!(
        driver.submit(1, client.keep_alive()),
        Progress::Ready(_)
    ));
}

#[test]
fn a_static_member_that_leaves_before_it_has_given_up_its_partitions_keeps_its_place_for_its_session() {
    let restarts: [fn(&mut Driver); 2] = [|_| {}, Driver::restart];
    for restart in restarts {
        let mut driver = Driver::new();
        driver.create("t", 2);
        let (mut first, mut other) = (Client::new("a1", &["t"]), Client::new("b", &["t"]));
        let with_instance = |client: &Client| ConsumerGroupHeartbeatRequest {
            instance_id: Some("i".into()),
            ..client.full()
        };
        let response = driver.call(with_instance(&first));
        first.take(response);
        first.reconcile();
        driver.beat(&mut other);
        let response = driver.call(with_instance(&first));
        first.take(response);
        assert_eq!(first.wanted.len(), 1, "it is to give one up");
        first.epoch = -2;
        assert_eq!(driver.call(with_instance(&first)).member_epoch, -2);
        restart(&mut driver);
        // Longer than a rebalance may take, shorter than a session.
        driver.advance(40_000);
        assert_eq!(driver.beat(&mut other), ErrorCode::NONE);
        assert_eq!(driver.state().members.len(), 2);
    }
}
