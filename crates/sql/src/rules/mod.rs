//! From the logical to the physical plan.
//!
//! In this order: constants are folded ([`fold`]), conditions move towards the sources ([`filter`]; Top-N is recognised
//! on the way), unused columns are dropped ([`prune`]), scans of one table become alike and decode only the fields of rows
//! that are read ([`scans`]), every node becomes an operator ([`physical`]), and the changelog of each operator is
//! negotiated with its consumers ([`changelog`]). Equal sub-plans of several sinks become one ([`assemble`]).

pub mod assemble;
pub mod changelog;
pub mod filter;
pub mod fold;
pub mod keys;
mod monotonic;
pub mod physical;
pub mod prune;
mod scans;
pub mod windows;

use millstream_plan::Plan;

use crate::bind::config::PlannerConfig;
use crate::bind::error::SqlResult;
use crate::bind::insert::BoundInsert;
use crate::bind::logical::Rel;

/// The destination of a query's rows.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // there is one for each statement, not one for each row
pub enum Root {
    /// The client.
    Collect(Rel),
    /// A table.
    Sink(Box<BoundInsert>),
}

impl Root {
    pub fn rel(&self) -> &Rel {
        match self {
            Self::Collect(rel) => rel,
            Self::Sink(insert) => &insert.rel,
        }
    }

    fn map_rel(self, f: impl FnOnce(Rel) -> Rel) -> Self {
        match self {
            Self::Collect(rel) => Self::Collect(f(rel)),
            Self::Sink(mut insert) => {
                let rel = std::mem::replace(&mut insert.rel, Rel::one_row());
                insert.rel = f(rel);
                Self::Sink(insert)
            }
        }
    }
}

/// Plans all roots as one job.
pub fn plan(roots: Vec<Root>, config: &PlannerConfig) -> SqlResult<Plan> {
    let mut demand = scans::Demand::default();
    let mut optimized = Vec::new();
    for root in roots {
        let root = root.map_rel(|rel| optimize(rel, config));
        demand.add(root.rel());
        optimized.push(root);
    }
    let mut trees = Vec::new();
    for root in optimized {
        trees.push(plan_root(
            root.map_rel(|rel| scans::rewrite(rel, &demand)),
            config,
        )?);
    }
    Ok(assemble::assemble(trees, config))
}

fn plan_root(root: Root, config: &PlannerConfig) -> SqlResult<physical::Phys> {
    match root {
        Root::Collect(rel) => {
            let input = physical::convert(rel, config)?;
            changelog::infer(physical::collect(input))
        }
        Root::Sink(mut insert) => {
            let rel = std::mem::replace(&mut insert.rel, Rel::one_row());
            let input = physical::convert(rel, config)?;
            changelog::infer_sink(input, &insert, config)
        }
    }
}

/// The logical rewrites of one query.
pub fn optimize(rel: Rel, config: &PlannerConfig) -> Rel {
    let folded = fold::fold_rel(rel, config);
    let filtered = filter::push(folded, Vec::new(), config);
    prune::prune_root(fold::fold_rel(filtered, config))
}
