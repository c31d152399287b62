//! The automaton at work: partial matches of one key and the events that move them on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Match;
use super::buffer::Buffer;
use super::pattern::{AfterMatchSkipStrategy, Condition, MatchContext, Part};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Normal,
    Final,
    /// A partial match that comes here is dropped.
    Stop,
    /// A partial match that is here when its time is over is a match.
    Pending,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    Take,
    Ignore,
    /// Looks at the same event from another state.
    Proceed,
}

/// When an edge is open, over the conditions of parts.
#[derive(Clone, Debug)]
pub(super) enum Guard {
    True,
    Fits(usize),
    Until(usize),
    Not(Box<Guard>),
    And(Box<Guard>, Box<Guard>),
}

impl Guard {
    pub fn not(guard: Self) -> Self {
        Self::Not(Box::new(guard))
    }

    pub fn and(a: Self, b: Self) -> Self {
        Self::And(Box::new(a), Box::new(b))
    }

    /// The part whose condition decides first.
    pub fn part(&self) -> usize {
        match self {
            Self::True => usize::MAX,
            Self::Fits(part) | Self::Until(part) => *part,
            Self::Not(guard) | Self::And(guard, _) => guard.part(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub action: Action,
    pub target: usize,
    pub guard: Guard,
}

#[derive(Clone, Debug)]
pub(super) struct State {
    pub part: u32,
    pub kind: Kind,
    pub edges: Vec<Edge>,
}

/// A partial match.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    state: u32,
    node: u64,
    start_ms: i64,
    start_event: u64,
}

impl Run {
    fn start(&self) -> (i64, u64) {
        (self.start_ms, self.start_event)
    }
}

/// The partial matches of a key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: serde::de::DeserializeOwned"))]
pub(super) struct Partial<T> {
    buffer: Buffer<T>,
    /// By their first events.
    runs: Vec<Run>,
    /// Matches that wait for the end of those that began before them, if they may be skipped.
    completed: Vec<Run>,
}

impl<T> Default for Partial<T> {
    fn default() -> Self {
        Self {
            buffer: Buffer::default(),
            runs: Vec::new(),
            completed: Vec::new(),
        }
    }
}

impl<T> Partial<T> {
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.completed.is_empty() && self.buffer.is_empty()
    }

    fn release(&mut self, runs: Vec<Run>) {
        runs.into_iter().for_each(|run| self.buffer.release(run.node));
    }
}

pub(super) struct Nfa<T> {
    names: Vec<Arc<str>>,
    fits: Vec<Option<Condition<T>>>,
    until: Vec<Option<Condition<T>>>,
    states: Vec<State>,
    start: usize,
    window_ms: Option<i64>,
    skip: AfterMatchSkipStrategy,
}

/// What time alone brings.
pub(super) struct Elapsed<T> {
    /// Partial matches that took too long, each with the time at which it was over.
    pub timed_out: Vec<(Match<T>, i64)>,
    /// Matches whose end was awaited.
    pub found: Vec<Match<T>>,
}

/// Where an event leads a partial match: an edge and the part of its state.
struct Step {
    action: Action,
    target: usize,
    part: u32,
}

impl<T> Nfa<T> {
    pub fn new(
        parts: &[Part<T>],
        states: Vec<State>,
        start: usize,
        window_ms: Option<i64>,
        skip: AfterMatchSkipStrategy,
    ) -> Self {
        Self {
            names: parts.iter().map(|part| Arc::clone(&part.name)).collect(),
            fits: parts.iter().map(|part| part.condition.clone()).collect(),
            until: parts.iter().map(|part| part.until.clone()).collect(),
            states,
            start,
            window_ms,
            skip,
        }
    }

    pub fn window_ms(&self) -> Option<i64> {
        self.window_ms
    }

    fn is_open(&self, guard: &Guard, event: &T, context: &MatchContext<'_, T>) -> bool {
        let holds = |conditions: &[Option<Condition<T>>], part: usize| {
            conditions[part]
                .as_ref()
                .is_none_or(|condition| condition(event, context))
        };
        match guard {
            Guard::True => true,
            Guard::Fits(part) => holds(&self.fits, *part),
            Guard::Until(part) => holds(&self.until, *part),
            Guard::Not(guard) => !self.is_open(guard, event, context),
            Guard::And(a, b) => self.is_open(a, event, context) && self.is_open(b, event, context),
        }
    }

    fn context<'a>(&'a self, buffer: &'a Buffer<T>, node: Option<u64>) -> MatchContext<'a, T> {
        MatchContext {
            names: &self.names,
            buffer,
            node,
        }
    }

    /// All edges that are open for the event, over states that are reached by proceeding.
    fn steps(&self, buffer: &Buffer<T>, state: usize, node: Option<u64>, event: u64) -> Vec<Step> {
        let Some(value) = buffer.event(event) else {
            return Vec::new();
        };
        let context = self.context(buffer, node);
        let mut steps = Vec::new();
        let mut open = vec![state];
        while let Some(state) = open.pop() {
            for edge in &self.states[state].edges {
                if !self.is_open(&edge.guard, value, &context) {
                    continue;
                }
                match edge.action {
                    Action::Proceed => open.push(edge.target),
                    action => steps.push(Step {
                        action,
                        target: edge.target,
                        part: self.states[state].part,
                    }),
                }
            }
        }
        steps
    }

    /// Whether the end is reached from a state by proceeding.
    fn ends(&self, buffer: &Buffer<T>, state: usize, node: u64, event: u64) -> Option<usize> {
        let value = buffer.event(event)?;
        let context = self.context(buffer, Some(node));
        let mut open = vec![state];
        while let Some(state) = open.pop() {
            for edge in &self.states[state].edges {
                if edge.action == Action::Proceed && self.is_open(&edge.guard, value, &context) {
                    if self.states[edge.target].kind == Kind::Final {
                        return Some(edge.target);
                    }
                    open.push(edge.target);
                }
            }
        }
        None
    }

    /// The successors of a partial match, or of the beginning (`None`), by an event.
    fn next(&self, partial: &mut Partial<T>, run: Option<&Run>, event: u64, now_ms: i64) -> Vec<Run> {
        let state = run.map_or(self.start, |run| run.state as usize);
        let node = run.map(|run| run.node);
        let steps = self.steps(&partial.buffer, state, node, event);
        let mut next = Vec::with_capacity(steps.len());
        for step in steps {
            match (step.action, run) {
                (Action::Ignore, Some(run)) => {
                    partial.buffer.hold(run.node);
                    next.push(Run {
                        state: step.target as u32,
                        ..run.clone()
                    });
                }
                (Action::Take, _) => {
                    let taken = partial.buffer.add_node(event, step.part, node);
                    let (start_ms, start_event) = run.map_or((now_ms, event), Run::start);
                    let moved = |state: usize| Run {
                        state: state as u32,
                        node: taken,
                        start_ms,
                        start_event,
                    };
                    next.push(moved(step.target));
                    if let Some(end) = self.ends(&partial.buffer, step.target, taken, event) {
                        partial.buffer.hold(taken);
                        next.push(moved(end));
                    }
                }
                _ => {}
            }
        }
        next
    }

    /// Takes an event in; gives the matches that it completes.
    pub fn process(&self, partial: &mut Partial<T>, value: T, now_ms: i64) -> Vec<Match<T>>
    where
        T: Clone,
    {
        let event = partial.buffer.add_event(value);
        let before = std::mem::take(&mut partial.runs);
        let mut found = Vec::new();
        for run in before.iter().map(Some).chain([None]) {
            let next = self.next(partial, run, event, now_ms);
            let kind = |run: &Run| self.states[run.state as usize].kind;
            if next.iter().any(|run| kind(run) == Kind::Stop) {
                partial.release(next);
                continue;
            }
            let (ended, going_on): (Vec<Run>, Vec<Run>) =
                next.into_iter().partition(|run| kind(run) == Kind::Final);
            found.extend(ended);
            partial.runs.extend(going_on);
        }
        partial.release(before);
        partial.buffer.release_event(event);
        partial.runs.sort_by_key(Run::start);
        self.give(partial, found)
    }

    /// Moves time on.
    pub fn advance_time(&self, partial: &mut Partial<T>, now_ms: i64) -> Elapsed<T>
    where
        T: Clone,
    {
        let Some(window_ms) = self.window_ms else {
            return Elapsed {
                timed_out: Vec::new(),
                found: Vec::new(),
            };
        };
        let runs = std::mem::take(&mut partial.runs);
        let is_over = |run: &Run| now_ms.saturating_sub(run.start_ms) >= window_ms;
        let (over, going_on): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(is_over);
        partial.runs = going_on;
        let is_pending = |run: &Run| self.states[run.state as usize].kind == Kind::Pending;
        let (pending, timed_out): (Vec<Run>, Vec<Run>) = over.into_iter().partition(is_pending);
        let of_run = |run: &Run| {
            (
                self.materialise(partial, run),
                run.start_ms.saturating_add(window_ms),
            )
        };
        let given = timed_out.iter().map(of_run).collect();
        partial.release(timed_out);
        let found = self.give(partial, pending);
        Elapsed {
            timed_out: given,
            found,
        }
    }

    /// Gives matches as the skip strategy says.
    fn give(&self, partial: &mut Partial<T>, found: Vec<Run>) -> Vec<Match<T>>
    where
        T: Clone,
    {
        if self.skip == AfterMatchSkipStrategy::NoSkip {
            let mut found = found;
            found.sort_by_key(Run::start);
            let matches = found.iter().map(|run| self.materialise(partial, run)).collect();
            partial.release(found);
            return matches;
        }
        partial.completed.extend(found);
        partial.completed.sort_by_key(Run::start);
        let mut matches = Vec::new();
        // A match is given when none that began before it can be completed any more.
        while let Some(earliest) = partial.completed.first().cloned() {
            let is_blocked = partial
                .runs
                .first()
                .is_some_and(|run| run.start() < earliest.start());
            if is_blocked {
                break;
            }
            partial.completed.remove(0);
            self.prune(partial, &earliest);
            matches.push(self.materialise(partial, &earliest));
            partial.buffer.release(earliest.node);
        }
        matches
    }

    /// Drops what a match makes to be skipped.
    fn prune(&self, partial: &mut Partial<T>, found: &Run) {
        let chain = partial.buffer.chain(Some(found.node));
        let of_part = |name: &str| {
            let is_part = |part: u32| *self.names[part as usize] == *name;
            chain
                .iter()
                .filter(move |(part, _)| is_part(*part))
                .map(|(_, event)| *event)
                .collect::<Vec<u64>>()
        };
        let is_skipped: Box<dyn Fn(&Run) -> bool> = match &self.skip {
            AfterMatchSkipStrategy::NoSkip => return,
            AfterMatchSkipStrategy::SkipToNext => {
                let first = found.start_event;
                Box::new(move |run| run.start_event == first)
            }
            AfterMatchSkipStrategy::SkipPastLastEvent => {
                let last = chain.last().map_or(found.start_event, |(_, event)| *event);
                Box::new(move |run| run.start_event <= last)
            }
            AfterMatchSkipStrategy::SkipToFirst(name) => match of_part(name).first().copied() {
                Some(event) => Box::new(move |run| run.start_event < event),
                None => return,
            },
            AfterMatchSkipStrategy::SkipToLast(name) => match of_part(name).last().copied() {
                Some(event) => Box::new(move |run| run.start_event < event),
                None => return,
            },
        };
        let (skipped, runs) = std::mem::take(&mut partial.runs)
            .into_iter()
            .partition(|run| is_skipped(run));
        partial.runs = runs;
        partial.release(skipped);
        let (skipped, completed) = std::mem::take(&mut partial.completed)
            .into_iter()
            .partition(|run| is_skipped(run));
        partial.completed = completed;
        partial.release(skipped);
    }

    fn materialise(&self, partial: &Partial<T>, run: &Run) -> Match<T>
    where
        T: Clone,
    {
        let mut parts: Vec<(Arc<str>, Vec<T>)> = Vec::new();
        for (part, event) in partial.buffer.chain(Some(run.node)) {
            let (name, event) = (&self.names[part as usize], partial.buffer.event(event));
            let place = match parts.iter().position(|(known, _)| known == name) {
                Some(place) => place,
                None => {
                    parts.push((Arc::clone(name), Vec::new()));
                    parts.len() - 1
                }
            };
            parts[place].1.extend(event.cloned());
        }
        Match { parts }
    }
}
