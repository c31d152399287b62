//! Messages that authenticate a client, and some that start well: the inputs to damage.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::targets::{CLAIMS, HEADER, NONCE, PROOF, bearer, token};

/// Inputs that let alice in.
pub fn valid(target: &str) -> Vec<Vec<u8>> {
    match target {
        "plain" => [
            b"\0alice\0alice-secret".to_vec(),
            b"alice\0alice\0alice-secret".to_vec(),
        ]
        .into(),
        "scram" => [
            scram(0, "n,,", "n=alice,r=abcdef"),
            scram(1, "y,a=alice,", "n=alice,r=x,y=z"),
        ]
        .into(),
        "oauthbearer" => CLAIMS
            .iter()
            .map(|claims| bearer(&token(HEADER, claims)))
            .collect(),
        _ => CLAIMS
            .iter()
            .map(|claims| [HEADER, b"\0", claims].concat())
            .collect(),
    }
}

/// Inputs for the driver.
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    // A tree of JSON that takes dozens of times the memory of its text.
    let tree = format!(r#"{{"x":[{}{{"a":{{}}}}],"alg":"none"}}"#, "[0],".repeat(2_000));
    let more: &[Vec<u8>] = match target {
        "scram" => &[
            scram(0, "n,,", "n=ghost=2C=3D,r=abc"),
            scram(1, "p=tls-unique,,", "n=alice,r=abc"),
        ],
        "oauthbearer" => &[
            bearer(&token(br#"{"alg":"RS256","kid":"r","crit":["x"]}"#, CLAIMS[0])),
            bearer(&token(tree.as_bytes(), CLAIMS[0])),
            b"n,a=other,\x01host=h\x01auth=Basic x.y.z\x01\x01".to_vec(),
        ],
        "oauthbearer_signed" => &[[HEADER, b"\0", br#"{"exp":-1e99,"aud":[[]],"sub":7}"#].concat()],
        _ => &[],
    };
    [&valid(target)[..], more].concat()
}

/// Both messages of a client, the last one to be filled in.
fn scram(flags: u8, header: &str, bare: &str) -> Vec<u8> {
    let channel = STANDARD.encode(header);
    let text = format!("{header}{bare}\0c={channel},r={NONCE},p={PROOF}");
    [&[flags], text.as_bytes()].concat()
}
