//! Encodes sort columns as bytes that compare in sort order.

use arrow_array::ArrayRef;
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{DataType, SortOptions};
use millstream_dataflow::DataflowError;
use millstream_functions::aggregate::ordered_bytes::canonical_floats;
use millstream_plan::SortKey;

/// Encodes the sort columns of rows: NULLs as the key specifies, NaN highest, `-0.0` before `0.0`.
pub(crate) struct SortKeys {
    columns: Vec<usize>,
    converter: RowConverter,
}

impl SortKeys {
    /// `types` are those of the whole row.
    pub(crate) fn new(keys: &[SortKey], types: &[DataType]) -> Result<Self, DataflowError> {
        let field = |key: &SortKey| {
            let ty = types.get(key.column).cloned();
            let ty =
                ty.ok_or_else(|| DataflowError::internal(format!("no column {} to sort by", key.column)))?;
            let options = SortOptions {
                descending: !key.ascending,
                nulls_first: key.nulls_first,
            };
            Ok(SortField::new_with_options(ty, options))
        };
        let fields: Vec<SortField> = keys.iter().map(field).collect::<Result<_, DataflowError>>()?;
        Ok(Self {
            columns: keys.iter().map(|k| k.column).collect(),
            converter: RowConverter::new(fields)?,
        })
    }

    /// Without sort columns all rows are equal and the result is empty: see [`SortKeys::is_empty`].
    pub(crate) fn encode(&self, columns: &[ArrayRef]) -> Result<Rows, DataflowError> {
        let columns: Vec<ArrayRef> = self
            .columns
            .iter()
            .map(|c| canonical_floats(&columns[*c]))
            .collect();
        Ok(self.converter.convert_columns(&columns)?)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }
}

/// The bytes of a row, empty if there are no sort columns.
pub(crate) fn key_of<'a>(rows: &'a Rows, keys: &SortKeys, row: usize) -> &'a [u8] {
    if keys.is_empty() {
        &[]
    } else {
        rows.row(row).data()
    }
}
