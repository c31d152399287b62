//! Joins of bounded inputs: the right input is stored and indexed by key, then probed with the left input. Emitted
//! results are final, so nothing is retracted.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_plan::JoinKind;
use millstream_state::{GroupTable, NO_GROUP, RowBuffer};
use millstream_types::Batch;

use super::JoinSpec;
use super::pairs::{Pairs, take_optional};
use crate::emit::{push, take_columns};
use crate::expression::RowExpression;
use crate::owned_rows::restore_owned;

/// The operator; see the module documentation.
pub(crate) struct BoundedJoin {
    spec: JoinSpec,
    condition: Option<RowExpression>,
    /// Left rows that arrived before the right input was complete.
    left: RowBuffer,
    right: RowBuffer,
    built: Option<Built>,
}

/// The right input, indexed.
struct Built {
    table: GroupTable,
    columns: Vec<ArrayRef>,
    /// Rows grouped by key, and the offset of each group.
    rows: Vec<u32>,
    starts: Vec<u32>,
    matched: Vec<bool>,
}

impl Built {
    fn rows_of(&self, group: u32) -> &[u32] {
        if group == NO_GROUP {
            return &[];
        }
        &self.rows[self.starts[group as usize] as usize..self.starts[group as usize + 1] as usize]
    }
}

/// Candidate pairs that are evaluated together.
const PAIRS_MAX: usize = 65_536;

impl BoundedJoin {
    pub(crate) fn new(spec: JoinSpec) -> Result<Self, DataflowError> {
        let condition = spec
            .condition
            .as_ref()
            .map(|c| RowExpression::new(c, &spec.env))
            .transpose()?;
        Ok(Self {
            left: RowBuffer::new(&spec.left.types),
            right: RowBuffer::new(&spec.right.types),
            spec,
            condition,
            built: None,
        })
    }

    /// A join of complete inputs: only `finish` remains to be called.
    pub(crate) fn of_rows(spec: JoinSpec, [left, right]: [RowBuffer; 2]) -> Result<Self, DataflowError> {
        Ok(Self {
            left,
            right,
            ..Self::new(spec)?
        })
    }

    fn build(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        if self.built.is_some() {
            return Ok(());
        }
        let right = &self.spec.right;
        let types: Vec<_> = right.keys.iter().map(|k| right.types[*k].clone()).collect();
        let mut table = GroupTable::new(&types)?;
        let batch = self.right.take_all()?;
        let columns = match &batch {
            Some(batch) => batch.columns.clone(),
            None => right.types.iter().map(arrow_array::new_empty_array).collect(),
        };
        let rows = batch.map_or(0, |batch| batch.rows);
        let keys: Vec<ArrayRef> = right.keys.iter().map(|k| Arc::clone(&columns[*k])).collect();
        let mut groups = Vec::new();
        table.intern(&keys, rows, &mut groups)?;
        let mut starts = vec![0u32; table.end() + 1];
        groups.iter().for_each(|group| starts[*group as usize + 1] += 1);
        for group in 1..starts.len() {
            starts[group] += starts[group - 1];
        }
        let mut next = starts.clone();
        let mut ordered = vec![0u32; rows];
        for (row, group) in groups.iter().enumerate() {
            let place = &mut next[*group as usize];
            ordered[*place as usize] = row as u32;
            *place += 1;
        }
        self.built = Some(Built {
            table,
            columns,
            rows: ordered,
            starts,
            matched: vec![false; rows],
        });
        for batch in self.left.take_batches()? {
            self.probe(&batch, context, out)?;
        }
        Ok(())
    }

    fn probe(&mut self, batch: &Batch, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let Some(built) = &mut self.built else {
            return Ok(());
        };
        let keys: Vec<ArrayRef> = self
            .spec
            .left
            .keys
            .iter()
            .map(|k| Arc::clone(&batch.columns[*k]))
            .collect();
        let mut groups = Vec::new();
        built.table.find(&keys, batch.rows, &mut groups)?;
        for (column, null_safe) in keys.iter().zip(&self.spec.null_safe) {
            if !null_safe && column.null_count() > 0 {
                (0..batch.rows)
                    .filter(|row| column.is_null(*row))
                    .for_each(|row| groups[row] = NO_GROUP);
            }
        }
        let mut start = 0;
        while start < batch.rows {
            let (mut end, mut candidates) = (start, 0);
            while end < batch.rows && (end == start || candidates < PAIRS_MAX) {
                candidates += self
                    .built
                    .as_ref()
                    .map_or(0, |built| built.rows_of(groups[end]).len());
                end += 1;
            }
            self.probe_rows(batch, &groups, start..end, context, out)?;
            start = end;
        }
        Ok(())
    }

    fn probe_rows(
        &mut self,
        batch: &Batch,
        groups: &[u32],
        range: std::ops::Range<usize>,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let Some(built) = &mut self.built else {
            return Ok(());
        };
        let mut pairs = Pairs::new(range.clone());
        for row in range.clone() {
            built
                .rows_of(groups[row])
                .iter()
                .for_each(|other| pairs.add(row, *other));
            pairs.end_row();
        }
        if let Some(condition) = self.condition.as_mut().filter(|_| !pairs.is_empty()) {
            let mut columns = take_columns(&batch.columns, pairs.own())?;
            columns.extend(take_columns(&built.columns, pairs.others())?);
            let keep = condition.condition(&columns, pairs.len(), context)?;
            pairs.retain(&keep);
        }
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for row in range {
            let others = pairs.of_row(row);
            others
                .iter()
                .for_each(|other| built.matched[*other as usize] = true);
            match self.spec.kind {
                JoinKind::Semi | JoinKind::Anti => {
                    if others.is_empty() == (self.spec.kind == JoinKind::Anti) {
                        left.push(Some(row as u32));
                    }
                    continue;
                }
                JoinKind::Left | JoinKind::Full if others.is_empty() => {
                    left.push(Some(row as u32));
                    right.push(None);
                }
                _ => {}
            }
            left.extend(others.iter().map(|_| Some(row as u32)));
            right.extend(others.iter().map(|other| Some(*other)));
        }
        let mut columns = take_optional(&batch.columns, &left)?;
        if !matches!(self.spec.kind, JoinKind::Semi | JoinKind::Anti) {
            columns.extend(take_optional(&built.columns, &right)?);
        }
        push(Batch::inserts(columns, left.len()), context, out)
    }

    /// Types of the right rows in a snapshot, after the flag that says whether each was matched.
    fn built_types(&self) -> Vec<DataType> {
        [&[DataType::Boolean], self.spec.right.types.as_slice()].concat()
    }

    /// Right rows without a matching left row.
    fn emit_unmatched(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let Some(built) = &self.built else { return Ok(()) };
        if !matches!(self.spec.kind, JoinKind::Right | JoinKind::Full) {
            return Ok(());
        }
        let unmatched: Vec<u32> = (0..built.matched.len() as u32)
            .filter(|r| !built.matched[*r as usize])
            .collect();
        let null = |ty| arrow_array::new_null_array(ty, unmatched.len());
        let mut columns: Vec<ArrayRef> = self.spec.left.types.iter().map(null).collect();
        columns.extend(take_columns(&built.columns, &unmatched)?);
        push(Batch::inserts(columns, unmatched.len()), context, out)
    }
}

impl Operator for BoundedJoin {
    fn process(
        &mut self,
        port: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        match port {
            0 if self.built.is_some() => self.probe(&batch, context, out),
            0 => {
                self.left.push(&batch, None)?;
                Ok(())
            }
            _ => {
                self.right.push(&batch, None)?;
                Ok(())
            }
        }
    }

    fn finish_port(
        &mut self,
        port: usize,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if port == 1 {
            self.build(context, out)
        } else {
            Ok(())
        }
    }

    fn finish(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.build(context, out)?;
        self.emit_unmatched(context, out)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.left.snapshot("left", scope, &mut out)?;
        self.right.snapshot("right", scope, &mut out)?;
        if let Some(built) = &self.built {
            // The first column says which right rows were matched.
            let mut rows = RowBuffer::new(&self.built_types());
            let matched: ArrayRef = Arc::new(arrow_array::BooleanArray::from(built.matched.clone()));
            let columns = [&[matched], built.columns.as_slice()].concat();
            rows.push(&Batch::inserts(columns, built.matched.len()), None)?;
            rows.snapshot("built", scope, &mut out)?;
            out.push("complete", vec![1u8]);
        }
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        restore_owned(&mut self.left, "left", &blocks, &self.spec.left.keys, context)?;
        restore_owned(&mut self.right, "right", &blocks, &self.spec.right.keys, context)?;
        if blocks.iter().all(|b| b.get("complete").is_none()) {
            return Ok(());
        }
        let mut built = RowBuffer::new(&self.built_types());
        let shifted: Vec<usize> = self.spec.right.keys.iter().map(|k| k + 1).collect();
        restore_owned(&mut built, "built", &blocks, &shifted, context)?;
        let mut matched = Vec::new();
        for batch in built.take_batches()? {
            let flags = arrow_array::cast::AsArray::as_boolean_opt(batch.columns[0].as_ref());
            let flags =
                flags.ok_or_else(|| millstream_state::StateError::corrupt("built", "no match flags"))?;
            matched.extend(flags.iter().map(|flag| flag.unwrap_or(false)));
            let right = Batch::inserts(batch.columns[1..].to_vec(), batch.rows);
            self.right.push(&right, None)?;
        }
        self.build(context, &mut Nowhere)?;
        if let Some(built) = &mut self.built {
            built.matched = matched;
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        let built = self.built.as_ref().map_or(0, |built| {
            let columns: usize = built.columns.iter().map(|c| c.get_array_memory_size()).sum();
            columns + built.table.memory_size() + (built.rows.len() + built.starts.len()) * size_of::<u32>()
        });
        self.left.memory_size() + self.right.memory_size() + built
    }
}

/// No left rows wait once the right input is complete.
struct Nowhere;

impl Output for Nowhere {
    fn batch(&mut self, _: Batch) -> Result<(), DataflowError> {
        Err(DataflowError::internal(
            "a join emitted rows while it was restored",
        ))
    }

    fn watermark(&mut self, _: millstream_types::Watermark) -> Result<(), DataflowError> {
        Ok(())
    }
}
