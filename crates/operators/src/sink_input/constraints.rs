//! NOT NULL columns and declared lengths of a sink.

use std::sync::Arc;

use arrow_array::builder::{BinaryViewBuilder, StringViewBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray};
use millstream_dataflow::DataflowError;
use millstream_plan::node::LengthEnforcer;
use millstream_types::logical_type::MAX_LENGTH;
use millstream_types::{Batch, ErrorCode, TypeKind};

use super::SinkInputSpec;

/// A declared length.
#[derive(Clone, Copy, Debug)]
struct Length {
    column: usize,
    length: usize,
    /// CHAR and BINARY have exactly this length, VARCHAR and VARBINARY at most this length.
    exact: bool,
}

pub(super) struct Constraints {
    not_null: Vec<(usize, String)>,
    drop: bool,
    lengths: Vec<(Length, String)>,
    enforcer: LengthEnforcer,
}

impl Constraints {
    pub(super) fn new(spec: &SinkInputSpec) -> Self {
        let name = |column: usize| {
            spec.schema
                .columns
                .get(column)
                .map_or(String::new(), |c| c.name.clone())
        };
        let length = |(column, c): (usize, &millstream_types::Column)| {
            let (length, exact) = match c.ty.kind {
                TypeKind::Char(n) | TypeKind::Binary(n) => (n, true),
                TypeKind::Varchar(n) | TypeKind::Varbinary(n) => (n, false),
                _ => return None,
            };
            (length < MAX_LENGTH).then(|| {
                (
                    Length {
                        column,
                        length: length as usize,
                        exact,
                    },
                    c.name.clone(),
                )
            })
        };
        let lengths = if spec.lengths == LengthEnforcer::Ignore {
            Vec::new()
        } else {
            spec.schema
                .columns
                .iter()
                .enumerate()
                .filter_map(length)
                .collect()
        };
        Self {
            not_null: spec
                .not_null
                .iter()
                .map(|column| (*column, name(*column)))
                .collect(),
            drop: spec.not_null_drop,
            lengths,
            enforcer: spec.lengths,
        }
    }

    /// The rows that satisfy the constraints, with lengths adjusted; an error if the sink requires that.
    pub(super) fn apply(&self, batch: Batch) -> Result<Batch, DataflowError> {
        let mut batch = self.check_nulls(batch)?;
        for (length, name) in &self.lengths {
            let column = &batch.columns[length.column];
            if self.enforcer == LengthEnforcer::Error {
                check_length(column, *length, name)?;
            } else {
                batch.columns[length.column] = trim_and_pad(column, *length);
            }
        }
        Ok(batch)
    }

    fn check_nulls(&self, batch: Batch) -> Result<Batch, DataflowError> {
        let offending = self
            .not_null
            .iter()
            .filter(|(column, _)| batch.columns[*column].null_count() > 0);
        let offending: Vec<&(usize, String)> = offending.collect();
        let Some((_, name)) = offending.first() else {
            return Ok(batch);
        };
        if !self.drop {
            let message = format!(
                "Column '{name}' is NOT NULL, however, a null value is being written into it; you can set job \
                 configuration 'table.exec.sink.not-null-enforcer'='DROP' to suppress this exception and drop such \
                 records silently"
            );
            return Err(DataflowError::coded(ErrorCode::NotNullViolation, message));
        }
        let keep = |row: usize| {
            offending
                .iter()
                .all(|(column, _)| batch.columns[*column].is_valid(row))
        };
        let keep: BooleanArray = (0..batch.rows).map(|row| Some(keep(row))).collect();
        Ok(batch.filter(&keep)?)
    }
}

/// Lengths of the values of a column: characters of strings, bytes of byte strings.
fn lengths(column: &ArrayRef) -> Vec<Option<usize>> {
    if let Some(strings) = column.as_string_view_opt() {
        return strings
            .iter()
            .map(|value| value.map(|text| text.chars().count()))
            .collect();
    }
    match column.as_binary_view_opt() {
        Some(bytes) => bytes.iter().map(|value| value.map(<[u8]>::len)).collect(),
        None => Vec::new(),
    }
}

fn check_length(column: &ArrayRef, length: Length, name: &str) -> Result<(), DataflowError> {
    let fits = |found: usize| {
        if length.exact {
            found == length.length
        } else {
            found <= length.length
        }
    };
    match lengths(column).into_iter().flatten().find(|found| !fits(*found)) {
        None => Ok(()),
        Some(found) => Err(DataflowError::data(format!(
            "column '{name}' has a declared length of {}{}, but a value of length {found} is being written into it; set \
             'table.exec.sink.type-length-enforcer' to IGNORE to allow it, or to TRIM_PAD to make it fit",
            length.length,
            if length.exact { "" } else { " at most" },
        ))),
    }
}

fn trim_and_pad(column: &ArrayRef, length: Length) -> ArrayRef {
    let fits = |found: &usize| {
        if length.exact {
            *found == length.length
        } else {
            *found <= length.length
        }
    };
    if lengths(column).iter().flatten().all(fits) {
        return Arc::clone(column);
    }
    if let Some(strings) = column.as_string_view_opt() {
        let mut builder = StringViewBuilder::with_capacity(strings.len());
        for value in strings {
            builder.append_option(value.map(|text| {
                let mut text: String = text.chars().take(length.length).collect();
                let missing = length.length - text.chars().count();
                text.extend(std::iter::repeat_n(' ', if length.exact { missing } else { 0 }));
                text
            }));
        }
        return Arc::new(builder.finish());
    }
    let Some(values) = column.as_binary_view_opt() else {
        return Arc::clone(column);
    };
    let mut builder = BinaryViewBuilder::with_capacity(values.len());
    for value in values {
        builder.append_option(value.map(|bytes| {
            let mut bytes = bytes[..bytes.len().min(length.length)].to_vec();
            if length.exact {
                bytes.resize(length.length, 0);
            }
            bytes
        }));
    }
    Arc::new(builder.finish())
}
