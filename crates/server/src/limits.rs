//! Limits of the shell, by name.

use std::time::Duration;

/// Open Kafka connections.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Bytes of one request (Kafka's `socket.request.max.bytes`).
pub const FRAME_BYTES_MAX: i64 = 104_857_600;
/// Requests of one connection that wait for their answers; more are not read from the socket.
pub const PIPELINED_REQUESTS_MAX: usize = 64;
/// Room made for one read.
pub const READ_BYTES: usize = 64 << 10;
/// Pause after a failed accept.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);
