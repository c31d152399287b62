//! The evaluator from outside: lazy operands, calcs, folding, and agreement with a row-by-row oracle.

mod calc;
mod fold;
mod lazy;
mod oracle;
mod support;
