//! OVER aggregates of rows that come in order, partition by partition.
//!
//! Rows are taken in rounds: a round has at most one row (ROWS) or one run of rows with equal order (RANGE) of each
//! partition, so that accumulators are updated and evaluated for many partitions at once. Rows that fall out of a bounded
//! frame are taken back from the accumulators.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array};
use arrow_schema::DataType;
use arrow_select::interleave::interleave;
use millstream_dataflow::DataflowError;
use millstream_plan::AggregateCall;
use millstream_types::{Batch, ErrorKind, Scalar, arrow_type};

use crate::aggregate::{AggregateCalls, AggregateSpec};

/// A frame that ends with the current row.
#[derive(Clone, Debug)]
pub(crate) struct FrameSpec {
    /// By number of rows; otherwise by distance in the order column.
    pub rows: bool,
    /// Rows or distance before the current row; `None`: all.
    pub preceding: Option<i64>,
    pub calls: Vec<AggregateCall>,
}

/// A row that may leave its frame, or be looked back at.
#[derive(Clone)]
pub(super) struct Past {
    pub order: i64,
    pub batch: Arc<Batch>,
    pub row: u32,
}

/// What is known of a partition beside its accumulators.
#[derive(Clone, Default)]
pub(super) struct Partition {
    /// Rows in a bounded frame, oldest first.
    pub frame: VecDeque<Past>,
    /// The last rows, as far as LAG looks back.
    pub recent: VecDeque<Past>,
    pub rows: i64,
    rank: i64,
    dense_rank: i64,
    last_order: Option<i64>,
}

/// Numbers of a partition that go into a snapshot.
pub(super) const COUNTERS: usize = 4;

impl Partition {
    pub(super) fn counters(&self) -> [i64; COUNTERS] {
        [
            self.rows,
            self.rank,
            self.dense_rank,
            self.last_order.unwrap_or(i64::MIN),
        ]
    }

    pub(super) fn set_counters(&mut self, [rows, rank, dense_rank, last]: [i64; COUNTERS]) {
        (self.rows, self.rank, self.dense_rank) = (rows, rank, dense_rank);
        self.last_order = (last != i64::MIN).then_some(last);
    }
}

/// How one call is computed.
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

/// What LAG and LEAD give where there is no row.
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
}

impl Frames {
    pub(super) fn new(spec: &FrameSpec) -> Result<Self, DataflowError> {
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
        let offset = |call: &Call| {
            if let Call::Lag { offset, .. } = call {
                *offset
            } else {
                0
            }
        };
        let look_back = calls.iter().map(offset).max().unwrap_or(0);
        let aggregates = AggregateSpec::new(&aggregates, spec.preceding.is_some())?.instantiate();
        Ok(Self {
            spec: spec.clone(),
            calls,
            aggregates,
            partitions: Vec::new(),
            look_back,
        })
    }

    pub(super) fn resize(&mut self, partitions: usize) {
        if partitions > self.partitions.len() {
            self.partitions.resize_with(partitions, Partition::default);
        }
        self.aggregates.resize(partitions);
    }

    /// One column for each call. The rows are in order within their partitions; `order` is the order column as a number.
    pub(super) fn apply(
        &mut self,
        batch: &Arc<Batch>,
        partitions: &[u32],
        order: &[i64],
    ) -> Result<Vec<ArrayRef>, DataflowError> {
        let rounds = self.rounds(partitions, order);
        let mut results: Vec<Vec<ArrayRef>> = vec![Vec::new(); self.calls.len()];
        // For each row, the round and its place there.
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

    /// Rows that can be computed together.
    fn rounds(&self, partitions: &[u32], order: &[i64]) -> Vec<Vec<u32>> {
        let mut rounds: Vec<Vec<u32>> = Vec::new();
        // Round and order of the last row of each partition.
        let mut last: Vec<Option<(usize, i64)>> = vec![None; self.partitions.len()];
        for (row, partition) in partitions.iter().enumerate() {
            let slot = &mut last[*partition as usize];
            let round = match *slot {
                None => 0,
                Some((round, at)) if !self.spec.rows && at == order[row] => round,
                Some((round, _)) => round + 1,
            };
            *slot = Some((round, order[row]));
            if round == rounds.len() {
                rounds.push(Vec::new());
            }
            rounds[round].push(row as u32);
        }
        rounds
    }

    fn round(
        &mut self,
        batch: &Arc<Batch>,
        partitions: &[u32],
        order: &[i64],
        round: &[u32],
    ) -> Result<Vec<ArrayRef>, DataflowError> {
        let groups: Vec<u32> = round.iter().map(|row| partitions[*row as usize]).collect();
        let lagged = self.lagged(batch, partitions, round)?;
        let rows = crate::emit::take_columns(&batch.columns, round)?;
        self.aggregates.update(&groups, &rows, None)?;
        let mut ranks = Vec::with_capacity(round.len());
        for row in round {
            let at = order[*row as usize];
            let past = Past {
                order: at,
                batch: Arc::clone(batch),
                row: *row,
            };
            ranks.push(self.enter(partitions[*row as usize], past)?);
        }
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

    /// The row is the newest of its partition: counts it, and takes back what leaves its frame. Row number, rank and
    /// dense rank.
    fn enter(&mut self, partition: u32, past: Past) -> Result<[i64; 3], DataflowError> {
        let state = &mut self.partitions[partition as usize];
        state.rows += 1;
        if state.last_order != Some(past.order) {
            state.rank = state.rows;
            state.dense_rank += 1;
            state.last_order = Some(past.order);
        }
        let ranks = [state.rows, state.rank, state.dense_rank];
        if self.look_back > 0 {
            state.recent.push_back(past.clone());
            if state.recent.len() > self.look_back {
                state.recent.pop_front();
            }
        }
        let Some(preceding) = self.spec.preceding else {
            return Ok(ranks);
        };
        let at = past.order;
        state.frame.push_back(past);
        loop {
            let leaves = match state.frame.front() {
                Some(_) if self.spec.rows => state.frame.len() as i64 > preceding.saturating_add(1),
                Some(first) => first.order < at.saturating_sub(preceding),
                None => false,
            };
            let Some(gone) = state.frame.pop_front_if(|_| leaves) else {
                return Ok(ranks);
            };
            let columns: Vec<ArrayRef> = gone
                .batch
                .columns
                .iter()
                .map(|c| c.slice(gone.row as usize, 1))
                .collect();
            self.aggregates.update(&[partition], &columns, Some(&[true]))?;
        }
    }

    /// The columns of the LAG calls for a round, before its rows enter.
    fn lagged(
        &self,
        batch: &Arc<Batch>,
        partitions: &[u32],
        round: &[u32],
    ) -> Result<Vec<ArrayRef>, DataflowError> {
        let mut columns = Vec::new();
        for call in &self.calls {
            let Call::Lag {
                column,
                offset,
                default,
                ty,
            } = call
            else {
                continue;
            };
            let mut parts: Vec<ArrayRef> = Vec::with_capacity(round.len());
            // Rows of one run with equal order stand behind each other here too.
            let mut run: Vec<(u32, u32)> = Vec::new();
            for row in round {
                let partition = partitions[*row as usize];
                let same: Vec<u32> = run
                    .iter()
                    .filter(|(p, _)| *p == partition)
                    .map(|(_, row)| *row)
                    .collect();
                parts.push(match self.looked_back(batch, partition, &same, *offset) {
                    Some((batch, row)) => batch.columns[*column].slice(row as usize, 1),
                    None => default.value(batch, *row as usize, ty),
                });
                if !self.spec.rows {
                    run.push((partition, *row));
                }
            }
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            columns.push(arrow_select::concat::concat(&parts)?);
        }
        Ok(columns)
    }

    /// The row `offset` rows before the next row of a partition; `same` are the rows of this round before it.
    fn looked_back(
        &self,
        batch: &Arc<Batch>,
        partition: u32,
        same: &[u32],
        offset: usize,
    ) -> Option<(Arc<Batch>, u32)> {
        if offset == 0 {
            return None;
        }
        if let Some(index) = same.len().checked_sub(offset) {
            return Some((Arc::clone(batch), same[index]));
        }
        let recent = &self.partitions[partition as usize].recent;
        let index = recent.len().checked_sub(offset - same.len())?;
        recent.get(index).map(|past| (Arc::clone(&past.batch), past.row))
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
