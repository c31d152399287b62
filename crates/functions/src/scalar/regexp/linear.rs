//! Patterns that the linear-time engine can run, in its own syntax.

use super::class;
use super::syntax::Node;

/// A pattern for the `regex` crate.
pub(super) struct Linear {
    pub(super) pattern: String,
    /// It has a `$` that was written as "end of text": only right for texts that do not end in a line terminator.
    pub(super) plain_end: bool,
}

/// The pattern, or `None` if it needs look-around, references, atomic groups or MULTILINE anchors.
pub(super) fn translate(node: &Node) -> Option<Linear> {
    let mut linear = Linear {
        pattern: String::new(),
        plain_end: false,
    };
    write(node, &mut linear).then_some(linear)
}

fn write(node: &Node, linear: &mut Linear) -> bool {
    let out = &mut linear.pattern;
    match node {
        Node::Empty => out.push_str("(?:)"),
        Node::Char(c) => out.push_str(&class::escaped(*c)),
        Node::Class(class) => out.push_str(class),
        Node::TextStart => out.push_str(r"\A"),
        Node::TextEnd => out.push_str(r"\z"),
        Node::LastLineEnd => {
            out.push_str(r"\z");
            linear.plain_end = true;
        }
        Node::WordBoundary { negated: false } => out.push_str(r"\b"),
        Node::WordBoundary { negated: true } => out.push_str(r"\B"),
        Node::Capture { node, .. } => {
            out.push('(');
            if !write(node, linear) {
                return false;
            }
            linear.pattern.push(')');
        }
        Node::Concat(nodes) => return nodes.iter().all(|node| write(node, linear)),
        Node::Alternate(nodes) => {
            for (i, node) in nodes.iter().enumerate() {
                linear.pattern.push_str(if i == 0 { "(?:" } else { "|" });
                if !write(node, linear) {
                    return false;
                }
            }
            linear.pattern.push(')');
        }
        Node::Repeat {
            node,
            least,
            most,
            lazy,
        } => return write_repeat(node, *least, *most, *lazy, linear),
        Node::LineStart
        | Node::LineEnd
        | Node::BackReference { .. }
        | Node::Look { .. }
        | Node::Atomic(_) => return false,
    }
    true
}

fn write_repeat(node: &Node, least: u32, most: Option<u32>, lazy: bool, linear: &mut Linear) -> bool {
    linear.pattern.push_str("(?:");
    if !write(node, linear) {
        return false;
    }
    let count = match most {
        Some(most) => format!("){{{least},{most}}}"),
        None => format!("){{{least},}}"),
    };
    linear.pattern.push_str(&count);
    if lazy {
        linear.pattern.push('?');
    }
    true
}
