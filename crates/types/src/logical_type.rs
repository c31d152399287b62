//! Flink's logical types: what a column means to SQL.
//!
//! A [`LogicalType`] is a kind and a nullability. It is *not* the physical layout: that is one Arrow type per
//! logical type, see [`crate::arrow`]. `Display` prints the summary form that Flink prints in DESCRIBE and in
//! error messages, for example `ROW<`a` INT NOT NULL, `b` VARCHAR(10)> NOT NULL`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Length of `STRING` and `BYTES` (the longest VARCHAR and VARBINARY).
pub const MAX_LENGTH: u32 = 2_147_483_647;
/// Largest precision of DECIMAL.
pub const MAX_DECIMAL_PRECISION: u8 = 38;
/// Largest precision of TIMESTAMP and TIMESTAMP_LTZ.
pub const MAX_TIMESTAMP_PRECISION: u8 = 9;
/// Precision of a bare TIMESTAMP.
pub const DEFAULT_TIMESTAMP_PRECISION: u8 = 6;

/// A type of a column or an expression: what it holds, and whether NULL is allowed.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogicalType {
    pub kind: TypeKind,
    pub nullable: bool,
}

/// The kind of a [`LogicalType`], with its parameters.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum TypeKind {
    Char(u32),
    Varchar(u32),
    Binary(u32),
    Varbinary(u32),
    Boolean,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Date,
    /// Time of day; run-time precision is at most 3.
    Time(u8),
    Timestamp {
        precision: u8,
        attribute: TimeAttribute,
    },
    TimestampLtz {
        precision: u8,
        attribute: TimeAttribute,
    },
    /// Months in an `i32`.
    IntervalYearMonth(YearMonthResolution),
    /// Milliseconds in an `i64`.
    IntervalDayTime(DayTimeResolution),
    Array(Box<LogicalType>),
    Map(Box<LogicalType>, Box<LogicalType>),
    /// Element to count.
    Multiset(Box<LogicalType>),
    Row(Vec<RowField>),
    /// The type of a bare NULL literal.
    Null,
    Variant,
    Bitmap,
    /// The argument of a window function: names columns, holds no data.
    Descriptor,
    /// An opaque Java value; parsed, shown, never executed.
    Raw {
        class: String,
        serializer: String,
    },
}

/// A field of a ROW type.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RowField {
    pub name: String,
    pub ty: LogicalType,
    pub description: Option<String>,
}

/// Whether a timestamp column is a time attribute, and of which kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum TimeAttribute {
    #[default]
    None,
    /// Event time: a watermark follows this column.
    Rowtime,
    /// Processing time: the column is evaluated when it is read.
    Proctime,
}

/// Fields of a year-month interval, as written in SQL.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum YearMonthResolution {
    Year,
    Month,
    YearToMonth,
}

/// Fields of a day-time interval, as written in SQL.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum DayTimeResolution {
    Day,
    DayToHour,
    DayToMinute,
    DayToSecond,
    Hour,
    HourToMinute,
    HourToSecond,
    Minute,
    MinuteToSecond,
    Second,
}

/// Coarse families of types, as Flink's `LogicalTypeFamily` uses them for signatures and casts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TypeFamily {
    CharacterString,
    BinaryString,
    Boolean,
    /// TINYINT, SMALLINT, INT, BIGINT.
    Integer,
    Decimal,
    /// FLOAT, DOUBLE.
    Approximate,
    Date,
    Time,
    Timestamp,
    TimestampLtz,
    IntervalYearMonth,
    IntervalDayTime,
    Array,
    Map,
    Multiset,
    Row,
    Null,
    Variant,
    Bitmap,
    Descriptor,
    Raw,
}

impl LogicalType {
    /// A nullable type of `kind`.
    pub const fn new(kind: TypeKind) -> Self {
        Self { kind, nullable: true }
    }

    /// A NOT NULL type of `kind`.
    pub const fn not_null(kind: TypeKind) -> Self {
        Self {
            kind,
            nullable: false,
        }
    }

    pub const BOOLEAN: Self = Self::new(TypeKind::Boolean);
    pub const TINYINT: Self = Self::new(TypeKind::TinyInt);
    pub const SMALLINT: Self = Self::new(TypeKind::SmallInt);
    pub const INT: Self = Self::new(TypeKind::Int);
    pub const BIGINT: Self = Self::new(TypeKind::BigInt);
    pub const FLOAT: Self = Self::new(TypeKind::Float);
    pub const DOUBLE: Self = Self::new(TypeKind::Double);
    pub const STRING: Self = Self::new(TypeKind::Varchar(MAX_LENGTH));
    pub const BYTES: Self = Self::new(TypeKind::Varbinary(MAX_LENGTH));
    pub const DATE: Self = Self::new(TypeKind::Date);
    pub const NULL: Self = Self::new(TypeKind::Null);

    pub const fn decimal(precision: u8, scale: u8) -> Self {
        Self::new(TypeKind::Decimal { precision, scale })
    }

    pub const fn time(precision: u8) -> Self {
        Self::new(TypeKind::Time(precision))
    }

    pub const fn timestamp(precision: u8) -> Self {
        Self::new(TypeKind::Timestamp {
            precision,
            attribute: TimeAttribute::None,
        })
    }

    pub const fn timestamp_ltz(precision: u8) -> Self {
        Self::new(TypeKind::TimestampLtz {
            precision,
            attribute: TimeAttribute::None,
        })
    }

    pub fn array(element: LogicalType) -> Self {
        Self::new(TypeKind::Array(Box::new(element)))
    }

    pub fn map(key: LogicalType, value: LogicalType) -> Self {
        Self::new(TypeKind::Map(Box::new(key), Box::new(value)))
    }

    pub fn row(fields: impl IntoIterator<Item = (String, LogicalType)>) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, ty)| RowField {
                name,
                ty,
                description: None,
            })
            .collect();
        Self::new(TypeKind::Row(fields))
    }

    /// The same type with another nullability.
    pub fn with_nullable(&self, nullable: bool) -> Self {
        Self {
            kind: self.kind.clone(),
            nullable,
        }
    }

    pub fn family(&self) -> TypeFamily {
        self.kind.family()
    }

    pub fn is_character(&self) -> bool {
        self.family() == TypeFamily::CharacterString
    }

    pub fn is_binary(&self) -> bool {
        self.family() == TypeFamily::BinaryString
    }

    pub fn is_integer(&self) -> bool {
        self.family() == TypeFamily::Integer
    }

    /// Integers and DECIMAL.
    pub fn is_exact_numeric(&self) -> bool {
        matches!(self.family(), TypeFamily::Integer | TypeFamily::Decimal)
    }

    pub fn is_approximate(&self) -> bool {
        self.family() == TypeFamily::Approximate
    }

    pub fn is_numeric(&self) -> bool {
        self.is_exact_numeric() || self.is_approximate()
    }

    pub fn is_timestamp_like(&self) -> bool {
        matches!(self.family(), TypeFamily::Timestamp | TypeFamily::TimestampLtz)
    }

    pub fn is_datetime(&self) -> bool {
        self.is_timestamp_like() || matches!(self.family(), TypeFamily::Date | TypeFamily::Time)
    }

    pub fn is_interval(&self) -> bool {
        matches!(
            self.family(),
            TypeFamily::IntervalYearMonth | TypeFamily::IntervalDayTime
        )
    }

    pub fn is_null(&self) -> bool {
        self.kind == TypeKind::Null
    }

    /// ARRAY, MAP, MULTISET, ROW.
    pub fn is_nested(&self) -> bool {
        matches!(
            self.family(),
            TypeFamily::Array | TypeFamily::Map | TypeFamily::Multiset | TypeFamily::Row
        )
    }

    /// The time attribute of a timestamp; `None` for every other type.
    pub fn time_attribute(&self) -> TimeAttribute {
        match self.kind {
            TypeKind::Timestamp { attribute, .. } | TypeKind::TimestampLtz { attribute, .. } => attribute,
            _ => TimeAttribute::None,
        }
    }

    pub fn is_time_attribute(&self) -> bool {
        self.time_attribute() != TimeAttribute::None
    }

    /// The same type with the given time attribute (a type that is not a timestamp stays as it is).
    pub fn with_time_attribute(&self, attribute: TimeAttribute) -> Self {
        let kind = match self.kind {
            TypeKind::Timestamp { precision, .. } => TypeKind::Timestamp { precision, attribute },
            TypeKind::TimestampLtz { precision, .. } => TypeKind::TimestampLtz { precision, attribute },
            ref other => other.clone(),
        };
        Self {
            kind,
            nullable: self.nullable,
        }
    }

    /// The same type as plain data: no time attribute.
    pub fn without_time_attribute(&self) -> Self {
        self.with_time_attribute(TimeAttribute::None)
    }

    /// Length of a character or binary type.
    pub fn length(&self) -> Option<u32> {
        match self.kind {
            TypeKind::Char(n) | TypeKind::Varchar(n) | TypeKind::Binary(n) | TypeKind::Varbinary(n) => {
                Some(n)
            }
            _ => None,
        }
    }

    /// Precision of a TIME, TIMESTAMP, TIMESTAMP_LTZ or DECIMAL type.
    pub fn precision(&self) -> Option<u8> {
        match self.kind {
            TypeKind::Time(p)
            | TypeKind::Timestamp { precision: p, .. }
            | TypeKind::TimestampLtz { precision: p, .. }
            | TypeKind::Decimal { precision: p, .. } => Some(p),
            _ => None,
        }
    }

    /// Element, key/value or field types, in order.
    pub fn children(&self) -> Vec<&LogicalType> {
        match &self.kind {
            TypeKind::Array(e) | TypeKind::Multiset(e) => vec![e],
            TypeKind::Map(k, v) => vec![k, v],
            TypeKind::Row(fields) => fields.iter().map(|f| &f.ty).collect(),
            _ => Vec::new(),
        }
    }
}

impl TypeKind {
    pub fn family(&self) -> TypeFamily {
        match self {
            Self::Char(_) | Self::Varchar(_) => TypeFamily::CharacterString,
            Self::Binary(_) | Self::Varbinary(_) => TypeFamily::BinaryString,
            Self::Boolean => TypeFamily::Boolean,
            Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt => TypeFamily::Integer,
            Self::Float | Self::Double => TypeFamily::Approximate,
            Self::Decimal { .. } => TypeFamily::Decimal,
            Self::Date => TypeFamily::Date,
            Self::Time(_) => TypeFamily::Time,
            Self::Timestamp { .. } => TypeFamily::Timestamp,
            Self::TimestampLtz { .. } => TypeFamily::TimestampLtz,
            Self::IntervalYearMonth(_) => TypeFamily::IntervalYearMonth,
            Self::IntervalDayTime(_) => TypeFamily::IntervalDayTime,
            Self::Array(_) => TypeFamily::Array,
            Self::Map(..) => TypeFamily::Map,
            Self::Multiset(_) => TypeFamily::Multiset,
            Self::Row(_) => TypeFamily::Row,
            Self::Null => TypeFamily::Null,
            Self::Variant => TypeFamily::Variant,
            Self::Bitmap => TypeFamily::Bitmap,
            Self::Descriptor => TypeFamily::Descriptor,
            Self::Raw { .. } => TypeFamily::Raw,
        }
    }
}

impl fmt::Display for LogicalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        match self.time_attribute() {
            TimeAttribute::None => {}
            TimeAttribute::Rowtime if self.nullable => f.write_str(" *ROWTIME*")?,
            TimeAttribute::Proctime if self.nullable => f.write_str(" *PROCTIME*")?,
            TimeAttribute::Rowtime => return f.write_str(" NOT NULL *ROWTIME*"),
            TimeAttribute::Proctime => return f.write_str(" NOT NULL *PROCTIME*"),
        }
        if self.nullable || self.is_null() {
            Ok(())
        } else {
            f.write_str(" NOT NULL")
        }
    }
}

impl fmt::Debug for LogicalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for TypeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(n) => write!(f, "CHAR({n})"),
            Self::Varchar(MAX_LENGTH) => f.write_str("STRING"),
            Self::Varchar(n) => write!(f, "VARCHAR({n})"),
            Self::Binary(n) => write!(f, "BINARY({n})"),
            Self::Varbinary(MAX_LENGTH) => f.write_str("BYTES"),
            Self::Varbinary(n) => write!(f, "VARBINARY({n})"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            Self::Date => f.write_str("DATE"),
            Self::Time(p) => write!(f, "TIME({p})"),
            Self::Timestamp { precision, .. } => write!(f, "TIMESTAMP({precision})"),
            Self::TimestampLtz { precision, .. } => write!(f, "TIMESTAMP_LTZ({precision})"),
            Self::IntervalYearMonth(r) => write!(f, "INTERVAL {r}"),
            Self::IntervalDayTime(r) => write!(f, "INTERVAL {r}"),
            Self::Array(e) => write!(f, "ARRAY<{e}>"),
            Self::Map(k, v) => write!(f, "MAP<{k}, {v}>"),
            Self::Multiset(e) => write!(f, "MULTISET<{e}>"),
            Self::Row(fields) => fmt_row(f, fields),
            Self::Null => f.write_str("NULL"),
            Self::Variant => f.write_str("VARIANT"),
            Self::Bitmap => f.write_str("BITMAP"),
            Self::Descriptor => f.write_str("DESCRIPTOR"),
            Self::Raw { class, serializer } => write!(f, "RAW('{class}', '{serializer}')"),
        }
    }
}

fn fmt_row(f: &mut fmt::Formatter<'_>, fields: &[RowField]) -> fmt::Result {
    f.write_str("ROW<")?;
    for (i, field) in fields.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        write!(f, "`{}` {}", field.name.replace('`', "``"), field.ty)?;
        if let Some(text) = &field.description {
            write!(f, " '{}'", text.replace('\'', "''"))?;
        }
    }
    f.write_str(">")
}

impl fmt::Display for YearMonthResolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Year => "YEAR(2)",
            Self::Month => "MONTH",
            Self::YearToMonth => "YEAR(2) TO MONTH",
        })
    }
}

impl fmt::Display for DayTimeResolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Day => "DAY(2)",
            Self::DayToHour => "DAY(2) TO HOUR",
            Self::DayToMinute => "DAY(2) TO MINUTE",
            Self::DayToSecond => "DAY(2) TO SECOND(3)",
            Self::Hour => "HOUR",
            Self::HourToMinute => "HOUR TO MINUTE",
            Self::HourToSecond => "HOUR TO SECOND(3)",
            Self::Minute => "MINUTE",
            Self::MinuteToSecond => "MINUTE TO SECOND(3)",
            Self::Second => "SECOND(3)",
        })
    }
}
