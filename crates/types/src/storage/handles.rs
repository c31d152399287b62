//! Opens files while no file handle is free.
//!
//! A process at its limit of files and sockets cannot open another file, but may soon, when a connection ends. A log
//! that took this for a broken disk would stay closed until the next start, so opening is retried for a while. Files
//! that are open already are not affected.

use crate::limits::{OPEN_ATTEMPTS_MAX, OPEN_PAUSE};
use std::io;
use std::time::Duration;

/// Runs an attempt that needs a handle; waits for a free one, up to a limit.
pub(super) fn with_handle<T>(attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    #[allow(clippy::disallowed_methods)] // nothing tells when a handle is free
    let pause = std::thread::sleep;
    with_pauses(attempt, pause)
}

fn with_pauses<T>(
    mut attempt: impl FnMut() -> io::Result<T>,
    mut pause: impl FnMut(Duration),
) -> io::Result<T> {
    for _ in 1..OPEN_ATTEMPTS_MAX {
        match attempt() {
            Err(error) if is_out_of_handles(&error) => pause(OPEN_PAUSE),
            result => return result,
        }
    }
    attempt().map_err(|error| if is_out_of_handles(&error) { io::Error::new(
            error.kind(),
            format!("too many files and connections are open ({error}); allow more with `ulimit -n`, or fewer connections"),
        ) } else { error })
}

/// Whether the process or the machine has no free file handle.
pub(super) fn is_out_of_handles(error: &io::Error) -> bool {
    #[cfg(unix)]
    const CODES: [i32; 2] = [libc::EMFILE, libc::ENFILE];
    #[cfg(not(unix))]
    const CODES: [i32; 1] = [4]; // ERROR_TOO_MANY_OPEN_FILES
    error.raw_os_error().is_some_and(|code| CODES.contains(&code))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Fails with these error codes, then succeeds. Returns the result and the waits.
    fn opened(codes: &[i32]) -> (io::Result<()>, Vec<Duration>) {
        let (mut codes, mut pauses) = (codes.iter(), Vec::new());
        let attempt = || match codes.next() {
            Some(code) => Err(io::Error::from_raw_os_error(*code)),
            None => Ok(()),
        };
        let result = with_pauses(attempt, |pause| pauses.push(pause));
        (result, pauses)
    }

    #[test]
    fn a_handle_is_waited_for_and_nothing_else_is() {
        for (codes, expected, pauses) in [
            (vec![], Ok(()), 0),
            (vec![libc::EMFILE, libc::ENFILE, libc::EMFILE], Ok(()), 3),
            (vec![libc::ENOSPC], Err(Some(libc::ENOSPC)), 0),
            (vec![libc::EMFILE, libc::ENOENT], Err(Some(libc::ENOENT)), 1),
            (
                vec![libc::EMFILE; OPEN_ATTEMPTS_MAX as usize - 1],
                Ok(()),
                OPEN_ATTEMPTS_MAX - 1,
            ),
        ] {
            let (result, waited) = opened(&codes);
            assert_eq!(
                result.map_err(|error| error.raw_os_error()),
                expected,
                "{codes:?}"
            );
            assert_eq!(waited, vec![OPEN_PAUSE; pauses as usize], "{codes:?}");
        }
    }

    #[test]
    fn waiting_is_limited_and_the_remedy_is_named() {
        let (result, waited) = opened(&[libc::EMFILE; OPEN_ATTEMPTS_MAX as usize + 1]);
        assert!(result.unwrap_err().to_string().contains("`ulimit -n`"));
        assert_eq!(waited.len(), OPEN_ATTEMPTS_MAX as usize - 1);
    }
}
