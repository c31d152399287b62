//! GROUP BY: keys, grouping sets, legacy group windows; and rewriting expressions over the aggregate's output.

use millstream_functions::typing::sql_type_name;
use millstream_plan::{AggregateCall, Expr};
use millstream_types::{ErrorCode, LogicalType, Scalar, Schema, TimeAttribute, TypeKind};

use super::error::{SqlError, SqlResult};
use super::expr::{
    BoundAggregate, BoundOver, BoundSubquery, Calls, Clause, ExprBinder, SubqueryKind, proctime,
};
use super::logical::{Aggregate, GroupWindow, Rel, RelKind, placeholder};
use super::query::Environment;
use super::scope::Scope;
use super::{Binder, coerce, window};
use crate::parse::ast::{self, ExprKind, FunctionCall, GroupBy, GroupingElement};
use crate::parse::span::Span;

/// Maximum number of grouping sets: CUBE doubles it with each column.
const GROUPING_SETS_MAX: usize = 4096;

/// A bound GROUP BY clause.
#[derive(Debug, Default)]
pub struct Grouping<'s> {
    keys: Vec<Expr>,
    /// Positions in `keys` for each grouping set.
    sets: Vec<Vec<usize>>,
    pub window_call: Option<&'s FunctionCall>,
    window: Option<(Expr, GroupWindow)>,
}

impl<'s> Grouping<'s> {
    pub fn bind(
        binder: &Binder<'_>,
        clause: Option<&'s GroupBy>,
        scope: &Scope<'_>,
        environment: &Environment<'_>,
        span: Span,
    ) -> SqlResult<Self> {
        let mut grouping = Grouping::default();
        let Some(clause) = clause else {
            grouping.sets = vec![Vec::new()];
            return Ok(grouping);
        };
        let mut calls = Calls::default();
        let mut exprs = ExprBinder::new(binder, scope, environment, &mut calls, Clause::GroupBy);
        // GROUP BY a, ROLLUP(b): the product of the elements' sets.
        let mut sets: Vec<Vec<usize>> = vec![Vec::new()];
        for element in &clause.elements {
            if let Some(call) = window_call(element) {
                grouping.bind_window(&mut exprs, call)?;
                continue;
            }
            let choices = grouping.element_sets(&mut exprs, element)?;
            let product = sets
                .iter()
                .flat_map(|set| choices.iter().map(|choice| union(set, choice)));
            sets = product.collect();
            if sets.len() > GROUPING_SETS_MAX {
                return Err(
                    SqlError::at(span, format!("more than {GROUPING_SETS_MAX} grouping sets"))
                        .with_code(ErrorCode::NotGrouped),
                );
            }
        }
        grouping.sets = sets;
        Ok(grouping)
    }

    /// Whether an empty input still produces a row: an aggregate without keys. The empty set of ROLLUP has none: rows are
    /// expanded before they are grouped.
    pub fn is_global(&self) -> bool {
        self.window.is_none() && self.sets.iter().all(Vec::is_empty)
    }

    /// Type of the legacy group window's time column.
    pub fn window_time(&self) -> Option<LogicalType> {
        self.window.as_ref().map(|(time, _)| time.ty())
    }

    fn key(&mut self, expr: Expr) -> usize {
        match self.keys.iter().position(|key| *key == expr) {
            Some(found) => found,
            None => {
                self.keys.push(expr);
                self.keys.len() - 1
            }
        }
    }

    fn keys_of(&mut self, binder: &mut ExprBinder<'_, '_>, exprs: &[ast::Expr]) -> SqlResult<Vec<usize>> {
        let mut set = Vec::new();
        for expr in exprs {
            // `(a, b)` in GROUP BY counts as two keys.
            if let ExprKind::Row {
                fields,
                explicit: false,
            } = &expr.kind
            {
                set = union(&set, &self.keys_of(binder, fields)?);
                continue;
            }
            let bound = binder.bind_typed(expr)?;
            set = union(&set, &[self.key(bound)]);
        }
        Ok(set)
    }

    fn element_sets(
        &mut self,
        binder: &mut ExprBinder<'_, '_>,
        element: &GroupingElement,
    ) -> SqlResult<Vec<Vec<usize>>> {
        match element {
            GroupingElement::Expr(expr) => Ok(vec![self.keys_of(binder, std::slice::from_ref(expr))?]),
            GroupingElement::Set { exprs, .. } => Ok(vec![self.keys_of(binder, exprs)?]),
            GroupingElement::GroupingSets { elements, .. } => {
                let mut sets = Vec::new();
                for element in elements {
                    sets.extend(self.element_sets(binder, element)?);
                }
                Ok(sets)
            }
            GroupingElement::Rollup { units, .. } => {
                let units = units
                    .iter()
                    .map(|unit| self.keys_of(binder, unit))
                    .collect::<SqlResult<Vec<_>>>()?;
                let prefix = |length: usize| {
                    units[..length]
                        .iter()
                        .fold(Vec::new(), |set, unit| union(&set, unit))
                };
                Ok((0..=units.len()).rev().map(prefix).collect())
            }
            GroupingElement::Cube { units, span } => {
                let units = units
                    .iter()
                    .map(|unit| self.keys_of(binder, unit))
                    .collect::<SqlResult<Vec<_>>>()?;
                if units.len() > GROUPING_SETS_MAX.ilog2() as usize {
                    return Err(
                        SqlError::at(*span, format!("more than {GROUPING_SETS_MAX} grouping sets"))
                            .with_code(ErrorCode::NotGrouped),
                    );
                }
                let subset = |mask: usize| {
                    let chosen = units
                        .iter()
                        .enumerate()
                        .filter(|(i, _)| mask & (1 << (units.len() - 1 - i)) != 0);
                    chosen.fold(Vec::new(), |set, (_, unit)| union(&set, unit))
                };
                Ok((0..1usize << units.len()).rev().map(subset).collect())
            }
        }
    }

    fn bind_window(&mut self, binder: &mut ExprBinder<'_, '_>, call: &'s FunctionCall) -> SqlResult<()> {
        if self.window.is_some() {
            return Err(
                SqlError::at(call.span, "only one group window function may stand in GROUP BY")
                    .with_code(ErrorCode::NotGrouped),
            );
        }
        let mut args = Vec::new();
        for argument in call.arguments() {
            let expr = argument.as_expr().ok_or_else(|| {
                SqlError::at(
                    argument.span,
                    format!(
                        "Cannot apply '{}': it takes a time column and intervals",
                        call.name
                    ),
                )
                .with_code(ErrorCode::TypeMismatch)
            })?;
            args.push(binder.bind(expr)?);
        }
        let upper = call.name.to_string().to_uppercase();
        let Some((time, intervals)) = args.split_first() else {
            return Err(SqlError::at(
                call.span,
                format!("invalid number of arguments to function '{upper}'"),
            )
            .with_code(ErrorCode::WrongArguments));
        };
        let time_type = time.ty();
        if !time_type.is_timestamp_like() {
            let types: Vec<String> = args
                .iter()
                .map(|arg| format!("<{}>", sql_type_name(&arg.ty())))
                .collect();
            let message = format!(
                "Cannot apply '{upper}' to arguments of type '{upper}({})'. \
                 Supported form(s): '{upper}(<DATETIME>, <DATETIME_INTERVAL>)'",
                types.join(", ")
            );
            return Err(SqlError::at(call.span, message)
                .with_code(ErrorCode::TypeMismatch)
                .with_hint(
                    "a group window needs a TIMESTAMP(3) or TIMESTAMP_LTZ(3) column with a WATERMARK; \
                 make one with a computed column, for example TO_TIMESTAMP(text)",
                ));
        }
        if binder.binder.config.streaming && time_type.time_attribute() == TimeAttribute::None {
            let message = format!(
                "Window aggregate can only be defined over a time attribute column, but {} encountered",
                time_type.with_nullable(true)
            );
            return Err(SqlError::at(call.span, message)
                .with_code(ErrorCode::NotGrouped)
                .with_hint("declare a WATERMARK for the column in its table"));
        }
        let kind = window::group_window(&upper, intervals, call.span)?;
        let group = GroupWindow {
            time: 0,
            kind,
            span: call.span,
        };
        self.window = Some((time.clone(), group));
        self.window_call = Some(call);
        Ok(())
    }
}

/// The legacy window function, if the element is one.
fn window_call(element: &GroupingElement) -> Option<&FunctionCall> {
    let GroupingElement::Expr(expr) = element else {
        return None;
    };
    let ExprKind::Function(call) = &expr.kind else {
        return None;
    };
    let is_window = ["TUMBLE", "HOP", "SESSION"]
        .iter()
        .any(|word| call.name.is_word(word));
    is_window.then_some(call.as_ref())
}

fn union(a: &[usize], b: &[usize]) -> Vec<usize> {
    let mut all = a.to_vec();
    all.extend(b.iter().copied().filter(|key| !a.contains(key)));
    all
}

/// The expressions for keys, aggregates and window properties above the aggregate.
pub struct Mapping<'m> {
    keys: Vec<Expr>,
    key_columns: Vec<Expr>,
    aggregates: Vec<Expr>,
    properties: Vec<Expr>,
    scope: &'m Scope<'m>,
}

/// Builds the aggregate over `rel`, and the rewriting of expressions above it.
pub fn group<'m>(
    rel: Rel,
    grouping: Grouping<'_>,
    aggregates: &[BoundAggregate],
    scope: &'m Scope<'m>,
    span: Span,
) -> SqlResult<(Rel, Mapping<'m>)> {
    let key_count = grouping.keys.len();
    let mut below = Below::new(&rel, grouping.keys.clone());
    let window = grouping.window.map(|(time, window)| GroupWindow {
        time: below.column(time),
        ..window
    });
    let computed = aggregates.iter().filter(|call| !is_grouping(call));
    let calls: Vec<AggregateCall> = computed.map(|call| below.call(call)).collect();
    let input = below.build(rel);
    let (keys, sets) = (grouping.keys, grouping.sets);
    let key_type = |key: usize| key_type(key, &keys, &sets);
    let key_name = |key: usize| input.schema.columns[key].name.clone();
    let mut columns: Vec<(String, LogicalType)> =
        (0..key_count).map(|k| (key_name(k), key_type(k))).collect();
    columns.extend(calls.iter().map(|call| (call.name.clone(), call.result.clone())));
    let first_property = columns.len();
    if let Some(window) = &window {
        columns.extend(window_properties(&input.schema.columns[window.time].ty));
    }
    let property = |(index, (_, ty)): (usize, &(String, LogicalType))| Expr::column(index, ty.clone());
    let properties = columns
        .iter()
        .enumerate()
        .skip(first_property)
        .map(property)
        .collect();
    let set_id = sets.len() > 1;
    let id_column = Expr::column(columns.len(), LogicalType::not_null(TypeKind::BigInt));
    if set_id {
        columns.push(("$e".to_owned(), id_column.ty()));
    }
    let mut call_columns = key_count..;
    let aggregate_value = |call: &BoundAggregate| {
        if is_grouping(call) {
            return grouping_value(call, &keys, &sets, &id_column);
        }
        let column = call_columns.next().unwrap_or(key_count);
        Ok(Expr::column(column, call.result.clone()))
    };
    let aggregate_values: SqlResult<Vec<_>> = aggregates.iter().map(aggregate_value).collect();
    let key_columns = (0..key_count)
        .map(|key| Expr::column(key, key_type(key)))
        .collect();
    let aggregate = Aggregate {
        keys: (0..key_count).collect(),
        sets,
        calls,
        window,
        set_id,
        ttl_ms: None,
        span,
    };
    let kind = RelKind::Aggregate(Box::new(aggregate));
    let rel = Rel::new(kind, vec![input], Schema::new(columns));
    let mapping = Mapping {
        keys,
        key_columns,
        aggregates: aggregate_values?,
        properties,
        scope,
    };
    Ok((rel, mapping))
}

/// A key that some grouping set omits is NULL there.
fn key_type(key: usize, keys: &[Expr], sets: &[Vec<usize>]) -> LogicalType {
    let in_all_sets = sets.iter().all(|set| set.contains(&key));
    let ty = keys[key].ty();
    ty.with_nullable(ty.nullable || !in_all_sets)
}

/// GROUPING and its relatives are computed from the set's number, not from rows.
fn is_grouping(call: &BoundAggregate) -> bool {
    matches!(call.function.as_str(), "GROUPING_ID" | "GROUP_ID")
}

/// Start, end, row time and processing time of a legacy group window, as columns.
pub fn window_properties(time: &LogicalType) -> Vec<(String, LogicalType)> {
    let timestamp = LogicalType::not_null(TypeKind::Timestamp {
        precision: 3,
        attribute: TimeAttribute::None,
    });
    vec![
        ("w$start".to_owned(), timestamp.clone()),
        ("w$end".to_owned(), timestamp),
        ("w$rowtime".to_owned(), time.with_nullable(false)),
        ("w$proctime".to_owned(), proctime().ty()),
    ]
}

/// GROUPING_ID as a CASE over the number of the grouping set; GROUP_ID is always 0, as sets are distinct.
fn grouping_value(call: &BoundAggregate, keys: &[Expr], sets: &[Vec<usize>], id: &Expr) -> SqlResult<Expr> {
    let number = |value: i64| Expr::literal(Scalar::BigInt(value), call.result.clone());
    if call.function == "GROUP_ID" {
        return Ok(number(0));
    }
    let mut positions = Vec::new();
    for arg in &call.args {
        let position = keys.iter().position(|key| key == arg).ok_or_else(|| {
            SqlError::at(
                call.span,
                "Argument to GROUPING operator must be a grouped expression",
            )
            .with_code(ErrorCode::NotGrouped)
        })?;
        positions.push(position);
    }
    let value = |set: &Vec<usize>| {
        positions
            .iter()
            .fold(0i64, |bits, key| (bits << 1) | i64::from(!set.contains(key)))
    };
    let Some((first, rest)) = sets.split_first() else {
        return Ok(number(0));
    };
    if rest.is_empty() {
        return Ok(number(value(first)));
    }
    let branches = rest
        .iter()
        .enumerate()
        .map(|(i, set)| {
            Ok((
                super::expr::call("=", vec![id.clone(), number(i as i64 + 1)])?,
                number(value(set)),
            ))
        })
        .collect::<SqlResult<Vec<_>>>()?;
    Ok(Expr::Case {
        branches,
        otherwise: Box::new(number(value(first))),
        ty: call.result.clone(),
    })
}

/// The projection below an aggregate: keys first, then the arguments of the calls.
struct Below {
    exprs: Vec<Expr>,
    names: Vec<String>,
    input_names: Vec<String>,
}

impl Below {
    fn new(rel: &Rel, keys: Vec<Expr>) -> Self {
        let mut below = Self {
            exprs: Vec::new(),
            names: Vec::new(),
            input_names: rel.names(),
        };
        keys.into_iter().for_each(|key| below.push(key));
        below
    }

    fn push(&mut self, expr: Expr) {
        let name = match &expr {
            Expr::Column { index, .. } => self.input_names.get(*index).cloned(),
            _ => None,
        };
        self.names
            .push(name.unwrap_or_else(|| format!("$f{}", self.exprs.len())));
        self.exprs.push(expr);
    }

    /// Position of a column with this value.
    fn column(&mut self, expr: Expr) -> usize {
        match self.exprs.iter().position(|known| *known == expr) {
            Some(found) => found,
            None => {
                self.push(expr);
                self.exprs.len() - 1
            }
        }
    }

    fn call(&mut self, call: &BoundAggregate) -> AggregateCall {
        let args: Vec<usize> = call.args.iter().map(|arg| self.column(arg.clone())).collect();
        let filter = call.filter.as_ref().map(|filter| {
            // A filter passes rows only if it is TRUE, so NULL becomes FALSE here.
            let is_true =
                super::expr::call("IS TRUE", vec![filter.clone()]).unwrap_or_else(|_| filter.clone());
            self.column(is_true)
        });
        let order_by = call
            .order_by
            .iter()
            .map(|(expr, up)| (self.column(expr.clone()), *up))
            .collect();
        let names: Vec<&str> = args.iter().map(|arg| self.names[*arg].as_str()).collect();
        let inner = if args.is_empty() {
            "*".to_owned()
        } else {
            names.join(", ")
        };
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        AggregateCall {
            function: call.function.clone(),
            arg_types: call
                .args
                .iter()
                .map(|arg| arg.ty().without_time_attribute())
                .collect(),
            distinct: call.distinct,
            filter,
            order_by,
            parameters: call.parameters.clone(),
            result: call.result.clone(),
            name: format!("{}({distinct}{inner})", call.function),
            args,
        }
    }

    fn build(self, rel: Rel) -> Rel {
        rel.project(self.exprs, self.names)
    }
}

impl Mapping<'_> {
    /// Rewrites `expr` over the aggregate's output.
    pub fn apply(&self, expr: &mut Expr, span: Span) -> SqlResult<()> {
        let taken = std::mem::replace(expr, coerce::boolean(false));
        *expr = self.rewrite(taken, span)?;
        Ok(())
    }

    fn rewrite(&self, expr: Expr, span: Span) -> SqlResult<Expr> {
        if let Some(key) = self.keys.iter().position(|key| *key == expr) {
            return Ok(self.key_columns[key].clone());
        }
        if let Expr::Column { index, .. } = &expr {
            if let Some(number) = placeholder::number(*index, placeholder::AGGREGATE) {
                return Ok(self.aggregates[number].clone());
            }
            if let Some(number) = placeholder::number(*index, placeholder::WINDOW) {
                return Ok(self.properties[number].clone());
            }
            if *index >= placeholder::OUTER {
                return Ok(expr);
            }
            return Err(self.not_grouped(*index, span));
        }
        let mut failure = None;
        let rewritten = expr.map_children(&mut |child| match self.rewrite(child, span) {
            Ok(child) => child,
            Err(error) => {
                failure.get_or_insert(error);
                coerce::boolean(false)
            }
        });
        failure.map_or(Ok(rewritten), Err)
    }

    fn not_grouped(&self, index: usize, span: Span) -> SqlError {
        let columns = self.scope.relations.iter().flat_map(|relation| &relation.columns);
        let name = columns
            .into_iter()
            .find(|c| c.index == index)
            .map_or("", |c| c.name.as_str());
        SqlError::at(span, format!("Expression '{name}' is not being grouped"))
            .with_code(ErrorCode::NotGrouped)
            .with_hint("put it into GROUP BY, or into an aggregate such as MAX")
    }

    /// Rewrites the arguments of the clause's calls.
    pub fn apply_to_calls(&self, calls: &mut Calls) -> SqlResult<()> {
        calls
            .overs
            .iter_mut()
            .try_for_each(|over| self.apply_to_over(over))?;
        calls
            .subqueries
            .iter_mut()
            .try_for_each(|subquery| self.apply_to_subquery(subquery))
    }

    fn apply_to_over(&self, over: &mut BoundOver) -> SqlResult<()> {
        let span = over.span;
        let call = &mut over.call;
        let exprs = call.args.iter_mut().chain(call.filter.iter_mut());
        let exprs = exprs
            .chain(call.order_by.iter_mut().map(|(expr, _)| expr))
            .chain(over.partition.iter_mut());
        for expr in exprs.chain(over.order.iter_mut().map(|order| &mut order.expr)) {
            self.apply(expr, span)?;
        }
        Ok(())
    }

    fn apply_to_subquery(&self, subquery: &mut BoundSubquery) -> SqlResult<()> {
        let span = subquery.span;
        match &mut subquery.kind {
            SubqueryKind::In { operands } => {
                for operand in operands {
                    self.apply(operand, span)?;
                }
            }
            SubqueryKind::Compare { operand, .. } => self.apply(operand, span)?,
            _ => {}
        }
        if super::subquery::is_correlated(&subquery.rel) {
            return Err(SqlError::unsupported(
                span,
                "a correlated sub-query in a grouped query",
            ));
        }
        Ok(())
    }
}
