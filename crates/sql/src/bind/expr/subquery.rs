//! Subqueries and quantified comparisons in expressions: checked here, joined by the clause.

use millstream_plan::Expr;
use millstream_types::{ErrorCode, LogicalType, Schema, TypeKind};

use super::{BoundSubquery, ExprBinder, SubqueryKind};
use crate::bind::error::{SqlError, SqlResult};
use crate::bind::logical::placeholder;
use crate::parse::ast::{self, BinaryOperator, ExprKind, QuantifiedSource, Quantifier, Query};
use crate::parse::span::Span;

impl ExprBinder<'_, '_> {
    /// `x = ANY (…)`, `x > ALL (…)`: a list expands to single comparisons; a query becomes a semi-join.
    pub(super) fn bind_quantified(
        &mut self,
        operand: &ast::Expr,
        operator: BinaryOperator,
        quantifier: Quantifier,
        source: &QuantifiedSource,
        span: Span,
    ) -> SqlResult<Expr> {
        match source {
            QuantifiedSource::List(list) => {
                let value = self.bind(operand)?;
                let items = self.bind_all(list)?;
                let compare = |item: Expr| self.binary(operator, value.clone(), item, span);
                let mut tests = items.into_iter().map(compare).collect::<SqlResult<Vec<_>>>()?;
                if tests.len() == 1 {
                    return Ok(tests.remove(0));
                }
                Ok(if quantifier == Quantifier::All {
                    Expr::And(tests)
                } else {
                    Expr::Or(tests)
                })
            }
            QuantifiedSource::Query(query) => match (operator, quantifier) {
                (BinaryOperator::Equals, Quantifier::Some | Quantifier::Any) => {
                    self.bind_in_subquery(operand, query, span)
                }
                (BinaryOperator::NotEquals, Quantifier::All) => {
                    let found = self.bind_in_subquery(operand, query, span)?;
                    self.negate_if(true, found, span)
                }
                _ => {
                    let operand = self.bind(operand)?;
                    let all = quantifier == Quantifier::All;
                    self.bind_subquery(
                        SubqueryKind::Compare {
                            operand,
                            operator: operator.text(),
                            all,
                            needs_rows: all && self.binder.config.streaming,
                        },
                        query,
                        span,
                    )
                }
            },
        }
    }

    pub(super) fn bind_in_subquery(
        &mut self,
        operand: &ast::Expr,
        query: &Query,
        span: Span,
    ) -> SqlResult<Expr> {
        let operands = match &operand.kind {
            ExprKind::Row { fields, .. } => self.bind_all(fields)?,
            _ => vec![self.bind(operand)?],
        };
        self.bind_subquery(SubqueryKind::In { operands }, query, span)
    }

    pub(super) fn bind_subquery(&mut self, kind: SubqueryKind, query: &Query, span: Span) -> SqlResult<Expr> {
        if !self.clause.allows_subqueries() || self.inside_aggregate {
            let place = if self.inside_aggregate {
                "the arguments of an aggregate"
            } else {
                self.clause.name()
            };
            return Err(SqlError::unsupported(span, format!("a sub-query in {place}")));
        }
        let rel = self.binder.bind_subquery(query, self.scope, self.environment)?;
        let columns = rel.schema.len();
        let ty = match &kind {
            SubqueryKind::Scalar | SubqueryKind::Collection { .. } => {
                one_column(&rel.schema, span)?;
                let column = rel.schema.columns[0].ty.without_time_attribute();
                match kind {
                    SubqueryKind::Collection { function: "COLLECT" } => {
                        LogicalType::not_null(TypeKind::Multiset(Box::new(column)))
                    }
                    SubqueryKind::Collection { .. } => {
                        LogicalType::not_null(TypeKind::Array(Box::new(column)))
                    }
                    _ => column.with_nullable(true),
                }
            }
            SubqueryKind::Exists => LogicalType::not_null(TypeKind::Boolean),
            SubqueryKind::In { operands } => {
                if operands.len() != columns {
                    let message = format!(
                        "IN compares {} value(s) with a sub-query of {columns} column(s)",
                        operands.len()
                    );
                    return Err(SqlError::at(span, message).with_code(ErrorCode::InvalidSubquery));
                }
                for (operand, column) in operands.iter().zip(&rel.schema.columns) {
                    let other = Expr::column(0, column.ty.clone());
                    self.call(span, "=", vec![operand.clone(), other]).map_err(|_| {
                        SqlError::at(span, "Values passed to IN operator must have compatible types")
                            .with_code(ErrorCode::TypeMismatch)
                    })?;
                }
                LogicalType::BOOLEAN
            }
            SubqueryKind::Compare {
                operand, operator, ..
            } => {
                let [column] = rel.schema.columns.as_slice() else {
                    return Err(SqlError::at(
                        span,
                        "a quantified comparison takes a sub-query of one column",
                    )
                    .with_code(ErrorCode::InvalidSubquery));
                };
                self.call(
                    span,
                    operator,
                    vec![operand.clone(), Expr::column(0, column.ty.clone())],
                )?;
                LogicalType::BOOLEAN
            }
        };
        self.calls.subqueries.push(BoundSubquery { kind, rel, span });
        Ok(Expr::column(
            (self.calls.subqueries.len() - 1) | placeholder::SUBQUERY,
            ty,
        ))
    }
}

/// A scalar subquery has exactly one column.
fn one_column(schema: &Schema, span: Span) -> SqlResult<()> {
    if schema.len() == 1 {
        return Ok(());
    }
    let message = format!(
        "Cannot apply a sub-query of {} columns as a value: it must have one column",
        schema.len()
    );
    Err(SqlError::at(span, message).with_code(ErrorCode::InvalidSubquery))
}
