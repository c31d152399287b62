//! Patterns as programs write them down.

use std::sync::Arc;
use std::time::Duration;

use super::buffer::Buffer;
use super::compile::Compiler;
use super::nfa::Nfa;
use crate::error::{Error, Result};

/// Looks at the events that a partial match has so far, for conditions that depend on them.
pub struct MatchContext<'a, T> {
    pub(super) names: &'a [Arc<str>],
    pub(super) buffer: &'a Buffer<T>,
    pub(super) node: Option<u64>,
}

impl<T> MatchContext<'_, T> {
    /// The events that a part of the pattern has taken so far, in order.
    pub fn events_for_pattern(&self, name: &str) -> Vec<&T> {
        let chain = self.buffer.chain(self.node).into_iter();
        let of_part =
            chain.filter(|(part, _)| self.names.get(*part as usize).is_some_and(|own| **own == *name));
        of_part
            .filter_map(|(_, event)| self.buffer.event(event))
            .collect()
    }
}

pub(super) type Condition<T> = Arc<dyn Fn(&T, &MatchContext<'_, T>) -> bool + Send + Sync>;

/// Which other partial matches a found match drops.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum AfterMatchSkipStrategy {
    /// Every match is given.
    #[default]
    NoSkip,
    /// Drops those that began with the same event.
    SkipToNext,
    /// Drops those that began before the match ended.
    SkipPastLastEvent,
    /// Drops those that began before the first event of a part.
    SkipToFirst(String),
    /// Drops those that began before the last event of a part.
    SkipToLast(String),
}

/// How a part follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contiguity {
    /// The next event must fit.
    Strict,
    /// Events that do not fit are passed over.
    Relaxed,
    /// Events are passed over even if they fit.
    NonDeterministic,
    NotNext,
    NotFollow,
}

/// How often a part is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantifier {
    One,
    Times { from: u32, to: u32 },
    AtLeast(u32),
}

#[derive(Clone)]
pub(super) struct Part<T> {
    pub name: Arc<str>,
    pub contiguity: Contiguity,
    /// Between the events of a loop.
    pub inner: Contiguity,
    pub quantifier: Quantifier,
    pub optional: bool,
    pub greedy: bool,
    pub condition: Option<Condition<T>>,
    pub until: Option<Condition<T>>,
}

/// Why a pattern cannot be used, in Flink's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Mistake {
    #[error("Duplicate pattern name: {0}. Names must be unique.")]
    SameName(String),
    #[error(
        "Specifying a pattern with an optional path to NOT condition is not supported yet. You can simulate such pattern \
         with two independent patterns, one with and the other without the optional part."
    )]
    NotBehindOptional,
    #[error("Only one until condition can be applied.")]
    TwoUntil,
    #[error("The until condition is only applicable to looping states.")]
    UntilWithoutLoop,
    #[error("Already applied quantifier to this Pattern, or '{0}' is a NOT pattern.")]
    Quantifier(String),
    #[error("You should give a positive number greater than 0.")]
    NoTimes,
    #[error("The to should be a number greater than or equal to from, and greater than 0.")]
    Times,
    #[error("NOT pattern cannot be optional")]
    OptionalNot,
    #[error("Option not applicable to single event pattern")]
    GreedyOne,
    #[error("Combinations or consecutiveness need a loop or times.")]
    InnerOfOne,
}

/// A sequence of parts, each with a condition. See [`crate::cep::pattern`].
#[derive(Clone)]
pub struct Pattern<T> {
    pub(super) parts: Vec<Part<T>>,
    pub(super) window_ms: Option<i64>,
    pub(super) skip: AfterMatchSkipStrategy,
    mistake: Option<Mistake>,
}

impl<T: 'static> Pattern<T> {
    /// The first part. Every match is given.
    pub fn begin(name: &str) -> Self {
        Self::begin_with(name, AfterMatchSkipStrategy::NoSkip)
    }

    pub fn begin_with(name: &str, skip: AfterMatchSkipStrategy) -> Self {
        let pattern = Self {
            parts: Vec::new(),
            window_ms: None,
            skip,
            mistake: None,
        };
        pattern.part(name, Contiguity::Strict)
    }

    fn part(mut self, name: &str, contiguity: Contiguity) -> Self {
        if self.parts.iter().any(|part| *part.name == *name) {
            self.refuse(Mistake::SameName(name.to_owned()));
        }
        self.parts.push(Part {
            name: name.into(),
            contiguity,
            inner: Contiguity::Relaxed,
            quantifier: Quantifier::One,
            optional: false,
            greedy: false,
            condition: None,
            until: None,
        });
        self
    }

    /// Keeps the first mistake.
    fn refuse(&mut self, mistake: Mistake) {
        self.mistake.get_or_insert(mistake);
    }

    fn change(mut self, change: impl FnOnce(&mut Part<T>) -> std::result::Result<(), Mistake>) -> Self {
        if let Some(part) = self.parts.last_mut()
            && let Err(mistake) = change(part)
        {
            self.refuse(mistake);
        }
        self
    }

    /// A part whose event comes right behind (strict contiguity).
    pub fn next(self, name: &str) -> Self {
        self.part(name, Contiguity::Strict)
    }

    /// A part whose event comes later; events that do not fit are passed over (relaxed contiguity).
    pub fn followed_by(self, name: &str) -> Self {
        self.part(name, Contiguity::Relaxed)
    }

    /// A part whose event comes later; events that fit may be passed over, too (non-deterministic relaxed contiguity).
    pub fn followed_by_any(self, name: &str) -> Self {
        self.part(name, Contiguity::NonDeterministic)
    }

    /// A part that the next event must not fit.
    pub fn not_next(self, name: &str) -> Self {
        self.not(name, Contiguity::NotNext)
    }

    /// A part that no event up to that of the next part may fit; at the end of the pattern, no event within its time.
    pub fn not_followed_by(self, name: &str) -> Self {
        self.not(name, Contiguity::NotFollow)
    }

    fn not(mut self, name: &str, contiguity: Contiguity) -> Self {
        let before = self.parts.last().map(|part| part.optional);
        if before == Some(true) {
            self.refuse(Mistake::NotBehindOptional);
        }
        self.part(name, contiguity)
    }

    /// The part takes events for which `condition` holds; several conditions must all hold.
    pub fn where_(self, condition: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.where_iterative(move |event, _| condition(event))
    }

    /// A condition that looks at the events that the match has so far.
    pub fn where_iterative(
        self,
        condition: impl Fn(&T, &MatchContext<'_, T>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.change(|part| {
            part.condition = Some(match part.condition.take() {
                Some(first) => {
                    Arc::new(move |event, context| first(event, context) && condition(event, context))
                }
                None => Arc::new(condition),
            });
            Ok(())
        })
    }

    /// An alternative to the conditions so far.
    pub fn or_(self, condition: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.change(|part| {
            part.condition = Some(match part.condition.take() {
                Some(first) => Arc::new(move |event, context| first(event, context) || condition(event)),
                None => Arc::new(move |event, _| condition(event)),
            });
            Ok(())
        })
    }

    /// Ends a loop: an event for which it holds is not taken, nor any later one.
    pub fn until(self, condition: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.change(|part| match part.quantifier {
            Quantifier::AtLeast(_) if part.until.is_none() => {
                part.until = Some(Arc::new(move |event, _| condition(event)));
                Ok(())
            }
            Quantifier::AtLeast(_) => Err(Mistake::TwoUntil),
            _ => Err(Mistake::UntilWithoutLoop),
        })
    }

    fn quantified(self, quantifier: Quantifier) -> Self {
        self.change(|part| {
            let is_not = matches!(part.contiguity, Contiguity::NotNext | Contiguity::NotFollow);
            if is_not || part.quantifier != Quantifier::One {
                return Err(Mistake::Quantifier(part.name.to_string()));
            }
            part.quantifier = quantifier;
            Ok(())
        })
    }

    /// One event or more.
    pub fn one_or_more(self) -> Self {
        self.times_or_more(1)
    }

    /// So many events or more.
    pub fn times_or_more(self, times: u32) -> Self {
        if times == 0 {
            return self.change(|_| Err(Mistake::NoTimes));
        }
        self.quantified(Quantifier::AtLeast(times))
    }

    /// Exactly so many events.
    pub fn times(self, times: u32) -> Self {
        self.times_between(times, times)
    }

    /// At least `from` and at most `to` events.
    pub fn times_between(self, from: u32, to: u32) -> Self {
        if to == 0 || from > to {
            return self.change(|_| Err(Mistake::Times));
        }
        let pattern = self.quantified(Quantifier::Times {
            from: from.max(1),
            to,
        });
        if from == 0 { pattern.optional() } else { pattern }
    }

    /// The part may be left out.
    pub fn optional(self) -> Self {
        self.change(|part| {
            part.optional = true;
            match part.contiguity {
                Contiguity::NotNext | Contiguity::NotFollow => Err(Mistake::OptionalNot),
                _ => Ok(()),
            }
        })
    }

    /// The part takes as many events as it can.
    pub fn greedy(self) -> Self {
        self.change(|part| {
            part.greedy = true;
            match part.quantifier {
                Quantifier::One => Err(Mistake::GreedyOne),
                _ => Ok(()),
            }
        })
    }

    /// The events of a loop come right behind each other.
    pub fn consecutive(self) -> Self {
        self.inner(Contiguity::Strict)
    }

    /// Events that fit may be passed over between those of a loop.
    pub fn allow_combinations(self) -> Self {
        self.inner(Contiguity::NonDeterministic)
    }

    fn inner(self, contiguity: Contiguity) -> Self {
        self.change(|part| {
            part.inner = contiguity;
            match part.quantifier {
                Quantifier::One => Err(Mistake::InnerOfOne),
                _ => Ok(()),
            }
        })
    }

    /// Time from the first to the last event of a match; of several, the shortest.
    pub fn within(mut self, window: Duration) -> Self {
        let window = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        self.window_ms = Some(self.window_ms.map_or(window, |known| known.min(window)));
        self
    }

    pub(super) fn compile(self) -> Result<Nfa<T>> {
        if let Some(mistake) = self.mistake {
            return Err(Error::input(mistake.to_string()));
        }
        let ends_with_not = self
            .parts
            .last()
            .is_some_and(|part| part.contiguity == Contiguity::NotFollow);
        if ends_with_not && self.window_ms.is_none() {
            return Err(Error::input(
                "NotFollowedBy is not supported without windowTime as a last part of a Pattern!",
            ));
        }
        if let AfterMatchSkipStrategy::SkipToFirst(name) | AfterMatchSkipStrategy::SkipToLast(name) =
            &self.skip
            && !self.parts.iter().any(|part| *part.name == **name)
        {
            return Err(Error::input(format!(
                "The pattern name specified in AfterMatchSkipStrategy can not be found in the given Pattern: {name}"
            )));
        }
        Ok(Compiler::new(&self.parts, self.window_ms).compile(&self.parts, self.skip))
    }
}
