//! Operators driven through a small text harness: the changelog of each step, restore after every step, rescaling, large
//! batches against single rows.

#![allow(clippy::unwrap_used)] // a helper of a test may panic

mod harness;

mod changelogs;
mod deduplicate;
mod group_aggregate;
mod join;
mod long_life;
mod oracles;
mod ordered;
mod patterns;
mod rank;
mod row_wise;
mod timed;
mod window_aggregate;
