//! How many files and sockets the process may have open, and how they are shared out.
//!
//! Connections and the log's files come out of one number. The usual limit of 1024 is for programs of another kind and may
//! be raised by the process itself up to a hard one, as Java does. Of what there is then a part is kept for files: no number
//! of connections may stop the log.

use crate::limits::{
    CONNECTIONS_MAX, DELAYED_CLOSES_MAX, FILES_RESERVED, FILES_WANTED_MAX, PROTECTED_CONNECTIONS,
};

/// How many connections there may be of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Open ones, without those that only the protected listener takes.
    pub connections: usize,
    /// Those that only the protected listener takes.
    pub protected: usize,
    /// Those that are refused, but closed only after a while.
    pub delayed_closes: usize,
}

impl Shares {
    /// The shares of a process that may have `limit` files open; `None` means no limit.
    pub fn of(limit: Option<u64>) -> Self {
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let room = limit - FILES_RESERVED.min(limit / 2);
        let protected = PROTECTED_CONNECTIONS.min(room / 10);
        let delayed_closes = DELAYED_CLOSES_MAX.min(room / 10);
        Self {
            connections: CONNECTIONS_MAX.min(room - protected - delayed_closes),
            protected,
            delayed_closes,
        }
    }
}

/// Raises the limit of open files as far as the process may; gives what it is now, `None` if there is none.
#[cfg(unix)]
pub fn raise() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let before = current?;
    // Some systems call the hard limit endless and take no more than 10240.
    for wanted in [maximum.unwrap_or(FILES_WANTED_MAX).min(FILES_WANTED_MAX), 10_240] {
        let limit = Rlimit {
            current: Some(wanted),
            maximum,
        };
        if wanted > before && setrlimit(Resource::Nofile, limit).is_ok() {
            tracing::debug!(before, now = wanted, "the limit of open files was raised");
            return Some(wanted);
        }
    }
    Some(before)
}

/// There is no such limit on this system.
#[cfg(not(unix))]
pub fn raise() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_files() {
        for (limit, connections, protected, delayed_closes) in [
            (None, CONNECTIONS_MAX, PROTECTED_CONNECTIONS, DELAYED_CLOSES_MAX),
            (
                Some(1 << 20),
                CONNECTIONS_MAX,
                PROTECTED_CONNECTIONS,
                DELAYED_CLOSES_MAX,
            ),
            (Some(4096), 2458, 307, 307),
            (Some(1024), 410, 51, 51),
            (Some(10), 5, 0, 0),
            (Some(0), 0, 0, 0),
        ] {
            let shares = Shares {
                connections,
                protected,
                delayed_closes,
            };
            assert_eq!(Shares::of(limit), shares, "{limit:?}");
            let all = (connections + protected + delayed_closes) as u64;
            assert!(limit.is_none_or(|limit| all <= limit.div_ceil(2) || all + 1024 <= limit));
        }
    }

    #[test]
    #[cfg(unix)]
    fn the_limit_is_raised_as_far_as_the_process_may() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let maximum = getrlimit(Resource::Nofile).maximum;
        let hard = maximum.unwrap_or(FILES_WANTED_MAX).min(FILES_WANTED_MAX);
        let low = Rlimit {
            current: Some(hard.min(512)),
            maximum,
        };
        setrlimit(Resource::Nofile, low).unwrap();
        assert_eq!(raise(), getrlimit(Resource::Nofile).current);
        assert!(raise() >= Some(hard.min(10_240)));
    }
}
