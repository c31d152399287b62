//! PLAIN (RFC 4616): name and password in one message.

use subtle::ConstantTimeEq;

use super::{AuthenticationFailure, SaslServer, Step};

/// Kafka's message to clients.
const INVALID: &str = "Authentication failed: Invalid username or password";

pub(super) struct PlainServer;

impl PlainServer {
    /// `[authorization id] NUL name NUL password`
    pub fn respond(&self, server: &SaslServer, message: &[u8]) -> Result<Step, AuthenticationFailure> {
        let text = std::str::from_utf8(message)
            .map_err(|_| AuthenticationFailure::new(INVALID, "the message is not text"))?;
        let mut parts = text.split('\0');
        let (authorization, Some(user), Some(password), None) = (
            parts.next().unwrap_or_default(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(AuthenticationFailure::new(
                INVALID,
                "the message is not of three parts",
            ));
        };
        if user.is_empty() || password.is_empty() {
            return Err(AuthenticationFailure::new(INVALID, "user or password is empty"));
        }
        if !authorization.is_empty() && authorization != user {
            let response =
                "Authentication failed: Client requested an authorization id that is different from username";
            return Err(AuthenticationFailure::new(
                response,
                format!("'{user}' wants to act as '{authorization}'"),
            ));
        }
        let expected = server.settings.users.get(user);
        // An unknown user goes through the same comparison, so that timing does not reveal which users exist.
        let reference = expected.map_or("", |secret| secret.reveal());
        let is_same = bool::from(digest(reference).ct_eq(&digest(password)));
        if expected.is_none() || !is_same {
            return Err(AuthenticationFailure::new(
                INVALID,
                format!("wrong user or password for '{user}'"),
            ));
        }
        Ok(Step::Done {
            message: Vec::new(),
            user: user.to_owned(),
            expires_ms: None,
        })
    }
}

fn digest(text: &str) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, text.as_bytes())
        .as_ref()
        .to_vec()
}
