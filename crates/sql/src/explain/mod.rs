//! EXPLAIN: the sections of the answer in Flink's layout.
//!
//! The syntax tree is printed here from the bound query, before any rewriting; the physical and the execution plan are
//! printed by the plan itself ([`millstream_plan::explain`]). The text is for people and for tests of plans.

pub mod describe;
mod syntax;

use millstream_plan::Plan;
use millstream_plan::explain::{execution_plan, physical_plan};

pub use syntax::syntax_tree;

/// The three sections; `changelog` adds the kinds of rows that each operator makes.
pub fn sections(syntax: &str, plan: &Plan, changelog: bool) -> String {
    let physical = physical_plan(plan, changelog);
    let execution = execution_plan(plan);
    format!(
        "== Abstract Syntax Tree ==\n{syntax}\n== Optimized Physical Plan ==\n{physical}\n\
         == Optimized Execution Plan ==\n{execution}"
    )
}
