//! Expressions.

use super::{
    DataType, FunctionCall, Ident, IntervalQualifier, JsonFunction, Literal, ObjectName, Query, Span,
    SpecialFunction,
};

/// An expression and its span.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

impl Expr {
    /// An expression of this kind at this place.
    pub fn new(kind: ExprKind, span: Span) -> Self {
        Self { kind, span }
    }
}

/// The forms of an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ExprKind {
    Literal(Literal),
    /// `a`, `t.a`, `t.a.field`: the binder determines where the table ends and the field begins.
    Identifier(ObjectName),
    /// `expression.field`, where the left side is not a name.
    Field {
        base: Box<Expr>,
        field: Ident,
    },
    /// `base[index]`: array element, map value, row field or variant member.
    Element {
        base: Box<Expr>,
        index: Box<Expr>,
    },
    Unary {
        operator: UnaryOperator,
        operand: Box<Expr>,
    },
    Binary {
        operator: BinaryOperator,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `operand IS [NOT] …`.
    Is {
        operand: Box<Expr>,
        test: IsTest,
        negated: bool,
    },
    Between {
        operand: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        symmetric: bool,
        negated: bool,
    },
    Like {
        kind: LikeKind,
        operand: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<Box<Expr>>,
        negated: bool,
    },
    InList {
        operand: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    InSubquery {
        operand: Box<Expr>,
        query: Box<Query>,
        negated: bool,
    },
    /// `operand = SOME (…)`.
    Quantified {
        operand: Box<Expr>,
        operator: BinaryOperator,
        quantifier: Quantifier,
        source: QuantifiedSource,
    },
    Exists(Box<Query>),
    /// `UNIQUE (query)`.
    Unique(Box<Query>),
    /// A scalar subquery.
    Subquery(Box<Query>),
    /// `CASE [operand] WHEN … THEN … [ELSE …] END`.
    Case {
        operand: Option<Box<Expr>>,
        branches: Vec<CaseBranch>,
        otherwise: Option<Box<Expr>>,
    },
    Cast {
        kind: CastKind,
        operand: Box<Expr>,
        data_type: Box<DataType>,
    },
    /// `ROW(a, b)` or `(a, b)`.
    Row {
        fields: Vec<Expr>,
        explicit: bool,
    },
    /// `ARRAY[…]`.
    Array(Vec<Expr>),
    /// `ARRAY(query)`.
    ArrayQuery(Box<Query>),
    /// `MAP[k, v, …]`: keys and values in turn, as written.
    Map(Vec<Expr>),
    MapQuery(Box<Query>),
    Multiset(Vec<Expr>),
    MultisetQuery(Box<Query>),
    /// `INTERVAL expression DAY`: an interval computed from an expression.
    Interval {
        value: Box<Expr>,
        qualifier: IntervalQualifier,
    },
    /// `(left - right) DAY`: the difference between two points in time, in this unit.
    DatetimeDifference {
        left: Box<Expr>,
        right: Box<Expr>,
        qualifier: IntervalQualifier,
    },
    /// A call in standard notation, `name(arguments)` with its clauses, and functions without parentheses, such as
    /// `CURRENT_TIMESTAMP`.
    Function(Box<FunctionCall>),
    /// A built-in function with its own syntax.
    Special(Box<SpecialFunction>),
    /// The JSON functions of the SQL standard.
    Json(Box<JsonFunction>),
    /// `RUNNING f(…)` or `FINAL f(…)` in MATCH_RECOGNIZE.
    MatchModifier {
        modifier: MatchModifier,
        call: Box<Expr>,
    },
    /// `NEXT VALUE FOR s` or `CURRENT VALUE FOR s`.
    Sequence {
        next: bool,
        sequence: ObjectName,
    },
    /// `?`.
    Parameter,
}

/// Prefix operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOperator {
    Plus,
    Minus,
    Not,
}

/// Infix operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOperator {
    Or,
    And,
    Equals,
    NotEquals,
    LessThan,
    LessThanOrEqual,
    GreaterThan,
    GreaterThanOrEqual,
    IsDistinctFrom,
    IsNotDistinctFrom,
    Plus,
    Minus,
    Multiply,
    Divide,
    Modulo,
    Concat,
    Overlaps,
    Contains,
    Equal,
    Precedes,
    Succeeds,
    ImmediatelyPrecedes,
    ImmediatelySucceeds,
    MemberOf,
    SubmultisetOf,
    NotSubmultisetOf,
    MultisetUnion,
    MultisetUnionAll,
    MultisetIntersect,
    MultisetIntersectAll,
    MultisetExcept,
    MultisetExceptAll,
}

impl BinaryOperator {
    /// The operator's text, as Flink prints it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Or => "OR",
            Self::And => "AND",
            Self::Equals => "=",
            Self::NotEquals => "<>",
            Self::LessThan => "<",
            Self::LessThanOrEqual => "<=",
            Self::GreaterThan => ">",
            Self::GreaterThanOrEqual => ">=",
            Self::IsDistinctFrom => "IS DISTINCT FROM",
            Self::IsNotDistinctFrom => "IS NOT DISTINCT FROM",
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Concat => "||",
            Self::Overlaps => "OVERLAPS",
            Self::Contains => "CONTAINS",
            Self::Equal => "EQUALS",
            Self::Precedes => "PRECEDES",
            Self::Succeeds => "SUCCEEDS",
            Self::ImmediatelyPrecedes => "IMMEDIATELY PRECEDES",
            Self::ImmediatelySucceeds => "IMMEDIATELY SUCCEEDS",
            Self::MemberOf => "MEMBER OF",
            Self::SubmultisetOf => "SUBMULTISET OF",
            Self::NotSubmultisetOf => "NOT SUBMULTISET OF",
            Self::MultisetUnion => "MULTISET UNION",
            Self::MultisetUnionAll => "MULTISET UNION ALL",
            Self::MultisetIntersect => "MULTISET INTERSECT",
            Self::MultisetIntersectAll => "MULTISET INTERSECT ALL",
            Self::MultisetExcept => "MULTISET EXCEPT",
            Self::MultisetExceptAll => "MULTISET EXCEPT ALL",
        }
    }

    /// Whether this is one of `= <> < <= > >=`.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equals
                | Self::NotEquals
                | Self::LessThan
                | Self::LessThanOrEqual
                | Self::GreaterThan
                | Self::GreaterThanOrEqual
        )
    }
}

/// The predicate of `IS [NOT]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IsTest {
    Null,
    True,
    False,
    Unknown,
    ASet,
    Empty,
    /// `IS JSON [VALUE]`, `IS JSON OBJECT` …
    Json(JsonShape),
}

/// The shapes that `IS JSON` tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonShape {
    Value,
    Object,
    Array,
    Scalar,
}

/// Pattern matching operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LikeKind {
    Like,
    SimilarTo,
    /// `ILIKE`: parsed, but rejected by the binder as in Flink.
    ILike,
    /// `RLIKE`: likewise.
    RLike,
}

/// `SOME` (or `ANY`, which means the same) and `ALL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantifier {
    Some,
    Any,
    All,
}

/// The right side of a quantified comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum QuantifiedSource {
    Query(Box<Query>),
    List(Vec<Expr>),
}

/// `WHEN condition THEN result`; a condition may be several values in the form with an operand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CaseBranch {
    pub when: Vec<Expr>,
    pub then: Expr,
    pub span: Span,
}

/// The spellings of a cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CastKind {
    Cast,
    TryCast,
    /// `SAFE_CAST`.
    SafeCast,
}

/// `RUNNING` or `FINAL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchModifier {
    Running,
    Final,
}
