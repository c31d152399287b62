//! EXPLAIN: the sections of the answer in Flink's layout.
//!
//! The syntax tree is printed here from the bound query, before any rewriting; the physical and the execution plan are
//! printed by the plan itself ([`millstream_plan::explain`]). The text is for people and for tests of plans.

pub mod describe;
mod syntax;

use millstream_plan::Plan;
use millstream_plan::explain::{execution_plan, json_execution_plan, physical_plan};

pub use syntax::syntax_tree;

/// What stands in the answer beside the three sections that are always there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Details {
    /// The kinds of rows that each operator makes.
    pub changelog: bool,
    /// Advice behind the physical plan.
    pub advice: bool,
    /// The operators as JSON, with this parallelism where the plan fixes none.
    pub json: Option<usize>,
}

/// The sections.
pub fn sections(syntax: &str, plan: &Plan, details: Details) -> String {
    let physical = physical_plan(plan, details.changelog);
    let execution = execution_plan(plan);
    // What Flink advises is to turn on mini-batches, which steps are here already.
    let (heading, advice) = match details.advice {
        true => (
            "Optimized Physical Plan With Advice",
            "\nNo available advice...\n",
        ),
        false => ("Optimized Physical Plan", ""),
    };
    let mut text = format!(
        "== Abstract Syntax Tree ==\n{syntax}\n== {heading} ==\n{physical}{advice}\n\
         == Optimized Execution Plan ==\n{execution}"
    );
    if let Some(parallelism) = details.json {
        text.push_str("\n== Physical Execution Plan ==\n");
        text.push_str(&json_execution_plan(plan, parallelism));
    }
    text
}
