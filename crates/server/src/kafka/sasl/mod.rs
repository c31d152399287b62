//! SASL authentication of a listener: handshake, messages, outcome, and re-authentication before the session expires
//! (KIP-368).
//!
//! An [`Authentication`] belongs to one connection. It takes requests and tokens and returns responses; it does not
//! touch the socket. Until the client is authenticated, only ApiVersions and SASL requests are accepted.

mod configured;
mod jwt;
mod oauth;
mod plain;
mod scram;

use std::sync::Arc;

use bytes::Bytes;
use millstream_broker::{BrokerHandle, ScramMechanism};
use millstream_kafka_wire::messages::{
    SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use millstream_types::Clock;

use super::config::{Mechanism, SaslSettings};
use configured::ConfiguredUsers;
use oauth::OauthServer;
use plain::PlainServer;
use scram::ScramServer;

pub use configured::SaltSecret;
pub use jwt::JwksError;
pub(crate) use jwt::TokenChecker;

/// State shared by all connections of a listener.
pub struct SaslServer {
    pub settings: SaslSettings,
    broker: BrokerHandle,
    clock: Arc<dyn Clock>,
    tokens: Option<Arc<jwt::TokenChecker>>,
    users: Arc<ConfiguredUsers>,
}

impl std::fmt::Debug for SaslServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SaslServer").finish_non_exhaustive()
    }
}

impl SaslServer {
    /// Reads the key set, if tokens are accepted.
    pub fn new(
        settings: SaslSettings,
        broker: BrokerHandle,
        clock: Arc<dyn Clock>,
        salts: SaltSecret,
    ) -> Result<Self, JwksError> {
        let tokens = settings.oauth.clone();
        let tokens = tokens
            .map(|oauth| jwt::TokenChecker::new(oauth, clock.clone()))
            .transpose()?;
        let users = Arc::new(ConfiguredUsers::new(&settings.users, salts));
        Ok(Self {
            settings,
            broker,
            clock,
            tokens: tokens.map(Arc::new),
            users,
        })
    }

    /// Derives credentials of users by configuration in the background, so that their logins take no longer than those
    /// of missing users. Must be called inside a tokio runtime.
    pub fn derive_ahead(&self) {
        let users = Arc::downgrade(&self.users);
        let offered = self.settings.mechanisms.iter().copied();
        let offered: Vec<ScramMechanism> = offered.filter_map(scram).collect();
        let names: Vec<String> = self.users.names().map(str::to_owned).collect();
        tokio::task::spawn_blocking(move || {
            for name in names {
                for mechanism in &offered {
                    // Not for a listener that has gone.
                    let Some(users) = users.upgrade() else { return };
                    users.derive(*mechanism, &name);
                }
            }
        });
    }

    fn conversation(&self, mechanism: Mechanism) -> Conversation {
        match mechanism {
            Mechanism::Plain => Conversation::Plain(PlainServer),
            Mechanism::ScramSha256 => Conversation::Scram(Box::new(ScramServer::new(ScramMechanism::Sha256))),
            Mechanism::ScramSha512 => Conversation::Scram(Box::new(ScramServer::new(ScramMechanism::Sha512))),
            Mechanism::OauthBearer => Conversation::Oauth(OauthServer::default()),
        }
    }
}

fn scram(mechanism: Mechanism) -> Option<ScramMechanism> {
    match mechanism {
        Mechanism::ScramSha256 => Some(ScramMechanism::Sha256),
        Mechanism::ScramSha512 => Some(ScramMechanism::Sha512),
        Mechanism::Plain | Mechanism::OauthBearer => None,
    }
}

/// Why authentication failed. The message to the client reveals no more than necessary; the reason is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticationFailure {
    /// For the client.
    pub message: String,
    /// For the log.
    pub reason: String,
}

impl AuthenticationFailure {
    fn new(message: &str, reason: impl Into<String>) -> Self {
        Self {
            message: message.to_owned(),
            reason: reason.into(),
        }
    }
}

/// A mechanism's reaction to a message.
pub(super) enum Step {
    Challenge(Vec<u8>),
    /// Authentication has failed, and the client has to acknowledge that.
    Refusing {
        message: Vec<u8>,
        refused: AuthenticationFailure,
    },
    Done {
        message: Vec<u8>,
        user: String,
        /// When the credential itself runs out.
        expires_ms: Option<i64>,
    },
}

enum Conversation {
    Plain(PlainServer),
    Scram(Box<ScramServer>),
    Oauth(OauthServer),
}

impl Conversation {
    async fn respond(&mut self, server: &SaslServer, message: &[u8]) -> Result<Step, AuthenticationFailure> {
        match self {
            Conversation::Plain(plain) => plain.respond(server, message),
            Conversation::Scram(scram) => scram.respond(server, message).await,
            Conversation::Oauth(oauth) => oauth.respond(server, message),
        }
    }
}

/// An authenticated client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub principal: KafkaString,
    pub mechanism: Mechanism,
    /// When it must have authenticated again.
    pub expires_ms: Option<i64>,
}

enum State {
    /// Waiting for a handshake; no client is authenticated unless [`Authentication::identity`] is set.
    Idle,
    /// In a conversation. With a handshake of version 0 tokens come bare.
    Talking {
        conversation: Conversation,
        mechanism: Mechanism,
        is_bare: bool,
    },
    /// The client was refused; the connection ends.
    Refused,
}

/// The authentication of one connection.
pub struct Authentication {
    server: Arc<SaslServer>,
    state: State,
    identity: Option<Identity>,
}

/// Progress of an authentication.
pub enum Progress {
    /// The conversation continues: this is for the client.
    Continue(Bytes),
    /// Authentication has failed before the exchange is complete: this message is for the client, whose next one is
    /// rejected.
    Refusing {
        message: Bytes,
        refused: AuthenticationFailure,
    },
    /// The client is authenticated: its final message, and the lifetime of the session (0: unlimited).
    Done { message: Bytes, lifetime_ms: i64 },
    /// It is not.
    Refused(AuthenticationFailure),
}

impl Authentication {
    pub fn new(server: Arc<SaslServer>) -> Self {
        Self {
            server,
            state: State::Idle,
            identity: None,
        }
    }

    /// The authenticated client, if any.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Whether requests other than SASL are accepted now.
    pub fn is_open(&self, now_ms: i64) -> bool {
        let is_valid = |identity: &Identity| identity.expires_ms.is_none_or(|at| now_ms < at);
        matches!(self.state, State::Idle) && self.identity.as_ref().is_some_and(is_valid)
    }

    /// Whether only requests that may precede a handshake have arrived.
    pub fn is_fresh(&self) -> bool {
        matches!(self.state, State::Idle) && self.identity.is_none()
    }

    /// Whether the next frame is a token without a header.
    pub fn expects_bare_token(&self) -> bool {
        matches!(self.state, State::Talking { is_bare: true, .. })
    }

    /// Cap on a frame before authentication; `None` afterwards.
    pub fn receive_bytes_max(&self) -> Option<usize> {
        match (&self.identity, &self.state) {
            (Some(_), State::Idle) => None,
            _ => Some(self.server.settings.receive_bytes_max),
        }
    }

    /// Delay of a response to failed authentication.
    pub fn failure_delay_ms(&self) -> u64 {
        self.server.settings.failure_delay_ms
    }

    /// Handles a handshake. The second value is the reason to close the connection.
    pub fn handshake(
        &mut self,
        version: i16,
        request: &SaslHandshakeRequest,
    ) -> (SaslHandshakeResponse, Option<AuthenticationFailure>) {
        let names = self
            .server
            .settings
            .mechanisms
            .iter()
            .map(|m| KafkaString::from_static(m.name()));
        let mut response = SaslHandshakeResponse {
            error_code: ErrorCode::NONE,
            mechanisms: names.collect(),
        };
        if !matches!(self.state, State::Idle) {
            self.state = State::Refused;
            response.error_code = ErrorCode::ILLEGAL_SASL_STATE;
            return (
                response,
                Some(AuthenticationFailure::new(
                    "",
                    "a handshake in the middle of a conversation",
                )),
            );
        }
        let asked = Mechanism::from_name(&request.mechanism);
        let Some(mechanism) = asked.filter(|m| self.server.settings.mechanisms.contains(m)) else {
            self.state = State::Refused;
            response.error_code = ErrorCode::UNSUPPORTED_SASL_MECHANISM;
            let reason = format!("the client asks for mechanism '{}'", request.mechanism.as_str());
            return (response, Some(AuthenticationFailure::new("", reason)));
        };
        if self
            .identity
            .as_ref()
            .is_some_and(|identity| identity.mechanism != mechanism)
        {
            self.state = State::Refused;
            response.error_code = ErrorCode::ILLEGAL_SASL_STATE;
            return (
                response,
                Some(AuthenticationFailure::new(
                    "",
                    "the mechanism changed when authenticating again",
                )),
            );
        }
        self.state = State::Talking {
            conversation: self.server.conversation(mechanism),
            mechanism,
            is_bare: version == 0,
        };
        (response, None)
    }

    /// Handles a message of the client.
    pub async fn message(&mut self, message: &[u8]) -> Progress {
        let State::Talking {
            conversation,
            mechanism,
            ..
        } = &mut self.state
        else {
            self.state = State::Refused;
            return Progress::Refused(AuthenticationFailure::new(
                "SaslAuthenticate request received out of order",
                "a token outside of a conversation",
            ));
        };
        let mechanism = *mechanism;
        match conversation.respond(&self.server, message).await {
            Ok(Step::Challenge(challenge)) => Progress::Continue(challenge.into()),
            Ok(Step::Refusing { message, refused }) => Progress::Refusing {
                message: message.into(),
                refused,
            },
            Ok(Step::Done {
                message,
                user,
                expires_ms,
            }) => self.finish(mechanism, message, &user, expires_ms),
            Err(refused) => {
                self.state = State::Refused;
                Progress::Refused(refused)
            }
        }
    }

    fn finish(
        &mut self,
        mechanism: Mechanism,
        message: Vec<u8>,
        user: &str,
        expires_ms: Option<i64>,
    ) -> Progress {
        let principal = KafkaString::from(format!("User:{user}"));
        if let Some(before) = self
            .identity
            .as_ref()
            .filter(|before| before.principal != principal)
        {
            let reason = format!("{} authenticated again as {principal}", before.principal);
            self.state = State::Refused;
            return Progress::Refused(AuthenticationFailure::new(
                "Cannot change principals during re-authentication",
                reason,
            ));
        }
        let now_ms = self.server.clock.now_ms();
        let by_setting = self.server.settings.reauth_ms.get(&mechanism).copied();
        let by_credential = expires_ms.map(|at| at.saturating_sub(now_ms));
        let lifetime_ms = [by_setting, by_credential].into_iter().flatten().min();
        self.identity = Some(Identity {
            principal,
            mechanism,
            expires_ms: lifetime_ms.map(|lifetime| now_ms.saturating_add(lifetime)),
        });
        self.state = State::Idle;
        Progress::Done {
            message: message.into(),
            lifetime_ms: lifetime_ms.unwrap_or(0),
        }
    }
}

/// The response to a message, and why the connection has to end, if it has to.
pub fn response_of(progress: Progress) -> (SaslAuthenticateResponse, Option<AuthenticationFailure>) {
    match progress {
        Progress::Continue(auth_bytes)
        | Progress::Refusing {
            message: auth_bytes, ..
        } => (
            SaslAuthenticateResponse {
                auth_bytes,
                ..Default::default()
            },
            None,
        ),
        Progress::Done { message, lifetime_ms } => (
            SaslAuthenticateResponse {
                auth_bytes: message,
                session_lifetime_ms: lifetime_ms,
                ..Default::default()
            },
            None,
        ),
        Progress::Refused(refused) => (
            SaslAuthenticateResponse {
                error_code: ErrorCode::SASL_AUTHENTICATION_FAILED,
                error_message: Some(KafkaString::from(&refused.message)),
                ..Default::default()
            },
            Some(refused),
        ),
    }
}
