//! The rows of matches, and the navigations of conditions and measures over them.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_schema::{DataType, TimeUnit};
use arrow_select::interleave::interleave;
use millstream_dataflow::{Context, DataflowError};
use millstream_functions::Environment;
use millstream_plan::{AggregateCall, Navigation, NavigationKind, RowsExprs};
use millstream_state::owned::concat_owned;
use millstream_types::arrow_type;

use crate::aggregate::AggregateSpec;
use crate::expression::RowExpression;

/// A row of the input. Its columns own their bytes.
#[derive(Debug)]
pub(super) struct Event {
    pub columns: Arc<[ArrayRef]>,
    pub row: usize,
    pub time_ms: i64,
    /// In the order of arrival.
    pub number: u64,
    /// Its share of the columns' bytes.
    pub bytes: Metered,
}

/// Bytes that are accounted for while this value lives.
#[derive(Debug)]
pub(super) struct Metered {
    bytes: usize,
    total: Arc<AtomicUsize>,
}

impl Metered {
    pub fn new(bytes: usize, total: &Arc<AtomicUsize>) -> Self {
        total.fetch_add(bytes, Relaxed);
        Self {
            bytes,
            total: Arc::clone(total),
        }
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Relaxed);
    }
}

/// Copies of columns that contain only their own rows.
pub(super) fn own_columns(columns: &[ArrayRef]) -> Result<Arc<[ArrayRef]>, DataflowError> {
    let copies = columns
        .iter()
        .map(|column| concat_owned(column.data_type(), &[column]));
    Ok(copies.collect::<Result<_, _>>()?)
}

/// Bytes of columns.
pub(super) fn bytes_of(columns: &[ArrayRef]) -> usize {
    columns.iter().map(|column| column.get_array_memory_size()).sum()
}

impl Event {
    /// A copy of the row that does not pin the rest of its batch.
    pub fn alone(&self) -> Result<Self, DataflowError> {
        let row: Vec<ArrayRef> = self.columns.iter().map(|c| c.slice(self.row, 1)).collect();
        let columns = own_columns(&row)?;
        Ok(Self {
            bytes: Metered::new(bytes_of(&columns) + size_of::<Self>(), &self.bytes.total),
            columns,
            row: 0,
            time_ms: self.time_ms,
            number: self.number,
        })
    }
}

/// A row of a match, linked to the rows before it.
#[derive(Debug)]
pub(super) struct Link {
    pub variable: usize,
    /// In the processing order of a key's rows.
    pub position: u64,
    pub event: Arc<Event>,
    pub before: Option<Arc<Link>>,
}

impl Drop for Link {
    /// Iterative, because recursion over a long match could exhaust the stack.
    fn drop(&mut self) {
        let mut next = self.before.take();
        while let Some(mut link) = next.and_then(Arc::into_inner) {
            next = link.before.take();
        }
    }
}

/// The rows of a match so far and, while a condition is tested, the current row.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    pub links: Option<&'p Arc<Link>>,
    pub candidate: Option<(usize, &'p Event)>,
}

impl<'p> Path<'p> {
    /// The rows, last first.
    fn backwards(self) -> impl Iterator<Item = (usize, &'p Event)> {
        let links = std::iter::successors(self.links, |link| link.before.as_ref());
        let links = links.map(|link| (link.variable, link.event.as_ref()));
        self.candidate.into_iter().chain(links)
    }

    fn of_variable(self, variable: Option<usize>) -> impl Iterator<Item = &'p Event> {
        self.backwards()
            .filter(move |(own, _)| variable.is_none_or(|wanted| wanted == *own))
            .map(|(_, event)| event)
    }
}

/// All links of a match, first first.
pub(super) fn links(last: &Arc<Link>) -> Vec<&Arc<Link>> {
    let mut links: Vec<&Arc<Link>> = std::iter::successors(Some(last), |link| link.before.as_ref()).collect();
    links.reverse();
    links
}

/// Expressions over the rows of matches.
pub(super) struct RowsEvaluator {
    navigations: Vec<(Navigation, DataType, Option<AggregateSpec>)>,
    exprs: Vec<RowExpression>,
}

impl RowsEvaluator {
    pub fn new(rows: &RowsExprs, env: &Environment) -> Result<Self, DataflowError> {
        let navigation = |navigation: &Navigation| {
            let aggregate = match &navigation.kind {
                NavigationKind::Aggregate(call) => {
                    Some(AggregateSpec::new(std::slice::from_ref(call.as_ref()), false)?)
                }
                _ => None,
            };
            Ok((navigation.clone(), arrow_type(&navigation.ty), aggregate))
        };
        let exprs = rows.exprs.iter().map(|expr| RowExpression::new(expr, env));
        Ok(Self {
            navigations: rows
                .navigations
                .iter()
                .map(navigation)
                .collect::<Result<_, DataflowError>>()?,
            exprs: exprs.collect::<Result<_, _>>()?,
        })
    }

    /// A row for each path, a column for each expression.
    pub fn evaluate(
        &mut self,
        paths: &[Path<'_>],
        context: &Context,
    ) -> Result<Vec<ArrayRef>, DataflowError> {
        let found = self
            .navigations
            .iter()
            .map(|(navigation, ty, aggregate)| look(navigation, ty, aggregate.as_ref(), paths))
            .collect::<Result<Vec<_>, _>>()?;
        self.exprs
            .iter_mut()
            .map(|expr| expr.evaluate(&found, paths.len(), context))
            .collect()
    }
}

fn look(
    navigation: &Navigation,
    ty: &DataType,
    aggregate: Option<&AggregateSpec>,
    paths: &[Path<'_>],
) -> Result<ArrayRef, DataflowError> {
    let variable = navigation.variable;
    let mut events = Vec::with_capacity(paths.len());
    match &navigation.kind {
        NavigationKind::Last { column, offset } => {
            for path in paths {
                events.push(path.of_variable(variable).nth(*offset as usize));
            }
            gather(&events, *column, ty)
        }
        NavigationKind::First { column, offset } => {
            for path in paths {
                let all: Vec<&Event> = path.of_variable(variable).collect();
                let place = all.len().checked_sub(1 + *offset as usize);
                events.push(place.map(|place| all[place]));
            }
            gather(&events, *column, ty)
        }
        NavigationKind::Aggregate(call) => {
            let spec =
                aggregate.ok_or_else(|| DataflowError::internal("an aggregate without its function"))?;
            aggregated(call, spec, variable, paths)
        }
    }
}

/// The aggregate of each path's rows.
fn aggregated(
    call: &AggregateCall,
    spec: &AggregateSpec,
    variable: Option<usize>,
    paths: &[Path<'_>],
) -> Result<ArrayRef, DataflowError> {
    let (mut groups, mut events) = (Vec::new(), Vec::new());
    for (number, path) in paths.iter().enumerate() {
        let first = events.len();
        events.extend(path.of_variable(variable).map(Some));
        events[first..].reverse();
        groups.resize(events.len(), number as u32);
    }
    let args = call
        .args
        .iter()
        .zip(&call.arg_types)
        .map(|(column, ty)| gather(&events, *column, &arrow_type(ty)))
        .collect::<Result<Vec<_>, _>>()?;
    let place = |column: usize| call.args.iter().position(|arg| *arg == column).unwrap_or(0);
    let mut calls = spec.clone().remap(place).instantiate();
    calls.resize(paths.len());
    calls.update(&groups, &args, None)?;
    let all: Vec<u32> = (0..paths.len() as u32).collect();
    let result = calls.evaluate(&all)?.pop();
    result.ok_or_else(|| DataflowError::internal("an aggregate without a result"))
}

/// A column assembled from rows of several batches; NULL where there is no row.
pub(super) fn gather(
    events: &[Option<&Event>],
    column: usize,
    ty: &DataType,
) -> Result<ArrayRef, DataflowError> {
    let found = match events {
        [Some(event)] => event.columns[column].slice(event.row, 1),
        _ => {
            let stored = events
                .iter()
                .flatten()
                .next()
                .map(|e| e.columns[column].data_type().clone());
            let nothing = new_null_array(stored.as_ref().unwrap_or(ty), 1);
            let arrays: Vec<&dyn Array> = events
                .iter()
                .map(|event| event.map_or(nothing.as_ref(), |e| e.columns[column].as_ref()))
                .collect();
            let indices: Vec<(usize, usize)> = events
                .iter()
                .enumerate()
                .map(|(i, event)| (i, event.map_or(0, |e| e.row)))
                .collect();
            if arrays.is_empty() {
                new_null_array(ty, 0)
            } else {
                interleave(&arrays, &indices)?
            }
        }
    };
    Ok(match (found.data_type(), ty) {
        // MATCH_ROWTIME: an instant becomes its local time.
        (DataType::Timestamp(TimeUnit::Millisecond, Some(_)), DataType::Timestamp(_, None)) => {
            let times = found.as_primitive::<TimestampMillisecondType>().clone();
            Arc::new(times.with_timezone_opt(None::<Arc<str>>))
        }
        _ => found,
    })
}
