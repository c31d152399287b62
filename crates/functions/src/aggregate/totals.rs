//! The sum of the values of each group and their number: what SUM and AVG keep.

use std::sync::Arc;

use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, Int64Array, PrimitiveArray};
use millstream_types::{LogicalType, TypeKind};

use super::GroupsAccumulator;
use super::rows::{accumulate, arg, column_of, defect, primitive};
use crate::scalar::EvalError;

/// Sum and number of values, side by side so that a group costs one cache line.
#[derive(Clone, Copy)]
pub(super) struct Total<S> {
    pub sum: S,
    pub count: i64,
}

/// How values add up, and what a function makes of their sum.
pub(super) trait Summing: Send {
    /// Type of the values.
    type Value: ArrowPrimitiveType;
    /// The sum of a group.
    type Sum: Copy + Send;
    /// Type of the column of sums in a state.
    type Stored: ArrowPrimitiveType;
    /// Name of the function, for errors.
    const NAME: &'static str;
    /// Whether [`Summing::unmerge`] is the exact opposite of [`Summing::merge`].
    const CAN_UNMERGE: bool = false;

    /// The sum of no values.
    fn empty() -> Self::Sum;
    fn add(sum: &mut Self::Sum, value: <Self::Value as ArrowPrimitiveType>::Native);
    fn subtract(sum: &mut Self::Sum, value: <Self::Value as ArrowPrimitiveType>::Native);

    fn stored_type(&self) -> LogicalType;
    fn stored(sum: Self::Sum) -> Option<<Self::Stored as ArrowPrimitiveType>::Native>;
    /// Adds a stored sum.
    fn merge(sum: &mut Self::Sum, other: Option<<Self::Stored as ArrowPrimitiveType>::Native>);
    /// Takes out a stored sum that was merged.
    fn unmerge(sum: &mut Self::Sum, other: Option<<Self::Stored as ArrowPrimitiveType>::Native>) {
        let _ = (sum, other);
    }

    /// The results for these totals.
    fn results(&self, totals: impl Iterator<Item = Total<Self::Sum>>) -> ArrayRef;
}

/// The totals of all groups.
pub(super) struct Totals<S: Summing> {
    summing: S,
    slots: Vec<Total<S::Sum>>,
}

impl<S: Summing> Totals<S> {
    pub fn new(summing: S) -> Self {
        Self {
            summing,
            slots: Vec::new(),
        }
    }

    fn empty() -> Total<S::Sum> {
        Total {
            sum: S::empty(),
            count: 0,
        }
    }

    fn of<'a>(&'a self, groups: &'a [u32]) -> impl Iterator<Item = Total<S::Sum>> + 'a {
        groups.iter().map(|group| self.slots[*group as usize])
    }

    /// Calls `change` with the slot of each group and its row of the state.
    #[inline]
    fn each_stored(
        &mut self,
        groups: &[u32],
        state: &[ArrayRef],
        change: impl Fn(&mut Total<S::Sum>, Option<<S::Stored as ArrowPrimitiveType>::Native>, i64),
    ) -> Result<(), EvalError> {
        let sums: &PrimitiveArray<S::Stored> = primitive(S::NAME, arg(S::NAME, state, 0)?)?;
        let counts = primitive::<Int64Type>(S::NAME, arg(S::NAME, state, 1)?)?.values();
        if sums.len() != groups.len() || counts.len() != groups.len() {
            return Err(defect(S::NAME, "partial results and groups differ in number"));
        }
        let slots = &mut self.slots;
        if sums.null_count() == 0 {
            for ((group, sum), count) in groups.iter().zip(sums.values()).zip(counts) {
                change(&mut slots[*group as usize], Some(*sum), *count);
            }
        } else {
            for ((group, sum), count) in groups.iter().zip(sums).zip(counts) {
                change(&mut slots[*group as usize], sum, *count);
            }
        }
        Ok(())
    }
}

impl<S: Summing> GroupsAccumulator for Totals<S> {
    fn resize(&mut self, groups: usize) {
        self.slots.resize(groups.max(self.slots.len()), Self::empty());
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        accumulate::<S::Value, _>(
            S::NAME,
            &mut self.slots,
            groups,
            args,
            retract,
            |slot, value| {
                S::add(&mut slot.sum, value);
                slot.count += 1;
            },
            |slot, value| {
                S::subtract(&mut slot.sum, value);
                slot.count -= 1;
            },
        )
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![
            self.summing.stored_type(),
            LogicalType::not_null(TypeKind::BigInt),
        ]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        let sums = self.of(groups).map(|slot| S::stored(slot.sum));
        let counts = self.of(groups).map(|slot| slot.count);
        Ok(vec![
            Arc::new(column_of::<S::Stored>(&self.summing.stored_type(), sums)),
            Arc::new(Int64Array::from_iter_values(counts)),
        ])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        self.each_stored(groups, state, |slot, sum, count| {
            S::merge(&mut slot.sum, sum);
            slot.count += count;
        })
    }

    fn can_unmerge(&self) -> bool {
        S::CAN_UNMERGE
    }

    fn unmerge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        if !S::CAN_UNMERGE {
            return Err(defect(S::NAME, "it cannot take partial results out"));
        }
        self.each_stored(groups, state, |slot, sum, count| {
            S::unmerge(&mut slot.sum, sum);
            slot.count -= count;
        })
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        Ok(self.summing.results(self.of(groups)))
    }

    fn clear(&mut self, groups: &[u32]) {
        for group in groups {
            self.slots[*group as usize] = Self::empty();
        }
    }

    fn memory_size(&self) -> usize {
        self.slots.capacity() * size_of::<Total<S::Sum>>()
    }
}
