//! The commands, one file each.

pub mod broker;
pub mod progress;
pub mod run;
pub mod sql;
pub mod statement;
pub mod topic;
