//! The commands, one file each.

pub mod acl;
pub mod broker;
pub mod chaos;
mod columns;
mod connect;
pub mod group;
pub mod job;
mod notices;
pub mod progress;
pub mod remote;
pub mod run;
mod script;
pub mod serve;
pub mod sql;
pub mod statement;
pub mod topic;
pub mod user;
