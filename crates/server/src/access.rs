//! Who sends a request, and what a caller from the network may have the server do with its files and its network.
//!
//! Statements name files and hosts, and the server opens them with its own rights. The owner of the data directory has
//! those rights anyway and proves it by a token that lies in the directory, readable by the owner alone. Other callers
//! are limited to what the administrator has named.

use std::io;
use std::path::Path;

use millstream_session::{ALLOWED_DIRECTORIES, FileAccess};
use millstream_types::{OptionDecl, OptionType, Options};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

use crate::kafka::Destinations;
use crate::kafka::destinations::{ALLOWED_HOSTS, NoHost};

const TOKEN_BYTES: usize = 32;
/// Directories that an administrator has named by configuring them.
const CONFIGURED_DIRECTORIES: [&str; 2] = [
    "execution.checkpointing.dir",
    "execution.checkpointing.savepoint-dir",
];

/// Configuration keys of a server for statements of callers from the network.
pub const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        ALLOWED_DIRECTORIES,
        OptionType::String,
        "Directories and URLs of object stores below which SQL over HTTP may read and write, with ; between them; none \
         unless set.",
    ),
    OptionDecl::new(
        ALLOWED_HOSTS,
        OptionType::String,
        "Hosts, with or without a port, that SQL over HTTP may connect to, with ; between them; unless set, all but \
         link-local addresses and, where users authenticate, loopback.",
    ),
];

/// Why the limits cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error(transparent)]
    Host(#[from] NoHost),
    #[error("cannot use the directories of '{ALLOWED_DIRECTORIES}'")]
    Directory(#[source] io::Error),
}

/// What statements of callers from the network may name.
#[derive(Clone, Debug, Default)]
pub struct RemoteAccess {
    pub files: FileAccess,
    pub destinations: Destinations,
}

impl RemoteAccess {
    /// `authenticates`: whether callers have to say who they are, and so may sit on other machines.
    pub fn read(options: &Options, data_dir: &Path, authenticates: bool) -> Result<Self, AccessError> {
        let named = options.get(ALLOWED_DIRECTORIES).map_or("", String::as_str);
        let configured = CONFIGURED_DIRECTORIES.iter().filter_map(|key| options.get(*key));
        let locations = named
            .split(';')
            .chain(configured.map(String::as_str))
            .map(str::trim)
            .filter(|text| !text.is_empty());
        let destinations = match options.get(ALLOWED_HOSTS) {
            Some(text) => Destinations::parse(text)?,
            None => Destinations::Usual {
                loopback: !authenticates,
            },
        };
        Ok(Self {
            files: FileAccess::limited(locations, data_dir).map_err(AccessError::Directory)?,
            destinations,
        })
    }
}

/// Who sends a request; a part of it once it has passed the guard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user, where users authenticate.
    pub user: Option<String>,
    /// Has the rights of the server's process.
    pub is_owner: bool,
}

/// The secret of one run of the server. Only its hash stays in memory.
pub struct OwnerToken {
    hash: Vec<u8>,
}

impl std::fmt::Debug for OwnerToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnerToken")
    }
}

impl OwnerToken {
    /// A new token, and its text.
    pub fn generate() -> io::Result<(Self, String)> {
        let text: String = random_bytes::<TOKEN_BYTES>()?
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let hash = digest(&SHA256, text.as_bytes()).as_ref().to_vec();
        Ok((Self { hash }, text))
    }

    /// Whether this is the token.
    pub fn is(&self, text: &[u8]) -> bool {
        bool::from(self.hash.ct_eq(digest(&SHA256, text).as_ref()))
    }
}

/// Unpredictable bytes. The process's [`millstream_types::Rng`] is for jitter and names, not for secrets.
pub fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the operating system gives no random bytes"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_recognised() {
        let (token, text) = OwnerToken::generate().unwrap();
        let (_, other) = OwnerToken::generate().unwrap();
        assert_eq!(text.len(), 2 * TOKEN_BYTES);
        assert!(token.is(text.as_bytes()));
        assert!(!token.is(other.as_bytes()) && !token.is(b""));
    }

    #[test]
    fn limits_are_read_from_the_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let (data, open) = (directory.path().join("data"), directory.path().join("open"));
        std::fs::create_dir_all(&open).unwrap();
        let options = Options::from([
            (
                ALLOWED_DIRECTORIES.to_owned(),
                format!("{}; s3://bucket/open/", open.display()),
            ),
            (
                "execution.checkpointing.savepoint-dir".to_owned(),
                format!("file://{}", data.join("savepoints").display()),
            ),
        ]);
        let access = RemoteAccess::read(&options, &data, true).unwrap();
        for (path, allowed) in [
            (open.join("a"), true),
            (data.join("savepoints/s"), true),
            (data, false),
        ] {
            let path = path.display().to_string();
            assert_eq!(access.files.check("table", &path).is_ok(), allowed, "{path}");
        }
        for (url, allowed) in [
            ("s3://bucket/open", true),
            ("s3://bucket/open/a", true),
            ("s3://bucket/opened", false),
            ("s3://bucket/open/../a", false),
            ("s3a://bucket/open", false),
        ] {
            assert_eq!(access.files.check("table", url).is_ok(), allowed, "{url}");
        }
        assert_eq!(access.destinations, Destinations::Usual { loopback: false });
        let wrong = Options::from([(ALLOWED_HOSTS.to_owned(), "http://x".to_owned())]);
        assert!(RemoteAccess::read(&wrong, directory.path(), false).is_err());
    }
}
