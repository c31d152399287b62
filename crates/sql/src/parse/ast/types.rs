//! Data types as they are spelled in the text.

use super::{Ident, IntervalQualifier, ObjectName, Span, StringLiteral};

/// A type with its nullability.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DataType {
    pub kind: DataTypeKind,
    /// `Some(false)` for `NOT NULL`, `Some(true)` for an explicit `NULL`, `None` when nothing was written.
    pub nullable: Option<bool>,
    pub span: Span,
}

/// The root of a type. Lengths and precisions are as written: defaults and limits belong to the binder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DataTypeKind {
    Boolean,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    /// `REAL`, a FLOAT under its standard name.
    Real,
    Double,
    /// `DECIMAL`, `DEC` or `NUMERIC`.
    Decimal {
        precision: Option<u32>,
        scale: Option<i32>,
    },
    Char {
        length: Option<u32>,
    },
    VarChar {
        length: Option<u32>,
    },
    String,
    Binary {
        length: Option<u32>,
    },
    VarBinary {
        length: Option<u32>,
    },
    Bytes,
    Date,
    Time {
        precision: Option<u32>,
        zone: TimeZoneRule,
    },
    Timestamp {
        precision: Option<u32>,
        zone: TimeZoneRule,
    },
    /// The short spelling of `TIMESTAMP WITH LOCAL TIME ZONE`.
    TimestampLtz {
        precision: Option<u32>,
    },
    Interval(IntervalQualifier),
    Array(Box<DataType>),
    Multiset(Box<DataType>),
    Map {
        key: Box<DataType>,
        value: Box<DataType>,
    },
    Row(Vec<RowField>),
    Structured {
        class: StringLiteral,
        fields: Vec<RowField>,
    },
    Raw {
        class: StringLiteral,
        serializer: StringLiteral,
    },
    Variant,
    Bitmap,
    Null,
    /// A name that is not a built-in type; the binder refuses it, or finds a user's type.
    Named(ObjectName),
}

/// What TIME and TIMESTAMP say of zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeZoneRule {
    /// Nothing, or `WITHOUT TIME ZONE`.
    Without,
    /// `WITH TIME ZONE`.
    With,
    /// `WITH LOCAL TIME ZONE`.
    WithLocal,
}

/// A field of ROW or STRUCTURED.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RowField {
    pub name: Ident,
    pub data_type: DataType,
    pub comment: Option<StringLiteral>,
    pub span: Span,
}
