//! FROM: tables, joins, subqueries, table functions, UNNEST, PIVOT.

use super::{Parser, Result};
use crate::parse::ast::{
    AliasedExpr, Expr, FunctionCall, Ident, Join, JoinCondition, JoinKind, NamedTable, ObjectName, Pivot,
    PivotValue, Query, SampleMethod, Span, TableAlias, TableRef, TableRefKind, TableSample, Unpivot,
    UnpivotColumns,
};
use crate::parse::token::Sign;

/// What stood between the parentheses of FROM.
enum ParenthesizedTable {
    Query(Box<Query>),
    Table(Box<TableRef>),
}

impl Parser<'_> {
    /// What follows FROM, joins included.
    pub(super) fn joined_tables(&mut self) -> Result<TableRef> {
        self.nested(|parser| {
            let first = parser.table_ref()?;
            parser.joins_and_commas(first)
        })
    }

    fn joins_and_commas(&mut self, first: TableRef) -> Result<TableRef> {
        let mut left = self.joins(first)?;
        while self.eat_sign(Sign::Comma) {
            let right = self.table_ref()?;
            let right = self.joins(right)?;
            left = self.joined(left, right, JoinKind::Comma, false, JoinCondition::None)?;
        }
        Ok(left)
    }

    fn joined(
        &mut self,
        left: TableRef,
        right: TableRef,
        kind: JoinKind,
        natural: bool,
        condition: JoinCondition,
    ) -> Result<TableRef> {
        self.grow()?;
        let span = self.span_from(left.span);
        let join = Join {
            left,
            right,
            kind,
            natural,
            condition,
        };
        Ok(TableRef {
            kind: TableRefKind::Join(Box::new(join)),
            alias: None,
            sample: None,
            span,
        })
    }

    fn joins(&mut self, mut left: TableRef) -> Result<TableRef> {
        loop {
            let natural = self.eat_word("NATURAL");
            let Some(kind) = self.join_kind()? else {
                if natural {
                    return Err(self.unexpected());
                }
                return Ok(left);
            };
            let right = self.table_ref()?;
            let condition = if self.eat_word("ON") {
                JoinCondition::On(self.expr()?)
            } else if self.eat_word("USING") {
                JoinCondition::Using(self.parenthesized_names()?)
            } else {
                JoinCondition::None
            };
            left = self.joined(left, right, kind, natural, condition)?;
        }
    }

    fn join_kind(&mut self) -> Result<Option<JoinKind>> {
        if self.eat_word("JOIN") {
            return Ok(Some(JoinKind::Inner));
        }
        let kinds = [
            JoinKind::Inner,
            JoinKind::Left,
            JoinKind::Right,
            JoinKind::Full,
            JoinKind::Cross,
        ];
        let Some(index) = self.eat_any_word(&["INNER", "LEFT", "RIGHT", "FULL", "CROSS"]) else {
            return Ok(None);
        };
        let kind = kinds[index];
        if matches!(kind, JoinKind::Left | JoinKind::Right | JoinKind::Full) {
            self.eat_word("OUTER");
        }
        if !self.eat_word("JOIN") {
            let hint = match self.word().map(str::to_ascii_uppercase).as_deref() {
                Some("SEMI") => "write WHERE EXISTS (SELECT …) or IN (SELECT …)",
                Some("ANTI") => "write WHERE NOT EXISTS (SELECT …)",
                Some("APPLY") => "write CROSS JOIN LATERAL TABLE(f(…))",
                _ => return Err(self.unexpected()),
            };
            return Err(self.unexpected_with_hint(hint));
        }
        Ok(Some(kind))
    }

    /// One element of FROM, without joins.
    fn table_ref(&mut self) -> Result<TableRef> {
        let start = self.span();
        let lateral = self.eat_word("LATERAL");
        let primary = if self.is_sign(Sign::LeftParen) {
            self.parenthesized_table_ref(lateral)?
        } else {
            let kind = self.table_primary(lateral)?;
            TableRef {
                kind,
                alias: None,
                sample: None,
                span: self.span_from(start),
            }
        };
        self.table_suffixes(primary)
    }

    fn table_primary(&mut self, lateral: bool) -> Result<TableRefKind> {
        if self.eat_word("UNNEST") {
            let collections = self.unnested()?;
            let with_ordinality = self.eat_words(&["WITH", "ORDINALITY"]);
            return Ok(TableRefKind::Unnest {
                collections,
                with_ordinality,
            });
        }
        if self.is_word("TABLE") {
            return self.table_wrapper(lateral);
        }
        if self.is_word("VALUES") || self.is_word("SELECT") {
            return Err(self.unexpected_with_hint("put a query in FROM in parentheses, with an alias behind"));
        }
        let name = self.object_name()?;
        if self.is_sign(Sign::LeftParen) {
            let call = self.function_call(name)?;
            return Ok(TableRefKind::Function { lateral, call });
        }
        self.named_table(name).map(TableRefKind::Table)
    }

    fn unnested(&mut self) -> Result<Vec<Expr>> {
        let start = self.span();
        Ok(match self.parenthesized()? {
            super::primary::Parenthesized::Exprs(exprs) => exprs,
            super::primary::Parenthesized::Query(query) => {
                let kind = crate::parse::ast::ExprKind::Subquery(query);
                vec![Expr::new(kind, self.span_from(start))]
            }
        })
    }

    /// `TABLE(f(…))`, or `TABLE t`.
    fn table_wrapper(&mut self, lateral: bool) -> Result<TableRefKind> {
        self.expect_word("TABLE")?;
        if !self.is_sign(Sign::LeftParen) {
            let name = self.object_name()?;
            return self.named_table(name).map(TableRefKind::Table);
        }
        self.expect_sign(Sign::LeftParen)?;
        self.eat_word("SPECIFIC");
        let call = self.routine_call()?;
        self.expect_sign(Sign::RightParen)?;
        Ok(TableRefKind::Function { lateral, call })
    }

    /// `name(arguments)`, where a call is demanded.
    pub(super) fn routine_call(&mut self) -> Result<Box<FunctionCall>> {
        let is_reserved_function = self.word().is_some_and(crate::parse::words::is_reserved_function);
        let name = if is_reserved_function {
            let span = self.span();
            self.advance();
            ObjectName::simple(Ident {
                value: span.text(self.sql).to_owned(),
                span,
            })
        } else {
            self.object_name()?
        };
        self.function_call(name)
    }

    fn named_table(&mut self, name: ObjectName) -> Result<NamedTable> {
        let hints = self.hints()?;
        let mut extend = Vec::new();
        let has_extend = self.eat_word("EXTEND");
        if has_extend {
            extend = self.parenthesized_list(|parser| {
                let name = parser.identifier()?;
                Ok((name, parser.data_type()?))
            })?;
        }
        let mut system_time = None;
        if self.eat_word("FOR") {
            self.expect_words(&["SYSTEM_TIME", "AS", "OF"])?;
            system_time = Some(self.expr()?);
        }
        Ok(NamedTable {
            name,
            hints,
            extend,
            system_time,
        })
    }

    /// `( query )` or `( joined tables )`; see [`Parser::parenthesized`] for how they are told apart.
    fn parenthesized_table_ref(&mut self, lateral: bool) -> Result<TableRef> {
        let start = self.span();
        let contents = self.nested(|parser| {
            parser.expect_sign(Sign::LeftParen)?;
            let contents = parser.parenthesized_table_contents(lateral)?;
            parser.expect_sign(Sign::RightParen)?;
            Ok(contents)
        })?;
        Ok(match contents {
            ParenthesizedTable::Table(table) => *table,
            ParenthesizedTable::Query(query) => self.subquery(query, lateral, start),
        })
    }

    fn subquery(&self, query: Box<Query>, lateral: bool, start: Span) -> TableRef {
        let kind = TableRefKind::Subquery { lateral, query };
        TableRef {
            kind,
            alias: None,
            sample: None,
            span: self.span_from(start),
        }
    }

    fn parenthesized_table_contents(&mut self, lateral: bool) -> Result<ParenthesizedTable> {
        // `(TABLE f(…))` is not a query, `(TABLE t)` is the same either way.
        if self.starts_query() && !self.is_word("TABLE") {
            return self
                .query()
                .map(|query| ParenthesizedTable::Query(Box::new(query)));
        }
        if !(self.is_sign(Sign::LeftParen) && self.starts_query_inside()) {
            return self
                .joined_tables()
                .map(|table| ParenthesizedTable::Table(Box::new(table)));
        }
        let start = self.span();
        let contents = self.nested(|parser| {
            parser.expect_sign(Sign::LeftParen)?;
            let contents = parser.parenthesized_table_contents(lateral)?;
            parser.expect_sign(Sign::RightParen)?;
            Ok(contents)
        })?;
        let first = match contents {
            ParenthesizedTable::Query(query) if self.continues_query() => {
                return self
                    .query_after(*query, start)
                    .map(|query| ParenthesizedTable::Query(Box::new(query)));
            }
            ParenthesizedTable::Query(query) if self.is_sign(Sign::RightParen) => {
                return Ok(ParenthesizedTable::Query(query));
            }
            ParenthesizedTable::Query(query) => self.subquery(query, lateral, start),
            ParenthesizedTable::Table(table) => *table,
        };
        let first = self.table_suffixes(first)?;
        self.joins_and_commas(first)
            .map(|table| ParenthesizedTable::Table(Box::new(table)))
    }

    // --- what follows a table ---

    fn table_suffixes(&mut self, mut table: TableRef) -> Result<TableRef> {
        // Joins in parentheses can be joined on, but have no name of their own.
        if matches!(table.kind, TableRefKind::Join(_)) {
            return Ok(table);
        }
        if self.is_word("MATCH_RECOGNIZE") {
            table = self.match_recognize(table)?;
        }
        if self.eat_word("PIVOT") {
            table = self.pivot(table)?;
        }
        if self.eat_word("UNPIVOT") {
            table = self.unpivot(table)?;
        }
        if table.alias.is_none() {
            table.alias = self.table_alias()?;
            // The alias may also stand before the clause: `t AS a MATCH_RECOGNIZE (…)`.
            if self.is_word("MATCH_RECOGNIZE") {
                table.span = self.span_from(table.span);
                table = self.match_recognize(table)?;
                table.alias = self.table_alias()?;
            }
        }
        if table.sample.is_none() {
            table.sample = self.table_sample()?;
        }
        table.span = self.span_from(table.span);
        Ok(table)
    }

    fn table_alias(&mut self) -> Result<Option<TableAlias>> {
        let start = self.span();
        let name = if self.eat_word("AS") {
            Some(self.identifier()?)
        } else {
            self.eat_identifier()
        };
        let Some(name) = name else { return Ok(None) };
        let mut columns = Vec::new();
        if self.is_sign(Sign::LeftParen) {
            columns = self.parenthesized_names()?;
        }
        Ok(Some(TableAlias {
            name,
            columns,
            span: self.span_from(start),
        }))
    }

    fn table_sample(&mut self) -> Result<Option<Box<TableSample>>> {
        let start = self.span();
        if !self.eat_word("TABLESAMPLE") {
            return Ok(None);
        }
        let methods = [
            SampleMethod::Bernoulli,
            SampleMethod::System,
            SampleMethod::Substitute,
        ];
        let method = methods[self.expect_any_word(&["BERNOULLI", "SYSTEM", "SUBSTITUTE"])?];
        self.expect_sign(Sign::LeftParen)?;
        let argument = self.expr()?;
        self.expect_sign(Sign::RightParen)?;
        let mut repeatable = None;
        if self.eat_word("REPEATABLE") {
            self.expect_sign(Sign::LeftParen)?;
            repeatable = Some(self.expr()?);
            self.expect_sign(Sign::RightParen)?;
        }
        let span = self.span_from(start);
        Ok(Some(Box::new(TableSample {
            method,
            argument,
            repeatable,
            span,
        })))
    }

    fn wrapped(&mut self, kind: TableRefKind, start: Span) -> Result<TableRef> {
        self.grow()?;
        Ok(TableRef {
            kind,
            alias: None,
            sample: None,
            span: self.span_from(start),
        })
    }

    /// One name, or several in parentheses.
    fn name_or_names(&mut self) -> Result<Vec<Ident>> {
        if self.is_sign(Sign::LeftParen) {
            self.parenthesized_names()
        } else {
            Ok(vec![self.identifier()?])
        }
    }

    fn pivot(&mut self, input: TableRef) -> Result<TableRef> {
        let start = input.span;
        self.expect_sign(Sign::LeftParen)?;
        let aggregates = self.comma_separated(|parser| {
            let expr = parser.expr()?;
            let alias = if parser.eat_word("AS") {
                Some(parser.identifier()?)
            } else {
                parser.eat_identifier()
            };
            Ok(AliasedExpr { expr, alias })
        })?;
        self.expect_word("FOR")?;
        let axes = self.name_or_names()?;
        self.expect_word("IN")?;
        let values = self.parenthesized_list(|parser| {
            let expr = parser.expr()?;
            let values = match expr.kind {
                crate::parse::ast::ExprKind::Row { fields, .. } => fields,
                kind => vec![Expr::new(kind, expr.span)],
            };
            let alias = if parser.eat_word("AS") {
                Some(parser.identifier()?)
            } else {
                parser.eat_identifier()
            };
            Ok(PivotValue { values, alias })
        })?;
        self.expect_sign(Sign::RightParen)?;
        self.wrapped(
            TableRefKind::Pivot(Box::new(Pivot {
                input,
                aggregates,
                axes,
                values,
            })),
            start,
        )
    }

    fn unpivot(&mut self, input: TableRef) -> Result<TableRef> {
        let start = input.span;
        let include_nulls = self.eat_any_word(&["EXCLUDE", "INCLUDE"]).map(|index| index == 1);
        if include_nulls.is_some() {
            self.expect_word("NULLS")?;
        }
        self.expect_sign(Sign::LeftParen)?;
        let measures = self.name_or_names()?;
        self.expect_word("FOR")?;
        let axes = self.name_or_names()?;
        self.expect_word("IN")?;
        let columns = self.parenthesized_list(|parser| {
            let columns = parser.name_or_names()?;
            let mut values = Vec::new();
            if parser.eat_word("AS") {
                let expr = parser.expr()?;
                values = match expr.kind {
                    crate::parse::ast::ExprKind::Row { fields, .. } => fields,
                    kind => vec![Expr::new(kind, expr.span)],
                };
            }
            Ok(UnpivotColumns { columns, values })
        })?;
        self.expect_sign(Sign::RightParen)?;
        let unpivot = Unpivot {
            input,
            include_nulls,
            measures,
            axes,
            columns,
        };
        self.wrapped(TableRefKind::Unpivot(Box::new(unpivot)), start)
    }
}
