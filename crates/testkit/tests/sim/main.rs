//! The broker under simulation: clients, network, disk and crashes, all from one seed. See `scenario` for what a seed
//! means and `history` for what must hold.
//!
//! `cargo xtask sim --seeds 10000` runs many seeds, built with optimisation; `cargo xtask sim --first 17 --seeds 1` replays one,
//! event by event the same. `cargo xtask sim --mutants 200` shows by which seed each broken broker is caught.

mod groups;
mod history;
mod mixed_group;
mod mutants;
mod node;
mod producers;
mod reader;
mod scenario;
mod shrinking;
mod threads;
mod transactional;
mod world;

use scenario::simulate;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 4;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn a_seed_replays_exactly() {
    // In another order, so that nothing may hang on what the process did before, such as where memory lies.
    let run = |seed: &u64| (*seed, simulate(*seed, None));
    let seeds = [1, 3, 4];
    let first: Vec<_> = seeds.iter().map(run).collect();
    let mut again: Vec<_> = seeds.iter().rev().map(run).collect();
    again.reverse();
    assert_eq!(first, again);
}

#[test]
fn many_seeds() {
    let (first, count) = (
        number("SIM_FIRST").unwrap_or(0),
        number("SIM_SEEDS").unwrap_or(SEEDS),
    );
    let (mut virtual_ms, mut events, mut crashes, mut records, mut transactions) = (0, 0, 0, 0, 0);
    for seed in first..first + count {
        let outcome = simulate(seed, None);
        if let Some(violation) = outcome.violation {
            panic!("{violation}\nreplay with cargo xtask sim --first {seed} --seeds 1");
        }
        virtual_ms += outcome.virtual_ms;
        events += outcome.events;
        crashes += outcome.crashes;
        records += outcome.records;
        transactions += outcome.transactions;
    }
    println!(
        "{count} seeds from {first}: {:.1} virtual hours, {events} events, {crashes} crashes, {records} records, \
         {transactions} transactions, no violation",
        virtual_ms as f64 / 3_600_000.0
    );
}
