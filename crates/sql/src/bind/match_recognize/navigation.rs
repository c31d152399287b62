//! Finds the navigations of an expression among the rows of a match: columns of a variable, FIRST and LAST, aggregates.

use millstream_functions::aggregate_function;
use millstream_plan::{AggregateCall, Navigation, NavigationKind};
use millstream_types::{ErrorCode, LogicalType, TimeAttribute};

use super::{Columns, Matching, navigation_name, unknown_variable};
use crate::bind::coerce;
use crate::bind::error::{SqlError, SqlResult};
use crate::bind::expr::{BoundAggregate, Calls, Clause, ExprBinder};
use crate::bind::scope::Scope;
use crate::parse::ast::visit::{VisitMut, walk_expr};
use crate::parse::ast::{self, ExprKind, FunctionCall, Ident, ObjectName, SetQuantifier};
use crate::rules::fold::fold;

/// Replaces every navigation of an expression by a name.
pub(super) struct Finder<'f, 'm> {
    pub matching: &'f mut Matching<'m>,
    pub found: Vec<Navigation>,
    pub error: Option<SqlError>,
}

impl VisitMut for Finder<'_, '_> {
    fn visit_expr(&mut self, expr: &mut ast::Expr) {
        if self.error.is_some() {
            return;
        }
        if let ExprKind::MatchModifier { call, .. } = &expr.kind {
            let inner = call.as_ref().clone();
            *expr = inner;
        }
        match self.navigation(expr) {
            Ok(Some(navigation)) => {
                let name = Ident::new(navigation_name(self.found.len()));
                self.found.push(navigation);
                expr.kind = ExprKind::Identifier(ObjectName {
                    parts: vec![name],
                    span: expr.span,
                });
            }
            Ok(None) => walk_expr(self, expr),
            Err(error) => self.error = Some(error.with_span(expr.span)),
        }
    }
}

impl Finder<'_, '_> {
    /// The navigation that an expression is, if any.
    fn navigation(&mut self, expr: &mut ast::Expr) -> SqlResult<Option<Navigation>> {
        match &mut expr.kind {
            ExprKind::Identifier(_) => {
                let (variable, column, ty) = self.argument(&expr.clone())?;
                let kind = NavigationKind::Last { column, offset: 0 };
                Ok(Some(Navigation { variable, kind, ty }))
            }
            ExprKind::Function(call) => {
                let upper = call.name.to_string().to_uppercase();
                match upper.as_str() {
                    "FIRST" | "LAST" => self.first_or_last(call, upper == "FIRST").map(Some),
                    "PREV" | "NEXT" | "CLASSIFIER" | "MATCH_NUMBER" => Err(SqlError::unsupported(
                        call.span,
                        format!("the function {upper} of MATCH_RECOGNIZE"),
                    )),
                    "MATCH_ROWTIME" => self.match_rowtime(call).map(Some),
                    "MATCH_PROCTIME" => {
                        call.name.parts = vec![Ident::new("PROCTIME")];
                        Ok(None)
                    }
                    _ if aggregate_function(&upper).is_some() && call.over.is_none() => {
                        self.aggregate(call).map(Some)
                    }
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    /// A value from a row of a variable: the variable, the column, the type.
    fn argument(&mut self, expr: &ast::Expr) -> SqlResult<(Option<usize>, usize, LogicalType)> {
        let mut expr = expr.clone();
        let variable = self.strip(&mut expr)?;
        let bound = self.matching.of_row(&expr)?;
        let ty = bound.ty().without_time_attribute().with_nullable(true);
        Ok((variable, self.matching.columns.place(bound, None), ty))
    }

    /// Removes the variable from the names of an expression; all names must have the same one.
    fn strip(&self, expr: &mut ast::Expr) -> SqlResult<Option<usize>> {
        let mut strip = Strip {
            names: self.matching.names,
            scope: self.matching.scope,
            found: Vec::new(),
            unknown: None,
        };
        strip.visit_expr(expr);
        if let Some(name) = strip.unknown {
            return Err(unknown_variable(&name));
        }
        strip.found.dedup();
        match strip.found.as_slice() {
            [] => Ok(None),
            [variable] => Ok(*variable),
            _ => Err(SqlError::at(
                expr.span,
                "Aggregation must be applied to a single pattern variable",
            )
            .with_code(ErrorCode::InvalidPattern)),
        }
    }

    fn first_or_last(&mut self, call: &FunctionCall, is_first: bool) -> SqlResult<Navigation> {
        let values: Vec<&ast::Expr> = call
            .arguments()
            .iter()
            .filter_map(|argument| match &argument.value {
                ast::ArgumentValue::Expr(expr) => Some(expr),
                _ => None,
            })
            .collect();
        let (value, offset) = match values.as_slice() {
            [value] => (*value, 0),
            [value, offset] => (*value, self.offset(offset)?),
            _ => {
                let message = "FIRST and LAST take a value and how many rows to go from there";
                return Err(SqlError::at(call.span, message).with_code(ErrorCode::InvalidPattern));
            }
        };
        let (variable, column, ty) = self.argument(value)?;
        let kind = if is_first {
            NavigationKind::First { column, offset }
        } else {
            NavigationKind::Last { column, offset }
        };
        Ok(Navigation { variable, kind, ty })
    }

    fn offset(&self, expr: &ast::Expr) -> SqlResult<u64> {
        let bound = fold(self.matching.of_row(expr)?, self.matching.binder.config);
        let number = coerce::literal_of(&bound).and_then(millstream_types::Scalar::as_i64);
        number.and_then(|n| u64::try_from(n).ok()).ok_or_else(|| {
            SqlError::at(
                expr.span,
                "the offset of FIRST and LAST is a constant that is not negative",
            )
            .with_code(ErrorCode::InvalidPattern)
        })
    }

    fn match_rowtime(&mut self, call: &FunctionCall) -> SqlResult<Navigation> {
        let time = self.matching.time.clone();
        let (column, ty) = time
            .filter(|(_, ty)| ty.time_attribute() != TimeAttribute::Proctime)
            .ok_or_else(|| {
                SqlError::at(call.span, "MATCH_ROWTIME needs an event time in ORDER BY")
                    .with_code(ErrorCode::InvalidPattern)
            })?;
        let attribute = ty.time_attribute();
        // Without an argument, the result is the instant as a TIMESTAMP, whatever the column's type.
        let ty = if call.arguments().is_empty() {
            LogicalType::timestamp(3).with_nullable(false)
        } else {
            ty.without_time_attribute()
        };
        Ok(Navigation {
            variable: None,
            kind: NavigationKind::Last { column, offset: 0 },
            ty: ty.with_time_attribute(attribute),
        })
    }

    fn aggregate(&mut self, call: &FunctionCall) -> SqlResult<Navigation> {
        if call.quantifier == Some(SetQuantifier::Distinct) {
            let message = "DISTINCT aggregation of rows of a match is not supported yet";
            return Err(SqlError::at(call.span, message).with_code(ErrorCode::InvalidPattern));
        }
        let mut expr = ast::Expr {
            kind: ExprKind::Function(Box::new(call.clone())),
            span: call.span,
        };
        let variable = self.strip(&mut expr)?;
        let matching = &mut *self.matching;
        let mut calls = Calls::default();
        let mut binder = ExprBinder::new(
            matching.binder,
            matching.scope,
            matching.environment,
            &mut calls,
            Clause::Select,
        );
        // A variable may have matched no row.
        binder.global_aggregate = true;
        binder.bind(&expr)?;
        let bound = calls.aggregates.pop();
        let bound = bound.ok_or_else(|| SqlError::internal("an aggregate that is none"))?;
        let call = aggregate_call(bound, &mut matching.columns)?;
        Ok(Navigation {
            variable,
            ty: call.result.clone(),
            kind: NavigationKind::Aggregate(Box::new(call)),
        })
    }
}

fn aggregate_call(call: BoundAggregate, columns: &mut Columns) -> SqlResult<AggregateCall> {
    if call.filter.is_some() || !call.order_by.is_empty() {
        let what = "FILTER and ORDER BY of aggregates in MATCH_RECOGNIZE";
        return Err(SqlError::unsupported(call.span, what));
    }
    let arg_types = call
        .args
        .iter()
        .map(|arg| arg.ty().without_time_attribute())
        .collect();
    Ok(AggregateCall {
        name: call.function.clone(),
        function: call.function,
        args: call
            .args
            .into_iter()
            .map(|arg| columns.place(arg, None))
            .collect(),
        arg_types,
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        parameters: call.parameters,
        result: call.result.without_time_attribute(),
    })
}

/// Removes pattern variables from names.
struct Strip<'s> {
    names: &'s [String],
    scope: &'s Scope<'s>,
    found: Vec<Option<usize>>,
    unknown: Option<Ident>,
}

impl VisitMut for Strip<'_> {
    fn visit_expr(&mut self, expr: &mut ast::Expr) {
        let ExprKind::Identifier(name) = &mut expr.kind else {
            return walk_expr(self, expr);
        };
        let variable = match name.parts.first() {
            Some(first) if name.parts.len() > 1 => self.names.iter().position(|n| *n == first.value),
            _ => None,
        };
        if variable.is_some() {
            name.parts.remove(0);
        } else if name.parts.len() > 1 && self.scope.resolve(name).is_err() {
            self.unknown = name.parts.first().cloned();
        }
        self.found.push(variable);
    }
}
