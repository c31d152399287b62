//! Function calls in the usual form, with named arguments, table arguments, FILTER, OVER and the rest.

use super::{Expected, Parser, Result};
use crate::parse::ast::{
    ArgumentValue, DescriptorColumn, Expr, ExprKind, FrameBound, FrameExclusion, FrameUnit, FunctionArgument,
    FunctionCall, Ident, MatchModifier, NullTreatment, ObjectName, OverClause, SetQuantifier, TableArgument,
    TableArgumentSource, WindowFrame, WindowSpec,
};
use crate::parse::precedence;
use crate::parse::token::Sign;
use crate::parse::words;

impl Parser<'_> {
    /// Whether a call stands `offset` after the current token.
    pub(super) fn is_call_at(&self, offset: usize) -> bool {
        self.word_at(offset).is_some() && self.is_sign_at(offset + 1, Sign::LeftParen)
    }

    /// The arguments and clauses after a function's name, as an expression.
    pub(super) fn call(&mut self, name: ObjectName) -> Result<Expr> {
        let call = self.function_call(name)?;
        let span = call.span;
        Ok(Expr::new(ExprKind::Function(call), span))
    }

    /// A function whose name is a reserved word, perhaps without parentheses.
    pub(super) fn reserved_call(&mut self) -> Result<Expr> {
        let span = self.span();
        let value = span.text(self.sql).to_ascii_uppercase();
        self.advance();
        let name = ObjectName::simple(Ident { value, span });
        if self.is_sign(Sign::LeftParen) {
            return self.call(name);
        }
        if words::is_missing_context_variable(span.text(self.sql)) {
            // Flink has no such function, so that the word can only be a column's name.
            let value = span.text(self.sql).to_owned();
            let name = ObjectName::simple(Ident { value, span });
            return Ok(Expr::new(ExprKind::Identifier(name), span));
        }
        let call = FunctionCall::with_arguments(name, None, span);
        Ok(Expr::new(ExprKind::Function(Box::new(call)), span))
    }

    /// `RUNNING f(…)` or `FINAL f(…)`.
    pub(super) fn match_modifier(&mut self, word: &str) -> Result<Expr> {
        let start = self.span();
        self.advance();
        let modifier = if word == "FINAL" {
            MatchModifier::Final
        } else {
            MatchModifier::Running
        };
        let call = Box::new(self.primary()?);
        Ok(Expr::new(
            ExprKind::MatchModifier { modifier, call },
            self.span_from(start),
        ))
    }

    /// `(arguments)` and the clauses that may follow.
    pub(super) fn function_call(&mut self, name: ObjectName) -> Result<Box<FunctionCall>> {
        let start = name.span;
        let mut call = Box::new(FunctionCall::with_arguments(name, None, start));
        self.nested(|parser| parser.argument_list(&mut call))?;
        self.call_suffixes(&mut call)?;
        call.span = self.span_from(start);
        Ok(call)
    }

    fn argument_list(&mut self, call: &mut FunctionCall) -> Result<()> {
        self.expect_sign(Sign::LeftParen)?;
        call.quantifier = self.set_quantifier();
        let mut arguments = Vec::new();
        if !self.is_sign(Sign::RightParen) {
            arguments = self.comma_separated(Self::argument)?;
        }
        call.arguments = Some(arguments);
        call.null_treatment = self.null_treatment()?;
        call.order_by = self.order_by()?;
        self.expect_sign(Sign::RightParen)
    }

    /// `[ALL | DISTINCT]`.
    pub(super) fn set_quantifier(&mut self) -> Option<SetQuantifier> {
        if self.eat_word("DISTINCT") {
            return Some(SetQuantifier::Distinct);
        }
        self.eat_word("ALL").then_some(SetQuantifier::All)
    }

    fn null_treatment(&mut self) -> Result<Option<NullTreatment>> {
        let treatments = [NullTreatment::Ignore, NullTreatment::Respect];
        let Some(index) = self.eat_any_word(&["IGNORE", "RESPECT"]) else {
            return Ok(None);
        };
        self.expect_word("NULLS")?;
        Ok(Some(treatments[index]))
    }

    /// `[name =>] value`.
    fn argument(&mut self) -> Result<FunctionArgument> {
        let start = self.span();
        let mut name = None;
        if self.is_identifier_at(0) && self.is_sign_at(1, Sign::Arrow) {
            name = Some(self.identifier()?);
            self.expect_sign(Sign::Arrow)?;
        }
        let value = self.argument_value()?;
        Ok(FunctionArgument {
            name,
            value,
            span: self.span_from(start),
        })
    }

    fn argument_value(&mut self) -> Result<ArgumentValue> {
        if self.is_sign(Sign::Star) {
            self.advance();
            return Ok(ArgumentValue::Star);
        }
        if self.eat_word("DEFAULT") {
            return Ok(ArgumentValue::Default);
        }
        if self.is_word("TABLE") {
            let start = self.span();
            self.advance();
            let name = self.object_name()?;
            let source = TableArgumentSource::Table(name);
            return self.table_argument(source, start).map(ArgumentValue::Table);
        }
        if self.is_word("MODEL") && self.is_identifier_at(1) {
            self.advance();
            return self.object_name().map(ArgumentValue::Model);
        }
        if self.is_word("DESCRIPTOR") && self.is_sign_at(1, Sign::LeftParen) {
            self.advance();
            return self
                .parenthesized_list(Self::descriptor_column)
                .map(ArgumentValue::Descriptor);
        }
        let expr = self.expr()?;
        let takes_table = self.at_word("PARTITION") || self.is_words(&["ORDER", "BY"]);
        match expr.kind {
            ExprKind::Subquery(query) if takes_table => {
                let source = TableArgumentSource::Query(query);
                self.table_argument(source, expr.span).map(ArgumentValue::Table)
            }
            kind => Ok(ArgumentValue::Expr(Expr::new(kind, expr.span))),
        }
    }

    fn table_argument(
        &mut self,
        source: TableArgumentSource,
        start: crate::parse::ast::Span,
    ) -> Result<TableArgument> {
        let mut partition_by = Vec::new();
        if self.eat_words(&["PARTITION", "BY"]) {
            partition_by = self.partition_keys()?;
        }
        let order_by = if self.is_words(&["ORDER", "BY"]) {
            self.table_argument_order()?
        } else {
            Vec::new()
        };
        Ok(TableArgument {
            source,
            partition_by,
            order_by,
            span: self.span_from(start),
        })
    }

    /// One key, or several in parentheses: a comma ends the argument, unless only a key can follow.
    fn partition_keys(&mut self) -> Result<Vec<Expr>> {
        let start = self.span();
        let first = self.expr()?;
        let mut keys = match first.kind {
            ExprKind::Row {
                fields,
                explicit: false,
            } => return Ok(fields),
            kind => vec![Expr::new(kind, self.span_from(start))],
        };
        while self.is_sign(Sign::Comma) && self.is_identifier_at(1) && self.ends_key_at(2) {
            self.advance();
            keys.push(self.expr()?);
        }
        Ok(keys)
    }

    /// Whether a key of a table argument may end here: the next argument would be a call, a value or named.
    fn ends_key_at(&self, offset: usize) -> bool {
        self.is_sign_at(offset, Sign::Comma)
            || self.is_word_at(offset, "ORDER")
            || self.is_sign_at(offset, Sign::RightParen)
            || self.is_sign_at(offset, Sign::Dot)
    }

    fn table_argument_order(&mut self) -> Result<Vec<crate::parse::ast::OrderItem>> {
        self.expect_words(&["ORDER", "BY"])?;
        if !self.is_sign(Sign::LeftParen) {
            let mut items = vec![self.order_item()?];
            while self.is_sign(Sign::Comma)
                && self.is_identifier_at(1)
                && !self.is_sign_at(2, Sign::Arrow)
                && !self.is_sign_at(2, Sign::LeftParen)
            {
                self.advance();
                items.push(self.order_item()?);
            }
            return Ok(items);
        }
        self.parenthesized_list(Self::order_item)
    }

    fn descriptor_column(&mut self) -> Result<DescriptorColumn> {
        let name = self.identifier()?;
        let has_type = !self.is_sign(Sign::Comma) && !self.is_sign(Sign::RightParen);
        let data_type = if has_type { Some(self.data_type()?) } else { None };
        Ok(DescriptorColumn { name, data_type })
    }

    fn call_suffixes(&mut self, call: &mut FunctionCall) -> Result<()> {
        if self.eat_words(&["WITHIN", "DISTINCT"]) {
            call.within_distinct = self.parenthesized_list(Self::expr)?;
        }
        if self.eat_words(&["WITHIN", "GROUP"]) {
            self.expect_sign(Sign::LeftParen)?;
            self.expect_words(&["ORDER", "BY"])?;
            call.within_group = self.comma_separated(Self::order_item)?;
            self.expect_sign(Sign::RightParen)?;
        }
        if call.null_treatment.is_none() && self.is_word_at(1, "NULLS") {
            call.null_treatment = self.null_treatment()?;
        }
        call.filter = self.filter()?;
        call.over = self.over()?;
        Ok(())
    }

    /// `[FILTER (WHERE condition)]`.
    pub(super) fn filter(&mut self) -> Result<Option<Expr>> {
        if !self.eat_word("FILTER") {
            return Ok(None);
        }
        self.expect_sign(Sign::LeftParen)?;
        self.expect_word("WHERE")?;
        let condition = self.expr()?;
        self.expect_sign(Sign::RightParen)?;
        Ok(Some(condition))
    }

    /// `[OVER name | OVER (…)]`.
    pub(super) fn over(&mut self) -> Result<Option<OverClause>> {
        if !self.eat_word("OVER") {
            return Ok(None);
        }
        if self.is_sign(Sign::LeftParen) {
            return self.window_spec().map(|window| Some(OverClause::Window(window)));
        }
        self.identifier().map(|name| Some(OverClause::Named(name)))
    }

    /// `( [base] [PARTITION BY …] [ORDER BY …] [frame] )`.
    pub(super) fn window_spec(&mut self) -> Result<WindowSpec> {
        self.nested(Self::window_spec_unguarded)
    }

    fn window_spec_unguarded(&mut self) -> Result<WindowSpec> {
        let start = self.span();
        self.expect_sign(Sign::LeftParen)?;
        let base = self.eat_identifier();
        let mut partition_by = Vec::new();
        if self.eat_words(&["PARTITION", "BY"]) {
            partition_by = self.comma_separated(Self::expr)?;
        }
        let order_by = self.order_by()?;
        let frame = self.window_frame()?;
        let mut allow_partial = None;
        if self.is_any_word(&["ALLOW", "DISALLOW"]) {
            allow_partial = Some(self.is_word("ALLOW"));
            self.advance();
            self.expect_word("PARTIAL")?;
        }
        self.expect_sign(Sign::RightParen)?;
        Ok(WindowSpec {
            base,
            partition_by,
            order_by,
            frame,
            allow_partial,
            span: self.span_from(start),
        })
    }

    fn window_frame(&mut self) -> Result<Option<WindowFrame>> {
        let start_span = self.span();
        let units = [FrameUnit::Rows, FrameUnit::Range];
        let Some(unit) = self.eat_any_word(&["ROWS", "RANGE"]) else {
            return Ok(None);
        };
        let (start, mut end) = if self.eat_word("BETWEEN") {
            let start = self.frame_bound()?;
            self.expect_word("AND")?;
            (start, Some(self.frame_bound()?))
        } else {
            (self.frame_bound()?, None)
        };
        // `ROWS 2 PRECEDING` means up to the current row, and stays as it was written.
        let exclude = self.frame_exclusion()?;
        if matches!(start, FrameBound::UnboundedFollowing) {
            return Err(self.invalid(start_span, "a window frame cannot start with UNBOUNDED FOLLOWING"));
        }
        if matches!(end, Some(FrameBound::UnboundedPreceding)) {
            return Err(self.invalid(start_span, "a window frame cannot end with UNBOUNDED PRECEDING"));
        }
        let span = self.span_from(start_span);
        Ok(Some(WindowFrame {
            unit: units[unit],
            start,
            end: end.take(),
            exclude,
            span,
        }))
    }

    fn frame_bound(&mut self) -> Result<FrameBound> {
        if self.eat_words(&["CURRENT", "ROW"]) {
            return Ok(FrameBound::CurrentRow);
        }
        if self.eat_word("UNBOUNDED") {
            return Ok(match self.expect_any_word(&["PRECEDING", "FOLLOWING"])? {
                0 => FrameBound::UnboundedPreceding,
                _ => FrameBound::UnboundedFollowing,
            });
        }
        let offset = Box::new(self.expr_above(precedence::AND + 1)?);
        Ok(match self.expect_any_word(&["PRECEDING", "FOLLOWING"])? {
            0 => FrameBound::Preceding(offset),
            _ => FrameBound::Following(offset),
        })
    }

    fn frame_exclusion(&mut self) -> Result<Option<FrameExclusion>> {
        if !self.eat_word("EXCLUDE") {
            return Ok(None);
        }
        if self.eat_words(&["CURRENT", "ROW"]) {
            return Ok(Some(FrameExclusion::CurrentRow));
        }
        if self.eat_words(&["NO", "OTHERS"]) {
            return Ok(Some(FrameExclusion::NoOthers));
        }
        self.note(Expected::Word("NO OTHERS"));
        Ok(Some(match self.expect_any_word(&["GROUP", "TIES"])? {
            0 => FrameExclusion::Group,
            _ => FrameExclusion::Ties,
        }))
    }
}
