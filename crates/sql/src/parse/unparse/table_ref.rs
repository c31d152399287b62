//! FROM: tables, joins and the clauses behind them.

use std::fmt::Write as _;

use super::Printer;
use crate::parse::ast::{
    AfterMatchSkip, Expr, Ident, Join, JoinCondition, JoinKind, MatchPattern, MatchRecognize, NamedTable,
    Pivot, RowsPerMatch, SampleMethod, TableRef, TableRefKind, TableSample, Unpivot,
};

impl Printer {
    pub(super) fn table_ref(&mut self, table: &TableRef) {
        match &table.kind {
            TableRefKind::Join(_) => return self.joins(table),
            TableRefKind::Table(named) => self.named_table(named),
            TableRefKind::Subquery { lateral, query } => {
                self.push(if *lateral { "LATERAL " } else { "" });
                self.in_parentheses(|printer| printer.query(query));
            }
            TableRefKind::Function { lateral, call } => {
                self.push(if *lateral { "LATERAL TABLE(" } else { "TABLE(" });
                self.function(call);
                self.push(")");
            }
            TableRefKind::Unnest {
                collections,
                with_ordinality,
            } => {
                self.push("UNNEST(");
                self.exprs(collections);
                self.push(if *with_ordinality {
                    ") WITH ORDINALITY"
                } else {
                    ")"
                });
            }
            TableRefKind::MatchRecognize(spec) => self.match_recognize(spec),
            TableRefKind::Pivot(pivot) => self.pivot(pivot),
            TableRefKind::Unpivot(unpivot) => self.unpivot(unpivot),
        }
        if let Some(alias) = &table.alias {
            self.push(" AS ");
            self.identifier(&alias.name);
            if !alias.columns.is_empty() {
                self.push(" ");
                self.identifiers(&alias.columns);
            }
        }
        if let Some(sample) = &table.sample {
            self.sample(sample);
        }
    }

    /// A table as an operand: joins in parentheses.
    fn table_operand(&mut self, table: &TableRef) {
        if matches!(table.kind, TableRefKind::Join(_)) {
            self.in_parentheses(|printer| printer.table_ref(table));
        } else {
            self.table_ref(table);
        }
    }

    /// A chain of joins, its left spine in a loop. A comma binds looser than the other joins.
    fn joins(&mut self, table: &TableRef) {
        let mut chain: Vec<&Join> = Vec::new();
        let mut leftmost = table;
        while let TableRefKind::Join(join) = &leftmost.kind {
            let needs_parentheses = join.kind == JoinKind::Comma
                && chain.last().is_some_and(|above| above.kind != JoinKind::Comma);
            if needs_parentheses || (leftmost.sample.is_some() && !chain.is_empty()) {
                break;
            }
            chain.push(join);
            leftmost = &join.left;
        }
        self.table_operand(leftmost);
        for join in chain.iter().rev() {
            self.join(join);
        }
        if let Some(sample) = &table.sample {
            self.sample(sample);
        }
    }

    fn join(&mut self, join: &Join) {
        if join.kind == JoinKind::Comma {
            self.push(",\n");
            // To the right of a comma, joins need no parentheses unless they are commas themselves.
            let is_comma =
                matches!(&join.right.kind, TableRefKind::Join(right) if right.kind == JoinKind::Comma);
            return if is_comma {
                self.table_operand(&join.right)
            } else {
                self.table_ref(&join.right)
            };
        }
        self.push(if join.natural { "\nNATURAL " } else { "\n" });
        self.push(match join.kind {
            JoinKind::Comma | JoinKind::Cross => "CROSS JOIN ",
            JoinKind::Inner => "INNER JOIN ",
            JoinKind::Left => "LEFT JOIN ",
            JoinKind::Right => "RIGHT JOIN ",
            JoinKind::Full => "FULL JOIN ",
        });
        self.table_operand(&join.right);
        match &join.condition {
            JoinCondition::None => {}
            JoinCondition::On(condition) => {
                self.push(" ON ");
                self.expr(condition);
            }
            JoinCondition::Using(columns) => {
                self.push(" USING ");
                self.identifiers(columns);
            }
        }
    }

    fn named_table(&mut self, table: &NamedTable) {
        self.name(&table.name);
        if !table.hints.is_empty() {
            self.push(" ");
            self.hints(&table.hints);
            self.text.truncate(self.text.trim_end().len());
        }
        if !table.extend.is_empty() {
            self.push(" EXTEND (");
            self.list(&table.extend, ", ", |printer, (name, data_type)| {
                printer.identifier(name);
                printer.push(" ");
                printer.data_type(data_type);
            });
            self.push(")");
        }
        self.optional(" FOR SYSTEM_TIME AS OF ", table.system_time.as_ref(), Self::expr);
    }

    fn sample(&mut self, sample: &TableSample) {
        self.push(match sample.method {
            SampleMethod::Bernoulli => " TABLESAMPLE BERNOULLI(",
            SampleMethod::System => " TABLESAMPLE SYSTEM(",
            SampleMethod::Substitute => " TABLESAMPLE SUBSTITUTE(",
        });
        self.expr(&sample.argument);
        self.push(")");
        if let Some(seed) = &sample.repeatable {
            self.push(" REPEATABLE(");
            self.expr(seed);
            self.push(")");
        }
    }

    // --- PIVOT and UNPIVOT ---

    fn pivot(&mut self, pivot: &Pivot) {
        self.table_operand(&pivot.input);
        self.push(" PIVOT (");
        self.list(&pivot.aggregates, ", ", |printer, aggregate| {
            printer.expr(&aggregate.expr);
            printer.optional(" AS ", aggregate.alias.as_ref(), Self::identifier);
        });
        self.push(" FOR ");
        self.identifiers(&pivot.axes);
        self.push(" IN (");
        self.list(&pivot.values, ", ", |printer, value| {
            printer.tuple(&value.values);
            printer.optional(" AS ", value.alias.as_ref(), Self::identifier);
        });
        self.push("))");
    }

    /// One value as it is, several in parentheses.
    fn tuple(&mut self, values: &[Expr]) {
        match values {
            [only] => self.expr(only),
            several => self.in_parentheses(|printer| printer.exprs(several)),
        }
    }

    fn unpivot(&mut self, unpivot: &Unpivot) {
        self.table_operand(&unpivot.input);
        self.push(match unpivot.include_nulls {
            Some(true) => " UNPIVOT INCLUDE NULLS (",
            Some(false) => " UNPIVOT EXCLUDE NULLS (",
            None => " UNPIVOT (",
        });
        self.identifiers(&unpivot.measures);
        self.push(" FOR ");
        self.identifiers(&unpivot.axes);
        self.push(" IN (");
        self.list(&unpivot.columns, ", ", |printer, entry| {
            printer.identifiers(&entry.columns);
            if !entry.values.is_empty() {
                printer.push(" AS ");
                printer.tuple(&entry.values);
            }
        });
        self.push("))");
    }

    // --- MATCH_RECOGNIZE ---

    fn match_recognize(&mut self, spec: &MatchRecognize) {
        self.table_operand(&spec.input);
        self.push(" MATCH_RECOGNIZE(");
        let start = self.text.len();
        if !spec.partition_by.is_empty() {
            self.push("\nPARTITION BY ");
            self.exprs(&spec.partition_by);
        }
        if !spec.order_by.is_empty() {
            self.push("\nORDER BY ");
            self.list(&spec.order_by, ", ", Self::order_item);
        }
        if !spec.measures.is_empty() {
            self.push("\nMEASURES ");
            self.list(&spec.measures, ", ", |printer, measure| {
                printer.expr(&measure.expr);
                printer.push(" AS ");
                printer.identifier(&measure.name);
            });
        }
        self.push(match spec.rows_per_match {
            Some(RowsPerMatch::One) => "\nONE ROW PER MATCH",
            Some(RowsPerMatch::All) => "\nALL ROWS PER MATCH",
            Some(RowsPerMatch::AllShowEmpty) => "\nALL ROWS PER MATCH SHOW EMPTY MATCHES",
            Some(RowsPerMatch::AllOmitEmpty) => "\nALL ROWS PER MATCH OMIT EMPTY MATCHES",
            Some(RowsPerMatch::AllWithUnmatched) => "\nALL ROWS PER MATCH WITH UNMATCHED ROWS",
            None => "",
        });
        self.after_match(spec.after_match.as_ref());
        self.push(if spec.strict_start {
            "\nPATTERN (^ "
        } else {
            "\nPATTERN ("
        });
        self.pattern(&spec.pattern, PatternPlace::Alternatives);
        self.push(if spec.strict_end { " $)" } else { ")" });
        self.optional(" WITHIN ", spec.within.as_ref(), Self::expr);
        if !spec.subsets.is_empty() {
            self.push("\nSUBSET ");
            self.list(&spec.subsets, ", ", |printer, subset| {
                printer.identifier(&subset.name);
                printer.push(" = ");
                printer.identifiers(&subset.members);
            });
        }
        self.push("\nDEFINE ");
        self.list(&spec.definitions, ", ", |printer, definition| {
            printer.identifier(&definition.name);
            printer.push(" AS ");
            printer.expr(&definition.condition);
        });
        if self.text[start..].starts_with('\n') {
            self.text.remove(start);
        }
        self.push(")");
    }

    fn after_match(&mut self, skip: Option<&AfterMatchSkip>) {
        let (text, variable): (&str, Option<&Ident>) = match skip {
            Some(AfterMatchSkip::PastLastRow) => ("PAST LAST ROW", None),
            Some(AfterMatchSkip::ToNextRow) => ("TO NEXT ROW", None),
            Some(AfterMatchSkip::ToFirst(variable)) => ("TO FIRST ", Some(variable)),
            Some(AfterMatchSkip::ToLast(variable)) => ("TO LAST ", Some(variable)),
            None => return,
        };
        let _ = write!(self.text, "\nAFTER MATCH SKIP {text}");
        if let Some(variable) = variable {
            self.identifier(variable);
        }
    }

    fn pattern(&mut self, pattern: &MatchPattern, place: PatternPlace) {
        let needs_parentheses = match pattern {
            MatchPattern::Alternatives(_) => place > PatternPlace::Alternatives,
            MatchPattern::Sequence(_) => place > PatternPlace::Sequence,
            MatchPattern::Quantified { .. } => place > PatternPlace::Step,
            _ => false,
        };
        if needs_parentheses {
            return self.in_parentheses(|printer| printer.pattern(pattern, PatternPlace::Alternatives));
        }
        match pattern {
            MatchPattern::Variable(name) => self.identifier(name),
            MatchPattern::Sequence(steps) => {
                self.list(steps, " ", |printer, step| {
                    printer.pattern(step, PatternPlace::Step)
                });
            }
            MatchPattern::Alternatives(choices) => {
                self.list(choices, " | ", |printer, choice| {
                    printer.pattern(choice, PatternPlace::Sequence)
                });
            }
            MatchPattern::Permute(members) => {
                self.push("PERMUTE");
                self.in_parentheses(|printer| {
                    printer.list(members, ", ", |printer, member| {
                        printer.pattern(member, PatternPlace::Alternatives)
                    });
                });
            }
            MatchPattern::Excluded(inner) => {
                self.push("{- ");
                self.pattern(inner, PatternPlace::Alternatives);
                self.push(" -}");
            }
            MatchPattern::Quantified { pattern, quantifier } => {
                self.pattern(pattern, PatternPlace::Quantified);
                let _ = match (quantifier.min, quantifier.max) {
                    (0, None) => write!(self.text, "*"),
                    (1, None) => write!(self.text, "+"),
                    (0, Some(1)) => write!(self.text, "?"),
                    (min, None) => write!(self.text, "{{{min},}}"),
                    (min, Some(max)) if min == max => write!(self.text, "{{{min}}}"),
                    (min, Some(max)) => write!(self.text, "{{{min},{max}}}"),
                };
                self.push(if quantifier.reluctant { "?" } else { "" });
            }
        }
    }
}

/// Where a part of a pattern stands, from loose to tight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PatternPlace {
    Alternatives,
    Sequence,
    Step,
    Quantified,
}
