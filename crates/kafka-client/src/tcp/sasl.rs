//! SASL conversations as state machines: bytes from the server in, bytes for the server out. SCRAM also makes the
//! server prove that it knows the password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha512};

use crate::config::{SaslConfig, SaslMechanism};

/// The fewest rounds of hashing that a server may ask for, as RFC 7677 has it.
const ITERATIONS_MIN: u32 = 4096;
/// The most rounds of hashing that a server may ask for (SCRAM): with more a hostile one would only burn time.
const ITERATIONS_MAX: u32 = 1_000_000;

/// One authentication.
pub(super) struct SaslExchange {
    config: SaslConfig,
    nonce: String,
    step: Step,
}

enum Step {
    /// Waiting for the server's first message, or for its only one.
    First,
    /// Waiting for the server's proof, which must be this.
    Final {
        server_signature: Vec<u8>,
    },
    Done,
}

/// Why the client ends a conversation.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SaslError {
    #[error("the server continues after the end of the conversation")]
    AfterEnd,
    #[error("the server's message is not text")]
    NoText,
    #[error("the server refused: {0}")]
    Refused(String),
    #[error("the server sent no {0}")]
    Missing(&'static str),
    #[error("the server's salt is not base64")]
    Salt(#[source] base64::DecodeError),
    #[error("the server's nonce does not continue ours")]
    Nonce,
    #[error("{0} iterations are outside of {ITERATIONS_MIN} to {ITERATIONS_MAX}")]
    Iterations(u32),
    #[error("the server does not know the password: its signature is wrong")]
    Signature,
}

impl SaslExchange {
    /// `nonce` must be new for each conversation.
    pub fn new(config: &SaslConfig, nonce: u128) -> Self {
        SaslExchange {
            config: config.clone(),
            nonce: format!("{nonce:032x}"),
            step: Step::First,
        }
    }

    /// The client's first message.
    pub fn first_message(&self) -> Vec<u8> {
        match self.config.mechanism {
            SaslMechanism::Plain => {
                format!("\0{}\0{}", self.config.username, self.config.password.reveal()).into_bytes()
            }
            _ => format!("n,,{}", self.client_first_bare()).into_bytes(),
        }
    }

    fn client_first_bare(&self) -> String {
        let username = self.config.username.replace('=', "=3D").replace(',', "=2C");
        format!("n={username},r={}", self.nonce)
    }

    /// Handles the server's message. `Some` is the next message to it; `None` means that both sides are satisfied.
    pub fn respond(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, SaslError> {
        match (&self.step, self.config.mechanism) {
            (Step::Done, _) => Err(SaslError::AfterEnd),
            (Step::First, SaslMechanism::Plain) => {
                self.step = Step::Done;
                Ok(None)
            }
            (Step::First, mechanism) => {
                let text = std::str::from_utf8(message).map_err(|_| SaslError::NoText)?;
                let (proof, server_signature) = match mechanism {
                    SaslMechanism::ScramSha512 => self.client_final::<Sha512Family>(text)?,
                    _ => self.client_final::<Sha256Family>(text)?,
                };
                self.step = Step::Final { server_signature };
                Ok(Some(proof.into_bytes()))
            }
            (Step::Final { server_signature }, _) => {
                check_server_final(message, server_signature)?;
                self.step = Step::Done;
                Ok(None)
            }
        }
    }

    fn client_final<H: HashFamily>(&self, server_first: &str) -> Result<(String, Vec<u8>), SaslError> {
        let attribute = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name));
        if let Some(error) = attribute("e=") {
            return Err(SaslError::Refused(error.to_owned()));
        }
        let nonce = attribute("r=").ok_or(SaslError::Missing("nonce"))?;
        let salt = attribute("s=").ok_or(SaslError::Missing("salt"))?;
        let salt = BASE64.decode(salt).map_err(SaslError::Salt)?;
        let iterations: u32 = attribute("i=")
            .and_then(|i| i.parse().ok())
            .ok_or(SaslError::Missing("iteration count"))?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(SaslError::Nonce);
        }
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(SaslError::Iterations(iterations));
        }
        let salted = H::salted_password(self.config.password.reveal().as_bytes(), &salt, iterations);
        let client_key = H::hmac(&salted, b"Client Key");
        let stored_key = H::hash(&client_key);
        let without_proof = format!("c=biws,r={nonce}");
        let auth_message = format!("{},{server_first},{without_proof}", self.client_first_bare());
        let signature = H::hmac(&stored_key, auth_message.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(key, sign)| key ^ sign)
            .collect();
        let server_key = H::hmac(&salted, b"Server Key");
        let server_signature = H::hmac(&server_key, auth_message.as_bytes());
        Ok((
            format!("{without_proof},p={}", BASE64.encode(proof)),
            server_signature,
        ))
    }
}

/// The credential that a server stores instead of a password; empty for mechanisms without one.
pub(crate) fn salted_password(
    mechanism: SaslMechanism,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
) -> Vec<u8> {
    match mechanism {
        SaslMechanism::ScramSha256 => Sha256Family::salted_password(password, salt, iterations),
        SaslMechanism::ScramSha512 => Sha512Family::salted_password(password, salt, iterations),
        _ => Vec::new(),
    }
}

fn check_server_final(message: &[u8], expected: &[u8]) -> Result<(), SaslError> {
    let text = std::str::from_utf8(message).map_err(|_| SaslError::NoText)?;
    if let Some(error) = text.strip_prefix("e=") {
        return Err(SaslError::Refused(error.to_owned()));
    }
    let signature = text.split(',').find_map(|part| part.strip_prefix("v="));
    let signature = signature
        .and_then(|text| BASE64.decode(text).ok())
        .ok_or(SaslError::Missing("signature"))?;
    if signature != expected {
        return Err(SaslError::Signature);
    }
    Ok(())
}

/// The hash function of a SCRAM mechanism.
trait HashFamily {
    fn hash(data: &[u8]) -> Vec<u8>;
    fn hmac(key: &[u8], data: &[u8]) -> Vec<u8>;
    fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8>;
}

struct Sha256Family;
struct Sha512Family;

impl HashFamily for Sha256Family {
    fn hash(data: &[u8]) -> Vec<u8> {
        Sha256::digest(data).to_vec()
    }

    fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("keys of any length are allowed");
        mac.update(data);
        mac.finalize().into_bytes().to_vec()
    }

    fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut out = vec![0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut out);
        out
    }
}

impl HashFamily for Sha512Family {
    fn hash(data: &[u8]) -> Vec<u8> {
        Sha512::digest(data).to_vec()
    }

    fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
        let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("keys of any length are allowed");
        mac.update(data);
        mac.finalize().into_bytes().to_vec()
    }

    fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut out = vec![0; 64];
        pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn exchange(mechanism: SaslMechanism) -> SaslExchange {
        let config = SaslConfig {
            mechanism,
            username: "user".into(),
            password: Secret::new("pencil"),
        };
        SaslExchange {
            config,
            nonce: "rOprNGfwEbeRWgbNEkqO".into(),
            step: Step::First,
        }
    }

    #[test]
    fn scram_sha_256_follows_the_example_of_rfc_7677() {
        let mut exchange = exchange(SaslMechanism::ScramSha256);
        assert_eq!(exchange.first_message(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server_first =
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let reply = exchange
            .respond(server_first)
            .expect("well-formed")
            .expect("another step");
        let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(String::from_utf8(reply).expect("text"), expected);
        let end = exchange.respond(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(end, Ok(None));
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_refused() {
        let mut exchange = exchange(SaslMechanism::ScramSha512);
        let first = b"r=rOprNGfwEbeRWgbNEkqOxyz,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        exchange.respond(first).expect("well-formed");
        let refused = exchange.respond(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert!(
            refused
                .expect_err("wrong signature")
                .to_string()
                .contains("signature is wrong")
        );
    }

    #[test]
    fn servers_may_not_weaken_or_stall_the_conversation() {
        for first in [
            "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000",
            "e=unknown-user",
            "",
        ] {
            assert!(
                exchange(SaslMechanism::ScramSha256)
                    .respond(first.as_bytes())
                    .is_err(),
                "{first}"
            );
        }
    }

    #[test]
    fn plain_sends_user_and_password() {
        let mut exchange = exchange(SaslMechanism::Plain);
        assert_eq!(exchange.first_message(), b"\0user\0pencil");
        assert_eq!(exchange.respond(b""), Ok(None));
    }
}
