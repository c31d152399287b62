//! From syntax to meaning: names become positions, expressions get types, DDL becomes operations on the catalog.
//!
//! [`Binder`] turns a query into a logical plan ([`logical::Rel`]); [`statement`] does it for every kind of statement.
//! Nothing here decides how a query is executed: the rules do.

pub mod coerce;
pub mod config;
pub mod ddl;
pub mod error;
pub mod expr;
pub mod from;
pub mod grouping;
pub mod insert;
pub mod literal;
pub mod logical;
mod match_recognize;
mod membership;
pub mod names;
pub mod options;
pub mod query;
pub mod scan;
pub mod scope;
pub mod select;
pub mod set_operation;
pub mod statement;
pub mod subquery;
pub mod types;
pub mod unnest;
pub mod window;

mod expand;
mod over;
mod top_rows;

use std::cell::Cell;

use millstream_plan::ObjectIdentifier;
use millstream_types::limits::NESTING_DEPTH_MAX;
use millstream_types::{Declarations, ErrorCode};

use crate::bind::logical::Rel;
use crate::catalog::Catalogs;
use crate::compatibility::HINTS;
use crate::parse::ast::{Hint, HintArguments, ObjectName};
use crate::parse::span::Span;
use config::PlannerConfig;
use error::{SqlError, SqlResult};
use names::NameRecord;

/// Binds the statements of one session.
pub struct Binder<'a> {
    pub catalogs: &'a Catalogs,
    pub declarations: &'a Declarations,
    pub config: &'a PlannerConfig,
    /// What names resolve to.
    pub names: NameRecord,
    catalog: String,
    database: String,
    depth: Cell<usize>,
}

/// Decrements the nesting depth on drop.
struct Level<'d>(&'d Cell<usize>);

impl Drop for Level<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl<'a> Binder<'a> {
    pub fn new(catalogs: &'a Catalogs, declarations: &'a Declarations, config: &'a PlannerConfig) -> Self {
        Self {
            catalogs,
            declarations,
            config,
            names: NameRecord::default(),
            catalog: catalogs.current_catalog().to_owned(),
            database: catalogs.current_database().to_owned(),
            depth: Cell::new(0),
        }
    }

    /// Like [`Self::new`], and records name resolution.
    pub fn recording(&self) -> Binder<'a> {
        Binder {
            names: NameRecord::keeping(),
            ..self.in_database(&self.catalog, &self.database)
        }
    }

    /// Like [`Self::new`], with another default catalog and database.
    fn in_database(&self, catalog: &str, database: &str) -> Binder<'a> {
        Binder {
            catalogs: self.catalogs,
            declarations: self.declarations,
            config: self.config,
            names: NameRecord::default(),
            catalog: catalog.to_owned(),
            database: database.to_owned(),
            depth: Cell::new(self.depth.get()),
        }
    }

    /// The full name of an object.
    pub fn qualify(&self, name: &ObjectName) -> SqlResult<ObjectIdentifier> {
        self.catalogs.qualify_in(name, &self.catalog, &self.database)
    }

    /// Increments the nesting depth: views can nest deeper than any single text.
    fn enter(&self, span: Span) -> SqlResult<Level<'_>> {
        if self.depth.get() >= NESTING_DEPTH_MAX {
            return Err(SqlError::at(
                span,
                format!("queries are nested more than {NESTING_DEPTH_MAX} levels deep"),
            )
            .with_code(ErrorCode::LimitExceeded));
        }
        self.depth.set(self.depth.get() + 1);
        Ok(Level(&self.depth))
    }
}

/// The tables and TTLs of the STATE_TTL hints after SELECT. Rejects hints that Flink does not register.
fn state_ttls(hints: &[Hint]) -> SqlResult<Vec<(&str, i64)>> {
    check_hints(hints)?;
    let mut ttls = Vec::new();
    for hint in hints
        .iter()
        .filter(|hint| hint.name.value.eq_ignore_ascii_case("STATE_TTL"))
    {
        let HintArguments::Options(pairs) = &hint.arguments else {
            return Err(SqlError::at(
                hint.span,
                "STATE_TTL takes tables and durations: STATE_TTL('o' = '3d')",
            ));
        };
        for pair in pairs {
            let duration = millstream_types::options::parse_duration(&pair.value.value).ok_or_else(|| {
                let message = format!("invalid duration '{}' in hint STATE_TTL", pair.value.value);
                SqlError::at(pair.value.span, message)
            })?;
            let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
            ttls.push((pair.key.value.as_str(), millis));
        }
    }
    Ok(ttls)
}

/// Rejects a hint of another name.
fn check_hints(hints: &[Hint]) -> SqlResult<()> {
    let is_known = |hint: &&Hint| {
        HINTS
            .iter()
            .any(|known| hint.name.value.eq_ignore_ascii_case(known.name))
    };
    match hints.iter().find(|hint| !is_known(hint)) {
        None => Ok(()),
        Some(hint) => Err(
            SqlError::at(hint.span, format!("unknown hint '{}'", hint.name.value))
                .with_code(ErrorCode::UnknownObject)
                .offering(
                    &hint.name.value.to_uppercase(),
                    HINTS.iter().map(|known| known.name),
                ),
        ),
    }
}

/// Sets the TTL of the join sides that read the table `alias`.
fn set_join_ttl(rel: &mut Rel, alias: &str, millis: i64) {
    let sides: Vec<bool> = rel.inputs.iter().map(|input| reads(input, alias)).collect();
    if let logical::RelKind::Join(join) = &mut rel.kind {
        for (side, reads) in join.ttl_ms.iter_mut().zip(sides) {
            if reads {
                *side = Some(millis);
            }
        }
    }
    rel.inputs
        .iter_mut()
        .for_each(|input| set_join_ttl(input, alias, millis));
}

/// Sets the TTL of the aggregate of a query block if it reads the table `alias`.
fn set_aggregate_ttl(rel: &mut Rel, alias: &str, millis: i64) {
    let reads = rel.inputs.iter().any(|input| reads(input, alias));
    match (&mut rel.kind, rel.inputs.as_mut_slice()) {
        (logical::RelKind::Aggregate(aggregate), _) if reads => aggregate.ttl_ms = Some(millis),
        (logical::RelKind::Aggregate(_), _) => {}
        // The nodes that compute keys and results around it.
        (_, [input]) => set_aggregate_ttl(input, alias, millis),
        _ => {}
    }
}

fn reads(rel: &Rel, alias: &str) -> bool {
    let mut found = false;
    rel.visit(&mut |node| {
        found |= matches!(&node.kind, logical::RelKind::Scan(scan) if scan.alias == alias);
    });
    found
}
