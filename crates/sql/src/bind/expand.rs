//! A view's query with every name written out, from the record of what the names meant.
//!
//! Tables get catalog, database and an alias, columns their table, stars their columns. Columns that have no table to
//! name them (those of sub-queries without an alias) stay as they are.

use super::names::{Meaning, NameRecord};
use crate::parse::ast::visit::{
    VisitMut, walk_expr, walk_query, walk_select, walk_table_argument, walk_table_ref,
};
use crate::parse::ast::{
    Expr, ExprKind, Ident, ObjectName, Query, QueryBody, Select, SelectItem, TableAlias, TableArgument,
    TableArgumentSource, TableRef, TableRefKind,
};
use crate::parse::span::Span;

/// The query with full names of tables, qualified columns and written-out stars.
pub fn expand(query: &Query, names: &NameRecord) -> Query {
    let mut expanded = query.clone();
    Expander { names }.visit_query(&mut expanded);
    expanded
}

struct Expander<'n> {
    names: &'n NameRecord,
}

fn object_name(parts: impl IntoIterator<Item = String>, span: Span) -> ObjectName {
    let parts = parts.into_iter().map(|value| Ident { value, span }).collect();
    ObjectName { parts, span }
}

impl Expander<'_> {
    /// Expands a table's name. Returns whether there was anything to expand.
    fn table_name(&self, name: &mut ObjectName) -> bool {
        let Some(Meaning::Table(id)) = self.names.at(name.span) else {
            return false;
        };
        *name = object_name([id.catalog, id.database, id.name], name.span);
        true
    }

    fn body(&self, body: &mut QueryBody) {
        match body {
            QueryBody::Table(table) => {
                self.table_name(&mut table.name);
            }
            QueryBody::SetOperation(operation) => {
                self.body(&mut operation.left);
                self.body(&mut operation.right);
            }
            QueryBody::Select(_) | QueryBody::Values(_) | QueryBody::Nested(_) => {}
        }
    }

    fn star(&self, item: SelectItem, span: Span, items: &mut Vec<SelectItem>) {
        let Some(Meaning::Star(columns)) = self.names.at(span) else {
            items.push(item);
            return;
        };
        for column in columns {
            let is_renamed = column.full.last() != Some(&column.output);
            let alias = is_renamed.then_some(Ident {
                value: column.output,
                span,
            });
            let expr = Expr::new(ExprKind::Identifier(object_name(column.full, span)), span);
            items.push(SelectItem::Expr { expr, alias });
        }
    }
}

impl VisitMut for Expander<'_> {
    fn visit_query(&mut self, query: &mut Query) {
        self.body(&mut query.body);
        walk_query(self, query);
    }

    fn visit_select(&mut self, select: &mut Select) {
        // Visits the items before stars are replaced by names, which need no second visit.
        walk_select(self, select);
        for item in std::mem::take(&mut select.items) {
            match item {
                SelectItem::Wildcard { span } | SelectItem::QualifiedWildcard { span, .. } => {
                    self.star(item, span, &mut select.items);
                }
                SelectItem::Expr { .. } => select.items.push(item),
            }
        }
    }

    fn visit_table_ref(&mut self, table: &mut TableRef) {
        if let TableRefKind::Table(named) = &mut table.kind {
            let last = named.name.last().cloned();
            let span = named.name.span;
            // A name that is no table's is that of a WITH query; it becomes its own alias.
            self.table_name(&mut named.name);
            if table.alias.is_none() {
                let columns = Vec::new();
                table.alias = last.map(|name| TableAlias { name, columns, span });
            }
        }
        walk_table_ref(self, table);
    }

    fn visit_table_argument(&mut self, table: &mut TableArgument) {
        if let TableArgumentSource::Table(name) = &mut table.source {
            self.table_name(name);
        }
        walk_table_argument(self, table);
    }

    fn visit_expr(&mut self, expr: &mut Expr) {
        if let ExprKind::Identifier(name) = &mut expr.kind {
            if let Some(Meaning::Column(full)) = self.names.at(name.span) {
                *name = object_name(full, expr.span);
            }
            return;
        }
        walk_expr(self, expr);
    }
}
