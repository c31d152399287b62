//! How the program ends.

use millstream_session::SessionError;

/// Why a command did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// Already reported; exit code 1.
    Reported,
    /// Still to be reported; exit code 1.
    Error(anyhow::Error),
    /// Ctrl-C; exit code 130.
    Interrupted,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        // A reader that went away (`| head`) is not worth an error message.
        let error = error.into();
        let broken_pipe = error
            .chain()
            .filter_map(|e| e.downcast_ref::<std::io::Error>())
            .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe);
        if broken_pipe {
            Self::Reported
        } else {
            Self::Error(error)
        }
    }
}

/// Outcome of a command.
pub type Outcome = Result<(), Failure>;

impl Failure {
    /// Reports the error unless that was done already, and returns the exit code.
    pub fn report(self) -> u8 {
        match self {
            Self::Reported => 1,
            Self::Interrupted => 130,
            Self::Error(error) => {
                match error.downcast_ref::<SessionError>() {
                    Some(statement) if error.chain().len() == 1 => {
                        eprintln!("error[{}]: {}", statement.code, statement.rendered());
                    }
                    _ => eprintln!("error: {}", chain(&error)),
                }
                1
            }
        }
    }
}

/// The error and its causes, each stated once.
pub fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let part = cause.to_string();
        if text.is_empty() {
            text = part;
        } else if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
    }
    text
}
