//! MIN and MAX.
//!
//! Over rows that only come, a group keeps one value. With retractions, it keeps all values in order with
//! their counts, because the next best one may be needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::{BinaryViewBuilder, StringViewBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, DurationMillisecondType, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalYearMonthType, Time32MillisecondType, TimestampMicrosecondType,
    TimestampMillisecondType,
};
use arrow_array::{ArrayRef, ArrowPrimitiveType, BooleanArray, new_empty_array};
use arrow_schema::{DataType, TimeUnit};
use millstream_types::{LogicalType, TypeFamily, arrow_type};

use super::ordered_bytes::{CountedLists, OrderedBytes, counted_list_type, counted_lists};
use super::rows::{arg, column_of, each_valid, primitive};
use super::signatures::{as_given, check_count, refuse};
use super::window_only::Unavailable;
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::scalar::EvalError;
use crate::signature::{ArgInfo, Signature, SignatureError};

pub const FUNCTIONS: &[AggregateFunction] = &[
    AggregateFunction {
        name: "MAX",
        aliases: &[],
        syntax: "MAX([DISTINCT] value)",
        doc: "Highest of the values that are not NULL; NULL without such values.",
        window_only: false,
        constant_args: &[],
        signature: |args| signature("MAX", args),
        accumulator: accumulator::<true>,
    },
    AggregateFunction {
        name: "MIN",
        aliases: &[],
        syntax: "MIN([DISTINCT] value)",
        doc: "Lowest of the values that are not NULL; NULL without such values.",
        window_only: false,
        constant_args: &[],
        signature: |args| signature("MIN", args),
        accumulator: accumulator::<false>,
    },
];

fn signature(function: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count(function, args, 1..=1)?;
    let ty = args[0].ty;
    let comparable = !ty.is_nested()
        && !matches!(
            ty.family(),
            TypeFamily::Null
                | TypeFamily::Variant
                | TypeFamily::Bitmap
                | TypeFamily::Raw
                | TypeFamily::Descriptor
        );
    if !comparable {
        return Err(refuse(function, args, &format!("{function}(<COMPARABLE_TYPE>)")));
    }
    Ok(as_given(args, ty.clone()))
}

fn accumulator<const MAX: bool>(args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
    let Some(ty) = args.arg_types.first() else {
        return Box::new(Unavailable::new("MAX", "its argument is missing"));
    };
    if args.retract {
        return Box::new(SortedValues::<MAX> {
            groups: Vec::new(),
            codec: OrderedBytes::new(std::slice::from_ref(ty)),
        });
    }
    let ty = ty.clone();
    match arrow_type(&ty) {
        DataType::Int8 => best::<Int8Type, MAX>(ty),
        DataType::Int16 => best::<Int16Type, MAX>(ty),
        DataType::Int32 => best::<Int32Type, MAX>(ty),
        DataType::Int64 => best::<Int64Type, MAX>(ty),
        DataType::Float32 => best::<Float32Type, MAX>(ty),
        DataType::Float64 => best::<Float64Type, MAX>(ty),
        DataType::Decimal128(..) => best::<Decimal128Type, MAX>(ty),
        DataType::Date32 => best::<Date32Type, MAX>(ty),
        DataType::Time32(_) => best::<Time32MillisecondType, MAX>(ty),
        DataType::Timestamp(TimeUnit::Millisecond, _) => best::<TimestampMillisecondType, MAX>(ty),
        DataType::Timestamp(_, _) => best::<TimestampMicrosecondType, MAX>(ty),
        DataType::Duration(_) => best::<DurationMillisecondType, MAX>(ty),
        DataType::Interval(_) => best::<IntervalYearMonthType, MAX>(ty),
        DataType::Utf8View | DataType::BinaryView => Box::new(BestBytes::<MAX> {
            slots: Vec::new(),
            heap_bytes: 0,
            ty,
        }),
        DataType::Boolean => Box::new(BestBoolean::<MAX> {
            slots: Vec::new(),
            ty,
        }),
        _ => Box::new(Unavailable::new("MAX", "its argument is not comparable")),
    }
}

fn best<T: ArrowPrimitiveType, const MAX: bool>(ty: LogicalType) -> Box<dyn GroupsAccumulator>
where
    T::Native: PartialOrd,
{
    Box::new(Best::<T, MAX> {
        slots: Vec::new(),
        ty,
    })
}

/// Whether `candidate` replaces `held`. A NaN replaces nothing and is replaced by nothing, as Java's operators have it.
#[inline(always)]
fn better<N: PartialOrd, const MAX: bool>(candidate: N, held: N) -> bool {
    if MAX { candidate > held } else { candidate < held }
}

/// The best value of fixed width.
struct Best<T: ArrowPrimitiveType, const MAX: bool> {
    slots: Vec<(T::Native, bool)>,
    ty: LogicalType,
}

impl<T: ArrowPrimitiveType, const MAX: bool> GroupsAccumulator for Best<T, MAX>
where
    T::Native: PartialOrd,
{
    fn resize(&mut self, groups: usize) {
        self.slots
            .resize(groups.max(self.slots.len()), (T::Native::default(), false));
    }

    fn update(&mut self, groups: &[u32], args: &[ArrayRef], _: Option<&[bool]>) -> Result<(), EvalError> {
        let array = primitive::<T>("MAX", arg("MAX", args, 0)?)?;
        let (values, slots) = (array.values(), &mut self.slots);
        each_valid(groups, array, |group, row| {
            let slot = &mut slots[group];
            if !slot.1 || better::<_, MAX>(values[row], slot.0) {
                *slot = (values[row], true);
            }
        });
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![self.ty.with_nullable(true)]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        Ok(vec![self.evaluate(groups)?])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        self.update(groups, state, None)
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let value = |group: &u32| {
            let (value, set) = self.slots[*group as usize];
            set.then_some(value)
        };
        Ok(Arc::new(column_of::<T>(&self.ty, groups.iter().map(value))))
    }

    fn clear(&mut self, groups: &[u32]) {
        groups
            .iter()
            .for_each(|group| self.slots[*group as usize].1 = false);
    }

    fn memory_size(&self) -> usize {
        self.slots.capacity() * size_of::<(T::Native, bool)>()
    }
}

/// The best string or byte string, by unsigned bytes.
struct BestBytes<const MAX: bool> {
    slots: Vec<Option<Box<[u8]>>>,
    heap_bytes: usize,
    ty: LogicalType,
}

impl<const MAX: bool> BestBytes<MAX> {
    fn offer(&mut self, group: usize, value: &[u8]) {
        let slot = &mut self.slots[group];
        match slot {
            Some(held) if !better::<&[u8], MAX>(value, held) => return,
            Some(held) => self.heap_bytes -= held.len(),
            None => {}
        }
        self.heap_bytes += value.len();
        *slot = Some(value.into());
    }
}

impl<const MAX: bool> GroupsAccumulator for BestBytes<MAX> {
    fn resize(&mut self, groups: usize) {
        self.slots.resize(groups.max(self.slots.len()), None);
    }

    fn update(&mut self, groups: &[u32], args: &[ArrayRef], _: Option<&[bool]>) -> Result<(), EvalError> {
        let array = arg("MAX", args, 0)?;
        if let Some(strings) = array.as_string_view_opt() {
            each_valid(groups, array, |group, row| {
                self.offer(group, strings.value(row).as_bytes())
            });
        } else if let Some(bytes) = array.as_binary_view_opt() {
            each_valid(groups, array, |group, row| self.offer(group, bytes.value(row)));
        }
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![self.ty.with_nullable(true)]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        Ok(vec![self.evaluate(groups)?])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        self.update(groups, state, None)
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let values = groups.iter().map(|group| self.slots[*group as usize].as_deref());
        if !self.ty.is_character() {
            let mut builder = BinaryViewBuilder::with_capacity(groups.len());
            values.for_each(|v| builder.append_option(v));
            return Ok(Arc::new(builder.finish()));
        }
        let mut builder = StringViewBuilder::with_capacity(groups.len());
        for value in values {
            let text = value.map(|bytes| String::from_utf8_lossy(bytes));
            builder.append_option(text.as_deref());
        }
        Ok(Arc::new(builder.finish()))
    }

    fn clear(&mut self, groups: &[u32]) {
        for group in groups {
            if let Some(held) = self.slots[*group as usize].take() {
                self.heap_bytes -= held.len();
            }
        }
    }

    fn memory_size(&self) -> usize {
        self.slots.capacity() * size_of::<Option<Box<[u8]>>>() + self.heap_bytes
    }
}

/// The best BOOLEAN: TRUE is above FALSE.
struct BestBoolean<const MAX: bool> {
    slots: Vec<Option<bool>>,
    ty: LogicalType,
}

impl<const MAX: bool> GroupsAccumulator for BestBoolean<MAX> {
    fn resize(&mut self, groups: usize) {
        self.slots.resize(groups.max(self.slots.len()), None);
    }

    fn update(&mut self, groups: &[u32], args: &[ArrayRef], _: Option<&[bool]>) -> Result<(), EvalError> {
        let array = arg("MAX", args, 0)?;
        let Some(values) = array.as_boolean_opt() else {
            return Ok(());
        };
        each_valid(groups, values, |group, row| {
            let (slot, value) = (&mut self.slots[group], values.value(row));
            if slot.is_none_or(|held| better::<_, MAX>(value, held)) {
                *slot = Some(value);
            }
        });
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![self.ty.with_nullable(true)]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        Ok(vec![self.evaluate(groups)?])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        self.update(groups, state, None)
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let values = groups.iter().map(|group| self.slots[*group as usize]);
        Ok(Arc::new(values.collect::<BooleanArray>()))
    }

    fn clear(&mut self, groups: &[u32]) {
        groups.iter().for_each(|group| self.slots[*group as usize] = None);
    }

    fn memory_size(&self) -> usize {
        self.slots.capacity()
    }
}

/// All values of a group in order, with their counts. A count below zero waits for a row that was retracted before it
/// came.
struct SortedValues<const MAX: bool> {
    groups: Vec<BTreeMap<Box<[u8]>, i64>>,
    codec: OrderedBytes,
}

impl<const MAX: bool> SortedValues<MAX> {
    fn change(&mut self, group: usize, value: &[u8], by: i64) {
        let values = &mut self.groups[group];
        if let Some(count) = values.get_mut(value) {
            *count += by;
            if *count == 0 {
                values.remove(value);
            }
            return;
        }
        values.insert(value.into(), by);
    }

    fn best(&self, group: usize) -> Option<&[u8]> {
        let mut present = self.groups[group].iter().filter(|(_, count)| **count > 0);
        let entry = if MAX { present.next_back() } else { present.next() };
        entry.map(|(value, _)| value.as_ref())
    }
}

impl<const MAX: bool> GroupsAccumulator for SortedValues<MAX> {
    fn resize(&mut self, groups: usize) {
        self.groups
            .resize_with(groups.max(self.groups.len()), BTreeMap::new);
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let array = arg("MAX", args, 0)?;
        let rows = self.codec.encode(&args[..1])?;
        each_valid(groups, array, |group, row| {
            let by = if retract.is_some_and(|r| r[row]) { -1 } else { 1 };
            self.change(group, rows.row(row).data(), by);
        });
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![counted_list_type(self.codec.types())]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        let entries = |group: &u32| {
            let values = &self.groups[*group as usize];
            values
                .iter()
                .map(|(value, count)| (value.as_ref(), *count))
                .collect()
        };
        Ok(vec![counted_lists(&self.codec, groups.iter().map(entries))?])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let lists = CountedLists::open("MAX", state)?;
        let rows = self.codec.encode(&lists.values)?;
        for (row, group) in groups.iter().enumerate() {
            for entry in lists.range(row) {
                self.change(
                    *group as usize,
                    rows.row(entry).data(),
                    lists.numbers.value(entry),
                );
            }
        }
        Ok(())
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let best: Vec<Option<&[u8]>> = groups.iter().map(|group| self.best(*group as usize)).collect();
        decode_options(&self.codec, &best)
    }

    fn clear(&mut self, groups: &[u32]) {
        groups
            .iter()
            .for_each(|group| self.groups[*group as usize].clear());
    }

    fn memory_size(&self) -> usize {
        let entry = size_of::<(Box<[u8]>, i64)>();
        let bytes = |values: &BTreeMap<Box<[u8]>, i64>| values.keys().map(|v| v.len() + entry).sum::<usize>();
        self.groups.iter().map(bytes).sum::<usize>()
            + self.groups.capacity() * size_of::<BTreeMap<Box<[u8]>, i64>>()
    }
}

/// A column of single encoded values; a `None` is NULL.
pub(super) fn decode_options(codec: &OrderedBytes, values: &[Option<&[u8]>]) -> Result<ArrayRef, EvalError> {
    let present = codec.decode(values.iter().flatten().copied())?;
    let data_type = codec.types().first().map(arrow_type).unwrap_or(DataType::Null);
    let present = present
        .into_iter()
        .next()
        .unwrap_or_else(|| new_empty_array(&data_type));
    if values.iter().all(Option::is_some) {
        return Ok(present);
    }
    let mut next = 0u32;
    let indices: arrow_array::UInt32Array = values
        .iter()
        .map(|value| {
            value.map(|_| {
                next += 1;
                next - 1
            })
        })
        .collect();
    Ok(arrow_select::take::take(&present, &indices, None)?)
}
