//! UNNEST: the elements of an array, a map or a multiset as rows beside the row that holds them.
//!
//! A NULL collection and an empty one have no elements; an outer join then pads the row with NULLs. An element that is a
//! ROW becomes its fields; a NULL element of a row type is left out. With ordinality the element's number, from 1, stands
//! last. Row kinds are those of the row.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, Int32Array, UInt32Array, new_null_array};
use arrow_buffer::OffsetBuffer;
use arrow_select::take::take;
use millstream_dataflow::{Context, DataflowError, Operator, Output};
use millstream_functions::Environment;
use millstream_plan::Expr;
use millstream_types::{Batch, ErrorKind, LogicalType, TypeKind, arrow_type};

use crate::emit::{push, take_columns};
use crate::expression::RowExpression;
use crate::join::pairs::take_optional;

pub(crate) struct Unnest {
    collection: RowExpression,
    kind: Collection,
    ordinality: bool,
    outer: bool,
    condition: Option<RowExpression>,
    output: Vec<LogicalType>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Collection {
    Array { of_rows: bool },
    Map,
    Multiset { of_rows: bool },
}

/// The parameters of an UNNEST in a plan.
pub(crate) struct UnnestSpec<'a> {
    pub function: &'a str,
    pub args: &'a [Expr],
    pub outer: bool,
    pub condition: Option<&'a Expr>,
    pub output: &'a [LogicalType],
}

/// The elements of a batch: the row that each belongs to, and its columns.
struct Elements {
    rows: Vec<u32>,
    columns: Vec<ArrayRef>,
}

impl Unnest {
    pub(crate) fn new(spec: &UnnestSpec<'_>, env: &Environment) -> Result<Self, DataflowError> {
        let refuse =
            |what: String| DataflowError::new(ErrorKind::Unsupported, format!("not supported yet: {what}"));
        let upper = spec.function.to_uppercase();
        if !upper.contains("UNNEST") {
            return Err(refuse(format!("the table function {}", spec.function)));
        }
        let [arg] = spec.args else {
            return Err(refuse("UNNEST of several collections".to_owned()));
        };
        let is_row = |ty: &LogicalType| matches!(ty.kind, TypeKind::Row(_));
        let kind = match &arg.ty().kind {
            TypeKind::Array(element) => Collection::Array {
                of_rows: is_row(element),
            },
            TypeKind::Map(..) => Collection::Map,
            TypeKind::Multiset(element) => Collection::Multiset {
                of_rows: is_row(element),
            },
            other => return Err(refuse(format!("UNNEST of {other}"))),
        };
        Ok(Self {
            collection: RowExpression::new(arg, env)?,
            kind,
            ordinality: upper.contains("ORDINALITY"),
            outer: spec.outer,
            condition: spec.condition.map(|c| RowExpression::new(c, env)).transpose()?,
            output: spec.output.to_vec(),
        })
    }

    fn elements(&self, collection: &ArrayRef) -> Result<Elements, DataflowError> {
        let defect = || DataflowError::internal(format!("UNNEST of a column of {}", collection.data_type()));
        let (values, offsets) = entries(collection).ok_or_else(defect)?;
        let range = |row: usize| offsets[row] as usize..offsets[row + 1] as usize;
        let fields = |count: usize| {
            let fields = values.as_struct_opt().map(|entries| entries.columns());
            fields.filter(|fields| fields.len() >= count).ok_or_else(defect)
        };
        match self.kind {
            Collection::Array { of_rows } => {
                self.gather(collection, &range, std::slice::from_ref(&values), of_rows, |_| 1)
            }
            Collection::Map => self.gather(collection, &range, &fields(2)?[..2], false, |_| 1),
            Collection::Multiset { of_rows } => {
                let fields = fields(2)?;
                let counts = fields[1].as_primitive_opt::<Int32Type>().ok_or_else(defect)?;
                self.gather(collection, &range, &fields[..1], of_rows, |entry| {
                    counts.value(entry)
                })
            }
        }
    }

    /// Lists the elements in order, each as often as it occurs.
    fn gather(
        &self,
        collection: &ArrayRef,
        range: &dyn Fn(usize) -> std::ops::Range<usize>,
        values: &[ArrayRef],
        of_rows: bool,
        times: impl Fn(usize) -> i32,
    ) -> Result<Elements, DataflowError> {
        let (mut rows, mut numbers, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for row in (0..collection.len()).filter(|row| collection.is_valid(*row)) {
            let mut number = 0;
            for entry in range(row) {
                for _ in 0..times(entry) {
                    number += 1;
                    if of_rows && values[0].is_null(entry) {
                        continue;
                    }
                    rows.push(row as u32);
                    numbers.push(number);
                    entries.push(entry as u32);
                }
            }
        }
        let entries = UInt32Array::from(entries);
        let mut columns = Vec::new();
        for value in values {
            let taken = take(value, &entries, None)?;
            match taken.as_struct_opt().filter(|_| of_rows) {
                Some(fields) => columns.extend(fields.columns().iter().cloned()),
                None => columns.push(taken),
            }
        }
        if self.ordinality {
            columns.push(Arc::new(Int32Array::from(numbers)));
        }
        Ok(Elements { rows, columns })
    }

    /// Drops the elements for which the condition does not hold.
    fn filter(
        &mut self,
        batch: &Batch,
        mut elements: Elements,
        context: &Context,
    ) -> Result<Elements, DataflowError> {
        let Some(condition) = &mut self.condition else {
            return Ok(elements);
        };
        let mut columns = take_columns(&batch.columns, &elements.rows)?;
        columns.extend(elements.columns.iter().cloned());
        let keep = condition.condition(&columns, elements.rows.len(), context)?;
        let kept: Vec<u32> = keep.values().set_indices().map(|row| row as u32).collect();
        elements.columns = take_columns(&elements.columns, &kept)?;
        elements.rows = kept.iter().map(|i| elements.rows[*i as usize]).collect();

        Ok(elements)
    }

    /// Positions of the rows and of their elements; an outer join pads rows without elements.
    fn places(&self, rows: usize, elements: &Elements) -> (Vec<u32>, Vec<Option<u32>>) {
        let (mut own, mut other) = (Vec::new(), Vec::new());
        let mut next = 0;
        for row in 0..rows as u32 {
            let first = next;
            while elements.rows.get(next) == Some(&row) {
                own.push(row);
                other.push(Some(next as u32));
                next += 1;
            }
            if self.outer && next == first {
                own.push(row);
                other.push(None);
            }
        }
        (own, other)
    }
}

impl Operator for Unnest {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let collection = self.collection.evaluate(&batch.columns, batch.rows, context)?;
        let elements = self.elements(&collection)?;
        let elements = self.filter(&batch, elements, context)?;
        let (own, other) = self.places(batch.rows, &elements);
        let mut columns = take_columns(&batch.columns, &own)?;
        if elements.columns.len() != self.output.len() {
            let message = format!(
                "UNNEST gives {} columns, not {}",
                elements.columns.len(),
                self.output.len()
            );
            return Err(DataflowError::internal(message));
        }
        if elements.rows.is_empty() {
            columns.extend(
                self.output
                    .iter()
                    .map(|ty| new_null_array(&arrow_type(ty), own.len())),
            );
        } else {
            columns.extend(take_optional(&elements.columns, &other)?);
        }
        push(
            Batch {
                columns,
                kinds: batch.kinds_at(&own),
                rows: own.len(),
            },
            context,
            out,
        )
    }
}

/// The elements of a column of collections, and the offset of each row's first one. Maps may be lists of entries.
fn entries(collection: &ArrayRef) -> Option<(ArrayRef, OffsetBuffer<i32>)> {
    if let Some(list) = collection.as_list_opt::<i32>() {
        return Some((Arc::clone(list.values()), list.offsets().clone()));
    }
    let map = collection.as_map_opt()?;
    Some((Arc::new(map.entries().clone()), map.offsets().clone()))
}
