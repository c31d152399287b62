//! Users of the HTTP doors: a file with hashed passwords and tokens, and the roles that they have.
//!
//! Each line is `basic NAME ROLE ITERATIONS SALT HASH` (PBKDF2 with SHA-256, salt and hash in base64) or
//! `bearer NAME ROLE HASH` (SHA-256 of the token in hexadecimal digits); `#` begins a comment. Beside the file, users may be
//! known by the tokens of an OpenID provider ([`super::oidc`]).

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use subtle::ConstantTimeEq;

use super::oidc::TokenUsers;
use crate::limits::{HTTP_CREDENTIALS_CACHED, PBKDF2_ITERATIONS, PBKDF2_ITERATIONS_MAX};

const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;

/// What a user may do; each role may do what those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Look.
    Viewer,
    /// Steer jobs and run statements.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator, Self::Admin]
            .into_iter()
            .find(|role| role.name() == text)
    }
}

/// Why the users cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    #[error("cannot read the users in '{path}'")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "line {line} of '{path}' is not a user; write 'bearer NAME ROLE SHA256' or let 'millstream serve --hash-user NAME:ROLE' print it"
    )]
    Line { path: String, line: usize },
    #[error("'{path}' names no user")]
    Empty { path: String },
}

enum Secret {
    Password {
        iterations: NonZeroU32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    /// SHA-256 of a token.
    Token(Vec<u8>),
}

struct User {
    name: String,
    role: Role,
    secret: Secret,
}

/// The users of a file, and those with tokens of a provider.
#[derive(Default)]
pub struct HttpUsers {
    users: Vec<User>,
    /// Positions of users by the SHA-256 of credentials that were checked before: hashing a password takes long.
    checked: Mutex<BTreeMap<Vec<u8>, usize>>,
    tokens: Option<TokenUsers>,
}

impl std::fmt::Debug for HttpUsers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.users.iter().map(|user| user.name.as_str()).collect();
        f.debug_tuple("HttpUsers").field(&names).finish()
    }
}

impl HttpUsers {
    pub fn read(path: &Path) -> Result<Self, UsersError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| UsersError::Read {
            path: shown.clone(),
            source,
        })?;
        let mut users = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            users.push(parse(line).ok_or_else(|| UsersError::Line {
                path: shown.clone(),
                line: index + 1,
            })?);
        }
        if users.is_empty() {
            Err(UsersError::Empty { path: shown })
        } else {
            Ok(Self {
                users,
                ..Self::default()
            })
        }
    }

    /// Admits those with tokens of a provider as well.
    pub fn with_tokens(self, tokens: Option<TokenUsers>) -> Self {
        Self { tokens, ..self }
    }

    /// The user of a request's credentials.
    pub fn authenticate(&self, headers: &HeaderMap) -> Option<(String, Role)> {
        let given = headers.get(header::AUTHORIZATION)?.as_bytes();
        let token = given
            .strip_prefix(b"Bearer ")
            .and_then(|token| std::str::from_utf8(token).ok());
        // A token of a provider expires, so it is checked each time.
        if let (Some(tokens), Some(token)) = (&self.tokens, token)
            && let Some(user) = tokens.authenticate(token)
        {
            return Some(user);
        }
        let fingerprint = digest(&SHA256, given).as_ref().to_vec();
        let known = self.checked().get(&fingerprint).copied();
        let position = match known {
            Some(position) => position,
            None => {
                let position = self.find(given)?;
                let mut checked = self.checked();
                if checked.len() >= HTTP_CREDENTIALS_CACHED {
                    checked.clear();
                }
                checked.insert(fingerprint, position);
                position
            }
        };
        let user = &self.users[position];
        Some((user.name.clone(), user.role))
    }

    fn find(&self, given: &[u8]) -> Option<usize> {
        if let Some(token) = given.strip_prefix(b"Bearer ") {
            let hash = digest(&SHA256, token);
            // Every token is compared, in constant time each.
            let fits = |user: &User| matches!(&user.secret, Secret::Token(known) if bool::from(known.ct_eq(hash.as_ref())));
            return self.users.iter().position(fits);
        }
        let decoded = STANDARD.decode(given.strip_prefix(b"Basic ")?).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (name, password) = text.split_once(':')?;
        let fits = |user: &User| match &user.secret {
            Secret::Password {
                iterations,
                salt,
                hash,
            } if user.name == name => {
                pbkdf2::verify(PBKDF2_HMAC_SHA256, *iterations, salt, password.as_bytes(), hash).is_ok()
            }
            _ => false,
        };
        self.users.iter().position(fits)
    }

    fn checked(&self) -> std::sync::MutexGuard<'_, BTreeMap<Vec<u8>, usize>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse(line: &str) -> Option<User> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (name, role, secret) = match words.as_slice() {
        ["basic", name, role, iterations, salt, hash] => {
            let iterations: NonZeroU32 = iterations.parse().ok()?;
            let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
            if iterations.get() > PBKDF2_ITERATIONS_MAX || hash.len() != HASH_BYTES {
                return None;
            }
            (
                name,
                role,
                Secret::Password {
                    iterations,
                    salt,
                    hash,
                },
            )
        }
        ["bearer", name, role, hash] => (name, role, Secret::Token(hexadecimal(hash)?)),
        _ => return None,
    };
    Some(User {
        name: (*name).to_owned(),
        role: Role::parse(role)?,
        secret,
    })
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if text.len() != HASH_BYTES * 2 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The line of a user with a password, its salt from `random`.
pub fn basic_line(name: &str, role: Role, password: &str, random: impl Fn() -> u64) -> String {
    let salt: Vec<u8> = (0..SALT_BYTES / 8).flat_map(|_| random().to_le_bytes()).collect();
    let mut hash = [0; HASH_BYTES];
    let iterations = NonZeroU32::new(PBKDF2_ITERATIONS).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(
        PBKDF2_HMAC_SHA256,
        iterations,
        &salt,
        password.as_bytes(),
        &mut hash,
    );
    format!(
        "basic {name} {} {iterations} {} {}",
        role.name(),
        STANDARD.encode(&salt),
        STANDARD.encode(hash)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(text: &str) -> Result<HttpUsers, UsersError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        HttpUsers::read(file.path())
    }

    fn authenticate(users: &HttpUsers, value: &str) -> Option<(String, Role)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().expect("a header"));
        users.authenticate(&headers)
    }

    #[test]
    fn passwords_and_tokens_are_checked() {
        let line = basic_line("ann", Role::Admin, "s3cret", || 7);
        let token: String = digest(&SHA256, b"tok")
            .as_ref()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let users = users(&format!("# people\n{line}\nbearer ci viewer {token}\n")).expect("users");
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for _ in 0..2 {
            assert_eq!(
                authenticate(&users, &basic("ann:s3cret")),
                Some(("ann".to_owned(), Role::Admin))
            );
        }
        assert_eq!(
            authenticate(&users, "Bearer tok"),
            Some(("ci".to_owned(), Role::Viewer))
        );
        for wrong in [
            basic("ann:x"),
            basic("bob:s3cret"),
            basic("ci:tok"),
            "Bearer to".to_owned(),
            "Basic !".to_owned(),
            "x".to_owned(),
        ] {
            assert_eq!(authenticate(&users, &wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_wrong_line_is_named() {
        for text in [
            "bearer a admin zz",
            "basic a admin 1 = =",
            "bearer a king 00",
            "x",
        ] {
            assert!(
                matches!(users(&format!("\n{text}")), Err(UsersError::Line { line: 2, .. })),
                "{text}"
            );
        }
        assert!(matches!(users("# nothing"), Err(UsersError::Empty { .. })));
    }
}
