//! `sasl.*`: the mechanisms of a listener and their settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use millstream_kafka_client::config::{Secret, login_module};

use super::ShellConfigError;
use super::properties::Scope;
use crate::limits::PRE_AUTHENTICATION_FRAME_BYTES;

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
    OauthBearer,
}

impl Mechanism {
    const ALL: [Self; 4] = [
        Self::Plain,
        Self::ScramSha256,
        Self::ScramSha512,
        Self::OauthBearer,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

/// How clients of a listener authenticate.
#[derive(Clone, Debug)]
pub struct SaslSettings {
    /// In the configured order.
    pub mechanisms: Vec<Mechanism>,
    /// Users by configuration and their passwords.
    pub users: BTreeMap<String, Secret>,
    pub oauth: Option<OauthSettings>,
    /// `connections.max.reauth.ms` of each mechanism; mechanisms whose sessions never expire are left out.
    pub reauth_ms: BTreeMap<Mechanism, i64>,
    /// `connection.failed.authentication.delay.ms`
    pub failure_delay_ms: u64,
    /// The longest message before authentication (`sasl.server.max.receive.size`).
    pub receive_bytes_max: usize,
}

/// Settings for validating tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthSettings {
    pub jwks: PathBuf,
    pub issuer: Option<String>,
    /// One of these must be among the token's, unless there are none.
    pub audiences: Vec<String>,
    pub clock_skew_s: i64,
    pub scope_claim: String,
    pub subject_claim: String,
    /// All of these must be among the token's.
    pub required_scopes: Vec<String>,
}

impl SaslSettings {
    pub(super) fn parse(scope: &Scope<'_>) -> Result<Self, ShellConfigError> {
        let mechanisms = mechanisms(scope)?;
        let oauth = mechanisms
            .contains(&Mechanism::OauthBearer)
            .then(|| oauth(scope))
            .transpose()?;
        let users = users(scope)?;
        if users.is_empty() && mechanisms == [Mechanism::Plain] {
            return Err(ShellConfigError::Missing {
                name: format!("listener.name.{}.plain.sasl.jaas.config", scope.listener.to_lowercase()),
                remedy: "PLAIN needs users: give user_NAME=\"PASSWORD\" there, or 'millstream.sasl.users.file' with \
                         one NAME:PASSWORD a line"
                    .to_owned(),
            });
        }
        let mut reauth_ms = BTreeMap::new();
        for mechanism in &mechanisms {
            let text = scope.of_mechanism(mechanism.name(), "connections.max.reauth.ms");
            let milliseconds = text.and_then(|t| t.trim().parse().ok()).unwrap_or(0);
            if milliseconds > 0 {
                reauth_ms.insert(*mechanism, milliseconds);
            }
        }
        let size = scope
            .set("sasl.server.max.receive.size")
            .and_then(|t| t.trim().parse().ok());
        Ok(Self {
            mechanisms,
            users,
            oauth,
            reauth_ms,
            failure_delay_ms: scope
                .long("connection.failed.authentication.delay.ms")
                .unsigned_abs(),
            receive_bytes_max: size.unwrap_or(PRE_AUTHENTICATION_FRAME_BYTES),
        })
    }
}

fn mechanisms(scope: &Scope<'_>) -> Result<Vec<Mechanism>, ShellConfigError> {
    const NAME: &str = "sasl.enabled.mechanisms";
    const KNOWN: &str = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER";
    let Some(text) = scope.set(NAME) else {
        return Err(ShellConfigError::Missing {
            name: NAME.to_owned(),
            remedy: format!("listener {} needs one or more of {KNOWN}", scope.listener),
        });
    };
    let mut mechanisms = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let mechanism = Mechanism::from_name(word).ok_or_else(|| ShellConfigError::Unsupported {
            name: scope.name_of(NAME),
            value: word.to_owned(),
            remedy: format!("use one or more of {KNOWN}"),
        })?;
        if !mechanisms.contains(&mechanism) {
            mechanisms.push(mechanism);
        }
    }
    if mechanisms.is_empty() {
        return Err(ShellConfigError::Missing {
            name: scope.name_of(NAME),
            remedy: format!("use one or more of {KNOWN}"),
        });
    }
    Ok(mechanisms)
}

/// Users of Kafka's JAAS line, of the list and of the file.
fn users(scope: &Scope<'_>) -> Result<BTreeMap<String, Secret>, ShellConfigError> {
    let mut users = BTreeMap::new();
    if let Some(text) = scope.of_mechanism("plain", "sasl.jaas.config") {
        let name = format!(
            "listener.name.{}.plain.sasl.jaas.config",
            scope.listener.to_lowercase()
        );
        let (_, options) = login_module(&text).ok_or_else(|| ShellConfigError::Value {
            name,
            value: "[hidden]".to_owned(),
            expected: "a login module, `required`, and options such as user_alice=\"secret\", ended by ;"
                .to_owned(),
        })?;
        for (option, value) in options {
            if let Some(user) = option.strip_prefix("user_") {
                users.insert(user.to_owned(), Secret::new(value));
            }
        }
    }
    if let Some(list) = scope.text("millstream.sasl.users") {
        for entry in list.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (user, password) = user("millstream.sasl.users", entry)?;
            users.insert(user, password);
        }
    }
    const FILE: &str = "millstream.sasl.users.file";
    if let Some(path) = scope.text(FILE) {
        let content = std::fs::read_to_string(&path).map_err(|error| ShellConfigError::File {
            name: FILE.to_owned(),
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let is_entry = |line: &&str| !line.is_empty() && !line.starts_with('#');
        for line in content.lines().map(str::trim).filter(is_entry) {
            let (user, password) = user(FILE, line)?;
            users.insert(user, password);
        }
    }
    Ok(users)
}

fn user(name: &str, entry: &str) -> Result<(String, Secret), ShellConfigError> {
    match entry.split_once(':') {
        Some((user, password)) if !user.is_empty() && !password.is_empty() => {
            Ok((user.to_owned(), Secret::new(password)))
        }
        _ => Err(ShellConfigError::Value {
            name: name.to_owned(),
            value: "[hidden]".to_owned(),
            expected: "entries like NAME:PASSWORD".to_owned(),
        }),
    }
}

fn oauth(scope: &Scope<'_>) -> Result<OauthSettings, ShellConfigError> {
    const URL: &str = "sasl.oauthbearer.jwks.endpoint.url";
    let of = |name: &str| scope.of_mechanism("oauthbearer", name);
    let Some(url) = of(URL) else {
        return Err(ShellConfigError::Missing {
            name: URL.to_owned(),
            remedy: "OAUTHBEARER needs the file with the issuer's keys (a JWKS), for example file:///etc/jwks.json"
                .to_owned(),
        });
    };
    let path = match url.split_once("://") {
        None => url.as_str(),
        Some(("file", path)) => path,
        Some(_) => {
            return Err(ShellConfigError::Unsupported {
                name: URL.to_owned(),
                value: url,
                remedy: "fetch the keys into a file, which is read again when it changes, and name the file"
                    .to_owned(),
            });
        }
    };
    let words = |text: Option<String>, separator: &[char]| -> Vec<String> {
        let text = text.unwrap_or_default();
        let words = text
            .split(separator)
            .map(str::trim)
            .filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    Ok(OauthSettings {
        jwks: PathBuf::from(path),
        issuer: of("sasl.oauthbearer.expected.issuer"),
        audiences: words(of("sasl.oauthbearer.expected.audience"), &[',']),
        clock_skew_s: of("sasl.oauthbearer.clock.skew.seconds")
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0),
        scope_claim: of("sasl.oauthbearer.scope.claim.name").unwrap_or_else(|| "scope".to_owned()),
        subject_claim: of("sasl.oauthbearer.sub.claim.name").unwrap_or_else(|| "sub".to_owned()),
        required_scopes: words(of("millstream.sasl.oauthbearer.required.scope"), &[' ', ',']),
    })
}
