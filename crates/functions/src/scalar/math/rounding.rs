//! FLOOR, CEIL, ROUND and TRUNCATE of numbers.
//!
//! FLOOR and CEIL of a datetime to a unit, `FLOOR(ts TO HOUR)`, arrive here with the unit as a second argument and are
//! handed on to FLOOR_TO and CEIL_TO.

use arrow_array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use arrow_array::{ArrayRef, ArrowPrimitiveType, Int32Array};
use millstream_types::TypeKind;

use crate::cast::{power_of_ten, rescale};
use crate::registry::scalar_function;
use crate::scalar::access::internal;
use crate::scalar::arithmetic::lanes;
use crate::scalar::forms::{Arg, check};
use crate::scalar::{Datum, EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};
use crate::typing::round_type;

use super::sign::same_type;

/// FLOOR, CEIL, ROUND and TRUNCATE.
pub const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Arithmetic,
        "FLOOR",
        "FLOOR(x)",
        "The largest whole number that is not greater; a DECIMAL keeps its precision and loses its scale.",
        |args| whole_signature("FLOOR", args),
        |args| {
            if args.args.len() > 1 {
                return (to_unit("FLOOR_TO")?.kernel)(args);
            }
            whole(args, f32::floor, f64::floor, i128::div_euclid)
        },
    ),
    ScalarFunction::new(
        Group::Arithmetic,
        "CEIL",
        "CEIL(x)",
        "The smallest whole number that is not smaller; a DECIMAL keeps its precision and loses its scale.",
        |args| whole_signature("CEIL", args),
        |args| {
            if args.args.len() > 1 {
                return (to_unit("CEIL_TO")?.kernel)(args);
            }
            whole(args, f32::ceil, f64::ceil, |v, unit| {
                v.wrapping_neg().div_euclid(unit).wrapping_neg()
            })
        },
    )
    .aliases(&["CEILING"]),
    ScalarFunction::new(
        Group::Arithmetic,
        "ROUND",
        "ROUND(x [, places])",
        "The number rounded half up to decimal places, to a whole number without.",
        |args| places_signature("ROUND", args),
        |args| to_places(args, Mode::HalfUp),
    ),
    ScalarFunction::new(
        Group::Arithmetic,
        "TRUNCATE",
        "TRUNCATE(x [, places])",
        "The number cut to decimal places, to a whole number without.",
        |args| places_signature("TRUNCATE", args),
        |args| to_places(args, Mode::Down),
    ),
];

/// The function that rounds datetimes.
fn to_unit(name: &str) -> Result<&'static ScalarFunction, EvalError> {
    scalar_function(name).ok_or_else(|| internal(format!("no function is called '{name}'")))
}

fn whole_signature(name: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.len() == 2
        && let Some(function) = scalar_function(&format!("{name}_TO"))
    {
        return (function.signature)(args);
    }
    let mut signature = same_type(name, args)?;
    if let TypeKind::Decimal { scale, .. } = &mut signature.result.kind {
        *scale = 0;
    }
    Ok(signature)
}

fn whole(
    args: &KernelArgs<'_>,
    float: fn(f32) -> f32,
    double: fn(f64) -> f64,
    decimal: fn(i128, i128) -> i128,
) -> Result<ArrayRef, EvalError> {
    match args.arg_types[0].kind {
        TypeKind::TinyInt => lanes::unary::<Int8Type, _>(args, |v| v),
        TypeKind::SmallInt => lanes::unary::<Int16Type, _>(args, |v| v),
        TypeKind::Int => lanes::unary::<Int32Type, _>(args, |v| v),
        TypeKind::BigInt => lanes::unary::<Int64Type, _>(args, |v| v),
        TypeKind::Float => lanes::unary::<Float32Type, _>(args, float),
        TypeKind::Double => lanes::unary::<Float64Type, _>(args, double),
        TypeKind::Decimal { scale, .. } => {
            let unit = power_of_ten(u32::from(scale));
            lanes::unary::<Decimal128Type, _>(args, |v| decimal(v, unit))
        }
        _ => Err(internal(format!(
            "expected a number, found {}",
            args.arg_types[0]
        ))),
    }
}

fn places_signature(name: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let mut types = check(name, args, &[&[Arg::Numeric], &[Arg::Numeric, Arg::Integer]])?;
    let literal_places = match args.get(1) {
        None => Some(0),
        Some(places) => places.literal.and_then(|value| value.as_i64()),
    };
    if let Some(places) = types.get_mut(1) {
        places.kind = TypeKind::Int;
    }
    // Without knowing the places, the type must hold any.
    let rounded = literal_places.map_or_else(|| types[0].clone(), |places| round_type(&types[0], places));
    let result = rounded.with_nullable(types.iter().any(|ty| ty.nullable));
    Ok(Signature { args: types, result })
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    HalfUp,
    Down,
}

fn to_places(args: &mut KernelArgs<'_>, mode: Mode) -> Result<ArrayRef, EvalError> {
    let zero = Datum::Constant(std::sync::Arc::new(Int32Array::from(vec![0])));
    let operands = [&args.args[0], args.args.get(1).unwrap_or(&zero)];
    match args.arg_types[0].kind {
        TypeKind::TinyInt => integers::<Int8Type>(args, operands, mode, |v| v as i8),
        TypeKind::SmallInt => integers::<Int16Type>(args, operands, mode, |v| v as i16),
        TypeKind::Int => integers::<Int32Type>(args, operands, mode, |v| v as i32),
        TypeKind::BigInt => integers::<Int64Type>(args, operands, mode, |v| v as i64),
        TypeKind::Float => {
            lanes::binary::<Float32Type, Int32Type, Float32Type>(args, operands, |v, places| {
                round_double(f64::from(v), places, mode) as f32
            })
        }
        TypeKind::Double => {
            lanes::binary::<Float64Type, Int32Type, Float64Type>(args, operands, |v, places| {
                round_double(v, places, mode)
            })
        }
        TypeKind::Decimal { scale, .. } => decimals(args, operands, scale, mode),
        _ => Err(internal(format!(
            "expected a number, found {}",
            args.arg_types[0]
        ))),
    }
}

fn integers<T: ArrowPrimitiveType>(
    args: &KernelArgs<'_>,
    operands: [&Datum; 2],
    mode: Mode,
    narrow: impl Fn(i128) -> T::Native,
) -> Result<ArrayRef, EvalError>
where
    T::Native: Into<i64>,
{
    lanes::binary::<T, Int32Type, T>(args, operands, |v, places| {
        if places >= 0 {
            v
        } else {
            narrow(at_digit(i128::from(v.into()), places.unsigned_abs(), mode))
        }
    })
}

/// An integer with its last `digits` digits rounded away.
fn at_digit(value: i128, digits: u32, mode: Mode) -> i128 {
    if digits > 38 {
        return 0;
    }
    let unit = power_of_ten(digits);
    let (kept, rest) = (value - value % unit, value % unit);
    let away = mode == Mode::HalfUp && rest.unsigned_abs() >= unit.unsigned_abs() - rest.unsigned_abs();
    if away {
        kept.saturating_add(unit * value.signum())
    } else {
        kept
    }
}

fn decimals(
    args: &KernelArgs<'_>,
    operands: [&Datum; 2],
    scale: u8,
    mode: Mode,
) -> Result<ArrayRef, EvalError> {
    let TypeKind::Decimal {
        precision,
        scale: result_scale,
    } = args.result.kind
    else {
        return Err(internal(format!("a rounded DECIMAL is a {}", args.result)));
    };
    lanes::try_binary::<Decimal128Type, Int32Type, Decimal128Type>(args, operands, |v, places| {
        let dropped = i64::from(scale) - i64::from(places);
        let rounded = if dropped <= 0 {
            v
        } else {
            at_digit(v, dropped.min(100) as u32, mode)
        };
        Ok(rescale(rounded, scale, precision, result_scale))
    })
}

/// The decimal digits of a DOUBLE rounded at a place; what Java does through `BigDecimal.valueOf`.
fn round_double(value: f64, places: i32, mode: Mode) -> f64 {
    if !value.is_finite() || value == 0.0 {
        return value + 0.0;
    }
    let text = format!("{:e}", value.abs());
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return value;
    };
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let mut digits: Vec<u8> = mantissa
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(|b| b - b'0')
        .collect();
    let kept = exponent + 1 + i64::from(places);
    if kept >= digits.len() as i64 {
        return value;
    }
    let next = if kept < 0 { 0 } else { digits[kept as usize] };
    digits.truncate(kept.max(0) as usize);
    // Digits behind the first are at 10^(exponent - position); a carry moves in front of them.
    let mut unit_exponent = exponent + 1 - digits.len() as i64;
    if mode == Mode::HalfUp && next >= 5 {
        increment(&mut digits);
        unit_exponent = -i64::from(places);
    }
    if digits.iter().all(|digit| *digit == 0) {
        return 0.0;
    }
    let digits: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
    let magnitude: f64 = format!("{digits}e{unit_exponent}").parse().unwrap_or(value.abs());
    magnitude.copysign(value)
}

fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
    digits.insert(0, 1);
}
