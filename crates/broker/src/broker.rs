//! [`Broker`]: the state machine. Requests, finished disk jobs and the time go in; responses and disk jobs come out.
//!
//! Everything durable moves by [`Change`]s; see [`Broker::write`]. A response that reveals a change waits until the
//! change is durable, even if another client caused it: otherwise a crash could take back what a client has already
//! seen. The same calls in the same order give the same responses.

use crate::change::{Change, CommittedOffset, decode_snapshot, encode_snapshot};
use crate::cleaner::Cleaning;
use crate::config::{ConfigError, Configs, ResourceType, TopicSettings};
use crate::config_observer::{ConfigObserver, ObserverError};
use crate::context::RequestContext;
use crate::disk_reads::DiskReads;
use crate::fetch_sessions::FetchSessions;
use crate::groups::Groups;
use crate::metrics::Counters;
use crate::mutants::Mutant;
use crate::purgatory::{Outcome, Progress, Purgatory, Reply, Ticket};
use crate::security::{AccessPolicy, Caller, QUOTAS, Security};
use crate::throttle::Throttles;
use crate::topics::{Topic, Topics};
use crate::transactions::Transactions;
use crate::{api, limits};
use millstream_kafka_wire::compression::Decompressor;
use millstream_kafka_wire::{DecodeError, EncodeError, ErrorCode, KafkaString, Request, Uuid};
use millstream_log::{
    CheckpointJob, CheckpointOutcome, CommitJob, CommitOutcome, Entry, Log, LogError, LogId, LogOptions,
    OpenError, Record,
};
use millstream_types::Rng;
use millstream_types::storage::Storage;
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// Parameters of a broker at startup.
#[derive(Debug, Clone, Default)]
pub struct BrokerConfig {
    /// Kafka's broker configurations, by name.
    pub properties: BTreeMap<String, String>,
    /// Options of the log.
    pub log: LogOptions,
}

impl BrokerConfig {
    /// Static configurations, by Kafka's names.
    pub fn new(properties: impl IntoIterator<Item = (String, String)>) -> Self {
        BrokerConfig {
            properties: properties.into_iter().collect(),
            log: LogOptions::default(),
        }
    }
}

/// Why a broker did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log directory cannot be opened.
    #[error("cannot open the broker's log")]
    Open(#[from] OpenError),
    /// The state in the log is not readable.
    #[error("the broker's state in the log is not readable; it was written by a newer version or is damaged")]
    State(#[from] DecodeError),
    /// A thread could not be started.
    #[error("cannot start a thread of the broker")]
    Thread(#[source] std::io::Error),
    /// The first write failed.
    #[error("cannot write to the broker's log")]
    Write(#[from] LogError),
}

/// The broker as a state machine.
pub struct Broker {
    pub(crate) configs: Configs,
    pub(crate) log: Log,
    pub(crate) topics: Topics,
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    pub(crate) security: Security,
    pub(crate) counters: Counters,
    pub(crate) purgatory: Purgatory,
    pub(crate) fetch_sessions: FetchSessions,
    pub(crate) disk_reads: DiskReads,
    pub(crate) throttles: Throttles,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) cluster_id: KafkaString,
    pub(crate) policy: AccessPolicy,
    /// Sender of the request being handled.
    pub(crate) caller: Option<Caller>,
    /// Ids below this one may be in use.
    pub(crate) next_producer_id: i64,
    /// How many of them have not been.
    pub(crate) reserved_producer_ids: i64,
    pub(crate) decompressor: Decompressor,
    last_change_sequence: u64,
    /// The place of the newest commit of offsets.
    last_place: u64,
    /// Rises with every change that may affect which topics a caller sees.
    pub(crate) topics_version: u64,
    /// The time of the last call that gave one.
    pub(crate) last_now_ms: i64,
    /// Whether requests wait by which members may be heard of.
    members_wait: bool,
    /// Notified when broker configurations or connection-rate limits change.
    observer: Option<Box<dyn ConfigObserver>>,
    pub(crate) cleaning: Cleaning,
    next_retention_ms: i64,
    next_scan_ms: i64,
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<Mutant>,
    /// Writes that a mutant holds back.
    #[cfg(feature = "mutants")]
    pub(crate) held_back: Vec<Change>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Broker")
            .field("topics", &self.topics.len())
            .finish_non_exhaustive()
    }
}

impl Broker {
    /// Opens a broker's directory.
    pub fn open(
        config: BrokerConfig,
        storage: Arc<dyn Storage>,
        rng: Arc<dyn Rng>,
        now_ms: i64,
    ) -> Result<Self, StartError> {
        let configs = Configs::new(&config.properties)?;
        let opened = Log::open(storage, config.log)?;
        let mut broker = Broker {
            configs,
            log: opened.log,
            topics: Topics::default(),
            groups: Groups::default(),
            transactions: Transactions::default(),
            security: Security::default(),
            counters: Counters::default(),
            purgatory: Purgatory::default(),
            fetch_sessions: FetchSessions::default(),
            disk_reads: DiskReads::default(),
            throttles: Throttles::default(),
            rng,
            cluster_id: KafkaString::EMPTY,
            policy: AccessPolicy::default(),
            caller: None,
            next_producer_id: 0,
            reserved_producer_ids: 0,
            decompressor: Decompressor::new(),
            last_change_sequence: 0,
            last_place: 0,
            topics_version: 0,
            last_now_ms: now_ms,
            members_wait: false,
            observer: None,
            cleaning: Cleaning::new(now_ms),
            next_retention_ms: now_ms.saturating_add(limits::FIRST_RETENTION_MS),
            next_scan_ms: now_ms,
            #[cfg(feature = "mutants")]
            mutant: None,
            #[cfg(feature = "mutants")]
            held_back: Vec::new(),
        };
        for change in decode_snapshot(opened.snapshot.unwrap_or_default())? {
            broker.apply(&change);
        }
        for (_, bytes) in opened.metadata {
            broker.apply(&Change::decode(bytes)?);
        }
        broker.after_recovery(now_ms)?;
        Ok(broker)
    }

    fn after_recovery(&mut self, now_ms: i64) -> Result<(), StartError> {
        self.policy = AccessPolicy::new(&self.configs);
        if self.cluster_id.is_empty() {
            let id = self.random_uuid().to_string();
            let change = Change::Cluster { id: id.into() };
            self.write(now_ms, Vec::new(), &[change])
                .map_err(StartError::Write)?;
        }
        self.groups.after_recovery(now_ms, &self.configs);
        self.next_scan_ms = now_ms;
        Ok(())
    }

    /// Handles a request of a version that the caller has checked.
    pub fn handle(
        &mut self,
        now_ms: i64,
        context: &RequestContext,
        version: i16,
        request: Request,
    ) -> Progress {
        self.last_now_ms = now_ms;
        let api = request.api_key();
        let shows_state = api::shows_state(api);
        self.caller = Some(Caller::new(context.clone(), api));
        let outcome = api::dispatch(self, now_ms, context, version, request);
        self.caller = None;
        let shown = if shows_state { self.last_change_sequence } else { 0 };
        let (sequence, reply) = match outcome {
            Outcome::Durable(_, reply) if self.breaks(Mutant::AnswerEarly) => return Progress::Ready(reply),
            Outcome::Now(reply) => (shown, reply),
            // Rejected entries are reported with their reason, which may reveal a change that is not durable yet.
            Outcome::Durable(sequence, reply) => (sequence.max(shown), reply),
            Outcome::Waiting(ticket) => return Progress::Pending(ticket),
        };
        if sequence > self.log.durable_sequence() {
            self.pending(sequence, reply)
        } else {
            Progress::Ready(reply)
        }
    }

    fn pending(&mut self, sequence: u64, reply: Reply) -> Progress {
        if self.log.poison_reason().is_some() {
            return Progress::Ready(Reply::Close);
        }
        let ticket = self.purgatory.ticket();
        self.purgatory.when_durable(sequence, ticket, reply);
        Progress::Pending(ticket)
    }

    /// Completes a ticket once `sequence` is durable. Never completes it if the log is poisoned.
    pub(crate) fn complete_when_durable(&mut self, sequence: u64, ticket: Ticket, reply: Reply) {
        if sequence <= self.log.durable_sequence() {
            self.purgatory.complete(ticket, reply);
        } else if self.log.poison_reason().is_some() {
            self.purgatory.complete(ticket, Reply::Close);
        } else {
            self.purgatory.when_durable(sequence, ticket, reply);
        }
    }

    /// A commit of everything appended so far, to be run as a job. At most one is in flight.
    pub fn take_commit(&mut self, now_ms: i64) -> Option<CommitJob> {
        self.last_now_ms = now_ms;
        let snapshot = if self.log.wants_snapshot() {
            self.snapshot()
        } else {
            Ok(Vec::new())
        };
        match snapshot {
            Ok(snapshot) => self.log.take_commit(now_ms, || snapshot),
            Err(error) => {
                // A checkpoint without the broker's state would lose it at the next start. Poisoning the log keeps all
                // that is there readable.
                self.log.poison(&format!("state of the broker: {error}"));
                None
            }
        }
    }

    /// A checkpoint, to be run as a job. At most one is in flight.
    pub fn take_checkpoint(&mut self) -> Option<CheckpointJob> {
        self.log.take_checkpoint()
    }

    /// Handles a finished commit: completes the operations that waited for it, and wakes up fetches for its records.
    pub fn on_commit(&mut self, outcome: CommitOutcome) -> Result<(), LogError> {
        match self.log.on_commit(outcome) {
            Ok(durable) => {
                self.purgatory.on_durable(durable.sequence);
                self.wake_fetches(&durable.logs);
                Ok(())
            }
            Err(error) => {
                self.purgatory.fail_all();
                Err(error)
            }
        }
    }

    /// Handles a finished checkpoint.
    pub fn on_checkpoint(&mut self, outcome: CheckpointOutcome) -> Result<(), LogError> {
        self.log
            .on_checkpoint(outcome)
            .inspect_err(|_| self.purgatory.fail_all())
    }

    /// Asks for a checkpoint with the next commit.
    pub fn request_checkpoint(&mut self) {
        self.log.request_checkpoint();
    }

    /// The same before a clean end; no compaction is begun any more.
    pub fn request_clean_end(&mut self) {
        self.cleaning.is_over = true;
        self.log.request_clean_end();
    }

    /// Whether the disk has fallen so far behind that requests should wait.
    pub fn is_backlogged(&self) -> bool {
        self.log.is_backlogged()
    }

    /// Number of responses that wait for the disk.
    pub fn responses_due(&self) -> usize {
        self.purgatory.durable_len()
    }

    /// Whether everything that was written is durable.
    pub fn is_idle(&self) -> bool {
        self.log.durable_sequence() == self.log.last_sequence()
    }

    /// Takes the replies of delayed operations that have completed.
    pub fn take_completed(&mut self) -> Vec<(Ticket, Reply)> {
        self.purgatory.take_completed()
    }

    /// When [`Broker::tick`] has something to do next.
    pub fn next_timer(&self) -> i64 {
        if self.log.poison_reason().is_some() {
            return self.purgatory.next_deadline().unwrap_or(i64::MAX); // nothing else can be done any more
        }
        let timers = [
            self.purgatory.next_deadline(),
            self.groups.next_timer().filter(|_| !self.members_wait),
            self.transactions.next_timer(),
        ];
        let scans = self
            .next_retention_ms
            .min(self.next_scan_ms)
            .min(self.cleaning.timer());
        timers.into_iter().flatten().fold(scans, i64::min)
    }

    /// Suspends the expiry of group members while requests wait to be handled: their heartbeats may be among them. In
    /// Kafka the two cannot overtake each other either, because both pass through the same queue.
    pub fn hold_members(&mut self, wait: bool) {
        self.members_wait = wait;
    }

    /// Runs all timers that are due.
    pub fn tick(&mut self, now_ms: i64) {
        self.last_now_ms = now_ms;
        self.purgatory.tick(now_ms);
        for ticket in self.purgatory.expired_fetches(now_ms) {
            api::fetch::expire(self, now_ms, ticket);
        }
        if self.log.poison_reason().is_some() {
            return;
        }
        if !self.members_wait {
            crate::groups::tick(self, now_ms);
        }
        crate::transactions::tick(self, now_ms);
        if now_ms >= self.next_retention_ms {
            self.next_retention_ms =
                now_ms.saturating_add(self.configs.long("log.retention.check.interval.ms").max(1));
            self.retain(now_ms);
        }
        if now_ms >= self.next_scan_ms {
            self.next_scan_ms = now_ms.saturating_add(limits::SCAN_INTERVAL_MS);
            let expiration_ms = self.configs.long("producer.id.expiration.ms");
            self.log.expire_producers(now_ms.saturating_sub(expiration_ms));
            crate::groups::expire_offsets(self, now_ms);
            self.throttles.forget_idle(now_ms);
            crate::transactions::expire_ids(self, now_ms);
        }
    }

    /// Applies retention: deletes old segments.
    pub(crate) fn retain(&mut self, now_ms: i64) {
        let expired = self.log.expired(now_ms);
        let entries = expired.iter().map(|each| Entry::StartOffset {
            log: each.log,
            offset: each.start_offset,
        });
        let entries: Vec<Entry> = entries.collect();
        if !entries.is_empty() {
            // A failure poisons the log, which every later request reports.
            let _ = self.log.append_record(now_ms, &Record { entries });
        }
        if self.log.has_garbage() {
            self.log.request_checkpoint();
        }
    }

    pub(crate) fn wake_fetches(&mut self, logs: &[LogId]) {
        let caller = self.caller.take(); // what each fetch may read was found out when it came
        for ticket in self.purgatory.fetches_of(logs) {
            api::fetch::wake(self, self.last_now_ms, ticket);
        }
        self.caller = caller;
    }

    /// Appends log entries and changes as one atomic record and applies the changes. Returns its sequence.
    pub(crate) fn write(
        &mut self,
        now_ms: i64,
        entries: Vec<Entry>,
        changes: &[Change],
    ) -> Result<u64, LogError> {
        let entries = recorded(entries, changes)?;
        let sequence = self.append(now_ms, entries)?;
        self.audit_changes(changes);
        for change in changes {
            self.apply(change);
        }
        Ok(sequence)
    }

    /// The same for changes that memory has already: members of groups, whose waiting requests live beside them.
    pub(crate) fn write_applied(&mut self, now_ms: i64, changes: &[Change]) -> Result<u64, LogError> {
        match recorded(Vec::new(), changes) {
            Ok(entries) => self.append(now_ms, entries),
            Err(error) => Err(self.log.poison(&error.to_string())),
        }
    }

    fn append(&mut self, now_ms: i64, entries: Vec<Entry>) -> Result<u64, LogError> {
        let appended = self.log.append_record(now_ms, &Record { entries })?;
        self.last_change_sequence = appended.sequence;
        Ok(appended.sequence)
    }

    /// Applies a change to memory; the only way in which durable state moves.
    pub(crate) fn apply(&mut self, change: &Change) {
        self.topics_version += u64::from(change.concerns_topics());
        match change {
            Change::Cluster { id } => self.cluster_id = id.detached(),
            Change::Topic {
                id,
                name,
                partitions,
                configs,
            } => self.apply_topic(*id, name, partitions, configs),
            Change::TopicDeleted { id } => {
                self.topics.remove(*id);
                self.counters.forget(*id);
                self.groups.forget_topic(*id);
                self.transactions.forget_topic(*id);
            }
            Change::Configs { kind, name, configs } => {
                self.configs.set(*kind, name, configs.clone());
                if *kind == ResourceType::Broker {
                    self.policy = AccessPolicy::new(&self.configs);
                    for (log, settings) in self.topics.resolve_settings(&self.configs) {
                        self.log.set_settings(log, settings);
                    }
                    if let Some(observer) = &self.observer {
                        observer.apply(&self.configs);
                    }
                }
            }
            Change::ProducerIds { next } => self.next_producer_id = (*next).max(self.next_producer_id),
            Change::Offsets { offsets, .. } | Change::TransactionOffsets { offsets, .. } => {
                let place = self.next_place(offsets);
                self.groups.apply(change, place);
                self.transactions.apply(change, place);
            }
            Change::OffsetsDeleted { .. }
            | Change::GroupDeleted { .. }
            | Change::Group { .. }
            | Change::Transaction(_)
            | Change::TransactionDeleted { .. } => {
                self.groups.apply(change, self.last_place);
                self.transactions.apply(change, self.last_place);
            }
            Change::Row { table, key, value } => {
                self.security.apply(*table, key, value.as_ref());
                if let Some(observer) = self.observer.as_ref().filter(|_| *table == QUOTAS) {
                    observer.apply_ip_rates(&self.security.quotas.ip_rates());
                }
            }
        }
    }

    /// The position of a commit in the order of commits: after all others, including those from the checkpoint.
    fn next_place(&mut self, offsets: &[CommittedOffset]) -> u64 {
        let known = offsets.iter().map(|offset| offset.place);
        self.last_place = known.fold(self.last_place, u64::max).saturating_add(1);
        self.last_place
    }

    fn apply_topic(
        &mut self,
        id: Uuid,
        name: &KafkaString,
        partitions: &[u32],
        configs: &BTreeMap<String, String>,
    ) {
        let settings = TopicSettings::resolve(&self.configs, configs);
        let partitions: Vec<LogId> = partitions.iter().map(|log| LogId(*log)).collect();
        for log in &partitions {
            self.log.set_settings(*log, settings.log);
        }
        let name = name.detached();
        self.topics.insert(Topic {
            id,
            name,
            partitions,
            configs: configs.clone(),
            settings,
        });
    }

    fn snapshot(&self) -> Result<Vec<u8>, EncodeError> {
        let cluster = [Change::Cluster {
            id: self.cluster_id.clone(),
        }];
        let ids = [Change::ProducerIds {
            next: self.next_producer_id,
        }];
        let configs = self.configs.iter().map(|(kind, name, configs)| Change::Configs {
            kind,
            name: name.to_owned(),
            configs: configs.clone(),
        });
        let topics = self.topics.iter().map(topic_change);
        let changes = cluster.into_iter().chain(ids).chain(configs).chain(topics);
        let changes = changes
            .chain(self.groups.snapshot())
            .chain(self.transactions.snapshot());
        encode_snapshot(changes.chain(self.security.snapshot()))
    }

    pub(crate) fn random_uuid(&self) -> Uuid {
        Uuid::from_random(u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64()))
    }

    pub fn node_id(&self) -> i32 {
        self.configs.node_id()
    }

    /// The configurations in force.
    pub fn configs(&self) -> &Configs {
        &self.configs
    }

    /// Installs the observer of configurations, in place of the previous one.
    pub fn set_config_observer(&mut self, observer: Box<dyn ConfigObserver>) {
        observer.apply(&self.configs);
        observer.apply_ip_rates(&self.security.quotas.ip_rates());
        self.observer = Some(observer);
    }

    /// Asks the observer whether configurations could be applied outside of the broker.
    pub(crate) fn check_followed(
        &self,
        configs: &Configs,
        changed: &BTreeMap<String, String>,
    ) -> Result<(), ObserverError> {
        let observer = self.observer.as_ref();
        observer.map_or(Ok(()), |observer| observer.check(configs, changed))
    }

    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The log, for metrics and tests.
    pub fn log(&self) -> &Log {
        &self.log
    }
}

/// A topic as the change that makes it.
pub(crate) fn topic_change(topic: &Topic) -> Change {
    Change::Topic {
        id: topic.id,
        name: topic.name.clone(),
        partitions: topic.partitions.iter().map(|log| log.0).collect(),
        configs: topic.configs.clone(),
    }
}

/// Entries of a record, and changes in the form in which they are recorded.
fn recorded(mut entries: Vec<Entry>, changes: &[Change]) -> Result<Vec<Entry>, LogError> {
    for change in changes {
        let bytes = change.encode().map_err(|error| LogError::Unrecordable {
            reason: error.to_string().into(),
        })?;
        entries.push(Entry::Metadata(bytes));
    }
    Ok(entries)
}

/// The error code that a client gets for an error of the log.
pub(crate) fn log_error_code(error: &LogError) -> ErrorCode {
    match error {
        LogError::Poisoned { .. }
        | LogError::Quarantined { .. }
        | LogError::Read { .. }
        | LogError::Overfull { .. } => ErrorCode::KAFKA_STORAGE_ERROR,
        LogError::Unrecordable { .. } => ErrorCode::INVALID_REQUEST,
        LogError::UnknownLog(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        LogError::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        LogError::Batch(_) => ErrorCode::CORRUPT_MESSAGE,
    }
}
