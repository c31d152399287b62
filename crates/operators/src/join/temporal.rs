//! Event-time temporal join: a left row meets the version of the right side that held at the row's time.
//!
//! A left row waits until the watermark passes its time, as the right side is complete then. Of each right key only the
//! versions that may still be needed are kept. A delete ends a version at the time of the deleted row; `-U` rows say
//! nothing that the `+U` behind them does not. A left row behind the watermark is due at the next one and sees the versions
//! that are still there.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_state::{GroupTable, NO_GROUP, RowBuffer, Spill};
use millstream_types::{Batch, RowKind, Watermark};

use super::JoinSpec;
use super::pairs::take_optional;
use crate::emit::push;
use crate::expression::RowExpression;
use crate::owned_rows::{owner, restore_owned};
use crate::window::input::milliseconds;

/// A version of a right row, valid from its time on.
#[derive(Clone, Copy, Debug)]
struct Version {
    time_ms: i64,
    /// Number of the row among the right rows.
    row: u64,
    is_there: bool,
}

pub(crate) struct TemporalJoin {
    spec: JoinSpec,
    left_time: usize,
    right_time: usize,
    condition: Option<RowExpression>,
    /// Left rows that wait for the watermark.
    waiting: RowBuffer,
    right: RowBuffer,
    table: GroupTable,
    /// Versions of each right key, by time.
    versions: Vec<Vec<Version>>,
    /// Keys with a version that replaces another or ends the key, by its time: once the watermark reaches it, older
    /// versions are no longer needed.
    due: BTreeSet<(i64, u32)>,
}

impl TemporalJoin {
    pub(crate) fn new(spec: JoinSpec, left_time: usize, right_time: usize) -> Result<Self, DataflowError> {
        let condition = spec
            .condition
            .as_ref()
            .map(|c| RowExpression::new(c, &spec.env))
            .transpose()?;
        let key_types: Vec<DataType> = spec
            .right
            .keys
            .iter()
            .map(|k| spec.right.types[*k].clone())
            .collect();
        Ok(Self {
            left_time,
            right_time,
            condition,
            waiting: RowBuffer::new(&spec.left.types),
            right: RowBuffer::new(&spec.right.types),
            table: GroupTable::new(&key_types)?,
            versions: Vec::new(),
            due: BTreeSet::new(),
            spec,
        })
    }

    fn wait(&mut self, batch: &Batch) -> Result<(), DataflowError> {
        let (times, _) = milliseconds(&batch.columns[self.left_time])?;
        self.waiting.push(batch, Some(&times))?;
        Ok(())
    }

    fn add_right(&mut self, batch: &Batch) -> Result<(), DataflowError> {
        // A `-U` row adds nothing to the `+U` row after it.
        let told: Vec<u32> = (0..batch.rows as u32)
            .filter(|row| batch.kind(*row as usize) != RowKind::UpdateBefore)
            .collect();
        let batch = &if told.len() == batch.rows {
            batch.clone()
        } else {
            batch.take(&UInt32Array::from(told))?
        };
        let (times, _) = milliseconds(&batch.columns[self.right_time])?;
        let numbers = self.right.push(batch, Some(&times))?;
        let groups = self.right_groups(batch)?;
        let mut replaced = Vec::new();
        for (row, (group, number)) in groups.into_iter().zip(numbers).enumerate() {
            let version = Version {
                time_ms: times[row],
                row: number,
                is_there: batch.kind(row).is_addition(),
            };
            replaced.extend(self.put(group, version));
        }
        self.right.remove(replaced)?;
        Ok(())
    }

    fn right_groups(&mut self, batch: &Batch) -> Result<Vec<u32>, DataflowError> {
        let keys: Vec<ArrayRef> = self
            .spec
            .right
            .keys
            .iter()
            .map(|k| Arc::clone(&batch.columns[*k]))
            .collect();
        let mut groups = Vec::new();
        self.table.intern(&keys, batch.rows, &mut groups)?;
        self.versions.resize_with(self.table.end(), Vec::new);
        Ok(groups)
    }

    /// Adds a version of a key; returns the row of the version that it replaces, which has the same time.
    fn put(&mut self, group: u32, version: Version) -> Option<u64> {
        let versions = &mut self.versions[group as usize];
        let at = versions.partition_point(|held| held.time_ms < version.time_ms);
        let same = versions
            .get_mut(at)
            .filter(|held| held.time_ms == version.time_ms);
        let replaced = match same {
            Some(held) => Some(std::mem::replace(held, version).row),
            None => {
                versions.insert(at, version);
                None
            }
        };
        // The first version of a key replaces none; the version after a new one now does.
        for held in &versions[at..versions.len().min(at + 2)] {
            if !held.is_there || held.time_ms > versions[0].time_ms {
                self.due.insert((held.time_ms, group));
            }
        }
        replaced
    }

    /// Joins the left rows that are due, in order of time.
    fn fire(&mut self, watermark: i64, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let Some((due, times)) = self.waiting.take_due(watermark)? else {
            return Ok(());
        };
        let joined = self.join(&due, &times, context)?;
        push(joined, context, out)
    }

    /// The version of each left row, as an index into the right rows.
    fn lookup(
        &mut self,
        left: &Batch,
        times: &[i64],
    ) -> Result<(Vec<Option<u32>>, Vec<ArrayRef>), DataflowError> {
        let keys: Vec<ArrayRef> = self
            .spec
            .left
            .keys
            .iter()
            .map(|k| Arc::clone(&left.columns[*k]))
            .collect();
        let mut groups = Vec::new();
        self.table.find(&keys, left.rows, &mut groups)?;
        let (mut places, mut rows): (Vec<Option<u32>>, Vec<u64>) = (Vec::new(), Vec::new());
        for (row, group) in groups.iter().enumerate() {
            let has_key = *group != NO_GROUP && keys.iter().all(|key| key.is_valid(row));
            let versions = has_key.then(|| self.versions[*group as usize].as_slice());
            let held = versions.and_then(|versions| held_at(versions, times[row]));
            places.push(held.filter(|version| version.is_there).map(|version| {
                rows.push(version.row);
                (rows.len() - 1) as u32
            }));
        }
        Ok((places, self.right.rows(&rows)?.columns))
    }

    fn join(&mut self, left: &Batch, times: &[i64], context: &Context) -> Result<Batch, DataflowError> {
        let (mut places, versions) = self.lookup(left, times)?;
        if let Some(condition) = &mut self.condition {
            let mut columns = left.columns.clone();
            columns.extend(take_optional(&versions, &places)?);
            let keep = condition.condition(&columns, left.rows, context)?;
            places
                .iter_mut()
                .enumerate()
                .filter(|(row, _)| !keep.value(*row))
                .for_each(|(_, place)| *place = None);
        }
        let is_left = self.spec.kind == millstream_plan::JoinKind::Left;
        let rows: Vec<u32> = (0..left.rows as u32)
            .filter(|row| is_left || places[*row as usize].is_some())
            .collect();
        let places: Vec<Option<u32>> = rows.iter().map(|row| places[*row as usize]).collect();
        let mut result = left.take(&UInt32Array::from(rows))?;
        result.columns.extend(take_optional(&versions, &places)?);
        Ok(result)
    }

    /// Drops versions that were replaced at or before the watermark.
    fn forget_old(&mut self, watermark: i64) -> Result<(), DataflowError> {
        let mut gone = Vec::new();
        while let Some((time_ms, group)) = self.due.first().copied()
            && time_ms <= watermark
        {
            self.due.pop_first();
            let versions = &mut self.versions[group as usize];
            let passed = versions.partition_point(|version| version.time_ms <= watermark);
            gone.extend(
                versions
                    .drain(..passed.saturating_sub(1))
                    .map(|version| version.row),
            );
            if let [last] = versions.as_slice()
                && !last.is_there
                && last.time_ms <= watermark
            {
                gone.push(last.row);
                *versions = Vec::new();
                self.table.remove(group)?;
            }
        }
        self.right.remove(gone)?;
        Ok(())
    }
}

/// The version that was valid at a time.
fn held_at(versions: &[Version], time_ms: i64) -> Option<&Version> {
    let behind = versions.partition_point(|version| version.time_ms <= time_ms);
    versions[..behind].last()
}

impl TemporalJoin {
    /// Lets rows move to disk.
    pub(crate) fn spill_to(mut self, spill: Option<&Spill>) -> Self {
        self.waiting.spill_to(spill);
        self.right.spill_to(spill);
        self
    }
}

impl Operator for TemporalJoin {
    fn process(
        &mut self,
        port: usize,
        batch: Batch,
        _: &Context,
        _: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        match port {
            _ if batch.is_empty() => Ok(()),
            0 => self.wait(&batch),
            _ => self.add_right(&batch),
        }
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        self.fire(watermark.0, context, out)?;
        self.forget_old(watermark.0)?;
        out.watermark(watermark)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.waiting.snapshot("left", scope, &mut out)?;
        self.right.snapshot("right", scope, &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let [left, right] = [self.spec.left.keys.clone(), self.spec.right.keys.clone()];
        restore_owned(&mut self.waiting, "left", &blocks, &left, context)?;
        let mut restored = Vec::new();
        self.right
            .restore("right", &blocks, &owner(&right, context), |rows| {
                restored.push((rows.batch.clone(), rows.numbers, rows.times.to_vec()));
                Ok(())
            })?;
        for (batch, numbers, times) in restored {
            let groups = self.right_groups(&batch)?;
            for (row, (group, number)) in groups.into_iter().zip(numbers).enumerate() {
                let version = Version {
                    time_ms: times[row],
                    row: number,
                    is_there: batch.kind(row).is_addition(),
                };
                // Each time of a key is stored once.
                self.put(group, version);
            }
        }
        Ok(())
    }

    fn spilled_bytes(&self) -> u64 {
        self.waiting.disk_size() + self.right.disk_size()
    }

    fn state_bytes(&self) -> usize {
        let versions: usize = self.versions.iter().map(Vec::capacity).sum();
        let versions = versions * size_of::<Version>() + self.versions.capacity() * size_of::<Vec<Version>>();
        self.table.memory_size() + self.waiting.memory_size() + self.right.memory_size() + versions
    }
}
