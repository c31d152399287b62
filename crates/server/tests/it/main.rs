//! The listeners over real sockets on loopback, with a broker on storage in memory and a clock that tests move.

#![allow(clippy::unwrap_used)] // functions that only tests call

mod audit;
mod cluster;
mod doors;
#[cfg(unix)]
mod files;
mod http;
mod kept_catalog;
mod limits;
mod metrics;
mod rates;
mod raw;
mod remote_access;
mod sasl;
mod tls;
mod ui;
mod waiting;
