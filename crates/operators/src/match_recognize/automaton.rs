//! A pattern as a non-deterministic automaton.
//!
//! It is Flink's: a row either takes the next step of a partial match or ends it; a greedy loop never leaves a row that
//! it could take to what follows. States with an optional variable are passed without a row.

use millstream_plan::MatchVariable;

/// The accepting state.
pub(super) const FINAL: usize = 0;

/// Whether a row must, or must not, match a variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Test {
    pub variable: usize,
    pub holds: bool,
}

/// A transition.
#[derive(Clone, Debug)]
pub(super) struct Transition {
    pub target: usize,
    /// Whether the transition consumes the row for the state's variable; otherwise the target state sees the same row.
    pub takes: bool,
    pub tests: Vec<Test>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub variable: usize,
    pub transitions: Vec<Transition>,
}

#[derive(Clone, Debug)]
pub(super) struct Automaton {
    states: Vec<State>,
    pub start: usize,
}

impl Automaton {
    pub fn new(variables: &[MatchVariable]) -> Self {
        let mut automaton = Self {
            states: vec![State::default()],
            start: FINAL,
        };
        for (number, variable) in variables.iter().enumerate().rev() {
            automaton.start = automaton.element(number, variable, automaton.start);
        }
        automaton
    }

    pub fn state(&self, state: usize) -> &State {
        &self.states[state]
    }

    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Creates the states of a variable before `next`; returns the first of them.
    fn element(&mut self, number: usize, variable: &MatchVariable, next: usize) -> usize {
        let least = variable.min.max(1);
        let is_optional = variable.min == 0;
        let mut before = next;
        match variable.max {
            None => {
                if variable.greedy {
                    self.forbid(next, number);
                }
                before = self.add_loop(number, next);
            }
            Some(most) => {
                if variable.greedy && most > least {
                    self.forbid(next, number);
                }
                for _ in least..most {
                    before = self.add(number, before, Some(next));
                }
            }
        }
        for _ in 1..least {
            before = self.add(number, before, None);
        }
        self.add(number, before, is_optional.then_some(next))
    }

    /// A state that consumes a row and continues at `target`, or is skipped to `passed`.
    fn add(&mut self, variable: usize, target: usize, passed: Option<usize>) -> usize {
        let take = Transition {
            target,
            takes: true,
            tests: vec![Test {
                variable,
                holds: true,
            }],
        };
        let pass = passed.map(|target| Transition {
            target,
            takes: false,
            tests: Vec::new(),
        });
        self.states.push(State {
            variable,
            transitions: [take].into_iter().chain(pass).collect(),
        });
        self.states.len() - 1
    }

    fn add_loop(&mut self, variable: usize, next: usize) -> usize {
        let own = self.states.len();
        self.add(variable, own, Some(next))
    }

    /// After a greedy loop, no transition consumes a row that the loop could consume.
    fn forbid(&mut self, state: usize, variable: usize) {
        for transition in &mut self.states[state].transitions {
            transition.tests.push(Test {
                variable,
                holds: false,
            });
        }
    }
}
