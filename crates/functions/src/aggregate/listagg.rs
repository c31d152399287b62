//! LISTAGG: strings joined by a separator, in order of arrival.

use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use millstream_types::{LogicalType, Scalar};

use super::rows::{arg, defect, each_valid};
use super::signatures::{as_given, check_count, refuse};
use super::value_list::ValueLists;
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::scalar::EvalError;
use crate::signature::{ArgInfo, Signature, SignatureError};

pub const FUNCTIONS: &[AggregateFunction] = &[AggregateFunction {
    name: "LISTAGG",
    aliases: &[],
    syntax: "LISTAGG([DISTINCT] value [, separator])",
    doc: "The strings that are not NULL, joined by separator (a comma by default) in order of arrival; NULL without \
          such strings.",
    window_only: false,
    constant_args: &[1],
    signature,
    accumulator,
}];

const SEPARATOR_DEFAULT: &str = ",";

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count("LISTAGG", args, 1..=2)?;
    if !args.iter().all(|a| a.ty.is_character()) {
        return Err(refuse("LISTAGG", args, "LISTAGG(<CHARACTER>, <CHARACTER>)"));
    }
    // Flink declares the type of the values, whatever the length of the result.
    Ok(as_given(args, args[0].ty.clone()))
}

fn accumulator(args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
    let separator = args
        .parameters
        .iter()
        .find_map(Scalar::as_str)
        .unwrap_or(SEPARATOR_DEFAULT)
        .to_owned();
    if args.retract {
        let lists = ValueLists::new(
            "LISTAGG",
            args.arg_types.first().unwrap_or(&LogicalType::STRING),
            false,
        );
        return Box::new(ListAggRetract { lists, separator });
    }
    Box::new(ListAgg {
        slots: Vec::new(),
        separator,
        heap_bytes: 0,
    })
}

/// The separator of a call whose second argument is a column: the one of the first row. Flink reads it with each row,
/// but only constants are meaningful.
fn take_separator(separator: &mut String, args: &[ArrayRef]) {
    let column = args.get(1).and_then(|c| c.as_string_view_opt());
    if let Some(column) = column.filter(|c| !c.is_empty() && c.is_valid(0)) {
        column.value(0).clone_into(separator);
    }
}

/// Joined text while rows only come.
struct ListAgg {
    slots: Vec<Option<String>>,
    separator: String,
    heap_bytes: usize,
}

impl GroupsAccumulator for ListAgg {
    fn resize(&mut self, groups: usize) {
        self.slots.resize(groups.max(self.slots.len()), None);
    }

    fn update(&mut self, groups: &[u32], args: &[ArrayRef], _: Option<&[bool]>) -> Result<(), EvalError> {
        take_separator(&mut self.separator, args);
        let array = arg("LISTAGG", args, 0)?;
        let values = array
            .as_string_view_opt()
            .ok_or_else(|| defect("LISTAGG", "expected a column of strings"))?;
        let (slots, separator) = (&mut self.slots, &self.separator);
        let mut grown = 0;
        each_valid(groups, values, |group, row| {
            let value = values.value(row);
            grown += value.len();
            match &mut slots[group] {
                Some(text) => {
                    grown += separator.len();
                    text.push_str(separator);
                    text.push_str(value);
                }
                empty => *empty = Some(value.to_owned()),
            }
        });
        self.heap_bytes += grown;
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![LogicalType::STRING]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        Ok(vec![self.evaluate(groups)?])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        self.update(groups, state, None)
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let mut builder = StringViewBuilder::with_capacity(groups.len());
        groups
            .iter()
            .for_each(|group| builder.append_option(self.slots[*group as usize].as_deref()));
        Ok(Arc::new(builder.finish()))
    }

    fn clear(&mut self, groups: &[u32]) {
        for group in groups {
            let held = self.slots[*group as usize].take();
            self.heap_bytes -= held.map_or(0, |text| text.len());
        }
    }

    fn memory_size(&self) -> usize {
        self.heap_bytes + self.slots.capacity() * size_of::<Option<String>>()
    }
}

/// All strings, so that one can be retracted.
struct ListAggRetract {
    lists: ValueLists,
    separator: String,
}

impl GroupsAccumulator for ListAggRetract {
    fn resize(&mut self, groups: usize) {
        self.lists.resize(groups);
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        take_separator(&mut self.separator, args);
        self.lists.update(groups, args, retract)
    }

    fn state_types(&self) -> Vec<LogicalType> {
        self.lists.state_types()
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        self.lists.state(groups)
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        self.lists.merge(groups, state)
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let mut builder = StringViewBuilder::with_capacity(groups.len());
        for group in groups {
            let columns = self.lists.codec().decode(self.lists.values(*group))?;
            let strings = columns.first().and_then(|c| c.as_string_view_opt());
            let strings: Vec<&str> = strings.map(|s| s.iter().flatten().collect()).unwrap_or_default();
            builder.append_option((!strings.is_empty()).then(|| strings.join(&self.separator)));
        }
        Ok(Arc::new(builder.finish()))
    }

    fn clear(&mut self, groups: &[u32]) {
        self.lists.clear(groups);
    }

    fn memory_size(&self) -> usize {
        self.lists.memory_size()
    }
}
