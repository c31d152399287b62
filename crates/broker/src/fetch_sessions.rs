//! Incremental fetch sessions (KIP-227): a client names its partitions once, and afterwards only changes; responses
//! contain only partitions with news.
//!
//! A session is a list of partitions with their fetch offsets and the state last sent to the client. Sessions live in
//! memory: after a restart the broker responds with FETCH_SESSION_ID_NOT_FOUND and the client starts a new one. Their
//! number is capped by `max.incremental.fetch.session.cache.slots`, their partitions by
//! [`limits::SESSION_PARTITIONS_MAX`]. A new session evicts one that has been idle for a while, or an older and smaller
//! one. A client that gets no session receives id 0 and continues with full requests.

use crate::limits;
use millstream_kafka_wire::messages::fetch::{FetchPartition, FetchRequest, ForgottenTopic, PartitionData};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use millstream_types::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Means "no session" in requests and responses.
pub(crate) const NO_SESSION: i32 = 0;
/// The epoch of a request that starts a session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request without a session, which closes the session that it names.
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

/// How a response relates to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionUse {
    /// All partitions.
    None,
    /// All partitions, and a session for them if there is room.
    Begin { uses_ids: bool },
    /// An incremental response, if no other request has used the session meanwhile; the session is then at this epoch.
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

/// The identity of a partition in a session.
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

    /// Remembers what the client is sent. Returns whether that is news to it.
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
        // After an error the partition is sent again, whatever its offsets.
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
    /// The partitions of a request, and how its response relates to a session.
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

    /// Whether the response includes a partition. Call once for each partition, because it remembers the state sent.
    pub fn note(&mut self, session: SessionUse, wanted: &Wanted, data: &PartitionData) -> bool {
        let SessionUse::Continue { id, .. } = session else {
            return true;
        };
        let known = self.sessions.get_mut(&id);
        known.is_none_or(|session| session.note(&key_of(wanted), data))
    }

    /// Starts a session with the partitions of a full response. Returns its id, or 0 if the cache is full.
    pub fn create<'a>(
        &mut self,
        now_ms: i64,
        slots: usize,
        rng: &dyn Rng,
        uses_ids: bool,
        (wanted, completed): (impl Iterator<Item = &'a Wanted>, &[PartitionData]),
    ) -> i32 {
        let count = completed.len();
        if count == 0 || !self.make_room(now_ms, slots, count) {
            return NO_SESSION;
        }
        let mut session = Session::new(next_epoch(INITIAL_EPOCH), uses_ids, now_ms);
        for (wanted, data) in wanted.zip(completed) {
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
