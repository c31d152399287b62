//! The imperative shell: sockets, the process-wide broker, authentication.
//!
//! Everything below this crate is a library without sockets; everything above is the command line.

pub mod access;
pub mod http;
pub mod jobs;
pub mod kafka;
pub mod limits;
pub mod lines;
pub mod machine;
pub mod metrics;
pub mod open_files;
pub mod sessions;
pub mod state;
pub mod ui;

pub use state::ServerState;
