//! Pairs of rows from two inputs: found by key, filtered by the condition, gathered into columns.

use std::ops::Range;

use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array, new_null_array};
use arrow_schema::DataType;
use arrow_select::take::take;
use millstream_dataflow::DataflowError;
use millstream_state::RowStore;

/// For each row in a range of a batch, its candidate rows of the other input.
pub(crate) struct Pairs {
    start: usize,
    own: Vec<u32>,
    others: Vec<u32>,
    /// End of each row's pairs.
    ends: Vec<u32>,
}

impl Pairs {
    pub(crate) fn new(rows: Range<usize>) -> Self {
        Self {
            start: rows.start,
            own: Vec::new(),
            others: Vec::new(),
            ends: Vec::with_capacity(rows.len()),
        }
    }

    pub(crate) fn add(&mut self, own: usize, other: u32) {
        self.own.push(own as u32);
        self.others.push(other);
    }

    /// Ends the pairs of the current row.
    pub(crate) fn end_row(&mut self) {
        self.ends.push(self.others.len() as u32);
    }

    pub(crate) fn len(&self) -> usize {
        self.others.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.others.is_empty()
    }

    pub(crate) fn own(&self) -> &[u32] {
        &self.own
    }

    pub(crate) fn others(&self) -> &[u32] {
        &self.others
    }

    /// The partners of a row of the batch.
    pub(crate) fn of_row(&self, row: usize) -> &[u32] {
        let i = row - self.start;
        let from = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.others[from..self.ends[i] as usize]
    }

    /// Retains the pairs for which `keep` is true.
    pub(crate) fn retain(&mut self, keep: &BooleanArray) {
        let (mut own, mut others) = (Vec::new(), Vec::new());
        let mut pair = 0;
        for end in &mut self.ends {
            while pair < *end as usize {
                if keep.value(pair) {
                    own.push(self.own[pair]);
                    others.push(self.others[pair]);
                }
                pair += 1;
            }
            *end = others.len() as u32;
        }
        self.own = own;
        self.others = others;
    }
}

/// The positions of one side's output rows.
pub(crate) enum SideRow<'a> {
    Batch(&'a [ArrayRef]),
    Stored(&'a RowStore, &'a [DataType]),
}

/// The columns of rows of one side; `None` becomes a row of NULLs.
pub(crate) fn gather(side: &SideRow<'_>, rows: &[Option<u32>]) -> Result<Vec<ArrayRef>, DataflowError> {
    match side {
        SideRow::Batch(columns) => take_optional(columns, rows),
        SideRow::Stored(_, types) if rows.iter().all(Option::is_none) => {
            Ok(types.iter().map(|ty| new_null_array(ty, rows.len())).collect())
        }
        SideRow::Stored(store, _) => {
            let present: Vec<u32> = rows.iter().flatten().copied().collect();
            let columns = store.columns(&present)?;
            if present.len() == rows.len() {
                return Ok(columns);
            }
            let mut next = 0;
            let place = |row: &Option<u32>| {
                row.map(|_| {
                    next += 1;
                    next - 1
                })
            };
            take_optional(&columns, &rows.iter().map(place).collect::<Vec<Option<u32>>>())
        }
    }
}

/// Selects rows of columns; `None` becomes a row of NULLs.
pub(crate) fn take_optional(
    columns: &[ArrayRef],
    rows: &[Option<u32>],
) -> Result<Vec<ArrayRef>, DataflowError> {
    // Indices without NULLs are taken without looking at each.
    let indices = match rows.iter().copied().collect::<Option<Vec<u32>>>() {
        Some(rows) => UInt32Array::from(rows),
        None => UInt32Array::from(rows.to_vec()),
    };
    let taken = |column: &ArrayRef| {
        if column.is_empty() {
            return Ok(new_null_array(column.data_type(), rows.len()));
        }
        take(column, &indices, None)
    };
    let taken: Result<Vec<ArrayRef>, _> = columns.iter().map(taken).collect();
    Ok(taken?)
}
