//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, 7677): the client proves that it knows the password without sending it.
//!
//! Credentials come from AlterUserScramCredentials, stored by the broker, and otherwise from users by configuration. A
//! missing user gets a salt of its own like an existing one, and fails at the end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use millstream_broker::{ScramCredential, ScramMechanism};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

use super::{AuthenticationFailure, SaslServer, Step};
use crate::limits::SCRAM_ITERATIONS;

const NONCE_BYTES: usize = 24;

pub(super) struct ScramServer {
    mechanism: ScramMechanism,
    step: Exchange,
}

enum Exchange {
    First,
    Final(Box<Expected>),
    Done,
}

/// What the client's final message is checked against.
struct Expected {
    user: String,
    /// `None` for a user that does not exist.
    credential: Option<ScramCredential>,
    header: String,
    nonce: String,
    client_first_bare: String,
    server_first: String,
}

impl ScramServer {
    pub fn new(mechanism: ScramMechanism) -> Self {
        Self {
            mechanism,
            step: Exchange::First,
        }
    }

    fn refused(&self, reason: impl Into<String>) -> AuthenticationFailure {
        let name = match self.mechanism {
            ScramMechanism::Sha256 => "SCRAM-SHA-256",
            ScramMechanism::Sha512 => "SCRAM-SHA-512",
        };
        let response = format!(
            "Authentication failed during authentication due to invalid credentials with SASL mechanism {name}"
        );
        AuthenticationFailure::new(&response, reason)
    }

    pub async fn respond(
        &mut self,
        server: &SaslServer,
        message: &[u8],
    ) -> Result<Step, AuthenticationFailure> {
        let text = std::str::from_utf8(message).map_err(|_| self.refused("the message is not text"))?;
        match std::mem::replace(&mut self.step, Exchange::Done) {
            Exchange::First => {
                let expected = self.first(server, text).await?;
                let challenge = expected.server_first.clone().into_bytes();
                self.step = Exchange::Final(Box::new(expected));
                Ok(Step::Challenge(challenge))
            }
            Exchange::Final(expected) => self.last(*expected, text),
            Exchange::Done => Err(self.refused("a message after the end")),
        }
    }

    /// `n,[a=…],n=user,r=nonce[,extensions]`
    async fn first(&self, server: &SaslServer, text: &str) -> Result<Expected, AuthenticationFailure> {
        let wrong = |what: &str| self.refused(format!("the first message has {what}"));
        let mut parts = text.splitn(3, ',');
        let (flag, authorization, bare) = (parts.next(), parts.next(), parts.next());
        let (Some(flag @ ("n" | "y")), Some(authorization), Some(bare)) = (flag, authorization, bare) else {
            return Err(wrong(
                "no header, or wants channel binding, which is not supported",
            ));
        };
        let mut attributes = bare.split(',');
        let user = attributes.next().and_then(|part| part.strip_prefix("n="));
        let user = user.and_then(unescaped).filter(|user| !user.is_empty());
        let user = user.ok_or_else(|| wrong("no user name"))?;
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        let client_nonce = nonce
            .filter(|nonce| !nonce.is_empty())
            .ok_or_else(|| wrong("no nonce"))?;
        if attributes.any(|extension| extension == "tokenauth=true") {
            return Err(wrong("a delegation token, which is not supported"));
        }
        if let Some(other) = authorization
            .strip_prefix("a=")
            .and_then(unescaped)
            .filter(|name| *name != user)
        {
            return Err(self.refused(format!("'{user}' wants to act as '{other}'")));
        }
        let credential = self.credential(server, &user).await?;
        let (salt, iterations) = match &credential {
            Some(credential) => (credential.salt.to_vec(), credential.iterations),
            None => (
                server.users.secret().salt(self.mechanism, &user),
                SCRAM_ITERATIONS,
            ),
        };
        let mut random = [0; NONCE_BYTES];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| self.refused("there is no randomness"))?;
        let nonce = format!("{client_nonce}{}", BASE64.encode(random));
        let server_first = format!("r={nonce},s={},i={iterations}", BASE64.encode(salt));
        Ok(Expected {
            user,
            credential,
            header: format!("{flag},{authorization},"),
            nonce,
            client_first_bare: bare.to_owned(),
            server_first,
        })
    }

    async fn credential(
        &self,
        server: &SaslServer,
        user: &str,
    ) -> Result<Option<ScramCredential>, AuthenticationFailure> {
        let (mechanism, name) = (self.mechanism, user.to_owned());
        let (found, response) = tokio::sync::oneshot::channel();
        let look = move |broker: &mut millstream_broker::Broker| {
            let _ = found.send(broker.scram_credential(&name, mechanism));
        };
        server
            .broker
            .post(look)
            .map_err(|_| self.refused("the broker has stopped"))?;
        if let Some(credential) = response
            .await
            .map_err(|_| self.refused("the broker has stopped"))?
        {
            return Ok(Some(credential));
        }
        match server.users.credential(mechanism, user) {
            None => Ok(None),
            Some(Some(credential)) => Ok(Some(credential)),
            // Soon after the start: they are being derived.
            Some(None) => {
                let (users, name) = (server.users.clone(), user.to_owned());
                let derived = tokio::task::spawn_blocking(move || users.derive(mechanism, &name)).await;
                derived.map_err(|_| self.refused("the credential could not be derived"))
            }
        }
    }

    /// `c=…,r=nonce,p=proof`
    fn last(&self, expected: Expected, text: &str) -> Result<Step, AuthenticationFailure> {
        let user = &expected.user;
        let (without_proof, proof) = text
            .rsplit_once(",p=")
            .ok_or_else(|| self.refused(format!("no proof of '{user}'")))?;
        let attribute = |name: &str| without_proof.split(',').find_map(|part| part.strip_prefix(name));
        if attribute("c=").and_then(|c| BASE64.decode(c).ok()).as_deref() != Some(expected.header.as_bytes())
            || attribute("r=") != Some(expected.nonce.as_str())
        {
            return Err(self.refused(format!(
                "header or nonce of '{user}' differ from the first message"
            )));
        }
        let proof = BASE64
            .decode(proof)
            .map_err(|_| self.refused("the proof is not base64"))?;
        let Some(credential) = &expected.credential else {
            return Err(self.refused(format!("there is no user '{user}' for this mechanism")));
        };
        let auth_message = format!(
            "{},{},{without_proof}",
            expected.client_first_bare, expected.server_first
        );
        let signature = sign(self.mechanism, &credential.stored_key, auth_message.as_bytes());
        if proof.len() != signature.len() {
            return Err(self.refused(format!("the proof of '{user}' is of another length")));
        }
        let client_key: Vec<u8> = proof
            .iter()
            .zip(&signature)
            .map(|(proof, sign)| proof ^ sign)
            .collect();
        let stored_key = ring::digest::digest(digest_of(self.mechanism), &client_key);
        if !bool::from(stored_key.as_ref().ct_eq(&credential.stored_key)) {
            return Err(self.refused(format!("wrong password of '{user}'")));
        }
        let server_signature = sign(self.mechanism, &credential.server_key, auth_message.as_bytes());
        Ok(Step::Done {
            message: format!("v={}", BASE64.encode(server_signature)).into_bytes(),
            user: expected.user,
            expires_ms: None,
        })
    }
}

fn digest_of(mechanism: ScramMechanism) -> &'static ring::digest::Algorithm {
    match mechanism {
        ScramMechanism::Sha256 => &ring::digest::SHA256,
        ScramMechanism::Sha512 => &ring::digest::SHA512,
    }
}

fn sign(mechanism: ScramMechanism, key: &[u8], text: &[u8]) -> Vec<u8> {
    let algorithm = match mechanism {
        ScramMechanism::Sha256 => ring::hmac::HMAC_SHA256,
        ScramMechanism::Sha512 => ring::hmac::HMAC_SHA512,
    };
    ring::hmac::sign(&ring::hmac::Key::new(algorithm, key), text)
        .as_ref()
        .to_vec()
}

/// `=2C` is a comma, `=3D` an equals sign; any other `=` is an error.
fn unescaped(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, behind)) = rest.split_once('=') {
        out.push_str(before);
        rest = if let Some(rest) = behind.strip_prefix("2C") {
            out.push(',');
            rest
        } else {
            out.push('=');
            behind.strip_prefix("3D")?
        };
    }
    out.push_str(rest);
    Some(out)
}
