//! Function calls: standard notation, built-ins with their own syntax, JSON functions.

use super::{DataType, Expr, Ident, ObjectName, OrderItem, Query, Span, TimeFrame};

/// A function call with everything that may follow it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FunctionCall {
    pub name: ObjectName,
    /// `DISTINCT` or `ALL` before the arguments.
    pub quantifier: Option<SetQuantifier>,
    /// `None` for a function that is called without parentheses.
    pub arguments: Option<Vec<FunctionArgument>>,
    /// `ORDER BY` inside the parentheses.
    pub order_by: Vec<OrderItem>,
    pub null_treatment: Option<NullTreatment>,
    /// `WITHIN DISTINCT (…)`.
    pub within_distinct: Vec<Expr>,
    /// `WITHIN GROUP (ORDER BY …)`.
    pub within_group: Vec<OrderItem>,
    pub filter: Option<Expr>,
    pub over: Option<OverClause>,
    pub span: Span,
}

impl FunctionCall {
    /// A plain call with positional arguments, for generated trees.
    pub fn plain(name: ObjectName, arguments: Vec<Expr>, span: Span) -> Self {
        let arguments = arguments.into_iter().map(FunctionArgument::positional).collect();
        Self::with_arguments(name, Some(arguments), span)
    }

    pub(crate) fn with_arguments(
        name: ObjectName,
        arguments: Option<Vec<FunctionArgument>>,
        span: Span,
    ) -> Self {
        Self {
            name,
            quantifier: None,
            arguments,
            order_by: Vec::new(),
            null_treatment: None,
            within_distinct: Vec::new(),
            within_group: Vec::new(),
            filter: None,
            over: None,
            span,
        }
    }

    /// The arguments, none for a call without parentheses.
    pub fn arguments(&self) -> &[FunctionArgument] {
        self.arguments.as_deref().unwrap_or(&[])
    }
}

/// `DISTINCT` or `ALL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetQuantifier {
    Distinct,
    All,
}

/// `IGNORE NULLS` or `RESPECT NULLS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NullTreatment {
    Ignore,
    Respect,
}

/// `value` or `name => value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FunctionArgument {
    pub name: Option<Ident>,
    pub value: ArgumentValue,
    pub span: Span,
}

impl FunctionArgument {
    /// An unnamed argument.
    pub fn positional(value: Expr) -> Self {
        let span = value.span;
        Self {
            name: None,
            value: ArgumentValue::Expr(value),
            span,
        }
    }

    /// The argument if it is an ordinary expression.
    pub fn as_expr(&self) -> Option<&Expr> {
        match &self.value {
            ArgumentValue::Expr(expr) => Some(expr),
            _ => None,
        }
    }
}

/// What a call accepts as an argument.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ArgumentValue {
    Expr(Expr),
    /// `*`, as in COUNT(*).
    Star,
    /// `DEFAULT`.
    Default,
    /// `TABLE t [PARTITION BY …] [ORDER BY …]` or a query in parentheses with these clauses.
    Table(TableArgument),
    /// `MODEL m`.
    Model(ObjectName),
    /// `DESCRIPTOR(a, b)`.
    Descriptor(Vec<DescriptorColumn>),
}

/// A column of a DESCRIPTOR, with a type in the few functions that declare columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DescriptorColumn {
    pub name: Ident,
    pub data_type: Option<DataType>,
}

/// A table as the argument of a function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableArgument {
    pub source: TableArgumentSource,
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<OrderItem>,
    pub span: Span,
}

/// The source of a table argument's rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TableArgumentSource {
    /// `TABLE name`.
    Table(ObjectName),
    Query(Box<Query>),
}

/// What follows `OVER`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OverClause {
    /// `OVER w`.
    Named(Ident),
    Window(WindowSpec),
}

/// `( [base] [PARTITION BY …] [ORDER BY …] [frame] )`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WindowSpec {
    pub base: Option<Ident>,
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<OrderItem>,
    pub frame: Option<WindowFrame>,
    /// `ALLOW PARTIAL` or `DISALLOW PARTIAL`.
    pub allow_partial: Option<bool>,
    pub span: Span,
}

/// `ROWS …` or `RANGE …`; `end` is missing when BETWEEN was not written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WindowFrame {
    pub unit: FrameUnit,
    pub start: FrameBound,
    pub end: Option<FrameBound>,
    pub exclude: Option<FrameExclusion>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameUnit {
    Rows,
    Range,
}

/// A side of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FrameBound {
    CurrentRow,
    UnboundedPreceding,
    UnboundedFollowing,
    Preceding(Box<Expr>),
    Following(Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameExclusion {
    CurrentRow,
    Group,
    Ties,
    NoOthers,
}

/// Built-ins whose arguments are separated by keywords.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SpecialFunction {
    /// `EXTRACT(unit FROM operand)`.
    Extract { frame: TimeFrame, operand: Expr },
    /// `FLOOR(operand TO unit)`.
    Floor { operand: Expr, to: TimeFrame },
    /// `CEIL(operand TO unit)`.
    Ceil { operand: Expr, to: TimeFrame },
    /// `TIMESTAMPADD(unit, count, operand)`.
    TimestampAdd {
        frame: TimeFrame,
        count: Expr,
        operand: Expr,
    },
    /// `TIMESTAMPDIFF(unit, start, end)`.
    TimestampDiff {
        frame: TimeFrame,
        start: Expr,
        end: Expr,
    },
    /// `POSITION(needle IN haystack [FROM start])`.
    Position {
        needle: Expr,
        haystack: Expr,
        from: Option<Expr>,
    },
    /// `TRIM([BOTH|LEADING|TRAILING] [characters] FROM operand)`.
    Trim {
        side: TrimSide,
        characters: Option<Expr>,
        operand: Expr,
    },
    /// `SUBSTRING(operand FROM start [FOR length])`, and the form with commas.
    Substring {
        operand: Expr,
        from: Expr,
        length: Option<Expr>,
    },
    /// `OVERLAY(operand PLACING replacement FROM start [FOR length])`.
    Overlay {
        operand: Expr,
        replacement: Expr,
        from: Expr,
        length: Option<Expr>,
    },
    /// `CONVERT(operand USING name)` or `TRANSLATE(operand USING name)`.
    Using {
        function: Ident,
        operand: Expr,
        name: ObjectName,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrimSide {
    Both,
    Leading,
    Trailing,
}

/// The JSON functions with clauses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JsonFunction {
    Exists {
        input: Expr,
        path: Expr,
        on_error: Option<JsonExistsOnError>,
    },
    Value {
        input: Expr,
        path: Expr,
        returning: Option<DataType>,
        on_empty: Option<JsonValueBehavior>,
        on_error: Option<JsonValueBehavior>,
    },
    Query(JsonQueryFunction),
    Object {
        entries: Vec<JsonEntry>,
        on_null: Option<JsonOnNull>,
    },
    ObjectAgg {
        entry: JsonEntry,
        on_null: Option<JsonOnNull>,
        filter: Option<Expr>,
        over: Option<OverClause>,
    },
    Array {
        elements: Vec<JsonElement>,
        on_null: Option<JsonOnNull>,
    },
    ArrayAgg {
        element: JsonElement,
        order_by: Vec<OrderItem>,
        on_null: Option<JsonOnNull>,
        filter: Option<Expr>,
        over: Option<OverClause>,
    },
}

/// `JSON_QUERY(input, path [RETURNING type] [wrapper] [… ON EMPTY] [… ON ERROR])`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonQueryFunction {
    pub input: Expr,
    pub path: Expr,
    pub returning: Option<DataType>,
    pub wrapper: Option<JsonWrapper>,
    pub on_empty: Option<JsonQueryBehavior>,
    pub on_error: Option<JsonQueryBehavior>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonExistsOnError {
    True,
    False,
    Unknown,
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JsonValueBehavior {
    Error,
    Null,
    Default(Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonQueryBehavior {
    Error,
    Null,
    EmptyArray,
    EmptyObject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonWrapper {
    Without,
    Conditional,
    Unconditional,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonOnNull {
    Null,
    Absent,
}

/// `[KEY] key VALUE value [FORMAT JSON]` or `key : value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonEntry {
    pub key: Expr,
    pub value: JsonElement,
}

/// A value inside a JSON constructor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonElement {
    pub value: Expr,
    /// `FORMAT JSON`: the value is JSON text already.
    pub format_json: bool,
}
