//! Aggregate functions: one accumulator for each group, encoded by serde for checkpoints.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::builder::BinaryViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use millstream_functions::aggregate::AccumulatorArgs;
use millstream_functions::signature::{ArgInfo, Signature, SignatureError};
use millstream_functions::user::{UserAggregate, UserFunction};
use millstream_functions::{EvalError, GroupsAccumulator};
use millstream_state::keyed::{decode_value, encode_value};
use millstream_types::LogicalType;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::scalar::{calling, data_error};
use super::{Parameters, result_type};
use crate::error::Result;
use crate::functions::AggregateFunction;
use crate::guard::at_record;
use crate::table::row::{ColumnWriter, ColumnsToRows};

pub(super) fn function<I, O, A>(name: &str, function: A) -> Result<UserFunction>
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize + DeserializeOwned + Send + 'static,
    A: AggregateFunction<I, O> + Sync,
{
    let result = result_type::<O>()?;
    ColumnWriter::new(name, &result)?;
    Ok(UserFunction::Aggregate(Arc::new(Aggregate {
        parameters: Parameters::of::<I>(name)?,
        result,
        function,
        of: PhantomData::<fn(I) -> O>,
    })))
}

struct Aggregate<I, O, A> {
    parameters: Parameters,
    result: LogicalType,
    function: A,
    of: PhantomData<fn(I) -> O>,
}

impl<I, O, A> UserAggregate for Aggregate<I, O, A>
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize + DeserializeOwned + Send + 'static,
    A: AggregateFunction<I, O> + Sync,
{
    fn signature(&self, args: &[ArgInfo<'_>]) -> std::result::Result<Signature, SignatureError> {
        // A NULL leaves its row out; the result of no rows is that of a fresh accumulator.
        let (types, _) = self.parameters.check(args)?;
        Ok(Signature {
            args: types,
            result: self.result.clone(),
        })
    }

    fn accumulator(&self, args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
        Box::new(Groups {
            reader: self.parameters.reader(),
            parameters: self.parameters.clone(),
            function: self.function.clone(),
            accumulators: Vec::new(),
            result: args.result.clone(),
            of: PhantomData::<fn(I) -> O>,
        })
    }
}

struct Groups<I, O, A: AggregateFunction<I, O>> {
    parameters: Parameters,
    reader: ColumnsToRows,
    function: A,
    /// `None`: no row was added since the group was made or emptied.
    accumulators: Vec<Option<A::Accumulator>>,
    result: LogicalType,
    of: PhantomData<fn(I) -> O>,
}

impl<I, O, A> GroupsAccumulator for Groups<I, O, A>
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize + DeserializeOwned + Send + 'static,
    A: AggregateFunction<I, O>,
{
    fn resize(&mut self, groups: usize) {
        if groups > self.accumulators.len() {
            self.accumulators.resize_with(groups, || None);
        }
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> std::result::Result<(), EvalError> {
        let name = Arc::clone(&self.parameters.function);
        calling(&name, || {
            for (row, group) in groups.iter().enumerate() {
                if self.parameters.skips(args, row) {
                    continue;
                }
                at_record(row);
                let value: I = self.reader.row(args, row)?;
                let place = &mut self.accumulators[*group as usize];
                let accumulator = place.get_or_insert_with(|| self.function.create_accumulator());
                if retract.is_some_and(|retract| retract[row]) {
                    self.function.retract(accumulator, value)?
                } else {
                    self.function.add(accumulator, value)
                }
            }
            Ok(())
        })
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![LogicalType::BYTES]
    }

    fn state(&self, groups: &[u32]) -> std::result::Result<Vec<ArrayRef>, EvalError> {
        let mut encoded = BinaryViewBuilder::new();
        for group in groups {
            match &self.accumulators[*group as usize] {
                Some(accumulator) => {
                    let bytes = encode_value(accumulator);
                    encoded.append_value(
                        bytes.map_err(|error| data_error(&self.parameters.function, &error.to_string()))?,
                    );
                }
                None => encoded.append_null(),
            }
        }
        Ok(vec![Arc::new(encoded.finish())])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> std::result::Result<(), EvalError> {
        let name = Arc::clone(&self.parameters.function);
        calling(&name, || {
            let encoded = state[0].as_binary_view();
            for (row, group) in groups
                .iter()
                .enumerate()
                .filter(|(row, _)| encoded.is_valid(*row))
            {
                let other: A::Accumulator = decode_value(&name, encoded.value(row))?;
                let place = &mut self.accumulators[*group as usize];
                *place = Some(match place.take() {
                    Some(own) => self.function.merge(own, other),
                    None => other,
                });
            }
            Ok(())
        })
    }

    fn evaluate(&self, groups: &[u32]) -> std::result::Result<ArrayRef, EvalError> {
        let name = &self.parameters.function;
        let mut results =
            ColumnWriter::new(name, &self.result).map_err(|error| data_error(name, &error.message))?;
        calling(name, || {
            for group in groups {
                let value = match &self.accumulators[*group as usize] {
                    Some(accumulator) => self.function.get_result(accumulator),
                    None => self.function.get_result(&self.function.create_accumulator()),
                };
                let written = results.push(&value);
                written.map_err(|error| millstream_dataflow::DataflowError::data(error.to_string()))?;
            }
            Ok(())
        })?;
        Ok(results.finish())
    }

    fn clear(&mut self, groups: &[u32]) {
        for group in groups {
            self.accumulators[*group as usize] = None;
        }
    }

    fn memory_size(&self) -> usize {
        self.accumulators.capacity() * size_of::<Option<A::Accumulator>>()
    }
}
