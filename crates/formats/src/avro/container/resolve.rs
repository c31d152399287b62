//! Decodes blocks whose datums were written with another schema than the table's.
//!
//! Fields are matched by name; numbers widen, texts and bytes are the same, and a nullable column that the file does not
//! have is NULL. From the Avro specification 1.12, "Schema Resolution".

use arrow_buffer::Buffer;
use millstream_types::limits::NESTING_DEPTH_MAX;
use millstream_types::{LogicalType, Schema, TypeKind};

use super::SchemaMismatch;
use super::schema::{Shape, WriterSchema};
use crate::avro::decode::{Input, nested_of, read_items, read_scalar};
use crate::avro::{AvroOptions, COUNT, type_name};
use crate::column::{ColumnBuilder, Values, finish_all};
use crate::{DecodeError, Decoded, Decoder, FormatError, MessageRange, Subject, ValueError};

/// How a written value gets into a column.
enum Plan {
    /// No column reads it.
    Skip(Shape),
    Null,
    /// A scalar of the shape.
    Scalar(Shape),
    Array(Box<Plan>),
    Map(Box<Plan>),
    Record {
        /// The written fields, each with the field of the column that it goes to.
        fields: Vec<(Plan, Option<usize>)>,
        /// Fields that were not written.
        missing: Vec<usize>,
    },
    /// A branch for each type of the union.
    Union(Vec<Plan>),
    /// The written type does not fit the column: an error for each value of it.
    Mismatch(SchemaMismatch),
}

/// Decodes the blocks of a file.
pub(super) struct ContainerDecoder {
    records: Vec<Vec<(String, Shape)>>,
    /// The written fields, each with its column.
    fields: Vec<(Plan, Option<usize>)>,
    missing: Vec<usize>,
    columns: Vec<ColumnBuilder>,
}

impl ContainerDecoder {
    pub fn new(writer: &WriterSchema, options: AvroOptions, schema: &Schema) -> Result<Self, FormatError> {
        options.check_all(schema)?;
        let Shape::Record(record) = writer.root else {
            let found = writer.root.name();
            return Err(SchemaMismatch::Type {
                found,
                expected: "record",
            }
            .into());
        };
        let types: Vec<(&str, &LogicalType)> =
            schema.columns.iter().map(|c| (c.name.as_str(), &c.ty)).collect();
        let (fields, missing) = writer.fields(record, &types)?;
        Ok(Self {
            records: writer.records.clone(),
            fields,
            missing,
            columns: schema.types().map(ColumnBuilder::new).collect(),
        })
    }

    /// Decodes a block; returns the number of its records.
    fn block(&mut self, data: &[u8], start: usize) -> Result<usize, ValueError> {
        let mut input = Input { data, at: start };
        let count = usize::try_from(input.long()?)
            .map_err(|_| ValueError::Syntax("a block has a negative number of records"))?;
        if count > data.len() - input.at {
            return Err(ValueError::Block(count as u64));
        }
        for _ in 0..count {
            for (plan, column) in &self.fields {
                let column = column.map(|column| &mut self.columns[column]);
                plan.read(&mut input, column, &self.records)?;
            }
            for column in &self.missing {
                self.columns[*column].push_null();
            }
        }
        if input.at < data.len() {
            return Err(ValueError::Syntax("a block has more bytes than its records"));
        }
        Ok(count)
    }
}

impl Decoder for ContainerDecoder {
    fn decode(&mut self, data: &Buffer, messages: &[MessageRange]) -> Result<Decoded, DecodeError> {
        let mut origins = Vec::new();
        for (index, range) in messages.iter().enumerate() {
            let Some(bytes) = range.slice(data) else { continue };
            let start = range.offset as usize;
            match self.block(&data[..start + bytes.len()], start) {
                Ok(count) => origins.extend(std::iter::repeat_n(index as u32, count)),
                Err(reason) => {
                    self.columns.iter_mut().for_each(|column| column.truncate(0));
                    return Err(DecodeError {
                        message: index,
                        subject: Some(Subject::AvroRecord),
                        reason,
                    });
                }
            }
        }
        Ok(Decoded {
            columns: finish_all(&mut self.columns)?,
            rows: origins.len(),
            kinds: None,
            messages: Some(origins),
        })
    }
}

/// The plans of written fields, and the fields that were not written.
type Fields = (Vec<(Plan, Option<usize>)>, Vec<usize>);

impl WriterSchema {
    fn fields(&self, record: usize, columns: &[(&str, &LogicalType)]) -> Result<Fields, SchemaMismatch> {
        let place = |name: &str| columns.iter().position(|(column, _)| *column == name);
        let written = &self.records[record];
        let fields = written.iter().map(|(name, shape)| match place(name) {
            Some(column) => (self.plan(shape, columns[column].1), Some(column)),
            None => (Plan::Skip(shape.clone()), None),
        });
        let missing = |column: &usize| !written.iter().any(|(name, _)| name == columns[*column].0);
        let missing: Vec<usize> = (0..columns.len()).filter(missing).collect();
        if let Some(column) = missing.iter().find(|column| !columns[**column].1.nullable) {
            return Err(SchemaMismatch::Field(columns[*column].0.to_owned()));
        }
        Ok((fields.collect(), missing))
    }

    fn plan(&self, shape: &Shape, ty: &LogicalType) -> Plan {
        if let Shape::Union(branches) = shape {
            return Plan::Union(branches.iter().map(|branch| self.plan(branch, ty)).collect());
        }
        let fits = match (&ty.kind, shape) {
            (_, Shape::Null) if ty.nullable => return Plan::Null,
            (TypeKind::Null, _) => *shape == Shape::Null,
            (TypeKind::Array(element), Shape::Array(item)) => {
                return Plan::Array(Box::new(self.plan(item, element)));
            }
            (TypeKind::Map(_, value), Shape::Map(item)) => {
                return Plan::Map(Box::new(self.plan(item, value)));
            }
            (TypeKind::Multiset(_), Shape::Map(item)) => {
                return Plan::Map(Box::new(self.plan(item, &COUNT)));
            }
            (TypeKind::Row(fields), Shape::Record(record)) => {
                let columns: Vec<(&str, &LogicalType)> = fields
                    .iter()
                    .map(|field| (field.name.as_str(), &field.ty))
                    .collect();
                return match self.fields(*record, &columns) {
                    Ok((fields, missing)) => Plan::Record { fields, missing },
                    Err(reason) => Plan::Mismatch(reason),
                };
            }
            _ => fits(shape, ty),
        };
        if fits {
            Plan::Scalar(shape.clone())
        } else {
            Plan::Mismatch(SchemaMismatch::Type {
                found: shape.name(),
                expected: expected(ty),
            })
        }
    }
}

/// Whether a written scalar can be read as a value of the type.
fn fits(shape: &Shape, ty: &LogicalType) -> bool {
    match &ty.kind {
        TypeKind::Boolean => *shape == Shape::Boolean,
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Int | TypeKind::Date | TypeKind::Time(_) => {
            *shape == Shape::Int
        }
        TypeKind::BigInt | TypeKind::Timestamp { .. } | TypeKind::TimestampLtz { .. } => {
            matches!(shape, Shape::Int | Shape::Long)
        }
        TypeKind::Float => matches!(shape, Shape::Int | Shape::Long | Shape::Float),
        TypeKind::Double => matches!(shape, Shape::Int | Shape::Long | Shape::Float | Shape::Double),
        TypeKind::Char(_)
        | TypeKind::Varchar(_)
        | TypeKind::Binary(_)
        | TypeKind::Varbinary(_)
        | TypeKind::Decimal { .. } => matches!(shape, Shape::Bytes | Shape::String),
        _ => false,
    }
}

/// The Avro type of a column, in error messages.
fn expected(ty: &LogicalType) -> &'static str {
    if ty.nullable {
        return "union";
    }
    match &ty.kind {
        TypeKind::Null => "null",
        _ => type_name(ty),
    }
}

impl Plan {
    /// Reads a value into a column, or over it.
    fn read(
        &self,
        input: &mut Input<'_>,
        column: Option<&mut ColumnBuilder>,
        records: &[Vec<(String, Shape)>],
    ) -> Result<(), ValueError> {
        if let Self::Skip(shape) = self {
            return skip(input, shape, records, 0);
        }
        let column = column.expect("a value that is not skipped has a column");
        match self {
            Self::Skip(_) => {}
            Self::Null => column.push_null(),
            Self::Scalar(shape) => scalar(input, shape, column)?,
            Self::Union(branches) => {
                branch(input, branches)?.read(input, Some(column), records)?;
            }
            Self::Array(items) => {
                let nested = nested_of(column).expect("an array is a list");
                let length = read_items(input, |input| {
                    items.read(input, Some(&mut nested.children[0]), records)
                })?;
                nested.push_items(length);
            }
            Self::Map(values) => {
                let nested = nested_of(column).expect("a map is a map");
                let length = read_items(input, |input| {
                    read_scalar(input, &mut nested.children[0])?;
                    values.read(input, Some(&mut nested.children[1]), records)
                })?;
                nested.push_items(length);
            }
            Self::Record { fields, missing } => {
                let nested = nested_of(column).expect("a record is a row");
                nested.open_row();
                for (plan, field) in fields {
                    let child = field.map(|field| &mut nested.children[field]);
                    plan.read(input, child, records)?;
                }
                for field in missing {
                    nested.children[*field].push_null();
                }
            }
            Self::Mismatch(reason) => return Err(reason.clone().into()),
        }
        Ok(())
    }
}

/// Reads a scalar; a number may have been written as one of a narrower type.
fn scalar(input: &mut Input<'_>, shape: &Shape, column: &mut ColumnBuilder) -> Result<(), ValueError> {
    match (&mut column.values, shape) {
        (Values::F32(slots), Shape::Int | Shape::Long) => slots.push(input.long()? as f32),
        (Values::F64(slots), Shape::Int | Shape::Long) => slots.push(input.long()? as f64),
        (Values::F64(slots), Shape::Float) => slots.push(f64::from(f32::from_le_bytes(input.fixed()?))),
        _ => return read_scalar(input, column),
    }
    Ok(())
}

/// The branch of a union that a value has.
fn branch<'b, T>(input: &mut Input<'_>, branches: &'b [T]) -> Result<&'b T, ValueError> {
    let index = input.long()?;
    let branch = usize::try_from(index).ok().and_then(|index| branches.get(index));
    branch.ok_or(ValueError::UnionBranch(index))
}

/// Reads over a value. A record may contain itself, so that its values may be nested as deep as the data say.
fn skip(
    input: &mut Input<'_>,
    shape: &Shape,
    records: &[Vec<(String, Shape)>],
    depth: usize,
) -> Result<(), ValueError> {
    if depth > NESTING_DEPTH_MAX {
        return Err(ValueError::Nesting(NESTING_DEPTH_MAX));
    }
    match shape {
        Shape::Null => {}
        Shape::Boolean => drop(input.take(1)?),
        Shape::Int | Shape::Long | Shape::Enum => drop(input.long()?),
        Shape::Float => drop(input.take(4)?),
        Shape::Double => drop(input.take(8)?),
        Shape::Bytes | Shape::String => drop(input.bytes()?),
        Shape::Fixed(size) => drop(input.take(*size)?),
        Shape::Array(items) => {
            read_items(input, |input| skip(input, items, records, depth + 1))?;
        }
        Shape::Map(values) => {
            read_items(input, |input| {
                input.bytes()?;
                skip(input, values, records, depth + 1)
            })?;
        }
        Shape::Record(record) => {
            for (_, field) in &records[*record] {
                skip(input, field, records, depth + 1)?;
            }
        }
        Shape::Union(branches) => {
            let branch = branch(input, branches)?;
            skip(input, branch, records, depth + 1)?;
        }
    }
    Ok(())
}
