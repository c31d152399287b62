//! RAND, RAND_INTEGER and UUID.
//!
//! A seed makes the numbers of `java.util.Random`; without one they come from the environment's generator.

use arrow_array::ArrayRef;
use arrow_array::types::{Float64Type, Int32Type};
use millstream_types::{LogicalType, TypeKind};

use crate::scalar::access::data_error;
use crate::scalar::forms::{Arg, check, strict};
use crate::scalar::{Determinism, EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

/// Characters of a UUID.
const UUID_LENGTH: u32 = 36;

/// Functions of chance.
pub const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Arithmetic,
        "RAND",
        "RAND([seed])",
        "A random DOUBLE from 0.0 up to, not including, 1.0; the same sequence for the same seed.",
        |args| integers("RAND", args, &[&[], &[Arg::Integer]], LogicalType::DOUBLE),
        rand,
    )
    .determinism(Determinism::Never),
    ScalarFunction::new(
        Group::Arithmetic,
        "RAND_INTEGER",
        "RAND_INTEGER([seed,] bound)",
        "A random INT from 0 up to, not including, the bound; the same sequence for the same seed.",
        |args| {
            integers(
                "RAND_INTEGER",
                args,
                &[&[Arg::Integer], &[Arg::Integer, Arg::Integer]],
                LogicalType::INT,
            )
        },
        rand_integer,
    )
    .determinism(Determinism::Never),
    ScalarFunction::new(
        Group::Arithmetic,
        "UUID",
        "UUID()",
        "A random UUID (version 4) as text.",
        |args| {
            check("UUID", args, &[&[]])?;
            Ok(Signature {
                args: Vec::new(),
                result: LogicalType::not_null(TypeKind::Char(UUID_LENGTH)),
            })
        },
        uuid,
    )
    .determinism(Determinism::Never),
];

fn integers(
    name: &str,
    args: &[ArgInfo<'_>],
    forms: &[&[Arg]],
    result: LogicalType,
) -> Result<Signature, SignatureError> {
    let types = check(name, args, forms)?;
    strict(
        types
            .iter()
            .map(|ty| LogicalType::INT.with_nullable(ty.nullable))
            .collect(),
        result,
    )
}

/// The generator of `java.util.Random`: 48 bits, linear congruential.
struct JavaRandom {
    state: u64,
}

impl JavaRandom {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const INCREMENT: u64 = 0xB;
    const MASK: u64 = (1 << 48) - 1;

    fn new(seed: i64) -> Self {
        Self {
            state: (seed as u64 ^ Self::MULTIPLIER) & Self::MASK,
        }
    }

    fn next(&mut self, bits: u32) -> i32 {
        self.state = self
            .state
            .wrapping_mul(Self::MULTIPLIER)
            .wrapping_add(Self::INCREMENT)
            & Self::MASK;
        (self.state >> (48 - bits)) as i32
    }

    fn next_double(&mut self) -> f64 {
        let (high, low) = (i64::from(self.next(26)), i64::from(self.next(27)));
        ((high << 27) + low) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..bound`; `bound` is positive.
    fn next_below(&mut self, bound: i32) -> i32 {
        let bits = self.next(31);
        if bound & (bound - 1) == 0 {
            return ((i64::from(bound) * i64::from(bits)) >> 31) as i32;
        }
        let mut bits = bits;
        loop {
            let value = bits % bound;
            // An overflow marks the last, incomplete stretch of multiples of the bound.
            if bits.wrapping_sub(value).wrapping_add(bound - 1) >= 0 {
                return value;
            }
            bits = self.next(31);
        }
    }
}

/// A generator for each call site with a constant seed; a seed from a column starts from scratch for each row.
struct Seeded {
    seed: i32,
    random: JavaRandom,
}

impl Seeded {
    fn with_seed(&mut self, seed: i32, constant: bool) -> &mut JavaRandom {
        if !constant || seed != self.seed {
            *self = Self {
                seed,
                random: JavaRandom::new(i64::from(seed)),
            };
        }
        &mut self.random
    }
}

fn seeded(args: &mut KernelArgs<'_>) -> Seeded {
    let held = args.cache.get_or_insert_with(|| Seeded {
        seed: 0,
        random: JavaRandom::new(0),
    });
    Seeded {
        seed: held.seed,
        random: JavaRandom {
            state: held.random.state,
        },
    }
}

fn keep(args: &mut KernelArgs<'_>, used: Seeded) {
    *args.cache.get_or_insert_with(|| Seeded {
        seed: 0,
        random: JavaRandom::new(0),
    }) = used;
}

fn rand(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    if args.args.is_empty() {
        return args.write_primitives::<Float64Type>(|_| Some(args.env.rng.unit_f64()));
    }
    let (seeds, constant) = (args.primitives::<Int32Type>(0)?, args.args[0].is_constant());
    let mut state = seeded(args);
    let drawn = args.write_primitives::<Float64Type>(|row| {
        seeds
            .get(row)
            .map(|seed| state.with_seed(seed, constant).next_double())
    });
    keep(args, state);
    drawn
}

fn rand_integer(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let bound_at = args.args.len() - 1;
    let bounds = args.primitives::<Int32Type>(bound_at)?;
    let checked = |bound: i32| {
        if bound > 0 {
            Ok(bound)
        } else {
            Err(data_error(format!("bound must be positive, found {bound}")))
        }
    };
    if bound_at == 0 {
        return args.try_write_primitives::<Int32Type>(|row| {
            let bound = bounds.get(row).map(checked).transpose()?;
            Ok(bound.map(|bound| args.env.rng.below(bound as u64) as i32))
        });
    }
    let (seeds, constant) = (args.primitives::<Int32Type>(0)?, args.args[0].is_constant());
    let mut state = seeded(args);
    let drawn = args.try_write_primitives::<Int32Type>(|row| {
        let (Some(seed), Some(bound)) = (seeds.get(row), bounds.get(row)) else {
            return Ok(None);
        };
        Ok(Some(state.with_seed(seed, constant).next_below(checked(bound)?)))
    });
    keep(args, state);
    drawn
}

fn uuid(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    use std::fmt::Write as _;
    args.write_text(|_, out| {
        let (high, low) = (args.env.rng.next_u64(), args.env.rng.next_u64());
        let (high, low) = (high & !0xF000 | 0x4000, low & !(0b11 << 62) | 0b10 << 62);
        let parts = (
            high >> 32,
            high >> 16 & 0xFFFF,
            high & 0xFFFF,
            low >> 48,
            low & 0xFFFF_FFFF_FFFF,
        );
        write!(
            out,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            parts.0, parts.1, parts.2, parts.3, parts.4
        )
        .ok()
    })
}
