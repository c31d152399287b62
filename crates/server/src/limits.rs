//! Limits of the shell, by name.

use std::time::Duration;

/// Open Kafka connections, beside [`PROTECTED_CONNECTIONS`].
pub const CONNECTIONS_MAX: usize = 10_000;
/// Connections that only the protected listener takes, whatever the others have.
pub const PROTECTED_CONNECTIONS: usize = 1_000;
/// Open files that no connection may take the place of: the log has some hundred.
pub const FILES_RESERVED: usize = 1_024;
/// What the limit of open files is raised to at most.
pub const FILES_WANTED_MAX: u64 = 1 << 20;
/// Addresses whose rates of new connections are measured one by one; more share a measure.
pub const CONNECTION_RATE_ADDRESSES_MAX: usize = 10_000;
/// Connections that were refused and are closed only after a while, so that their clients do not come again at once;
/// more are closed at once.
pub const DELAYED_CLOSES_MAX: usize = 1_000;
/// Bytes of one request (Kafka's `socket.request.max.bytes`).
pub const FRAME_BYTES_MAX: usize = 104_857_600;
/// Bytes of one request of a client that has not authenticated yet, unless `sasl.server.max.receive.size` is set.
pub const PRE_AUTHENTICATION_FRAME_BYTES: usize = 64 << 10;
/// Bytes of requests that are being received or worked on, of all connections, unless `queued.max.request.bytes` is set.
pub const REQUEST_MEMORY_BYTES: usize = 512 << 20;
/// Bytes of buffers of large requests that are kept for the next ones.
pub const FRAME_BUFFERS_BYTES: usize = 4 << 20;
/// Requests up to this size are not counted against [`REQUEST_MEMORY_BYTES`].
pub const UNCOUNTED_FRAME_BYTES: usize = 64 << 10;
/// How long a connection waits for room in [`REQUEST_MEMORY_BYTES`] before it is closed.
pub const MEMORY_WAIT: Duration = Duration::from_secs(5);
/// Requests in flight on one connection; further ones are not read from the socket (backpressure).
pub const PIPELINED_REQUESTS_MAX: usize = 64;
/// Bytes of requests in flight on one connection; one is always accepted. A group commit's worth should fit a processor's caches.
pub const PIPELINED_REQUEST_BYTES: usize = 4 << 20;
/// Fetches in flight on one connection: theirs are the large responses.
pub const PIPELINED_FETCHES_MAX: usize = 2;
/// Other requests in flight on one connection whose responses may be much larger than they are.
pub const PIPELINED_LISTINGS_MAX: usize = 4;
/// Room made for the beginning of a frame.
pub const FIRST_READ_BYTES: usize = 4 << 10;
/// Room made for one read of a frame after its beginning; the buffer grows with what arrived.
pub const READ_BYTES: usize = 64 << 10;
/// The most room made for one read by a client whose frames are larger than [`READ_BYTES`].
pub const USUAL_READ_BYTES_MAX: usize = 1 << 20;
/// Pause after a failed accept.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// From accepting a connection to the end of TLS and SASL.
pub const AUTHENTICATION_TIME: Duration = Duration::from_secs(30);
/// What a frame may take in either direction, beside the time by [`TRANSFER_BYTES_PER_SECOND_MIN`].
pub const TRANSFER_TIME: Duration = Duration::from_secs(30);
/// The slowest client that is served.
pub const TRANSFER_BYTES_PER_SECOND_MIN: u64 = 16 << 10;
/// How long a closing listener waits for responses to be read.
pub const SHUTDOWN_TIME: Duration = Duration::from_secs(5);
/// Connections to the endpoint of metrics; more wait.
pub const METRICS_CONNECTIONS_MAX: usize = 64;
/// From accepting one of them to the end of its request.
pub const METRICS_REQUEST_TIME: Duration = Duration::from_secs(5);
/// From accepting one of them to the end of its response.
pub const METRICS_TIME: Duration = Duration::from_secs(30);
/// Between two exports to a collector, unless configured otherwise.
pub const OTLP_INTERVAL: Duration = Duration::from_secs(10);
/// Until a collector has responded to an export.
pub const OTLP_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the files of certificates and keys are looked at.
pub const CERTIFICATE_CHECK_MS: i64 = 1_000;
/// Bytes of a file of certificates or keys that is named while the broker runs.
pub const PEM_FILE_BYTES_MAX: u64 = 1 << 20;
/// Rounds of hashing for SCRAM users by configuration.
pub const SCRAM_ITERATIONS: i32 = 4_096;
/// Connections of one HTTP listener; more wait to be accepted.
pub const HTTP_CONNECTIONS_MAX: usize = 2_048;
/// Until the head of an HTTP request has arrived; also how long an idle connection is kept open.
pub const HTTP_HEADER_TIME: Duration = Duration::from_secs(60);
/// How long HTTP requests in flight may take when the server stops.
pub const HTTP_SHUTDOWN_TIME: Duration = Duration::from_secs(3);
/// Bytes of the body of an HTTP request.
pub const HTTP_BODY_BYTES_MAX: usize = 2 << 20;
/// Open sessions, unless `sql-gateway.session.max-num` is lower.
pub const SESSIONS_MAX: usize = 10_000;
/// Operations of one session that were not closed yet.
pub const OPERATIONS_PER_SESSION_MAX: usize = 1_000;
/// Rows of one page of a result.
pub const RESULT_PAGE_ROWS_MAX: usize = 5_000;
/// How long a fetch waits for its statement to be executed before the response says NOT_READY.
pub const STATEMENT_LONG_POLL: Duration = Duration::from_millis(200);
/// How long a fetch waits for the first row of a page before the response is an empty page.
pub const RESULT_LONG_POLL: Duration = Duration::from_millis(500);
/// How often idle sessions are looked for.
pub const SESSION_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Ended jobs in the job store; older ones are forgotten.
pub const ENDED_JOBS_MAX: usize = 100;
/// Failures of one job in the job store.
pub const JOB_EXCEPTIONS_MAX: usize = 32;
/// Changes of state of one job in the job store.
pub const JOB_TRANSITIONS_MAX: usize = 100;
/// Failures of a job that REST shows unless `maxExceptions` says otherwise: Flink's.
pub const EXCEPTIONS_SHOWN: usize = 20;
/// How often the states of running jobs are written to the job store.
pub const JOB_WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// Jobs that are submitted again at the same time when the server starts.
pub const JOBS_RESUMED_TOGETHER: usize = 8;
/// First and longest pause before a kept job that could not be started is tried again.
pub const JOB_RETRY_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Checkpoints and stops whose outcome can be queried.
pub const TRIGGERS_MAX: usize = 1_000;
/// Bytes of the newest lines of the log, and of the `print` connector, that REST shows.
pub const KEPT_LINES_BYTES: usize = 256 << 10;
/// Points of the Web UI's history: an hour of five seconds each.
pub const UI_HISTORY_SAMPLES: usize = 720;
/// Records in one page of the message browser.
pub const UI_RECORDS_MAX: usize = 500;
/// Records that one request of the message browser reads while it looks for those that pass the filter.
pub const UI_SCANNED_RECORDS_MAX: usize = 100_000;
/// Bytes that the message browser fetches at once.
pub const UI_FETCH_BYTES: i32 = 1 << 20;
/// Bytes of one batch after decompression in the message browser.
pub const UI_BATCH_BYTES_MAX: usize = 64 << 20;
/// Bytes of one key or value that the message browser shows; more is cut.
pub const UI_SHOWN_BYTES_MAX: usize = 64 << 10;
/// Credentials of HTTP clients that were checked before and are recognised without hashing a password again.
pub const HTTP_CREDENTIALS_CACHED: usize = 1_000;
/// Rounds of hashing for passwords of the HTTP doors.
pub const PBKDF2_ITERATIONS: u32 = 210_000;
/// Rounds of hashing that a users file may ask for.
pub const PBKDF2_ITERATIONS_MAX: u32 = 10_000_000;

/// How long one look at a savepoint takes that ends its job; the wait continues until the server stops.
pub const SAVEPOINT_LOOK_INTERVAL: Duration = Duration::from_millis(500);
