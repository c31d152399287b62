//! A tree of lines, drawn with branches.

use std::fmt;

/// A line and its children.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    pub line: String,
    pub inputs: Vec<Tree>,
}

impl Tree {
    pub fn leaf(line: String) -> Self {
        Self {
            line,
            inputs: Vec::new(),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, margin: &str) -> fmt::Result {
        writeln!(f, "{}", self.line)?;
        let last = self.inputs.len().saturating_sub(1);
        for (i, input) in self.inputs.iter().enumerate() {
            let (branch, below) = if i == last { ("+- ", "   ") } else { (":- ", ":  ") };
            write!(f, "{margin}{branch}")?;
            input.write(f, &format!("{margin}{below}"))?;
        }
        Ok(())
    }
}

/// One line per node; `+- ` marks the last input of an operator, `:- ` the others.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_line_up() {
        let leaf = |line: &str| Tree::leaf(line.to_owned());
        let join = Tree {
            line: "b".to_owned(),
            inputs: vec![leaf("c"), leaf("d")],
        };
        let tree = Tree {
            line: "a".to_owned(),
            inputs: vec![join, leaf("e")],
        };
        assert_eq!(tree.to_string(), "a\n:- b\n:  :- c\n:  +- d\n+- e\n");
    }
}
