//! Kafka's error codes as they travel: a number that may be newer than this codec. The constants are generated from
//! `specs/kafka/errors.txt`.

use std::fmt;

/// An error code of the protocol. Compare and match with the constants, such as [`ErrorCode::NONE`].
///
/// ```
/// use millstream_kafka_wire::ErrorCode;
/// let code = ErrorCode(6);
/// assert_eq!(code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
/// assert!(code.is_retriable());
/// assert_eq!(code.to_string(), "NOT_LEADER_OR_FOLLOWER");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

impl ErrorCode {
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    pub const fn is_error(self) -> bool {
        self.0 != 0
    }

    /// `Ok` if this is `NONE`, the code itself as error otherwise.
    pub const fn check(self) -> Result<(), ErrorCode> {
        if self.is_none() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "UNKNOWN_ERROR_CODE_{}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}({})", self.0)
    }
}
