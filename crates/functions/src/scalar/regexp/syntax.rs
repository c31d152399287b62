//! Java's regular expressions as a tree.
//!
//! The parser knows the dialect of `java.util.regex.Pattern` and resolves its flags: every node carries what it matches
//! under the flags of its place. Character classes are kept as text in the syntax of the `regex` crate, which has the
//! Unicode tables. Nothing is matched here.

use millstream_types::limits::NESTING_DEPTH_MAX;

use super::PatternError;
use super::class;

/// A part of a pattern.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Node {
    Empty,
    Char(char),
    /// One character of a class, as `regex` syntax.
    Class(String),
    /// Start of the text (`^` without MULTILINE, `\A`).
    TextStart,
    /// Very end of the text (`\z`).
    TextEnd,
    /// End of the text, or before a line terminator that ends it (`$` without MULTILINE, `\Z`).
    LastLineEnd,
    /// `^` and `$` under MULTILINE.
    LineStart,
    LineEnd,
    WordBoundary {
        negated: bool,
    },
    Capture {
        index: usize,
        node: Box<Node>,
    },
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
    Repeat {
        node: Box<Node>,
        least: u32,
        most: Option<u32>,
        lazy: bool,
    },
    BackReference {
        index: usize,
        ignore_case: bool,
    },
    Look {
        ahead: bool,
        negated: bool,
        node: Box<Node>,
    },
    /// A group that is not entered again once it has matched: `(?>x)` and `x*+`.
    Atomic(Box<Node>),
}

/// A parsed pattern.
pub(super) struct Pattern {
    pub(super) node: Node,
    /// Number of capturing groups, without group 0.
    pub(super) groups: usize,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    pub(super) unicode_case: bool,
    dot_all: bool,
    multiline: bool,
    unix_lines: bool,
    comments: bool,
}

/// All line terminators of Java, as members of a class.
const LINE_TERMINATORS: &str = r"\n\r\x{85}\x{2028}\x{2029}";

pub(super) fn parse(pattern: &str) -> Result<Pattern, PatternError> {
    let mut parser = Parser {
        chars: pattern.chars().collect(),
        at: 0,
        flags: Flags::default(),
        groups: 0,
        names: Vec::new(),
        depth: 0,
    };
    let node = parser.alternation()?;
    if parser.peek().is_some() {
        return Err(parser.invalid("unmatched closing ')'"));
    }
    Ok(Pattern {
        node,
        groups: parser.groups,
    })
}

pub(super) struct Parser {
    pub(super) chars: Vec<char>,
    pub(super) at: usize,
    pub(super) flags: Flags,
    groups: usize,
    names: Vec<(String, usize)>,
    depth: usize,
}

impl Parser {
    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let matches = text
            .chars()
            .enumerate()
            .all(|(i, c)| self.chars.get(self.at + i) == Some(&c));
        if matches {
            self.at += text.chars().count();
        }
        matches
    }

    pub(super) fn invalid(&self, reason: impl std::fmt::Display) -> PatternError {
        let pattern: String = self.chars.iter().collect();
        PatternError::Invalid(format!(
            "{reason} near index {} of the regular expression '{pattern}'",
            self.at
        ))
    }

    pub(super) fn unsupported(&self, what: impl std::fmt::Display) -> PatternError {
        let pattern: String = self.chars.iter().collect();
        PatternError::Unsupported(format!(
            "{what} is not supported in the regular expression '{pattern}'"
        ))
    }

    fn alternation(&mut self) -> Result<Node, PatternError> {
        self.depth += 1;
        if self.depth > NESTING_DEPTH_MAX {
            return Err(self.invalid(format!("groups are nested deeper than {NESTING_DEPTH_MAX}")));
        }
        // Flags set inside a group end with it.
        let outer = self.flags;
        let mut branches = vec![self.sequence()?];
        while self.eat("|") {
            branches.push(self.sequence()?);
        }
        self.flags = outer;
        self.depth -= 1;
        let only = if branches.len() == 1 { branches.pop() } else { None };
        Ok(only.unwrap_or(Node::Alternate(branches)))
    }

    fn sequence(&mut self) -> Result<Node, PatternError> {
        let mut nodes = Vec::new();
        loop {
            self.skip_comments();
            match self.peek() {
                None | Some('|' | ')') => break,
                Some(_) => {}
            }
            if self.eat("\\Q") {
                self.quotation(&mut nodes)?;
                continue;
            }
            if let Some(atom) = self.atom()? {
                let quantified = self.quantifiers(atom)?;
                nodes.push(quantified);
            }
        }
        let only = if nodes.len() == 1 { nodes.pop() } else { None };
        Ok(only.unwrap_or(if nodes.is_empty() {
            Node::Empty
        } else {
            Node::Concat(nodes)
        }))
    }

    fn skip_comments(&mut self) {
        while self.flags.comments {
            match self.peek() {
                Some(c) if c.is_ascii_whitespace() => self.at += 1,
                Some('#') => while self.next().is_some_and(|c| c != '\n') {},
                _ => break,
            }
        }
    }

    /// `\Q…\E`: characters as they stand. A quantifier after it applies to the last one.
    fn quotation(&mut self, nodes: &mut Vec<Node>) -> Result<(), PatternError> {
        while !self.eat("\\E") {
            match self.next() {
                Some(c) => nodes.push(self.character(c)),
                None => return Ok(()),
            }
        }
        match nodes.pop() {
            Some(last) => nodes.push(self.quantifiers(last)?),
            None => self.refuse_dangling()?,
        }
        Ok(())
    }

    fn refuse_dangling(&self) -> Result<(), PatternError> {
        match self.peek() {
            Some(c @ ('*' | '+' | '?')) => Err(self.invalid(format!("dangling meta character '{c}'"))),
            _ => Ok(()),
        }
    }

    /// A character under the case flags.
    fn character(&self, c: char) -> Node {
        if !self.flags.ignore_case {
            return Node::Char(c);
        }
        if self.flags.unicode_case {
            let folded = c.to_lowercase().next() != Some(c) || c.to_uppercase().next() != Some(c);
            return if folded {
                Node::Class(format!("(?i:{})", class::escaped(c)))
            } else {
                Node::Char(c)
            };
        }
        if c.is_ascii_alphabetic() {
            return Node::Class(format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase()));
        }
        Node::Char(c)
    }

    /// One atom; `None` for a group that only sets flags.
    fn atom(&mut self) -> Result<Option<Node>, PatternError> {
        let Some(c) = self.next() else { return Ok(None) };
        let node = match c {
            '(' => return self.group(),
            '[' => Node::Class(class::bracketed(self)?),
            '.' => self.dot(),
            '^' if self.flags.multiline => Node::LineStart,
            '^' => Node::TextStart,
            '$' if self.flags.multiline => Node::LineEnd,
            '$' => Node::LastLineEnd,
            '\\' => self.escape()?,
            '*' | '+' | '?' => {
                self.at -= 1;
                return Err(self.invalid(format!("dangling meta character '{c}'")));
            }
            '{' => return Err(self.invalid("illegal repetition")),
            other => self.character(other),
        };
        Ok(Some(node))
    }

    fn dot(&self) -> Node {
        Node::Class(match (self.flags.dot_all, self.flags.unix_lines) {
            (true, _) => "(?s:.)".to_owned(),
            (false, true) => r"[^\n]".to_owned(),
            (false, false) => format!("[^{LINE_TERMINATORS}]"),
        })
    }

    fn group(&mut self) -> Result<Option<Node>, PatternError> {
        if !self.eat("?") {
            return self.capture(None).map(Some);
        }
        let look = [
            ("=", true, false),
            ("!", true, true),
            ("<=", false, false),
            ("<!", false, true),
        ];
        for (mark, ahead, negated) in look {
            if self.eat(mark) {
                let node = Box::new(self.closed()?);
                return Ok(Some(Node::Look { ahead, negated, node }));
            }
        }
        if self.eat(":") {
            return self.closed().map(Some);
        }
        if self.eat(">") {
            return Ok(Some(Node::Atomic(Box::new(self.closed()?))));
        }
        if self.eat("<") {
            let name = self.group_name()?;
            return self.capture(Some(name)).map(Some);
        }
        self.flag_group()
    }

    fn group_name(&mut self) -> Result<String, PatternError> {
        let mut name = String::new();
        while let Some(c) = self.next() {
            match c {
                '>' if !name.is_empty() => return Ok(name),
                c if c.is_ascii_alphabetic() || (c.is_ascii_digit() && !name.is_empty()) => name.push(c),
                _ => break,
            }
        }
        Err(self.invalid("a group name is letters and digits followed by '>'"))
    }

    fn capture(&mut self, name: Option<String>) -> Result<Node, PatternError> {
        self.groups += 1;
        let index = self.groups;
        if let Some(name) = name {
            if self.names.iter().any(|(known, _)| *known == name) {
                return Err(self.invalid(format!("the group name '{name}' is used twice")));
            }
            self.names.push((name, index));
        }
        Ok(Node::Capture {
            index,
            node: Box::new(self.closed()?),
        })
    }

    /// An alternation and its closing parenthesis.
    fn closed(&mut self) -> Result<Node, PatternError> {
        let node = self.alternation()?;
        if self.eat(")") {
            Ok(node)
        } else {
            Err(self.invalid("unclosed group"))
        }
    }

    /// `(?ims)` and `(?ims-x:…)`.
    fn flag_group(&mut self) -> Result<Option<Node>, PatternError> {
        let outer = self.flags;
        let mut on = true;
        loop {
            match self.next() {
                Some('i') => self.flags.ignore_case = on,
                Some('u') => self.flags.unicode_case = on,
                Some('s') => self.flags.dot_all = on,
                Some('m') => self.flags.multiline = on,
                Some('d') => self.flags.unix_lines = on,
                Some('x') => self.flags.comments = on,
                Some('U') => return Err(self.unsupported("the flag 'U'")),
                Some('-') if on => on = false,
                Some(')') => return Ok(None),
                Some(':') => {
                    let node = self.closed()?;
                    self.flags = outer;
                    return Ok(Some(node));
                }
                Some(_) => return Err(self.invalid("unknown inline modifier")),
                None => return Err(self.invalid("unknown group type")),
            }
        }
    }

    fn escape(&mut self) -> Result<Node, PatternError> {
        let Some(c) = self.next() else {
            return Err(self.invalid("unexpected end after '\\'"));
        };
        if let Some(class) = class::predefined(c) {
            return Ok(Node::Class(class.to_owned()));
        }
        Ok(match c {
            'p' | 'P' => Node::Class(class::property(self, c == 'P')?),
            'A' => Node::TextStart,
            'z' => Node::TextEnd,
            'Z' => Node::LastLineEnd,
            'b' => Node::WordBoundary { negated: false },
            'B' => Node::WordBoundary { negated: true },
            'R' => Node::Alternate(vec![
                Node::Concat(vec![Node::Char('\r'), Node::Char('\n')]),
                Node::Class(r"[\n\x0B\f\r\x{85}\x{2028}\x{2029}]".to_owned()),
            ]),
            'G' => return Err(self.unsupported("the boundary '\\G'")),
            'X' => return Err(self.unsupported("the grapheme matcher '\\X'")),
            'k' => self.named_reference()?,
            '1'..='9' => self.numbered_reference(c)?,
            other => {
                let literal = class::escaped_char(self, other)?;
                self.character(literal)
            }
        })
    }

    fn named_reference(&mut self) -> Result<Node, PatternError> {
        if !self.eat("<") {
            return Err(self.invalid("'\\k' is not followed by '<'"));
        }
        let name = self.group_name()?;
        let found = self
            .names
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, index)| *index);
        let index = found.ok_or_else(|| self.invalid(format!("there is no group named '{name}'")))?;
        Ok(Node::BackReference {
            index,
            ignore_case: self.flags.ignore_case,
        })
    }

    /// `\12` is group 12 if that many groups exist already, else group 1 and the character `2`.
    fn numbered_reference(&mut self, first: char) -> Result<Node, PatternError> {
        let mut index = first as usize - '0' as usize;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            let longer = index * 10 + digit as usize;
            if longer > self.groups {
                break;
            }
            index = longer;
            self.at += 1;
        }
        Ok(Node::BackReference {
            index,
            ignore_case: self.flags.ignore_case,
        })
    }

    /// The atom with the quantifiers that follow it.
    fn quantifiers(&mut self, atom: Node) -> Result<Node, PatternError> {
        self.skip_comments();
        let (least, most) = match self.peek() {
            Some('?') => (0, Some(1)),
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('{') => {
                self.at += 1;
                self.counts()?
            }
            _ => return Ok(atom),
        };
        // The last character of the quantifier: one of the three, or the closing brace.
        self.at += 1;
        let lazy = self.eat("?");
        let possessive = !lazy && self.eat("+");
        let repeat = Node::Repeat {
            node: Box::new(atom),
            least,
            most,
            lazy,
        };
        let repeat = if possessive {
            Node::Atomic(Box::new(repeat))
        } else {
            repeat
        };
        self.refuse_dangling()?;
        Ok(repeat)
    }

    /// The numbers of `{n}`, `{n,}`, `{n,m}`, up to the closing brace.
    fn counts(&mut self) -> Result<(u32, Option<u32>), PatternError> {
        let least = self.number()?;
        let most = if self.eat(",") {
            if self.peek() == Some('}') {
                None
            } else {
                Some(self.number()?)
            }
        } else {
            Some(least)
        };
        if self.peek() != Some('}') {
            return Err(self.invalid("unclosed counted closure"));
        }
        if most.is_some_and(|most| most < least) {
            return Err(self.invalid("illegal repetition range"));
        }
        Ok((least, most))
    }

    fn number(&mut self) -> Result<u32, PatternError> {
        let mut value: Option<u32> = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            self.at += 1;
            value = value
                .unwrap_or(0)
                .checked_mul(10)
                .and_then(|v| v.checked_add(digit));
            if value.is_none() {
                return Err(self.invalid("illegal repetition range"));
            }
        }
        value.ok_or_else(|| self.invalid("illegal repetition"))
    }
}
