//! Elements of arrays and maps: keys that compare like them, and building lists by picking them.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, ListArray, new_empty_array};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::DataType;
use arrow_select::interleave::interleave;
use millstream_types::{LogicalType, TypeKind, arrow_type};

use crate::scalar::access::{conform, internal};
use crate::scalar::forms::{refused, wrong_types};
use crate::scalar::{Datum, EvalError, KernelArgs};
use crate::signature::{ArgInfo, SignatureError};
use crate::typing::{common_type, supports_implicit_cast};

/// Encodes columns of one type so that equal values have equal bytes; NULL equals NULL.
pub(crate) struct Keys {
    converter: RowConverter,
}

impl Keys {
    pub(crate) fn new(data_type: &DataType) -> Result<Self, EvalError> {
        Ok(Self {
            converter: RowConverter::new(vec![SortField::new(data_type.clone())])?,
        })
    }

    pub(crate) fn encode(&self, column: &ArrayRef) -> Result<Rows, EvalError> {
        Ok(self.converter.convert_columns(&[Arc::clone(column)])?)
    }
}

/// Element type of an array argument.
pub(crate) fn element_type(ty: &LogicalType) -> LogicalType {
    match &ty.kind {
        TypeKind::Array(element) => (**element).clone(),
        _ => LogicalType::NULL,
    }
}

/// An array argument, or an error that names the function.
pub(crate) fn array_arg(
    function: &str,
    args: &[ArgInfo<'_>],
    index: usize,
) -> Result<LogicalType, SignatureError> {
    let ty = args[index].ty;
    match &ty.kind {
        TypeKind::Array(_) => Ok(ty.clone()),
        TypeKind::Null => Ok(LogicalType::array(LogicalType::INT)),
        _ => Err(wrong_types(function, args, format!("{function}(<ARRAY>, ...)"))),
    }
}

/// The type to which an argument is cast that must fit the elements of an array.
pub(crate) fn needle_arg(
    function: &str,
    args: &[ArgInfo<'_>],
    index: usize,
    element: &LogicalType,
) -> Result<LogicalType, SignatureError> {
    let ty = args[index].ty.without_time_attribute();
    let wanted = element.with_nullable(true);
    if ty.is_null() || supports_implicit_cast(&ty.with_nullable(true), &wanted) {
        return Ok(element.with_nullable(ty.nullable));
    }
    Err(wrong_types(
        function,
        args,
        format!("an element of the type {element}"),
    ))
}

/// The common type of array (or map) arguments.
pub(crate) fn common_collection(function: &str, args: &[ArgInfo<'_>]) -> Result<LogicalType, SignatureError> {
    let types: Vec<&LogicalType> = args.iter().map(|arg| arg.ty).collect();
    common_type(&types).ok_or_else(|| {
        let found: Vec<String> = types.iter().map(|ty| ty.to_string()).collect();
        refused(format!(
            "could not find a common type for the arguments of {function}: {}",
            found.join(", ")
        ))
    })
}

/// The flat elements of a list argument.
pub(crate) fn flat(args: &KernelArgs<'_>, index: usize) -> Result<ArrayRef, EvalError> {
    Ok(Arc::clone(args.lists(index)?.array().values()))
}

/// Builds a column of lists from elements of several arrays of one type.
pub(crate) struct ListWriter {
    sources: Vec<ArrayRef>,
    picks: Vec<(usize, usize)>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
    /// Where the current row began.
    start: usize,
}

impl ListWriter {
    pub(crate) fn new(sources: Vec<ArrayRef>, rows: usize) -> Self {
        Self {
            sources,
            picks: Vec::new(),
            lengths: Vec::with_capacity(rows),
            valid: Vec::with_capacity(rows),
            start: 0,
        }
    }

    /// Adds element `index` of source number `source` to the current row.
    pub(crate) fn push(&mut self, source: usize, index: usize) {
        self.picks.push((source, index));
    }

    /// Adds the value of a datum in a row, which is source number `source`.
    pub(crate) fn push_datum(&mut self, source: usize, datum: &Datum, row: usize) {
        self.picks.push((source, datum.index(row)));
    }

    pub(crate) fn end_row(&mut self) {
        self.lengths.push(self.picks.len() - self.start);
        self.valid.push(true);
        self.start = self.picks.len();
    }

    pub(crate) fn end_null(&mut self) {
        self.picks.truncate(self.start);
        self.lengths.push(0);
        self.valid.push(false);
    }

    /// The elements, the offsets and the validity.
    pub(crate) fn parts(
        self,
        element: &DataType,
    ) -> Result<(ArrayRef, OffsetBuffer<i32>, NullBuffer), EvalError> {
        let items = gather(&self.sources, &self.picks, element)?;
        Ok((
            items,
            OffsetBuffer::from_lengths(self.lengths),
            NullBuffer::from(self.valid),
        ))
    }

    /// The column of type `ty`.
    pub(crate) fn finish(self, ty: &LogicalType) -> Result<ArrayRef, EvalError> {
        let DataType::List(field) = arrow_type(ty) else {
            return Err(internal("the result is not an array"));
        };
        let (items, offsets, nulls) = self.parts(field.data_type())?;
        Ok(Arc::new(ListArray::try_new(field, offsets, items, Some(nulls))?))
    }
}

/// Picks elements of several arrays; a bare NULL column counts as NULLs of the element type.
pub(crate) fn gather(
    sources: &[ArrayRef],
    picks: &[(usize, usize)],
    element: &DataType,
) -> Result<ArrayRef, EvalError> {
    if picks.is_empty() {
        return Ok(new_empty_array(element));
    }
    let sources = sources
        .iter()
        .map(|source| conform(source, element))
        .collect::<Result<Vec<_>, _>>()?;
    let sources: Vec<&dyn Array> = sources.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&sources, picks)?)
}
