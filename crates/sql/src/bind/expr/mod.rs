//! Expressions as written → typed expressions over a scope.
//!
//! Names become positions, every implicit cast is written out, and functions are checked against their declarations.
//! Aggregates, OVER calls and sub-queries become placeholders here (see [`super::logical::placeholder`]) and are handed
//! to the clause through [`Calls`], which puts the columns in place.

mod absent;
mod aggregate;
mod forms;
mod function;
mod json;
mod special;
mod subquery;

use millstream_plan::Expr;
use millstream_types::{ErrorCode, LogicalType, TypeFamily, TypeKind};

pub use absent::as_column;
pub use aggregate::{BoundAggregate, BoundOrder, BoundOver};
pub use function::{call, proctime, unknown_function};

use super::coerce;
use super::error::{SqlError, SqlResult};
use super::literal::bind_literal;
use super::logical::Rel;
use super::query::Environment;
use super::scope::{Scope, field_of};
use super::{Binder, types};
use crate::parse::ast::{self, CastKind, ExprKind, ObjectName};
use crate::parse::span::Span;
use crate::stack::with_room;
use millstream_functions::typing::{self, sql_type_name};

/// The clause that contains an expression: determines what is allowed and how messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clause {
    Select,
    Where,
    On,
    GroupBy,
    Having,
    Qualify,
    OrderBy,
    Values,
    /// A computed column or a watermark.
    TableDefinition,
    /// Arguments of table functions.
    TableFunction,
}

impl Clause {
    fn allows_aggregates(self) -> bool {
        matches!(self, Self::Select | Self::Having | Self::Qualify | Self::OrderBy)
    }

    fn allows_over(self) -> bool {
        matches!(self, Self::Select | Self::Qualify | Self::OrderBy)
    }

    fn allows_subqueries(self) -> bool {
        !matches!(self, Self::TableDefinition | Self::TableFunction | Self::GroupBy)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Where => "WHERE",
            Self::On => "ON",
            Self::GroupBy => "GROUP BY",
            Self::Having => "HAVING",
            Self::Qualify => "QUALIFY",
            Self::OrderBy => "ORDER BY",
            Self::Values => "VALUES",
            Self::TableDefinition => "table definition",
            Self::TableFunction => "table function",
        }
    }
}

/// What the expressions of a clause (or of a whole SELECT) contain besides scalar code.
#[derive(Debug, Default)]
pub struct Calls {
    pub aggregates: Vec<BoundAggregate>,
    pub overs: Vec<BoundOver>,
    pub subqueries: Vec<BoundSubquery>,
}

/// A subquery inside an expression.
#[derive(Debug)]
pub struct BoundSubquery {
    pub kind: SubqueryKind,
    pub rel: Rel,
    pub span: Span,
}

/// How a subquery is used.
#[derive(Debug)]
pub enum SubqueryKind {
    /// As its only value.
    Scalar,
    /// Whether it has any row.
    Exists,
    /// Whether its rows contain the operands.
    In { operands: Vec<Expr> },
    /// Whether the comparison holds for some row, or for every row.
    Compare {
        operand: Expr,
        operator: &'static str,
        all: bool,
        /// Streaming compares with an extreme value. While the subquery has no rows, that value is missing and nothing
        /// passes.
        needs_rows: bool,
    },
    /// All rows as one array, multiset or map.
    Collection { function: &'static str },
}

/// Binds the expressions of one clause.
pub struct ExprBinder<'b, 'a> {
    pub binder: &'b Binder<'a>,
    pub scope: &'b Scope<'b>,
    pub environment: &'b Environment<'b>,
    pub calls: &'b mut Calls,
    pub clause: Clause,
    /// The windows of the WINDOW clause.
    pub windows: &'b [ast::NamedWindow],
    /// The legacy window function of GROUP BY, and the type of its time column.
    pub group_window: Option<&'b ast::FunctionCall>,
    pub group_window_time: Option<LogicalType>,
    /// Whether an aggregate can see no rows: no GROUP BY, or an empty grouping set.
    pub global_aggregate: bool,
    /// The named expressions of the SELECT list, which QUALIFY may refer to.
    pub aliases: Vec<(String, Expr)>,
    inside_aggregate: bool,
    inside_over: bool,
}

/// An untyped NULL where a type is needed.
fn illegal_null(span: Span) -> SqlError {
    SqlError::at(span, "Illegal use of 'NULL'")
        .with_code(ErrorCode::UntypedNull)
        .with_hint("give it a type: CAST(NULL AS INT)")
}

/// Functions that accept an untyped NULL, which gets the expected type; array functions do not accept it as first
/// argument.
const TAKES_NULL: &[&str] = &[
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "IS NULL",
    "IS NOT NULL",
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
    "ARRAY_APPEND",
    "ARRAY_CONTAINS",
    "ARRAY_JOIN",
    "ARRAY_POSITION",
    "ARRAY_PREPEND",
    "ARRAY_REMOVE",
    "ARRAY_SLICE",
    "ARRAY_SORT",
    "BITMAP_BUILD",
    "BITMAP_FROM_BYTES",
    "BTRIM",
    "ELT",
    "ENDSWITH",
    "INET_ATON",
    "INET_NTOA",
    "JSON_QUOTE",
    "JSON_STRING",
    "JSON_UNQUOTE",
    "PARSE_JSON",
    "PRINTF",
    "REGEXP_COUNT",
    "REGEXP_EXTRACT_ALL",
    "REGEXP_INSTR",
    "REGEXP_SUBSTR",
    "SPLIT",
    "STARTSWITH",
    "TYPEOF",
    "UNHEX",
    "URL_DECODE",
    "URL_ENCODE",
];

impl<'b, 'a> ExprBinder<'b, 'a> {
    pub fn new(
        binder: &'b Binder<'a>,
        scope: &'b Scope<'b>,
        environment: &'b Environment<'b>,
        calls: &'b mut Calls,
        clause: Clause,
    ) -> Self {
        Self {
            binder,
            scope,
            environment,
            calls,
            clause,
            windows: &[],
            group_window: None,
            group_window_time: None,
            global_aggregate: false,
            aliases: Vec::new(),
            inside_aggregate: false,
            inside_over: false,
        }
    }

    /// Binds `expr` to its typed form.
    pub fn bind(&mut self, expr: &ast::Expr) -> SqlResult<Expr> {
        let bound = with_room(|| self.bind_kind(expr)).map_err(|error| error.with_span(expr.span))?;
        Ok(bound)
    }

    /// Like [`Self::bind`], where BOOLEAN is required.
    pub fn bind_condition(&mut self, expr: &ast::Expr) -> SqlResult<Expr> {
        let bound = self.bind(expr)?;
        let ty = bound.ty();
        if ty.family() == TypeFamily::Boolean {
            return Ok(bound);
        }
        if ty.is_null() {
            return Ok(coerce::cast_to(bound, &LogicalType::BOOLEAN));
        }
        let message = format!(
            "{} clause must be a condition, not {}",
            self.clause.name(),
            sql_type_name(&ty)
        );
        Err(SqlError::at(expr.span, message)
            .with_code(ErrorCode::TypeMismatch)
            .with_hint("write a comparison, or a BOOLEAN column"))
    }

    /// Like [`Self::bind_condition`], for an optional clause.
    pub fn bind_optional_condition(&mut self, expr: Option<&ast::Expr>) -> SqlResult<Option<Expr>> {
        expr.map(|expr| self.bind_condition(expr)).transpose()
    }

    /// Like [`Self::bind`], where an untyped NULL has no type to take.
    pub fn bind_typed(&mut self, expr: &ast::Expr) -> SqlResult<Expr> {
        let bound = self.bind(expr)?;
        if bound.ty().is_null() {
            return Err(illegal_null(expr.span));
        }
        Ok(bound)
    }

    fn bind_all(&mut self, exprs: &[ast::Expr]) -> SqlResult<Vec<Expr>> {
        exprs.iter().map(|expr| self.bind(expr)).collect()
    }

    fn bind_kind(&mut self, expr: &ast::Expr) -> SqlResult<Expr> {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Literal(literal) => bind_literal(literal, span),
            ExprKind::Identifier(name) => self.bind_name(name),
            ExprKind::Field { base, field } => {
                let base = self.bind(base)?;
                field_of(base, field)
            }
            ExprKind::Element { base, index } => self.bind_element(base, index, span),
            ExprKind::Unary { operator, operand } => self.bind_unary(*operator, operand, span),
            ExprKind::Binary {
                operator,
                left,
                right,
            } => self.bind_binary(*operator, left, right, span),
            ExprKind::Is {
                operand,
                test,
                negated,
            } => self.bind_is(operand, *test, *negated, span),
            ExprKind::Between {
                operand,
                low,
                high,
                symmetric,
                negated,
            } => self.bind_between(
                [operand.as_ref(), low.as_ref(), high.as_ref()],
                *symmetric,
                *negated,
                span,
            ),
            ExprKind::Like {
                kind,
                operand,
                pattern,
                escape,
                negated,
            } => self.bind_like(*kind, operand, pattern, escape.as_deref(), *negated, span),
            ExprKind::InList {
                operand,
                list,
                negated,
            } => self.bind_in_list(operand, list, *negated, span),
            ExprKind::Case {
                operand,
                branches,
                otherwise,
            } => self.bind_case(operand.as_deref(), branches, otherwise.as_deref(), span),
            ExprKind::Cast {
                kind,
                operand,
                data_type,
            } => self.bind_cast(*kind, operand, data_type, span),
            ExprKind::Function(call) => self.bind_function(call),
            ExprKind::Special(special) => self.bind_special(special, span),
            ExprKind::Json(function) => self.bind_json(function, span),
            _ => self.bind_constructor(expr),
        }
    }

    /// Collections, rows, intervals and sub-queries.
    fn bind_constructor(&mut self, expr: &ast::Expr) -> SqlResult<Expr> {
        let span = expr.span;
        match &expr.kind {
            ExprKind::InSubquery {
                operand,
                query,
                negated,
            } => {
                let found = self.bind_in_subquery(operand, query, span)?;
                self.negate_if(*negated, found, span)
            }
            ExprKind::Quantified {
                operand,
                operator,
                quantifier,
                source,
            } => self.bind_quantified(operand, *operator, *quantifier, source, span),
            ExprKind::Exists(query) => self.bind_subquery(SubqueryKind::Exists, query, span),
            ExprKind::Subquery(query) => self.bind_subquery(SubqueryKind::Scalar, query, span),
            ExprKind::ArrayQuery(query) => self.bind_subquery(
                SubqueryKind::Collection {
                    function: "ARRAY_AGG",
                },
                query,
                span,
            ),
            ExprKind::MultisetQuery(query) => {
                self.bind_subquery(SubqueryKind::Collection { function: "COLLECT" }, query, span)
            }
            ExprKind::Row { fields, .. } => {
                let fields = self.bind_all(fields)?;
                self.call(span, "ROW", fields)
            }
            ExprKind::Array(elements) => self.bind_array(elements, span),
            ExprKind::Map(entries) => self.bind_map(entries, span),
            ExprKind::Interval { value, qualifier } => self.bind_dynamic_interval(value, qualifier, span),
            ExprKind::DatetimeDifference {
                left,
                right,
                qualifier,
            } => {
                let unit = qualifier.end.unwrap_or(qualifier.start).word();
                let args = vec![self.bind(left)?, self.bind(right)?, coerce::text(unit)];
                self.call(span, "MINUS_DATE", args)
            }
            ExprKind::MapQuery(_) => Err(SqlError::unsupported(span, "MAP(query)")),
            ExprKind::Multiset(_) => Err(SqlError::unsupported(span, "MULTISET[…]; use COLLECT")),
            ExprKind::Unique(_) => Err(SqlError::unsupported(span, "UNIQUE (query)")),
            ExprKind::MatchModifier { .. } => Err(SqlError::at(
                span,
                "RUNNING and FINAL are only allowed in MATCH_RECOGNIZE",
            )
            .with_code(ErrorCode::MisplacedFunction)),
            ExprKind::Sequence { .. } => Err(SqlError::unsupported(span, "sequences")),
            ExprKind::Parameter => Err(SqlError::unsupported(span, "dynamic parameters '?'")),
            _ => Err(SqlError::internal(
                "an expression kind that the binder does not handle",
            )),
        }
    }

    fn bind_name(&mut self, name: &ObjectName) -> SqlResult<Expr> {
        let resolved = match self.scope.resolve(name) {
            Err(_) if name.is_word("PI") => return self.call(name.span, "PI", Vec::new()),
            Err(error) => return self.alias(name).ok_or(error),
            Ok(resolved) => resolved,
        };
        self.binder.names.record_column(name.span, &resolved.full);
        Ok(resolved.expr)
    }

    /// The SELECT list expression that QUALIFY refers to by `name`.
    fn alias(&self, name: &ObjectName) -> Option<Expr> {
        let simple = name.as_simple().filter(|_| self.clause == Clause::Qualify)?;
        let mut found = self.aliases.iter().filter(|(alias, _)| *alias == simple.value);
        let (_, expr) = found.next()?;
        found.next().is_none().then(|| expr.clone())
    }

    /// A call of the built-in `function`.
    pub fn call(&self, span: Span, function: &str, args: Vec<Expr>) -> SqlResult<Expr> {
        let first_is_typed = function.starts_with("ARRAY_");
        let is_refused = |(place, arg): (usize, &Expr)| {
            arg.ty().is_null() && (!TAKES_NULL.contains(&function) || (first_is_typed && place == 0))
        };
        if args.iter().enumerate().any(is_refused) {
            return Err(illegal_null(span));
        }
        function::call(function, args).map_err(|error| error.with_span(span))
    }

    fn negate_if(&self, negated: bool, condition: Expr, span: Span) -> SqlResult<Expr> {
        if negated {
            self.call(span, "NOT", vec![condition])
        } else {
            Ok(condition)
        }
    }

    fn bind_cast(
        &mut self,
        kind: CastKind,
        operand: &ast::Expr,
        written: &ast::DataType,
        span: Span,
    ) -> SqlResult<Expr> {
        let target = types::bind_type(written)?;
        let operand = self.bind(operand)?;
        let from = operand.ty();
        let safe = kind != CastKind::Cast;
        if from.is_null() {
            return Ok(coerce::cast_to(operand, &target));
        }
        if !typing::supports_explicit_cast(&from.without_time_attribute(), &target) {
            return Err(SqlError::at(
                span,
                typing::cast_refusal(&from.without_time_attribute(), &target),
            )
            .with_code(ErrorCode::InvalidCast));
        }
        let ty = target.with_nullable(from.nullable || safe);
        // A literal counts units of the interval; any other number counts months or milliseconds.
        let is_small = matches!(from.kind, TypeKind::Int | TypeKind::Decimal { .. });
        if ty.is_interval() && is_small && coerce::literal_of(&operand).is_some() {
            let mut interval = self.call(span, "*", vec![forms::first_unit(&ty), operand])?;
            if let Expr::Call { ty: result, .. } = &mut interval {
                *result = ty;
            }
            return Ok(interval);
        }
        if from.kind == ty.kind {
            return Ok(operand);
        }
        Ok(Expr::Cast {
            input: Box::new(operand),
            ty,
            safe,
        })
    }

    fn bind_array(&mut self, elements: &[ast::Expr], span: Span) -> SqlResult<Expr> {
        if elements.is_empty() {
            return Err(
                SqlError::at(span, "ARRAY requires at least 1 argument").with_code(ErrorCode::WrongArguments)
            );
        }
        let elements = self.bind_all(elements)?;
        let element = self.unify(&elements, || {
            let names: Vec<String> = elements.iter().map(|e| sql_type_name(&e.ty())).collect();
            SqlError::at(
                span,
                format!(
                    "parameters of ARRAY must be of the same type: {}",
                    names.join(", ")
                ),
            )
            .with_code(ErrorCode::TypeMismatch)
        })?;
        let args = elements
            .into_iter()
            .map(|e| coerce::cast_to(e, &element))
            .collect();
        let ty = LogicalType::not_null(TypeKind::Array(Box::new(element)));
        Ok(Expr::Call {
            function: "ARRAY".to_owned(),
            args,
            ty,
        })
    }

    fn bind_map(&mut self, entries: &[ast::Expr], span: Span) -> SqlResult<Expr> {
        if entries.is_empty() {
            return Err(
                SqlError::at(span, "MAP requires at least 2 arguments").with_code(ErrorCode::WrongArguments)
            );
        }
        if !entries.len().is_multiple_of(2) {
            return Err(SqlError::at(
                span,
                "MAP requires an even number of arguments: keys and values in turn",
            )
            .with_code(ErrorCode::WrongArguments));
        }
        let entries = self.bind_all(entries)?;
        let nth = |parity: usize| {
            entries
                .iter()
                .skip(parity)
                .step_by(2)
                .cloned()
                .collect::<Vec<_>>()
        };
        let different = |what: &str| {
            let message = format!("{what} of MAP must be of the same type");
            move || SqlError::at(span, message).with_code(ErrorCode::TypeMismatch)
        };
        let key = self.unify(&nth(0), different("keys"))?;
        let value = self.unify(&nth(1), different("values"))?;
        let args = entries
            .into_iter()
            .enumerate()
            .map(|(i, entry)| coerce::cast_to(entry, if i % 2 == 0 { &key } else { &value }))
            .collect();
        let ty = LogicalType::not_null(TypeKind::Map(Box::new(key), Box::new(value)));
        Ok(Expr::Call {
            function: "MAP".to_owned(),
            args,
            ty,
        })
    }

    /// The common type of values, otherwise `error`.
    fn unify(&self, values: &[Expr], error: impl FnOnce() -> SqlError) -> SqlResult<LogicalType> {
        let types: Vec<LogicalType> = values.iter().map(Expr::ty).collect();
        coerce::common_type(&types).ok_or_else(error)
    }
}
