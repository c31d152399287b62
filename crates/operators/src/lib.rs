//! Plan node to operator: calc, windows, aggregates, joins, sorts, deduplication, changelog normaliser.
//!
//! Each operator is a file (or a directory) that implements [`millstream_dataflow::Operator`]; [`factory`] makes them
//! from plan nodes. Sources and sinks are connectors, not here; expressions are evaluated by `expr`; where state is
//! kept is the business of `state`.

mod aggregate;
mod emit;
mod error;
mod group_aggregate;
mod group_state;
mod window;
