//! Event-time temporal join: a left row meets the version of the right side that held at the row's time.
//!
//! A left row waits until the watermark passes its time, as the right side is complete then. Of each right key only the
//! versions that may still be asked for are kept. A delete ends a version at the time of the deleted row; `-U` rows say
//! nothing that the `+U` behind them does not. Left rows behind the watermark are dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_functions::aggregate::ordered_bytes::OrderedBytes;
use millstream_state::{GroupTable, NO_GROUP};
use millstream_types::{Batch, RowKind, Watermark};

use super::JoinSpec;
use super::pairs::take_optional;
use crate::buffered::BufferedRows;
use crate::emit::push;
use crate::error::eval_error;
use crate::expression::RowExpression;
use crate::owned_rows::restore_owned;
use crate::window::input::milliseconds;

/// A version of a right row: what held from its time on.
#[derive(Clone, Debug)]
struct Version {
    is_there: bool,
    row: Box<[u8]>,
}

pub(crate) struct TemporalJoin {
    spec: JoinSpec,
    left_time: usize,
    right_time: usize,
    condition: Option<RowExpression>,
    /// Left rows whose time has not come.
    waiting: BufferedRows,
    earliest: i64,
    table: GroupTable,
    versions: Vec<BTreeMap<i64, Version>>,
    codec: OrderedBytes,
    late_rows: u64,
}

impl TemporalJoin {
    /// `right_types` are the logical types of the right columns.
    pub(crate) fn new(
        spec: JoinSpec,
        left_time: usize,
        right_time: usize,
        right_types: &[millstream_types::LogicalType],
    ) -> Result<Self, DataflowError> {
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
            waiting: BufferedRows::default(),
            earliest: i64::MAX,
            table: GroupTable::new(&key_types)?,
            versions: Vec::new(),
            codec: OrderedBytes::new(right_types),
            late_rows: 0,
            spec,
        })
    }

    fn wait(&mut self, batch: Batch) -> Result<(), DataflowError> {
        let (times, _) = milliseconds(&batch.columns[self.left_time])?;
        self.earliest = times.iter().copied().fold(self.earliest, i64::min);
        self.waiting.push(batch);
        Ok(())
    }

    fn add_left(&mut self, batch: Batch, context: &Context) -> Result<(), DataflowError> {
        let (times, _) = milliseconds(&batch.columns[self.left_time])?;
        let watermark = context.watermark.0;
        let on_time: Vec<u32> = (0..batch.rows as u32)
            .filter(|row| times[*row as usize] > watermark)
            .collect();
        if on_time.len() == batch.rows {
            return self.wait(batch);
        }
        self.late_rows += (batch.rows - on_time.len()) as u64;
        self.wait(batch.take(&UInt32Array::from(on_time))?)
    }

    fn add_right(&mut self, batch: &Batch) -> Result<(), DataflowError> {
        let keys: Vec<ArrayRef> = self
            .spec
            .right
            .keys
            .iter()
            .map(|k| Arc::clone(&batch.columns[*k]))
            .collect();
        let mut groups = Vec::new();
        self.table.intern(&keys, batch.rows, &mut groups)?;
        self.versions.resize_with(self.table.end(), BTreeMap::new);
        let (times, _) = milliseconds(&batch.columns[self.right_time])?;
        let rows = self.codec.encode(&batch.columns).map_err(eval_error)?;
        for (row, group) in groups.iter().enumerate() {
            let kind = batch.kind(row);
            if kind != RowKind::UpdateBefore {
                let version = Version {
                    is_there: kind.is_addition(),
                    row: rows.row(row).data().into(),
                };
                self.versions[*group as usize].insert(times[row], version);
            }
        }
        Ok(())
    }

    /// Joins the left rows whose time has come, in order of time.
    fn fire(&mut self, watermark: i64, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        if self.earliest > watermark {
            return Ok(());
        }
        let Some(all) = self.waiting.take_all()? else {
            return Ok(());
        };
        let (times, _) = milliseconds(&all.columns[self.left_time])?;
        let (mut due, rest): (Vec<u32>, Vec<u32>) =
            (0..all.rows as u32).partition(|row| times[*row as usize] <= watermark);
        due.sort_by_key(|row| times[*row as usize]);
        self.earliest = i64::MAX;
        self.wait(all.take(&UInt32Array::from(rest))?)?;
        let due = all.take(&UInt32Array::from(due))?;
        let joined = self.join(&due, context)?;
        push(joined, context, out)
    }

    /// The version of each left row, as an index into the encoded rows beside.
    fn lookup(&mut self, left: &Batch) -> Result<(Vec<Option<u32>>, Vec<ArrayRef>), DataflowError> {
        let keys: Vec<ArrayRef> = self
            .spec
            .left
            .keys
            .iter()
            .map(|k| Arc::clone(&left.columns[*k]))
            .collect();
        let mut groups = Vec::new();
        self.table.find(&keys, left.rows, &mut groups)?;
        let (times, _) = milliseconds(&left.columns[self.left_time])?;
        let (mut places, mut rows): (Vec<Option<u32>>, Vec<&[u8]>) = (Vec::new(), Vec::new());
        for (row, group) in groups.iter().enumerate() {
            let has_key = *group != NO_GROUP && keys.iter().all(|key| key.is_valid(row));
            let versions = has_key.then(|| &self.versions[*group as usize]);
            let held = versions.and_then(|versions| versions.range(..=times[row]).next_back());
            places.push(held.filter(|(_, version)| version.is_there).map(|(_, version)| {
                rows.push(&version.row);
                (rows.len() - 1) as u32
            }));
        }
        let columns = self.codec.decode(rows.into_iter()).map_err(eval_error)?;
        Ok((places, columns))
    }

    fn join(&mut self, left: &Batch, context: &Context) -> Result<Batch, DataflowError> {
        let (mut places, versions) = self.lookup(left)?;
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
        let groups: Vec<u32> = self.table.groups().collect();
        for group in groups {
            let versions = &mut self.versions[group as usize];
            let Some(current) = versions.range(..=watermark).next_back().map(|(time, _)| *time) else {
                continue;
            };
            *versions = versions.split_off(&current);
            let is_gone = versions.len() == 1 && versions.values().all(|version| !version.is_there);
            if is_gone {
                versions.clear();
                self.table.remove(group)?;
            }
        }
        Ok(())
    }

    fn right_rows(&self) -> Result<BufferedRows, DataflowError> {
        let mut kinds = Vec::new();
        let mut rows: Vec<&[u8]> = Vec::new();
        for group in self.table.groups() {
            for version in self.versions[group as usize].values() {
                kinds.push(if version.is_there {
                    RowKind::Insert
                } else {
                    RowKind::Delete
                });
                rows.push(&version.row);
            }
        }
        let columns = self.codec.decode(rows.into_iter()).map_err(eval_error)?;
        let mut buffer = BufferedRows::default();
        buffer.push(Batch::changes(columns, kinds));
        Ok(buffer)
    }
}

impl Operator for TemporalJoin {
    fn process(
        &mut self,
        port: usize,
        batch: Batch,
        context: &Context,
        _: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        match port {
            _ if batch.is_empty() => Ok(()),
            0 => self.add_left(batch, context),
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

    fn snapshot(&mut self, _: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.waiting.snapshot("left", &mut out)?;
        self.right_rows()?.snapshot("right", &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let mut left = BufferedRows::default();
        restore_owned(&mut left, "left", &blocks, &self.spec.left.keys, context)?;
        for batch in left.take_batches() {
            self.wait(batch)?;
        }
        let mut right = BufferedRows::default();
        restore_owned(&mut right, "right", &blocks, &self.spec.right.keys, context)?;
        right
            .take_batches()
            .iter()
            .try_for_each(|batch| self.add_right(batch))
    }

    fn state_bytes(&self) -> usize {
        let rows =
            |versions: &BTreeMap<i64, Version>| versions.values().map(|v| v.row.len() + 32).sum::<usize>();
        let versions: usize = self.versions.iter().map(rows).sum();
        self.table.memory_size() + self.waiting.memory_size() + versions
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }
}
