//! From a pattern to the states and edges that Flink's `NFACompiler` makes, from the last part to the first.

use std::collections::BTreeMap;

use super::nfa::{Action, Edge, Guard, Kind, Nfa, State};
use super::pattern::{AfterMatchSkipStrategy, Contiguity, Part, Quantifier};

/// What the compiler needs to know of a part.
struct Shape {
    contiguity: Contiguity,
    inner: Contiguity,
    quantifier: Quantifier,
    optional: bool,
    greedy: bool,
    has_until: bool,
}

pub(super) struct Compiler {
    shapes: Vec<Shape>,
    window_ms: Option<i64>,
    states: Vec<State>,
    /// The part that is being compiled.
    part: usize,
    /// States as they were before a greedy part restricted them.
    originals: BTreeMap<usize, usize>,
}

impl Compiler {
    pub fn new<T>(parts: &[Part<T>], window_ms: Option<i64>) -> Self {
        let shape = |part: &Part<T>| Shape {
            contiguity: part.contiguity,
            inner: part.inner,
            quantifier: part.quantifier,
            optional: part.optional,
            greedy: part.greedy,
            has_until: part.until.is_some(),
        };
        Self {
            shapes: parts.iter().map(shape).collect(),
            window_ms,
            states: Vec::new(),
            part: 0,
            originals: BTreeMap::new(),
        }
    }

    pub fn compile<T>(mut self, parts: &[Part<T>], skip: AfterMatchSkipStrategy) -> Nfa<T> {
        let mut sink = self.state(Kind::Final);
        for part in (0..self.shapes.len()).rev() {
            self.part = part;
            sink = match self.shapes[part].contiguity {
                Contiguity::NotFollow => self.not_follow(sink),
                Contiguity::NotNext => self.not_next(sink),
                _ => self.convert(sink),
            };
        }
        Nfa::new(parts, self.states, sink, self.window_ms, skip)
    }

    fn state(&mut self, kind: Kind) -> usize {
        self.states.push(State {
            part: self.part as u32,
            kind,
            edges: Vec::new(),
        });
        self.states.len() - 1
    }

    fn edge(&mut self, from: usize, action: Action, target: usize, guard: Guard) {
        self.states[from].edges.push(Edge {
            action,
            target,
            guard,
        });
    }

    fn stop(&mut self, part: usize) -> usize {
        let stop = self.state(Kind::Stop);
        self.edge(stop, Action::Take, stop, Guard::Fits(part));
        stop
    }

    /// Within a time, nothing may fit up to its end; between two parts, the states of both lead to a stop instead.
    fn not_follow(&mut self, sink: usize) -> usize {
        if self.states[sink].kind != Kind::Final || self.window_ms.is_none() {
            return sink;
        }
        let part = self.part;
        let pending = self.state(Kind::Pending);
        let stop = self.stop(part);
        self.edge(pending, Action::Proceed, stop, Guard::Fits(part));
        self.edge(pending, Action::Ignore, pending, Guard::not(Guard::Fits(part)));
        pending
    }

    fn not_next(&mut self, sink: usize) -> usize {
        let part = self.part;
        let state = self.state(Kind::Normal);
        let stop = self.stop(part);
        // An event behind the match is needed, so the end is not reached by proceeding.
        let action = match self.states[sink].kind {
            Kind::Final => Action::Ignore,
            _ => Action::Proceed,
        };
        self.edge(state, action, sink, Guard::not(Guard::Fits(part)));
        self.edge(state, Action::Proceed, stop, Guard::Fits(part));
        state
    }

    fn convert(&mut self, sink: usize) -> usize {
        let shape = &self.shapes[self.part];
        let first = match shape.quantifier {
            Quantifier::AtLeast(times) => {
                let behind = self.without_nots(sink);
                let looping = self.looping(behind);
                self.times(looping, sink, times, times)
            }
            Quantifier::Times { from, to } => self.times(sink, sink, from, to),
            Quantifier::One => {
                let (take, ignore, optional) = (self.take(), self.ignore(shape.contiguity), shape.optional);
                self.singleton(sink, Some(sink), take, ignore, optional)
            }
        };
        self.add_stops(first);
        first
    }

    fn take(&self) -> Guard {
        Guard::Fits(self.part)
    }

    fn take_before_until(&self) -> Guard {
        if self.shapes[self.part].has_until {
            Guard::and(Guard::not(Guard::Until(self.part)), self.take())
        } else {
            self.take()
        }
    }

    fn ignore(&self, contiguity: Contiguity) -> Option<Guard> {
        match contiguity {
            Contiguity::Relaxed => Some(Guard::not(self.take())),
            Contiguity::NonDeterministic => Some(Guard::True),
            _ => None,
        }
    }

    /// What a state of a loop passes over.
    fn ignore_inner(&self) -> Option<Guard> {
        self.ignore(self.shapes[self.part].inner)
    }

    fn looping(&mut self, sink: usize) -> usize {
        let part = self.part;
        let (greedy, has_until) = (self.shapes[part].greedy, self.shapes[part].has_until);
        let take = self.take_before_until();
        let ignore = self.ignore_inner().map(|ignore| {
            if has_until {
                Guard::and(Guard::not(Guard::Until(part)), ignore)
            } else {
                ignore
            }
        });
        let looping = self.state(Kind::Normal);
        if greedy && has_until {
            let original = self.copy(sink);
            self.edge(looping, Action::Proceed, original, Guard::Until(part));
            self.originals.insert(sink, original);
            self.edge(looping, Action::Proceed, sink, Guard::not(Guard::Until(part)));
        } else {
            self.edge(looping, Action::Proceed, sink, Guard::True);
        }
        if greedy {
            self.restrict(sink);
        }
        self.edge(looping, Action::Take, looping, take.clone());
        self.add_stop_behind(looping);
        if let Some(ignore) = ignore {
            let passing = self.state(Kind::Normal);
            self.edge(passing, Action::Take, looping, take);
            self.edge(passing, Action::Ignore, passing, ignore.clone());
            self.edge(looping, Action::Ignore, passing, ignore);
            self.add_stop_behind(passing);
        }
        looping
    }

    fn times(&mut self, sink: usize, proceed: usize, from: u32, to: u32) -> usize {
        let part = self.part;
        let take = self.take_before_until();
        if self.shapes[part].greedy && from != to {
            if self.shapes[part].has_until {
                let original = self.copy(sink);
                self.originals.insert(sink, original);
            }
            self.restrict(sink);
        }
        let inner = self.ignore_inner();
        let mut last = sink;
        for _ in from..to {
            last = self.singleton(last, Some(proceed), take.clone(), inner.clone(), true);
            self.add_stop_behind(last);
        }
        for _ in 1..from {
            last = self.singleton(last, None, take.clone(), inner.clone(), false);
            self.add_stop_behind(last);
        }
        let outer = self.ignore(self.shapes[part].contiguity);
        let optional = self.shapes[part].optional;
        self.singleton(last, Some(proceed), take, outer, optional)
    }

    fn singleton(
        &mut self,
        sink: usize,
        proceed: Option<usize>,
        take: Guard,
        ignore: Option<Guard>,
        optional: bool,
    ) -> usize {
        let part = self.part;
        let state = self.state(Kind::Normal);
        // Once an event is taken, what must not come before an optional part may come.
        let behind = self.without_nots(sink);
        self.edge(state, Action::Take, behind, take.clone());
        if let Some(proceed) = proceed.filter(|_| optional) {
            let until = self.shapes[part].greedy && self.shapes[part].has_until;
            match self.originals.get(&proceed).copied().filter(|_| until) {
                Some(original) => {
                    self.edge(state, Action::Proceed, original, Guard::Until(part));
                    self.edge(state, Action::Proceed, proceed, Guard::not(Guard::Until(part)));
                }
                None => self.edge(state, Action::Proceed, proceed, Guard::True),
            }
        }
        let Some(ignore) = ignore else { return state };
        let passing = if optional {
            let passing = self.state(Kind::Normal);
            self.edge(passing, Action::Take, behind, take);
            self.edge(passing, Action::Ignore, passing, ignore.clone());
            self.add_stops(passing);
            passing
        } else {
            state
        };
        self.edge(state, Action::Ignore, passing, ignore);
        state
    }

    /// What follows a greedy part takes no events that the part could take.
    fn restrict(&mut self, state: usize) {
        let take = self.take();
        for edge in &mut self.states[state].edges {
            edge.guard = Guard::and(edge.guard.clone(), Guard::not(take.clone()));
        }
    }

    fn copy(&mut self, state: usize) -> usize {
        let copy = self.states.len();
        let mut copied = self.states[state].clone();
        for edge in &mut copied.edges {
            if edge.target == state {
                edge.target = copy;
            }
        }
        self.states.push(copied);
        copy
    }

    /// The negated parts right before the current one, behind optional parts.
    fn nots_before(&self) -> Vec<usize> {
        let before = self.shapes[..self.part].iter().enumerate().rev();
        let near =
            before.take_while(|(_, shape)| shape.optional || shape.contiguity == Contiguity::NotFollow);
        near.filter(|(_, shape)| shape.contiguity == Contiguity::NotFollow)
            .map(|(part, _)| part)
            .collect()
    }

    fn add_stops(&mut self, state: usize) {
        for part in self.nots_before() {
            let stop = self.stop(part);
            self.edge(state, Action::Proceed, stop, Guard::Fits(part));
        }
    }

    /// While a loop can take more events, an event that must not follow the loop stops the match.
    fn add_stop_behind(&mut self, state: usize) {
        let following = self.part + 1;
        let is_not = self
            .shapes
            .get(following)
            .is_some_and(|shape| shape.contiguity == Contiguity::NotFollow);
        if is_not {
            let stop = self.stop(following);
            self.edge(state, Action::Proceed, stop, Guard::Fits(following));
        }
    }

    /// The state without the stops of parts that must not come before the current part.
    fn without_nots(&mut self, sink: usize) -> usize {
        let of_nots = self.nots_before();
        if of_nots.is_empty() || self.states[sink].kind == Kind::Final {
            return sink;
        }
        let copy = self.copy(sink);
        let edges = std::mem::take(&mut self.states[copy].edges);
        for mut edge in edges {
            let target = &self.states[edge.target];
            let is_valid_stop = target.kind == Kind::Stop && !of_nots.contains(&(edge.guard.part()));
            match (edge.action, target.kind) {
                (Action::Proceed, Kind::Stop) if !is_valid_stop => continue,
                (Action::Proceed, Kind::Normal) if edge.target != copy => {
                    edge.target = self.without_nots(edge.target)
                }
                _ => {}
            }
            self.states[copy].edges.push(edge);
        }
        copy
    }
}
