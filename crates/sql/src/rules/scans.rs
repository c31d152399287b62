//! What scans decode: only the fields of rows that are read, and the same for all scans of a table, so that the table is
//! read once.
//!
//! Runs behind [`super::prune`], over all queries of a job. First [`Demand`] walks down from each root and notes which
//! columns, and which fields of ROW columns, every table has to give. Then [`rewrite`] gives each scan the union of what
//! the scans of its table need, narrows the types of its rows, and moves columns and fields above it.

use std::collections::BTreeMap;

use millstream_plan::{Expr, MetadataColumn, TableSpec};
use millstream_types::{LogicalType, RowField, Schema, TypeKind};

use crate::bind::logical::{Aggregate, Join, Over, Rel, RelKind, Scan};

/// The part of a column that is read.
#[derive(Clone, Debug, Default, PartialEq)]
enum Need {
    /// At most its NULLs.
    #[default]
    Nothing,
    /// Fields of a row, by position.
    Fields(BTreeMap<usize, Need>),
    Whole,
}

impl Need {
    fn add(&mut self, other: &Need) {
        match (&mut *self, other) {
            (_, Need::Nothing) | (Need::Whole, _) => {}
            (_, Need::Whole) => *self = Need::Whole,
            (Need::Nothing, fields) => *self = fields.clone(),
            (Need::Fields(known), Need::Fields(fields)) => {
                for (field, need) in fields {
                    known.entry(*field).or_default().add(need);
                }
            }
        }
    }

    /// The demand on the column that contains `path`, if `self` is the demand on the field there.
    fn below(self, path: &[usize]) -> Need {
        path.iter()
            .rev()
            .fold(self, |need, field| Need::Fields(BTreeMap::from([(*field, need)])))
    }

    fn whole_if_any(&self) -> Need {
        match self {
            Need::Nothing => Need::Nothing,
            _ => Need::Whole,
        }
    }
}

/// The column and field path of an expression that is nothing else.
fn path_of(expr: &Expr) -> Option<(usize, Vec<usize>)> {
    match expr {
        Expr::Column { index, .. } => Some((*index, Vec::new())),
        Expr::Field { input, index, .. } => {
            let (column, mut path) = path_of(input)?;
            path.push(*index);
            Some((column, path))
        }
        _ => None,
    }
}

/// Adds what `expr` reads if `need` of its value is demanded.
fn read(expr: &Expr, need: &Need, of: &mut [Need]) {
    if let Some((column, path)) = path_of(expr) {
        if let Some(known) = of.get_mut(column) {
            known.add(&need.clone().below(&path));
        }
        return;
    }
    if let Expr::Call { function, args, .. } = expr
        && matches!(function.as_str(), "IS NULL" | "IS NOT NULL")
        && let [arg] = args.as_slice()
        && matches!(arg.ty().kind, TypeKind::Row(_))
    {
        // A NULL check needs no field.
        return read(arg, &Need::Nothing, of);
    }
    expr.children()
        .into_iter()
        .for_each(|child| read(child, &Need::Whole, of));
}

fn read_column(column: usize, of: &mut [Need]) {
    if let Some(known) = of.get_mut(column) {
        *known = Need::Whole;
    }
}

/// The demand on all scans of a table.
#[derive(Debug)]
struct Table {
    spec: TableSpec,
    /// Of the physical columns; `None`: no scan has the column.
    columns: Vec<Option<Need>>,
    metadata: Vec<MetadataColumn>,
    /// Conditions of the first scan, over the physical columns.
    filters: Vec<Expr>,
    /// Whether all scans have the same conditions.
    same_filters: bool,
}

/// What all tables have to give.
#[derive(Debug, Default)]
pub struct Demand {
    tables: Vec<Table>,
}

impl Demand {
    /// Adds what a root reads.
    pub fn add(&mut self, root: &Rel) {
        self.walk(root, vec![Need::Whole; root.schema.len()]);
    }

    fn walk(&mut self, rel: &Rel, needs: Vec<Need>) {
        if let RelKind::Scan(scan) = &rel.kind {
            return self.scan(scan, &needs);
        }
        let widths: Vec<usize> = rel.inputs.iter().map(|input| input.schema.len()).collect();
        let below = needs_below(&rel.kind, &needs, &widths);
        let mut rest = below.into_iter();
        for (input, width) in rel.inputs.iter().zip(widths) {
            self.walk(input, rest.by_ref().take(width).collect());
        }
    }

    fn scan(&mut self, scan: &Scan, needs: &[Need]) {
        let known = self.tables.iter().position(|table| shares(table, scan));
        let place = known.unwrap_or_else(|| {
            self.tables.push(Table {
                spec: scan.table.clone(),
                columns: vec![None; scan.table.physical.len()],
                metadata: Vec::new(),
                filters: physical_filters(scan),
                same_filters: true,
            });
            self.tables.len() - 1
        });
        let table = &mut self.tables[place];
        for (column, need) in scan.columns.iter().zip(needs) {
            if let Some(known) = table.columns.get_mut(*column) {
                known.get_or_insert_with(Need::default).add(need);
            }
        }
        for filter in &scan.filters {
            let mut of = vec![Need::Nothing; scan.columns.len()];
            read(filter, &Need::Whole, &mut of);
            for (column, need) in scan.columns.iter().zip(&of) {
                if let Some(Some(known)) = table.columns.get_mut(*column) {
                    known.add(need);
                }
            }
        }
        for column in &scan.metadata {
            if !table.metadata.contains(column) {
                table.metadata.push(column.clone());
            }
        }
        table.same_filters &= table.filters == physical_filters(scan);
    }

    fn table(&self, scan: &Scan) -> Option<&Table> {
        self.tables.iter().find(|table| shares(table, scan))
    }
}

/// Whether other queries may share this scan. As in Flink, a source that skips data by conditions (files) is shared
/// only under the same conditions. For topics, reading twice costs more than filtering.
fn shares(table: &Table, scan: &Scan) -> bool {
    scan.limit.is_none()
        && table.spec == scan.table
        && (scan.abilities.shared_across_filters || table.filters == physical_filters(scan))
}

/// The conditions of a scan over the physical columns of its table, metadata behind them.
fn physical_filters(scan: &Scan) -> Vec<Expr> {
    let width = scan.table.physical.len();
    let place = |i: usize| match scan.columns.get(i) {
        Some(column) => *column,
        None => width + i - scan.columns.len(),
    };
    let filters = scan.filters.iter().cloned();
    filters.map(|filter| filter.remap_columns(&place)).collect()
}

/// What a node reads of the columns of its inputs, side by side.
fn needs_below(kind: &RelKind, needs: &[Need], widths: &[usize]) -> Vec<Need> {
    let total: usize = widths.iter().sum();
    let passed = || {
        let mut below: Vec<Need> = needs.iter().take(total).cloned().collect();
        below.resize(total, Need::Nothing);
        below
    };
    let nothing = || vec![Need::Nothing; total];
    match kind {
        RelKind::Scan(_) | RelKind::Values { .. } => Vec::new(),
        RelKind::Project { exprs } => {
            let mut below = nothing();
            exprs
                .iter()
                .zip(needs)
                .for_each(|(expr, need)| read(expr, need, &mut below));
            below
        }
        RelKind::Filter { condition } => with_exprs(passed(), [condition]),
        RelKind::Watermark { rowtime, expr, .. } => with_columns(with_exprs(passed(), [expr]), [*rowtime]),
        RelKind::Window { time, partition, .. } => {
            with_columns(passed(), partition.iter().copied().chain([*time]))
        }
        RelKind::Correlate { args, condition, .. } => with_exprs(passed(), args.iter().chain(condition)),
        RelKind::Join(join) => with_exprs(passed(), join.condition.iter().chain(&join.as_of)),
        RelKind::Sort { keys, .. } => with_columns(passed(), keys.iter().map(|key| key.column)),
        RelKind::Over(over) => over_needs(over, passed()),
        RelKind::Rank(rank) => {
            let keys = rank.order.iter().map(|key| key.column);
            let bound = match rank.range {
                millstream_plan::RankRange::Variable { column } => Some(column),
                millstream_plan::RankRange::Constant { .. } => None,
            };
            with_columns(passed(), rank.partition.iter().copied().chain(keys).chain(bound))
        }
        RelKind::Aggregate(aggregate) => aggregate_needs(aggregate, nothing()),
        RelKind::Match(_) => vec![Need::Whole; total],
        // All inputs must keep one type.
        RelKind::Union => {
            let of_one = needs.iter().map(Need::whole_if_any);
            widths
                .iter()
                .flat_map(|width| of_one.clone().take(*width))
                .collect()
        }
    }
}

fn with_exprs<'e>(mut needs: Vec<Need>, exprs: impl IntoIterator<Item = &'e Expr>) -> Vec<Need> {
    exprs
        .into_iter()
        .for_each(|expr| read(expr, &Need::Whole, &mut needs));
    needs
}

fn with_columns(mut needs: Vec<Need>, columns: impl IntoIterator<Item = usize>) -> Vec<Need> {
    columns
        .into_iter()
        .for_each(|column| read_column(column, &mut needs));
    needs
}

fn over_needs(over: &Over, needs: Vec<Need>) -> Vec<Need> {
    let keys = over
        .partition
        .iter()
        .copied()
        .chain(over.order.iter().map(|key| key.column));
    with_columns(needs, keys.chain(over.calls.iter().flat_map(call_columns)))
}

fn aggregate_needs(aggregate: &Aggregate, needs: Vec<Need>) -> Vec<Need> {
    let window = aggregate.window.iter().map(|window| window.time);
    let keys = aggregate.keys.iter().copied().chain(window);
    with_columns(needs, keys.chain(aggregate.calls.iter().flat_map(call_columns)))
}

fn call_columns(call: &millstream_plan::AggregateCall) -> impl Iterator<Item = usize> + '_ {
    let order = call.order_by.iter().map(|(column, _)| *column);
    call.args.iter().copied().chain(call.filter).chain(order)
}

/// A row type reduced to some fields.
#[derive(Clone, Debug)]
struct Narrow {
    ty: LogicalType,
    /// New position and form of each old field.
    fields: Vec<Option<(usize, Option<Narrow>)>>,
}

impl Narrow {
    /// The demanded part of `ty`; `None` means all of it.
    fn new(ty: &LogicalType, need: &Need) -> Option<Self> {
        let TypeKind::Row(fields) = &ty.kind else {
            return None;
        };
        let none = BTreeMap::new();
        let needed = match need {
            Need::Whole => return None,
            Need::Nothing => &none,
            Need::Fields(needed) => needed,
        };
        let (mut kept, mut moved): (Vec<RowField>, _) = (Vec::new(), vec![None; fields.len()]);
        for (position, field) in fields.iter().enumerate() {
            // A row needs at least one field.
            let is_kept = needed.contains_key(&position) || (needed.is_empty() && position == 0);
            if !is_kept {
                continue;
            }
            let need = needed.get(&position).unwrap_or(&Need::Whole);
            let narrow = Self::new(&field.ty, need);
            let mut field = field.clone();
            if let Some(narrow) = &narrow {
                field.ty = narrow.ty.clone();
            }
            moved[position] = Some((kept.len(), narrow));
            kept.push(field);
        }
        let changed = kept.len() < fields.len() || moved.iter().flatten().any(|(_, narrow)| narrow.is_some());
        changed.then(|| Self {
            ty: LogicalType::new(TypeKind::Row(kept)).with_nullable(ty.nullable),
            fields: moved,
        })
    }
}

/// The new position of a column and its remaining part.
#[derive(Clone, Debug)]
struct Place {
    column: usize,
    narrow: Option<Narrow>,
}

fn in_place(width: usize) -> impl Iterator<Item = Place> {
    (0..width).map(|column| Place { column, narrow: None })
}

/// The tree with scans as `demand` has them.
pub fn rewrite(rel: Rel, demand: &Demand) -> Rel {
    let width = rel.schema.len();
    let (rel, places) = moved(rel, demand);
    settled(rel, &places, width).0
}

fn moved(rel: Rel, demand: &Demand) -> (Rel, Vec<Place>) {
    let Rel {
        kind,
        inputs,
        mut schema,
    } = rel;
    if let RelKind::Scan(scan) = kind {
        return moved_scan(*scan, schema, demand);
    }
    let passes_places = matches!(kind, RelKind::Project { .. } | RelKind::Filter { .. });
    let (mut below, mut places): (Vec<Rel>, Vec<Place>) = (Vec::new(), Vec::new());
    for input in inputs {
        let width = input.schema.len();
        let (mut input, mut own) = moved(input, demand);
        if !passes_places {
            (input, own) = settled(input, &own, width);
        }
        let first: usize = below.iter().map(|rel: &Rel| rel.schema.len()).sum();
        places.extend(own.into_iter().map(|place| Place {
            column: place.column + first,
            ..place
        }));
        below.push(input);
    }
    if let RelKind::Filter { condition } = kind {
        let schema = below.first().map_or(schema, |input| input.schema.clone());
        let condition = at_places(condition, &places);
        return (Rel::new(RelKind::Filter { condition }, below, schema), places);
    }
    let output = output_places(&kind, &places, schema.len());
    for (column, place) in schema.columns.iter_mut().zip(&output) {
        if let Some(narrow) = &place.narrow {
            column.ty = narrow.ty.with_nullable(column.ty.nullable);
        }
    }
    let kind = kind_at_places(kind, &places);
    (Rel::new(kind, below, schema), output)
}

/// Restores the old order of columns.
fn settled(rel: Rel, places: &[Place], width: usize) -> (Rel, Vec<Place>) {
    let is_settled =
        rel.schema.len() == width && places.iter().enumerate().all(|(i, place)| place.column == i);
    let rel = if is_settled {
        rel
    } else {
        let order: Vec<usize> = places.iter().map(|place| place.column).collect();
        rel.select(&order)
    };
    let narrowed = places.iter().zip(in_place(width)).map(|(old, new)| Place {
        narrow: old.narrow.clone(),
        ..new
    });
    (rel, narrowed.collect())
}

fn moved_scan(mut scan: Scan, schema: Schema, demand: &Demand) -> (Rel, Vec<Place>) {
    let Some(table) = demand.table(&scan) else {
        let places = in_place(schema.len()).collect();
        return (
            Rel::new(RelKind::Scan(Box::new(scan)), Vec::new(), schema),
            places,
        );
    };
    let columns: Vec<usize> = (0..table.columns.len())
        .filter(|i| table.columns[*i].is_some())
        .collect();
    let narrow_of = |column: usize| {
        let need = table.columns.get(column)?.as_ref()?;
        let ty = &table.spec.physical.columns.get(column)?.ty;
        Narrow::new(ty, need).filter(|_| scan.narrows_rows)
    };
    let physical = scan.columns.iter().map(|column| Place {
        column: columns.iter().position(|c| c == column).unwrap_or(0),
        narrow: narrow_of(*column),
    });
    let metadata = scan.metadata.iter().map(|wanted| Place {
        column: columns.len() + table.metadata.iter().position(|m| m == wanted).unwrap_or(0),
        narrow: None,
    });
    let places: Vec<Place> = physical.chain(metadata).collect();
    for column in &columns {
        if let (Some(narrow), Some(physical)) =
            (narrow_of(*column), scan.table.physical.columns.get_mut(*column))
        {
            physical.ty = narrow.ty;
        }
    }
    scan.filters = if table.same_filters {
        scan.filters
            .into_iter()
            .map(|filter| at_places(filter, &places))
            .collect()
    } else {
        Vec::new()
    };
    let physical = scan.table.physical.project(&columns);
    let metadata = Schema::new(table.metadata.iter().map(|m| (m.key.clone(), m.ty.clone())));
    let schema = Schema {
        columns: physical.columns.into_iter().chain(metadata.columns).collect(),
    };
    scan.columns = columns;
    scan.metadata = table.metadata.clone();
    (
        Rel::new(RelKind::Scan(Box::new(scan)), Vec::new(), schema),
        places,
    )
}

/// Where a node's output columns have what is left of its input's.
fn output_places(kind: &RelKind, below: &[Place], width: usize) -> Vec<Place> {
    let mut output: Vec<Place> = in_place(width).collect();
    match kind {
        RelKind::Project { exprs } => {
            for (place, expr) in output.iter_mut().zip(exprs) {
                place.narrow = path_of(expr).and_then(|(column, path)| narrow_at(below, column, &path));
            }
        }
        RelKind::Aggregate(_) | RelKind::Match(_) | RelKind::Union => {}
        _ => {
            for (place, below) in output.iter_mut().zip(below) {
                place.narrow = below.narrow.clone();
            }
        }
    }
    output
}

fn narrow_at(places: &[Place], column: usize, path: &[usize]) -> Option<Narrow> {
    let mut narrow = places.get(column)?.narrow.as_ref()?;
    for field in path {
        narrow = narrow.fields.get(*field)?.as_ref()?.1.as_ref()?;
    }
    Some(narrow.clone())
}

fn kind_at_places(kind: RelKind, places: &[Place]) -> RelKind {
    let at = |expr: Expr| at_places(expr, places);
    match kind {
        RelKind::Project { exprs } => RelKind::Project {
            exprs: exprs.into_iter().map(at).collect(),
        },
        RelKind::Watermark {
            rowtime,
            expr,
            idle_timeout_ms,
        } => RelKind::Watermark {
            rowtime,
            expr: at(expr),
            idle_timeout_ms,
        },
        RelKind::Join(join) => RelKind::Join(Box::new(Join {
            condition: join.condition.map(at),
            as_of: join.as_of.map(at),
            ..*join
        })),
        RelKind::Correlate {
            function,
            args,
            outer,
            condition,
        } => RelKind::Correlate {
            function,
            args: args.into_iter().map(at).collect(),
            outer,
            condition: condition.map(at),
        },
        other => other,
    }
}

/// The expression over columns and fields at their new places.
fn at_places(expr: Expr, places: &[Place]) -> Expr {
    if path_of(&expr).is_some() {
        return at_place(expr, places).0;
    }
    expr.map_children(&mut |child| at_places(child, places))
}

/// A column or field at its new place, and what is left of it.
fn at_place(expr: Expr, places: &[Place]) -> (Expr, Option<Narrow>) {
    let typed = |ty: LogicalType, narrow: &Option<Narrow>| match narrow {
        Some(narrow) => narrow.ty.with_nullable(ty.nullable),
        None => ty,
    };
    match expr {
        Expr::Column { index, ty } => {
            let place = places.get(index).cloned().unwrap_or(Place {
                column: index,
                narrow: None,
            });
            let ty = typed(ty, &place.narrow);
            (Expr::column(place.column, ty), place.narrow)
        }
        Expr::Field { input, index, ty } => {
            let (input, narrow) = at_place(*input, places);
            let (index, narrow) = match narrow {
                None => (index, None),
                Some(narrow) => narrow.fields.get(index).cloned().flatten().unwrap_or((0, None)),
            };
            let ty = typed(ty, &narrow);
            let input = Box::new(input);
            (Expr::Field { input, index, ty }, narrow)
        }
        other => (other, None),
    }
}
