//! Rust types at the edge between streams and tables: which columns a type has, values to columns, columns to values.
//!
//! Types that serde can write and read are rows: a struct has a column for each field, a tuple columns `f0`, `f1`, …, any
//! other value the one column `f0`. Conversion goes column by column through Arrow builders and arrays; no value is
//! boxed on the way.

mod dynamic;
mod read;
mod serialize;
mod trace;
mod write;

use arrow_array::ArrayRef;
use millstream_types::{LogicalType, RowField, Schema, TypeKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::data::Data;
use crate::error::{Error, Result};

pub use dynamic::{Row, Value};
use read::{RowAccess, WholeRow};
pub(crate) use trace::Shape;
pub(crate) use write::ColumnWriter;

/// Types whose values are rows of tables. Every type that serde can write and read is one.
pub trait RowType: Data + Serialize + DeserializeOwned {}
impl<T: Data + Serialize + DeserializeOwned> RowType for T {}

fn row_fields(schema: &Schema) -> Vec<RowField> {
    let field = |column: &millstream_types::Column| RowField {
        name: column.name.clone(),
        ty: column.ty.clone(),
        description: None,
    };
    schema.columns.iter().map(field).collect()
}

/// Values to columns.
pub(crate) struct RowsToColumns {
    writer: ColumnWriter,
    is_row: bool,
    /// For each column that is asked for, its place among those that are written.
    places: Vec<usize>,
}

impl RowsToColumns {
    /// `physical` are all columns of the table, by the names that the type's fields have; `wanted` those to be made.
    pub fn new(shape: &Shape, physical: &Schema, wanted: &[usize]) -> Result<Self> {
        let fields = match shape {
            Shape::Atomic(_) => {
                let column = &physical.columns[0];
                return Ok(Self {
                    writer: ColumnWriter::new(&column.name, &column.ty)?,
                    is_row: false,
                    places: vec![0; wanted.len()],
                });
            }
            Shape::Fields(fields) => fields,
        };
        // A column is found in the value by name, and values are written in the order of their fields.
        let column_of = |name: &str| physical.index_of(name);
        let written: Vec<usize> = fields.iter().filter_map(|(name, _)| column_of(name)).collect();
        let place = |column: &usize| written.iter().position(|other| other == column);
        let places: Option<Vec<usize>> = wanted.iter().map(place).collect();
        let columns = written
            .iter()
            .map(|index| physical.columns[*index].clone())
            .collect();
        let ty = LogicalType::not_null(TypeKind::Row(row_fields(&Schema { columns })));
        Ok(Self {
            writer: ColumnWriter::new("row", &ty)?,
            is_row: true,
            places: places
                .ok_or_else(|| Error::input("a column of the table is not a field of the row type"))?,
        })
    }

    pub fn convert<T: Serialize>(&mut self, rows: &[T]) -> Result<Vec<ArrayRef>> {
        for row in rows {
            let pushed = self.writer.push(row);
            pushed.map_err(|error| Error::data(error.to_string()))?;
        }
        Ok(self.take())
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        use arrow_array::cast::AsArray;
        let written = self.writer.finish();
        let columns = if self.is_row {
            written.as_struct().columns().to_vec()
        } else {
            vec![written]
        };
        self.places.iter().map(|place| columns[*place].clone()).collect()
    }
}

/// Columns to values.
pub(crate) struct ColumnsToRows {
    fields: Vec<RowField>,
}

impl ColumnsToRows {
    pub fn new(schema: &Schema) -> Self {
        Self {
            fields: row_fields(schema),
        }
    }

    pub fn of_fields(fields: Vec<RowField>) -> Self {
        Self { fields }
    }

    pub fn row<T: DeserializeOwned>(&self, columns: &[ArrayRef], row: usize) -> Result<T> {
        let access = RowAccess {
            fields: &self.fields,
            columns,
            row,
            next: 0,
        };
        T::deserialize(WholeRow(access))
            .map_err(|error| Error::data(format!("a row is no '{}': {error}", std::any::type_name::<T>())))
    }
}

/// Checks before a job starts that rows of `schema` can become values of `T`.
pub(crate) fn check_target<T: DeserializeOwned>(schema: &Schema) -> Result<()> {
    let name = std::any::type_name::<T>();
    let names: Vec<&str> = schema.columns.iter().map(|column| column.name.as_str()).collect();
    match Shape::of::<T>()? {
        Shape::Atomic(_) if names.len() == 1 => Ok(()),
        Shape::Atomic(_) => Err(Error::input(format!(
            "'{name}' is one column, but the table has {}: {}",
            names.len(),
            names.join(", ")
        ))),
        Shape::Fields(fields) => {
            let by_position = fields
                .iter()
                .enumerate()
                .all(|(index, (field, _))| *field == format!("f{index}"));
            if by_position && fields.len() == names.len() {
                return Ok(());
            }
            // A field that may be absent need not have a column.
            let missing = fields
                .iter()
                .find(|(field, ty)| !ty.nullable && !names.contains(&field.as_str()));
            match missing {
                None if !by_position => Ok(()),
                Some((field, _)) if !by_position => Err(Error::input(format!(
                    "field '{field}' of '{name}' has no column; the table has {}",
                    names.join(", ")
                ))),
                _ => Err(Error::input(format!(
                    "'{name}' has {} fields, but the table has {} columns: {}",
                    fields.len(),
                    names.len(),
                    names.join(", ")
                ))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer};

    use super::*;

    #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
    enum Colour {
        Red,
        Blue,
    }

    #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
    struct Inner {
        x: Option<f64>,
        y: (i8, String),
    }

    /// A text that says what it expects, as the types of libraries for dates do.
    #[derive(Clone, PartialEq, Debug, Serialize)]
    struct Instant(String);

    impl<'de> Deserialize<'de> for Instant {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
            struct Visitor;
            impl serde::de::Visitor<'_> for Visitor {
                type Value = Instant;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a timestamp string")
                }
                fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Instant, E> {
                    if text.ends_with('Z') {
                        Ok(Instant(text.to_owned()))
                    } else {
                        Err(E::custom("no zone"))
                    }
                }
            }
            deserializer.deserialize_str(Visitor)
        }
    }

    #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
    struct Everything {
        flag: bool,
        small: u16,
        large: u64,
        text: Option<String>,
        letter: char,
        colour: Colour,
        inner: Option<Inner>,
        list: Vec<Option<i32>>,
        map: BTreeMap<String, Vec<u8>>,
        at: Instant,
    }

    fn everything(n: u16) -> Everything {
        Everything {
            flag: n.is_multiple_of(2),
            small: n,
            large: u64::MAX - u64::from(n),
            text: (n > 1).then(|| "a text longer than a view holds inside".to_owned()),
            letter: 'ß',
            colour: if n == 1 { Colour::Red } else { Colour::Blue },
            inner: (n != 2).then(|| Inner {
                x: (n == 3).then_some(0.5),
                y: (-1, "y".to_owned()),
            }),
            list: vec![Some(1), None],
            map: [("k".to_owned(), vec![1, 255]), ("l".to_owned(), Vec::new())].into(),
            at: Instant("2024-02-29 12:34:56.123456000Z".to_owned()),
        }
    }

    #[test]
    fn values_survive_the_way_to_columns_and_back() {
        let shape = Shape::of::<Everything>().expect("it has columns");
        let schema = Schema::new(shape.columns());
        let all: Vec<usize> = (0..schema.len()).collect();
        let mut to_columns = RowsToColumns::new(&shape, &schema, &all).expect("every type is known");
        let rows: Vec<Everything> = (1..=3).map(everything).collect();
        // A writer is used again for every batch.
        for _ in 0..2 {
            let columns = to_columns.convert(&rows).expect("every value fits");
            for (column, ty) in columns.iter().zip(schema.types()) {
                assert_eq!(column.data_type(), &millstream_types::arrow_type(ty));
            }
            let to_rows = ColumnsToRows::new(&schema);
            let back: Result<Vec<Everything>> = (0..3).map(|row| to_rows.row(&columns, row)).collect();
            assert_eq!(back.expect("every row is a value"), rows);
        }
    }

    #[test]
    fn only_wanted_columns_are_made() {
        let shape = Shape::of::<Everything>().expect("it has columns");
        let schema = Schema::new(shape.columns());
        let wanted = [
            schema.index_of("colour").expect("a field"),
            schema.index_of("flag").expect("a field"),
        ];
        let mut to_columns = RowsToColumns::new(&shape, &schema, &wanted).expect("every type is known");
        let columns = to_columns.convert(&[everything(1)]).expect("every value fits");
        assert_eq!(columns.len(), 2);
        let types: Vec<LogicalType> = wanted
            .iter()
            .map(|column| schema.columns[*column].ty.clone())
            .collect();
        assert_eq!(Value::of(&types[0], &columns[0], 0), Value::from("Red"));
        assert_eq!(Value::of(&types[1], &columns[1], 0), Value::from(false));
    }

    #[test]
    fn declared_types_take_texts_and_numbers() {
        let shape = Shape::of::<(String, f64, String, i64)>().expect("it has columns");
        let schema = Schema::new([
            ("f0", LogicalType::decimal(5, 2)),
            ("f1", LogicalType::decimal(5, 2)),
            ("f2", LogicalType::DATE),
            ("f3", LogicalType::timestamp_ltz(3)),
        ]);
        let mut to_columns = RowsToColumns::new(&shape, &schema, &[0, 1, 2, 3]).expect("every type is known");
        let row = |text: &str| (text.to_owned(), 0.5, "1970-01-02".to_owned(), 1500_i64);
        let columns = to_columns.convert(&[row("-1.005")]).expect("every value fits");
        let shown = schema
            .types()
            .zip(&columns)
            .map(|(ty, column)| Value::of(ty, column, 0).to_string());
        assert_eq!(
            shown.collect::<Vec<_>>(),
            ["-1.01", "0.50", "1970-01-02", "1970-01-01 00:00:01.500"]
        );
        let error = to_columns
            .convert(&[row("1000")])
            .expect_err("it has too many digits");
        assert_eq!(error.message, "column 'f0' is DECIMAL(5, 2) and takes no '1000'");
    }
}
