//! Aggregates, OVER calls and functions of legacy group windows: checked here, turned into columns by the SELECT.

use millstream_functions::signature::ArgInfo;
use millstream_functions::user::aggregate_signature;
use millstream_functions::{AggregateFunction, aggregate_function};
use millstream_plan::Expr;
use millstream_types::{ErrorCode, LogicalType, Scalar, TypeKind};

use super::function::signature_error;
use super::{ExprBinder, unknown_function};
use crate::bind::coerce;
use crate::bind::error::{SqlError, SqlResult};
use crate::bind::logical::{Bound, Frame, placeholder};
use crate::parse::ast::{
    self, ArgumentValue, FrameBound, FrameUnit, FunctionCall, NullTreatment, NullsOrder, OrderItem,
    OverClause, SetQuantifier, WindowSpec,
};
use crate::parse::span::Span;
use crate::rules::fold::fold;

/// An aggregate call over expressions of the input.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundAggregate {
    pub function: String,
    pub args: Vec<Expr>,
    pub distinct: bool,
    pub filter: Option<Expr>,
    /// Ordering inside the aggregate: expression, ascending.
    pub order_by: Vec<(Expr, bool)>,
    pub parameters: Vec<Scalar>,
    pub result: LogicalType,
    pub span: Span,
}

/// An aggregate or window function with OVER.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundOver {
    pub call: BoundAggregate,
    pub partition: Vec<Expr>,
    pub order: Vec<BoundOrder>,
    pub frame: Frame,
    pub span: Span,
}

/// A sort expression.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundOrder {
    pub expr: Expr,
    pub ascending: bool,
    pub nulls_first: bool,
}

/// An aggregate call, independent of its syntax.
pub(super) struct AggregateParts<'e> {
    pub name: &'static str,
    pub values: Vec<&'e ast::Expr>,
    pub parameter: Option<Scalar>,
    pub filter: Option<&'e ast::Expr>,
    pub over: Option<&'e OverClause>,
    pub order_by: &'e [OrderItem],
    pub span: Span,
}

/// Aggregates that return a value for an empty group.
const NEVER_NULL: [&str; 5] = [
    "COUNT",
    "APPROX_COUNT_DISTINCT",
    "COLLECT",
    "JSON_OBJECTAGG",
    "JSON_ARRAYAGG",
];

/// Functions of legacy group windows that stand for a property of the window: name and number.
const WINDOW_PROPERTIES: [&str; 4] = ["START", "END", "ROWTIME", "PROCTIME"];

impl ExprBinder<'_, '_> {
    pub(super) fn bind_aggregate_call(&mut self, function: &FunctionCall, upper: &str) -> SqlResult<Expr> {
        if matches!(upper, "GROUPING" | "GROUPING_ID" | "GROUP_ID") {
            return self.bind_grouping(function, upper);
        }
        let Some(declared) = aggregate_function(upper) else {
            let args = self.positional(function)?;
            return Err(unknown_function(
                &function.name.to_string(),
                &args,
                function.name.span,
            ));
        };
        let mut values = Vec::new();
        let mut star = false;
        for argument in function.arguments() {
            match &argument.value {
                ArgumentValue::Expr(expr) if argument.name.is_none() => values.push(expr),
                ArgumentValue::Star => star = true,
                _ => {
                    return Err(
                        SqlError::at(argument.span, format!("{upper} takes values by position"))
                            .with_code(ErrorCode::MisplacedFunction),
                    );
                }
            }
        }
        if star && (upper != "COUNT" || !values.is_empty()) {
            let message = format!("Unknown identifier '*': it is only an argument of COUNT, not of {upper}");
            return Err(SqlError::at(function.span, message).with_code(ErrorCode::UnknownColumn));
        }
        if values
            .iter()
            .any(|value| matches!(value.kind, ast::ExprKind::Literal(ast::Literal::Null)))
        {
            return Err(super::illegal_null(function.span));
        }
        if upper == "COUNT" && values.len() > 1 {
            let message = "only the count of one field is supported: COUNT(a, b) has several";
            return Err(SqlError::at(function.span, message).with_code(ErrorCode::MisplacedFunction));
        }
        let order_by = if function.within_group.is_empty() {
            &function.order_by
        } else {
            &function.within_group
        };
        let nulls = function
            .null_treatment
            .map(|t| Scalar::Boolean(t == NullTreatment::Ignore));
        let parts = AggregateParts {
            name: declared.name,
            values: if star { Vec::new() } else { values },
            parameter: nulls,
            filter: function.filter.as_ref(),
            over: function.over.as_ref(),
            order_by,
            span: function.span,
        };
        let distinct = function.quantifier == Some(SetQuantifier::Distinct);
        if !function.within_distinct.is_empty() {
            return Err(SqlError::unsupported(function.span, "WITHIN DISTINCT"));
        }
        self.aggregate(parts, declared, distinct)
    }

    pub(super) fn bind_aggregate_parts(&mut self, parts: AggregateParts<'_>) -> SqlResult<Expr> {
        let Some(declared) = aggregate_function(parts.name) else {
            return Err(unknown_function(parts.name, &[], parts.span));
        };
        self.aggregate(parts, declared, false)
    }

    fn aggregate(
        &mut self,
        parts: AggregateParts<'_>,
        declared: &'static AggregateFunction,
        distinct: bool,
    ) -> SqlResult<Expr> {
        let (name, span) = (declared.name, parts.span);
        self.check_place(name, parts.over.is_some(), span)?;
        if parts.over.is_none() && declared.window_only {
            return Err(SqlError::at(
                span,
                format!("OVER clause is necessary for window function {name}"),
            )
            .with_code(ErrorCode::InvalidOver));
        }
        let (outer_over, outer_aggregate) = (self.inside_over, self.inside_aggregate);
        self.inside_over |= parts.over.is_some();
        self.inside_aggregate |= parts.over.is_none();
        let call = self.bind_call(&parts, declared, distinct);
        (self.inside_over, self.inside_aggregate) = (outer_over, outer_aggregate);
        let mut call = call?;
        let Some(over) = parts.over else {
            if (self.global_aggregate || call.filter.is_some()) && !NEVER_NULL.contains(&name) {
                call.result = call.result.with_nullable(true);
            }
            let ty = call.result.clone();
            let number = number_of(&mut self.calls.aggregates, call);
            return Ok(Expr::column(number | placeholder::AGGREGATE, ty));
        };
        let bound = self.bind_over(call, over)?;
        let ty = bound.call.result.clone();
        let number = number_of(&mut self.calls.overs, bound);
        Ok(Expr::column(number | placeholder::OVER, ty))
    }

    fn check_place(&self, name: &str, is_over: bool, span: Span) -> SqlResult<()> {
        if is_over {
            if self.inside_aggregate || self.inside_over {
                return Err(SqlError::at(span, "Aggregate expressions cannot be nested")
                    .with_code(ErrorCode::MisplacedFunction));
            }
            if self.clause.allows_over() {
                return Ok(());
            }
            let message = format!(
                "Windowed aggregate expression is illegal in {} clause",
                self.clause.name()
            );
            return Err(SqlError::at(span, message)
                .with_code(ErrorCode::MisplacedFunction)
                .with_hint("compute it in a sub-query and refer to its column"));
        }
        if self.inside_aggregate {
            return Err(SqlError::at(span, "Aggregate expressions cannot be nested")
                .with_code(ErrorCode::MisplacedFunction));
        }
        if self.clause.allows_aggregates() {
            return Ok(());
        }
        let place = self.clause.name();
        let error = SqlError::at(
            span,
            format!("Aggregate expression is illegal in {place} clause: {name}"),
        )
        .with_code(ErrorCode::MisplacedFunction);
        Err(if place == "WHERE" {
            error.with_hint("conditions on aggregates stand in HAVING")
        } else {
            error
        })
    }

    /// The arguments of a call; those that must be constant are folded.
    fn bind_arguments(
        &mut self,
        parts: &AggregateParts<'_>,
        declared: &AggregateFunction,
    ) -> SqlResult<Vec<Expr>> {
        let mut args = Vec::with_capacity(parts.values.len());
        for (i, value) in parts.values.iter().enumerate() {
            let arg = self.bind(value)?;
            let is_constant = declared.constant_args.contains(&i);
            args.push(if is_constant {
                fold(arg, self.binder.config)
            } else {
                arg
            });
        }
        Ok(args)
    }

    fn bind_call(
        &mut self,
        parts: &AggregateParts<'_>,
        declared: &'static AggregateFunction,
        distinct: bool,
    ) -> SqlResult<BoundAggregate> {
        let args = self.bind_arguments(parts, declared)?;
        let types: Vec<LogicalType> = args.iter().map(|arg| arg.ty().without_time_attribute()).collect();
        let infos: Vec<ArgInfo<'_>> = types
            .iter()
            .zip(&args)
            .map(|(ty, arg)| ArgInfo {
                ty,
                literal: coerce::literal_of(arg),
            })
            .collect();
        let signature = aggregate_signature(declared, &infos)
            .map_err(|error| signature_error(error, declared.syntax).with_span(parts.span))?;
        let mut result = signature.result;
        // As in Flink, the minimum and maximum of an event time are event times.
        if matches!(declared.name, "MAX" | "MIN")
            && let [arg] = args.as_slice()
            && arg.ty().is_time_attribute()
        {
            result = result.with_time_attribute(arg.ty().time_attribute());
        }
        let mut columns = Vec::new();
        let mut parameters = Vec::new();
        for (i, (arg, ty)) in args.into_iter().zip(&signature.args).enumerate() {
            let arg = coerce::cast_to(arg, ty);
            if !declared.constant_args.contains(&i) {
                columns.push(arg);
                continue;
            }
            // Folds again: the cast of a constant is a constant.
            match fold(arg, self.binder.config) {
                Expr::Literal { value, .. } => parameters.push(value),
                other => columns.push(other),
            }
        }
        parameters.extend(parts.parameter.clone());
        let filter = parts
            .filter
            .map(|filter| self.bind_condition(filter))
            .transpose()?;
        let order_by = self.bind_order(parts.order_by)?;
        Ok(BoundAggregate {
            function: declared.name.to_owned(),
            args: columns,
            distinct,
            filter,
            order_by: order_by
                .into_iter()
                .map(|order| (order.expr, order.ascending))
                .collect(),
            parameters,
            result,
            span: parts.span,
        })
    }

    pub(super) fn bind_order(&mut self, items: &[OrderItem]) -> SqlResult<Vec<BoundOrder>> {
        let item = |item: &OrderItem| {
            let ascending = !item.descending;
            let nulls_first = item.nulls.map_or(ascending, |nulls| nulls == NullsOrder::First);
            Ok(BoundOrder {
                expr: self.bind(&item.expr)?,
                ascending,
                nulls_first,
            })
        };
        items.iter().map(item).collect()
    }

    fn bind_over(&mut self, mut call: BoundAggregate, over: &OverClause) -> SqlResult<BoundOver> {
        let spec = self.window_spec(over)?;
        let outer = std::mem::replace(&mut self.inside_over, true);
        let partition = spec
            .partition_by
            .iter()
            .map(|expr| self.bind(expr))
            .collect::<SqlResult<Vec<_>>>();
        let order = self.bind_order(&spec.order_by);
        self.inside_over = outer;
        let (partition, order) = (partition?, order?);
        let frame = self.bind_frame(&spec, &call.function, order.is_empty())?;
        // Flink takes a frame with a distance for one that can be empty, even if it has the current row.
        let has_distance = |bound: &Bound| matches!(bound, Bound::Preceding(_) | Bound::Following(_));
        if (has_distance(&frame.start) || has_distance(&frame.end))
            && !NEVER_NULL.contains(&call.function.as_str())
        {
            call.result = call.result.with_nullable(true);
        }
        Ok(BoundOver {
            call,
            partition,
            order,
            frame,
            span: spec.span,
        })
    }

    /// The window, completed by the named window that it refers to.
    fn window_spec(&self, over: &OverClause) -> SqlResult<WindowSpec> {
        let (base, mut spec) = match over {
            OverClause::Named(name) => {
                let empty = WindowSpec {
                    base: None,
                    partition_by: Vec::new(),
                    order_by: Vec::new(),
                    frame: None,
                    allow_partial: None,
                    span: name.span,
                };
                (Some(name.clone()), empty)
            }
            OverClause::Window(spec) => (spec.base.clone(), spec.clone()),
        };
        let Some(base) = base else { return Ok(spec) };
        let Some(named) = self.windows.iter().find(|window| window.name.value == base.value) else {
            let known = self.windows.iter().map(|window| window.name.value.as_str());
            return Err(
                SqlError::at(base.span, format!("window '{}' not found", base.value))
                    .with_code(ErrorCode::UnknownObject)
                    .offering(&base.value, known),
            );
        };
        let inherited = self.window_spec(&OverClause::Window(named.window.clone()))?;
        if spec.partition_by.is_empty() {
            spec.partition_by = inherited.partition_by;
        }
        if spec.order_by.is_empty() {
            spec.order_by = inherited.order_by;
        }
        spec.frame = spec.frame.or(inherited.frame);
        Ok(spec)
    }

    fn bind_frame(&mut self, spec: &WindowSpec, function: &str, unordered: bool) -> SqlResult<Frame> {
        let ignores_frame = aggregate_function(function).is_some_and(|f| f.window_only);
        let Some(written) = &spec.frame else {
            let end = if unordered && !ignores_frame {
                Bound::UnboundedFollowing
            } else {
                Bound::CurrentRow
            };
            return Ok(Frame {
                rows: ignores_frame,
                start: Bound::UnboundedPreceding,
                end,
            });
        };
        if ignores_frame && !matches!(function, "LAG" | "LEAD") {
            let message = format!(
                "ROW/RANGE not allowed with RANK, DENSE_RANK, ROW_NUMBER or PERCENTILE functions: {function}"
            );
            return Err(SqlError::at(written.span, message).with_code(ErrorCode::MisplacedFunction));
        }
        if written.exclude.is_some() {
            return Err(SqlError::unsupported(written.span, "EXCLUDE in an OVER window"));
        }
        let start = self.bind_bound(&written.start, written.unit)?;
        let end = match &written.end {
            Some(end) => self.bind_bound(end, written.unit)?,
            None => Bound::CurrentRow,
        };
        if matches!(start, Bound::Following(_)) && end == Bound::CurrentRow {
            let message = "Upper frame boundary cannot be CURRENT ROW when lower boundary is FOLLOWING";
            return Err(SqlError::at(written.span, message).with_code(ErrorCode::InvalidOver));
        }
        if start == Bound::CurrentRow && matches!(end, Bound::Preceding(_)) {
            let message = "Upper frame boundary cannot be PRECEDING when lower boundary is CURRENT ROW";
            return Err(SqlError::at(written.span, message).with_code(ErrorCode::InvalidOver));
        }
        Ok(Frame {
            rows: written.unit == FrameUnit::Rows,
            start,
            end,
        })
    }

    fn bind_bound(&mut self, bound: &FrameBound, unit: FrameUnit) -> SqlResult<Bound> {
        let distance = |this: &mut Self, expr: &ast::Expr| -> SqlResult<i64> {
            let value = fold(this.bind(expr)?, this.binder.config);
            let literal = coerce::literal_of(&value);
            match (literal, literal.and_then(Scalar::as_i64)) {
                (Some(Scalar::IntervalDayTime(millis)), _) => Ok(*millis),
                (Some(_), Some(number)) if number >= 0 || unit == FrameUnit::Range => Ok(number),
                (Some(_), _) if unit == FrameUnit::Rows => {
                    let message = "ROWS value must be a non-negative integral constant";
                    Err(SqlError::at(expr.span, message).with_code(ErrorCode::InvalidOver))
                }
                _ => Err(SqlError::at(
                    expr.span,
                    "the distance of a frame is a literal number or a day-time interval",
                )
                .with_code(ErrorCode::InvalidOver)),
            }
        };
        Ok(match bound {
            FrameBound::CurrentRow => Bound::CurrentRow,
            FrameBound::UnboundedPreceding => Bound::UnboundedPreceding,
            FrameBound::UnboundedFollowing => Bound::UnboundedFollowing,
            FrameBound::Preceding(expr) => Bound::Preceding(distance(self, expr)?),
            FrameBound::Following(expr) => Bound::Following(distance(self, expr)?),
        })
    }

    /// GROUPING, GROUPING_ID, GROUP_ID: computed by the SELECT from the number of the grouping set.
    fn bind_grouping(&mut self, function: &FunctionCall, upper: &str) -> SqlResult<Expr> {
        if !self.clause.allows_aggregates() {
            let message = format!("{upper} operator may only occur in an aggregate query");
            return Err(SqlError::at(function.span, message).with_code(ErrorCode::MisplacedFunction));
        }
        let args = self.positional(function)?;
        let result = LogicalType::not_null(TypeKind::BigInt);
        let call = BoundAggregate {
            function: if upper == "GROUPING" {
                "GROUPING_ID".to_owned()
            } else {
                upper.to_owned()
            },
            args,
            distinct: false,
            filter: None,
            order_by: Vec::new(),
            parameters: Vec::new(),
            result: result.clone(),
            span: function.span,
        };
        let number = number_of(&mut self.calls.aggregates, call);
        Ok(Expr::column(number | placeholder::AGGREGATE, result))
    }

    /// `TUMBLE_START(…)` and its relatives, which stand for a property of the window in GROUP BY; `None` for other
    /// names.
    pub(super) fn bind_group_window_part(
        &mut self,
        upper: &str,
        function: &FunctionCall,
    ) -> SqlResult<Option<Expr>> {
        let Some((window, property)) = upper.split_once('_') else {
            return Ok(None);
        };
        let is_window = matches!(window, "TUMBLE" | "HOP" | "SESSION");
        let Some(number) = WINDOW_PROPERTIES
            .iter()
            .position(|p| *p == property)
            .filter(|_| is_window)
        else {
            return Ok(None);
        };
        let matching = self
            .group_window
            .filter(|group| group.name.is_word(window) && group.arguments() == function.arguments());
        let (Some(_), Some(time)) = (matching, self.group_window_time.clone()) else {
            let message = format!(
                "Call to auxiliary group function '{upper}' must have matching call to group function '${window}' in \
                 GROUP BY clause"
            );
            return Err(SqlError::at(function.span, message).with_code(ErrorCode::MisplacedFunction));
        };
        let plain = LogicalType::not_null(TypeKind::Timestamp {
            precision: 3,
            attribute: Default::default(),
        });
        let ty = match number {
            0 | 1 => plain,
            2 => time.with_nullable(false),
            _ => super::function::proctime().ty(),
        };
        Ok(Some(Expr::column(number | placeholder::WINDOW, ty)))
    }
}

/// The position of `item` in `list`; appends it if it is missing.
fn number_of<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    match list.iter().position(|known| *known == item) {
        Some(found) => found,
        None => {
            list.push(item);
            list.len() - 1
        }
    }
}
