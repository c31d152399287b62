//! Sessions and operations of the server: what the SQL Gateway and the Web UI have in common.
//!
//! A [`GatewaySession`] owns a [`millstream_session::Session`] and executes one statement at a time, each as an
//! [`Operation`] that clients watch, page through by token, cancel and close. There is no HTTP here: doors translate
//! [`OperationError`] and [`Fetched`] into their own forms.

mod error;
mod manager;
mod operation;
mod results;
mod session;

pub use error::OperationError;
pub use manager::{SessionManager, SessionSettings, uuid};
pub use operation::{Operation, OperationStatus};
pub use results::{Fetched, Page, ResultKind, Results};
pub use session::{GatewaySession, StatementRequest};
