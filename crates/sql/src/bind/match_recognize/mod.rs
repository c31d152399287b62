//! MATCH_RECOGNIZE → a [`Match`] over a projection of its input.
//!
//! Conditions and measures speak of rows of a match (`LAST(A.price, 1)`, `SUM(B.tax)`). Each such place becomes a
//! [`Navigation`] with a name of its own; what is left is an ordinary expression over these names. What a navigation
//! computes of a single row is a column of the projection below.

mod navigation;

use millstream_plan::{
    Expr, MatchCondition, MatchSkip, MatchSpec, MatchVariable, Navigation, NavigationKind, RowsExprs, SortKey,
};
use millstream_types::{ErrorCode, LogicalType, Schema, TimeAttribute, TypeKind};

use super::error::{SqlError, SqlResult};
use super::expr::{Calls, Clause, ExprBinder};
use super::logical::{Match, Rel, RelKind};
use super::query::Environment;
use super::scope::Scope;
use super::{Binder, window};
use crate::parse::ast::visit::VisitMut;
use crate::parse::ast::{self, AfterMatchSkip, ExprKind, Ident, MatchPattern, RowsPerMatch};
use crate::parse::span::Span;
use crate::rules::fold::fold;
use navigation::Finder;

/// Functions that cannot fail: a condition that uses only these is computed for all rows at once.
const SAFE_FUNCTIONS: [&str; 19] = [
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "*",
    "NOT",
    "IS NULL",
    "IS NOT NULL",
    "IS TRUE",
    "IS NOT TRUE",
    "IS FALSE",
    "IS NOT FALSE",
    "LIKE",
    "UPPER",
    "LOWER",
];

impl Binder<'_> {
    /// `input MATCH_RECOGNIZE (…)`.
    pub(super) fn bind_match_recognize(
        &self,
        written: &ast::MatchRecognize,
        environment: &Environment<'_>,
        outer: Option<&Scope<'_>>,
    ) -> SqlResult<Rel> {
        refuse_unsupported(written)?;
        let (input, scope) = self.bind_from(&written.input, environment, outer)?;
        // Names after a pattern variable are not table columns; the text of a view keeps them as written.
        let quiet = self.in_database(&self.catalog, &self.database);
        let mut variables = Vec::new();
        collect_variables(&written.pattern, &mut variables)?;
        check_pattern(&variables, written.span)?;
        let names: Vec<String> = variables.iter().map(|v| v.name.clone()).collect();
        let mut matching = Matching {
            binder: &quiet,
            environment,
            scope: &scope,
            names: &names,
            columns: Columns::default(),
            time: None,
        };
        let partition = matching.partition(&written.partition_by)?;
        let (order, event_time) = matching.order(written, self.config.streaming)?;
        matching.define(&written.definitions, &mut variables)?;
        let spec = MatchSpec {
            skip: skip(written.after_match.as_ref(), &names)?,
            within_ms: within_ms(&quiet, environment, written)?,
            measures: matching.measures(&written.measures)?,
            partition,
            order,
            variables,
        };
        Ok(build(input, matching.columns, spec, event_time, written))
    }
}

/// The node over its projection.
fn build(
    input: Rel,
    columns: Columns,
    spec: MatchSpec,
    event_time: bool,
    written: &ast::MatchRecognize,
) -> Rel {
    let (exprs, names): (Vec<Expr>, Vec<String>) = columns.0.into_iter().unzip();
    let input = input.project(exprs, names);
    let keys = spec.partition.iter().map(|c| {
        (
            input.schema.columns[*c].name.clone(),
            input.schema.columns[*c].ty.clone(),
        )
    });
    let measures = written
        .measures
        .iter()
        .zip(&spec.measures.exprs)
        .map(|(measure, expr)| (measure.name.value.clone(), expr.ty()));
    let schema = Schema::new(keys.chain(measures).collect::<Vec<_>>());
    let node = Match {
        spec,
        event_time,
        span: written.span,
    };
    Rel::new(RelKind::Match(Box::new(node)), vec![input], schema)
}

fn refuse_unsupported(written: &ast::MatchRecognize) -> SqlResult<()> {
    let refuse =
        |message: &str| Err(SqlError::at(written.span, message).with_code(ErrorCode::InvalidPattern));
    match written.rows_per_match {
        None | Some(RowsPerMatch::One) => {}
        Some(_) => return refuse("All rows per match mode is not supported yet."),
    }
    if written.strict_start || written.strict_end {
        return refuse("The anchors ^ and $ of a pattern are not supported yet");
    }
    if !written.subsets.is_empty() {
        return refuse("SUBSET clause is not supported in MATCH_RECOGNIZE yet");
    }
    Ok(())
}

/// The pattern's variables in order, without conditions.
fn collect_variables(pattern: &MatchPattern, found: &mut Vec<MatchVariable>) -> SqlResult<()> {
    let refuse =
        |message: &str| Err(SqlError::at(place_of(pattern), message).with_code(ErrorCode::InvalidPattern));
    match pattern {
        MatchPattern::Variable(name) => {
            if found.iter().any(|variable| variable.name == name.value) {
                let message = "Pattern variables must be unique. That might change in the future";
                return Err(SqlError::at(name.span, message).with_code(ErrorCode::DuplicateName));
            }
            found.push(MatchVariable {
                name: name.value.clone(),
                min: 1,
                max: Some(1),
                greedy: true,
                condition: MatchCondition::Always,
            });
            Ok(())
        }
        MatchPattern::Sequence(parts) => parts.iter().try_for_each(|part| collect_variables(part, found)),
        MatchPattern::Quantified { pattern, quantifier } => {
            let MatchPattern::Variable(_) = pattern.as_ref() else {
                return refuse("Currently, quantifiers of groups of pattern variables are not supported");
            };
            collect_variables(pattern, found)?;
            if quantifier.reluctant && (quantifier.min, quantifier.max) == (0, Some(1)) {
                let message = "Reluctant optional variables are not supported yet.";
                return Err(SqlError::at(quantifier.span, message).with_code(ErrorCode::InvalidPattern));
            }
            if let Some(variable) = found.last_mut() {
                variable.min = quantifier.min;
                variable.max = quantifier.max;
                variable.greedy = !quantifier.reluctant;
            }
            Ok(())
        }
        MatchPattern::Alternatives(_) => refuse("Currently, CEP doesn't support branching patterns."),
        MatchPattern::Permute(_) => refuse("Currently, CEP doesn't support PERMUTE patterns."),
        MatchPattern::Excluded(_) => refuse("Currently, CEP doesn't support '{-' '-}' patterns."),
    }
}

/// From the first variable of a pattern to the last.
fn place_of(pattern: &MatchPattern) -> Span {
    match pattern {
        MatchPattern::Variable(name) => name.span,
        MatchPattern::Quantified { pattern, quantifier } => place_of(pattern).to(quantifier.span),
        MatchPattern::Excluded(inner) => place_of(inner),
        MatchPattern::Sequence(parts) | MatchPattern::Alternatives(parts) | MatchPattern::Permute(parts) => {
            parts.iter().map(place_of).reduce(Span::to).unwrap_or_default()
        }
    }
}

fn check_pattern(variables: &[MatchVariable], span: Span) -> SqlResult<()> {
    let can_vary = |v: &MatchVariable| v.max != Some(v.min) && (v.min, v.max) != (0, Some(1));
    if variables.last().is_some_and(|last| last.greedy && can_vary(last)) {
        let message = "Greedy quantifiers are not allowed as the last element of a Pattern yet. Finish your pattern \
                       with either a simple variable or reluctant quantifier.";
        return Err(SqlError::at(span, message).with_code(ErrorCode::InvalidPattern));
    }
    if variables.iter().all(|variable| variable.min == 0) {
        let message = "Patterns that can produce empty matches are not supported. There must be at least one \
                       non-optional state.";
        return Err(SqlError::at(span, message).with_code(ErrorCode::InvalidPattern));
    }
    Ok(())
}

fn unknown_variable(name: &Ident) -> SqlError {
    SqlError::at(name.span, format!("Unknown pattern '{}'", name.value)).with_code(ErrorCode::UnknownObject)
}

fn skip(written: Option<&AfterMatchSkip>, names: &[String]) -> SqlResult<MatchSkip> {
    let place = |name: &Ident| {
        let found = names.iter().position(|n| *n == name.value);
        found.ok_or_else(|| unknown_variable(name))
    };
    Ok(match written {
        None | Some(AfterMatchSkip::ToNextRow) => MatchSkip::ToNextRow,
        Some(AfterMatchSkip::PastLastRow) => MatchSkip::PastLastRow,
        Some(AfterMatchSkip::ToFirst(name)) => MatchSkip::ToFirst(place(name)?),
        Some(AfterMatchSkip::ToLast(name)) => MatchSkip::ToLast(place(name)?),
    })
}

fn within_ms(
    binder: &Binder<'_>,
    environment: &Environment<'_>,
    written: &ast::MatchRecognize,
) -> SqlResult<Option<i64>> {
    let Some(within) = &written.within else {
        return Ok(None);
    };
    let (scope, mut calls) = (Scope::default(), Calls::default());
    let mut binder = ExprBinder::new(binder, &scope, environment, &mut calls, Clause::TableFunction);
    let value = binder.bind(within)?;
    let message =
        "Only constant intervals with millisecond resolution are supported as time constraints of patterns.";
    match window::interval_ms(&value) {
        Ok(millis) => Ok(Some(millis)),
        Err(_) => Err(SqlError::at(within.span, message).with_code(ErrorCode::InvalidPattern)),
    }
}

/// The distinct columns of the projection below.
#[derive(Default)]
struct Columns(Vec<(Expr, String)>);

impl Columns {
    fn place(&mut self, expr: Expr, name: Option<&str>) -> usize {
        if let Some(known) = self.0.iter().position(|(e, _)| *e == expr) {
            return known;
        }
        let name = name.map_or_else(|| format!("$m{}", self.0.len()), str::to_owned);
        self.0.push((expr, name));
        self.0.len() - 1
    }
}

struct Matching<'m> {
    binder: &'m Binder<'m>,
    environment: &'m Environment<'m>,
    /// The columns of a row.
    scope: &'m Scope<'m>,
    /// The variables of the pattern.
    names: &'m [String],
    columns: Columns,
    /// The event time of ORDER BY: its column and type.
    time: Option<(usize, LogicalType)>,
}

impl Matching<'_> {
    /// An expression over a single row.
    fn of_row(&self, expr: &ast::Expr) -> SqlResult<Expr> {
        let mut calls = Calls::default();
        ExprBinder::new(
            self.binder,
            self.scope,
            self.environment,
            &mut calls,
            Clause::TableFunction,
        )
        .bind(expr)
    }

    fn partition(&mut self, exprs: &[ast::Expr]) -> SqlResult<Vec<usize>> {
        let mut partition = Vec::new();
        for expr in exprs {
            let bound = self.of_row(expr)?;
            let name = match &expr.kind {
                ExprKind::Identifier(name) => name.last().map(|last| last.value.clone()),
                _ => None,
            };
            partition.push(self.columns.place(bound, name.as_deref()));
        }
        Ok(partition)
    }

    /// The sort keys, and whether the first is event time.
    fn order(&mut self, written: &ast::MatchRecognize, streaming: bool) -> SqlResult<(Vec<SortKey>, bool)> {
        let no_time = || {
            let message = "You must specify either rowtime or proctime for order by.";
            SqlError::at(written.span, message).with_code(ErrorCode::InvalidPattern)
        };
        let mut keys = Vec::new();
        let mut attribute = TimeAttribute::None;
        for (i, item) in written.order_by.iter().enumerate() {
            let bound = self.of_row(&item.expr)?;
            let ty = bound.ty();
            let column = self.columns.place(bound, None);
            if i == 0 {
                attribute = ty.time_attribute();
                if streaming && attribute == TimeAttribute::None {
                    return Err(no_time());
                }
                if streaming && item.descending {
                    let message = "Primary sort order of a streaming table must be ascending on time.";
                    return Err(SqlError::at(item.span, message).with_code(ErrorCode::InvalidPattern));
                }
                self.time = Some((column, ty));
            }
            let ascending = !item.descending;
            keys.push(SortKey {
                column,
                ascending,
                nulls_first: item.nulls.map_or(ascending, |n| n == ast::NullsOrder::First),
            });
        }
        if keys.is_empty() {
            return Err(no_time());
        }
        Ok((keys, attribute != TimeAttribute::Proctime))
    }

    fn define(
        &mut self,
        definitions: &[ast::PatternDefinition],
        variables: &mut [MatchVariable],
    ) -> SqlResult<()> {
        for definition in definitions {
            let number = self.names.iter().position(|name| *name == definition.name.value);
            let number = number.ok_or_else(|| unknown_variable(&definition.name))?;
            variables[number].condition = self.condition(number, &definition.condition)?;
        }
        Ok(())
    }

    fn condition(&mut self, number: usize, written: &ast::Expr) -> SqlResult<MatchCondition> {
        let (navigations, bound) = self.rows_expr(written, Some(number))?;
        let bound = fold(bound, self.binder.config);
        if crate::rules::fold::is_true(&bound) {
            return Ok(MatchCondition::Always);
        }
        let of_row = |navigation: &Navigation| match navigation.kind {
            NavigationKind::Last { column, offset: 0 } if navigation.variable.is_none_or(|v| v == number) => {
                Some(self.columns.0[column].0.clone())
            }
            _ => None,
        };
        let args: Option<Vec<Expr>> = navigations.iter().map(of_row).collect();
        if let Some(args) = args.filter(|_| is_safe(&bound)) {
            let alone = bound.transform_up(&mut |e| match &e {
                Expr::Column { index, .. } => args.get(*index).cloned().unwrap_or(e),
                _ => e,
            });
            return Ok(MatchCondition::Column(self.columns.place(alone, None)));
        }
        Ok(MatchCondition::Rows(RowsExprs {
            navigations,
            exprs: vec![bound],
        }))
    }

    fn measures(&mut self, measures: &[ast::Measure]) -> SqlResult<RowsExprs> {
        let (mut all, mut exprs) = (Vec::new(), Vec::new());
        for measure in measures {
            let (navigations, bound) = self.rows_expr(&measure.expr, None)?;
            let first = all.len();
            all.extend(navigations);
            exprs.push(bound.remap_columns(&|i| i + first));
        }
        Ok(RowsExprs {
            navigations: all,
            exprs,
        })
    }

    /// Extracts the navigations of an expression. `current` is the variable being defined.
    fn rows_expr(
        &mut self,
        written: &ast::Expr,
        current: Option<usize>,
    ) -> SqlResult<(Vec<Navigation>, Expr)> {
        let mut written = written.clone();
        let (binder, environment) = (self.binder, self.environment);
        let mut finder = Finder {
            matching: self,
            found: Vec::new(),
            error: None,
        };
        finder.visit_expr(&mut written);
        if let Some(error) = finder.error {
            return Err(error);
        }
        let found = finder.found;
        let columns = found
            .iter()
            .enumerate()
            .map(|(i, n)| (navigation_name(i), n.ty.clone()));
        let scope = Scope::of_schema(&Schema::new(columns.collect::<Vec<_>>()));
        let mut calls = Calls::default();
        let mut binder = ExprBinder::new(binder, &scope, environment, &mut calls, Clause::Where);
        let bound = match current {
            Some(_) => binder.bind_condition(&written)?,
            None => binder.bind_typed(&written)?,
        };
        if let Some(subquery) = calls.subqueries.first() {
            return Err(SqlError::unsupported(
                subquery.span,
                "a sub-query in MATCH_RECOGNIZE",
            ));
        }
        Ok((found, bound))
    }
}

/// A name that no column uses.
fn navigation_name(number: usize) -> String {
    format!("$navigation{number}")
}

/// Whether an expression succeeds for every row.
fn is_safe(expr: &Expr) -> bool {
    let mut safe = true;
    expr.visit(&mut |e| {
        safe &= match e {
            Expr::Call { function, args, .. } => {
                SAFE_FUNCTIONS.contains(&function.as_str())
                    && args
                        .iter()
                        .all(|a| !matches!(a.ty().kind, TypeKind::Row(_) | TypeKind::Array(_)))
            }
            Expr::Cast { .. } => false,
            _ => true,
        };
    });
    safe
}
