//! What a checkpoint holds of the search: the rows that wait or stand in a match, and the matches as lists of rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{ArrayRef, Int64Array, PrimitiveArray, UInt64Array};
use millstream_dataflow::{Context, DataflowError, SnapshotScope, StateBlocks};
use millstream_state::group_table::block_name;
use millstream_state::{StateError, decode_columns, encode_columns};
use millstream_types::Batch;

use super::MatchRecognize;
use super::rows::{Event, Link, bytes_of, links, own_columns};
use super::search::Partial;
use crate::owned_rows::owned;

/// Keys that are written together in a block.
pub(super) const KEYS_PER_BLOCK: usize = 256;
const ROWS: &str = "rows";
const MATCHES: &str = "matches";
/// Columns after those of the input: the number and the time of a row.
const ROW_COLUMNS: usize = 2;
/// Columns of a row of a match: match, state, variable, position, number of the row.
const STEP_COLUMNS: usize = 5;

impl MatchRecognize {
    pub(super) fn freeze(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        for block in 0..self.table.end().div_ceil(KEYS_PER_BLOCK) {
            let (rows, matches) = (block_name(ROWS, block), block_name(MATCHES, block));
            if self.dirty.freeze(block, scope) {
                self.freeze_block(block, rows, matches, &mut out)?;
            } else {
                out.push_unchanged(rows);
                out.push_unchanged(matches);
            }
        }
        Ok(out)
    }

    fn freeze_block(
        &self,
        block: usize,
        rows_name: String,
        matches_name: String,
        out: &mut StateBlocks,
    ) -> Result<(), DataflowError> {
        let mut events: BTreeMap<u64, &Event> = BTreeMap::new();
        let mut steps: [Vec<u64>; STEP_COLUMNS] = Default::default();
        let mut number = 0;
        let groups = self
            .table
            .groups_in(block * KEYS_PER_BLOCK..(block + 1) * KEYS_PER_BLOCK);
        for key in groups.map(|group| &self.keys[group as usize]) {
            events.extend(key.waiting.iter().map(|event| (event.number, event)));
            for partial in key.progress.partials.iter().chain(&key.progress.complete) {
                for link in links(&partial.last) {
                    events.insert(link.event.number, &link.event);
                    let step = [
                        number,
                        partial.state as u64,
                        link.variable as u64,
                        link.position,
                        link.event.number,
                    ];
                    steps
                        .iter_mut()
                        .zip(step)
                        .for_each(|(column, value)| column.push(value));
                }
                number += 1;
            }
        }
        let rows: Vec<Option<&Event>> = events.values().copied().map(Some).collect();
        let columns = self.columns_of(&rows)?;
        let mut columns = own_columns(&columns)?.to_vec();
        columns.push(Arc::new(UInt64Array::from_iter_values(events.keys().copied())));
        columns.push(Arc::new(Int64Array::from_iter_values(
            events.values().map(|e| e.time_ms),
        )));
        out.push(rows_name, encode_columns(&columns, rows.len())?);
        let length = steps[0].len();
        let steps: Vec<ArrayRef> = steps
            .into_iter()
            .map(|column| Arc::new(UInt64Array::from(column)) as ArrayRef)
            .collect();
        out.push(matches_name, encode_columns(&steps, length)?);
        Ok(())
    }

    pub(super) fn thaw(&mut self, parts: &[StateBlocks], context: &Context) -> Result<(), DataflowError> {
        let prefix = format!("{ROWS}/");
        for part in parts {
            for block in part.with_prefix(&prefix) {
                let (name, bytes) = block?;
                let mut rows = self.thaw_rows(name, &bytes, context)?;
                let matches = name.replacen(ROWS, MATCHES, 1);
                if let Some(bytes) = part.get(&matches) {
                    self.thaw_matches(&matches, bytes, &mut rows)?;
                }
                for (_, (group, event)) in rows {
                    // Rows that belong to no match wait for the watermark.
                    if let Some(event) = Arc::into_inner(event) {
                        self.timers.insert((event.time_ms, group));
                        self.keys[group as usize].waiting.push(event);
                    }
                }
            }
        }
        for key in &mut self.keys {
            key.waiting.sort_by_key(|event| event.number);
        }
        Ok(())
    }

    /// The rows of this instance by their old numbers.
    fn thaw_rows(
        &mut self,
        name: &str,
        bytes: &[u8],
        context: &Context,
    ) -> Result<BTreeMap<u64, (u32, Arc<Event>)>, DataflowError> {
        let (columns, count) = decode_columns(name, bytes)?;
        let batch = owned(&Batch::inserts(columns, count), &self.spec.partition, context)?;
        let width = batch.columns.len().saturating_sub(ROW_COLUMNS);
        let numbers = integers::<UInt64Type>(name, batch.columns.get(width))?;
        let times = integers::<Int64Type>(name, batch.columns.get(width + 1))?;
        let columns = own_columns(&batch.columns[..width])?;
        let bytes = bytes_of(&columns) / batch.rows.max(1);
        let groups = self.groups(&columns, batch.rows)?;
        let mut rows = BTreeMap::new();
        for (row, group) in groups.into_iter().enumerate() {
            let event = self.event(&columns, row, times.value(row), bytes);
            rows.insert(numbers.value(row), (group, Arc::new(event)));
        }
        Ok(rows)
    }

    fn thaw_matches(
        &mut self,
        name: &str,
        bytes: &[u8],
        rows: &mut BTreeMap<u64, (u32, Arc<Event>)>,
    ) -> Result<(), DataflowError> {
        let (columns, count) = decode_columns(name, bytes)?;
        let column = |i: usize| integers::<UInt64Type>(name, columns.get(i));
        let (numbers, states, variables) = (column(0)?, column(1)?, column(2)?);
        let (positions, events) = (column(3)?, column(4)?);
        let mut open: Option<(u64, u32, Partial)> = None;
        for row in 0..count {
            // Other instances own the missing rows, and with them their matches.
            let Some((group, event)) = rows.get(&events.value(row)) else {
                continue;
            };
            let (group, number) = (*group, numbers.value(row));
            let before = open.take_if(|(own, ..)| *own == number);
            if let Some((_, group, partial)) = open.take() {
                self.put_match(group, partial)?;
            }
            let (start, start_ms, before) = match before {
                Some((_, _, partial)) => (partial.start, partial.start_ms, Some(partial.last)),
                None => (positions.value(row), event.time_ms, None),
            };
            let last = Arc::new(Link {
                variable: variables.value(row) as usize,
                position: positions.value(row),
                event: Arc::clone(event),
                before,
            });
            let partial = Partial {
                state: states.value(row) as usize,
                last,
                start,
                start_ms,
            };
            open = Some((number, group, partial));
        }
        match open {
            Some((_, group, partial)) => self.put_match(group, partial),
            None => Ok(()),
        }
    }

    fn put_match(&mut self, group: u32, partial: Partial) -> Result<(), DataflowError> {
        if partial.state >= self.search.automaton.len() {
            return Err(StateError::corrupt(MATCHES, "a state that the pattern does not have").into());
        }
        if let Some(within_ms) = self.spec.within_ms {
            self.timers
                .insert((partial.start_ms.saturating_add(within_ms), group));
        }
        let progress = &mut self.keys[group as usize].progress;
        progress.next_position = progress.next_position.max(partial.last.position + 1);
        if partial.state == super::automaton::FINAL {
            progress.complete.push(partial);
        } else {
            progress.partials.push(partial);
        }
        Ok(())
    }
}

fn integers<T: arrow_array::types::ArrowPrimitiveType>(
    block: &str,
    column: Option<&ArrayRef>,
) -> Result<PrimitiveArray<T>, DataflowError> {
    let column = column.and_then(|column| column.as_primitive_opt::<T>());
    let missing = || StateError::corrupt(block, "a column of numbers is missing");
    Ok(column.ok_or_else(missing)?.clone())
}
