//! Users with tokens of an OpenID provider: JSON Web Tokens, checked as the broker's OAUTHBEARER listeners check them.
//!
//! The provider's keys are read from a file, again whenever it changes. A claim of the token names roles. Issuer and
//! audience must be configured: a token that a provider has made for another service must not open this one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use millstream_types::options::parse_duration;
use millstream_types::{Clock, OptionDecl, OptionType, Options};
use serde_json::{Map, Value};

use super::users::Role;
use crate::kafka::config::OauthSettings;
use crate::kafka::sasl::{JwksError, TokenChecker};

const JWKS: &str = "millstream.http.oidc.jwks";
const ISSUER: &str = "millstream.http.oidc.issuer";
const AUDIENCE: &str = "millstream.http.oidc.audience";
const SUBJECT_CLAIM: &str = "millstream.http.oidc.subject-claim";
const ROLE_CLAIM: &str = "millstream.http.oidc.role-claim";
const ROLES: &str = "millstream.http.oidc.roles";
const CLOCK_SKEW: &str = "millstream.http.oidc.clock-skew";
const SUBJECT_DEFAULT: &str = "sub";
const ROLE_DEFAULT: &str = "roles";
const CLOCK_SKEW_DEFAULT: &str = "30 s";

pub const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        JWKS,
        OptionType::String,
        "File with the keys of an OpenID provider (a JWKS), by whose tokens users of the HTTP doors are known; read again when \
         it changes.",
    ),
    OptionDecl::new(
        ISSUER,
        OptionType::String,
        "Issuer that tokens must name; required with millstream.http.oidc.jwks.",
    ),
    OptionDecl::new(
        AUDIENCE,
        OptionType::List,
        "Audiences of which tokens must name one, separated by `;`; required with millstream.http.oidc.jwks.",
    ),
    OptionDecl::new(
        SUBJECT_CLAIM,
        OptionType::String,
        "Claim with the name of the user.",
    )
    .with_default(SUBJECT_DEFAULT),
    OptionDecl::new(
        ROLE_CLAIM,
        OptionType::String,
        "Claim with the roles of the user, a text or a list of texts; `.` leads into nested claims.",
    )
    .with_default(ROLE_DEFAULT),
    OptionDecl::new(
        ROLES,
        OptionType::List,
        "Roles by the values of that claim, as in `data-team:operator;sre:admin`. The names viewer, operator and admin mean \
         themselves.",
    ),
    OptionDecl::new(
        CLOCK_SKEW,
        OptionType::Duration,
        "How far the clocks of provider and server may differ.",
    )
    .with_default(CLOCK_SKEW_DEFAULT),
];

/// Why tokens cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error(
        "'{JWKS}' needs '{key}': tokens of the provider that were made for other services must not be accepted"
    )]
    Missing { key: &'static str },
    #[error("'{key}' has no effect without '{JWKS}': a file with the keys of the provider")]
    NoKeys { key: &'static str },
    #[error(
        "'{JWKS}' is '{value}'; fetch the keys into a file, which is read again when it changes, and name the file"
    )]
    NoFile { value: String },
    #[error("'{CLOCK_SKEW}' is '{value}'; write a duration such as 30 s")]
    ClockSkew { value: String },
    #[error("'{ROLES}' has '{value}'; write VALUE:ROLE with one of the roles viewer, operator, admin")]
    Role { value: String },
    #[error("the keys of '{JWKS}' cannot be used")]
    Keys(#[source] JwksError),
}

/// The users with tokens of a provider.
pub struct TokenUsers {
    checker: TokenChecker,
    role_claim: String,
    roles: BTreeMap<String, Role>,
}

impl TokenUsers {
    /// `None` without a configured provider.
    pub fn open(options: &Options, clock: Arc<dyn Clock>) -> Result<Option<Self>, OidcError> {
        let text = |key: &str| {
            let text = options.get(key).map(|text| text.trim());
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let Some(jwks) = text(JWKS) else {
            let stray = OPTIONS.iter().find(|option| options.contains_key(option.key));
            return stray.map_or(Ok(None), |option| Err(OidcError::NoKeys { key: option.key }));
        };
        let path = match jwks.split_once("://") {
            None => jwks.clone(),
            Some(("file", path)) => path.to_owned(),
            Some(_) => return Err(OidcError::NoFile { value: jwks }),
        };
        let skew = text(CLOCK_SKEW).unwrap_or_else(|| CLOCK_SKEW_DEFAULT.to_owned());
        let skew = parse_duration(&skew).ok_or(OidcError::ClockSkew { value: skew })?;
        let settings = OauthSettings {
            jwks: PathBuf::from(path),
            issuer: Some(text(ISSUER).ok_or(OidcError::Missing { key: ISSUER })?),
            audiences: items(&text(AUDIENCE).ok_or(OidcError::Missing { key: AUDIENCE })?),
            clock_skew_s: i64::try_from(skew.as_secs()).unwrap_or(i64::MAX),
            scope_claim: "scope".to_owned(),
            subject_claim: text(SUBJECT_CLAIM).unwrap_or_else(|| SUBJECT_DEFAULT.to_owned()),
            required_scopes: Vec::new(),
        };
        let mut roles = BTreeMap::new();
        for item in items(&text(ROLES).unwrap_or_default()) {
            let role = item
                .rsplit_once(':')
                .and_then(|(value, role)| Some((value.trim().to_owned(), Role::parse(role.trim())?)));
            let (value, role) = role.ok_or(OidcError::Role { value: item })?;
            roles.insert(value, role);
        }
        Ok(Some(Self {
            checker: TokenChecker::new(settings, clock).map_err(OidcError::Keys)?,
            role_claim: text(ROLE_CLAIM).unwrap_or_else(|| ROLE_DEFAULT.to_owned()),
            roles,
        }))
    }

    /// The user of a valid token that names a role.
    pub fn authenticate(&self, token: &str) -> Option<(String, Role)> {
        let (accepted, claims) = match self.checker.check_with_claims(token) {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(target: "millstream::audit", %error, "a token is refused");
                return None;
            }
        };
        let role = self.role(&claims);
        if role.is_none() {
            tracing::info!(
                target: "millstream::audit",
                user = accepted.subject,
                claim = self.role_claim,
                "a token is refused: it names no role"
            );
        }
        Some((accepted.subject, role?))
    }

    /// The highest role that the claims name.
    fn role(&self, claims: &Map<String, Value>) -> Option<Role> {
        let role = |value: &Value| {
            let value = value.as_str()?;
            self.roles.get(value).copied().or_else(|| Role::parse(value))
        };
        match claim(claims, &self.role_claim)? {
            Value::Array(values) => values.iter().filter_map(role).max(),
            Value::String(text) => text
                .split([' ', ','])
                .filter_map(|word| role(&Value::String(word.to_owned())))
                .max(),
            _ => None,
        }
    }
}

/// A claim by its name, or by a path into nested claims.
fn claim<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    claim(claims.get(first)?.as_object()?, rest)
}

fn items(text: &str) -> Vec<String> {
    let items = text.split(';').map(str::trim).filter(|item| !item.is_empty());
    items.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use millstream_types::SystemClock;
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use serde_json::json;

    use super::*;

    fn open(pairs: &[(&str, &str)]) -> Result<Option<TokenUsers>, OidcError> {
        let options = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        TokenUsers::open(&options.collect(), Arc::new(SystemClock))
    }

    #[test]
    fn half_a_provider_is_refused() {
        assert!(open(&[]).unwrap().is_none());
        for (pairs, expected) in [
            (&[(ISSUER, "x")][..], "has no effect without"),
            (
                &[(JWKS, "/k"), (AUDIENCE, "a")],
                "needs 'millstream.http.oidc.issuer'",
            ),
            (
                &[(JWKS, "/k"), (ISSUER, "i")],
                "needs 'millstream.http.oidc.audience'",
            ),
            (
                &[(JWKS, "https://x/k"), (ISSUER, "i"), (AUDIENCE, "a")],
                "fetch the keys into a file",
            ),
            (
                &[(JWKS, "/nowhere/k"), (ISSUER, "i"), (AUDIENCE, "a")],
                "cannot be used",
            ),
            (
                &[(JWKS, "/k"), (ISSUER, "i"), (AUDIENCE, "a"), (ROLES, "team:boss")],
                "write VALUE:ROLE",
            ),
            (
                &[(JWKS, "/k"), (ISSUER, "i"), (AUDIENCE, "a"), (CLOCK_SKEW, "soon")],
                "write a duration",
            ),
        ] {
            let error = open(pairs)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            assert!(error.contains(expected), "{error}");
        }
    }

    /// A provider's key, and the file with its public half.
    struct Provider {
        key: Ed25519KeyPair,
        jwks: tempfile::NamedTempFile,
    }

    impl Provider {
        fn new() -> Self {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
            let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
            let x = BASE64.encode(key.public_key());
            let jwks = tempfile::NamedTempFile::new().unwrap();
            let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}]});
            std::fs::write(jwks.path(), keys.to_string()).unwrap();
            Self { key, jwks }
        }

        fn token(&self, claims: &Value) -> String {
            let head = BASE64.encode(json!({"alg": "EdDSA", "kid": "k"}).to_string());
            let message = format!("{head}.{}", BASE64.encode(claims.to_string()));
            let signature = BASE64.encode(self.key.sign(message.as_bytes()));
            format!("{message}.{signature}")
        }

        fn users(&self) -> TokenUsers {
            let path = self.jwks.path().display().to_string();
            let pairs = [
                (JWKS, path.as_str()),
                (ISSUER, "https://login.example"),
                (AUDIENCE, "millstream;other"),
                (ROLE_CLAIM, "realm.groups"),
                (ROLES, "data-team:operator; sre:admin"),
            ];
            open(&pairs).unwrap().unwrap()
        }
    }

    #[test]
    fn tokens_name_users_and_their_highest_role() {
        let (provider, stranger) = (Provider::new(), Provider::new());
        let users = provider.users();
        let claims = |groups: Value| {
            json!({"iss": "https://login.example", "aud": "millstream", "sub": "ann", "exp": 9_999_999_999_i64,
                   "realm": {"groups": groups}})
        };
        for (groups, expected) in [
            (json!(["data-team", "guests"]), Some(Role::Operator)),
            (json!(["viewer", "sre"]), Some(Role::Admin)),
            (json!("viewer guests"), Some(Role::Viewer)),
            (json!(["guests"]), None),
            (json!(7), None),
            (Value::Null, None),
        ] {
            let found = users.authenticate(&provider.token(&claims(groups.clone())));
            assert_eq!(found, expected.map(|role| ("ann".to_owned(), role)), "{groups}");
        }
        let good = claims(json!("sre"));
        assert!(users.authenticate(&stranger.token(&good)).is_none());
        for (claim, value) in [
            ("iss", json!("https://evil.example")),
            ("aud", json!("another-service")),
            ("exp", json!(1)),
            ("nbf", json!(9_999_999_998_i64)),
            ("sub", Value::Null),
        ] {
            let mut bad = good.clone();
            bad[claim] = value;
            assert!(users.authenticate(&provider.token(&bad)).is_none(), "{claim}");
        }
        for text in ["", "a.b.c", "x"] {
            assert!(users.authenticate(text).is_none());
        }
    }

    #[test]
    fn claims_are_found_by_name_and_by_path() {
        let claims = json!({"a.b": 1, "realm": {"roles": ["x"]}});
        let claims = claims.as_object().unwrap();
        assert_eq!(claim(claims, "a.b"), Some(&json!(1)));
        assert_eq!(claim(claims, "realm.roles"), Some(&json!(["x"])));
        assert_eq!(claim(claims, "realm.none"), None);
        assert_eq!(claim(claims, "a.c"), None);
    }
}
