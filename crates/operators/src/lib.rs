//! Plan node to operator: calc, windows, aggregates, joins, sorts, deduplication, changelog normaliser.
