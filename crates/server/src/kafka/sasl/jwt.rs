//! Checking JSON Web Tokens (RFC 7519) against the keys of a JWKS file (RFC 7517): signature, times, issuer, audience,
//! scope, subject.
//!
//! Only signatures by asymmetric keys count: `none` and HMAC are refused, as is a key whose type does not belong to the
//! token's algorithm. The file is read again when it changes; if it is unusable then, the old keys stay in use.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use millstream_types::Clock;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::kafka::config::OauthSettings;
use crate::limits::CERTIFICATE_CHECK_MS;

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    #[error("cannot read the keys of tokens in '{path}'")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("'{path}' is not a JSON Web Key Set")]
    Json {
        path: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("'{path}' has no key for signatures; known are RSA, EC (P-256, P-384) and OKP (Ed25519)")]
    NoKey { path: String },
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("it is not a signed JSON Web Token")]
    Malformed,
    #[error("its algorithm '{0}' is not accepted")]
    Algorithm(String),
    #[error("there is no key with id '{0}' for its algorithm")]
    UnknownKey(String),
    #[error("its signature is wrong")]
    Signature,
    #[error("its claim '{0}' is missing or of the wrong type")]
    Claim(String),
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYetValid,
    #[error("its issuer is '{0}'")]
    Issuer(String),
    #[error("it is meant for another audience")]
    Audience,
    #[error("it lacks scope '{0}'")]
    Scope(String),
}

/// Claims of a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub subject: String,
    pub expires_ms: i64,
}

/// Checks tokens for one listener.
pub(crate) struct TokenChecker {
    settings: OauthSettings,
    clock: Arc<dyn Clock>,
    keys: Mutex<Keys>,
}

struct Keys {
    keys: Arc<Vec<Key>>,
    stamp: Stamp,
    checked_ms: i64,
}

type Stamp = Option<(SystemTime, u64)>;

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl TokenChecker {
    pub fn new(settings: OauthSettings, clock: Arc<dyn Clock>) -> Result<Self, JwksError> {
        let keys = Keys {
            stamp: stamp(&settings.jwks),
            keys: Arc::new(read(&settings.jwks)?),
            checked_ms: clock.now_ms(),
        };
        Ok(Self {
            settings,
            clock,
            keys: Mutex::new(keys),
        })
    }

    /// Checks everything about a token.
    pub fn check(&self, token: &str) -> Result<Accepted, TokenError> {
        self.check_with_claims(token).map(|(accepted, _)| accepted)
    }

    /// Like [`Self::check`], with all claims of the token.
    pub fn check_with_claims(&self, token: &str) -> Result<(Accepted, Map<String, Value>), TokenError> {
        let now_ms = self.clock.now_ms();
        let claims = verified(token, &self.keys(now_ms))?;
        let settings = &self.settings;
        let now_s = now_ms.div_euclid(1000);
        let expires_s = seconds(&claims, "exp")?.ok_or_else(|| TokenError::Claim("exp".to_owned()))?;
        if now_s.saturating_sub(settings.clock_skew_s) >= expires_s {
            return Err(TokenError::Expired);
        }
        for name in ["nbf", "iat"] {
            let from_s = seconds(&claims, name)?.unwrap_or(i64::MIN);
            if now_s.saturating_add(settings.clock_skew_s) < from_s {
                return Err(TokenError::NotYetValid);
            }
        }
        if let Some(expected) = &settings.issuer {
            let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
            if issuer != expected {
                return Err(TokenError::Issuer(issuer.to_owned()));
            }
        }
        let audiences = words(claims.get("aud"), false);
        if !settings.audiences.is_empty() && !settings.audiences.iter().any(|a| audiences.contains(a)) {
            return Err(TokenError::Audience);
        }
        let scopes = words(claims.get(&settings.scope_claim), true);
        if let Some(missing) = settings
            .required_scopes
            .iter()
            .find(|scope| !scopes.contains(scope))
        {
            return Err(TokenError::Scope(missing.clone()));
        }
        let subject = claims
            .get(&settings.subject_claim)
            .and_then(Value::as_str)
            .map(str::trim);
        let subject = subject.filter(|subject| !subject.is_empty());
        let accepted = Accepted {
            subject: subject
                .ok_or_else(|| TokenError::Claim(settings.subject_claim.clone()))?
                .to_owned(),
            expires_ms: expires_s.saturating_mul(1000),
        };
        Ok((accepted, claims))
    }

    fn keys(&self, now_ms: i64) -> Arc<Vec<Key>> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if now_ms.saturating_sub(keys.checked_ms) < CERTIFICATE_CHECK_MS {
            return keys.keys.clone();
        }
        keys.checked_ms = now_ms;
        let stamp = stamp(&self.settings.jwks);
        if stamp != keys.stamp {
            keys.stamp = stamp;
            match read(&self.settings.jwks) {
                Ok(read) => {
                    keys.keys = Arc::new(read);
                    tracing::info!(target: "audit", "the keys of tokens were read again");
                }
                Err(error) => {
                    let error = millstream_kafka_client::error::with_causes(&error);
                    tracing::error!(%error, "changed keys of tokens cannot be used; the old ones stay in use");
                }
            }
        }
        keys.keys.clone()
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read(path: &Path) -> Result<Vec<Key>, JwksError> {
    let shown = || path.display().to_string();
    let text = std::fs::read(path).map_err(|source| JwksError::Read {
        path: shown(),
        source,
    })?;
    let set: Value = serde_json::from_slice(&text).map_err(|source| JwksError::Json {
        path: shown(),
        source,
    })?;
    let entries = set.get("keys").and_then(Value::as_array);
    let keys: Vec<Key> = entries.into_iter().flatten().filter_map(key).collect();
    if keys.is_empty() {
        Err(JwksError::NoKey { path: shown() })
    } else {
        Ok(keys)
    }
}

/// A key for signatures; others (for encryption, symmetric, of unknown types) are left out.
fn key(entry: &Value) -> Option<Key> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let bytes = |name: &str| BASE64.decode(text(name)?.trim_end_matches('=')).ok();
    if text("use").is_some_and(|usage| usage != "sig") {
        return None;
    }
    let point = |length: usize| -> Option<Vec<u8>> {
        let (x, y) = (bytes("x")?, bytes("y")?);
        (x.len() == length && y.len() == length).then(|| [&[4][..], &x, &y].concat())
    };
    let material = match (text("kty")?, text("crv")) {
        ("RSA", _) => Material::Rsa {
            modulus: bytes("n")?,
            exponent: bytes("e")?,
        },
        ("EC", Some("P-256")) => Material::P256(point(32)?),
        ("EC", Some("P-384")) => Material::P384(point(48)?),
        ("OKP", Some("Ed25519")) => Material::Ed25519(bytes("x")?),
        _ => return None,
    };
    Some(Key {
        id: text("kid").map(str::to_owned),
        algorithm: text("alg").map(str::to_owned),
        material,
    })
}

impl Key {
    /// Whether `signature` is one of this key over `message`; `None` if the key does not belong to the algorithm.
    fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
        if self.algorithm.as_ref().is_some_and(|own| own != algorithm) {
            return None;
        }
        let by = |algorithm: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key)
                .verify(message, signature)
                .is_ok()
        };
        Some(match (&self.material, algorithm) {
            (Material::Rsa { modulus, exponent }, _) => {
                let parameters = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
                    "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                    "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
                    "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
                    "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return None,
                };
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                key.verify(parameters, message, signature).is_ok()
            }
            (Material::P256(point), "ES256") => by(&signature::ECDSA_P256_SHA256_FIXED, point),
            (Material::P384(point), "ES384") => by(&signature::ECDSA_P384_SHA384_FIXED, point),
            (Material::Ed25519(key), "EdDSA") => by(&signature::ED25519, key),
            _ => return None,
        })
    }
}

/// Header of a token; no other member is kept, because any client can send one, and a parsed JSON tree takes dozens of
/// times the memory of its text.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(default)]
    crit: Presence,
}

/// Whether a member is present, with any value.
#[derive(Default)]
struct Presence {
    is_present: bool,
}

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(value).map(|_| Presence { is_present: true })
    }
}

/// The claims of a token whose signature is right.
fn verified(token: &str, keys: &[Key]) -> Result<Map<String, Value>, TokenError> {
    let mut parts = token.split('.');
    let (Some(head), Some(body), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Malformed);
    };
    let header: Header = object(head)?;
    if header.crit.is_present {
        return Err(TokenError::Malformed); // extensions that must be understood are not
    }
    let algorithm = header.alg.as_str();
    const ALGORITHMS: [&str; 9] = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
    ];
    if !ALGORITHMS.contains(&algorithm) {
        return Err(TokenError::Algorithm(algorithm.to_owned()));
    }
    let signature = BASE64.decode(signature).map_err(|_| TokenError::Malformed)?;
    let message = token
        .as_bytes()
        .get(..head.len() + 1 + body.len())
        .unwrap_or_default();
    let id = header.kid.as_deref();
    let named = keys.iter().filter(|key| id.is_none() || key.id.as_deref() == id);
    let verdicts: Vec<bool> = named
        .filter_map(|key| key.verifies(algorithm, message, &signature))
        .collect();
    if verdicts.is_empty() {
        return Err(TokenError::UnknownKey(id.unwrap_or_default().to_owned()));
    }
    if verdicts.contains(&true) {
        object(body)
    } else {
        Err(TokenError::Signature)
    }
}

/// A part of a token, which is an object.
fn object<T: DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let bytes = BASE64.decode(part).map_err(|_| TokenError::Malformed)?;
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(TokenError::Malformed); // serde also takes an array for a struct
    }
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

/// A time in seconds, which may have a fraction.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, TokenError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let number = value
        .as_i64()
        .or_else(|| value.as_f64().filter(|n| n.abs() < 1e15).map(|n| n as i64));
    number.map(Some).ok_or_else(|| TokenError::Claim(name.to_owned()))
}

/// A text, or a list of texts; with `is_split` a text is a list separated by spaces.
fn words(value: Option<&Value>, is_split: bool) -> Vec<String> {
    match value {
        Some(Value::String(text)) if is_split => text.split_whitespace().map(str::to_owned).collect(),
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(values)) => values
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
