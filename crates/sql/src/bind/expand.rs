//! A view's query with every name written out, from the record of what the names meant.
//!
//! Tables get catalog, database and an alias, columns their table, stars their columns. Columns that have no table to
//! name them (those of sub-queries without an alias) stay as they are.

use super::names::{Meaning, NameRecord};
use crate::parse::ast::{
    ArgumentValue, CaseBranch, Expr, ExprKind, FrameBound, FunctionCall, GroupingElement, Ident, Join,
    JoinCondition, JsonFunction, ObjectName, OrderItem, OverClause, QuantifiedSource, Query, QueryBody,
    Select, SelectItem, SpecialFunction, TableAlias, TableArgumentSource, TableRef, TableRefKind, WindowSpec,
};
use crate::parse::span::Span;

/// The query with full names of tables, qualified columns and written-out stars.
pub fn expand(query: &Query, names: &NameRecord) -> Query {
    let mut expanded = query.clone();
    Expander { names }.query(&mut expanded);
    expanded
}

struct Expander<'n> {
    names: &'n NameRecord,
}

fn object_name(parts: impl IntoIterator<Item = String>, span: Span) -> ObjectName {
    ObjectName {
        parts: parts.into_iter().map(|value| Ident { value, span }).collect(),
        span,
    }
}

impl Expander<'_> {
    fn query(&self, query: &mut Query) {
        for item in query.with.iter_mut().flat_map(|with| &mut with.items) {
            self.query(&mut item.query);
        }
        self.body(&mut query.body);
        self.orders(&mut query.order_by);
    }

    fn body(&self, body: &mut QueryBody) {
        match body {
            QueryBody::Select(select) => self.select(select),
            QueryBody::Values(values) => {
                values
                    .rows
                    .iter_mut()
                    .flat_map(|row| &mut row.values)
                    .for_each(|value| self.expr(value));
            }
            QueryBody::Table(table) => {
                if let Some(Meaning::Table(id)) = self.names.at(table.name.span) {
                    table.name = object_name([id.catalog, id.database, id.name], table.name.span);
                }
            }
            QueryBody::SetOperation(operation) => {
                self.body(&mut operation.left);
                self.body(&mut operation.right);
            }
            QueryBody::Nested(query) => self.query(query),
        }
    }

    fn select(&self, select: &mut Select) {
        let items = std::mem::take(&mut select.items);
        for item in items {
            match item {
                SelectItem::Expr { mut expr, alias } => {
                    self.expr(&mut expr);
                    select.items.push(SelectItem::Expr { expr, alias });
                }
                SelectItem::Wildcard { span } | SelectItem::QualifiedWildcard { span, .. } => {
                    self.star(item, span, &mut select.items);
                }
            }
        }
        if let Some(from) = &mut select.from {
            self.table(from);
        }
        self.maybe(&mut select.selection);
        for element in select.group_by.iter_mut().flat_map(|group| &mut group.elements) {
            self.grouping(element);
        }
        self.maybe(&mut select.having);
        select
            .windows
            .iter_mut()
            .for_each(|window| self.window(&mut window.window));
        self.maybe(&mut select.qualify);
    }

    fn star(&self, item: SelectItem, span: Span, items: &mut Vec<SelectItem>) {
        let Some(Meaning::Star(columns)) = self.names.at(span) else {
            items.push(item);
            return;
        };
        for column in columns {
            let expr = Expr::new(ExprKind::Identifier(object_name(column, span)), span);
            items.push(SelectItem::Expr { expr, alias: None });
        }
    }

    fn table(&self, table: &mut TableRef) {
        match &mut table.kind {
            TableRefKind::Table(named) => {
                named.system_time.iter_mut().for_each(|time| self.expr(time));
                let span = named.name.span;
                if let Some(Meaning::Table(id)) = self.names.at(span) {
                    let last = named.name.last().cloned();
                    named.name = object_name([id.catalog, id.database, id.name], span);
                    if table.alias.is_none() {
                        table.alias = last.map(|name| TableAlias {
                            name,
                            columns: Vec::new(),
                            span,
                        });
                    }
                }
            }
            TableRefKind::Subquery { query, .. } => self.query(query),
            TableRefKind::Function { call, .. } => self.call(call),
            TableRefKind::Unnest { collections, .. } => {
                collections.iter_mut().for_each(|expr| self.expr(expr))
            }
            TableRefKind::Join(join) => self.join(join),
            TableRefKind::MatchRecognize(pattern) => self.table(&mut pattern.input),
            TableRefKind::Pivot(pivot) => self.table(&mut pivot.input),
            TableRefKind::Unpivot(unpivot) => self.table(&mut unpivot.input),
        }
    }

    fn join(&self, join: &mut Join) {
        self.table(&mut join.left);
        self.table(&mut join.right);
        match &mut join.condition {
            JoinCondition::On(on) => self.expr(on),
            JoinCondition::None | JoinCondition::Using(_) => {}
        }
    }

    fn grouping(&self, element: &mut GroupingElement) {
        match element {
            GroupingElement::Expr(expr) => self.expr(expr),
            GroupingElement::Set { exprs, .. } => exprs.iter_mut().for_each(|expr| self.expr(expr)),
            GroupingElement::GroupingSets { elements, .. } => {
                elements.iter_mut().for_each(|element| self.grouping(element));
            }
            GroupingElement::Rollup { units, .. } | GroupingElement::Cube { units, .. } => {
                units.iter_mut().flatten().for_each(|expr| self.expr(expr));
            }
        }
    }

    fn orders(&self, items: &mut [OrderItem]) {
        items.iter_mut().for_each(|item| self.expr(&mut item.expr));
    }

    fn maybe(&self, expr: &mut Option<Expr>) {
        expr.iter_mut().for_each(|expr| self.expr(expr));
    }

    fn window(&self, window: &mut WindowSpec) {
        window.partition_by.iter_mut().for_each(|expr| self.expr(expr));
        self.orders(&mut window.order_by);
        for bound in window
            .frame
            .iter_mut()
            .flat_map(|frame| std::iter::once(&mut frame.start).chain(&mut frame.end))
        {
            if let FrameBound::Preceding(expr) | FrameBound::Following(expr) = bound {
                self.expr(expr);
            }
        }
    }

    fn over(&self, over: &mut Option<OverClause>) {
        if let Some(OverClause::Window(window)) = over {
            self.window(window);
        }
    }

    fn call(&self, call: &mut FunctionCall) {
        for argument in call.arguments.iter_mut().flatten() {
            match &mut argument.value {
                ArgumentValue::Expr(expr) => self.expr(expr),
                ArgumentValue::Table(table) => {
                    match &mut table.source {
                        TableArgumentSource::Table(name) => {
                            if let Some(Meaning::Table(id)) = self.names.at(name.span) {
                                *name = object_name([id.catalog, id.database, id.name], name.span);
                            }
                        }
                        TableArgumentSource::Query(query) => self.query(query),
                    }
                    table.partition_by.iter_mut().for_each(|expr| self.expr(expr));
                    self.orders(&mut table.order_by);
                }
                _ => {}
            }
        }
        self.orders(&mut call.order_by);
        self.orders(&mut call.within_group);
        self.maybe(&mut call.filter);
        self.over(&mut call.over);
    }

    fn expr(&self, expr: &mut Expr) {
        let span = expr.span;
        match &mut expr.kind {
            ExprKind::Identifier(name) => {
                if let Some(Meaning::Column(full)) = self.names.at(name.span) {
                    *name = object_name(full, span);
                }
            }
            ExprKind::Field { base, .. } => self.expr(base),
            ExprKind::Element { base, index } => [base, index].into_iter().for_each(|e| self.expr(e)),
            ExprKind::Unary { operand, .. }
            | ExprKind::Is { operand, .. }
            | ExprKind::Cast { operand, .. } => {
                self.expr(operand);
            }
            ExprKind::Binary { left, right, .. } | ExprKind::DatetimeDifference { left, right, .. } => {
                [left, right].into_iter().for_each(|e| self.expr(e))
            }
            ExprKind::Between {
                operand, low, high, ..
            } => {
                [operand, low, high].into_iter().for_each(|e| self.expr(e));
            }
            ExprKind::Like {
                operand,
                pattern,
                escape,
                ..
            } => {
                [operand, pattern].into_iter().for_each(|e| self.expr(e));
                escape.iter_mut().for_each(|e| self.expr(e));
            }
            ExprKind::InList { operand, list, .. } => {
                self.expr(operand);
                list.iter_mut().for_each(|e| self.expr(e));
            }
            ExprKind::InSubquery { operand, query, .. } => {
                self.expr(operand);
                self.query(query);
            }
            ExprKind::Quantified { operand, source, .. } => {
                self.expr(operand);
                match source {
                    QuantifiedSource::Query(query) => self.query(query),
                    QuantifiedSource::List(list) => list.iter_mut().for_each(|e| self.expr(e)),
                }
            }
            ExprKind::Exists(query)
            | ExprKind::Unique(query)
            | ExprKind::Subquery(query)
            | ExprKind::ArrayQuery(query)
            | ExprKind::MapQuery(query)
            | ExprKind::MultisetQuery(query) => self.query(query),
            ExprKind::Case {
                operand,
                branches,
                otherwise,
            } => {
                operand
                    .iter_mut()
                    .chain(otherwise.iter_mut())
                    .for_each(|e| self.expr(e));
                for CaseBranch { when, then, .. } in branches {
                    when.iter_mut().for_each(|e| self.expr(e));
                    self.expr(then);
                }
            }
            ExprKind::Row { fields: list, .. }
            | ExprKind::Array(list)
            | ExprKind::Map(list)
            | ExprKind::Multiset(list) => list.iter_mut().for_each(|e| self.expr(e)),
            ExprKind::Interval { value, .. } => self.expr(value),
            ExprKind::Function(call) => self.call(call),
            ExprKind::Special(special) => self.special(special),
            ExprKind::Json(json) => self.json(json),
            ExprKind::MatchModifier { call, .. } => self.expr(call),
            ExprKind::Literal(_) | ExprKind::Sequence { .. } | ExprKind::Parameter => {}
        }
    }

    fn special(&self, special: &mut SpecialFunction) {
        match special {
            SpecialFunction::Extract { operand, .. }
            | SpecialFunction::Floor { operand, .. }
            | SpecialFunction::Ceil { operand, .. }
            | SpecialFunction::Using { operand, .. } => self.expr(operand),
            SpecialFunction::TimestampAdd { count, operand, .. } => {
                [count, operand].into_iter().for_each(|e| self.expr(e));
            }
            SpecialFunction::TimestampDiff { start, end, .. } => {
                [start, end].into_iter().for_each(|e| self.expr(e));
            }
            SpecialFunction::Position {
                needle,
                haystack,
                from,
            } => {
                [needle, haystack].into_iter().for_each(|e| self.expr(e));
                self.maybe(from);
            }
            SpecialFunction::Trim {
                characters, operand, ..
            } => {
                self.maybe(characters);
                self.expr(operand);
            }
            SpecialFunction::Substring {
                operand,
                from,
                length,
            } => {
                [operand, from].into_iter().for_each(|e| self.expr(e));
                self.maybe(length);
            }
            SpecialFunction::Overlay {
                operand,
                replacement,
                from,
                length,
            } => {
                [operand, replacement, from]
                    .into_iter()
                    .for_each(|e| self.expr(e));
                self.maybe(length);
            }
        }
    }

    fn json(&self, json: &mut JsonFunction) {
        match json {
            JsonFunction::Exists { input, path, .. } | JsonFunction::Value { input, path, .. } => {
                [input, path].into_iter().for_each(|e| self.expr(e));
            }
            JsonFunction::Query(query) => [&mut query.input, &mut query.path]
                .into_iter()
                .for_each(|e| self.expr(e)),
            JsonFunction::Object { entries, .. } => {
                for entry in entries {
                    self.expr(&mut entry.key);
                    self.expr(&mut entry.value.value);
                }
            }
            JsonFunction::ObjectAgg {
                entry, filter, over, ..
            } => {
                self.expr(&mut entry.key);
                self.expr(&mut entry.value.value);
                self.maybe(filter);
                self.over(over);
            }
            JsonFunction::Array { elements, .. } => {
                elements
                    .iter_mut()
                    .for_each(|element| self.expr(&mut element.value));
            }
            JsonFunction::ArrayAgg {
                element,
                order_by,
                filter,
                over,
                ..
            } => {
                self.expr(&mut element.value);
                self.orders(order_by);
                self.maybe(filter);
                self.over(over);
            }
        }
    }
}
