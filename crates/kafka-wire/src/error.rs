//! Why bytes could not be read as a message, or a message could not be written.

/// Bytes that violate the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("message ends early: {wanted} more bytes wanted, {remaining} at hand")]
    Truncated { wanted: usize, remaining: usize },
    #[error("length {0} is out of range")]
    InvalidLength(i64),
    #[error("array of {count} elements does not fit into the {remaining} bytes at hand")]
    ArrayTooLong { count: usize, remaining: usize },
    #[error("message would take more memory than its size justifies")]
    MemoryExceeded,
    #[error("variable-length integer has too many bytes")]
    VarintTooLong,
    #[error("string is not valid UTF-8")]
    InvalidUtf8,
    #[error("null where the version does not allow it{}", in_field(.0))]
    UnexpectedNull(&'static str),
    #[error("tagged field {tag} does not have the {length} bytes that it claims")]
    TaggedFieldLength { tag: u32, length: usize },
    #[error("version {version} of {message} is not supported (supported: {min} to {max})")]
    UnsupportedVersion {
        message: &'static str,
        version: i16,
        min: i16,
        max: i16,
    },
}

fn in_field(field: &str) -> String {
    if field.is_empty() {
        String::new()
    } else {
        format!(": field `{field}`")
    }
}

/// A message cannot be written in the wanted version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("field `{field}` of {message} is set, but version {version} does not have it")]
    UnsupportedField {
        message: &'static str,
        field: &'static str,
        version: i16,
    },
    #[error("field `{field}` of {message} is null, which version {version} does not allow")]
    NullField {
        message: &'static str,
        field: &'static str,
        version: i16,
    },
    #[error("value of {0} bytes or elements is too long for its length field")]
    TooLong(usize),
    #[error("version {version} of {message} is not supported (supported: {min} to {max})")]
    UnsupportedVersion {
        message: &'static str,
        version: i16,
        min: i16,
        max: i16,
    },
}

impl EncodeError {
    pub(crate) fn unsupported_field(message: &'static str, field: &'static str, version: i16) -> Self {
        EncodeError::UnsupportedField {
            message,
            field,
            version,
        }
    }

    pub(crate) fn null_field(message: &'static str, field: &'static str, version: i16) -> Self {
        EncodeError::NullField {
            message,
            field,
            version,
        }
    }
}
