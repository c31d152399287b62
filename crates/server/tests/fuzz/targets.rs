//! What is done with the messages of clients that authenticate: PLAIN, SCRAM, and tokens with OAUTHBEARER.
//!
//! Beside not panicking, no client may be authenticated without proof. A target that fills in a proof says when
//! it does so, and only then may the conversation end well.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use millstream_broker::{BrokerConfig, BrokerHandle, Endpoint, RequestContext};
use millstream_kafka_client::config::Secret;
use millstream_kafka_wire::messages::alter_user_scram_credentials::ScramCredentialUpsertion;
use millstream_kafka_wire::messages::{AlterUserScramCredentialsRequest, SaslHandshakeRequest};
use millstream_server::kafka::config::{Mechanism, OauthSettings, SaslSettings};
use millstream_server::kafka::sasl::{Authentication, Progress, SaltSecret, SaslServer};
use millstream_testkit::bad_input::Target;
use millstream_testkit::storage::MemStorage;
use millstream_types::{Clock, ManualClock, SeededRng};
use ring::signature::{Ed25519KeyPair, KeyPair};

/// All targets.
pub const TARGETS: &[Target] = &[
    Target::before("plain", plain),
    Target::before("scram", scram),
    Target::before("oauthbearer", oauthbearer),
    Target::after("oauthbearer_signed", oauthbearer_signed),
];

/// 2027, so that tokens have ordinary times.
const NOW_S: i64 = 1_800_000_000;
/// The password of the only user by configuration.
const PASSWORD: &str = "alice-secret";
/// What her SCRAM credentials are made of.
const SALT: &[u8] = b"salt of alice";
const SALTED_PASSWORD: [u8; 64] = [7; 64];
const ITERATIONS: i32 = 4_096;
/// Stands in a client's last message of SCRAM for the nonce of both sides, and for a right proof.
pub const NONCE: &str = "NONCE";
pub const PROOF: &str = "PROOF";

/// A listener's authentication, without the listener.
struct Door {
    runtime: tokio::runtime::Runtime,
    server: Arc<SaslServer>,
}

thread_local! {
    static DOOR: Door = Door::open();
}

fn signer() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[42; 32]).expect("32 bytes are a seed")
}

impl Door {
    fn open() -> Door {
        let key = signer();
        let public = URL_SAFE_NO_PAD.encode(key.public_key());
        let keys = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"d","x":"{public}"}}]}}"#);
        let directory = tempfile::tempdir().expect("there is a directory for temporary files");
        let jwks = directory.path().join("jwks.json");
        std::fs::write(&jwks, keys).expect("the directory can be written to");
        let oauth = OauthSettings {
            jwks,
            issuer: Some("https://issuer".to_owned()),
            audiences: vec!["kafka".to_owned()],
            clock_skew_s: 0,
            scope_claim: "scope".to_owned(),
            subject_claim: "sub".to_owned(),
            required_scopes: vec!["read".to_owned()],
        };
        let settings = SaslSettings {
            mechanisms: vec![
                Mechanism::Plain,
                Mechanism::ScramSha256,
                Mechanism::ScramSha512,
                Mechanism::OauthBearer,
            ],
            users: BTreeMap::from([("alice".to_owned(), Secret::new(PASSWORD))]),
            oauth: Some(oauth),
            reauth_ms: BTreeMap::new(),
            failure_delay_ms: 0,
            receive_bytes_max: usize::MAX,
        };
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW_S * 1_000));
        let salts = SaltSecret::open(&MemStorage::new()).expect("memory can be written to");
        let server =
            SaslServer::new(settings, broker(clock.clone()), clock, salts).expect("the keys are good");
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        Door {
            runtime: runtime.expect("a runtime of one thread starts"),
            server: Arc::new(server),
        }
    }

    /// A conversation, up to the first response that is not a challenge; `reply` turns each challenge into a message.
    fn talk(
        &self,
        mechanism: Mechanism,
        first: &[u8],
        response: &dyn Fn(&[u8]) -> Vec<u8>,
    ) -> Option<String> {
        let mut authentication = Authentication::new(self.server.clone());
        let request = SaslHandshakeRequest {
            mechanism: mechanism.name().into(),
        };
        let (_, refused) = authentication.handshake(1, &request);
        assert!(refused.is_none(), "{mechanism:?} is offered");
        let progress = self.runtime.block_on(authentication.message(first));
        let progress = match progress {
            Progress::Continue(challenge)
            | Progress::Refusing {
                message: challenge, ..
            } => {
                let next = response(&challenge);
                self.runtime.block_on(authentication.message(&next))
            }
            progress => progress,
        };
        let is_done = matches!(progress, Progress::Done { .. });
        let identity = authentication.identity();
        assert_eq!(
            is_done,
            identity.is_some(),
            "there is an identity when all is well"
        );
        identity.map(|identity| identity.principal.to_string())
    }
}

/// A broker that has alice's credentials.
fn broker(clock: Arc<dyn Clock>) -> BrokerHandle {
    let (storage, rng) = (Arc::new(MemStorage::new()), Arc::new(SeededRng::new(1)));
    let started = BrokerHandle::start(BrokerConfig::new([]), storage, rng, clock);
    let broker = started.expect("an empty directory opens");
    let upsertion = |mechanism: i8, length: usize| ScramCredentialUpsertion {
        name: "alice".into(),
        mechanism,
        iterations: ITERATIONS,
        salt: SALT.into(),
        salted_password: SALTED_PASSWORD[..length].to_vec().into(),
    };
    let request = AlterUserScramCredentialsRequest {
        upsertions: vec![upsertion(1, 32), upsertion(2, 64)],
        ..Default::default()
    };
    let endpoint = Endpoint {
        host: "127.0.0.1".into(),
        port: 9092,
    };
    let response = broker.call(&RequestContext::internal("fuzz", endpoint), request);
    let results = response.expect("the broker runs").results;
    assert!(results.iter().all(|result| !result.error_code.is_error()));
    broker
}

/// Who a target's input lets in.
pub fn user_of(target: &str, data: &[u8]) -> Option<String> {
    match target {
        "plain" => plain_user(data),
        "scram" => scram_user(data),
        "oauthbearer" => bearer_user(data),
        _ => signed_user(data),
    }
}

pub fn plain(data: &[u8]) {
    let expected =
        [b"\0alice\0".as_slice(), b"alice\0alice\0"].map(|head| [head, PASSWORD.as_bytes()].concat());
    let is_right = expected.iter().any(|message| message == data);
    let user = plain_user(data);
    assert_eq!(user.is_some(), is_right, "let in: {user:?}");
}

fn plain_user(data: &[u8]) -> Option<String> {
    DOOR.with(|door| door.talk(Mechanism::Plain, data, &|_| Vec::new()))
}

/// The first byte chooses the mechanism; then come both messages of the client, parted by a 0.
pub fn scram(data: &[u8]) {
    let user = scram_user(data);
    let proves = String::from_utf8_lossy(data).contains(PROOF);
    assert!(user.is_none() || proves, "{user:?} is let in without a proof");
    assert!(user.is_none_or(|user| user == "User:alice"));
}

fn scram_user(data: &[u8]) -> Option<String> {
    let (flags, messages) = data.split_first()?;
    let mut messages = messages.splitn(2, |byte| *byte == 0);
    let (first, last) = (messages.next()?, messages.next().unwrap_or_default());
    let (mechanism, hash) = match flags & 1 {
        0 => (Mechanism::ScramSha256, ring::hmac::HMAC_SHA256),
        _ => (Mechanism::ScramSha512, ring::hmac::HMAC_SHA512),
    };
    let response = |challenge: &[u8]| match (std::str::from_utf8(last), std::str::from_utf8(challenge)) {
        (Ok(last), Ok(challenge)) => last_message(hash, first, challenge, last),
        _ => last.to_vec(),
    };
    DOOR.with(|door| door.talk(mechanism, first, &response))
}

/// The client's last message, with nonce and proof filled in where there is room for them.
fn last_message(hash: ring::hmac::Algorithm, first: &[u8], challenge: &str, last: &str) -> Vec<u8> {
    let nonce = challenge
        .strip_prefix("r=")
        .and_then(|rest| rest.split(',').next());
    let message = last.replacen(NONCE, nonce.unwrap_or_default(), 1);
    let Some((without_proof, behind)) = message.rsplit_once(PROOF) else {
        return message.into_bytes();
    };
    let first = String::from_utf8_lossy(first);
    let bare = first.splitn(3, ',').nth(2).unwrap_or_default();
    let signed = format!(
        "{bare},{challenge},{}",
        without_proof.strip_suffix(",p=").unwrap_or(without_proof)
    );
    let length = hash.digest_algorithm().output_len();
    let sign = |key: &[u8], text: &[u8]| ring::hmac::sign(&ring::hmac::Key::new(hash, key), text);
    let client_key = sign(&SALTED_PASSWORD[..length], b"Client Key");
    let stored_key = ring::digest::digest(hash.digest_algorithm(), client_key.as_ref());
    let signature = sign(stored_key.as_ref(), signed.as_bytes());
    let pairs = client_key.as_ref().iter().zip(signature.as_ref());
    let proof: Vec<u8> = pairs.map(|(key, sign)| key ^ sign).collect();
    format!("{without_proof}{}{behind}", STANDARD.encode(proof)).into_bytes()
}

/// A client's first message; only a token that was really signed authenticates.
pub fn oauthbearer(data: &[u8]) {
    thread_local! {
        static SIGNED: Vec<String> = CLAIMS.iter().map(|claims| token(HEADER, claims)).collect();
    }
    let user = bearer_user(data);
    let text = String::from_utf8_lossy(data);
    let is_signed = || SIGNED.with(|tokens| tokens.iter().any(|token| text.contains(token.as_str())));
    assert!(
        user.is_none() || is_signed(),
        "{user:?} is let in with an unsigned token"
    );
}

fn bearer_user(data: &[u8]) -> Option<String> {
    DOOR.with(|door| door.talk(Mechanism::OauthBearer, data, &|_| vec![1]))
}

/// Header and claims of a token, parted by a 0, as the issuer would sign them.
pub fn oauthbearer_signed(data: &[u8]) {
    signed_user(data);
}

fn signed_user(data: &[u8]) -> Option<String> {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (header, claims) = (parts.next()?, parts.next().unwrap_or_default());
    bearer_user(&bearer(&token(header, claims)))
}

/// A header that the door's key belongs to.
pub const HEADER: &[u8] = br#"{"alg":"EdDSA","typ":"JWT","kid":"d"}"#;
/// Claims that let alice in.
pub const CLAIMS: [&[u8]; 2] = [
    br#"{"sub":"alice","iss":"https://issuer","aud":"kafka","scope":"write read","exp":1800000060}"#,
    br#"{"exp":1.80000006e9,"iat":1799999999.5,"nbf":0,"aud":["x","kafka"],"scope":["read"],"sub":" alice ","iss":"https://issuer","x":{"y":[null,true]}}"#,
];

/// A token with a right signature.
pub fn token(header: &[u8], claims: &[u8]) -> String {
    thread_local! {
        static SIGNER: Ed25519KeyPair = signer();
    }
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = SIGNER.with(|signer| signer.sign(message.as_bytes()));
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A client's first message with a token.
pub fn bearer(token: &str) -> Vec<u8> {
    format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}").into_bytes()
}
