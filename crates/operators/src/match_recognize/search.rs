//! The search for matches among the rows of one key: Flink's automaton, its skipping and its time limit.

use std::sync::Arc;

use millstream_dataflow::DataflowError;
use millstream_plan::MatchSkip;

use super::automaton::{Automaton, FINAL, Test};
use super::rows::{Event, Link, Path, links};

/// A partial match, or a complete one that waits for an earlier one to be decided.
#[derive(Clone)]
pub(super) struct Partial {
    pub state: usize,
    pub last: Arc<Link>,
    /// Position and time of the first row.
    pub start: u64,
    pub start_ms: i64,
}

/// The state of a key. Partial matches are ordered by their first rows.
#[derive(Default)]
pub(super) struct Progress {
    pub partials: Vec<Partial>,
    pub complete: Vec<Partial>,
    pub next_position: u64,
}

/// Whether a row matches a variable.
pub(super) trait Conditions {
    fn holds(&mut self, variable: usize, path: Path<'_>) -> Result<bool, DataflowError>;
}

/// The rules of a search.
pub(super) struct Search {
    pub automaton: Automaton,
    pub skip: MatchSkip,
    pub within_ms: Option<i64>,
}

impl Search {
    /// Processes the next row. Adds matches to `found`, ordered by their last rows. Returns whether a new match
    /// started.
    pub fn take(
        &self,
        progress: &mut Progress,
        event: &Event,
        conditions: &mut dyn Conditions,
        found: &mut Vec<Arc<Link>>,
    ) -> Result<bool, DataflowError> {
        let position = progress.next_position;
        progress.next_position += 1;
        let mut step = Step {
            automaton: &self.automaton,
            event,
            kept: None,
            position,
            conditions,
            partials: Vec::new(),
            complete: Vec::new(),
        };
        for partial in std::mem::take(&mut progress.partials) {
            step.advance(partial.state, Some(&partial))?;
        }
        step.advance(self.automaton.start, None)?;
        let began = step.partials.iter().any(|partial| partial.start == position);
        progress.partials = step.partials;
        progress.complete.extend(step.complete);
        self.decide(progress, found)?;
        Ok(began)
    }

    /// Advances time to `time_ms`: matches that exceed WITHIN are dropped, which may decide others.
    pub fn advance_time(
        &self,
        progress: &mut Progress,
        time_ms: i64,
        found: &mut Vec<Arc<Link>>,
    ) -> Result<(), DataflowError> {
        if let Some(within_ms) = self.within_ms {
            progress
                .partials
                .retain(|partial| time_ms.saturating_sub(partial.start_ms) < within_ms);
        }
        self.decide(progress, found)
    }

    /// Reports complete matches that no earlier partial match can beat; the skip strategy then discards others.
    fn decide(&self, progress: &mut Progress, found: &mut Vec<Arc<Link>>) -> Result<(), DataflowError> {
        progress.partials.sort_by_key(|partial| partial.start);
        progress.complete.sort_by_key(|partial| partial.start);
        while let Some(earliest) = progress.complete.first() {
            if progress
                .partials
                .first()
                .is_some_and(|partial| partial.start < earliest.start)
            {
                break;
            }
            let earliest = progress.complete.remove(0);
            let first_kept = self.first_kept(&earliest)?;
            progress.partials.retain(|partial| partial.start >= first_kept);
            progress.complete.retain(|partial| partial.start >= first_kept);
            found.push(earliest.last);
        }
        Ok(())
    }

    /// Position of the first row at which another match may start.
    fn first_kept(&self, of: &Partial) -> Result<u64, DataflowError> {
        let variable_at = |first: bool, variable: usize| {
            let links = links(&of.last);
            let own = |link: &&&Arc<Link>| link.variable == variable;
            let link = if first {
                links.iter().find(own)
            } else {
                links.iter().rfind(own)
            };
            let word = if first { "first" } else { "last" };
            match link.map(|link| link.position) {
                None => Err(DataflowError::data(format!(
                    "Could not skip to {word} element: the match has no row of the variable"
                ))),
                Some(position) if position == of.start => {
                    Err(DataflowError::data("Could not skip to first element of a match"))
                }
                Some(position) => Ok(position),
            }
        };
        match self.skip {
            MatchSkip::ToNextRow => Ok(of.start + 1),
            MatchSkip::PastLastRow => Ok(of.last.position + 1),
            MatchSkip::ToFirst(variable) => variable_at(true, variable),
            MatchSkip::ToLast(variable) => variable_at(false, variable),
        }
    }
}

/// One row and all partial matches.
struct Step<'s> {
    automaton: &'s Automaton,
    event: &'s Event,
    /// The row as matches store it.
    kept: Option<Arc<Event>>,
    position: u64,
    conditions: &'s mut dyn Conditions,
    partials: Vec<Partial>,
    complete: Vec<Partial>,
}

impl Step<'_> {
    /// The successors of a match in `state` for the row; without a partial match, a new one starts.
    fn advance(&mut self, state: usize, partial: Option<&Partial>) -> Result<(), DataflowError> {
        let path = partial.map(|partial| &partial.last);
        let automaton = self.automaton;
        let mut states = vec![state];
        while let Some(state) = states.pop() {
            let from = automaton.state(state);
            for transition in &from.transitions {
                if !self.passes(&transition.tests, path)? {
                    continue;
                }
                if !transition.takes {
                    states.push(transition.target);
                    continue;
                }
                let next = self.taken(from.variable, transition.target, partial)?;
                if self.ends(transition.target, path)? {
                    self.complete.push(Partial {
                        state: FINAL,
                        ..next.clone()
                    });
                }
                if transition.target != FINAL {
                    self.partials.push(next);
                }
            }
        }
        Ok(())
    }

    fn taken(
        &mut self,
        variable: usize,
        state: usize,
        partial: Option<&Partial>,
    ) -> Result<Partial, DataflowError> {
        let event = match &self.kept {
            Some(kept) => Arc::clone(kept),
            None => Arc::clone(self.kept.insert(Arc::new(self.event.alone()?))),
        };
        let last = Arc::new(Link {
            variable,
            position: self.position,
            event,
            before: partial.map(|partial| Arc::clone(&partial.last)),
        });
        Ok(Partial {
            state,
            last,
            start: partial.map_or(self.position, |partial| partial.start),
            start_ms: partial.map_or(self.event.time_ms, |partial| partial.start_ms),
        })
    }

    /// Whether a match in `state` is complete, because the rest of the pattern is optional.
    fn ends(&mut self, state: usize, path: Option<&Arc<Link>>) -> Result<bool, DataflowError> {
        let automaton = self.automaton;
        let mut states = vec![state];
        while let Some(state) = states.pop() {
            if state == FINAL {
                return Ok(true);
            }
            for transition in automaton.state(state).transitions.iter().filter(|t| !t.takes) {
                if self.passes(&transition.tests, path)? {
                    states.push(transition.target);
                }
            }
        }
        Ok(false)
    }

    fn passes(&mut self, tests: &[Test], path: Option<&Arc<Link>>) -> Result<bool, DataflowError> {
        for test in tests {
            let path = Path {
                links: path,
                candidate: Some((test.variable, self.event)),
            };
            if self.conditions.holds(test.variable, path)? != test.holds {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
