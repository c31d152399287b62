//! The names that a clause can refer to: the tables of FROM with their columns, and the outer query.

use millstream_functions::typing::sql_type_name;
use millstream_plan::Expr;
use millstream_types::{ErrorCode, LogicalType, Schema, TypeKind};

use super::error::{SqlError, SqlResult};
use super::logical::placeholder;
use crate::parse::ast::{Ident, ObjectName};
use crate::parse::similar::nearest;
use crate::parse::span::Span;

/// The visible tables. Columns are positions in the clause's input.
#[derive(Clone, Debug, Default)]
pub struct Scope<'p> {
    pub relations: Vec<Relation>,
    /// Columns merged by USING or NATURAL. They come first in `*` and need no qualifier.
    pub merged: Vec<MergedColumn>,
    /// The outer query, for correlated subqueries.
    pub parent: Option<&'p Scope<'p>>,
}

/// A table of FROM.
#[derive(Clone, Debug)]
pub struct Relation {
    /// The alias, or the table's own name.
    pub name: Option<String>,
    /// Catalog, database and table, unless an alias hides them.
    pub qualified: Vec<String>,
    pub columns: Vec<ScopeColumn>,
}

#[derive(Clone, Debug)]
pub struct ScopeColumn {
    pub name: String,
    pub ty: LogicalType,
    pub index: usize,
}

/// A column merged from both sides of a join.
#[derive(Clone, Debug)]
pub struct MergedColumn {
    pub name: String,
    pub value: Expr,
    /// Positions that the column stands for.
    pub hides: Vec<usize>,
}

/// A resolved name: its value, and how many leading parts name the table and the column.
struct Found {
    expr: Expr,
    used: usize,
    /// The fully expanded name, for views: table and column.
    full: Vec<String>,
}

/// A column found by name.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub expr: Expr,
    /// Table alias, column and fields, from which a view's text expands the name.
    pub full: Vec<String>,
}

impl Relation {
    /// A table with all columns of `schema`, the first at position `offset`.
    pub fn new(name: Option<String>, qualified: Vec<String>, schema: &Schema, offset: usize) -> Self {
        let column = |(i, column): (usize, &millstream_types::Column)| ScopeColumn {
            name: column.name.clone(),
            ty: column.ty.clone(),
            index: offset + i,
        };
        Self {
            name,
            qualified,
            columns: schema.columns.iter().enumerate().map(column).collect(),
        }
    }

    /// Whether `parts` name this table: its alias, or a suffix of its full name.
    fn is_named(&self, parts: &[Ident]) -> bool {
        if let [only] = parts {
            return self.name.as_deref() == Some(only.value.as_str());
        }
        let full = &self.qualified;
        parts.len() <= full.len()
            && full[full.len() - parts.len()..]
                .iter()
                .eq(parts.iter().map(|part| &part.value))
    }
}

impl<'p> Scope<'p> {
    /// A scope with one anonymous table.
    pub fn of_schema(schema: &Schema) -> Scope<'static> {
        Scope {
            relations: vec![Relation::new(None, Vec::new(), schema, 0)],
            merged: Vec::new(),
            parent: None,
        }
    }

    /// Adds the tables of `other`, whose columns start at `offset` in the joined input.
    pub fn append(&mut self, other: Scope<'_>, offset: usize) {
        for mut relation in other.relations {
            relation
                .columns
                .iter_mut()
                .for_each(|column| column.index += offset);
            self.relations.push(relation);
        }
        for merged in other.merged {
            let value = merged.value.remap_columns(&|i| i + offset);
            let hides = merged.hides.into_iter().map(|i| i + offset).collect();
            self.merged.push(MergedColumn {
                name: merged.name,
                value,
                hides,
            });
        }
    }

    /// Sets the types of the columns to those of `schema` (an outer join makes columns nullable).
    pub fn retype(&mut self, schema: &Schema) {
        for column in self
            .relations
            .iter_mut()
            .flat_map(|relation| relation.columns.iter_mut())
        {
            if let Some(now) = schema.columns.get(column.index) {
                column.ty = now.ty.clone();
            }
        }
    }

    /// Resolves a dotted name to a column or field.
    pub fn resolve(&self, name: &ObjectName) -> SqlResult<Resolved> {
        if let Some(found) = self.find(name)? {
            return apply_fields(found, name, self);
        }
        let mut parent = self.parent;
        let mut depth = 1;
        while let Some(scope) = parent {
            if let Some(mut found) = scope.find(name)? {
                if depth > 1 {
                    let what = format!("column '{name}' of a query two levels further out");
                    return Err(SqlError::unsupported(name.span, what));
                }
                found.expr = found.expr.remap_columns(&|i| i | placeholder::OUTER);
                return apply_fields(found, name, scope);
            }
            parent = scope.parent;
            depth += 1;
        }
        Err(self.not_found(name))
    }

    fn find(&self, name: &ObjectName) -> SqlResult<Option<Found>> {
        let parts = &name.parts;
        // Tries `column` or `column.field`, then `table.column…`, then `database.table.column…`.
        let Some(first) = parts.first() else {
            return Ok(None);
        };
        if parts.len() == 1 {
            return self.find_unqualified(first, name.span);
        }
        for table_parts in 1..parts.len().min(4) {
            let Some(column) = parts.get(table_parts) else {
                break;
            };
            let Some(relation) = self.relation(&parts[..table_parts]) else {
                continue;
            };
            if let Some(found) = find_in(relation, column, name)? {
                return Ok(Some(Found {
                    used: table_parts + 1,
                    ..found
                }));
            }
            // A table and a row column may share a name; the table takes precedence.
            if self.find_unqualified(first, name.span)?.is_none() {
                return Err(column_not_found(
                    relation,
                    &parts[..table_parts],
                    column,
                    name.span,
                ));
            }
        }
        self.find_unqualified(first, name.span)
    }

    /// The table that `parts` name.
    pub fn relation(&self, parts: &[Ident]) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.is_named(parts))
    }

    fn find_unqualified(&self, column: &Ident, span: Span) -> SqlResult<Option<Found>> {
        if let Some(merged) = self.merged.iter().find(|merged| merged.name == column.value) {
            let full = vec![column.value.clone()];
            return Ok(Some(Found {
                expr: merged.value.clone(),
                used: 1,
                full,
            }));
        }
        let mut found: Option<Found> = None;
        for relation in &self.relations {
            for candidate in relation.columns.iter().filter(|c| c.name == column.value) {
                if found.is_some() {
                    return Err(ambiguous_column(&column.value, span)
                        .with_hint("write the table's name or alias before it"));
                }
                found = Some(found_column(relation, candidate));
            }
        }
        Ok(found)
    }

    fn not_found(&self, name: &ObjectName) -> SqlError {
        let Some(first) = name.parts.first() else {
            return SqlError::at(name.span, "empty name").with_code(ErrorCode::UnknownColumn);
        };
        let tables: Vec<&str> = self
            .relations
            .iter()
            .filter_map(|relation| relation.name.as_deref())
            .collect();
        if name.parts.len() > 1 {
            let error = SqlError::at(first.span, format!("table '{}' not found", first.value))
                .with_code(ErrorCode::UnknownTable);
            let listed = match tables.as_slice() {
                [] => error,
                tables => error.with_hint(format!("tables of the query: {}", tables.join(", "))),
            };
            return listed.offering(&first.value, tables);
        }
        let columns = self
            .relations
            .iter()
            .flat_map(|relation| relation.columns.iter().map(|c| c.name.as_str()));
        let error = SqlError::at(
            name.span,
            format!("Column '{}' not found in any table", first.value),
        )
        .with_code(ErrorCode::UnknownColumn);
        match nearest(&first.value, columns.clone()) {
            Some(near) => error.with_hint(format!("did you mean '{near}'?")),
            None => {
                let known: Vec<&str> = columns.take(COLUMNS_LISTED_MAX).collect();
                if known.is_empty() {
                    error
                } else {
                    error.with_hint(format!("columns in view: {}", known.join(", ")))
                }
            }
        }
    }

    /// The columns of `*`, with their output names.
    pub fn star(&self) -> Vec<(String, Resolved)> {
        let hidden = |index: &usize| self.merged.iter().any(|merged| merged.hides.contains(index));
        let merged = self.merged.iter().map(|merged| {
            let resolved = Resolved {
                expr: merged.value.clone(),
                full: vec![merged.name.clone()],
            };
            (merged.name.clone(), resolved)
        });
        let mut columns: Vec<(String, Resolved)> = merged.collect();
        for relation in &self.relations {
            for column in relation.columns.iter().filter(|column| !hidden(&column.index)) {
                let found = found_column(relation, column);
                columns.push((
                    column.name.clone(),
                    Resolved {
                        expr: found.expr,
                        full: found.full,
                    },
                ));
            }
        }
        columns
    }
}

/// Maximum number of known columns in the message for an unknown one.
const COLUMNS_LISTED_MAX: usize = 12;

/// The error of a name that several columns have.
pub fn ambiguous_column(name: &str, span: Span) -> SqlError {
    SqlError::at(span, format!("Column '{name}' is ambiguous")).with_code(ErrorCode::AmbiguousColumn)
}

fn found_column(relation: &Relation, column: &ScopeColumn) -> Found {
    let full = relation
        .name
        .iter()
        .cloned()
        .chain([column.name.clone()])
        .collect();
    Found {
        expr: Expr::column(column.index, column.ty.clone()),
        used: 1,
        full,
    }
}

fn find_in(relation: &Relation, column: &Ident, name: &ObjectName) -> SqlResult<Option<Found>> {
    let mut matching = relation.columns.iter().filter(|c| c.name == column.value);
    let first = matching.next();
    if matching.next().is_some() {
        return Err(ambiguous_column(&column.value, name.span));
    }
    Ok(first.map(|found| found_column(relation, found)))
}

fn column_not_found(relation: &Relation, table: &[Ident], column: &Ident, span: Span) -> SqlError {
    let table: Vec<&str> = table.iter().map(|part| part.value.as_str()).collect();
    let message = format!(
        "Column '{}' not found in table '{}'",
        column.value,
        table.join(".")
    );
    SqlError::at(span, message)
        .with_code(ErrorCode::UnknownColumn)
        .offering(&column.value, relation.columns.iter().map(|c| c.name.as_str()))
}

/// Resolves the remaining parts of a name as fields of a row.
fn apply_fields(found: Found, name: &ObjectName, scope: &Scope<'_>) -> SqlResult<Resolved> {
    let Found {
        mut expr,
        used,
        mut full,
    } = found;
    let mut path: Vec<&str> = name.parts[..used]
        .iter()
        .map(|part| part.value.as_str())
        .collect();
    for part in &name.parts[used..] {
        path.push(&part.value);
        expr = field_of(expr, part).map_err(|error| {
            let table = scope
                .relations
                .iter()
                .find_map(|relation| relation.name.clone())
                .unwrap_or_default();
            let message = format!("Column '{}' not found in table '{table}'", path.join("."));
            SqlError { message, ..error }
        })?;
        full.push(part.value.clone());
    }
    Ok(Resolved { expr, full })
}

/// `base.field`.
pub fn field_of(base: Expr, field: &Ident) -> SqlResult<Expr> {
    let ty = base.ty();
    let TypeKind::Row(fields) = &ty.kind else {
        let message = format!(
            "Column '{}' not found: {} has no fields",
            field.value,
            sql_type_name(&ty)
        );
        return Err(SqlError::at(field.span, message).with_code(ErrorCode::UnknownColumn));
    };
    let Some(index) = fields.iter().position(|f| f.name == field.value) else {
        let message = format!("Column '{}' not found in {}", field.value, sql_type_name(&ty));
        return Err(SqlError::at(field.span, message)
            .with_code(ErrorCode::UnknownColumn)
            .offering(&field.value, fields.iter().map(|f| f.name.as_str())));
    };
    // As in Flink, a NOT NULL field of a nullable row is still NOT NULL.
    let result = fields[index].ty.clone();
    Ok(Expr::Field {
        input: Box::new(base),
        index,
        ty: result,
    })
}
