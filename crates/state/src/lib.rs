//! Keyed tables, window slices, timers and their snapshots.
