//! UNNEST: the elements of arrays, maps and multisets as rows. It is not a scalar function; the correlate operator calls it.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, Int32Array, UInt32Array};
use arrow_select::take::take;
use millstream_types::{LogicalType, TypeKind, arrow_type};

use crate::scalar::EvalError;
use crate::scalar::access::{conform, internal};

/// What a column of collections turns into.
#[derive(Clone, Debug)]
pub struct Unnested {
    /// For each new row the row of the collection that it comes from, ascending.
    pub parents: UInt32Array,
    /// One column for each of [`unnest_columns`].
    pub columns: Vec<ArrayRef>,
    /// Position of the element in its collection, from 1 (WITH ORDINALITY).
    pub ordinality: Int32Array,
}

/// Names and types of the columns that UNNEST makes of a collection; `None` if the type is not a collection.
///
/// - an array or multiset of rows: the fields of the row;
/// - another array or multiset: one column `f0`;
/// - a map: `f0` and `f1`, key and value.
pub fn unnest_columns(ty: &LogicalType) -> Option<Vec<(String, LogicalType)>> {
    match &ty.kind {
        TypeKind::Array(element) | TypeKind::Multiset(element) => Some(match &element.kind {
            TypeKind::Row(fields) => {
                let nullable = |field: &LogicalType| field.with_nullable(field.nullable || element.nullable);
                fields
                    .iter()
                    .map(|field| (field.name.clone(), nullable(&field.ty)))
                    .collect()
            }
            _ => vec![("f0".to_owned(), (**element).clone())],
        }),
        TypeKind::Map(key, value) => Some(vec![
            ("f0".to_owned(), (**key).clone()),
            ("f1".to_owned(), (**value).clone()),
        ]),
        _ => None,
    }
}

/// The rows that a column of collections of type `ty` turns into. NULL and empty collections give none, and neither does a
/// NULL row inside of an array.
pub fn unnest(column: &ArrayRef, ty: &LogicalType) -> Result<Unnested, EvalError> {
    let mut places = Places::default();
    let sources: Vec<ArrayRef> = match &ty.kind {
        TypeKind::Array(element) => {
            let lists = column
                .as_list_opt::<i32>()
                .ok_or_else(|| internal("the column has no lists"))?;
            let items = lists.values();
            let rows = matches!(element.kind, TypeKind::Row(_));
            places.collect(column, lists.value_offsets(), |i| {
                usize::from(!rows || items.is_valid(i))
            });
            if rows {
                items.as_struct().columns().to_vec()
            } else {
                vec![Arc::clone(items)]
            }
        }
        TypeKind::Map(..) => {
            let lists = column
                .as_list_opt::<i32>()
                .ok_or_else(|| internal("the column has no maps"))?;
            places.collect(column, lists.value_offsets(), |_| 1);
            lists.values().as_struct().columns().to_vec()
        }
        TypeKind::Multiset(element) => {
            let lists = column
                .as_list_opt::<i32>()
                .ok_or_else(|| internal("the column has no multisets"))?;
            let entries = lists.values().as_struct();
            let (keys, counts) = (entries.column(0), entries.column(1).as_primitive::<Int32Type>());
            let rows = matches!(element.kind, TypeKind::Row(_));
            let copies = |i: usize| {
                let present = !rows || keys.is_valid(i);
                if present && counts.is_valid(i) {
                    usize::try_from(counts.value(i)).unwrap_or(0)
                } else {
                    0
                }
            };
            places.collect(column, lists.value_offsets(), copies);
            if rows {
                keys.as_struct().columns().to_vec()
            } else {
                vec![Arc::clone(keys)]
            }
        }
        other => return Err(internal(format!("{other} cannot be unnested"))),
    };
    let indices = UInt32Array::from(places.indices);
    let types = unnest_columns(ty).unwrap_or_default();
    let columns = sources
        .iter()
        .zip(&types)
        .map(|(source, (_, ty))| conform(&take(source, &indices, None)?, &arrow_type(ty)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Unnested {
        parents: UInt32Array::from(places.parents),
        columns,
        ordinality: Int32Array::from(places.ordinals),
    })
}

/// Which elements become rows.
#[derive(Default)]
struct Places {
    parents: Vec<u32>,
    indices: Vec<u32>,
    ordinals: Vec<i32>,
}

impl Places {
    /// Walks the elements of all collections; `copies` says how many rows an element gives.
    fn collect(&mut self, column: &ArrayRef, offsets: &[i32], copies: impl Fn(usize) -> usize) {
        for row in (0..column.len()).filter(|row| column.is_valid(*row)) {
            let mut ordinal = 0;
            for i in offsets[row] as usize..offsets[row + 1] as usize {
                let copies = copies(i);
                // An element that gives no row still has its position.
                ordinal += i32::from(copies == 0);
                for _ in 0..copies {
                    ordinal += 1;
                    self.parents.push(row as u32);
                    self.indices.push(i as u32);
                    self.ordinals.push(ordinal);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use millstream_types::Scalar;

    use super::*;

    fn unnested(ty: &LogicalType, values: &[Scalar]) -> (Vec<u32>, Vec<Vec<Scalar>>, Vec<i32>) {
        let column = millstream_types::scalars_to_array(ty, values.iter());
        let result = unnest(&column, ty).expect("a collection");
        let types: Vec<LogicalType> = unnest_columns(ty)
            .expect("a collection")
            .into_iter()
            .map(|(_, ty)| ty)
            .collect();
        let row = |i: usize| {
            types
                .iter()
                .zip(&result.columns)
                .map(|(ty, column)| Scalar::from_array(ty, column, i))
                .collect()
        };
        let rows = (0..result.parents.len()).map(row).collect();
        (
            result.parents.values().to_vec(),
            rows,
            result.ordinality.values().to_vec(),
        )
    }

    #[test]
    fn arrays_skip_null_collections_and_null_rows() {
        let ints = LogicalType::array(LogicalType::INT);
        let values = [
            Scalar::Array(vec![Scalar::Int(1), Scalar::Null]),
            Scalar::Null,
            Scalar::Array(Vec::new()),
            Scalar::Array(vec![Scalar::Int(2)]),
        ];
        let (parents, rows, ordinals) = unnested(&ints, &values);
        assert_eq!(parents, [0, 0, 3]);
        assert_eq!(rows, [[Scalar::Int(1)], [Scalar::Null], [Scalar::Int(2)]]);
        assert_eq!(ordinals, [1, 2, 1]);

        let row = LogicalType::row([("x".to_owned(), LogicalType::INT)]);
        let values = [Scalar::Array(vec![
            Scalar::Null,
            Scalar::Row(vec![Scalar::Int(7)]),
        ])];
        let (parents, rows, ordinals) = unnested(&LogicalType::array(row), &values);
        assert_eq!(
            (parents, rows, ordinals),
            (vec![0], vec![vec![Scalar::Int(7)]], vec![2])
        );
    }

    #[test]
    fn multisets_repeat_their_elements() {
        let ty = LogicalType::new(TypeKind::Multiset(Box::new(LogicalType::STRING)));
        let values = [Scalar::Map(vec![(Scalar::String("a".into()), Scalar::Int(2))])];
        let (parents, rows, _) = unnested(&ty, &values);
        assert_eq!(parents, [0, 0]);
        assert_eq!(rows[1], [Scalar::String("a".into())]);
    }
}
