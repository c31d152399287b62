//! Queries, a clause on each line.

use super::Printer;
use crate::parse::ast::{
    GroupBy, GroupingElement, Hint, HintArguments, NullsOrder, OrderItem, Query, QueryBody, Select,
    SelectItem, SetOperation, SetOperator, Values, With,
};

/// Binding powers of set operations and of what needs no parentheses among them.
const UNION: u8 = 1;
const INTERSECT: u8 = 2;
const OPERAND: u8 = 3;

impl Printer {
    pub(super) fn query(&mut self, query: &Query) {
        if let Some(with) = &query.with {
            self.with(with);
        }
        self.query_body(&query.body, 0);
        if !query.order_by.is_empty() {
            self.push("\nORDER BY ");
            self.list(&query.order_by, ", ", Self::order_item);
        }
        if let Some(offset) = &query.offset {
            self.push("\nOFFSET ");
            self.expr(offset);
            self.push(" ROWS");
        }
        if let Some(limit) = &query.limit {
            self.push("\nFETCH NEXT ");
            self.expr(limit);
            self.push(" ROWS ONLY");
        }
    }

    fn with(&mut self, with: &With) {
        self.push(if with.recursive {
            "WITH RECURSIVE "
        } else {
            "WITH "
        });
        self.list(&with.items, ", ", |printer, item| {
            printer.identifier(&item.name);
            if !item.columns.is_empty() {
                printer.push(" ");
                printer.identifiers(&item.columns);
            }
            printer.push(" AS ");
            printer.in_parentheses(|printer| printer.query(&item.query));
        });
        self.push(" ");
    }

    fn query_body(&mut self, body: &QueryBody, power: u8) {
        if body_power(body) < power {
            self.in_parentheses(|printer| printer.query_body(body, 0));
            return;
        }
        match body {
            QueryBody::Select(select) => self.select(select),
            QueryBody::Values(values) => self.values(values),
            QueryBody::Table(table) => {
                self.push("TABLE ");
                self.name(&table.name);
            }
            QueryBody::Nested(query) => self.in_parentheses(|printer| printer.query(query)),
            QueryBody::SetOperation(operation) => self.set_operations(operation),
        }
    }

    /// A chain of set operations, its left spine in a loop.
    fn set_operations(&mut self, operation: &SetOperation) {
        let mut chain = vec![operation];
        while let Some(QueryBody::SetOperation(left)) = chain.last().map(|operation| &operation.left) {
            let is_looser = chain
                .last()
                .is_some_and(|operation| operator_power(left.operator) < operator_power(operation.operator));
            if is_looser {
                break;
            }
            chain.push(left);
        }
        for (index, operation) in chain.iter().rev().enumerate() {
            let power = operator_power(operation.operator);
            if index == 0 {
                self.query_body(&operation.left, power);
            }
            self.push(match operation.operator {
                SetOperator::Union => "\nUNION",
                SetOperator::Intersect => "\nINTERSECT",
                SetOperator::Except => "\nEXCEPT",
            });
            self.push(if operation.all { " ALL\n" } else { "\n" });
            self.query_body(&operation.right, power + 1);
        }
    }

    fn values(&mut self, values: &Values) {
        self.push("VALUES ");
        self.list(&values.rows, ",\n", |printer, row| {
            printer.push("ROW");
            printer.in_parentheses(|printer| printer.exprs(&row.values));
        });
    }

    fn select(&mut self, select: &Select) {
        self.push("SELECT ");
        self.hints(&select.hints);
        if let Some(quantifier) = select.quantifier {
            self.set_quantifier(quantifier);
        }
        self.list(&select.items, ", ", Self::select_item);
        self.optional("\nFROM ", select.from.as_ref(), Self::table_ref);
        self.optional("\nWHERE ", select.selection.as_ref(), Self::expr);
        self.optional("\nGROUP BY ", select.group_by.as_ref(), Self::group_by);
        self.optional("\nHAVING ", select.having.as_ref(), Self::expr);
        if !select.windows.is_empty() {
            self.push("\nWINDOW ");
            self.list(&select.windows, ", ", |printer, window| {
                printer.identifier(&window.name);
                printer.push(" AS ");
                printer.window(&window.window);
            });
        }
        self.optional("\nQUALIFY ", select.qualify.as_ref(), Self::expr);
    }

    fn select_item(&mut self, item: &SelectItem) {
        match item {
            SelectItem::Wildcard { .. } => self.push("*"),
            SelectItem::QualifiedWildcard { qualifier, .. } => {
                self.name(qualifier);
                self.push(".*");
            }
            SelectItem::Expr { expr, alias } => {
                self.expr(expr);
                self.optional(" AS ", alias.as_ref(), Self::identifier);
            }
        }
    }

    fn group_by(&mut self, group_by: &GroupBy) {
        if let Some(quantifier) = group_by.quantifier {
            self.set_quantifier(quantifier);
        }
        self.list(&group_by.elements, ", ", Self::grouping_element);
    }

    fn grouping_element(&mut self, element: &GroupingElement) {
        match element {
            GroupingElement::Expr(expr) => self.expr(expr),
            GroupingElement::Set { exprs, .. } => self.in_parentheses(|printer| printer.exprs(exprs)),
            GroupingElement::GroupingSets { elements, .. } => {
                self.push("GROUPING SETS");
                self.in_parentheses(|printer| printer.list(elements, ", ", Self::grouping_element));
            }
            GroupingElement::Rollup { units, .. } => self.grouping_units("ROLLUP", units),
            GroupingElement::Cube { units, .. } => self.grouping_units("CUBE", units),
        }
    }

    fn grouping_units(&mut self, word: &str, units: &[Vec<crate::parse::ast::Expr>]) {
        self.push(word);
        self.in_parentheses(|printer| {
            printer.list(units, ", ", |printer, unit| match unit.as_slice() {
                [only] => printer.expr(only),
                several => printer.in_parentheses(|printer| printer.exprs(several)),
            });
        });
    }

    pub(super) fn order_item(&mut self, item: &OrderItem) {
        self.expr(&item.expr);
        if item.descending {
            self.push(" DESC");
        }
        match item.nulls {
            Some(NullsOrder::First) => self.push(" NULLS FIRST"),
            Some(NullsOrder::Last) => self.push(" NULLS LAST"),
            None => {}
        }
    }

    /// `/*+ hint, … */ `, with a blank behind.
    pub(super) fn hints(&mut self, hints: &[Hint]) {
        if hints.is_empty() {
            return;
        }
        self.push("/*+ ");
        self.list(hints, ", ", |printer, hint| {
            printer.identifier(&hint.name);
            match &hint.arguments {
                HintArguments::None => {}
                HintArguments::List(values) => printer.in_parentheses(|printer| {
                    printer.list(values, ", ", |printer, value| printer.string(&value.value));
                }),
                HintArguments::Options(options) => printer.in_parentheses(|printer| printer.options(options)),
            }
        });
        self.push(" */ ");
    }
}

fn operator_power(operator: SetOperator) -> u8 {
    match operator {
        SetOperator::Union | SetOperator::Except => UNION,
        SetOperator::Intersect => INTERSECT,
    }
}

fn body_power(body: &QueryBody) -> u8 {
    match body {
        QueryBody::SetOperation(operation) => operator_power(operation.operator),
        _ => OPERAND,
    }
}
