//! A broker that is broken on purpose is caught.

use crate::number;
use crate::scenario::simulate;
use millstream_broker::mutants::Mutant;

/// Seeds within which each must be caught.
const SEEDS: u64 = 200;

/// By which seed each is caught soon, so that an ordinary test run need not look for one. Another is looked for if the
/// simulation has become a different one.
fn caught_by(mutant: Mutant) -> u64 {
    match mutant {
        Mutant::SkipSync => 0,
        Mutant::AnswerEarly => 1,
        Mutant::ForgetMarker => 0,
        Mutant::ForgetOffsets => 0,
        Mutant::TearTransaction => 3,
        Mutant::LoseProducers => 0,
        Mutant::AppendAgain => 0,
        Mutant::ForgetFence => 0,
        Mutant::ReadUndecided => 0,
        Mutant::HideAborted => 2,
        Mutant::ForgetGeneration => 4,
        Mutant::GiveUnrevoked => 70,
        Mutant::LoseCommand => 1,
        Mutant::OvertakeDelayed => 2,
        Mutant::ForgetDeletion => 1,
        Mutant::BuryLiving => 0,
    }
}

#[test]
fn every_broken_broker_is_caught() {
    let asked = number("SIM_MUTANTS");
    let only = std::env::var("SIM_MUTANT").ok();
    let is_asked = |mutant: &Mutant| only.as_ref().is_none_or(|only| *only == format!("{mutant:?}"));
    for mutant in Mutant::ALL.into_iter().filter(is_asked) {
        let remembered = asked.is_none().then(|| caught_by(mutant));
        let seeds = remembered.into_iter().chain(0..asked.unwrap_or(SEEDS));
        let mut caught = seeds.filter_map(|seed| {
            let outcome = simulate(seed, Some(mutant));
            Some((seed, outcome.events, outcome.violation?))
        });
        let first = caught.next();
        let (seed, events, violation) =
            first.unwrap_or_else(|| panic!("{mutant:?} is not caught within {SEEDS} seeds"));
        println!("{mutant:?} is caught by seed {seed} after {events} events: {violation}");
        if asked.is_some() {
            println!("    and by {} of the others", caught.count());
        }
    }
}
