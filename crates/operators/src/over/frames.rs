//! OVER aggregates of rows that come in order, partition by partition.
//!
//! Rows are taken in rounds: a round has at most one row (ROWS) or one run of rows with equal order (RANGE) of each
//! partition, so that accumulators are updated and evaluated for many partitions at once. Rows that fall out of a bounded
//! frame are retracted from the accumulators.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array};
use arrow_schema::DataType;
use arrow_select::interleave::interleave;
use millstream_dataflow::DataflowError;
use millstream_plan::AggregateCall;
use millstream_state::RowBuffer;
use millstream_types::{Batch, ErrorKind, Scalar, arrow_type};

use crate::aggregate::{AggregateCalls, AggregateSpec};
use crate::emit::take_columns;

/// A frame that ends at the current row.
#[derive(Clone, Debug)]
pub(crate) struct FrameSpec {
    /// By number of rows; otherwise by distance in the order column.
    pub rows: bool,
    /// Rows or distance before the current row; `None`: unbounded.
    pub preceding: Option<i64>,
    pub calls: Vec<AggregateCall>,
}

/// A row that may leave its frame, or that LAG may refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub order: i64,
    pub place: Place,
}

/// The location of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In the current batch.
    Batch(u32),
    /// Among the stored rows.
    Kept(u64),
}

/// The state of a partition besides its accumulators.
#[derive(Clone, Default)]
pub(super) struct Partition {
    /// Rows in a bounded frame, oldest first.
    pub frame: VecDeque<Past>,
    /// The last rows, as far as LAG refers back.
    pub recent: VecDeque<Past>,
    pub rows: i64,
    rank: i64,
    dense_rank: i64,
    last_order: Option<i64>,
    /// The last batch with rows of the partition, with the round and order of its last row so far.
    round: (u64, usize, i64),
}

/// Numbers of a partition that go into a snapshot.
pub(super) const COUNTERS: usize = 6;

impl Partition {
    /// Rows, rank, dense rank, order of the last row, rows in the frame, rows to look back at.
    pub(super) fn counters(&self) -> [i64; COUNTERS] {
        let last = self.last_order.unwrap_or(i64::MIN);
        let (frame, recent) = (self.frame.len() as i64, self.recent.len() as i64);
        [self.rows, self.rank, self.dense_rank, last, frame, recent]
    }

    /// Restores counters and rows. `kept` are the partition's rows in order; the last ones are in the frame.
    pub(super) fn restore(&mut self, counters: [i64; COUNTERS], kept: &[Past]) {
        let [rows, rank, dense_rank, last, frame, recent] = counters;
        (self.rows, self.rank, self.dense_rank) = (rows, rank, dense_rank);
        self.last_order = (last != i64::MIN).then_some(last);
        let newest = |count: i64| {
            let count = usize::try_from(count).unwrap_or(0).min(kept.len());
            kept[kept.len() - count..].iter().copied().collect()
        };
        (self.frame, self.recent) = (newest(frame), newest(recent));
    }

    /// The rows that are still in the batch; they come after all others.
    fn each_of_batch(&mut self, mut visit: impl FnMut(u32, &mut Past)) {
        for rows in [&mut self.frame, &mut self.recent] {
            for past in rows.iter_mut().rev() {
                match past.place {
                    Place::Batch(row) => visit(row, past),
                    Place::Kept(_) => break,
                }
            }
        }
    }

    /// Whether LAG may still refer to a row that has left the frame.
    fn looks_back_at(&self, number: u64) -> bool {
        starts_at_or_before(&self.recent, number)
    }

    /// Whether a row that LAG no longer refers to is in the frame.
    fn frames(&self, number: u64) -> bool {
        starts_at_or_before(&self.frame, number)
    }
}

/// Whether a row of a partition is among these newest rows of it.
fn starts_at_or_before(rows: &VecDeque<Past>, number: u64) -> bool {
    rows.front()
        .is_some_and(|first| matches!(first.place, Place::Kept(held) if held <= number))
}

/// How one call is evaluated.
enum Call {
    /// Position among the aggregates.
    Aggregate(usize),
    RowNumber,
    Rank,
    DenseRank,
    Lag {
        column: usize,
        offset: usize,
        default: Missing,
        ty: DataType,
    },
}

/// The result of LAG and LEAD where there is no row.
#[derive(Clone)]
pub(super) enum Missing {
    Null,
    Constant(ArrayRef),
    /// The value of a column in the current row.
    Column(usize),
}

impl Missing {
    /// From a call: a literal is a parameter behind the offset, anything else a column behind the value.
    pub(super) fn of(call: &AggregateCall) -> Self {
        if let Some(value) = call.parameters.get(1).filter(|value| !value.is_null()) {
            return Self::Constant(value.to_array(&call.result, 1));
        }
        match call.args.as_slice() {
            [_, .., column] => Self::Column(*column),
            _ => Self::Null,
        }
    }

    /// The value for a row, as a column of one.
    pub(super) fn value(&self, batch: &Batch, row: usize, ty: &DataType) -> ArrayRef {
        match self {
            Self::Constant(value) => Arc::clone(value),
            Self::Column(column) => batch.columns[*column].slice(row, 1),
            Self::Null => arrow_array::new_null_array(ty, 1),
        }
    }
}

/// The frames of all partitions, by partition number.
pub(super) struct Frames {
    spec: FrameSpec,
    calls: Vec<Call>,
    pub aggregates: AggregateCalls,
    pub partitions: Vec<Partition>,
    look_back: usize,
    /// Stored columns of rows in frames: those of the partition, then those that calls read.
    columns: Vec<usize>,
    /// The rows that frames and LAG still need.
    pub past: RowBuffer,
    /// Rows of the batch that have left their frames.
    gone: Vec<u64>,
    /// Number of the batch.
    stamp: u64,
}

impl Frames {
    /// Frames of rows of these types.
    pub(super) fn new(
        spec: &FrameSpec,
        types: &[DataType],
        partition: &[usize],
    ) -> Result<Self, DataflowError> {
        let mut aggregates = Vec::new();
        let mut calls = Vec::new();
        for call in &spec.calls {
            calls.push(match call.function.as_str() {
                "ROW_NUMBER" => Call::RowNumber,
                "RANK" => Call::Rank,
                "DENSE_RANK" => Call::DenseRank,
                "LAG" => lag(call)?,
                "LEAD" | "NTILE" | "PERCENT_RANK" | "CUME_DIST" => {
                    let message = format!("not supported yet: {} in this kind of OVER window", call.function);
                    return Err(DataflowError::new(ErrorKind::Unsupported, message));
                }
                _ => {
                    aggregates.push(call.clone());
                    Call::Aggregate(aggregates.len() - 1)
                }
            });
        }
        let aggregates = AggregateSpec::new(&aggregates, spec.preceding.is_some())?;
        let mut columns = partition.to_vec();
        let lagged = calls.iter().filter_map(Call::lagged_column);
        for column in aggregates.columns().into_iter().chain(lagged) {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        let place = |column: usize| columns.iter().position(|c| *c == column).unwrap_or(0);
        let aggregates = aggregates.remap(place).instantiate();
        let kept: Vec<DataType> = columns.iter().map(|column| types[*column].clone()).collect();
        Ok(Self {
            spec: spec.clone(),
            look_back: calls.iter().map(Call::look_back).max().unwrap_or(0),
            calls,
            aggregates,
            partitions: Vec::new(),
            columns,
            past: RowBuffer::new(&kept),
            gone: Vec::new(),
            stamp: 0,
        })
    }

    pub(super) fn resize(&mut self, partitions: usize) {
        if partitions > self.partitions.len() {
            self.partitions.resize_with(partitions, Partition::default);
        }
        self.aggregates.resize(partitions);
    }

    /// One column per call. Rows are in order within their partitions; `order` is the order column as a number. If
    /// another batch follows, call [`Frames::keep`].
    pub(super) fn apply(
        &mut self,
        batch: &Batch,
        partitions: &[u32],
        order: &[i64],
    ) -> Result<Vec<ArrayRef>, DataflowError> {
        let rounds = self.rounds(partitions, order);
        let mut results: Vec<Vec<ArrayRef>> = vec![Vec::new(); self.calls.len()];
        // For each row, its round and its position in the round.
        let mut places = vec![(0, 0); batch.rows];
        for (number, round) in rounds.iter().enumerate() {
            let columns = self.round(batch, partitions, order, round)?;
            columns
                .into_iter()
                .zip(&mut results)
                .for_each(|(column, parts)| parts.push(column));
            round
                .iter()
                .enumerate()
                .for_each(|(i, row)| places[*row as usize] = (number, i));
        }
        let gather = |(parts, call): (&Vec<ArrayRef>, &AggregateCall)| {
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            if parts.is_empty() {
                return Ok(arrow_array::new_empty_array(&arrow_type(&call.result)));
            }
            interleave(&parts, &places)
        };
        let columns: Result<Vec<ArrayRef>, _> = results.iter().zip(&self.spec.calls).map(gather).collect();
        Ok(columns?)
    }

    /// Stores the rows of the batch that frames and LAG still need, and drops those that left.
    pub(super) fn keep(&mut self, batch: &Batch, partitions: &[u32]) -> Result<(), DataflowError> {
        self.forget_gone()?;
        let mut touched = partitions.to_vec();
        touched.sort_unstable();
        touched.dedup();
        let mut needed: Vec<Option<i64>> = vec![None; batch.rows];
        for partition in &touched {
            self.partitions[*partition as usize]
                .each_of_batch(|row, past| needed[row as usize] = Some(past.order));
        }
        let rows: Vec<u32> = (0..batch.rows as u32)
            .filter(|row| needed[*row as usize].is_some())
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let times: Vec<i64> = needed.iter().flatten().copied().collect();
        let kept = self.projected(batch, &rows)?;
        let numbers = self.past.push(&Batch::inserts(kept, rows.len()), Some(&times))?;
        let mut number_of = vec![0; batch.rows];
        for (row, number) in rows.iter().zip(numbers) {
            number_of[*row as usize] = number;
        }
        for partition in &touched {
            self.partitions[*partition as usize]
                .each_of_batch(|row, past| past.place = Place::Kept(number_of[row as usize]));
        }
        Ok(())
    }

    /// Drops the rows that left.
    pub(super) fn forget_gone(&mut self) -> Result<(), DataflowError> {
        let mut gone = std::mem::take(&mut self.gone);
        gone.sort_unstable();
        Ok(self.past.remove(gone)?)
    }

    /// Drops a partition; the caller must call [`Frames::forget_gone`] afterwards.
    pub(super) fn clear(&mut self, partition: u32) {
        let state = std::mem::take(&mut self.partitions[partition as usize]);
        for past in state.frame.iter().chain(&state.recent) {
            if let Place::Kept(number) = past.place {
                self.gone.push(number);
            }
        }
        self.aggregates.clear(&[partition]);
    }

    /// The columns of rows of a batch that are kept, and that aggregates are computed from.
    fn projected(&self, batch: &Batch, rows: &[u32]) -> Result<Vec<ArrayRef>, DataflowError> {
        let columns: Vec<ArrayRef> = self
            .columns
            .iter()
            .map(|column| Arc::clone(&batch.columns[*column]))
            .collect();
        take_columns(&columns, rows)
    }

    pub(super) fn memory_size(&self) -> usize {
        let rows = |p: &Partition| (p.frame.capacity() + p.recent.capacity()) * size_of::<Past>();
        let rows: usize = self.partitions.iter().map(rows).sum();
        rows + self.partitions.capacity() * size_of::<Partition>()
            + self.aggregates.memory_size()
            + self.past.memory_size()
    }

    /// Rows that can be computed together.
    fn rounds(&mut self, partitions: &[u32], order: &[i64]) -> Vec<Vec<u32>> {
        self.stamp += 1;
        let mut rounds: Vec<Vec<u32>> = Vec::new();
        for (row, partition) in partitions.iter().enumerate() {
            let last = &mut self.partitions[*partition as usize].round;
            let round = match *last {
                (stamp, ..) if stamp != self.stamp => 0,
                (_, round, at) if !self.spec.rows && at == order[row] => round,
                (_, round, _) => round + 1,
            };
            *last = (self.stamp, round, order[row]);
            if round == rounds.len() {
                rounds.push(Vec::new());
            }
            rounds[round].push(row as u32);
        }
        rounds
    }

    fn round(
        &mut self,
        batch: &Batch,
        partitions: &[u32],
        order: &[i64],
        round: &[u32],
    ) -> Result<Vec<ArrayRef>, DataflowError> {
        let groups: Vec<u32> = round.iter().map(|row| partitions[*row as usize]).collect();
        let lagged = self.lagged(batch, partitions, round)?;
        let rows = self.projected(batch, round)?;
        self.aggregates.update(&groups, &rows, None)?;
        let mut ranks = Vec::with_capacity(round.len());
        let mut left = Left::default();
        for row in round {
            let past = Past {
                order: order[*row as usize],
                place: Place::Batch(*row),
            };
            ranks.push(self.enter(partitions[*row as usize], past, &mut left));
        }
        self.take_back(batch, left)?;
        let aggregates = self.aggregates.evaluate(&groups)?;
        let number = |value: fn(&[i64; 3]) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(ranks.iter().map(value)))
        };
        let mut lagged = lagged.into_iter();
        let column = |call: &Call| match call {
            Call::Aggregate(i) => Some(Arc::clone(&aggregates[*i])),
            Call::RowNumber => Some(number(|r| r[0])),
            Call::Rank => Some(number(|r| r[1])),
            Call::DenseRank => Some(number(|r| r[2])),
            Call::Lag { .. } => lagged.next(),
        };
        let columns: Option<Vec<ArrayRef>> = self.calls.iter().map(column).collect();
        columns.ok_or_else(|| DataflowError::internal("an OVER call has no result"))
    }

    /// Counts the newest row of a partition, and finds the rows that leave its frame. Returns row number, rank and
    /// dense rank.
    fn enter(&mut self, partition: u32, past: Past, left: &mut Left) -> [i64; 3] {
        let state = &mut self.partitions[partition as usize];
        state.rows += 1;
        if state.last_order != Some(past.order) {
            state.rank = state.rows;
            state.dense_rank += 1;
            state.last_order = Some(past.order);
        }
        let ranks = [state.rows, state.rank, state.dense_rank];
        if self.look_back > 0 {
            state.recent.push_back(past);
            let is_full = state.recent.len() > self.look_back;
            let oldest = state.recent.pop_front_if(|_| is_full);
            if let Some(Place::Kept(number)) = oldest.map(|oldest| oldest.place)
                && !state.frames(number)
            {
                self.gone.push(number);
            }
        }
        let Some(preceding) = self.spec.preceding else {
            return ranks;
        };
        let at = past.order;
        state.frame.push_back(past);
        while let Some(first) = state.frame.front().copied() {
            let leaves = if self.spec.rows {
                state.frame.len() as i64 > preceding.saturating_add(1)
            } else {
                first.order < at.saturating_sub(preceding)
            };
            if !leaves {
                break;
            }
            state.frame.pop_front();
            match first.place {
                Place::Batch(row) => left.of_batch.push((partition, row)),
                Place::Kept(number) => {
                    left.kept.push((partition, number));
                    if !state.looks_back_at(number) {
                        self.gone.push(number);
                    }
                }
            }
        }
        ranks
    }

    /// Retracts rows that left their frames from the accumulators.
    fn take_back(&mut self, batch: &Batch, left: Left) -> Result<(), DataflowError> {
        // The stored rows of a partition are older than those of the batch.
        if !left.kept.is_empty() {
            let (groups, numbers): (Vec<u32>, Vec<u64>) = left.kept.into_iter().unzip();
            let columns = self.past.rows(&numbers)?.columns;
            self.aggregates
                .update(&groups, &columns, Some(&vec![true; groups.len()]))?;
        }
        if !left.of_batch.is_empty() {
            let (groups, rows): (Vec<u32>, Vec<u32>) = left.of_batch.into_iter().unzip();
            let columns = self.projected(batch, &rows)?;
            self.aggregates
                .update(&groups, &columns, Some(&vec![true; groups.len()]))?;
        }
        Ok(())
    }

    /// The columns of the LAG calls for a round, before its rows enter.
    fn lagged(
        &self,
        batch: &Batch,
        partitions: &[u32],
        round: &[u32],
    ) -> Result<Vec<ArrayRef>, DataflowError> {
        let mut columns = Vec::new();
        for call in &self.calls {
            if let Call::Lag {
                column,
                offset,
                default,
                ty,
            } = call
            {
                let places = self.looked_back(partitions, round, *offset);
                columns.push(self.lagged_values(batch, round, &places, *column, default, ty)?);
            }
        }
        Ok(columns)
    }

    /// For each row of a round the row `offset` rows before it.
    fn looked_back(&self, partitions: &[u32], round: &[u32], offset: usize) -> Vec<Option<Place>> {
        // Peers are processed one after the other here, too.
        let mut run: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let place = |row: &u32| {
            let partition = partitions[*row as usize];
            let same = run.entry(partition).or_default();
            let recent = &self.partitions[partition as usize].recent;
            let found = match offset {
                0 => None,
                offset if offset <= same.len() => Some(Place::Batch(same[same.len() - offset])),
                offset => {
                    let index = recent.len().checked_sub(offset - same.len());
                    index.and_then(|index| recent.get(index)).map(|past| past.place)
                }
            };
            if !self.spec.rows {
                same.push(*row);
            }
            found
        };
        round.iter().map(place).collect()
    }

    /// A column of the rows at `places`, with a default where there is none.
    fn lagged_values(
        &self,
        batch: &Batch,
        round: &[u32],
        places: &[Option<Place>],
        column: usize,
        default: &Missing,
        ty: &DataType,
    ) -> Result<ArrayRef, DataflowError> {
        let numbers: Vec<u64> = places
            .iter()
            .filter_map(|place| match place {
                Some(Place::Kept(number)) => Some(*number),
                _ => None,
            })
            .collect();
        let kept_at = self.columns.iter().position(|kept| *kept == column);
        let kept = match kept_at {
            Some(at) if !numbers.is_empty() => Some(self.past.rows(&numbers)?.columns.swap_remove(at)),
            _ => None,
        };
        // The batch, the stored rows, then a default for each row that needs one.
        let mut parts: Vec<ArrayRef> = vec![Arc::clone(&batch.columns[column])];
        parts.extend(kept);
        let mut next_kept = 0;
        let mut pick = Vec::with_capacity(round.len());
        for (row, place) in round.iter().zip(places) {
            pick.push(match place {
                Some(Place::Batch(before)) => (0, *before as usize),
                Some(Place::Kept(_)) => {
                    next_kept += 1;
                    (1, next_kept - 1)
                }
                None => {
                    parts.push(default.value(batch, *row as usize, ty));
                    (parts.len() - 1, 0)
                }
            });
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok(interleave(&parts, &pick)?)
    }
}

/// Rows that leave their frames in a round, with their partitions.
#[derive(Default)]
struct Left {
    kept: Vec<(u32, u64)>,
    of_batch: Vec<(u32, u32)>,
}

impl Call {
    fn look_back(&self) -> usize {
        match self {
            Self::Lag { offset, .. } => *offset,
            _ => 0,
        }
    }

    fn lagged_column(&self) -> Option<usize> {
        match self {
            Self::Lag { column, .. } => Some(*column),
            _ => None,
        }
    }
}

fn lag(call: &AggregateCall) -> Result<Call, DataflowError> {
    let column = call.args.first().copied();
    let column = column.ok_or_else(|| DataflowError::internal("LAG has no argument"))?;
    let offset = call.parameters.first().and_then(Scalar::as_i64).unwrap_or(1);
    Ok(Call::Lag {
        column,
        offset: usize::try_from(offset).unwrap_or(0),
        default: Missing::of(call),
        ty: arrow_type(&call.result),
    })
}
