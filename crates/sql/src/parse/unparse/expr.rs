//! Expressions.

use std::fmt::Write as _;

use super::Printer;
use crate::parse::ast::{
    CaseBranch, CastKind, Expr, ExprKind, IntervalLiteral, IntervalQualifier, IsTest, JsonShape, LikeKind,
    Literal, MatchModifier, QuantifiedSource, Quantifier, UnaryOperator,
};
use crate::parse::precedence;

/// Binding power of what needs no parentheses anywhere.
const PRIMARY: u8 = u8::MAX;

impl Printer {
    pub(super) fn expr(&mut self, expr: &Expr) {
        self.expr_above(expr, 0);
    }

    /// An expression in a place for operators that bind at least as tight as `power`.
    pub(super) fn expr_above(&mut self, expr: &Expr, power: u8) {
        if power_of(&expr.kind) < power {
            self.in_parentheses(|printer| printer.expr_kind(expr));
        } else {
            self.expr_kind(expr);
        }
    }

    pub(super) fn exprs(&mut self, exprs: &[Expr]) {
        self.list(exprs, ", ", Self::expr);
    }

    fn expr_kind(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Literal(literal) => self.literal(literal),
            ExprKind::Identifier(name) => self.name(name),
            ExprKind::Binary { .. } => self.chain(expr),
            ExprKind::Unary { operator, operand } => self.unary(*operator, operand),
            ExprKind::Is {
                operand,
                test,
                negated,
            } => {
                self.expr_above(operand, precedence::IS);
                self.push(if *negated { " IS NOT " } else { " IS " });
                self.push(is_test(*test));
            }
            ExprKind::Case {
                operand,
                branches,
                otherwise,
            } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref());
            }
            ExprKind::Cast {
                kind,
                operand,
                data_type,
            } => {
                self.push(match kind {
                    CastKind::Cast => "CAST(",
                    CastKind::TryCast => "TRY_CAST(",
                    CastKind::SafeCast => "SAFE_CAST(",
                });
                self.expr(operand);
                self.push(" AS ");
                self.data_type(data_type);
                self.push(")");
            }
            ExprKind::Function(call) => self.function(call),
            ExprKind::Special(function) => self.special(function),
            ExprKind::Json(function) => self.json(function),
            ExprKind::MatchModifier { modifier, call } => {
                self.push(match modifier {
                    MatchModifier::Running => "RUNNING ",
                    MatchModifier::Final => "FINAL ",
                });
                self.expr_above(call, PRIMARY);
            }
            ExprKind::Sequence { next, sequence } => {
                self.push(if *next {
                    "NEXT VALUE FOR "
                } else {
                    "CURRENT VALUE FOR "
                });
                self.name(sequence);
            }
            ExprKind::Parameter => self.push("?"),
            ExprKind::Field { .. } | ExprKind::Element { .. } => self.access(expr),
            ExprKind::Between { .. }
            | ExprKind::Like { .. }
            | ExprKind::InList { .. }
            | ExprKind::InSubquery { .. }
            | ExprKind::Quantified { .. } => self.range_predicate(expr),
            _ => self.constructor(expr),
        }
    }

    /// A chain of infix operators. The left spine is walked in a loop, since it may be long.
    fn chain(&mut self, expr: &Expr) {
        let mut rights = Vec::new();
        let mut leftmost = expr;
        let mut power = 0;
        while let ExprKind::Binary {
            operator,
            left,
            right,
        } = &leftmost.kind
        {
            if precedence::of(*operator) < power {
                break;
            }
            power = precedence::of(*operator);
            rights.push((*operator, right));
            leftmost = left;
        }
        self.expr_above(leftmost, power);
        for (operator, right) in rights.iter().rev() {
            let _ = write!(self.text, " {} ", operator.text());
            self.expr_above(right, precedence::of(*operator) + 1);
        }
    }

    fn unary(&mut self, operator: UnaryOperator, operand: &Expr) {
        let (text, power) = match operator {
            UnaryOperator::Plus => ("+ ", precedence::SIGN),
            UnaryOperator::Minus => ("- ", precedence::SIGN),
            UnaryOperator::Not => ("NOT ", precedence::NOT),
        };
        self.push(text);
        self.expr_above(operand, power);
    }

    fn case(&mut self, operand: Option<&Expr>, branches: &[CaseBranch], otherwise: Option<&Expr>) {
        self.push("CASE");
        for branch in branches {
            self.push(" WHEN ");
            match (operand, branch.when.as_slice()) {
                (Some(operand), [value]) => {
                    self.expr_above(operand, precedence::COMPARISON);
                    self.push(" = ");
                    self.expr_above(value, precedence::COMPARISON + 1);
                }
                (Some(operand), values) => {
                    self.expr_above(operand, precedence::RANGE);
                    self.push(" IN ");
                    self.in_parentheses(|printer| printer.exprs(values));
                }
                (None, conditions) => self.exprs(conditions),
            }
            self.push(" THEN ");
            self.expr(&branch.then);
        }
        self.push(" ELSE ");
        match otherwise {
            Some(otherwise) => self.expr(otherwise),
            None => self.push("NULL"),
        }
        self.push(" END");
    }

    fn access(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Field { base, field } => {
                // Without parentheses a name would swallow the field, and a number the dot.
                let is_open = matches!(base.kind, ExprKind::Identifier(_) | ExprKind::Literal(_));
                if is_open {
                    self.in_parentheses(|printer| printer.expr(base));
                } else {
                    self.expr_above(base, PRIMARY);
                }
                self.push(".");
                self.identifier(field);
            }
            ExprKind::Element { base, index } => {
                self.expr_above(base, PRIMARY);
                self.push("[");
                self.expr(index);
                self.push("]");
            }
            _ => {}
        }
    }

    fn range_predicate(&mut self, expr: &Expr) {
        let not = |negated: bool| if negated { " NOT" } else { "" };
        match &expr.kind {
            ExprKind::Between {
                operand,
                low,
                high,
                symmetric,
                negated,
            } => {
                self.expr_above(operand, precedence::RANGE);
                let order = if *symmetric { "SYMMETRIC" } else { "ASYMMETRIC" };
                let _ = write!(self.text, "{} BETWEEN {order} ", not(*negated));
                self.expr_above(low, precedence::RANGE + 1);
                self.push(" AND ");
                self.expr_above(high, precedence::RANGE + 1);
            }
            ExprKind::Like {
                kind,
                operand,
                pattern,
                escape,
                negated,
            } => {
                self.expr_above(operand, precedence::RANGE);
                let _ = write!(self.text, "{} {} ", not(*negated), like_words(*kind));
                self.expr_above(pattern, precedence::RANGE + 1);
                self.optional(" ESCAPE ", escape.as_ref(), |printer, escape| {
                    printer.expr_above(escape, precedence::RANGE + 1);
                });
            }
            ExprKind::InList {
                operand,
                list,
                negated,
            } => {
                self.expr_above(operand, precedence::RANGE);
                let _ = write!(self.text, "{} IN ", not(*negated));
                self.in_parentheses(|printer| printer.exprs(list));
            }
            ExprKind::InSubquery {
                operand,
                query,
                negated,
            } => {
                self.expr_above(operand, precedence::RANGE);
                let _ = write!(self.text, "{} IN ", not(*negated));
                self.in_parentheses(|printer| printer.query(query));
            }
            ExprKind::Quantified {
                operand,
                operator,
                quantifier,
                source,
            } => {
                self.expr_above(operand, precedence::COMPARISON);
                let _ = write!(
                    self.text,
                    " {} {} ",
                    operator.text(),
                    quantifier_word(*quantifier)
                );
                self.in_parentheses(|printer| match source {
                    QuantifiedSource::Query(query) => printer.query(query),
                    QuantifiedSource::List(list) => printer.exprs(list),
                });
            }
            _ => {}
        }
    }

    fn constructor(&mut self, expr: &Expr) {
        let bracketed = |printer: &mut Self, word: &str, elements: &[Expr]| {
            printer.push(word);
            printer.push("[");
            printer.exprs(elements);
            printer.push("]");
        };
        let queried = |printer: &mut Self, word: &str, query: &crate::parse::ast::Query| {
            printer.push(word);
            printer.in_parentheses(|printer| printer.query(query));
        };
        match &expr.kind {
            ExprKind::Row { fields, explicit } => {
                self.push(if *explicit { "ROW" } else { "" });
                self.in_parentheses(|printer| printer.exprs(fields));
            }
            ExprKind::Array(elements) => bracketed(self, "ARRAY", elements),
            ExprKind::Map(elements) => bracketed(self, "MAP", elements),
            ExprKind::Multiset(elements) => bracketed(self, "MULTISET", elements),
            ExprKind::ArrayQuery(query) => queried(self, "ARRAY", query),
            ExprKind::MapQuery(query) => queried(self, "MAP", query),
            ExprKind::MultisetQuery(query) => queried(self, "MULTISET", query),
            ExprKind::Exists(query) => queried(self, "EXISTS ", query),
            ExprKind::Unique(query) => queried(self, "UNIQUE ", query),
            ExprKind::Subquery(query) => queried(self, "", query),
            ExprKind::Interval { value, qualifier } => {
                self.push("INTERVAL ");
                let is_number = matches!(value.kind, ExprKind::Literal(Literal::Number(_)));
                let is_enclosed = matches!(
                    value.kind,
                    ExprKind::Subquery(_) | ExprKind::Row { explicit: false, .. }
                );
                if is_number || is_enclosed {
                    self.expr(value);
                } else {
                    self.in_parentheses(|printer| printer.expr(value));
                }
                self.push(" ");
                self.interval_qualifier(qualifier);
            }
            ExprKind::DatetimeDifference {
                left,
                right,
                qualifier,
            } => {
                self.in_parentheses(|printer| {
                    printer.expr_above(left, precedence::SUM);
                    printer.push(" - ");
                    printer.expr_above(right, precedence::SUM + 1);
                });
                self.push(" ");
                self.interval_qualifier(qualifier);
            }
            _ => {}
        }
    }

    // --- literals ---

    pub(super) fn literal(&mut self, literal: &Literal) {
        match literal {
            Literal::Null => self.push("NULL"),
            Literal::Boolean(true) => self.push("TRUE"),
            Literal::Boolean(false) => self.push("FALSE"),
            Literal::Unknown => self.push("UNKNOWN"),
            Literal::Number(number) => self.push(&number.text),
            Literal::Decimal(text) => self.prefixed_string("DECIMAL ", text),
            Literal::String(text) => match &text.charset {
                Some(charset) => {
                    let _ = write!(self.text, "_{charset}");
                    self.string(&text.value);
                }
                None => self.character_string(&text.value),
            },
            Literal::Binary(bytes) => {
                self.push("X'");
                for byte in bytes {
                    let _ = write!(self.text, "{byte:02X}");
                }
                self.push("'");
            }
            Literal::Date(text) => self.prefixed_string("DATE ", text),
            Literal::Time(text) => self.prefixed_string("TIME ", text),
            Literal::Timestamp(text) => self.prefixed_string("TIMESTAMP ", text),
            Literal::TimestampLtz(text) => self.prefixed_string("TIMESTAMP WITH LOCAL TIME ZONE ", text),
            Literal::Interval(interval) => self.interval_literal(interval),
        }
    }

    fn prefixed_string(&mut self, prefix: &str, text: &str) {
        self.push(prefix);
        self.string(text);
    }

    /// A string literal; characters outside of ASCII are written as escapes.
    fn character_string(&mut self, text: &str) {
        if text.is_ascii() {
            self.string(text);
            return;
        }
        self.push("u&'");
        for unit in text.encode_utf16() {
            match u8::try_from(unit) {
                Ok(b'\'') => self.push("''"),
                Ok(b'\\') => self.push("\\\\"),
                Ok(ascii @ 32..=126) => self.text.push(char::from(ascii)),
                _ => {
                    let _ = write!(self.text, "\\{unit:04x}");
                }
            }
        }
        self.push("'");
    }

    fn interval_literal(&mut self, interval: &IntervalLiteral) {
        self.push(if interval.negative {
            "INTERVAL -"
        } else {
            "INTERVAL "
        });
        self.string(&interval.value);
        self.push(" ");
        self.interval_qualifier(&interval.qualifier);
    }

    pub(super) fn interval_qualifier(&mut self, qualifier: &IntervalQualifier) {
        self.push(qualifier.start.word());
        match (
            qualifier.start_precision,
            qualifier.fractional_precision,
            qualifier.end,
        ) {
            (Some(start), Some(fraction), None) => {
                let _ = write!(self.text, "({start}, {fraction})");
            }
            (Some(start), ..) => {
                let _ = write!(self.text, "({start})");
            }
            _ => {}
        }
        if let Some(end) = qualifier.end {
            let _ = write!(self.text, " TO {}", end.word());
            if let Some(fraction) = qualifier.fractional_precision {
                let _ = write!(self.text, "({fraction})");
            }
        }
    }
}

/// How tight the outermost operator of an expression binds.
fn power_of(kind: &ExprKind) -> u8 {
    match kind {
        ExprKind::Binary { operator, .. } => precedence::of(*operator),
        ExprKind::Unary {
            operator: UnaryOperator::Not,
            ..
        } => precedence::NOT,
        ExprKind::Unary { .. } => precedence::SIGN,
        ExprKind::Is { .. } => precedence::IS,
        ExprKind::Quantified { .. } => precedence::COMPARISON,
        ExprKind::Between { .. }
        | ExprKind::Like { .. }
        | ExprKind::InList { .. }
        | ExprKind::InSubquery { .. } => precedence::RANGE,
        _ => PRIMARY,
    }
}

fn is_test(test: IsTest) -> &'static str {
    match test {
        IsTest::Null => "NULL",
        IsTest::True => "TRUE",
        IsTest::False => "FALSE",
        IsTest::Unknown => "UNKNOWN",
        IsTest::ASet => "A SET",
        IsTest::Empty => "EMPTY",
        IsTest::Json(JsonShape::Value) => "JSON VALUE",
        IsTest::Json(JsonShape::Object) => "JSON OBJECT",
        IsTest::Json(JsonShape::Array) => "JSON ARRAY",
        IsTest::Json(JsonShape::Scalar) => "JSON SCALAR",
    }
}

fn like_words(kind: LikeKind) -> &'static str {
    match kind {
        LikeKind::Like => "LIKE",
        LikeKind::SimilarTo => "SIMILAR TO",
        LikeKind::ILike => "ILIKE",
        LikeKind::RLike => "RLIKE",
    }
}

fn quantifier_word(quantifier: Quantifier) -> &'static str {
    match quantifier {
        Quantifier::Some => "SOME",
        Quantifier::Any => "ANY",
        Quantifier::All => "ALL",
    }
}
