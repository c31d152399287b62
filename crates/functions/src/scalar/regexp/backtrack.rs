//! A backtracking matcher for the patterns that the linear engine cannot run: look-around, back-references, atomic groups,
//! and Java's line anchors.
//!
//! A pattern becomes a small program; the matcher keeps its choices on an explicit stack. The number of steps is bounded by
//! [`STEPS_MAX`], so that a hostile pattern ends in an error instead of a stuck job.

use super::PatternError;
use super::syntax::Node;

/// Steps of one search with a regular expression before it is aborted.
pub(super) const STEPS_MAX: u64 = 5_000_000;
/// Instructions that one regular expression may become; counted repetitions are written out.
const INSTRUCTIONS_MAX: usize = 100_000;

#[derive(Debug)]
enum Instruction {
    Char(char),
    Class(ClassTest),
    Assert(Assertion),
    Save(usize),
    /// Tries the first, then the second.
    Split(usize, usize),
    Jump(usize),
    BackReference {
        index: usize,
        ignore_case: bool,
    },
    /// Runs the following sub-program up to its `Match`, then continues at `end`.
    Look {
        ahead: bool,
        negated: bool,
        end: usize,
    },
    Atomic {
        end: usize,
    },
    /// Remembers where an iteration of a loop starts.
    LoopStart(usize),
    /// Leaves a loop whose iteration matched nothing.
    LoopCheck {
        slot: usize,
        exit: usize,
    },
    Match,
}

#[derive(Clone, Copy, Debug)]
enum Assertion {
    TextStart,
    TextEnd,
    LastLineEnd,
    LineStart,
    LineEnd,
    WordBoundary { negated: bool },
}

/// Membership in a class: a table for ASCII, the linear engine for the rest.
#[derive(Debug)]
struct ClassTest {
    ascii: [bool; 128],
    regex: regex::Regex,
}

impl ClassTest {
    fn new(class: &str) -> Result<Self, PatternError> {
        let regex = regex::Regex::new(&format!(r"\A(?:{class})\z"));
        let regex = regex.map_err(|error| PatternError::Unsupported(error.to_string()))?;
        let mut ascii = [false; 128];
        for (code, slot) in ascii.iter_mut().enumerate() {
            *slot = regex.is_match(char::from(code as u8).encode_utf8(&mut [0; 4]));
        }
        Ok(Self { ascii, regex })
    }

    fn contains(&self, c: char) -> bool {
        match self.ascii.get(c as usize) {
            Some(known) => *known,
            None => self.regex.is_match(c.encode_utf8(&mut [0; 4])),
        }
    }
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Program {
    code: Vec<Instruction>,
    /// Two for each group, group 0 first.
    capture_slots: usize,
    loop_slots: usize,
}

/// Byte offsets of the groups: start and end of group `i` at `2 i` and `2 i + 1`.
pub(super) type Slots = Vec<Option<usize>>;

impl Program {
    pub(super) fn new(node: &Node, groups: usize) -> Result<Self, PatternError> {
        let mut program = Self {
            code: Vec::new(),
            capture_slots: 2 * (groups + 1),
            loop_slots: 0,
        };
        program.emit(node)?;
        program.push(Instruction::Match)?;
        Ok(program)
    }

    fn push(&mut self, instruction: Instruction) -> Result<usize, PatternError> {
        if self.code.len() >= INSTRUCTIONS_MAX {
            return Err(PatternError::Unsupported(format!(
                "a regular expression of more than {INSTRUCTIONS_MAX} steps is not supported"
            )));
        }
        self.code.push(instruction);
        Ok(self.code.len() - 1)
    }

    fn emit(&mut self, node: &Node) -> Result<(), PatternError> {
        match node {
            Node::Empty => {}
            Node::Char(c) => {
                self.push(Instruction::Char(*c))?;
            }
            Node::Class(class) => {
                self.push(Instruction::Class(ClassTest::new(class)?))?;
            }
            Node::TextStart => self.assertion(Assertion::TextStart)?,
            Node::TextEnd => self.assertion(Assertion::TextEnd)?,
            Node::LastLineEnd => self.assertion(Assertion::LastLineEnd)?,
            Node::LineStart => self.assertion(Assertion::LineStart)?,
            Node::LineEnd => self.assertion(Assertion::LineEnd)?,
            Node::WordBoundary { negated } => {
                self.assertion(Assertion::WordBoundary { negated: *negated })?
            }
            Node::Capture { index, node } => {
                self.push(Instruction::Save(2 * index))?;
                self.emit(node)?;
                self.push(Instruction::Save(2 * index + 1))?;
            }
            Node::Concat(nodes) => {
                for node in nodes {
                    self.emit(node)?;
                }
            }
            Node::Alternate(nodes) => self.emit_alternate(nodes)?,
            Node::Repeat {
                node,
                least,
                most,
                lazy,
            } => self.emit_repeat(node, *least, *most, *lazy)?,
            Node::BackReference { index, ignore_case } => {
                self.push(Instruction::BackReference {
                    index: *index,
                    ignore_case: *ignore_case,
                })?;
            }
            Node::Look { ahead, negated, node } => {
                let at = self.push(Instruction::Match)?;
                self.emit(node)?;
                let end = self.push(Instruction::Match)? + 1;
                self.code[at] = Instruction::Look {
                    ahead: *ahead,
                    negated: *negated,
                    end,
                };
            }
            Node::Atomic(node) => {
                let at = self.push(Instruction::Match)?;
                self.emit(node)?;
                let end = self.push(Instruction::Match)? + 1;
                self.code[at] = Instruction::Atomic { end };
            }
        }
        Ok(())
    }

    fn assertion(&mut self, assertion: Assertion) -> Result<(), PatternError> {
        self.push(Instruction::Assert(assertion)).map(|_| ())
    }

    fn emit_alternate(&mut self, nodes: &[Node]) -> Result<(), PatternError> {
        let mut exits = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            if i + 1 == nodes.len() {
                self.emit(node)?;
                break;
            }
            let split = self.push(Instruction::Match)?;
            self.emit(node)?;
            exits.push(self.push(Instruction::Match)?);
            self.code[split] = Instruction::Split(split + 1, self.code.len());
        }
        let end = self.code.len();
        exits
            .into_iter()
            .for_each(|exit| self.code[exit] = Instruction::Jump(end));
        Ok(())
    }

    fn emit_repeat(
        &mut self,
        node: &Node,
        least: u32,
        most: Option<u32>,
        lazy: bool,
    ) -> Result<(), PatternError> {
        for _ in 0..least {
            self.emit(node)?;
        }
        let split = |enter: usize, leave: usize| {
            if lazy {
                Instruction::Split(leave, enter)
            } else {
                Instruction::Split(enter, leave)
            }
        };
        let Some(most) = most else {
            let slot = self.loop_slots;
            self.loop_slots += 1;
            let head = self.push(Instruction::Match)?;
            self.push(Instruction::LoopStart(slot))?;
            self.emit(node)?;
            let check = self.push(Instruction::Match)?;
            self.push(Instruction::Jump(head))?;
            let end = self.code.len();
            self.code[head] = split(head + 1, end);
            self.code[check] = Instruction::LoopCheck { slot, exit: end };
            return Ok(());
        };
        let mut optional = Vec::new();
        for _ in least..most {
            optional.push(self.push(Instruction::Match)?);
            self.emit(node)?;
        }
        let end = self.code.len();
        optional
            .into_iter()
            .for_each(|at| self.code[at] = split(at + 1, end));
        Ok(())
    }

    /// The leftmost match that starts at `from` or later.
    pub(super) fn find(&self, text: &str, from: usize) -> Result<Option<Slots>, PatternError> {
        let mut run = Run {
            program: self,
            text,
            slots: vec![None; self.capture_slots],
            loops: vec![usize::MAX; self.loop_slots],
            steps: 0,
        };
        let starts = text[from..]
            .char_indices()
            .map(|(i, _)| from + i)
            .chain([text.len()]);
        for start in starts {
            run.slots.fill(None);
            if let Some(end) = run.match_at(0, start, None, &mut Vec::new())? {
                run.slots[0] = Some(start);
                run.slots[1] = Some(end);
                return Ok(Some(run.slots));
            }
        }
        Ok(None)
    }
}

/// A place to go back to.
enum Choice {
    Branch { pc: usize, at: usize },
    Slot { index: usize, value: Option<usize> },
    Loop { slot: usize, value: usize },
}

struct Run<'p, 't> {
    program: &'p Program,
    text: &'t str,
    slots: Slots,
    loops: Vec<usize>,
    steps: u64,
}

impl Run<'_, '_> {
    /// Runs from `pc` at byte `at` up to a `Match`, which must be at `must_end` if that is given. The end of the match;
    /// `undo` then gets what restores the slots.
    fn match_at(
        &mut self,
        pc: usize,
        at: usize,
        must_end: Option<usize>,
        undo: &mut Vec<Choice>,
    ) -> Result<Option<usize>, PatternError> {
        let mut choices: Vec<Choice> = Vec::new();
        let (mut pc, mut at) = (pc, at);
        loop {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return Err(PatternError::Unsupported(format!(
                    "the regular expression needs more than {STEPS_MAX} steps on this text, simplify it"
                )));
            }
            if matches!(self.program.code[pc], Instruction::Match) && must_end.is_none_or(|end| end == at) {
                undo.extend(
                    choices
                        .into_iter()
                        .filter(|choice| !matches!(choice, Choice::Branch { .. })),
                );
                return Ok(Some(at));
            }
            match self.step(pc, at, &mut choices)? {
                Some(next) => (pc, at) = next,
                None => match self.back(&mut choices) {
                    Some(next) => (pc, at) = next,
                    None => return Ok(None),
                },
            }
        }
    }

    /// Undoes what happened since the last branch and goes there.
    fn back(&mut self, choices: &mut Vec<Choice>) -> Option<(usize, usize)> {
        loop {
            match choices.pop()? {
                Choice::Branch { pc, at } => return Some((pc, at)),
                Choice::Slot { index, value } => self.slots[index] = value,
                Choice::Loop { slot, value } => self.loops[slot] = value,
            }
        }
    }

    /// The next instruction and place, or `None` if this way fails.
    fn step(
        &mut self,
        pc: usize,
        at: usize,
        choices: &mut Vec<Choice>,
    ) -> Result<Option<(usize, usize)>, PatternError> {
        let program = self.program;
        let next_char = || self.text[at..].chars().next();
        Ok(match &program.code[pc] {
            Instruction::Char(c) => next_char()
                .filter(|n| n == c)
                .map(|n| (pc + 1, at + n.len_utf8())),
            Instruction::Class(class) => next_char()
                .filter(|n| class.contains(*n))
                .map(|n| (pc + 1, at + n.len_utf8())),
            Instruction::Assert(assertion) => holds(*assertion, self.text, at).then_some((pc + 1, at)),
            Instruction::Save(index) => {
                choices.push(Choice::Slot {
                    index: *index,
                    value: self.slots[*index],
                });
                self.slots[*index] = Some(at);
                Some((pc + 1, at))
            }
            Instruction::Split(first, second) => {
                choices.push(Choice::Branch { pc: *second, at });
                Some((*first, at))
            }
            Instruction::Jump(target) => Some((*target, at)),
            Instruction::BackReference { index, ignore_case } => {
                self.reference(*index, *ignore_case, at).map(|end| (pc + 1, end))
            }
            Instruction::Look { ahead, negated, end } => {
                let found = self.look(pc + 1, at, *ahead, choices)?;
                (found != *negated).then_some((*end, at))
            }
            Instruction::Atomic { end } => self.match_at(pc + 1, at, None, choices)?.map(|stop| (*end, stop)),
            Instruction::LoopStart(slot) => {
                choices.push(Choice::Loop {
                    slot: *slot,
                    value: self.loops[*slot],
                });
                self.loops[*slot] = at;
                Some((pc + 1, at))
            }
            Instruction::LoopCheck { slot, exit } => Some(if self.loops[*slot] == at {
                (*exit, at)
            } else {
                (pc + 1, at)
            }),
            Instruction::Match => None,
        })
    }

    fn look(
        &mut self,
        pc: usize,
        at: usize,
        ahead: bool,
        undo: &mut Vec<Choice>,
    ) -> Result<bool, PatternError> {
        if ahead {
            return Ok(self.match_at(pc, at, None, undo)?.is_some());
        }
        for start in (0..=at).rev().filter(|i| self.text.is_char_boundary(*i)) {
            if self.match_at(pc, start, Some(at), undo)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The end of a repetition of what a group matched; a group that took no part fails.
    fn reference(&self, index: usize, ignore_case: bool, at: usize) -> Option<usize> {
        let start = self.slots.get(2 * index).copied().flatten()?;
        let end = self.slots.get(2 * index + 1).copied().flatten()?;
        let wanted = self.text.get(start..end)?;
        let found = self.text.get(at..at + wanted.len())?;
        let same = if ignore_case {
            found.eq_ignore_ascii_case(wanted)
        } else {
            found == wanted
        };
        same.then_some(at + wanted.len())
    }
}

/// A line terminator of Java.
pub(super) fn is_line_terminator(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn holds(assertion: Assertion, text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    let after = text[at..].chars().next();
    let inside_crlf = before == Some('\r') && after == Some('\n');
    match assertion {
        Assertion::TextStart => at == 0,
        Assertion::TextEnd => at == text.len(),
        Assertion::LastLineEnd => {
            let rest = &text[at..];
            let last = rest.is_empty()
                || rest == "\r\n"
                || (rest.chars().count() == 1 && rest.chars().all(is_line_terminator));
            last && !inside_crlf
        }
        Assertion::LineStart => {
            at == 0 || (at < text.len() && before.is_some_and(is_line_terminator) && !inside_crlf)
        }
        Assertion::LineEnd => after.is_none_or(is_line_terminator) && !inside_crlf,
        Assertion::WordBoundary { negated } => (is_word(before) != is_word(after)) != negated,
    }
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '_')
}
