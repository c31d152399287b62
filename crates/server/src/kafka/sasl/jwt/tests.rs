use millstream_types::ManualClock;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaKeyPair,
};

use super::*;

const NOW_S: i64 = 1_800_000_000;

/// Keys of all kinds, and their key set.
struct Signers {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Signers {
    fn new() -> Self {
        let random = SystemRandom::new();
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let p384 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).unwrap();
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let rsa = include_bytes!("../../../../tests/data/token-rsa.der");
        Self {
            rsa: RsaKeyPair::from_der(rsa).unwrap(),
            p256: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, p256.as_ref(), &random).unwrap(),
            p384: EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, p384.as_ref(), &random).unwrap(),
            ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap(),
        }
    }

    fn jwks(&self) -> String {
        let point = |key: &EcdsaKeyPair, crv: &str, id: &str| {
            let (x, y) = key.public_key().as_ref()[1..].split_at((key.public_key().as_ref().len() - 1) / 2);
            serde_json::json!({"kty": "EC", "crv": crv, "kid": id, "x": BASE64.encode(x), "y": BASE64.encode(y)})
        };
        let rsa = signature::RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key());
        let (n, e) = (BASE64.encode(rsa.n), BASE64.encode(rsa.e));
        let keys = serde_json::json!({"keys": [
            {"kty": "RSA", "kid": "r", "use": "sig", "n": n, "e": e},
            {"kty": "RSA", "kid": "encrypting", "use": "enc", "n": n, "e": e},
            {"kty": "RSA", "kid": "only512", "alg": "RS512", "n": n, "e": e},
            {"kty": "oct", "kid": "o", "k": "c2VjcmV0"},
            point(&self.p256, "P-256", "e"),
            point(&self.p384, "P-384", "f"),
            {"kty": "OKP", "crv": "Ed25519", "kid": "d", "x": BASE64.encode(self.ed25519.public_key())},
        ]});
        keys.to_string()
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |padding| {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa.sign(padding, &random, message, &mut signature).unwrap();
            signature
        };
        match algorithm {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "ES256" => self.p256.sign(&random, message).unwrap().as_ref().to_vec(),
            "ES384" => self.p384.sign(&random, message).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed25519.sign(message).as_ref().to_vec(),
            _ => Vec::new(),
        }
    }

    fn token(&self, algorithm: &str, id: &str, claims: &str) -> String {
        let head = format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"{id}"}}"#);
        self.signed(&head, algorithm, claims)
    }

    fn signed(&self, head: &str, algorithm: &str, claims: &str) -> String {
        let message = format!("{}.{}", BASE64.encode(head), BASE64.encode(claims));
        let signature = self.sign(algorithm, message.as_bytes());
        format!("{message}.{}", BASE64.encode(signature))
    }
}

fn checker(signers: &Signers, change: impl FnOnce(&mut OauthSettings)) -> (tempfile::TempDir, TokenChecker) {
    let directory = tempfile::tempdir().unwrap();
    let jwks = directory.path().join("jwks.json");
    std::fs::write(&jwks, signers.jwks()).unwrap();
    let mut settings = OauthSettings {
        jwks,
        issuer: None,
        audiences: Vec::new(),
        clock_skew_s: 30,
        scope_claim: "scope".to_owned(),
        subject_claim: "sub".to_owned(),
        required_scopes: Vec::new(),
    };
    change(&mut settings);
    let clock = Arc::new(ManualClock::new(NOW_S * 1000));
    (directory, TokenChecker::new(settings, clock).unwrap())
}

fn valid() -> String {
    format!(r#"{{"sub":"alice","exp":{}}}"#, NOW_S + 60)
}

#[test]
fn signatures_of_every_kind_are_checked() {
    let signers = Signers::new();
    let (_directory, checker) = checker(&signers, |_| {});
    for (algorithm, id) in [
        ("RS256", "r"),
        ("RS512", "r"),
        ("RS512", "only512"),
        ("PS256", "r"),
        ("ES256", "e"),
        ("ES384", "f"),
        ("EdDSA", "d"),
    ] {
        let token = signers.token(algorithm, id, &valid());
        let accepted = checker
            .check(&token)
            .unwrap_or_else(|error| panic!("{algorithm} {id}: {error}"));
        assert_eq!(
            (accepted.subject.as_str(), accepted.expires_ms),
            ("alice", (NOW_S + 60) * 1000)
        );
        let (message, signature) = token.rsplit_once('.').unwrap();
        let mut broken = BASE64.decode(signature).unwrap();
        broken[5] ^= 1;
        let broken = format!("{message}.{}", BASE64.encode(broken));
        assert_eq!(checker.check(&broken), Err(TokenError::Signature), "{algorithm}");
    }
    let without_id = signers.signed(r#"{"alg":"ES256"}"#, "ES256", &valid());
    assert!(checker.check(&without_id).is_ok());
}

#[test]
fn tokens_that_are_no_proof_are_refused() {
    let signers = Signers::new();
    let (_directory, checker) = checker(&signers, |_| {});
    let stranger = Signers::new();
    let none = format!(
        "{}.{}.",
        BASE64.encode(r#"{"alg":"none"}"#),
        BASE64.encode(valid())
    );
    let unknown = |id: &str| Err(TokenError::UnknownKey(id.to_owned()));
    for (token, expected) in [
        (none, Err(TokenError::Algorithm("none".to_owned()))),
        (
            signers.token("HS256", "o", &valid()),
            Err(TokenError::Algorithm("HS256".to_owned())),
        ),
        (signers.token("RS256", "stranger", &valid()), unknown("stranger")),
        (
            signers.token("RS256", "encrypting", &valid()),
            unknown("encrypting"),
        ),
        (signers.token("RS256", "only512", &valid()), unknown("only512")),
        (signers.token("RS256", "e", &valid()), unknown("e")),
        (stranger.token("ES256", "e", &valid()), Err(TokenError::Signature)),
        (
            signers.signed(r#"{"alg":"ES256","kid":"e","crit":["x"]}"#, "ES256", &valid()),
            Err(TokenError::Malformed),
        ),
        (String::new(), Err(TokenError::Malformed)),
        ("a.b".to_owned(), Err(TokenError::Malformed)),
        ("a.b.c.d".to_owned(), Err(TokenError::Malformed)),
        (signers.token("ES256", "e", "[1]"), Err(TokenError::Malformed)),
    ] {
        assert_eq!(checker.check(&token), expected, "{token}");
    }
}

#[test]
fn claims_are_checked() {
    let signers = Signers::new();
    let (_directory, checker) = checker(&signers, |settings| {
        settings.issuer = Some("https://issuer".to_owned());
        settings.audiences = vec!["kafka".to_owned(), "streams".to_owned()];
        settings.required_scopes = vec!["read".to_owned(), "write".to_owned()];
    });
    let good =
        r#"{"sub":"alice","iss":"https://issuer","aud":"kafka","scope":"write read","exp":1800000060}"#;
    let claim = |name: &str| Err(TokenError::Claim(name.to_owned()));
    for (from, to, expected) in [
        ("", "", Ok(())),
        (r#""aud":"kafka""#, r#""aud":["x","streams"]"#, Ok(())),
        (r#""write read""#, r#"["read","write","x"]"#, Ok(())),
        ("1800000060", "1800000060.5", Ok(())),
        ("1800000060", "1799999971", Ok(())), // within the skew
        ("1800000060", "1799999970", Err(TokenError::Expired)),
        ("1800000060", "\"soon\"", claim("exp")),
        (r#","exp":1800000060"#, "", claim("exp")),
        (r#""exp""#, r#""nbf":1800000030,"exp""#, Ok(())),
        (
            r#""exp""#,
            r#""nbf":1800000031,"exp""#,
            Err(TokenError::NotYetValid),
        ),
        (
            r#""exp""#,
            r#""iat":1800000031,"exp""#,
            Err(TokenError::NotYetValid),
        ),
        (
            "https://issuer",
            "https://other",
            Err(TokenError::Issuer("https://other".to_owned())),
        ),
        (
            r#""iss":"https://issuer","#,
            "",
            Err(TokenError::Issuer(String::new())),
        ),
        (r#""kafka""#, r#""pulsar""#, Err(TokenError::Audience)),
        ("write read", "write", Err(TokenError::Scope("read".to_owned()))),
        (r#""alice""#, r#"" ""#, claim("sub")),
        (r#""alice""#, "7", claim("sub")),
    ] {
        let claims = good.replacen(from, to, 1);
        let result = checker.check(&signers.token("EdDSA", "d", &claims)).map(|_| ());
        assert_eq!(result, expected, "{claims}");
    }
}

#[test]
fn changed_keys_are_taken_over_and_unusable_ones_are_not() {
    let (old, new) = (Signers::new(), Signers::new());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    std::fs::write(&path, old.jwks()).unwrap();
    let (_other, by_default) = checker(&old, |_| {});
    let clock = ManualClock::new(NOW_S * 1000);
    let settings = OauthSettings {
        jwks: path.clone(),
        ..by_default.settings
    };
    let checker = TokenChecker::new(settings, Arc::new(clock.clone())).unwrap();
    let is_valid = |signers: &Signers| checker.check(&signers.token("ES256", "e", &valid())).is_ok();
    assert!(is_valid(&old) && !is_valid(&new));
    std::fs::write(&path, format!("{}\n", new.jwks())).unwrap();
    clock.advance(CERTIFICATE_CHECK_MS);
    assert!(!is_valid(&old) && is_valid(&new));
    for unusable in ["{", r#"{"keys":[]}"#, "null"] {
        std::fs::write(&path, unusable).unwrap();
        clock.advance(CERTIFICATE_CHECK_MS);
        assert!(is_valid(&new), "{unusable}");
    }
    let settings = OauthSettings {
        jwks: path,
        ..checker.settings.clone()
    };
    assert!(TokenChecker::new(settings, Arc::new(clock)).is_err());
}
