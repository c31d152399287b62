//! The shapes of the records seen so far: what stands between their values, as a graph of branches.
//!
//! A [`Branch`] is the text from the end of one value to the beginning of the next (`,"bid":{"auction":`), what that text
//! means for the columns (a row begins, a sub-tree is NULL), and what to do with the value. Branches that may follow each
//! other meet in a node; a node stands for the open objects, the number of members read in each and the columns found so
//! far, so that records with optional members share nodes instead of multiplying paths. Within a node the branch that was
//! taken most often comes first.
//!
//! Shapes are learnt from records that the general decoder accepted, so the text of a path through the graph is valid
//! JSON around any valid values. Objects that no column reads are part of the shape, too: their values are skipped one by
//! one, without looking for keys.

use std::collections::HashMap;

use super::scan::Cursor;
use super::value::Program;

/// Values of a record beyond which its shape is not learnt.
const SHAPE_VALUES_MAX: usize = 1024;
/// Nodes of the graph; records with random keys would grow it without end.
const SHAPE_NODES_MAX: usize = 4096;
/// Branches of one node: they are tried one after the other.
const SHAPE_BRANCHES_MAX: usize = 16;

/// Position of a column: an index for each level of rows.
pub(super) type Path = Box<[usize]>;

/// What the text of a branch means for the columns.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// A row begins.
    Open(Path),
    /// The column, with all below it, is NULL in this record.
    Null(Path),
}

/// What to do with the value behind the text of a branch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It is the value of a column.
    Decode(Path),
    /// No column reads it.
    Skip,
    /// The text holds it: NULL in a member that no column reads. Records with an object there take another branch.
    Held,
    /// There is none: the record ends.
    End,
}

#[derive(Debug)]
pub(super) struct Branch {
    pub text: Literal,
    pub effects: Box<[Effect]>,
    pub action: Action,
    /// Open brackets around the value.
    pub depth: usize,
    pub next: u32,
    hits: u32,
}

/// Bytes that are compared with, for every record: up to [`LITERAL_BYTES`] as one word instead of one by one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Literal {
    bytes: Box<[u8]>,
    word: u128,
    mask: u128,
}

const LITERAL_BYTES: usize = 16;

impl Literal {
    fn new(bytes: &[u8]) -> Self {
        let count = bytes.len().min(LITERAL_BYTES);
        let mut padded = [0; LITERAL_BYTES];
        padded[..count].copy_from_slice(&bytes[..count]);
        Self {
            bytes: bytes.into(),
            word: u128::from_le_bytes(padded),
            mask: u128::MAX.checked_shr(128 - 8 * count as u32).unwrap_or(0),
        }
    }

    /// The position behind this text if the record that ends at `end` continues with it at `at`.
    #[inline]
    pub fn follows(&self, data: &[u8], at: usize, end: usize) -> Option<usize> {
        let behind = at + self.bytes.len();
        if behind > end {
            return None;
        }
        // The word may reach into what follows the record in the buffer; the mask leaves that out.
        let chunk = data
            .get(at..at + LITERAL_BYTES)
            .and_then(|c| <[u8; LITERAL_BYTES]>::try_from(c).ok());
        let equal = match chunk {
            Some(chunk) => {
                (u128::from_le_bytes(chunk) ^ self.word) & self.mask == 0
                    && (self.bytes.len() <= LITERAL_BYTES
                        || data[at + LITERAL_BYTES..behind] == self.bytes[LITERAL_BYTES..])
            }
            None => data[at..behind] == *self.bytes,
        };
        equal.then_some(behind)
    }
}

/// The graph.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    /// The first is the beginning of a record.
    nodes: Vec<Vec<Branch>>,
    /// Nodes by what they stand for.
    states: HashMap<Vec<u8>, u32>,
}

impl Shapes {
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub fn clear(&mut self) {
        self.nodes.clear();
        self.states.clear();
    }

    /// The branch of `node` whose text follows at `at`, and the position behind the text.
    #[inline]
    pub fn branch(&mut self, node: u32, data: &[u8], at: usize, end: usize) -> Option<(&Branch, usize)> {
        let branches = self.nodes.get_mut(node as usize)?;
        let follows = |(index, branch): (usize, &Branch)| {
            branch.text.follows(data, at, end).map(|behind| (index, behind))
        };
        let (index, behind) = branches.iter().enumerate().find_map(follows)?;
        branches[index].hits = branches[index].hits.saturating_add(1);
        if index > 0 && branches[index].hits > branches[index - 1].hits {
            branches.swap(index - 1, index);
            return Some((&branches[index - 1], behind));
        }
        Some((&branches[index], behind))
    }

    /// Adds the shape of a record that the general decoder accepted. `false`: the record has none that can be kept, or
    /// there are too many already.
    pub fn learn(&mut self, data: &[u8], start: usize, end: usize, program: &Program) -> bool {
        let mut outline = Outline::new(data, start, end);
        if outline.record(program).is_none() {
            return false;
        }
        if self.nodes.is_empty() {
            self.nodes.push(Vec::new());
        }
        let mut node = 0;
        for step in outline.steps {
            match self.add(node, step) {
                Some(next) => node = next,
                None => return false,
            }
        }
        true
    }

    /// The node behind a step from `node`.
    fn add(&mut self, node: u32, step: Step<'_>) -> Option<u32> {
        let known = self.nodes[node as usize].iter();
        if let Some(branch) = known.clone().find(|branch| *branch.text.bytes == *step.text) {
            return Some(branch.next);
        }
        if known.len() == SHAPE_BRANCHES_MAX || self.nodes.len() == SHAPE_NODES_MAX {
            return None;
        }
        let next = *self.states.entry(step.state).or_insert_with(|| {
            self.nodes.push(Vec::new());
            (self.nodes.len() - 1) as u32
        });
        self.nodes[node as usize].push(Branch {
            text: Literal::new(step.text),
            effects: step.effects.into(),
            action: step.action,
            depth: step.depth,
            next,
            hits: 0,
        });
        Some(next)
    }
}

/// A branch of the record that is learnt.
struct Step<'d> {
    text: &'d [u8],
    effects: Vec<Effect>,
    action: Action,
    depth: usize,
    /// What the node behind it stands for.
    state: Vec<u8>,
}

/// An object that is open.
struct Level<'d> {
    name: &'d [u8],
    /// Members read.
    members: u32,
    /// Which columns were found.
    taken: Vec<bool>,
}

/// The outline of one record.
struct Outline<'d> {
    data: &'d [u8],
    cursor: Cursor<'d>,
    /// Where the text of the next step begins.
    text: usize,
    effects: Vec<Effect>,
    levels: Vec<Level<'d>>,
    steps: Vec<Step<'d>>,
}

impl<'d> Outline<'d> {
    fn new(data: &'d [u8], start: usize, end: usize) -> Self {
        Self {
            data,
            cursor: Cursor::new(data, start, end),
            text: start,
            effects: Vec::new(),
            levels: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// `None`: not an object, or one whose members have rules of their own (repeated fields).
    fn record(&mut self, program: &Program) -> Option<()> {
        self.cursor.skip_whitespace();
        self.object(Some(program), &mut Vec::new(), b"")?;
        self.step(Action::End)
    }

    fn step(&mut self, action: Action) -> Option<()> {
        if self.steps.len() == SHAPE_VALUES_MAX {
            return None;
        }
        let mut state = Vec::new();
        for level in &self.levels {
            state.extend_from_slice(&(level.name.len() as u32).to_le_bytes());
            state.extend_from_slice(level.name);
            state.extend_from_slice(&level.members.to_le_bytes());
            state.extend(level.taken.iter().map(|taken| u8::from(*taken)));
        }
        self.steps.push(Step {
            text: &self.data[self.text..self.cursor.at],
            effects: std::mem::take(&mut self.effects),
            action,
            depth: self.cursor.depth(),
            state,
        });
        Some(())
    }

    /// An object; without `program` one that no column reads.
    fn object(&mut self, program: Option<&Program>, path: &mut Vec<usize>, name: &'d [u8]) -> Option<()> {
        if self.cursor.peek() != Some(b'{') {
            return None;
        }
        self.cursor.enter().ok()?;
        let width = program.map_or(0, |program| program.fields.names.len());
        self.levels.push(Level {
            name,
            members: 0,
            taken: vec![false; width],
        });
        self.cursor.skip_whitespace();
        if !self.cursor.eat(b'}') {
            loop {
                self.member(program, path)?;
                self.cursor.skip_whitespace();
                if !self.cursor.eat(b',') {
                    break;
                }
            }
            self.cursor.expect(b'}').ok()?;
        }
        self.cursor.leave();
        let level = self.levels.pop()?;
        let missing = (0..width).filter(|column| !level.taken[*column]);
        self.effects
            .extend(missing.map(|column| Effect::Null(path.iter().copied().chain([column]).collect())));
        Some(())
    }

    fn member(&mut self, program: Option<&Program>, path: &mut Vec<usize>) -> Option<()> {
        self.cursor.skip_whitespace();
        let key = self.cursor.string().ok()?;
        self.cursor.skip_whitespace();
        self.cursor.expect(b':').ok()?;
        self.cursor.skip_whitespace();
        let level = self.levels.last_mut()?;
        level.members += 1;
        let name = &self.data[key.start..key.end];
        let column = program.and_then(|program| Some((program, program.fields.find_key(self.data, key)?)));
        let Some((program, column)) = column else {
            return self.unread(path, name);
        };
        if std::mem::replace(&mut level.taken[column], true) {
            return None;
        }
        path.push(column);
        self.column(&program.children[column], path, name)?;
        path.pop();
        Some(())
    }

    fn column(&mut self, program: &Program, path: &mut Vec<usize>, name: &'d [u8]) -> Option<()> {
        let is_row = !program.fields.names.is_empty();
        if !is_row {
            return self.value(Action::Decode(path.as_slice().into()));
        }
        if self.cursor.peek() == Some(b'n') {
            self.cursor.expect_word("null").ok()?;
            self.effects.push(Effect::Null(path.as_slice().into()));
            return Some(());
        }
        self.effects.push(Effect::Open(path.as_slice().into()));
        self.object(Some(program), path, name)
    }

    fn unread(&mut self, path: &mut Vec<usize>, name: &'d [u8]) -> Option<()> {
        match self.cursor.peek() {
            Some(b'{') => self.object(None, path, name),
            Some(b'n') => {
                self.cursor.expect_word("null").ok()?;
                self.step(Action::Held)?;
                self.text = self.cursor.at;
                Some(())
            }
            _ => self.value(Action::Skip),
        }
    }

    fn value(&mut self, action: Action) -> Option<()> {
        self.step(action)?;
        self.cursor.skip_value().ok()?;
        self.text = self.cursor.at;
        Some(())
    }
}
