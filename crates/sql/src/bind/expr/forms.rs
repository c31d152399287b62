//! Operators and syntax that is built from them: BETWEEN, IN, CASE, IS, LIKE, quantified comparisons, scalar
//! subqueries.

use millstream_functions::typing::sql_type_name;
use millstream_plan::Expr;
use millstream_types::logical_type::{DayTimeResolution, YearMonthResolution};
use millstream_types::{ErrorCode, LogicalType, Scalar, TimeAttribute, TypeFamily, TypeKind};

use super::ExprBinder;
use super::absent::{absent_element, element_is_null};
use crate::bind::coerce;
use crate::bind::error::{SqlError, SqlResult};
use crate::bind::logical::and_all;
use crate::bind::types::interval_kind;
use crate::parse::ast::{
    self, BinaryOperator, CaseBranch, ExprKind, IntervalQualifier, IsTest, JsonShape, LikeKind, TimeUnit,
    UnaryOperator,
};
use crate::parse::span::Span;

const MILLIS_PER_SECOND: i64 = 1_000;

impl ExprBinder<'_, '_> {
    pub(super) fn bind_unary(
        &mut self,
        operator: UnaryOperator,
        operand: &ast::Expr,
        span: Span,
    ) -> SqlResult<Expr> {
        match operator {
            UnaryOperator::Plus => self.bind(operand),
            UnaryOperator::Not => {
                let operand = self.bind(operand)?;
                self.call(span, "NOT", vec![operand])
            }
            UnaryOperator::Minus => {
                if let Some(literal) = negated_literal(operand) {
                    return Ok(literal);
                }
                let operand = self.bind(operand)?;
                self.call(span, "-", vec![operand])
            }
        }
    }

    pub(super) fn bind_binary(
        &mut self,
        operator: BinaryOperator,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
    ) -> SqlResult<Expr> {
        if matches!(operator, BinaryOperator::And | BinaryOperator::Or) {
            return self.bind_logical(operator, left, right, span);
        }
        if operator == BinaryOperator::Overlaps {
            return self.bind_overlaps(left, right, span);
        }
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        self.binary(operator, left, right, span)
    }

    /// An infix operator over bound operands.
    pub(super) fn binary(
        &self,
        operator: BinaryOperator,
        left: Expr,
        right: Expr,
        span: Span,
    ) -> SqlResult<Expr> {
        use BinaryOperator as B;
        let is_arithmetic = matches!(operator, B::Plus | B::Minus | B::Multiply | B::Divide | B::Modulo);
        let is_known = is_arithmetic
            || operator.is_comparison()
            || matches!(operator, B::IsDistinctFrom | B::IsNotDistinctFrom | B::Concat);
        if !is_known {
            return Err(SqlError::unsupported(
                span,
                format!("operator {}", operator.text()),
            ));
        }
        let attribute = shifted_time_attribute(operator, &left.ty(), &right.ty());
        let mut bound = self.call(span, operator.text(), vec![left, right])?;
        // As in Flink, a time attribute shifted by an interval remains a time attribute.
        if let Expr::Call { ty, .. } = &mut bound
            && attribute != TimeAttribute::None
        {
            *ty = ty.with_time_attribute(attribute);
        }
        Ok(bound)
    }

    fn bind_logical(
        &mut self,
        operator: BinaryOperator,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
    ) -> SqlResult<Expr> {
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        let fits = |e: &Expr| e.ty().kind == TypeKind::Boolean || e.ty().is_null();
        if !fits(&left) || !fits(&right) {
            let (name, l, r) = (
                operator.text(),
                sql_type_name(&left.ty()),
                sql_type_name(&right.ty()),
            );
            return Err(SqlError::at(
                span,
                format!(
                    "Cannot apply '{name}' to arguments of type '<{l}> {name} <{r}>'. \
                     Supported form(s): '<BOOLEAN> {name} <BOOLEAN>'"
                ),
            )
            .with_code(ErrorCode::TypeMismatch));
        }
        if left.ty().is_null() || right.ty().is_null() {
            return Err(super::illegal_null(span));
        }
        let mut args = Vec::new();
        for side in [left, right] {
            match (operator, coerce::cast_to(side, &LogicalType::BOOLEAN)) {
                (BinaryOperator::And, Expr::And(inner)) | (BinaryOperator::Or, Expr::Or(inner)) => {
                    args.extend(inner)
                }
                (_, other) => args.push(other),
            }
        }
        Ok(if operator == BinaryOperator::And {
            Expr::And(args)
        } else {
            Expr::Or(args)
        })
    }

    /// `(a, b) OVERLAPS (c, d)`; the second element of a pair may be an interval.
    fn bind_overlaps(&mut self, left: &ast::Expr, right: &ast::Expr, span: Span) -> SqlResult<Expr> {
        let (start1, end1) = self.bind_period(left)?;
        let (start2, end2) = self.bind_period(right)?;
        let ordered = |this: &Self, a: &Expr, b: &Expr| -> SqlResult<(Expr, Expr)> {
            let in_order = this.call(span, "<=", vec![a.clone(), b.clone()])?;
            let pick = |x: &Expr, y: &Expr| Expr::Case {
                branches: vec![(in_order.clone(), x.clone())],
                otherwise: Box::new(y.clone()),
                ty: y.ty().with_nullable(x.ty().nullable || y.ty().nullable),
            };
            Ok((pick(a, b), pick(b, a)))
        };
        let (low1, high1) = ordered(self, &start1, &end1)?;
        let (low2, high2) = ordered(self, &start2, &end2)?;
        let first = self.call(span, ">=", vec![high1, low2])?;
        let second = self.call(span, ">=", vec![high2, low1])?;
        Ok(Expr::And(vec![first, second]))
    }

    fn bind_period(&mut self, period: &ast::Expr) -> SqlResult<(Expr, Expr)> {
        let ExprKind::Row { fields, .. } = &period.kind else {
            return Err(SqlError::at(
                period.span,
                "OVERLAPS takes a pair on each side: (start, end) or (start, interval)",
            )
            .with_code(ErrorCode::TypeMismatch));
        };
        let [start, end] = fields.as_slice() else {
            return Err(SqlError::at(
                period.span,
                "OVERLAPS takes a pair on each side: (start, end) or (start, interval)",
            )
            .with_code(ErrorCode::TypeMismatch));
        };
        let (start, end) = (self.bind(start)?, self.bind(end)?);
        let end = if end.ty().is_interval() {
            self.call(period.span, "+", vec![start.clone(), end])?
        } else {
            end
        };
        Ok((start, end))
    }

    pub(super) fn bind_is(
        &mut self,
        operand: &ast::Expr,
        test: IsTest,
        negated: bool,
        span: Span,
    ) -> SqlResult<Expr> {
        let operand = self.bind(operand)?;
        if test == IsTest::Null && absent_element(&operand).is_some() {
            return self.negate_if(negated, element_is_null(&operand), span);
        }
        let name = match (test, negated) {
            (IsTest::Null, false) => "IS NULL",
            (IsTest::Null, true) => "IS NOT NULL",
            (IsTest::True, false) => "IS TRUE",
            (IsTest::True, true) => "IS NOT TRUE",
            (IsTest::False, false) => "IS FALSE",
            (IsTest::False, true) => "IS NOT FALSE",
            // UNKNOWN is the BOOLEAN NULL.
            (IsTest::Unknown, false) => "IS NULL",
            (IsTest::Unknown, true) => "IS NOT NULL",
            (IsTest::Json(shape), _) => {
                let name = match shape {
                    JsonShape::Value => "IS JSON VALUE",
                    JsonShape::Object => "IS JSON OBJECT",
                    JsonShape::Array => "IS JSON ARRAY",
                    JsonShape::Scalar => "IS JSON SCALAR",
                };
                let found = self.call(span, name, vec![operand])?;
                return self.negate_if(negated, found, span);
            }
            (IsTest::ASet, _) => return Err(SqlError::unsupported(span, "IS A SET")),
            (IsTest::Empty, _) => return Err(SqlError::unsupported(span, "IS EMPTY")),
        };
        self.call(span, name, vec![operand])
    }

    pub(super) fn bind_between(
        &mut self,
        [operand, low, high]: [&ast::Expr; 3],
        symmetric: bool,
        negated: bool,
        span: Span,
    ) -> SqlResult<Expr> {
        let (value, low, high) = (self.bind(operand)?, self.bind(low)?, self.bind(high)?);
        let within = |this: &Self, from: &Expr, to: &Expr| -> SqlResult<Expr> {
            let above = this.call(span, ">=", vec![value.clone(), from.clone()])?;
            let below = this.call(span, "<=", vec![value.clone(), to.clone()])?;
            Ok(Expr::And(vec![above, below]))
        };
        let mut found = within(self, &low, &high)?;
        if symmetric {
            found = Expr::Or(vec![found, within(self, &high, &low)?]);
        }
        self.negate_if(negated, found, span)
    }

    pub(super) fn bind_like(
        &mut self,
        kind: LikeKind,
        operand: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::Expr>,
        negated: bool,
        span: Span,
    ) -> SqlResult<Expr> {
        let name = match kind {
            LikeKind::Like => "LIKE",
            LikeKind::SimilarTo => "SIMILAR TO",
            LikeKind::ILike => {
                return Err(SqlError::at(span, "no match found for function signature ILIKE")
                    .with_code(ErrorCode::UnknownFunction)
                    .with_hint("write LOWER(x) LIKE 'pattern'"));
            }
            LikeKind::RLike => {
                return Err(SqlError::at(span, "no match found for function signature RLIKE")
                    .with_code(ErrorCode::UnknownFunction)
                    .with_hint("write REGEXP(x, 'pattern')"));
            }
        };
        let mut args = vec![self.bind(operand)?, self.bind(pattern)?];
        if let Some(escape) = escape {
            args.push(self.bind(escape)?);
        }
        if args.iter().any(|arg| arg.ty().is_null()) {
            let found: Vec<String> = args
                .iter()
                .map(|arg| format!("<{}>", sql_type_name(&arg.ty())))
                .collect();
            let message = format!(
                "Cannot apply '{name}' to arguments of type '{name}({})'. Supported form(s): '{name}(<STRING>, <STRING>, <STRING>)'",
                found.join(", ")
            );
            return Err(SqlError::at(span, message)
                .with_code(ErrorCode::TypeMismatch)
                .with_hint("give NULL a type: CAST(NULL AS STRING)"));
        }
        let found = self.call(span, name, args)?;
        self.negate_if(negated, found, span)
    }

    pub(super) fn bind_in_list(
        &mut self,
        operand: &ast::Expr,
        list: &[ast::Expr],
        negated: bool,
        span: Span,
    ) -> SqlResult<Expr> {
        let incompatible = || {
            SqlError::at(span, "Values in expression list must have compatible types")
                .with_code(ErrorCode::TypeMismatch)
        };
        if let ExprKind::Row { fields, .. } = &operand.kind {
            let found = self.bind_row_in_list(fields, list, span)?;
            return self.negate_if(negated, found, span);
        }
        let value = self.bind(operand)?;
        let items = self.bind_all(list)?;
        let types: Vec<LogicalType> = items.iter().map(Expr::ty).filter(|ty| !ty.is_null()).collect();
        if !types.is_empty() && coerce::common_type(&types).is_none() {
            return Err(incompatible());
        }
        let equals = |item: Expr| {
            let item = as_member(item, &value.ty());
            self.call(span, "=", vec![value.clone(), item])
                .map_err(|_| incompatible())
        };
        let mut equalities = items.into_iter().map(equals).collect::<SqlResult<Vec<_>>>()?;
        let found = match equalities.len() {
            1 => equalities.remove(0),
            _ => Expr::Or(equalities),
        };
        self.negate_if(negated, found, span)
    }

    fn bind_row_in_list(&mut self, fields: &[ast::Expr], list: &[ast::Expr], span: Span) -> SqlResult<Expr> {
        let values = self.bind_all(fields)?;
        let mut rows = Vec::new();
        for item in list {
            let ExprKind::Row { fields: items, .. } = &item.kind else {
                return Err(
                    SqlError::at(item.span, "Values in expression list must have compatible types")
                        .with_code(ErrorCode::TypeMismatch),
                );
            };
            if items.len() != values.len() {
                return Err(
                    SqlError::at(item.span, "unequal number of entries in row expressions")
                        .with_code(ErrorCode::TypeMismatch),
                );
            }
            let items = self.bind_all(items)?;
            let pairs = values.iter().cloned().zip(items);
            let equal = pairs
                .map(|(v, i)| self.call(span, "=", vec![v, i]))
                .collect::<SqlResult<Vec<_>>>()?;
            rows.extend(and_all(equal));
        }
        Ok(if rows.len() == 1 {
            rows.remove(0)
        } else {
            Expr::Or(rows)
        })
    }

    pub(super) fn bind_case(
        &mut self,
        operand: Option<&ast::Expr>,
        branches: &[CaseBranch],
        otherwise: Option<&ast::Expr>,
        span: Span,
    ) -> SqlResult<Expr> {
        let operand = operand.map(|operand| self.bind(operand)).transpose()?;
        let mut bound = Vec::new();
        for branch in branches {
            let mut tests = Vec::new();
            for when in &branch.when {
                let test = self.bind(when)?;
                tests.push(match &operand {
                    Some(operand) => self.call(when.span, "=", vec![operand.clone(), test])?,
                    None if test.ty().kind == TypeKind::Boolean => test,
                    None if test.ty().is_null() => coerce::cast_to(test, &LogicalType::BOOLEAN),
                    None => {
                        let message = format!("Expected a boolean type, found {}", sql_type_name(&test.ty()));
                        return Err(SqlError::at(when.span, message).with_code(ErrorCode::TypeMismatch));
                    }
                });
            }
            let condition = if tests.len() == 1 {
                tests.remove(0)
            } else {
                Expr::Or(tests)
            };
            bound.push((condition, self.bind(&branch.then)?));
        }
        let otherwise = match otherwise {
            Some(otherwise) => self.bind(otherwise)?,
            None => Expr::literal(Scalar::Null, LogicalType::NULL),
        };
        self.case(bound, otherwise, span)
    }

    /// CASE over bound parts, with a common type for all results.
    pub(super) fn case(&self, branches: Vec<(Expr, Expr)>, otherwise: Expr, span: Span) -> SqlResult<Expr> {
        let types: Vec<LogicalType> = branches
            .iter()
            .map(|(_, value)| value.ty())
            .chain([otherwise.ty()])
            .collect();
        if types.iter().all(LogicalType::is_null) {
            return Err(
                SqlError::at(span, "ELSE clause or at least one THEN clause must be non-NULL")
                    .with_code(ErrorCode::TypeMismatch),
            );
        }
        let ty = coerce::common_type(&types).ok_or_else(|| {
            let names: Vec<String> = types.iter().map(sql_type_name).collect();
            SqlError::at(
                span,
                format!(
                    "Illegal mixing of types in CASE or COALESCE statement: {}; cast them to one type",
                    names.join(", ")
                ),
            )
            .with_code(ErrorCode::TypeMismatch)
        })?;
        let ty = ty
            .without_time_attribute()
            .with_nullable(types.iter().any(|ty| ty.nullable));
        let branches = branches
            .into_iter()
            .map(|(c, v)| (c, coerce::cast_to(v, &ty)))
            .collect();
        Ok(Expr::Case {
            branches,
            otherwise: Box::new(coerce::cast_to(otherwise, &ty)),
            ty,
        })
    }

    /// `INTERVAL x DAY` with an expression: a multiple of the unit.
    pub(super) fn bind_dynamic_interval(
        &mut self,
        value: &ast::Expr,
        qualifier: &IntervalQualifier,
        span: Span,
    ) -> SqlResult<Expr> {
        let kind = interval_kind(qualifier)?;
        let value = self.bind(value)?;
        let unit = match qualifier.start {
            TimeUnit::Quarter => Expr::literal(Scalar::IntervalYearMonth(3), LogicalType::not_null(kind)),
            TimeUnit::Week => {
                let week = Scalar::IntervalDayTime(7 * 86_400 * MILLIS_PER_SECOND);
                Expr::literal(week, LogicalType::not_null(kind))
            }
            _ => first_unit(&LogicalType::not_null(kind)),
        };
        self.call(span, "*", vec![unit, value])
    }

    /// `base[index]`: array, map, variant and row elements.
    pub(super) fn bind_element(
        &mut self,
        base: &ast::Expr,
        index: &ast::Expr,
        span: Span,
    ) -> SqlResult<Expr> {
        let (base, index) = (self.bind(base)?, self.bind(index)?);
        let ty = base.ty();
        let TypeKind::Row(fields) = &ty.kind else {
            return self.call(span, "ITEM", vec![base, index]);
        };
        let position = match coerce::literal_of(&index) {
            Some(Scalar::String(name)) => fields.iter().position(|field| field.name == *name),
            Some(number) => number
                .as_i64()
                .and_then(|n| usize::try_from(n - 1).ok())
                .filter(|i| *i < fields.len()),
            None => {
                return Err(
                    SqlError::at(span, "the field of a row is chosen by a literal name or position")
                        .with_code(ErrorCode::TypeMismatch),
                );
            }
        };
        let position = position.ok_or_else(|| {
            let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            SqlError::at(
                span,
                format!(
                    "the row has no field at this position or of this name; fields: {}",
                    names.join(", ")
                ),
            )
            .with_code(ErrorCode::TypeMismatch)
        })?;
        let field = &fields[position].ty;
        let result = field.with_nullable(field.nullable || ty.nullable);
        Ok(Expr::Field {
            input: Box::new(base),
            index: position,
            ty: result,
        })
    }
}

/// One of the leading unit of an interval type: a day for INTERVAL DAY TO SECOND.
pub(super) fn first_unit(ty: &LogicalType) -> Expr {
    use DayTimeResolution as D;
    let unit = match ty.kind {
        TypeKind::IntervalYearMonth(YearMonthResolution::Month) => Scalar::IntervalYearMonth(1),
        TypeKind::IntervalYearMonth(_) => Scalar::IntervalYearMonth(12),
        TypeKind::IntervalDayTime(D::Hour | D::HourToMinute | D::HourToSecond) => {
            Scalar::IntervalDayTime(3_600 * MILLIS_PER_SECOND)
        }
        TypeKind::IntervalDayTime(D::Minute | D::MinuteToSecond) => {
            Scalar::IntervalDayTime(60 * MILLIS_PER_SECOND)
        }
        TypeKind::IntervalDayTime(D::Second) => Scalar::IntervalDayTime(MILLIS_PER_SECOND),
        _ => Scalar::IntervalDayTime(86_400 * MILLIS_PER_SECOND),
    };
    Expr::literal(unit, ty.with_nullable(false))
}

/// Converts an item of an IN list as Flink does for a comparison with type `wanted`: texts and numbers become that
/// type, where a text that stands for none is an error; anything else compared with a text becomes text.
fn as_member(item: Expr, wanted: &LogicalType) -> Expr {
    let ty = item.ty();
    if ty.is_null() || wanted.is_null() {
        return item;
    }
    let is_scalar = wanted.is_numeric() || wanted.kind == TypeKind::Boolean || wanted.is_datetime();
    if is_scalar && ty.is_character() {
        return coerce::cast_to(item, wanted);
    }
    let is_constant = item.columns().is_empty();
    if wanted.is_numeric() && ty.is_numeric() && takes_member_type(wanted, &ty, is_constant) {
        return coerce::cast_to(item, wanted);
    }
    if wanted.is_character() && !ty.is_character() && !ty.is_nested() {
        return coerce::cast_to(item, &LogicalType::STRING);
    }
    item
}

/// Whether a number in a list is cast to the type `wanted` of the compared value. DECIMALs keep their own scales, and
/// constants compared with a DECIMAL keep all digits.
fn takes_member_type(wanted: &LogicalType, member: &LogicalType, is_constant: bool) -> bool {
    wanted.family() != TypeFamily::Decimal || !(is_constant || member.family() == TypeFamily::Decimal)
}

/// The time attribute of `time ± interval`.
fn shifted_time_attribute(
    operator: BinaryOperator,
    left: &LogicalType,
    right: &LogicalType,
) -> TimeAttribute {
    match operator {
        BinaryOperator::Plus | BinaryOperator::Minus if right.is_interval() => rowtime_of(left),
        BinaryOperator::Plus if left.is_interval() => rowtime_of(right),
        _ => TimeAttribute::None,
    }
}

fn rowtime_of(ty: &LogicalType) -> TimeAttribute {
    if ty.time_attribute() == TimeAttribute::Rowtime {
        TimeAttribute::Rowtime
    } else {
        TimeAttribute::None
    }
}

/// Treats `-5` as one literal, so that the smallest value of a type can be written.
fn negated_literal(operand: &ast::Expr) -> Option<Expr> {
    let ExprKind::Literal(literal @ ast::Literal::Number(number)) = &operand.kind else {
        return None;
    };
    if number.text == "2147483648" {
        return Some(coerce::integer(i32::MIN));
    }
    if number.text == "9223372036854775808" {
        return Some(Expr::literal(
            Scalar::BigInt(i64::MIN),
            LogicalType::not_null(TypeKind::BigInt),
        ));
    }
    let Ok(Expr::Literal { value, ty }) = crate::bind::literal::bind_literal(literal, operand.span) else {
        return None;
    };
    let value = match value {
        Scalar::Int(v) => Scalar::Int(v.checked_neg()?),
        Scalar::BigInt(v) => Scalar::BigInt(v.checked_neg()?),
        Scalar::Decimal(v) => Scalar::Decimal(v.checked_neg()?),
        Scalar::Double(v) => Scalar::Double(-v),
        _ => return None,
    };
    Some(Expr::Literal { value, ty })
}
