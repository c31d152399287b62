//! The rows over which an expression is evaluated, and selections of them.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array, new_null_array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{ArrowError, DataType};
use arrow_select::filter::FilterBuilder;
use arrow_select::take::take;
use millstream_functions::Datum;

/// Columns of equal length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    pub(crate) columns: &'a [ArrayRef],
    pub(crate) rows: usize,
}

/// A subset of an input's rows. Columns that were not requested keep all rows and must not be read.
#[derive(Debug)]
pub(crate) struct Selected {
    columns: Vec<ArrayRef>,
    rows: usize,
}

impl Selected {
    pub(crate) fn as_input(&self) -> Input<'_> {
        Input {
            columns: &self.columns,
            rows: self.rows,
        }
    }
}

impl Input<'_> {
    /// Selects the rows whose bit is set, in the columns `used`.
    pub(crate) fn select(&self, rows: &BooleanBuffer, used: &[usize]) -> Result<Selected, ArrowError> {
        let mut columns = self.columns.to_vec();
        let filter = BooleanArray::new(rows.clone(), None);
        let predicate = FilterBuilder::new(&filter).optimize().build();
        for &column in used {
            if let Some(values) = columns.get_mut(column) {
                *values = predicate.filter(values)?;
            }
        }
        Ok(Selected {
            columns,
            rows: predicate.count(),
        })
    }
}

/// Expands a datum to `rows` values.
pub fn expand(datum: &Datum, rows: usize) -> Result<ArrayRef, ArrowError> {
    match datum {
        Datum::Column(array) => Ok(Arc::clone(array)),
        Datum::Constant(array) if rows == 1 => Ok(Arc::clone(array)),
        Datum::Constant(array) if datum.is_null(0) || matches!(array.data_type(), DataType::Null) => {
            Ok(new_null_array(array.data_type(), rows))
        }
        Datum::Constant(array) => take(array, &UInt32Array::from(vec![0u32; rows]), None),
    }
}

/// The NULL rows of a datum; `None` if there are none.
pub(crate) fn null_rows(datum: &Datum, rows: usize) -> Option<BooleanBuffer> {
    let array = datum.array();
    if matches!(array.data_type(), DataType::Null) {
        return Some(BooleanBuffer::new_set(rows));
    }
    match datum {
        Datum::Constant(array) if array.is_null(0) => Some(BooleanBuffer::new_set(rows)),
        Datum::Constant(_) => None,
        Datum::Column(array) => array
            .nulls()
            .filter(|nulls| nulls.null_count() > 0)
            .map(|nulls| !nulls.inner()),
    }
}
