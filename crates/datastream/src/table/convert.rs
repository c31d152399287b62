//! The operators at the edges of a plan: records to columns, and columns to records.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::types::TimestampMillisecondType;
use arrow_array::{ArrayRef, PrimitiveArray};
use millstream_dataflow::{Context as Instance, DataflowError, Operator, OperatorFactory, Output};
use millstream_types::records::NO_TIMESTAMP;
use millstream_types::{
    Batch, LogicalType, Records, RowKind, Schema, TypeKind, arrow_type, timestamp_millis,
};
use serde::de::DeserializeOwned;

use super::row::{ColumnWriter, ColumnsToRows, Row, RowType, RowsToColumns, Shape, Value};
use crate::data::Data;
use crate::error::{Error, Result};
use crate::guard::{GuardedOperator, at_record};
use crate::operators::rows_of;

/// Columns of rows of a type, and the kinds of the rows if some are not insertions.
pub(super) trait IntoColumns<T>: Send {
    fn convert(&mut self, rows: &[T]) -> Result<(Vec<ArrayRef>, Option<Vec<RowKind>>)>;
}

/// Converts rows of a serde type.
pub(super) struct Typed(RowsToColumns);

impl Typed {
    pub fn new(shape: &Shape, physical: &Schema, wanted: &[usize]) -> Result<Self> {
        Ok(Self(RowsToColumns::new(shape, physical, wanted)?))
    }
}

impl<T: RowType> IntoColumns<T> for Typed {
    fn convert(&mut self, rows: &[T]) -> Result<(Vec<ArrayRef>, Option<Vec<RowKind>>)> {
        Ok((self.0.convert(rows)?, None))
    }
}

/// Converts dynamic rows.
pub(super) struct Dynamic {
    physical: usize,
    wanted: Vec<usize>,
    writers: Vec<ColumnWriter>,
    changes: bool,
}

impl Dynamic {
    pub fn new(physical: &Schema, wanted: &[usize], changes: bool) -> Result<Self> {
        let writer = |index: &usize| {
            let column = &physical.columns[*index];
            ColumnWriter::new(&column.name, &column.ty)
        };
        Ok(Self {
            physical: physical.len(),
            wanted: wanted.to_vec(),
            writers: wanted.iter().map(writer).collect::<Result<_>>()?,
            changes,
        })
    }
}

impl IntoColumns<Row> for Dynamic {
    fn convert(&mut self, rows: &[Row]) -> Result<(Vec<ArrayRef>, Option<Vec<RowKind>>)> {
        for (index, row) in rows.iter().enumerate() {
            at_record(index);
            if row.fields.len() != self.physical {
                return Err(Error::data(format!(
                    "row {row} has {} fields, but the table has {} columns",
                    row.fields.len(),
                    self.physical
                )));
            }
            if !self.changes && row.kind != RowKind::Insert {
                return Err(Error::data(format!(
                    "row {row} is a change, but the table takes insertions only; use from_changelog_stream"
                )));
            }
            for (writer, column) in self.writers.iter_mut().zip(&self.wanted) {
                let written = writer.value(&row.fields[*column]);
                written.map_err(|error| Error::data(format!("row {row}: {error}")))?;
            }
        }
        let columns = self.writers.iter_mut().map(ColumnWriter::finish).collect();
        let kinds = self.changes.then(|| rows.iter().map(|row| row.kind).collect());
        Ok((columns, kinds))
    }
}

/// Records of a stream as the rows of a scan.
pub(super) struct StreamToTable<T> {
    pub columns: Box<dyn IntoColumns<T>>,
    /// Types of the metadata columns behind them; all are the timestamp of the record.
    pub rowtimes: Vec<LogicalType>,
}

impl<T: Data> Operator for StreamToTable<T> {
    fn records(
        &mut self,
        _: usize,
        records: Records,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let (rows, timestamps, _) = rows_of::<T>(records)?;
        let is_timed = timestamps.len() == rows.len() && !timestamps.contains(&NO_TIMESTAMP);
        if !is_timed && !self.rowtimes.is_empty() && !rows.is_empty() {
            return Err(DataflowError::data(
                "Rowtime timestamp is not defined: a record has no timestamp. Give the source a watermark strategy with a \
                 timestamp assigner",
            ));
        }
        // A batch is a step of a query: with one row each, every row has its own changes.
        let batch_rows = instance.batch_rows.max(1);
        for (number, rows) in rows.chunks(batch_rows).enumerate() {
            let (mut columns, kinds) = self.columns.convert(rows)?;
            for ty in &self.rowtimes {
                let timestamps = &timestamps[number * batch_rows..][..rows.len()];
                let values = PrimitiveArray::<TimestampMillisecondType>::from(timestamps.to_vec());
                columns.push(Arc::new(values.with_data_type(arrow_type(ty))));
            }
            out.batch(match kinds {
                Some(kinds) => Batch::changes(columns, kinds),
                None => Batch::inserts(columns, rows.len()),
            })?;
        }
        Ok(())
    }
}

/// Rows of a query as records of a type.
pub(super) trait FromColumns<T>: Send {
    fn rows(&mut self, batch: &Batch) -> Result<Vec<T>>;
}

pub(super) struct ToTyped<T> {
    columns: ColumnsToRows,
    of: PhantomData<fn() -> T>,
}

impl<T> ToTyped<T> {
    pub fn new(schema: &Schema) -> Self {
        Self {
            columns: ColumnsToRows::new(schema),
            of: PhantomData,
        }
    }
}

impl<T: DeserializeOwned> FromColumns<T> for ToTyped<T> {
    fn rows(&mut self, batch: &Batch) -> Result<Vec<T>> {
        let row = |index| {
            at_record(index);
            self.columns.row(&batch.columns, index)
        };
        (0..batch.rows).map(row).collect()
    }
}

#[derive(Clone)]
pub(super) struct ToDynamic {
    types: Vec<LogicalType>,
}

impl ToDynamic {
    pub fn new(schema: &Schema) -> Self {
        Self {
            types: schema.types().cloned().collect(),
        }
    }
}

impl FromColumns<Row> for ToDynamic {
    fn rows(&mut self, batch: &Batch) -> Result<Vec<Row>> {
        let row = |index: usize| {
            let columns = self.types.iter().zip(&batch.columns);
            Row::of_kind(
                batch.kind(index),
                columns.map(|(ty, column)| Value::of(ty, column, index)),
            )
        };
        Ok((0..batch.rows).map(row).collect())
    }
}

struct TableToStream<T> {
    rows: Box<dyn FromColumns<T>>,
    /// Column whose values become the timestamps of the records.
    rowtime: Option<usize>,
}

impl<T: Data> Operator for TableToStream<T> {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        _: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let rows = self.rows.rows(&batch)?;
        let timestamps = self.rowtime.map_or_else(Vec::new, |column| {
            let column = &batch.columns[column];
            let timestamp = |row| {
                if column.is_null(row) {
                    NO_TIMESTAMP
                } else {
                    timestamp_millis(column, row)
                }
            };
            (0..batch.rows).map(timestamp).collect()
        });
        out.records(Records::with_timestamps(rows, timestamps))
    }
}

/// Makes the operators that turn rows of a query into records.
pub(super) fn table_to_stream<T: Data>(
    schema: &Schema,
    rows: impl Fn() -> Box<dyn FromColumns<T>> + Send + Sync + 'static,
) -> Result<Arc<dyn OperatorFactory>> {
    let is_rowtime = |column: &millstream_types::Column| {
        column.ty.time_attribute() == millstream_types::TimeAttribute::Rowtime
    };
    let rowtimes: Vec<usize> = (0..schema.len())
        .filter(|index| is_rowtime(&schema.columns[*index]))
        .collect();
    if rowtimes.len() > 1 {
        let names: Vec<&str> = rowtimes
            .iter()
            .map(|index| schema.columns[*index].name.as_str())
            .collect();
        return Err(Error::input(format!(
            "The query contains more than one rowtime attribute column [{}] for converting it to a stream. Please select the \
             rowtime attribute column that should be used as event-time timestamp by casting all other columns to a regular \
             TIMESTAMP data type",
            names.join(", ")
        )));
    }
    let unreadable = schema.columns.iter().find(|column| !is_readable(&column.ty));
    if let Some(column) = unreadable {
        return Err(Error::unsupported(format!(
            "column '{}' of type {} has no counterpart in Rust; cast it to another type",
            column.name, column.ty
        )));
    }
    let rowtime = rowtimes.first().copied();
    let factory = move |_: &Instance| -> Result<Box<dyn Operator>, DataflowError> {
        Ok(Box::new(TableToStream {
            rows: rows(),
            rowtime,
        }))
    };
    Ok(guarded("TableToDataStream", Arc::new(factory)))
}

fn is_readable(ty: &LogicalType) -> bool {
    let here = !matches!(
        ty.kind,
        TypeKind::Variant | TypeKind::Bitmap | TypeKind::Descriptor | TypeKind::Raw { .. }
    );
    here && ty.children().into_iter().all(is_readable)
}

/// The user's serde code runs inside of these operators: a panic there names them.
pub(super) fn guarded(name: &str, inner: Arc<dyn OperatorFactory>) -> Arc<dyn OperatorFactory> {
    Arc::new(GuardedOperator {
        name: name.into(),
        inner,
    })
}
