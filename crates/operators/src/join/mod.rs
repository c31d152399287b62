//! Regular joins: both inputs are kept, every change is joined with the other side.
//!
//! The rules of what is emitted are Flink's, row by row. Within a batch of one input the state of the *other* input does
//! not change, so all candidates of the batch are found and the condition is evaluated on columns; only the rules run
//! row by row. Rows whose key is NULL match nothing and are not kept.
//!
//! For outer, semi and anti joins each row of a preserved side knows with how many rows of the other side it is
//! joined. That number is not in snapshots, since it follows from both states, except for rows on disk.

pub(crate) mod bounded;
pub(crate) mod interval;
pub(crate) mod pairs;
mod rules;
mod side;
pub(crate) mod temporal;
pub(crate) mod window;

use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_functions::Environment;
use millstream_plan::{Expr, JoinKind};
use millstream_types::Batch;

use crate::cold::{RowRoom, part_of};
use crate::emit::push;
use crate::expression::RowExpression;
use pairs::{Pairs, SideRow, gather};
use rules::{Change, Rules};
use side::Side;

/// The parameters of a regular join in a plan.
#[derive(Clone)]
pub(crate) struct JoinSpec {
    pub kind: JoinKind,
    pub left: SideSpec,
    pub right: SideSpec,
    /// Whether NULL matches NULL, for each key.
    pub null_safe: Vec<bool>,
    pub condition: Option<Expr>,
    pub env: Environment,
}

/// One input of a join.
#[derive(Clone, Debug)]
pub(crate) struct SideSpec {
    pub types: Vec<DataType>,
    pub keys: Vec<usize>,
    pub unique: Option<Vec<usize>>,
    /// Whether rows are retracted by their content: the input has retractions, and no unique key tells which row goes.
    pub by_content: bool,
    pub ttl_ms: i64,
}

/// Candidate pairs that are evaluated together.
const PAIRS_MAX: usize = 32_768;

/// The operator; see the module documentation.
pub(crate) struct Join {
    spec: JoinSpec,
    condition: Option<PairCondition>,
    sides: [Side; 2],
    room: RowRoom,
    next_sweep_ms: Option<i64>,
}

/// The condition on pairs, over nothing but the columns that it reads.
struct PairCondition {
    expression: RowExpression,
    /// Its columns of the left and of the right input.
    columns: [Vec<usize>; 2],
}

impl PairCondition {
    fn new(condition: &Expr, left_width: usize, env: &Environment) -> Result<Self, DataflowError> {
        let read = condition.columns();
        let place = |column| read.binary_search(&column).unwrap_or(column);
        let expression = RowExpression::new(&condition.clone().remap_columns(&place), env)?;
        let (left, right) = read.split_at(read.partition_point(|column| *column < left_width));
        let right = right.iter().map(|column| column - left_width).collect();
        Ok(Self {
            expression,
            columns: [left.to_vec(), right],
        })
    }
}

impl Join {
    pub(crate) fn new(spec: JoinSpec, context: &Context) -> Result<Self, DataflowError> {
        let condition = spec
            .condition
            .as_ref()
            .map(|c| PairCondition::new(c, spec.left.types.len(), &spec.env))
            .transpose()?;
        let spill = context.spill.as_ref();
        let sides = [Side::new(&spec.left, spill)?, Side::new(&spec.right, spill)?];
        let room = RowRoom::new(spill, sides.iter().any(|side| side.store.can_spill()));
        Ok(Self {
            spec,
            condition,
            sides,
            room,
            next_sweep_ms: None,
        })
    }

    /// Moves rows of both inputs to disk if there is no more room in memory.
    fn make_room(&mut self) -> Result<(), DataflowError> {
        let used = self.sides.each_ref().map(Side::used_bytes);
        let excess = self.room.excess(used[0] + used[1]);
        if excess > 0 {
            for (side, used_here) in self.sides.iter_mut().zip(used) {
                side.evict(part_of(used_here, excess, used[0] + used[1]))?;
            }
        }
        Ok(())
    }

    /// Joins rows `from..until` of a batch with the stored rows of the other input.
    fn join_rows(
        &mut self,
        port: usize,
        batch: &Batch,
        keys: &[u32],
        range: std::ops::Range<usize>,
        context: &Context,
    ) -> Result<Pairs, DataflowError> {
        let oldest = self.sides[1 - port].oldest_ms(context.now_ms);
        let mut pairs = Pairs::new(range.clone());
        for row in range {
            if keys[row] != millstream_state::NO_GROUP {
                let others = self.sides[1 - port].store.rows_of(keys[row]);
                others
                    .filter(|other| self.sides[1 - port].store.time_ms(*other) > oldest)
                    .for_each(|o| pairs.add(row, o));
            }
            pairs.end_row();
        }
        if let Some(condition) = self.condition.as_mut().filter(|_| !pairs.is_empty()) {
            let own = condition.columns[port].iter();
            let own: Vec<ArrayRef> = own.map(|c| batch.columns[*c].clone()).collect();
            let own = crate::emit::take_columns(&own, pairs.own())?;
            let other = self.sides[1 - port]
                .store
                .columns_at(pairs.others(), &condition.columns[1 - port])?;
            let columns: Vec<ArrayRef> = if port == 0 {
                [own, other].concat()
            } else {
                [other, own].concat()
            };
            let keep = condition.expression.condition(&columns, pairs.len(), context)?;
            pairs.retain(&keep);
        }
        Ok(pairs)
    }

    fn emit(
        &self,
        port: usize,
        batch: &Batch,
        changes: &[Change],
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let kinds = changes.iter().map(|change| change.kind).collect::<Vec<_>>();
        let own: Vec<Option<u32>> = changes.iter().map(|change| change.own).collect();
        let other: Vec<Option<u32>> = changes.iter().map(|change| change.other).collect();
        let own = gather(&SideRow::Batch(&batch.columns), &own)?;
        let other_side = &self.sides[1 - port];
        let other = gather(&SideRow::Stored(&other_side.store, &other_side.types), &other)?;
        let columns = match (self.spec.kind, port) {
            (JoinKind::Semi | JoinKind::Anti, 0) => own,
            (JoinKind::Semi | JoinKind::Anti, _) => other,
            (_, 0) => [own, other].concat(),
            _ => [other, own].concat(),
        };
        push(Batch::changes(columns, kinds), context, out)
    }

    fn process_chunk(
        &mut self,
        port: usize,
        batch: &Batch,
        resolved: &Resolved,
        range: std::ops::Range<usize>,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let pairs = self.join_rows(port, batch, &resolved.other_keys, range.clone(), context)?;
        let (left, right) = self.sides.split_at_mut(1);
        let (own, other) = if port == 0 {
            (&mut left[0], &mut right[0])
        } else {
            (&mut right[0], &mut left[0])
        };
        let mut rules = Rules::new(self.spec.kind, port, own, other);
        for row in range {
            rules.apply(
                row,
                batch.kind(row),
                resolved.own_row(row),
                pairs.of_row(row),
                context.now_ms,
            );
        }
        let changes = rules.into_changes();
        if !changes.is_empty() {
            self.emit(port, batch, &changes, context, out)?;
        }
        Ok(())
    }

    /// The number of candidates of a row.
    fn candidates(&self, port: usize, key: u32) -> usize {
        if key == millstream_state::NO_GROUP {
            0
        } else {
            self.sides[1 - port].store.rows_in(key)
        }
    }

    /// After a restore, counts the matches of each stored row.
    fn recount(&mut self, context: &Context) -> Result<(), DataflowError> {
        for port in 0..2 {
            if !rules::counts_associations(self.spec.kind, port) {
                continue;
            }
            let all: Vec<u32> = self.sides[port].store.rows().collect();
            for rows in all.chunks(millstream_types::limits::BATCH_ROWS_DEFAULT) {
                let columns = self.sides[port].store.columns(rows)?;
                let batch = Batch::inserts(columns, rows.len());
                let keys = self.other_keys(port, &batch)?;
                let pairs = self.join_rows(port, &batch, &keys, 0..rows.len(), context)?;
                for (i, row) in rows.iter().enumerate() {
                    let others = pairs
                        .of_row(i)
                        .iter()
                        .map(|other| self.sides[1 - port].store.count(*other));
                    let joined = others.sum();
                    self.sides[port].set_associations(*row, joined);
                }
            }
        }
        Ok(())
    }

    /// Key groups of the other input for the rows of a batch; none for NULL keys that match nothing.
    fn other_keys(&mut self, port: usize, batch: &Batch) -> Result<Vec<u32>, DataflowError> {
        let columns = self.sides[port].key_columns(&batch.columns);
        let mut keys = Vec::new();
        self.sides[1 - port]
            .store
            .find_keys(&columns, batch.rows, &mut keys)?;
        self.sides[1 - port].adopt_recalled()?;
        for (column, null_safe) in columns.iter().zip(&self.spec.null_safe) {
            if !null_safe && column.null_count() > 0 {
                (0..batch.rows)
                    .filter(|row| column.is_null(*row))
                    .for_each(|row| keys[row] = millstream_state::NO_GROUP);
            }
        }
        Ok(keys)
    }

    fn resolve(&mut self, port: usize, batch: &Batch) -> Result<Resolved, DataflowError> {
        let other_keys = self.other_keys(port, batch)?;
        let columns = self.sides[port].key_columns(&batch.columns);
        let strict = columns
            .iter()
            .zip(&self.spec.null_safe)
            .filter(|(_, null_safe)| !**null_safe);
        let mut unmatchable = vec![false; batch.rows];
        for (column, _) in strict.filter(|(column, _)| column.null_count() > 0) {
            (0..batch.rows).for_each(|row| unmatchable[row] |= column.is_null(row));
        }
        let (mut keys, mut rows) = (Vec::new(), Vec::new());
        self.sides[port]
            .store
            .resolve(&batch.columns, batch.rows, &mut keys, &mut rows)?;
        self.sides[port].adopt_recalled()?;
        let unique = self.sides[port].find_unique(batch)?;
        Ok(Resolved {
            other_keys,
            keys,
            rows,
            unique,
            unmatchable,
        })
    }
}

/// The state positions of a batch's rows.
struct Resolved {
    /// Key group in the other input's state.
    other_keys: Vec<u32>,
    /// Key group and row number in the own state.
    keys: Vec<u32>,
    rows: Vec<u32>,
    /// Group of the unique key, if state is kept by unique key.
    unique: Option<Vec<u32>>,
    /// Rows with a NULL key.
    unmatchable: Vec<bool>,
}

impl Resolved {
    fn own_row(&self, row: usize) -> Option<side::OwnRow> {
        (!self.unmatchable[row]).then(|| side::OwnRow {
            key: self.keys[row],
            row: self.rows[row],
            unique: self.unique.as_ref().map(|unique| unique[row]),
        })
    }
}

impl Operator for Join {
    fn process(
        &mut self,
        port: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.make_room()?;
        let resolved = self.resolve(port, &batch)?;
        let mut start = 0;
        while start < batch.rows {
            let (mut end, mut candidates) = (start, 0);
            while end < batch.rows && (end == start || candidates < PAIRS_MAX) {
                candidates += self.candidates(port, resolved.other_keys[end]);
                end += 1;
            }
            self.process_chunk(port, &batch, &resolved, start..end, context, out)?;
            start = end;
        }
        self.sides[port].end_batch()?;
        let ttl = self
            .sides
            .iter()
            .map(|side| side.ttl_ms)
            .filter(|ttl| *ttl > 0)
            .min();
        if let Some(ttl) = ttl {
            self.next_sweep_ms
                .get_or_insert(context.now_ms.saturating_add((ttl / 4).max(1)));
        }
        Ok(())
    }

    fn next_timer(&self) -> Option<i64> {
        self.next_sweep_ms
    }

    fn timer(&mut self, context: &Context, _: &mut dyn Output) -> Result<(), DataflowError> {
        if self.next_sweep_ms.is_none_or(|at| at > context.now_ms) {
            return Ok(());
        }
        self.sides
            .iter_mut()
            .try_for_each(|side| side.expire(context.now_ms))?;
        let ttl = self
            .sides
            .iter()
            .filter(|side| side.ttl_ms > 0 && !side.store.is_empty())
            .map(|side| side.ttl_ms);
        self.next_sweep_ms = ttl
            .min()
            .map(|ttl| context.now_ms.saturating_add((ttl / 4).max(1)));
        Ok(())
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.sides[0].store.snapshot("left", scope, &mut out)?;
        self.sides[1].store.snapshot("right", scope, &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        self.sides[0].restore("left", &blocks, context)?;
        self.sides[1].restore("right", &blocks, context)?;
        if self
            .sides
            .iter()
            .any(|side| side.ttl_ms > 0 && !side.store.is_empty())
        {
            self.next_sweep_ms = Some(context.now_ms);
        }
        self.recount(context)
    }

    fn state_bytes(&self) -> usize {
        self.sides.iter().map(Side::used_bytes).sum()
    }

    fn spilled_bytes(&self) -> u64 {
        self.sides.iter().map(|side| side.store.disk_size()).sum()
    }
}
