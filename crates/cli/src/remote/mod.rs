//! Talking to a running server: its job REST API and its SQL Gateway, over HTTP/1.1 on plain TCP.

mod address;
mod client;
mod gateway;

pub use address::{ServerAddresses, find_server, remember_server};
pub use client::HttpClient;
pub use gateway::{RemoteResult, RemoteSession};
