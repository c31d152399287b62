//! Plan node to operator: calc, windows, aggregates, joins, sorts, deduplication, changelog normaliser.
//!
//! Each operator is a file (or a directory) that implements [`millstream_dataflow::Operator`]; [`operator_factory`] makes
//! them from plan nodes. Sources and sinks are connectors, not here; expressions are evaluated by `expr`; where state
//! is kept is the business of `state`.

mod aggregate;
mod calc;
mod changelog_normalize;
mod cold;
mod correlate;
mod deduplicate;
mod emit;
mod error;
mod expand;
mod expression;
pub mod factory;
mod group_aggregate;
mod group_state;
mod join;
mod limit;
mod match_recognize;
mod mini_batch;
mod over;
mod owned_rows;
mod rank;
mod replicate_rows;
mod sink_input;
mod sort;
mod sort_keys;
mod temporal_sort;
mod union_all;
mod values;
mod watermark_assigner;
mod window;

pub use factory::{operator_factory, sink_input, values_source};
