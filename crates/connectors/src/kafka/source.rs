//! The source of connector `kafka`.
//!
//! The client fetches in the background, on the runtime's threads; the worker takes whole record batches, decodes them
//! where they lie, and makes watermarks for each partition on its own. Offsets committed to the group are for others to
//! see; a restart continues from the checkpoint.

mod alignment;
mod columns;
mod group;
mod notices;
mod topic_ids;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_buffer::Buffer;
use millstream_dataflow::source::Waker;
use millstream_dataflow::watermark::SplitWatermarks;
use millstream_dataflow::{
    Context, DataflowError, Output, Source, SourceFactory, SourceNotice, SourceStatus, StateBlocks,
};
use millstream_expr::CompiledExpr;
use millstream_functions::Environment;
use millstream_kafka_client::{
    ClientConfig, FetchEvent, FetchedRecords, Fetcher, KafkaClient, TopicPartition,
};
use millstream_kafka_wire::compression::Decompressor;
use millstream_kafka_wire::record_batch::{RecordColumns, TimestampType};
use millstream_types::{Batch, CheckpointId, Watermark};

use self::alignment::split_name;
use self::columns::{Totals, cut_at, maximum, shift};
use self::group::GroupCommits;
pub(super) use self::topic_ids::TopicIds;
use super::buffers::LentBuffers;
use super::client_settings::{fetch_settings, parse, source_client};
use super::options::{Bounded, KafkaTable};
use super::rows::{RecordSlice, RowDecoder};
use super::splits::{Resolver, Split, client_failed};
use crate::context::ConnectorContext;
use crate::side_output::dead_letters;
use crate::{ScanSpec, environment};

/// Maximum decompressed size of a record batch. A batch is at most as large as the broker's largest message, but a
/// decompression bomb is not.
const BATCH_BYTES_MAX: usize = 256 << 20;
/// Small record batches are combined until they have this many records, so that they do not become small batches.
const GATHER_RECORDS: usize = 1024;
/// Bytes taken from the fetcher at once.
const TAKE_BYTES: usize = 1 << 20;

/// Creates Kafka sources.
pub struct KafkaSourceFactory {
    spec: ScanSpec,
    table: KafkaTable,
    config: ClientConfig,
    group: String,
    context: ConnectorContext,
}

impl KafkaSourceFactory {
    pub fn new(spec: ScanSpec, context: &ConnectorContext) -> Result<Self, DataflowError> {
        let table = parse(&spec.table)?;
        RowDecoder::new(&table, &spec)?;
        let config = source_client(&table)?;
        let group = table
            .properties
            .get("group.id")
            .cloned()
            .unwrap_or_else(|| format!("KafkaSource-{}", spec.table.identifier));
        Ok(Self {
            spec,
            table,
            config,
            group,
            context: context.clone(),
        })
    }
}

impl SourceFactory for KafkaSourceFactory {
    fn create(&self, context: &Context) -> Result<Box<dyn Source>, DataflowError> {
        let decoder = RowDecoder::new(&self.table, &self.spec)?;
        let watermark = self.watermarks()?;
        let transport = self.context.kafka.transport(&self.table.properties)?;
        let client = KafkaClient::new(
            self.config.connection.clone(),
            transport,
            Arc::clone(&self.context.rng),
        );
        let group_commits = self.table.properties.contains_key("group.id").then(|| {
            let runtime = self.context.kafka.runtime().clone();
            GroupCommits::new(client.clone(), self.group.clone(), runtime)
        });
        let unbounded = self.table.bounded == Bounded::Unbounded;
        let is_embedded = self.context.kafka.is_embedded(&self.table.properties);
        Ok(Box::new(KafkaSource {
            resolver: Resolver {
                client,
                config: fetch_settings(&self.config, &self.table, is_embedded),
                table: self.table.clone(),
                group: self.group.clone(),
                allow_auto_create: unbounded && is_embedded,
                subtask: context.subtask,
                parallelism: context.parallelism,
            },
            columns: RecordColumns::new(
                decoder.wants_keys() || self.spec.dead_letters,
                decoder.wants_headers() || self.spec.dead_letters,
            ),
            decoder,
            dead_letters: self.spec.dead_letters,
            watermark,
            environment: environment(&self.context),
            kafka: Arc::clone(&self.context.kafka),
            clock: Arc::clone(&self.context.clock),
            found: Arc::default(),
            fetcher: None,
            splits: BTreeMap::new(),
            restored: None,
            knows_start: false,
            events: VecDeque::new(),
            paused: BTreeSet::new(),
            pending: None,
            decompressor: Decompressor::new(),
            buffers: LentBuffers::default(),
            next_discovery_ms: None,
            looking: false,
            looking_since_ms: 0,
            limit: self.spec.limit,
            read: Totals::default(),
            last_snapshot: BTreeMap::new(),
            group_commits,
            waker: None,
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        self.table.scan_parallelism
    }

    fn is_bounded(&self) -> bool {
        self.table.bounded != Bounded::Unbounded
    }
}

/// Splits found by partition discovery, and ids of their topics, passed from the runtime's threads.
type Found = Arc<Mutex<Option<Result<(Vec<Split>, TopicIds), DataflowError>>>>;

/// Decompressed records to be decoded.
struct Pending {
    partition: TopicPartition,
    data: Buffer,
    next: usize,
    leader_epoch: i32,
    log_append_time: bool,
    /// Position of the split after all of them.
    next_offset: i64,
}

struct KafkaSource {
    resolver: Resolver,
    decoder: RowDecoder,
    /// Records that cannot be decoded do not end the job.
    dead_letters: bool,
    watermark: Option<(CompiledExpr, SplitWatermarks<TopicPartition>)>,
    environment: Environment,
    kafka: Arc<dyn super::KafkaClusters>,
    clock: Arc<dyn millstream_types::Clock>,
    found: Found,
    fetcher: Option<Fetcher>,
    splits: BTreeMap<TopicPartition, Split>,
    restored: Option<Vec<Split>>,
    /// Whether all instances had discovered their partitions before the checkpoint; any others are new.
    knows_start: bool,
    events: VecDeque<FetchedRecords>,
    /// Partitions that wait for others (watermark alignment).
    paused: BTreeSet<TopicPartition>,
    pending: Option<Pending>,
    columns: RecordColumns,
    decompressor: Decompressor,
    buffers: LentBuffers,
    next_discovery_ms: Option<i64>,
    looking: bool,
    looking_since_ms: i64,
    limit: Option<u64>,
    read: Totals,
    /// Positions of the last snapshot, to be committed when its checkpoint completes.
    last_snapshot: BTreeMap<TopicPartition, i64>,
    /// With a `group.id`.
    group_commits: Option<GroupCommits>,
    waker: Option<Waker>,
}

impl KafkaSource {
    /// Starts partition discovery on the runtime; results arrive in `found`.
    fn look(&mut self) {
        let discovered = self.fetcher.is_some() || (self.restored.is_some() && self.knows_start);
        let known: Vec<Split> = match &self.restored {
            Some(splits) => splits.clone(),
            None => self.splits.values().cloned().collect(),
        };
        let (resolver, found, waker) = (self.resolver.clone(), Arc::clone(&self.found), self.waker.clone());
        self.looking = true;
        self.looking_since_ms = self.clock.now_ms();
        self.kafka.runtime().spawn(async move {
            let outcome = async {
                let (mut partitions, ids) = resolver.partitions().await?;
                topic_ids::check(&known, &ids)?;
                let known: BTreeSet<TopicPartition> = known.iter().map(Split::key).collect();
                partitions.retain(|p| !known.contains(p));
                let mut splits = Vec::new();
                if !partitions.is_empty() {
                    splits = resolver.splits(&partitions, discovered).await?;
                }
                Ok((splits, ids))
            };
            let outcome = outcome.await;
            *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            if let Some(waker) = waker {
                waker.wake();
            }
        });
    }

    /// Adds the discovered splits.
    fn take_found(&mut self, now_ms: i64) -> Result<(), DataflowError> {
        let Some(found) = self.found.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        self.looking = false;
        let (mut splits, ids) = found?;
        splits.extend(self.restored.take().unwrap_or_default());
        topic_ids::note(&mut splits, &ids);
        if self.fetcher.is_none() {
            let _inside = self.kafka.runtime().enter();
            let fetcher = Fetcher::start(self.resolver.client.clone(), self.resolver.config.fetch.clone());
            if let Some(waker) = self.waker.clone() {
                fetcher.set_waker(move || waker.wake());
            }
            self.fetcher = Some(fetcher);
        }
        for split in splits {
            if let Some((_, watermarks)) = &mut self.watermark {
                watermarks.add_split(split.key(), Watermark(split.watermark), now_ms);
                if split.is_done() {
                    watermarks.remove_split(&split.key());
                }
            }
            if let Some(fetcher) = self.fetcher.as_ref().filter(|_| !split.is_done()) {
                fetcher.assign(split.key(), split.position);
            }
            self.splits.insert(split.key(), split);
        }
        let interval = self.resolver.table.discovery_interval_ms;
        let discovers = interval > 0 && self.resolver.table.bounded == Bounded::Unbounded;
        self.next_discovery_ms = discovers.then(|| now_ms.saturating_add(interval));
        Ok(())
    }

    fn take_events(&mut self) -> Result<(), DataflowError> {
        let Some(fetcher) = &self.fetcher else {
            return Ok(());
        };
        for event in fetcher.poll(TAKE_BYTES) {
            match event {
                FetchEvent::Records(records) => {
                    self.read.bytes += records.bytes() as u64;
                    self.events.push_back(records);
                }
                FetchEvent::Reset { partition, from, to } => {
                    tracing::warn!(%partition, from, to, "the position was not in the log any more");
                }
                FetchEvent::Failed { partition, error } => {
                    return Err(client_failed(
                        &format!("cannot read partition {partition}"),
                        &error,
                    ));
                }
            }
        }
        Ok(())
    }

    /// Decompresses the next records into `pending`. Returns `false` if there are none.
    fn next_pending(&mut self, batch_rows: usize) -> Result<bool, DataflowError> {
        let Some(records) = self.next_event().and_then(|place| self.events.remove(place)) else {
            return Ok(false);
        };
        let failed = |e: &dyn std::fmt::Display| {
            DataflowError::data(format!(
                "records of partition {} cannot be read: {e}",
                records.partition
            ))
        };
        self.columns.clear();
        let (mut data, mut batches) = (None, records.batches.into_iter());
        let (mut leader_epoch, mut log_append_time, mut next_offset) = (0, false, records.next_offset);
        let mut gathered = self.buffers.take();
        for fetched in batches.by_ref() {
            let header = &fetched.batch.header;
            leader_epoch = header.partition_leader_epoch;
            log_append_time = header.timestamp_type() == TimestampType::LogAppendTime;
            let first = self.columns.len();
            let enough = GATHER_RECORDS.min(batch_rows);
            let is_large = usize::try_from(header.record_count).is_ok_and(|count| count >= enough);
            let end = header.base_offset + i64::from(header.last_offset_delta) + 1;
            if first == 0 && is_large && fetched.batch.is_uncompressed() {
                // Large enough on its own, so it is decoded in place.
                let raw = fetched.batch.payload();
                self.columns
                    .append(header, &raw, fetched.from_offset)
                    .map_err(|e| failed(&e))?;
                data = Some(Buffer::from(raw));
                next_offset = end;
                break;
            }
            let start = gathered.len();
            fetched
                .batch
                .records_into(&mut self.decompressor, BATCH_BYTES_MAX, &mut gathered)
                .map_err(|e| failed(&e))?;
            self.columns
                .append(header, &gathered[start..], fetched.from_offset)
                .map_err(|e| failed(&e))?;
            shift(&mut self.columns, first, start);
            if self.columns.len() >= GATHER_RECORDS.min(batch_rows) {
                next_offset = end;
                break;
            }
        }
        let rest: Vec<_> = batches.collect();
        if rest.is_empty() {
            next_offset = records.next_offset;
        } else {
            self.events.push_front(FetchedRecords {
                batches: rest,
                partition: records.partition.clone(),
                ..records
            });
        }
        let data = data.unwrap_or_else(|| self.buffers.lend(gathered));
        let partition = records.partition;
        let stop = self.splits.get(&partition).and_then(|split| split.stop);
        cut_at(&mut self.columns, stop);
        self.pending = Some(Pending {
            partition,
            data,
            next: 0,
            leader_epoch,
            log_append_time,
            next_offset,
        });
        Ok(true)
    }

    /// Decodes and emits some pending records.
    fn emit(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let Some(mut pending) = self.pending.take() else {
            return Ok(());
        };
        let end = self.columns.len().min(pending.next + context.batch_rows);
        let range = pending.next..end;
        if !range.is_empty() {
            let slice = RecordSlice {
                topic: pending.partition.topic.as_str(),
                partition: pending.partition.partition,
                leader_epoch: pending.leader_epoch,
                log_append_time: pending.log_append_time,
                data: &pending.data,
                columns: &self.columns,
                range: range.clone(),
            };
            let (batches, letters) = if self.dead_letters {
                self.decoder.decode_around(&slice)?
            } else {
                (vec![self.decoder.decode(&slice)?], Vec::new())
            };
            for batch in batches {
                self.emit_batch(&pending.partition, batch, context, out)?;
            }
            dead_letters::emit(letters, out)?;
        }
        pending.next = end;
        let done = end == self.columns.len();
        let position = if done {
            pending.next_offset
        } else {
            self.columns.offsets[end]
        };
        self.advance(&pending.partition, position);
        if !done {
            self.pending = Some(pending);
        }
        Ok(())
    }

    fn emit_batch(
        &mut self,
        partition: &TopicPartition,
        mut batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if let Some(limit) = self.limit {
            batch = batch.slice(0, batch.rows.min(limit.saturating_sub(self.read.rows) as usize));
        }
        self.read.rows += batch.rows as u64;
        self.observe(partition, &batch, context.now_ms)?;
        if batch.is_empty() {
            return Ok(());
        }
        out.batch(batch)
    }

    fn advance(&mut self, partition: &TopicPartition, position: i64) {
        let Some(split) = self.splits.get_mut(partition) else {
            return;
        };
        split.position = split.position.max(position);
        if !split.is_done() {
            return;
        }
        if let Some(fetcher) = &self.fetcher {
            fetcher.unassign(partition);
        }
        self.events.retain(|e| e.partition != *partition);
        if let Some((_, watermarks)) = &mut self.watermark {
            watermarks.remove_split(partition);
        }
    }

    fn observe(
        &mut self,
        partition: &TopicPartition,
        batch: &Batch,
        now_ms: i64,
    ) -> Result<(), DataflowError> {
        let Some((expr, watermarks)) = &mut self.watermark else {
            return Ok(());
        };
        self.environment.now_ms = now_ms;
        let values = expr
            .eval_array(&batch.columns, batch.rows, &self.environment)
            .map_err(|e| DataflowError::data(format!("the watermark cannot be computed: {e}")))?;
        let highest = values
            .as_primitive_opt::<TimestampMillisecondType>()
            .and_then(maximum);
        watermarks.observe(partition, highest, now_ms);
        Ok(())
    }

    fn emit_watermark(&mut self, now_ms: i64, out: &mut dyn Output) -> Result<(), DataflowError> {
        if let Some((_, watermarks)) = &mut self.watermark
            && let Some(watermark) = watermarks.next(now_ms)
        {
            out.watermark(watermark)?;
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        let limited = self.limit.is_some_and(|limit| self.read.rows >= limit);
        let bounded = self.resolver.table.bounded != Bounded::Unbounded;
        let all_done = self.fetcher.is_some() && bounded && self.splits.values().all(Split::is_done);
        limited || (all_done && self.pending.is_none())
    }

    fn commit_group(&mut self, positions: BTreeMap<TopicPartition, i64>) {
        if let Some(commits) = &mut self.group_commits {
            commits.commit(positions);
        }
    }

    fn positions(&self) -> BTreeMap<TopicPartition, i64> {
        self.splits.iter().map(|(p, s)| (p.clone(), s.position)).collect()
    }
}

impl Source for KafkaSource {
    fn open(&mut self, _: &Context, waker: Waker) -> Result<(), DataflowError> {
        self.waker = Some(waker);
        self.look();
        Ok(())
    }

    fn poll(&mut self, context: &Context, out: &mut dyn Output) -> Result<SourceStatus, DataflowError> {
        let now = self.clock.now_ms();
        self.take_found(now)?;
        if self.is_finished() {
            return Ok(SourceStatus::Finished);
        }
        if self.next_discovery_ms.is_some_and(|at| now >= at) && !self.looking {
            self.next_discovery_ms = None;
            self.look();
        }
        self.align(now);
        if self.pending.is_none() && self.next_event().is_none() {
            self.take_events()?;
        }
        if self.pending.is_none() && !self.next_pending(context.batch_rows)? {
            self.emit_watermark(now, out)?;
            let watermark_at = self.watermark.as_ref().and_then(|(_, w)| w.deadline_ms());
            let deadlines = [watermark_at, self.alignment_deadline_ms(), self.next_discovery_ms];
            let until_ms = deadlines.into_iter().flatten().min();
            return Ok(SourceStatus::Pending { until_ms });
        }
        self.emit(context, out)?;
        self.emit_watermark(now, out)?;
        Ok(if self.is_finished() {
            SourceStatus::Finished
        } else {
            SourceStatus::Ready
        })
    }

    fn snapshot(&mut self) -> Result<StateBlocks, DataflowError> {
        let mut splits: Vec<Split> = self.splits.values().cloned().collect();
        splits.extend(self.restored.iter().flatten().cloned());
        if let Some((_, watermarks)) = &self.watermark {
            for split in &mut splits {
                split.watermark = watermarks
                    .split_watermark(&split.key())
                    .map_or(split.watermark, |w| w.0);
            }
        }
        self.last_snapshot = self.positions();
        super::splits::freeze(&splits, self.fetcher.is_some() || self.knows_start)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let (mut restored, knows_start) = super::splits::thaw(&blocks)?;
        self.knows_start = knows_start;
        restored.retain(|split| super::splits::owner(&split.key(), context.parallelism) == context.subtask);
        self.restored = Some(restored);
        Ok(())
    }

    fn splits(&self) -> Vec<(String, bool)> {
        let named = |(p, split): (&TopicPartition, &Split)| (split_name(p), !split.is_done());
        self.splits.iter().map(named).collect()
    }

    fn pause_splits(&mut self, paused: &BTreeSet<String>) {
        self.pause_named(paused);
    }

    fn checkpoint_complete(&mut self, _: CheckpointId) {
        let positions = std::mem::take(&mut self.last_snapshot);
        self.commit_group(positions);
    }

    /// An instance without partitions is idle, whether or not it generates watermarks itself.
    fn is_idle(&self, _: &Context) -> bool {
        let watermark = self.watermark.as_ref();
        let is_idle = watermark.map_or(self.splits.is_empty(), |(_, watermark)| watermark.is_idle());
        self.fetcher.is_some() && is_idle
    }

    fn current_watermark(&self) -> Watermark {
        self.watermark
            .as_ref()
            .map_or(Watermark::MIN, |(_, w)| w.emitted())
    }

    fn pending_records(&self) -> Option<u64> {
        self.lag()
    }

    fn bytes_read(&self) -> u64 {
        self.read.bytes
    }

    fn notice(&self) -> Option<SourceNotice> {
        self.waits_for()
    }

    fn close(&mut self) {
        self.commit_group(self.positions());
        if let Some(commits) = &mut self.group_commits {
            commits.finish();
        }
        self.fetcher = None;
    }
}
