//! Fetch sessions (KIP-227): a client says once which partitions it reads, and afterwards only what has changed; it is
//! answered with the partitions that have news.
//!
//! A session is a list of partitions with the offsets to read from and what the client was told of them last. Sessions live
//! in memory only: after a restart a client is told that its session is unknown and begins a new one. There is room
//! for `max.incremental.fetch.session.cache.slots` of them and for [`limits::SESSION_PARTITIONS_MAX`] partitions; a new
//! session takes the place of one that has not been used for a while, or of an older one that is smaller.
//! Who gets no session is answered with id 0, and goes on with full requests.

use crate::limits;
use millstream_kafka_wire::messages::fetch::{FetchPartition, FetchRequest, ForgottenTopic, PartitionData};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use millstream_types::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stands for "no session" in requests and responses.
pub(crate) const NO_SESSION: i32 = 0;
/// The epoch of a request that begins a session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request that wants none, and closes the one that it names.
const FINAL_EPOCH: i32 = -1;
/// From this version on topics are named by id.
const TOPIC_ID_VERSION: i16 = 13;

/// A partition to be read.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Empty where the id names the topic.
    pub topic: KafkaString,
    pub topic_id: Uuid,
    pub partition: FetchPartition,
}

/// What a request is to be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionUse {
    /// All partitions.
    None,
    /// All partitions, and a session for them if there is room.
    Begin { uses_ids: bool },
    /// Partitions with news, if nobody else has used the session in the meantime: it then has this epoch.
    Continue { id: i32, epoch: i32 },
}

/// A partition as the session's client knows it.
#[derive(Debug)]
struct Cached {
    wanted: Wanted,
    high_watermark: i64,
    log_start_offset: i64,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    uses_ids: bool,
    created_ms: i64,
    used_ms: i64,
    next_position: u64,
    /// In the order of reading; a partition that gave data goes to the end.
    partitions: BTreeMap<u64, Cached>,
    positions: BTreeMap<Key, u64>,
}

type Key = (KafkaString, Uuid, i32);

/// What tells a partition from others.
fn name_of(wanted: &Wanted) -> (&KafkaString, Uuid, i32) {
    (&wanted.topic, wanted.topic_id, wanted.partition.partition)
}

fn key_of(wanted: &Wanted) -> Key {
    let (topic, topic_id, partition) = name_of(wanted);
    (topic.clone(), topic_id, partition)
}

impl Session {
    fn new(epoch: i32, uses_ids: bool, now_ms: i64) -> Self {
        Session {
            epoch,
            uses_ids,
            created_ms: now_ms,
            used_ms: now_ms,
            next_position: 0,
            partitions: BTreeMap::new(),
            positions: BTreeMap::new(),
        }
    }

    fn push(&mut self, cached: Cached) {
        let position = self.next_position;
        self.next_position += 1;
        if let Some(earlier) = self.positions.insert(key_of(&cached.wanted), position) {
            self.partitions.remove(&earlier);
        }
        self.partitions.insert(position, cached);
    }

    fn update(&mut self, request: &FetchRequest) {
        for wanted in flatten(request) {
            let known = self.positions.get(&key_of(&wanted));
            if let Some(cached) = known.and_then(|position| self.partitions.get_mut(position)) {
                cached.wanted.partition = wanted.partition;
                continue;
            }
            self.push(Cached {
                wanted: detached(wanted),
                high_watermark: -1,
                log_start_offset: -1,
            });
        }
        for topic in &request.forgotten_topics_data {
            self.forget(topic);
        }
    }

    fn forget(&mut self, topic: &ForgottenTopic) {
        for partition in &topic.partitions {
            let key = (topic.topic.clone(), topic.topic_id, *partition);
            if let Some(position) = self.positions.remove(&key) {
                self.partitions.remove(&position);
            }
        }
    }

    /// Keeps what the client is told; whether there is anything to tell.
    fn note(&mut self, key: &Key, data: &PartitionData) -> bool {
        let Some(position) = self.positions.get(key).copied() else {
            return true;
        };
        let Some(cached) = self.partitions.get_mut(&position) else {
            return true;
        };
        let has_records = data.records.as_ref().is_some_and(|records| !records.is_empty());
        let has_error = data.error_code != ErrorCode::NONE;
        let has_news = has_records
            || has_error
            || cached.high_watermark != data.high_watermark
            || cached.log_start_offset != data.log_start_offset;
        // After an error the partition is told again, whatever its offsets are.
        cached.high_watermark = if has_error { -1 } else { data.high_watermark };
        cached.log_start_offset = data.log_start_offset;
        if has_records && let Some(cached) = self.partitions.remove(&position) {
            self.push(cached);
        }
        has_news
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct FetchSessions {
    sessions: BTreeMap<i32, Session>,
    /// Partitions of all of them.
    partitions: usize,
}

impl FetchSessions {
    /// What a request is about, and how to answer it.
    pub fn begin(
        &mut self,
        now_ms: i64,
        version: i16,
        request: &FetchRequest,
    ) -> Result<(Arc<[Wanted]>, SessionUse), ErrorCode> {
        let uses_ids = version >= TOPIC_ID_VERSION;
        if matches!(request.session_epoch, INITIAL_EPOCH | FINAL_EPOCH) {
            self.remove(request.session_id);
            let session = match request.session_epoch {
                INITIAL_EPOCH => SessionUse::Begin { uses_ids },
                _ => SessionUse::None,
            };
            return Ok((once_each(request).into(), session));
        }
        let id = request.session_id;
        let session = self
            .sessions
            .get_mut(&id)
            .ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.uses_ids != uses_ids {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        let before = session.partitions.len();
        session.update(request);
        let after = session.partitions.len();
        self.partitions = self.partitions - before + after;
        if after == 0 || self.partitions > limits::SESSION_PARTITIONS_MAX && after > before {
            let all = session
                .partitions
                .values()
                .map(|cached| cached.wanted.clone())
                .collect();
            self.remove(id);
            return Ok((all, SessionUse::None));
        }
        session.used_ms = now_ms;
        session.epoch = next_epoch(session.epoch);
        let epoch = session.epoch;
        let all = session
            .partitions
            .values()
            .map(|cached| cached.wanted.clone())
            .collect();
        Ok((all, SessionUse::Continue { id, epoch }))
    }

    /// Whether the session of a request that waited is still as it left it.
    pub fn check(&self, session: SessionUse) -> Result<(), ErrorCode> {
        let SessionUse::Continue { id, epoch } = session else {
            return Ok(());
        };
        let is_same = self
            .sessions
            .get(&id)
            .is_some_and(|session| session.epoch == epoch);
        if is_same {
            Ok(())
        } else {
            Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH)
        }
    }

    /// Whether a partition is to be told of in an answer. To be called once for each partition, as it keeps what it tells.
    pub fn note(&mut self, session: SessionUse, wanted: &Wanted, data: &PartitionData) -> bool {
        let SessionUse::Continue { id, .. } = session else {
            return true;
        };
        let known = self.sessions.get_mut(&id);
        known.is_none_or(|session| session.note(&key_of(wanted), data))
    }

    /// Begins a session with what was answered; gives its id, or 0 if there is no room.
    pub fn create<'a>(
        &mut self,
        now_ms: i64,
        slots: usize,
        rng: &dyn Rng,
        uses_ids: bool,
        (wanted, answered): (impl Iterator<Item = &'a Wanted>, &[PartitionData]),
    ) -> i32 {
        let count = answered.len();
        if count == 0 || !self.make_room(now_ms, slots, count) {
            return NO_SESSION;
        }
        let mut session = Session::new(next_epoch(INITIAL_EPOCH), uses_ids, now_ms);
        for (wanted, data) in wanted.zip(answered) {
            session.push(Cached {
                wanted: detached(wanted.clone()),
                high_watermark: data.high_watermark,
                log_start_offset: data.log_start_offset,
            });
        }
        let mut id = NO_SESSION;
        while id == NO_SESSION || self.sessions.contains_key(&id) {
            id = rng.below(1 << 31) as i32;
        }
        self.partitions += session.partitions.len();
        self.sessions.insert(id, session);
        id
    }

    /// Lets go of sessions until one of `count` partitions fits in; false if none may be let go.
    fn make_room(&mut self, now_ms: i64, slots: usize, count: usize) -> bool {
        let max = limits::SESSION_PARTITIONS_MAX;
        while self.sessions.len() >= slots || self.partitions.saturating_add(count) > max {
            let stale = self
                .sessions
                .iter()
                .min_by_key(|(_, session)| session.used_ms)
                .filter(|(_, session)| now_ms - session.used_ms > limits::SESSION_EVICTION_MS);
            let smallest = self
                .sessions
                .iter()
                .filter(|(_, session)| now_ms - session.created_ms > limits::SESSION_EVICTION_MS)
                .min_by_key(|(_, session)| session.partitions.len())
                .filter(|(_, session)| session.partitions.len() < count);
            let Some(id) = stale.or(smallest).map(|(id, _)| *id) else {
                return false;
            };
            self.remove(id);
        }
        true
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.partitions.len();
        }
    }
}

/// Epochs count up from 1 and start again there.
fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        ..=-1 => FINAL_EPOCH,
        i32::MAX => 1,
        epoch => epoch + 1,
    }
}

fn flatten(request: &FetchRequest) -> impl Iterator<Item = Wanted> + '_ {
    request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| Wanted {
            topic: topic.topic.clone(),
            topic_id: topic.topic_id,
            partition: partition.clone(),
        })
    })
}

/// The partitions of a full request: one that it names again is read as it says last, in the place where it named it first.
fn once_each(request: &FetchRequest) -> Vec<Wanted> {
    let all: Vec<Wanted> = flatten(request).collect();
    if all.is_sorted_by(|one, next| name_of(one) < name_of(next)) {
        return all;
    }
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|one, other| name_of(&all[*one]).cmp(&name_of(&all[*other])));
    let same = order.chunk_by(|one, next| name_of(&all[*one]) == name_of(&all[*next]));
    let mut places: Vec<(usize, usize)> = same
        .filter_map(|same| Some((*same.first()?, *same.last()?)))
        .collect();
    if places.len() == all.len() {
        return all;
    }
    places.sort_unstable();
    places.into_iter().map(|(_, last)| all[last].clone()).collect()
}

/// A session must not keep the frame of a request alive.
fn detached(wanted: Wanted) -> Wanted {
    Wanted {
        topic: wanted.topic.detached(),
        ..wanted
    }
}
