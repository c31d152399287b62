//! Aggregates over bitmaps: BITMAP_BUILD_AGG makes one of integers, the others combine those of a group.
//!
//! A group keeps its values with their counts, so that every result follows from what is there after retractions.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, BinaryViewArray, Int64Array};
use millstream_types::{LogicalType, TypeKind};

use super::collect::{CountedValues, delegate_to_counts};
use super::rows::defect;
use super::signatures::{check_count, refuse};
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::scalar::EvalError;
use crate::scalar::collection::roaring::{decode, encode};
use crate::signature::{ArgInfo, Signature, SignatureError};

const fn function(
    name: &'static str,
    syntax: &'static str,
    doc: &'static str,
    signature: fn(&[ArgInfo<'_>]) -> Result<Signature, SignatureError>,
) -> AggregateFunction {
    AggregateFunction {
        name,
        aliases: &[],
        syntax,
        doc,
        window_only: false,
        constant_args: &[],
        signature,
        accumulator,
    }
}

pub const FUNCTIONS: &[AggregateFunction] = &[
    function(
        "BITMAP_BUILD_AGG",
        "BITMAP_BUILD_AGG([DISTINCT] integer)",
        "The bitmap of the integers that are not NULL; NULL without any.",
        |args| of_integers("BITMAP_BUILD_AGG", args, BITMAP),
    ),
    function(
        "BITMAP_BUILD_CARDINALITY_AGG",
        "BITMAP_BUILD_CARDINALITY_AGG([DISTINCT] integer)",
        "Number of different integers that are not NULL; NULL without any.",
        |args| of_integers("BITMAP_BUILD_CARDINALITY_AGG", args, LogicalType::BIGINT),
    ),
    function(
        "BITMAP_AND_AGG",
        "BITMAP_AND_AGG(bitmap)",
        "The integers that are in all bitmaps of the group; NULL without a bitmap.",
        |args| of_bitmaps("BITMAP_AND_AGG", args, BITMAP),
    ),
    function(
        "BITMAP_AND_CARDINALITY_AGG",
        "BITMAP_AND_CARDINALITY_AGG(bitmap)",
        "Number of integers that are in all bitmaps of the group; NULL without a bitmap.",
        |args| of_bitmaps("BITMAP_AND_CARDINALITY_AGG", args, LogicalType::BIGINT),
    ),
    function(
        "BITMAP_OR_AGG",
        "BITMAP_OR_AGG(bitmap)",
        "The integers that are in any bitmap of the group; NULL without a bitmap.",
        |args| of_bitmaps("BITMAP_OR_AGG", args, BITMAP),
    ),
    function(
        "BITMAP_OR_CARDINALITY_AGG",
        "BITMAP_OR_CARDINALITY_AGG(bitmap)",
        "Number of integers that are in any bitmap of the group; NULL without a bitmap.",
        |args| of_bitmaps("BITMAP_OR_CARDINALITY_AGG", args, LogicalType::BIGINT),
    ),
    function(
        "BITMAP_XOR_AGG",
        "BITMAP_XOR_AGG(bitmap)",
        "The integers that are in an odd number of bitmaps of the group; NULL without a bitmap.",
        |args| of_bitmaps("BITMAP_XOR_AGG", args, BITMAP),
    ),
    function(
        "BITMAP_XOR_CARDINALITY_AGG",
        "BITMAP_XOR_CARDINALITY_AGG(bitmap)",
        "Number of integers that are in an odd number of bitmaps of the group; NULL without a bitmap.",
        |args| of_bitmaps("BITMAP_XOR_CARDINALITY_AGG", args, LogicalType::BIGINT),
    ),
];

const BITMAP: LogicalType = LogicalType::new(TypeKind::Bitmap);

fn of_integers(
    function: &str,
    args: &[ArgInfo<'_>],
    result: LogicalType,
) -> Result<Signature, SignatureError> {
    check_count(function, args, 1..=1)?;
    let fits = matches!(
        args[0].ty.kind,
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Int
    );
    if !fits {
        return Err(refuse(function, args, &format!("{function}(<INTEGER>)")));
    }
    Ok(Signature {
        args: vec![LogicalType::INT],
        result,
    })
}

fn of_bitmaps(
    function: &str,
    args: &[ArgInfo<'_>],
    result: LogicalType,
) -> Result<Signature, SignatureError> {
    check_count(function, args, 1..=1)?;
    if args[0].ty.kind != TypeKind::Bitmap {
        return Err(refuse(function, args, &format!("{function}(<BITMAP>)")));
    }
    Ok(Signature {
        args: vec![BITMAP],
        result,
    })
}

fn accumulator(args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
    let combination = match args.function {
        name if name.starts_with("BITMAP_AND") => Combination::And,
        name if name.starts_with("BITMAP_XOR") => Combination::Xor,
        name if name.starts_with("BITMAP_OR") => Combination::Or,
        _ => Combination::Build,
    };
    Box::new(Bitmaps {
        counts: CountedValues::new("BITMAP_AGG", args.arg_types),
        combination,
        counts_only: args.result.kind == TypeKind::BigInt,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Combination {
    /// The values are integers.
    Build,
    And,
    Or,
    Xor,
}

struct Bitmaps {
    counts: CountedValues,
    combination: Combination,
    /// The result is a cardinality.
    counts_only: bool,
}

impl Bitmaps {
    /// The integers of a group; `None` without values.
    fn integers(&self, group: u32) -> Result<Option<Vec<u32>>, EvalError> {
        let present: Vec<(&[u8], i64)> = self.counts.present(group).collect();
        if present.is_empty() {
            return Ok(None);
        }
        let values = self
            .counts
            .codec()
            .decode(present.iter().map(|(value, _)| *value))?;
        let values = values
            .first()
            .ok_or_else(|| defect("BITMAP_AGG", "a value has one column"))?;
        if self.combination == Combination::Build {
            let integers = values.as_primitive::<Int32Type>().values().iter();
            let found: BTreeSet<u32> = integers.map(|value| value.cast_unsigned()).collect();
            return Ok(Some(found.into_iter().collect()));
        }
        let bitmaps = values
            .as_binary_view_opt()
            .ok_or_else(|| defect("BITMAP_AGG", "a bitmap is binary"))?;
        let mut result: Option<BTreeSet<u32>> = None;
        for (bytes, (_, count)) in bitmaps.iter().zip(&present) {
            let set =
                decode(bytes.unwrap_or_default()).map_err(|error| defect("BITMAP_AGG", error.to_string()))?;
            let set: BTreeSet<u32> = set.into_iter().collect();
            // Of equal bitmaps, an even number has no effect under XOR.
            let set = if self.combination == Combination::Xor && count % 2 == 0 {
                BTreeSet::new()
            } else {
                set
            };
            result = Some(match (result, self.combination) {
                (None, _) => set,
                (Some(result), Combination::And) => &result & &set,
                (Some(result), Combination::Xor) => &result ^ &set,
                (Some(result), _) => &result | &set,
            });
        }
        Ok(result.map(|set| set.into_iter().collect()))
    }
}

impl GroupsAccumulator for Bitmaps {
    delegate_to_counts!();

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        self.counts.update(groups, args, retract)
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let integers: Vec<Option<Vec<u32>>> = groups
            .iter()
            .map(|group| self.integers(*group))
            .collect::<Result<_, _>>()?;
        if self.counts_only {
            let counts = integers
                .iter()
                .map(|set| set.as_ref().map(|set| set.len() as i64));
            return Ok(Arc::new(Int64Array::from_iter(counts)));
        }
        let bitmaps = integers.iter().map(|set| set.as_ref().map(|set| encode(set)));
        Ok(Arc::new(BinaryViewArray::from_iter(bitmaps)))
    }
}
