//! MATCH_RECOGNIZE: patterns over ordered rows.

use super::{Parser, Result};
use crate::parse::ast::{
    AfterMatchSkip, MatchPattern, MatchRecognize, Measure, PatternDefinition, PatternQuantifier,
    RowsPerMatch, Span, Subset, TableRef, TableRefKind,
};
use crate::parse::token::Sign;

impl Parser<'_> {
    /// `MATCH_RECOGNIZE (…)` behind its input.
    pub(super) fn match_recognize(&mut self, input: TableRef) -> Result<TableRef> {
        let start = self.span();
        self.expect_word("MATCH_RECOGNIZE")?;
        self.expect_sign(Sign::LeftParen)?;
        let mut partition_by = Vec::new();
        if self.eat_words(&["PARTITION", "BY"]) {
            partition_by = self.comma_separated(Self::expr)?;
        }
        let order_by = self.order_by()?;
        let mut measures = Vec::new();
        if self.eat_word("MEASURES") {
            measures = self.comma_separated(Self::measure)?;
        }
        let rows_per_match = self.rows_per_match()?;
        let after_match = self.after_match()?;
        let (pattern, strict_start, strict_end) = self.pattern_clause()?;
        let within = if self.eat_word("WITHIN") {
            Some(self.interval()?)
        } else {
            None
        };
        let mut subsets = Vec::new();
        if self.eat_word("SUBSET") {
            subsets = self.comma_separated(Self::subset)?;
        }
        self.expect_word("DEFINE")?;
        let definitions = self.comma_separated(Self::pattern_definition)?;
        self.expect_sign(Sign::RightParen)?;
        self.grow()?;
        let span = self.span_from(input.span);
        let spec = MatchRecognize {
            input,
            partition_by,
            order_by,
            measures,
            rows_per_match,
            after_match,
            pattern,
            strict_start,
            strict_end,
            within,
            subsets,
            definitions,
            span: self.span_from(start),
        };
        Ok(TableRef {
            kind: TableRefKind::MatchRecognize(Box::new(spec)),
            alias: None,
            sample: None,
            span,
        })
    }

    fn measure(&mut self) -> Result<Measure> {
        let expr = self.expr()?;
        self.expect_word("AS")?;
        Ok(Measure {
            expr,
            name: self.identifier()?,
        })
    }

    fn rows_per_match(&mut self) -> Result<Option<RowsPerMatch>> {
        if self.eat_word("ONE") {
            self.expect_words(&["ROW", "PER", "MATCH"])?;
            return Ok(Some(RowsPerMatch::One));
        }
        if !self.eat_word("ALL") {
            return Ok(None);
        }
        self.expect_words(&["ROWS", "PER", "MATCH"])?;
        if self.eat_word("SHOW") {
            self.expect_words(&["EMPTY", "MATCHES"])?;
            return Ok(Some(RowsPerMatch::AllShowEmpty));
        }
        if self.eat_word("OMIT") {
            self.expect_words(&["EMPTY", "MATCHES"])?;
            return Ok(Some(RowsPerMatch::AllOmitEmpty));
        }
        if self.eat_word("WITH") {
            self.expect_words(&["UNMATCHED", "ROWS"])?;
            return Ok(Some(RowsPerMatch::AllWithUnmatched));
        }
        Ok(Some(RowsPerMatch::All))
    }

    fn after_match(&mut self) -> Result<Option<AfterMatchSkip>> {
        if !self.eat_word("AFTER") {
            return Ok(None);
        }
        self.expect_words(&["MATCH", "SKIP"])?;
        if self.eat_word("PAST") {
            self.expect_words(&["LAST", "ROW"])?;
            return Ok(Some(AfterMatchSkip::PastLastRow));
        }
        self.expect_word("TO")?;
        if self.eat_words(&["NEXT", "ROW"]) {
            return Ok(Some(AfterMatchSkip::ToNextRow));
        }
        if self.is_identifier_at(1) && self.eat_word("FIRST") {
            return Ok(Some(AfterMatchSkip::ToFirst(self.identifier()?)));
        }
        if self.is_identifier_at(1) {
            self.eat_word("LAST");
        }
        Ok(Some(AfterMatchSkip::ToLast(self.identifier()?)))
    }

    fn subset(&mut self) -> Result<Subset> {
        let name = self.identifier()?;
        self.expect_sign(Sign::Equals)?;
        Ok(Subset {
            name,
            members: self.parenthesized_names()?,
        })
    }

    fn pattern_definition(&mut self) -> Result<PatternDefinition> {
        let name = self.identifier()?;
        self.expect_word("AS")?;
        Ok(PatternDefinition {
            name,
            condition: self.expr()?,
        })
    }

    /// `PATTERN ( [^] pattern [$] )`.
    fn pattern_clause(&mut self) -> Result<(MatchPattern, bool, bool)> {
        self.expect_word("PATTERN")?;
        self.expect_sign(Sign::LeftParen)?;
        let strict_start = self.eat_sign(Sign::Caret);
        let pattern = self.pattern_alternatives()?;
        let strict_end = self.eat_sign(Sign::Dollar);
        self.expect_sign(Sign::RightParen)?;
        Ok((pattern, strict_start, strict_end))
    }

    fn pattern_alternatives(&mut self) -> Result<MatchPattern> {
        self.nested(|parser| {
            let first = parser.pattern_sequence()?;
            let mut alternatives = vec![first];
            while parser.eat_sign(Sign::Pipe) {
                alternatives.push(parser.pattern_sequence()?);
            }
            Ok(single_or(alternatives, MatchPattern::Alternatives))
        })
    }

    fn pattern_sequence(&mut self) -> Result<MatchPattern> {
        let mut steps = vec![self.pattern_step()?];
        while self.starts_pattern() {
            steps.push(self.pattern_step()?);
        }
        Ok(single_or(steps, MatchPattern::Sequence))
    }

    fn starts_pattern(&self) -> bool {
        self.is_identifier_at(0)
            || self.is_sign(Sign::LeftParen)
            || self.is_sign(Sign::ExcludeStart)
            || self.is_word("PERMUTE")
    }

    fn pattern_step(&mut self) -> Result<MatchPattern> {
        let pattern = if self.eat_word("PERMUTE") {
            MatchPattern::Permute(self.parenthesized_list(Self::pattern_alternatives)?)
        } else if self.eat_sign(Sign::LeftParen) {
            let group = self.pattern_alternatives()?;
            self.expect_sign(Sign::RightParen)?;
            group
        } else if self.eat_sign(Sign::ExcludeStart) {
            let excluded = self.pattern_alternatives()?;
            self.expect_sign(Sign::ExcludeEnd)?;
            MatchPattern::Excluded(Box::new(excluded))
        } else {
            MatchPattern::Variable(self.identifier()?)
        };
        match self.pattern_quantifier()? {
            Some(quantifier) => Ok(MatchPattern::Quantified {
                pattern: Box::new(pattern),
                quantifier,
            }),
            None => Ok(pattern),
        }
    }

    fn pattern_quantifier(&mut self) -> Result<Option<PatternQuantifier>> {
        let start = self.span();
        let (min, max) = if self.eat_sign(Sign::Star) {
            (0, None)
        } else if self.eat_sign(Sign::Plus) {
            (1, None)
        } else if self.eat_sign(Sign::Question) {
            (0, Some(1))
        } else if self.eat_sign(Sign::LeftBrace) {
            self.pattern_repetition(start)?
        } else {
            return Ok(None);
        };
        let reluctant = self.eat_sign(Sign::Question);
        Ok(Some(PatternQuantifier {
            min,
            max,
            reluctant,
            span: self.span_from(start),
        }))
    }

    /// `n}`, `n,}`, `n,m}` or `,m}`.
    fn pattern_repetition(&mut self, start: Span) -> Result<(u32, Option<u32>)> {
        let bounds = if self.eat_sign(Sign::Comma) {
            (0, Some(self.unsigned_integer()?))
        } else {
            let min = self.unsigned_integer()?;
            if !self.eat_sign(Sign::Comma) {
                (min, Some(min))
            } else if self.is_sign(Sign::RightBrace) {
                (min, None)
            } else {
                (min, Some(self.unsigned_integer()?))
            }
        };
        self.expect_sign(Sign::RightBrace)?;
        if bounds.1.is_some_and(|max| max < bounds.0 || max == 0) {
            return Err(self.invalid(
                start,
                "the quantifier's upper bound must be positive and not below the lower one",
            ));
        }
        Ok(bounds)
    }
}

/// The only element, or all of them put together.
fn single_or(
    mut patterns: Vec<MatchPattern>,
    combine: fn(Vec<MatchPattern>) -> MatchPattern,
) -> MatchPattern {
    if patterns.len() > 1 {
        return combine(patterns);
    }
    patterns.pop().unwrap_or_else(|| combine(Vec::new()))
}
