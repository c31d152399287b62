//! Why a program failed.

use millstream_dataflow::DataflowError;
use millstream_session::SessionError;
use millstream_state::StateError;
use millstream_types::ErrorKind;

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a program, and what may be done about it ([`ErrorKind`]).
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
}

impl Error {
    /// The program or its settings are wrong.
    pub fn input(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Input,
            message: message.into(),
        }
    }

    /// A record is wrong. The job fails and is not restarted: the same record would fail it again.
    pub fn data(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Data,
            message: message.into(),
        }
    }

    /// The host failed: the job is restarted as its restart strategy says.
    pub fn environment(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Environment,
            message: message.into(),
        }
    }

    /// Something that does not work here.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Unsupported,
            message: message.into(),
        }
    }
}

impl From<DataflowError> for Error {
    fn from(error: DataflowError) -> Self {
        Self {
            kind: error.kind,
            message: error.message,
        }
    }
}

impl From<Error> for DataflowError {
    fn from(error: Error) -> Self {
        DataflowError::new(error.kind, error.message)
    }
}

impl From<SessionError> for Error {
    fn from(error: SessionError) -> Self {
        Self {
            kind: error.kind,
            message: error.message,
        }
    }
}

impl From<StateError> for Error {
    fn from(error: StateError) -> Self {
        DataflowError::from(error).into()
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::environment(error.to_string())
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::data(error.to_string())
    }
}

impl From<std::num::ParseIntError> for Error {
    fn from(error: std::num::ParseIntError) -> Self {
        Self::data(error.to_string())
    }
}

impl From<std::num::ParseFloatError> for Error {
    fn from(error: std::num::ParseFloatError) -> Self {
        Self::data(error.to_string())
    }
}

impl From<std::str::Utf8Error> for Error {
    fn from(error: std::str::Utf8Error) -> Self {
        Self::data(error.to_string())
    }
}
