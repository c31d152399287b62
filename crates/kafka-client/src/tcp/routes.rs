//! Where connections go. Names in the configuration and in the cluster's metadata are not always addresses that this
//! machine reaches, and not every address may be connected to on behalf of every caller.

use std::net::SocketAddr;

/// Decides about each connection before it is made.
///
/// - `destination` maps an address to the one to connect to; TLS still checks the name that was mapped;
/// - `refusal` sees the resolved address. A name that was checked before could resolve differently for the
///   connection itself.
pub trait Routes: Send + Sync {
    fn destination(&self, host: &str, port: u16) -> (String, u16) {
        (host.to_owned(), port)
    }

    /// Why no connection to `address` is made; `None` permits it. `host` and `port` are those before mapping.
    fn refusal(&self, _host: &str, _port: u16, _address: SocketAddr) -> Option<String> {
        None
    }
}

/// Every address as it is named.
#[derive(Clone, Copy, Debug)]
pub struct Direct;

impl Routes for Direct {}
