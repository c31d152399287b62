//! Values of one column.

use arrow_array::ArrayRef;
use millstream_types::options::{parse_boolean, parse_duration};
use millstream_types::{LogicalType, Options, Rng, Scalar, TypeKind, scalars_to_array};

use crate::table_error::{DatagenError, TableError};

const STRING_LENGTH_DEFAULT: usize = 100;
const COLLECTION_LENGTH_DEFAULT: usize = 3;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// How the values of a column are generated.
#[derive(Clone, Debug)]
pub struct Generator {
    ty: LogicalType,
    null_rate: f64,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Sequence {
        start: i64,
        end: i64,
    },
    Integer {
        min: i64,
        max: i64,
    },
    Float {
        min: f64,
        max: f64,
    },
    Decimal {
        min: i128,
        max: i128,
    },
    Boolean,
    Text {
        length: usize,
        vary: bool,
    },
    Bytes {
        length: usize,
        vary: bool,
    },
    /// Timestamps, dates and times up to this many milliseconds before now.
    Past {
        max_past_ms: i64,
    },
    IntervalMonths,
    IntervalMillis {
        min: i64,
        max: i64,
    },
    List {
        element: Box<Generator>,
        length: usize,
    },
    Map {
        key: Box<Generator>,
        value: Box<Generator>,
        length: usize,
    },
    Row(Vec<Generator>),
}

/// Options of one field.
struct FieldOptions<'a> {
    field: &'a str,
    options: &'a Options,
}

impl FieldOptions<'_> {
    fn key(&self, name: &str) -> String {
        format!("fields.{}.{name}", self.field)
    }

    fn text(&self, name: &str) -> Option<&String> {
        self.options.get(&self.key(name))
    }

    fn parse<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, TableError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        text.trim().parse().map(Some).map_err(|_| TableError::FieldValue {
            key: self.key(name),
            value: text.clone(),
        })
    }

    /// Bounds, both inclusive; they default to the range of the type.
    fn bounds<T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy>(
        &self,
        min: T,
        max: T,
    ) -> Result<(T, T), TableError> {
        let (low, high) = (
            self.parse("min")?.unwrap_or(min),
            self.parse("max")?.unwrap_or(max),
        );
        if low > high {
            return Err(DatagenError::Bounds {
                field: self.field.to_owned(),
                low: low.to_string(),
                high: high.to_string(),
            }
            .into());
        }
        Ok((low, high))
    }

    fn strict_bounds<T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy>(
        &self,
        min: T,
        max: T,
    ) -> Result<(T, T), TableError> {
        let (low, high) = self.bounds(min, max)?;
        if low >= high {
            return Err(DatagenError::StrictBounds {
                field: self.field.to_owned(),
                low: low.to_string(),
                high: high.to_string(),
            }
            .into());
        }
        Ok((low, high))
    }
}

impl Generator {
    /// The generator of column `field`; the error names the option.
    pub fn parse(field: &str, ty: &LogicalType, options: &Options) -> Result<Self, TableError> {
        let own = FieldOptions { field, options };
        let null_rate: f64 = own.parse("null-rate")?.unwrap_or(0.0);
        let kind = match own.text("kind").map(String::as_str).unwrap_or("random") {
            "random" => random(&own, ty)?,
            "sequence" => sequence(&own, ty)?,
            other => {
                return Err(DatagenError::Kind {
                    kind: other.to_owned(),
                    key: own.key("kind"),
                }
                .into());
            }
        };
        Ok(Self {
            ty: ty.clone(),
            null_rate,
            kind,
        })
    }

    /// Length of a sequence; `None` for random values.
    pub fn sequence_length(&self) -> Option<u64> {
        match self.kind {
            Kind::Sequence { start, end } => Some((i128::from(end) - i128::from(start) + 1).max(0) as u64),
            _ => None,
        }
    }

    /// The values of the rows with numbers `indices`.
    pub fn column(&self, indices: &[u64], now_ms: i64, rng: &dyn Rng) -> ArrayRef {
        let values: Vec<Scalar> = indices
            .iter()
            .map(|index| self.value(*index, now_ms, rng))
            .collect();
        scalars_to_array(&self.ty, values.iter())
    }

    fn value(&self, index: u64, now_ms: i64, rng: &dyn Rng) -> Scalar {
        if self.null_rate > 0.0 && rng.unit_f64() < self.null_rate {
            return Scalar::Null;
        }
        match &self.kind {
            Kind::Sequence { start, .. } => self.number(i128::from(*start) + i128::from(index)),
            Kind::Integer { min, max } => {
                self.number(i128::from(*min) + below(rng, i128::from(*max) - i128::from(*min) + 1))
            }
            Kind::Float { min, max } => {
                let value = min + (max - min) * rng.unit_f64();
                if self.ty.kind == TypeKind::Float {
                    Scalar::Float(value as f32)
                } else {
                    Scalar::Double(value)
                }
            }
            Kind::Decimal { min, max } => Scalar::Decimal(min + below(rng, max - min + 1)),
            Kind::Boolean => Scalar::Boolean(rng.next_u64() & 1 == 1),
            Kind::Text { length, vary } => {
                let digit = |_| char::from(HEX[rng.below(16) as usize]);
                Scalar::String((0..varied(*length, *vary, rng)).map(digit).collect())
            }
            Kind::Bytes { length, vary } => Scalar::Bytes(
                (0..varied(*length, *vary, rng))
                    .map(|_| rng.next_u64() as u8)
                    .collect(),
            ),
            Kind::Past { max_past_ms } => self.past(now_ms - below(rng, i128::from(*max_past_ms) + 1) as i64),
            Kind::IntervalMonths => Scalar::IntervalYearMonth(rng.below(12_000) as i32),
            Kind::IntervalMillis { min, max } => Scalar::IntervalDayTime(
                (i128::from(*min) + below(rng, i128::from(*max) - i128::from(*min) + 1)) as i64,
            ),
            Kind::List { element, length } => {
                Scalar::Array((0..*length).map(|_| element.value(index, now_ms, rng)).collect())
            }
            Kind::Map { key, value, length } => {
                let entry = |_| (key.value(index, now_ms, rng), value.value(index, now_ms, rng));
                Scalar::Map((0..*length).map(entry).collect())
            }
            Kind::Row(fields) => Scalar::Row(fields.iter().map(|f| f.value(index, now_ms, rng)).collect()),
        }
    }

    fn number(&self, value: i128) -> Scalar {
        match self.ty.kind {
            TypeKind::TinyInt => Scalar::TinyInt(value as i8),
            TypeKind::SmallInt => Scalar::SmallInt(value as i16),
            TypeKind::Int => Scalar::Int(value as i32),
            TypeKind::Float => Scalar::Float(value as f32),
            TypeKind::Double => Scalar::Double(value as f64),
            TypeKind::Decimal { scale, .. } => Scalar::Decimal(value * 10i128.pow(u32::from(scale))),
            TypeKind::Char(_) | TypeKind::Varchar(_) => Scalar::String(value.to_string()),
            _ => Scalar::BigInt(value as i64),
        }
    }

    fn past(&self, ms: i64) -> Scalar {
        match self.ty.kind {
            TypeKind::Date => Scalar::Date(ms.div_euclid(86_400_000) as i32),
            TypeKind::Time(_) => Scalar::Time(ms.rem_euclid(86_400_000) as i32),
            _ => Scalar::Timestamp(i128::from(ms) * 1_000_000),
        }
    }
}

fn below(rng: &dyn Rng, bound: i128) -> i128 {
    match u64::try_from(bound) {
        Ok(bound) => i128::from(rng.below(bound)),
        // Wider than 64 bits, so the bias of the modulo is negligible.
        Err(_) => {
            let wide = (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64());
            (wide % bound.max(1).unsigned_abs()) as i128
        }
    }
}

fn varied(length: usize, vary: bool, rng: &dyn Rng) -> usize {
    if vary && length > 0 {
        1 + rng.below(length as u64) as usize
    } else {
        length
    }
}

fn random(own: &FieldOptions<'_>, ty: &LogicalType) -> Result<Kind, TableError> {
    Ok(match &ty.kind {
        TypeKind::Boolean => Kind::Boolean,
        TypeKind::TinyInt => integer(own, i64::from(i8::MIN), i64::from(i8::MAX))?,
        TypeKind::SmallInt => integer(own, i64::from(i16::MIN), i64::from(i16::MAX))?,
        TypeKind::Int => integer(own, i64::from(i32::MIN), i64::from(i32::MAX))?,
        TypeKind::BigInt => {
            let (min, max) = own.strict_bounds(i64::MIN, i64::MAX)?;
            Kind::Integer { min, max }
        }
        TypeKind::Float => {
            let (min, max) = own.strict_bounds(f64::from(f32::MIN), f64::from(f32::MAX))?;
            Kind::Float { min, max }
        }
        TypeKind::Double => {
            let (min, max) = own.strict_bounds(f64::MIN / 2.0, f64::MAX / 2.0)?;
            Kind::Float { min, max }
        }
        TypeKind::Decimal { precision, scale } => decimal(own, *precision, *scale)?,
        TypeKind::Char(_) | TypeKind::Varchar(_) | TypeKind::Binary(_) | TypeKind::Varbinary(_) => {
            text(own, ty)?
        }
        TypeKind::Date | TypeKind::Time(_) | TypeKind::Timestamp { .. } | TypeKind::TimestampLtz { .. } => {
            past(own)?
        }
        TypeKind::IntervalYearMonth(_) => Kind::IntervalMonths,
        TypeKind::IntervalDayTime(_) => {
            let (min, max) = own.bounds(0, i64::MAX / 2)?;
            Kind::IntervalMillis { min, max }
        }
        TypeKind::Array(element) => Kind::List {
            element: child(own, "element", element)?,
            length: collection(own)?,
        },
        TypeKind::Multiset(element) => Kind::Map {
            key: child(own, "element", element)?,
            value: Box::new(Generator {
                ty: LogicalType::INT,
                null_rate: 0.0,
                kind: Kind::Integer { min: 1, max: 10 },
            }),
            length: collection(own)?,
        },
        TypeKind::Map(key, value) => Kind::Map {
            key: child(own, "key", key)?,
            value: child(own, "value", value)?,
            length: collection(own)?,
        },
        TypeKind::Row(fields) => {
            let fields: Result<Vec<_>, _> = fields
                .iter()
                .map(|f| child(own, &f.name, &f.ty).map(|g| *g))
                .collect();
            Kind::Row(fields?)
        }
        _ => {
            return Err(DatagenError::Type {
                ty: ty.clone(),
                field: own.field.to_owned(),
            }
            .into());
        }
    })
}

fn decimal(own: &FieldOptions<'_>, precision: u8, scale: u8) -> Result<Kind, TableError> {
    let largest = 10f64.powi(i32::from(precision) - i32::from(scale));
    let (min, max) = own.strict_bounds(-largest, largest)?;
    let unit = 10f64.powi(i32::from(scale));
    let limit = 10i128.pow(u32::from(precision)) - 1;
    let unscaled = |v: f64| ((v * unit) as i128).clamp(-limit, limit);
    Ok(Kind::Decimal {
        min: unscaled(min),
        max: unscaled(max),
    })
}

fn past(own: &FieldOptions<'_>) -> Result<Kind, TableError> {
    let past = own.text("max-past").map(|v| {
        parse_duration(v).ok_or_else(|| TableError::FieldValue {
            key: own.key("max-past"),
            value: v.clone(),
        })
    });
    Ok(Kind::Past {
        max_past_ms: past.transpose()?.map_or(0, |d| d.as_millis() as i64),
    })
}

fn integer(own: &FieldOptions<'_>, min: i64, max: i64) -> Result<Kind, TableError> {
    let (min, max) = own.bounds(min, max)?;
    Ok(Kind::Integer { min, max })
}

fn child(own: &FieldOptions<'_>, name: &str, ty: &LogicalType) -> Result<Box<Generator>, TableError> {
    Generator::parse(&format!("{}.{name}", own.field), ty, own.options).map(Box::new)
}

fn collection(own: &FieldOptions<'_>) -> Result<usize, TableError> {
    Ok(own.parse("length")?.unwrap_or(COLLECTION_LENGTH_DEFAULT))
}

fn text(own: &FieldOptions<'_>, ty: &LogicalType) -> Result<Kind, TableError> {
    let asked: Option<usize> = own.parse("length")?;
    let vary = own
        .text("var-len")
        .and_then(|v| parse_boolean(v))
        .unwrap_or(false);
    let declared = ty.length().unwrap_or(0) as usize;
    let fixed = matches!(ty.kind, TypeKind::Char(_) | TypeKind::Binary(_));
    if fixed && (asked.is_some() || vary) {
        return Err(DatagenError::FixedLength(own.field.to_owned()).into());
    }
    let unbounded = ty.length() == Some(millstream_types::logical_type::MAX_LENGTH);
    if asked.is_some_and(|length| length > declared) {
        return Err(DatagenError::Length {
            length: asked.unwrap_or(0),
            field: own.field.to_owned(),
            declared,
        }
        .into());
    }
    let length = asked.unwrap_or(if unbounded {
        STRING_LENGTH_DEFAULT
    } else {
        declared
    });
    let is_binary = ty.is_binary();
    Ok(if is_binary {
        Kind::Bytes { length, vary }
    } else {
        Kind::Text { length, vary }
    })
}

fn sequence(own: &FieldOptions<'_>, ty: &LogicalType) -> Result<Kind, TableError> {
    let number = matches!(
        ty.kind,
        TypeKind::TinyInt
            | TypeKind::SmallInt
            | TypeKind::Int
            | TypeKind::BigInt
            | TypeKind::Float
            | TypeKind::Double
            | TypeKind::Decimal { .. }
            | TypeKind::Char(_)
            | TypeKind::Varchar(_)
    );
    if !number {
        return Err(DatagenError::Sequence {
            key: own.key("kind"),
            ty: ty.kind.clone(),
        }
        .into());
    }
    let bound = |name: &str| {
        own.parse(name)?
            .ok_or_else(|| TableError::from(DatagenError::NoBound(own.key(name))))
    };
    let (start, end) = (bound("start")?, bound("end")?);
    if start > end {
        return Err(DatagenError::SequenceBounds {
            field: own.field.to_owned(),
            start,
            end,
        }
        .into());
    }
    Ok(Kind::Sequence { start, end })
}
