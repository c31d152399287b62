//! Typed expressions over the columns of one input row.
//!
//! At this point, names are resolved to positions, every implicit cast is an explicit [`Expr::Cast`], and every
//! function name is one that `functions` declares. The `expr` crate evaluates them.

use millstream_types::{LogicalType, Scalar};
use serde::{Deserialize, Serialize};

/// An expression and its type.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Expr {
    /// The input column at a position (over both inputs of a join: the left columns, then the right).
    Column {
        index: usize,
        ty: LogicalType,
    },
    Literal {
        value: Scalar,
        ty: LogicalType,
    },
    /// A scalar function or operator, by the name under which `functions` declares it (`UPPER`, `+`, `=`, `NOT`,
    /// `IS NULL`, `LIKE`). Arguments have exactly the types of the function's signature.
    Call {
        function: String,
        args: Vec<Expr>,
        ty: LogicalType,
    },
    /// `safe` is TRY_CAST: a value that does not fit becomes NULL instead of an error.
    Cast {
        input: Box<Expr>,
        ty: LogicalType,
        safe: bool,
    },
    /// Three-valued AND of two or more conditions. Each is evaluated only for the rows that the earlier ones leave
    /// undecided.
    And(Vec<Expr>),
    /// Three-valued OR of two or more conditions. Each is evaluated only for the rows that the earlier ones leave
    /// undecided.
    Or(Vec<Expr>),
    /// The value of the first branch whose condition is TRUE, otherwise `otherwise`. A value is evaluated only for the
    /// rows that take its branch.
    Case {
        branches: Vec<(Expr, Expr)>,
        otherwise: Box<Expr>,
        ty: LogicalType,
    },
    /// The first value that is not NULL. Later values are evaluated only for rows where the earlier ones are NULL.
    Coalesce {
        args: Vec<Expr>,
        ty: LogicalType,
    },
    /// A field of a ROW, by position; NULL for a NULL row.
    Field {
        input: Box<Expr>,
        index: usize,
        ty: LogicalType,
    },
}

impl Expr {
    pub fn column(index: usize, ty: LogicalType) -> Self {
        Self::Column { index, ty }
    }

    pub fn literal(value: Scalar, ty: LogicalType) -> Self {
        Self::Literal { value, ty }
    }

    /// The type of the value.
    pub fn ty(&self) -> LogicalType {
        match self {
            Self::Column { ty, .. }
            | Self::Literal { ty, .. }
            | Self::Call { ty, .. }
            | Self::Cast { ty, .. }
            | Self::Case { ty, .. }
            | Self::Coalesce { ty, .. }
            | Self::Field { ty, .. } => ty.clone(),
            Self::And(args) | Self::Or(args) => {
                LogicalType::BOOLEAN.with_nullable(args.iter().any(|a| a.ty().nullable))
            }
        }
    }

    /// Direct subexpressions, in order.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Self::Column { .. } | Self::Literal { .. } => Vec::new(),
            Self::Call { args, .. } | Self::And(args) | Self::Or(args) | Self::Coalesce { args, .. } => {
                args.iter().collect()
            }
            Self::Cast { input, .. } | Self::Field { input, .. } => vec![input],
            Self::Case {
                branches, otherwise, ..
            } => branches
                .iter()
                .flat_map(|(c, v)| [c, v])
                .chain([otherwise.as_ref()])
                .collect(),
        }
    }

    /// Replaces every direct subexpression `e` by `f(e)`.
    pub fn map_children(self, f: &mut impl FnMut(Expr) -> Expr) -> Expr {
        match self {
            leaf @ (Self::Column { .. } | Self::Literal { .. }) => leaf,
            Self::Call { function, args, ty } => Self::Call {
                function,
                args: args.into_iter().map(f).collect(),
                ty,
            },
            Self::And(args) => Self::And(args.into_iter().map(f).collect()),
            Self::Or(args) => Self::Or(args.into_iter().map(f).collect()),
            Self::Coalesce { args, ty } => Self::Coalesce {
                args: args.into_iter().map(f).collect(),
                ty,
            },
            Self::Cast { input, ty, safe } => Self::Cast {
                input: Box::new(f(*input)),
                ty,
                safe,
            },
            Self::Field { input, index, ty } => Self::Field {
                input: Box::new(f(*input)),
                index,
                ty,
            },
            Self::Case {
                branches,
                otherwise,
                ty,
            } => {
                let branches = branches.into_iter().map(|(c, v)| (f(c), f(v))).collect();
                Self::Case {
                    branches,
                    otherwise: Box::new(f(*otherwise)),
                    ty,
                }
            }
        }
    }

    /// Rebuilds the expression bottom-up: `f` sees each node after its children were replaced.
    pub fn transform_up(self, f: &mut impl FnMut(Expr) -> Expr) -> Expr {
        let rebuilt = self.map_children(&mut |child| child.transform_up(f));
        f(rebuilt)
    }

    /// Calls `f` for this expression and everything below it, parents first.
    pub fn visit(&self, f: &mut impl FnMut(&Expr)) {
        f(self);
        for child in self.children() {
            child.visit(f);
        }
    }

    /// The input columns that the expression reads, ascending and distinct.
    pub fn columns(&self) -> Vec<usize> {
        let mut found = Vec::new();
        self.visit(&mut |e| {
            if let Self::Column { index, .. } = e {
                found.push(*index);
            }
        });
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The same expression with every column position mapped.
    pub fn remap_columns(self, map: &impl Fn(usize) -> usize) -> Expr {
        self.transform_up(&mut |e| match e {
            Self::Column { index, ty } => Self::Column {
                index: map(index),
                ty,
            },
            other => other,
        })
    }
}
