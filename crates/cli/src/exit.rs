//! How the program ends.

/// Why a command ended without success.
#[derive(Debug)]
pub enum Failure {
    /// Already told; exit code 1.
    Reported,
    /// To be told; exit code 1.
    Error(anyhow::Error),
    /// Ctrl-C; exit code 130.
    Interrupted,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        // A reader that went away (`| head`) is no failure worth words.
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
    /// Tells the error if it was not told, and gives the exit code.
    pub fn report(self) -> u8 {
        match self {
            Self::Reported => 1,
            Self::Interrupted => 130,
            Self::Error(error) => {
                eprintln!("error: {}", chain(&error));
                1
            }
        }
    }
}

/// The error with its causes, each said once.
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
