//! Queries: WITH, SELECT, VALUES, set operations, ORDER BY and limits.

use super::{Expected, Parser, Result};
use crate::parse::ast::{
    ExplicitTable, Expr, ExprKind, GroupBy, GroupingElement, Hint, HintArguments, Literal, NamedWindow,
    NullsOrder, NumberLiteral, OrderItem, Query, QueryBody, Select, SelectItem, SetOperation, SetOperator,
    Span, StringLiteral, Values, ValuesRow, With, WithItem,
};
use crate::parse::token::{Sign, TokenKind};

/// Binding power of UNION and EXCEPT; INTERSECT binds tighter.
const UNION_POWER: u8 = 12;
const INTERSECT_POWER: u8 = 14;

impl Parser<'_> {
    /// Whether a query starts here, parentheses aside.
    pub(super) fn starts_query(&self) -> bool {
        self.starts_query_at(0)
    }

    pub(super) fn starts_query_at(&self, offset: usize) -> bool {
        let word = self.word_at(offset).map(str::to_ascii_uppercase);
        matches!(word.as_deref(), Some("SELECT" | "VALUES" | "WITH" | "TABLE"))
    }

    /// Whether a query starts behind the parentheses that stand here.
    pub(super) fn starts_query_inside(&self) -> bool {
        let mut offset = 0;
        while self.is_sign_at(offset, Sign::LeftParen) {
            offset += 1;
        }
        self.starts_query_at(offset)
    }

    /// Whether what follows a query in parentheses makes it a part of a larger query.
    pub(super) fn continues_query(&self) -> bool {
        self.is_any_word(&[
            "UNION",
            "INTERSECT",
            "EXCEPT",
            "ORDER",
            "LIMIT",
            "OFFSET",
            "FETCH",
        ])
    }

    /// A query with all its clauses.
    pub(in crate::parse) fn query(&mut self) -> Result<Query> {
        self.nested(|parser| {
            let start = parser.span();
            let with = parser.with_clause()?;
            let body = parser.query_body(0)?;
            parser.query_clauses(with, body, start)
        })
    }

    /// `( query )`, any number of parentheses deep.
    pub(super) fn parenthesized_query(&mut self) -> Result<Query> {
        self.nested(|parser| {
            parser.expect_sign(Sign::LeftParen)?;
            let query = parser.query()?;
            parser.expect_sign(Sign::RightParen)?;
            Ok(query)
        })
    }

    /// The rest of a query that begins with one in parentheses, which has been read.
    pub(super) fn query_after(&mut self, first: Query, start: Span) -> Result<Query> {
        let body = self.set_operations(QueryBody::Nested(Box::new(first)), 0)?;
        self.query_clauses(None, body, start)
    }

    fn query_clauses(&mut self, with: Option<With>, body: QueryBody, start: Span) -> Result<Query> {
        let order_by = self.order_by()?;
        let (offset, limit) = self.limits()?;
        Ok(Query {
            with,
            body,
            order_by,
            offset,
            limit,
            span: self.span_from(start),
        })
    }

    fn with_clause(&mut self) -> Result<Option<With>> {
        let start = self.span();
        if !self.eat_word("WITH") {
            return Ok(None);
        }
        let recursive = self.eat_word("RECURSIVE");
        let items = self.comma_separated(Self::with_item)?;
        Ok(Some(With {
            recursive,
            items,
            span: self.span_from(start),
        }))
    }

    fn with_item(&mut self) -> Result<WithItem> {
        let name = self.identifier()?;
        let mut columns = Vec::new();
        if self.is_sign(Sign::LeftParen) {
            columns = self.parenthesized_names()?;
        }
        self.expect_word("AS")?;
        let query = Box::new(self.parenthesized_query()?);
        let span = self.span_from(name.span);
        Ok(WithItem {
            name,
            columns,
            query,
            span,
        })
    }

    /// Set operations that bind at least as tight as `power`.
    fn query_body(&mut self, power: u8) -> Result<QueryBody> {
        let left = self.query_operand()?;
        self.set_operations(left, power)
    }

    fn set_operations(&mut self, mut left: QueryBody, power: u8) -> Result<QueryBody> {
        while let Some((operator, right_power)) = self.set_operator(power) {
            self.advance();
            let all = self.eat_word("ALL");
            if !all {
                self.eat_word("DISTINCT");
            }
            let right = self.nested(|parser| parser.query_body(right_power))?;
            self.grow()?;
            let span = left.span().to(right.span());
            left = QueryBody::SetOperation(Box::new(SetOperation {
                operator,
                all,
                left,
                right,
                span,
            }));
        }
        Ok(left)
    }

    /// The operator here, if it binds tight enough, with the power of its right side.
    fn set_operator(&mut self, power: u8) -> Option<(SetOperator, u8)> {
        let (operator, own_power) = if self.at_word("UNION") {
            (SetOperator::Union, UNION_POWER)
        } else if self.at_word("EXCEPT") {
            (SetOperator::Except, UNION_POWER)
        } else if self.at_word("INTERSECT") {
            (SetOperator::Intersect, INTERSECT_POWER)
        } else {
            return None;
        };
        (own_power >= power).then_some((operator, own_power + 1))
    }

    fn query_operand(&mut self) -> Result<QueryBody> {
        let start = self.span();
        if self.is_sign(Sign::LeftParen) {
            return self
                .parenthesized_query()
                .map(|query| QueryBody::Nested(Box::new(query)));
        }
        if self.at_word("SELECT") {
            return self.select().map(QueryBody::Select);
        }
        if self.eat_word("VALUES") {
            let rows = self.comma_separated(Self::values_row)?;
            return Ok(QueryBody::Values(Values {
                rows,
                span: self.span_from(start),
            }));
        }
        if self.eat_word("TABLE") {
            let name = self.object_name()?;
            return Ok(QueryBody::Table(ExplicitTable {
                name,
                span: self.span_from(start),
            }));
        }
        self.note(Expected::Sign(Sign::LeftParen));
        Err(self.unexpected())
    }

    fn values_row(&mut self) -> Result<ValuesRow> {
        let expr = self.expr()?;
        let span = expr.span;
        let values = match expr.kind {
            ExprKind::Row { fields, .. } => fields,
            kind => vec![Expr::new(kind, span)],
        };
        Ok(ValuesRow { values, span })
    }

    // --- SELECT ---

    fn select(&mut self) -> Result<Box<Select>> {
        let start = self.span();
        self.expect_word("SELECT")?;
        let hints = self.hints()?;
        self.eat_word("STREAM");
        let quantifier = self.set_quantifier();
        let items = self.comma_separated(Self::select_item)?;
        let mut select = Box::new(Select {
            hints,
            quantifier,
            items,
            from: None,
            selection: None,
            group_by: None,
            having: None,
            windows: Vec::new(),
            qualify: None,
            span: start,
        });
        if self.eat_word("FROM") {
            select.from = Some(self.joined_tables()?);
            self.select_clauses(&mut select)?;
        }
        select.span = self.span_from(start);
        Ok(select)
    }

    fn select_clauses(&mut self, select: &mut Select) -> Result<()> {
        if self.eat_word("WHERE") {
            select.selection = Some(self.expr()?);
        }
        select.group_by = self.group_by()?;
        if self.eat_word("HAVING") {
            select.having = Some(self.expr()?);
        }
        if self.eat_word("WINDOW") {
            select.windows = self.comma_separated(Self::named_window)?;
        }
        if self.eat_word("QUALIFY") {
            select.qualify = Some(self.expr()?);
        }
        Ok(())
    }

    fn named_window(&mut self) -> Result<NamedWindow> {
        let name = self.identifier()?;
        if !self.eat_word("AS") {
            let hint =
                "time windows are table functions: FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)";
            return Err(self.unexpected_with_hint(hint));
        }
        Ok(NamedWindow {
            name,
            window: self.window_spec()?,
        })
    }

    fn select_item(&mut self) -> Result<SelectItem> {
        let span = self.span();
        if self.is_sign(Sign::Star) {
            self.advance();
            return Ok(SelectItem::Wildcard { span });
        }
        if self.is_word("FROM") {
            self.note(Expected::Thing(super::primary::AN_EXPRESSION));
            let is_trailing = self.previous_span().text(self.sql) == ",";
            return Err(self.unexpected_with_hint(if is_trailing {
                "remove the comma before FROM"
            } else {
                "list the columns to select, or *"
            }));
        }
        if let Some(item) = self.qualified_wildcard()? {
            return Ok(item);
        }
        let expr = self.expr()?;
        let alias = if self.eat_word("AS") {
            Some(self.identifier()?)
        } else {
            self.eat_identifier()
        };
        Ok(SelectItem::Expr { expr, alias })
    }

    /// `name.name.*`, if that is what stands here.
    fn qualified_wildcard(&mut self) -> Result<Option<SelectItem>> {
        let mut offset = 0;
        while self.is_identifier_at(offset) && self.is_sign_at(offset + 1, Sign::Dot) {
            offset += 2;
        }
        if offset == 0 || !self.is_sign_at(offset, Sign::Star) {
            return Ok(None);
        }
        let start = self.span();
        let mut parts = vec![self.identifier()?];
        while self.is_sign(Sign::Dot) && !self.is_sign_at(1, Sign::Star) {
            self.advance();
            parts.push(self.identifier()?);
        }
        let qualifier = crate::parse::ast::ObjectName {
            parts,
            span: self.span_from(start),
        };
        self.expect_sign(Sign::Dot)?;
        self.expect_sign(Sign::Star)?;
        Ok(Some(SelectItem::QualifiedWildcard {
            qualifier,
            span: self.span_from(start),
        }))
    }

    // --- GROUP BY ---

    fn group_by(&mut self) -> Result<Option<GroupBy>> {
        let start = self.span();
        if !self.at_word("GROUP") {
            return Ok(None);
        }
        self.expect_words(&["GROUP", "BY"])?;
        let quantifier = self.set_quantifier();
        let elements = self.comma_separated(Self::grouping_element)?;
        Ok(Some(GroupBy {
            quantifier,
            elements,
            span: self.span_from(start),
        }))
    }

    fn grouping_element(&mut self) -> Result<GroupingElement> {
        self.nested(Self::grouping_element_unguarded)
    }

    fn grouping_element_unguarded(&mut self) -> Result<GroupingElement> {
        let start = self.span();
        if self.eat_words(&["GROUPING", "SETS"]) {
            let elements = self.parenthesized_list(Self::grouping_element)?;
            return Ok(GroupingElement::GroupingSets {
                elements,
                span: self.span_from(start),
            });
        }
        let is_call = self.is_sign_at(1, Sign::LeftParen);
        if is_call && self.eat_word("ROLLUP") {
            let units = self.parenthesized_list(Self::grouping_unit)?;
            return Ok(GroupingElement::Rollup {
                units,
                span: self.span_from(start),
            });
        }
        if is_call && self.eat_word("CUBE") {
            let units = self.parenthesized_list(Self::grouping_unit)?;
            return Ok(GroupingElement::Cube {
                units,
                span: self.span_from(start),
            });
        }
        if self.is_sign(Sign::LeftParen) && self.is_sign_at(1, Sign::RightParen) {
            self.advance();
            self.advance();
            return Ok(GroupingElement::Set {
                exprs: Vec::new(),
                span: self.span_from(start),
            });
        }
        let expr = self.expr()?;
        let span = self.span_from(start);
        Ok(match expr.kind {
            ExprKind::Row {
                fields,
                explicit: false,
            } => GroupingElement::Set { exprs: fields, span },
            kind => GroupingElement::Expr(Expr::new(kind, expr.span)),
        })
    }

    fn grouping_unit(&mut self) -> Result<Vec<Expr>> {
        let expr = self.expr()?;
        Ok(match expr.kind {
            ExprKind::Row {
                fields,
                explicit: false,
            } => fields,
            kind => vec![Expr::new(kind, expr.span)],
        })
    }

    // --- ORDER BY and limits ---

    /// `[ORDER BY item, …]`.
    pub(super) fn order_by(&mut self) -> Result<Vec<OrderItem>> {
        if !self.at_word("ORDER") {
            return Ok(Vec::new());
        }
        self.expect_words(&["ORDER", "BY"])?;
        self.comma_separated(Self::order_item)
    }

    pub(super) fn order_item(&mut self) -> Result<OrderItem> {
        let expr = self.expr()?;
        let descending = self.eat_any_word(&["ASC", "DESC"]) == Some(1);
        let mut nulls = None;
        if self.eat_word("NULLS") {
            let orders = [NullsOrder::First, NullsOrder::Last];
            nulls = Some(orders[self.expect_any_word(&["FIRST", "LAST"])?]);
        }
        let span = self.span_from(expr.span);
        Ok(OrderItem {
            expr,
            descending,
            nulls,
            span,
        })
    }

    /// `LIMIT`, `OFFSET` and `FETCH` in the orders that the grammar knows.
    fn limits(&mut self) -> Result<(Option<Expr>, Option<Expr>)> {
        let (mut offset, mut limit) = (None, None);
        loop {
            if limit.is_none() && self.eat_word("LIMIT") {
                if self.eat_word("ALL") {
                    continue;
                }
                limit = Some(self.row_count()?);
                if self.is_sign(Sign::Comma) {
                    let message =
                        "'LIMIT start, count' is not allowed under the current SQL conformance level";
                    let mut error = self.invalid(self.span(), message);
                    error.hint = Some("write LIMIT count OFFSET start".to_owned());
                    return Err(error);
                }
            } else if offset.is_none() && self.eat_word("OFFSET") {
                offset = Some(self.row_count()?);
                self.eat_any_word(&["ROW", "ROWS"]);
            } else if limit.is_none() && self.eat_word("FETCH") {
                self.expect_any_word(&["FIRST", "NEXT"])?;
                limit = Some(self.row_count()?);
                self.expect_any_word(&["ROW", "ROWS"])?;
                self.expect_word("ONLY")?;
            } else {
                return Ok((offset, limit));
            }
        }
    }

    /// A number of rows: an unsigned number or a parameter.
    fn row_count(&mut self) -> Result<Expr> {
        let span = self.span();
        let kind = match self.peek().kind {
            TokenKind::Number => {
                let text = span.text(self.sql).to_owned();
                let digits = text.len();
                ExprKind::Literal(Literal::Number(NumberLiteral { text, digits }))
            }
            TokenKind::Sign(Sign::Question) => ExprKind::Parameter,
            _ => return Err(self.unexpected_thing("a number of rows")),
        };
        self.advance();
        Ok(Expr::new(kind, span))
    }

    // --- hints ---

    /// `[/*+ hint, … */]`.
    pub(super) fn hints(&mut self) -> Result<Vec<Hint>> {
        if !self.is_sign(Sign::HintStart) {
            return Ok(Vec::new());
        }
        self.advance();
        let mut hints = vec![self.one_hint()?];
        while !self.is_sign(Sign::HintEnd) {
            self.eat_sign(Sign::Comma);
            hints.push(self.one_hint()?);
        }
        self.advance();
        Ok(hints)
    }

    fn one_hint(&mut self) -> Result<Hint> {
        let name = self.identifier()?;
        let mut arguments = HintArguments::None;
        if self.eat_sign(Sign::LeftParen) {
            let is_options = self.is_string() && self.is_sign_at(1, Sign::Equals);
            arguments = if self.is_sign(Sign::RightParen) {
                HintArguments::None
            } else if is_options || name.value.eq_ignore_ascii_case("OPTIONS") {
                HintArguments::Options(self.comma_separated(Self::option)?)
            } else {
                HintArguments::List(self.comma_separated(Self::hint_argument)?)
            };
            self.expect_sign(Sign::RightParen)?;
        }
        let span = self.span_from(name.span);
        Ok(Hint {
            name,
            arguments,
            span,
        })
    }

    /// A name, possibly with dots, or a literal.
    fn hint_argument(&mut self) -> Result<StringLiteral> {
        if let Some(literal) = self.eat_string()? {
            return Ok(literal);
        }
        let span = self.span();
        if self.peek().kind == TokenKind::Number {
            self.advance();
            return Ok(StringLiteral {
                value: span.text(self.sql).to_owned(),
                span,
            });
        }
        let name = self.object_name()?;
        Ok(StringLiteral {
            value: name.to_string(),
            span: name.span,
        })
    }
}
