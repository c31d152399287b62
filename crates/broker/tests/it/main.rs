//! Tests of the broker: the core in virtual time on a disk in memory, and the threaded handle.

#![allow(clippy::unwrap_used)] // functions that only tests call

mod admin;
mod alterations;
mod audit;
mod authorization;
mod basics;
mod compaction;
mod compression;
mod consumer_groups;
mod disk_reads;
mod driver;
mod event_loop;
mod fetch_sessions;
mod group_migration;
mod groups;
mod handle;
mod histories;
mod odd_requests;
mod quotas;
mod repeats;
mod security;
mod topic_requests;
mod transactions;
