//! Client of a running server: its job REST API and its SQL Gateway, over HTTP/1.1, with or without TLS.

mod address;
mod client;
mod gateway;

pub use address::{ServerAddresses, find_server, remember_server};
pub use client::{HttpClient, ServerError};
pub use gateway::{RemoteResult, RemoteSession};
