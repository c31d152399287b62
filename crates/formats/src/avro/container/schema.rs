//! Schemas as JSON: the one that Flink derives from a table's columns, and the one that a file was written with.

use std::collections::HashMap;

use millstream_types::limits::NESTING_DEPTH_MAX;
use millstream_types::{LogicalType, RowField, TypeKind};
use serde_json::{Value, json};

use super::SchemaError;
use crate::avro::COUNT;

/// The schema that Flink's `AvroSchemaConverter` derives for `ty`; `name` is that of a record.
pub(super) fn derive(ty: &LogicalType, name: &str, legacy_timestamps: bool) -> Value {
    let child = |ty: &LogicalType, name: &str| derive(ty, name, legacy_timestamps);
    let logical = |base: &str, logical: &str| json!({"type": base, "logicalType": logical});
    let schema = match &ty.kind {
        TypeKind::Null => return json!("null"),
        TypeKind::Boolean => json!("boolean"),
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Int => json!("int"),
        TypeKind::BigInt => json!("long"),
        TypeKind::Float => json!("float"),
        TypeKind::Double => json!("double"),
        TypeKind::Char(_) | TypeKind::Varchar(_) => json!("string"),
        TypeKind::Date => logical("int", "date"),
        TypeKind::Time(_) => logical("int", "time-millis"),
        TypeKind::Timestamp { .. } if legacy_timestamps => logical("long", "timestamp-millis"),
        TypeKind::Timestamp { precision: 0..=3, .. } => logical("long", "local-timestamp-millis"),
        TypeKind::Timestamp { .. } => logical("long", "local-timestamp-micros"),
        TypeKind::TimestampLtz { precision: 0..=3, .. } => logical("long", "timestamp-millis"),
        TypeKind::TimestampLtz { .. } => logical("long", "timestamp-micros"),
        TypeKind::Decimal { precision, scale } => {
            json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
        }
        TypeKind::Array(element) => json!({"type": "array", "items": child(element, name)}),
        TypeKind::Map(_, value) => json!({"type": "map", "values": child(value, name)}),
        TypeKind::Multiset(_) => json!({"type": "map", "values": child(&COUNT, name)}),
        TypeKind::Row(fields) => {
            let field = |field: &RowField| {
                let ty = child(&field.ty, &format!("{name}_{}", field.name));
                if field.ty.nullable {
                    json!({"name": field.name, "type": ty, "default": null})
                } else {
                    json!({"name": field.name, "type": ty})
                }
            };
            let fields: Vec<Value> = fields.iter().map(field).collect();
            json!({"type": "record", "name": name, "fields": fields})
        }
        _ => json!("bytes"),
    };
    if ty.nullable {
        json!(["null", schema])
    } else {
        schema
    }
}

/// How a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum,
    Array(Box<Shape>),
    Map(Box<Shape>),
    /// A record of [`WriterSchema::records`]: a record may contain itself.
    Record(usize),
    Union(Vec<Shape>),
}

impl Shape {
    /// The name in error messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Fixed(_) => "fixed",
            Self::Enum => "enum",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Record(_) => "record",
            Self::Union(_) => "union",
        }
    }
}

/// The schema in the header of a file.
#[derive(Clone, Debug)]
pub(super) struct WriterSchema {
    pub root: Shape,
    /// The fields of each record.
    pub records: Vec<Vec<(String, Shape)>>,
}

impl WriterSchema {
    pub fn parse(json: &[u8]) -> Result<Self, SchemaError> {
        let value: Value = serde_json::from_slice(json)?;
        let mut parser = Parser::default();
        let root = parser.shape(&value, "", 0)?;
        Ok(Self {
            root,
            records: parser.records,
        })
    }
}

#[derive(Default)]
struct Parser {
    records: Vec<Vec<(String, Shape)>>,
    /// Named types by their full names.
    names: HashMap<String, Shape>,
}

impl Parser {
    fn shape(&mut self, value: &Value, space: &str, depth: usize) -> Result<Shape, SchemaError> {
        if depth > NESTING_DEPTH_MAX {
            return Err(SchemaError::Nesting);
        }
        match value {
            Value::String(name) => self.named(name, space),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.shape(branch, space, depth + 1));
                branches.collect::<Result<_, _>>().map(Shape::Union)
            }
            Value::Object(object) => {
                let ty = object.get("type").ok_or(missing("type", "type"))?;
                match ty.as_str() {
                    Some("array") => self.part(value, "items", space, depth).map(Shape::Array),
                    Some("map") => self.part(value, "values", space, depth).map(Shape::Map),
                    Some("fixed") => {
                        let size = value.get("size").and_then(Value::as_u64);
                        let size = size.and_then(|size| usize::try_from(size).ok());
                        let fixed = Shape::Fixed(size.ok_or(missing("fixed type", "size"))?);
                        self.define(value, space, &fixed);
                        Ok(fixed)
                    }
                    Some("enum") => {
                        self.define(value, space, &Shape::Enum);
                        Ok(Shape::Enum)
                    }
                    Some("record" | "error") => self.record(value, space, depth),
                    _ => self.shape(ty, space, depth + 1),
                }
            }
            _ => Err(SchemaError::NoSchema(value.to_string())),
        }
    }

    fn part(
        &mut self,
        value: &Value,
        key: &'static str,
        space: &str,
        depth: usize,
    ) -> Result<Box<Shape>, SchemaError> {
        let part = value.get(key).ok_or(missing("type", key))?;
        self.shape(part, space, depth + 1).map(Box::new)
    }

    fn named(&self, name: &str, space: &str) -> Result<Shape, SchemaError> {
        let primitive = match name {
            "null" => Shape::Null,
            "boolean" => Shape::Boolean,
            "int" => Shape::Int,
            "long" => Shape::Long,
            "float" => Shape::Float,
            "double" => Shape::Double,
            "bytes" => Shape::Bytes,
            "string" => Shape::String,
            _ => {
                let known = self
                    .names
                    .get(&full_name(name, space))
                    .or_else(|| self.names.get(name));
                return known
                    .cloned()
                    .ok_or_else(|| SchemaError::Undefined(name.to_owned()));
            }
        };
        Ok(primitive)
    }

    /// Keeps the shape of a named type; returns the namespace of what is inside of it.
    fn define(&mut self, value: &Value, space: &str, shape: &Shape) -> String {
        let name = value.get("name").and_then(Value::as_str).unwrap_or_default();
        let space = value.get("namespace").and_then(Value::as_str).unwrap_or(space);
        let full = full_name(name, space);
        self.names.insert(full.clone(), shape.clone());
        full.rsplit_once('.')
            .map_or(String::new(), |(space, _)| space.to_owned())
    }

    fn record(&mut self, value: &Value, space: &str, depth: usize) -> Result<Shape, SchemaError> {
        let shape = Shape::Record(self.records.len());
        let index = self.records.len();
        self.records.push(Vec::new());
        let space = self.define(value, space, &shape);
        let fields = value
            .get("fields")
            .and_then(Value::as_array)
            .ok_or(missing("record", "fields"))?;
        let field = |field: &Value| {
            let name = field
                .get("name")
                .and_then(Value::as_str)
                .ok_or(missing("field", "name"))?;
            let ty = field.get("type").ok_or(missing("field", "type"))?;
            Ok((name.to_owned(), self.shape(ty, &space, depth + 1)?))
        };
        let fields: Result<_, SchemaError> = fields.iter().map(field).collect();
        self.records[index] = fields?;
        Ok(shape)
    }
}

fn missing(what: &'static str, part: &'static str) -> SchemaError {
    SchemaError::Missing { what, part }
}

fn full_name(name: &str, space: &str) -> String {
    if name.contains('.') || space.is_empty() {
        name.to_owned()
    } else {
        format!("{space}.{name}")
    }
}
