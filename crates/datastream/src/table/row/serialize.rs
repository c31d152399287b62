//! The serde serializer over a [`ColumnWriter`].

use arrow_array::cast::AsArray;
use arrow_array::types::Int16Type;
use millstream_types::LogicalType;
use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct,
};

use super::write::{Builder, ColumnWriter, WriteError, Written};

macro_rules! written_integers {
    ($($method:ident $ty:ty;)*) => {
        $(fn $method(self, value: $ty) -> Written {
            self.integer(value as i128)
        })*
    };
}

impl<'a> ser::Serializer for &'a mut ColumnWriter {
    type Ok = ();
    type Error = WriteError;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = ser::Impossible<(), WriteError>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = ser::Impossible<(), WriteError>;

    written_integers! {
        serialize_i8 i8; serialize_i16 i16; serialize_i32 i32; serialize_i64 i64; serialize_i128 i128;
        serialize_u8 u8; serialize_u16 u16; serialize_u32 u32; serialize_u64 u64;
    }

    fn serialize_bool(self, value: bool) -> Written {
        self.boolean(value)
    }

    fn serialize_f32(self, value: f32) -> Written {
        match &mut self.builder {
            Builder::Float(builder) => {
                builder.append_value(value);
                Ok(())
            }
            _ => self.float(f64::from(value)),
        }
    }

    fn serialize_f64(self, value: f64) -> Written {
        self.float(value)
    }

    fn serialize_char(self, value: char) -> Written {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Written {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Written {
        self.bytes(value)
    }

    fn serialize_none(self) -> Written {
        self.null()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        self.null()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        self.null()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: &T,
    ) -> Written {
        Err(self.refuse(format!("variant '{variant}' with data")))
    }

    fn serialize_seq(self, _: Option<usize>) -> std::result::Result<Items<'a>, WriteError> {
        Items::new(self)
    }

    fn serialize_tuple(self, _: usize) -> std::result::Result<Items<'a>, WriteError> {
        Items::new(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> std::result::Result<Items<'a>, WriteError> {
        Items::new(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> std::result::Result<Self::SerializeTupleVariant, WriteError> {
        Err(self.refuse(format!("variant '{variant}' with data")))
    }

    fn serialize_map(self, _: Option<usize>) -> std::result::Result<Entries<'a>, WriteError> {
        if !matches!(self.builder, Builder::Map { .. }) {
            return Err(self.refuse("map"));
        }
        Ok(Entries {
            column: self,
            count: 0,
        })
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> std::result::Result<Fields<'a>, WriteError> {
        match self.builder {
            Builder::Row {
                ref mut fields,
                ref mut valid,
            } => {
                valid.push(true);
                Ok(Fields {
                    columns: fields,
                    next: 0,
                })
            }
            _ => Err(self.refuse(format!("struct '{name}'"))),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> std::result::Result<Self::SerializeStructVariant, WriteError> {
        Err(self.refuse(format!("variant '{variant}' with data")))
    }
}

/// Elements of a list, fields of a tuple, or single bytes.
pub(crate) enum Items<'a> {
    List {
        column: &'a mut ColumnWriter,
        count: usize,
    },
    Tuple {
        columns: &'a mut [ColumnWriter],
        next: usize,
    },
    Bytes {
        column: &'a mut ColumnWriter,
        bytes: Box<ColumnWriter>,
    },
}

impl<'a> Items<'a> {
    fn new(column: &'a mut ColumnWriter) -> std::result::Result<Self, WriteError> {
        match column.builder {
            Builder::List { .. } => Ok(Self::List { column, count: 0 }),
            Builder::Bytes(_) => {
                let bytes = ColumnWriter::new(&column.name, &LogicalType::SMALLINT);
                let bytes = Box::new(bytes.map_err(|error| WriteError(error.message))?);
                Ok(Self::Bytes { column, bytes })
            }
            Builder::Row {
                ref mut fields,
                ref mut valid,
            } => {
                valid.push(true);
                Ok(Self::Tuple {
                    columns: fields,
                    next: 0,
                })
            }
            _ => Err(column.refuse("sequence")),
        }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        match self {
            Self::List { column, count } => {
                *count += 1;
                match &mut column.builder {
                    Builder::List { element, .. } => element.push(value),
                    _ => Err(column.refuse("sequence")),
                }
            }
            Self::Tuple { columns, next } => {
                *next += 1;
                match columns.get_mut(*next - 1) {
                    Some(column) => column.push(value),
                    None => Err(WriteError(format!(
                        "a tuple has more than {} fields",
                        columns.len()
                    ))),
                }
            }
            Self::Bytes { bytes, .. } => bytes.push(value),
        }
    }

    fn close(self) -> Written {
        match self {
            Self::List { column, count } => {
                if let Builder::List { lengths, valid, .. } = &mut column.builder {
                    lengths.push(count);
                    valid.push(true);
                }
                Ok(())
            }
            Self::Tuple { columns, next } if next == columns.len() => Ok(()),
            Self::Tuple { columns, next } => Err(WriteError(format!(
                "a tuple has {next} fields, not {}",
                columns.len()
            ))),
            Self::Bytes { column, mut bytes } => {
                let written = bytes.finish();
                let values = written.as_primitive::<Int16Type>().values();
                let octets: Vec<u8> = values
                    .iter()
                    .filter_map(|value| u8::try_from(*value).ok())
                    .collect();
                if octets.len() != values.len() {
                    return Err(column.refuse("sequence of other values than bytes"));
                }
                column.bytes(&octets)
            }
        }
    }
}

macro_rules! written_items {
    ($($sequence:ident $method:ident;)*) => {
        $(impl $sequence for Items<'_> {
            type Ok = ();
            type Error = WriteError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
                self.push(value)
            }

            fn end(self) -> Written {
                self.close()
            }
        })*
    };
}

written_items! {
    SerializeSeq serialize_element; SerializeTuple serialize_element; SerializeTupleStruct serialize_field;
}

/// Entries of a map.
pub(crate) struct Entries<'a> {
    column: &'a mut ColumnWriter,
    count: usize,
}

impl SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, of_entry: &T) -> Written {
        self.count += 1;
        match &mut self.column.builder {
            Builder::Map { key, .. } => key.push(of_entry),
            _ => Err(self.column.refuse("map")),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, of_entry: &T) -> Written {
        match &mut self.column.builder {
            Builder::Map { value, .. } => value.push(of_entry),
            _ => Err(self.column.refuse("map")),
        }
    }

    fn end(self) -> Written {
        if let Builder::Map { lengths, valid, .. } = &mut self.column.builder {
            lengths.push(self.count);
            valid.push(true);
        }
        Ok(())
    }
}

/// Fields of a struct. They come in the order of the columns; one that the struct leaves out is NULL.
pub(crate) struct Fields<'a> {
    columns: &'a mut [ColumnWriter],
    next: usize,
}

impl<'a> Fields<'a> {
    fn until(&mut self, name: Option<&str>) -> std::result::Result<Option<&mut ColumnWriter>, WriteError> {
        let rest = self.columns.get(self.next..).unwrap_or_default();
        let skipped = match name {
            Some(name) => rest.iter().position(|column| column.name == name),
            None => Some(rest.len()),
        };
        // A field that no column takes is passed over.
        let Some(skipped) = skipped else { return Ok(None) };
        for column in &mut self.columns[self.next..self.next + skipped] {
            column.null()?;
        }
        self.next += skipped + 1;
        Ok(self.columns.get_mut(self.next - 1))
    }
}

impl SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        match self.until(Some(key))? {
            Some(column) => column.push(value),
            None => Ok(()),
        }
    }

    fn end(mut self) -> Written {
        self.until(None).map(|_| ())
    }
}
