//! Walking a syntax tree in order to change it.
//!
//! A visitor overrides the methods of the nodes that it cares for and calls the function `walk_…` of the same node to
//! visit its children. Only queries and what they hold are walked: statements have one query or a few
//! expressions, which their user knows how to find.

use super::{
    ArgumentValue, Expr, ExprKind, FrameBound, FunctionCall, GroupingElement, JoinCondition, JsonElement,
    JsonFunction, JsonValueBehavior, OrderItem, OverClause, QuantifiedSource, Query, QueryBody, Select,
    SelectItem, SpecialFunction, TableArgument, TableArgumentSource, TableRef, TableRefKind, WindowSpec,
};

/// Something that changes a tree in place.
pub trait VisitMut {
    fn visit_query(&mut self, query: &mut Query) {
        walk_query(self, query);
    }

    fn visit_select(&mut self, select: &mut Select) {
        walk_select(self, select);
    }

    fn visit_table_ref(&mut self, table: &mut TableRef) {
        walk_table_ref(self, table);
    }

    fn visit_table_argument(&mut self, table: &mut TableArgument) {
        walk_table_argument(self, table);
    }

    fn visit_expr(&mut self, expr: &mut Expr) {
        walk_expr(self, expr);
    }
}

/// Visits what a query holds.
pub fn walk_query<V: VisitMut + ?Sized>(visitor: &mut V, query: &mut Query) {
    for item in query.with.iter_mut().flat_map(|with| &mut with.items) {
        visitor.visit_query(&mut item.query);
    }
    walk_body(visitor, &mut query.body);
    walk_order(visitor, &mut query.order_by);
    walk_each(visitor, query.offset.iter_mut().chain(&mut query.limit));
}

fn walk_body<V: VisitMut + ?Sized>(visitor: &mut V, body: &mut QueryBody) {
    match body {
        QueryBody::Select(select) => visitor.visit_select(select),
        QueryBody::Values(values) => {
            walk_each(visitor, values.rows.iter_mut().flat_map(|row| &mut row.values))
        }
        QueryBody::Table(_) => {}
        QueryBody::SetOperation(operation) => {
            walk_body(visitor, &mut operation.left);
            walk_body(visitor, &mut operation.right);
        }
        QueryBody::Nested(query) => visitor.visit_query(query),
    }
}

/// Visits what a SELECT holds.
pub fn walk_select<V: VisitMut + ?Sized>(visitor: &mut V, select: &mut Select) {
    for item in &mut select.items {
        if let SelectItem::Expr { expr, .. } = item {
            visitor.visit_expr(expr);
        }
    }
    if let Some(from) = &mut select.from {
        visitor.visit_table_ref(from);
    }
    walk_each(visitor, &mut select.selection);
    for element in select
        .group_by
        .iter_mut()
        .flat_map(|group_by| &mut group_by.elements)
    {
        walk_grouping(visitor, element);
    }
    walk_each(visitor, &mut select.having);
    for window in &mut select.windows {
        walk_window(visitor, &mut window.window);
    }
    walk_each(visitor, &mut select.qualify);
}

fn walk_grouping<V: VisitMut + ?Sized>(visitor: &mut V, element: &mut GroupingElement) {
    match element {
        GroupingElement::Expr(expr) => visitor.visit_expr(expr),
        GroupingElement::Set { exprs, .. } => walk_each(visitor, exprs),
        GroupingElement::GroupingSets { elements, .. } => {
            elements
                .iter_mut()
                .for_each(|element| walk_grouping(visitor, element));
        }
        GroupingElement::Rollup { units, .. } | GroupingElement::Cube { units, .. } => {
            walk_each(visitor, units.iter_mut().flatten());
        }
    }
}

/// Visits what an element of FROM holds.
pub fn walk_table_ref<V: VisitMut + ?Sized>(visitor: &mut V, table: &mut TableRef) {
    match &mut table.kind {
        TableRefKind::Table(named) => walk_each(visitor, &mut named.system_time),
        TableRefKind::Subquery { query, .. } => visitor.visit_query(query),
        TableRefKind::Function { call, .. } => walk_call(visitor, call),
        TableRefKind::Unnest { collections, .. } => walk_each(visitor, collections),
        TableRefKind::Join(join) => {
            visitor.visit_table_ref(&mut join.left);
            visitor.visit_table_ref(&mut join.right);
            if let JoinCondition::On(condition) = &mut join.condition {
                visitor.visit_expr(condition);
            }
        }
        TableRefKind::MatchRecognize(spec) => {
            visitor.visit_table_ref(&mut spec.input);
            walk_each(visitor, &mut spec.partition_by);
            walk_order(visitor, &mut spec.order_by);
            walk_each(visitor, spec.measures.iter_mut().map(|measure| &mut measure.expr));
            walk_each(visitor, &mut spec.within);
            walk_each(
                visitor,
                spec.definitions
                    .iter_mut()
                    .map(|definition| &mut definition.condition),
            );
        }
        TableRefKind::Pivot(pivot) => {
            visitor.visit_table_ref(&mut pivot.input);
            walk_each(
                visitor,
                pivot.aggregates.iter_mut().map(|aggregate| &mut aggregate.expr),
            );
            walk_each(
                visitor,
                pivot.values.iter_mut().flat_map(|value| &mut value.values),
            );
        }
        TableRefKind::Unpivot(unpivot) => {
            visitor.visit_table_ref(&mut unpivot.input);
            walk_each(
                visitor,
                unpivot.columns.iter_mut().flat_map(|columns| &mut columns.values),
            );
        }
    }
}

/// Visits what a table argument of a function holds.
pub fn walk_table_argument<V: VisitMut + ?Sized>(visitor: &mut V, table: &mut TableArgument) {
    if let TableArgumentSource::Query(query) = &mut table.source {
        visitor.visit_query(query);
    }
    walk_each(visitor, &mut table.partition_by);
    walk_order(visitor, &mut table.order_by);
}

/// Visits the operands of an expression.
pub fn walk_expr<V: VisitMut + ?Sized>(visitor: &mut V, expr: &mut Expr) {
    match &mut expr.kind {
        ExprKind::Literal(_) | ExprKind::Identifier(_) | ExprKind::Sequence { .. } | ExprKind::Parameter => {}
        ExprKind::Field { base: operand, .. }
        | ExprKind::Unary { operand, .. }
        | ExprKind::Is { operand, .. }
        | ExprKind::Cast { operand, .. }
        | ExprKind::Interval { value: operand, .. }
        | ExprKind::MatchModifier { call: operand, .. } => visitor.visit_expr(operand),
        ExprKind::Element {
            base: left,
            index: right,
        }
        | ExprKind::Binary { left, right, .. }
        | ExprKind::DatetimeDifference { left, right, .. } => {
            visitor.visit_expr(left);
            visitor.visit_expr(right);
        }
        ExprKind::Between { .. }
        | ExprKind::Like { .. }
        | ExprKind::InList { .. }
        | ExprKind::InSubquery { .. }
        | ExprKind::Quantified { .. } => walk_predicate(visitor, &mut expr.kind),
        ExprKind::Exists(query)
        | ExprKind::Unique(query)
        | ExprKind::Subquery(query)
        | ExprKind::ArrayQuery(query)
        | ExprKind::MapQuery(query)
        | ExprKind::MultisetQuery(query) => visitor.visit_query(query),
        ExprKind::Case {
            operand,
            branches,
            otherwise,
        } => {
            operand.iter_mut().for_each(|operand| visitor.visit_expr(operand));
            for branch in branches {
                walk_each(visitor, &mut branch.when);
                visitor.visit_expr(&mut branch.then);
            }
            otherwise
                .iter_mut()
                .for_each(|otherwise| visitor.visit_expr(otherwise));
        }
        ExprKind::Row { fields: elements, .. }
        | ExprKind::Array(elements)
        | ExprKind::Map(elements)
        | ExprKind::Multiset(elements) => walk_each(visitor, elements),
        ExprKind::Function(call) => walk_call(visitor, call),
        ExprKind::Special(function) => walk_special(visitor, function),
        ExprKind::Json(function) => walk_json(visitor, function),
    }
}

fn walk_predicate<V: VisitMut + ?Sized>(visitor: &mut V, kind: &mut ExprKind) {
    match kind {
        ExprKind::Between {
            operand, low, high, ..
        } => {
            [operand, low, high]
                .into_iter()
                .for_each(|part| visitor.visit_expr(part));
        }
        ExprKind::Like {
            operand,
            pattern,
            escape,
            ..
        } => {
            [operand, pattern]
                .into_iter()
                .chain(escape)
                .for_each(|part| visitor.visit_expr(part));
        }
        ExprKind::InList { operand, list, .. } => {
            visitor.visit_expr(operand);
            walk_each(visitor, list);
        }
        ExprKind::InSubquery { operand, query, .. } => {
            visitor.visit_expr(operand);
            visitor.visit_query(query);
        }
        ExprKind::Quantified { operand, source, .. } => {
            visitor.visit_expr(operand);
            match source {
                QuantifiedSource::Query(query) => visitor.visit_query(query),
                QuantifiedSource::List(list) => walk_each(visitor, list),
            }
        }
        _ => {}
    }
}

fn walk_each<'a, V: VisitMut + ?Sized>(visitor: &mut V, exprs: impl IntoIterator<Item = &'a mut Expr>) {
    exprs.into_iter().for_each(|expr| visitor.visit_expr(expr));
}

fn walk_order<V: VisitMut + ?Sized>(visitor: &mut V, items: &mut [OrderItem]) {
    walk_each(visitor, items.iter_mut().map(|item| &mut item.expr));
}

fn walk_window<V: VisitMut + ?Sized>(visitor: &mut V, window: &mut WindowSpec) {
    walk_each(visitor, &mut window.partition_by);
    walk_order(visitor, &mut window.order_by);
    let Some(frame) = &mut window.frame else { return };
    for bound in [&mut frame.start].into_iter().chain(&mut frame.end) {
        if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
            visitor.visit_expr(offset);
        }
    }
}

fn walk_over<V: VisitMut + ?Sized>(visitor: &mut V, over: &mut Option<OverClause>) {
    if let Some(OverClause::Window(window)) = over {
        walk_window(visitor, window);
    }
}

fn walk_call<V: VisitMut + ?Sized>(visitor: &mut V, call: &mut FunctionCall) {
    for argument in call.arguments.iter_mut().flatten() {
        match &mut argument.value {
            ArgumentValue::Expr(expr) => visitor.visit_expr(expr),
            ArgumentValue::Table(table) => visitor.visit_table_argument(table),
            ArgumentValue::Star
            | ArgumentValue::Default
            | ArgumentValue::Model(_)
            | ArgumentValue::Descriptor(_) => {}
        }
    }
    walk_order(visitor, &mut call.order_by);
    walk_each(visitor, &mut call.within_distinct);
    walk_order(visitor, &mut call.within_group);
    walk_each(visitor, &mut call.filter);
    walk_over(visitor, &mut call.over);
}

fn walk_special<V: VisitMut + ?Sized>(visitor: &mut V, function: &mut SpecialFunction) {
    match function {
        SpecialFunction::Extract { operand, .. }
        | SpecialFunction::Floor { operand, .. }
        | SpecialFunction::Ceil { operand, .. }
        | SpecialFunction::Using { operand, .. } => visitor.visit_expr(operand),
        SpecialFunction::TimestampAdd {
            count: first,
            operand: second,
            ..
        }
        | SpecialFunction::TimestampDiff {
            start: first,
            end: second,
            ..
        } => walk_each(visitor, [first, second]),
        SpecialFunction::Position {
            needle,
            haystack,
            from,
        } => {
            walk_each(visitor, [needle, haystack].into_iter().chain(from));
        }
        SpecialFunction::Trim {
            characters, operand, ..
        } => {
            walk_each(visitor, characters.iter_mut().chain([operand]));
        }
        SpecialFunction::Substring {
            operand,
            from,
            length,
        } => {
            walk_each(visitor, [operand, from].into_iter().chain(length));
        }
        SpecialFunction::Overlay {
            operand,
            replacement,
            from,
            length,
        } => {
            walk_each(visitor, [operand, replacement, from].into_iter().chain(length));
        }
    }
}

fn walk_json<V: VisitMut + ?Sized>(visitor: &mut V, function: &mut JsonFunction) {
    let value = |element: &mut JsonElement, visitor: &mut V| visitor.visit_expr(&mut element.value);
    match function {
        JsonFunction::Exists { input, path, .. } => walk_each(visitor, [input, path]),
        JsonFunction::Value {
            input,
            path,
            on_empty,
            on_error,
            ..
        } => {
            walk_each(visitor, [input, path]);
            for behavior in on_empty.iter_mut().chain(on_error) {
                if let JsonValueBehavior::Default(default) = behavior {
                    visitor.visit_expr(default);
                }
            }
        }
        JsonFunction::Query(query) => walk_each(visitor, [&mut query.input, &mut query.path]),
        JsonFunction::Object { entries, .. } => {
            for entry in entries {
                visitor.visit_expr(&mut entry.key);
                value(&mut entry.value, visitor);
            }
        }
        JsonFunction::ObjectAgg {
            entry, filter, over, ..
        } => {
            visitor.visit_expr(&mut entry.key);
            value(&mut entry.value, visitor);
            walk_each(visitor, filter);
            walk_over(visitor, over);
        }
        JsonFunction::Array { elements, .. } => {
            elements.iter_mut().for_each(|element| value(element, visitor))
        }
        JsonFunction::ArrayAgg {
            element,
            order_by,
            filter,
            over,
            ..
        } => {
            value(element, visitor);
            walk_order(visitor, order_by);
            walk_each(visitor, filter);
            walk_over(visitor, over);
        }
    }
}
