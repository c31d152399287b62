//! EXPLAIN: the sections in Flink's layout.
//!
//! This module prints the syntax tree from the bound query, before any rewriting. The plan itself prints the physical
//! and the execution plan ([`millstream_plan::explain`]). The text is for people and for comparison with Flink, not for
//! programs.

pub mod describe;
mod syntax;

use millstream_plan::Plan;
use millstream_plan::explain::{execution_plan, json_execution_plan, physical_plan};
use millstream_plan::growth::unbounded_state;

pub use syntax::syntax_tree;

/// Optional parts of EXPLAIN.
#[derive(Clone, Copy, Debug, Default)]
pub struct Details {
    /// The row kinds that each operator emits.
    pub changelog: bool,
    /// Advice after the physical plan.
    pub advice: bool,
    /// The operators as JSON; this parallelism applies where the plan sets none.
    pub json: Option<usize>,
}

/// The sections.
pub fn sections(syntax: &str, plan: &Plan, details: Details) -> String {
    let physical = physical_plan(plan, details.changelog);
    let execution = execution_plan(plan);
    let (heading, advice) = if details.advice {
        ("Optimized Physical Plan With Advice", advice(plan))
    } else {
        ("Optimized Physical Plan", String::new())
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

/// Advice in Flink's notation. Flink advises mini-batches, whose effect steps already have; here it is about state that
/// only grows.
fn advice(plan: &Plan) -> String {
    let growing = unbounded_state(plan);
    if growing.is_empty() {
        return "\nNo available advice...\n".to_owned();
    }
    let lines = growing.iter().enumerate().map(|(i, growth)| {
        let number = i + 1;
        format!(
            "\nadvice[{number}]: [STATE] {} keeps {} without bound: {}.\n",
            growth.operator, growth.keeps, growth.bound
        )
    });
    lines.collect()
}
