//! SCRAM for users by configuration, and a plausible salt for users that do not exist.
//!
//! A client gets a salt before it has proved anything. The salt of a missing user must look like that of an existing
//! one: separate for each mechanism, the same at all listeners and after a restart, and returned in the same time.
//! Salts are therefore derived from a secret stored beside the log, and credentials are derived once.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock};

use millstream_broker::{ScramCredential, ScramMechanism};
use millstream_kafka_client::admin::scram_salt;
use millstream_kafka_client::config::Secret;
use millstream_types::storage::Storage;
use ring::rand::{SecureRandom, SystemRandom};

use crate::limits::SCRAM_ITERATIONS;

/// The file of the secret.
const FILE: &str = "scram-salts";
const SECRET_BYTES: usize = 32;

/// The secret behind salts, shared by all listeners.
#[derive(Clone)]
pub struct SaltSecret(Arc<ring::hmac::Key>);

impl std::fmt::Debug for SaltSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SaltSecret")
    }
}

impl SaltSecret {
    /// Reads it from where the log is, or makes it at the first start.
    pub fn open(storage: &dyn Storage) -> io::Result<Self> {
        let secret = match storage.read(FILE) {
            Ok(secret) if secret.len() == SECRET_BYTES => secret,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {
                let mut secret = vec![0; SECRET_BYTES];
                let filled = SystemRandom::new().fill(&mut secret);
                filled.map_err(|_| io::Error::other("the system gives no random bytes"))?;
                storage.replace(FILE, &secret)?;
                secret
            }
        };
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
        Ok(Self(Arc::new(key)))
    }

    /// The salt of a user for a mechanism.
    pub(super) fn salt(&self, mechanism: ScramMechanism, user: &str) -> Vec<u8> {
        let text = [&[mechanism as i8 as u8], user.as_bytes()].concat();
        let random = ring::hmac::sign(&self.0, &text);
        scram_salt(std::array::from_fn(|at| random.as_ref()[at]))
    }
}

/// The users by configuration of a listener.
pub(super) struct ConfiguredUsers {
    secret: SaltSecret,
    users: BTreeMap<String, User>,
}

struct User {
    password: Secret,
    sha256: OnceLock<ScramCredential>,
    sha512: OnceLock<ScramCredential>,
}

impl ConfiguredUsers {
    pub fn new(users: &BTreeMap<String, Secret>, secret: SaltSecret) -> Self {
        let user = |(name, password): (&String, &Secret)| {
            let user = User {
                password: password.clone(),
                sha256: OnceLock::new(),
                sha512: OnceLock::new(),
            };
            (name.clone(), user)
        };
        Self {
            secret,
            users: users.iter().map(user).collect(),
        }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(String::as_str)
    }

    pub fn secret(&self) -> &SaltSecret {
        &self.secret
    }

    /// The credential of a user; `None` for an unknown user, `Some(None)` if it has not been derived yet.
    pub fn credential(&self, mechanism: ScramMechanism, name: &str) -> Option<Option<ScramCredential>> {
        let user = self.users.get(name)?;
        Some(user.derived(mechanism).get().cloned())
    }

    /// Derives a credential unless that has been done. Takes milliseconds.
    pub fn derive(&self, mechanism: ScramMechanism, name: &str) -> Option<ScramCredential> {
        let user = self.users.get(name)?;
        let derived = user.derived(mechanism).get_or_init(|| {
            let salt = self.secret.salt(mechanism, name);
            derived(mechanism, user.password.reveal(), &salt)
        });
        Some(derived.clone())
    }
}

impl User {
    fn derived(&self, mechanism: ScramMechanism) -> &OnceLock<ScramCredential> {
        match mechanism {
            ScramMechanism::Sha256 => &self.sha256,
            ScramMechanism::Sha512 => &self.sha512,
        }
    }
}

fn derived(mechanism: ScramMechanism, password: &str, salt: &[u8]) -> ScramCredential {
    let (algorithm, length) = match mechanism {
        ScramMechanism::Sha256 => (ring::pbkdf2::PBKDF2_HMAC_SHA256, 32),
        ScramMechanism::Sha512 => (ring::pbkdf2::PBKDF2_HMAC_SHA512, 64),
    };
    let mut salted = vec![0; length];
    let rounds =
        std::num::NonZeroU32::new(SCRAM_ITERATIONS.unsigned_abs()).unwrap_or(std::num::NonZeroU32::MIN);
    ring::pbkdf2::derive(algorithm, rounds, salt, password.as_bytes(), &mut salted);
    ScramCredential::new(mechanism, salt, &salted, SCRAM_ITERATIONS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_testkit::storage::MemStorage;

    const BOTH: [ScramMechanism; 2] = [ScramMechanism::Sha256, ScramMechanism::Sha512];

    #[test]
    fn salts_stay_and_belong_to_one_user_and_one_mechanism() {
        let storage = MemStorage::new();
        let secret = SaltSecret::open(&storage).unwrap();
        let again = SaltSecret::open(&storage).unwrap();
        let other = SaltSecret::open(&MemStorage::new()).unwrap();
        let mut salts = Vec::new();
        for user in ["alice", "bob", "eve"] {
            for mechanism in BOTH {
                let salt = secret.salt(mechanism, user);
                assert!((20..=26).contains(&salt.len()), "{salt:?}");
                assert_eq!(again.salt(mechanism, user), salt, "after a restart");
                assert_ne!(other.salt(mechanism, user), salt);
                salts.push(salt);
            }
        }
        salts.sort_unstable();
        salts.dedup();
        assert_eq!(salts.len(), 6);
    }

    #[test]
    fn a_damaged_secret_is_regenerated() {
        let storage = MemStorage::new();
        storage.replace(FILE, b"half").unwrap();
        SaltSecret::open(&storage).unwrap();
        assert_eq!(storage.read(FILE).unwrap().len(), SECRET_BYTES);
    }

    #[test]
    fn credentials_are_derived_once() {
        let secret = SaltSecret::open(&MemStorage::new()).unwrap();
        let alice = BTreeMap::from([("alice".to_owned(), Secret::new("alice-secret"))]);
        let users = ConfiguredUsers::new(&alice, secret.clone());
        for mechanism in BOTH {
            assert!(users.credential(mechanism, "eve").is_none());
            assert!(users.derive(mechanism, "eve").is_none());
            assert!(matches!(users.credential(mechanism, "alice"), Some(None)));
            let derived = users.derive(mechanism, "alice").unwrap();
            assert_eq!(derived.salt, secret.salt(mechanism, "alice"));
            let kept = users.credential(mechanism, "alice").flatten().unwrap();
            // Not an equal one, but the same.
            assert_eq!(kept.stored_key.as_ptr(), derived.stored_key.as_ptr());
        }
    }
}
