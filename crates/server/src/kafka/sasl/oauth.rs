//! OAUTHBEARER (RFC 7628): the client presents a token. For an invalid token the server first sends the reason as JSON,
//! as the RFC demands; the client acknowledges it, and the authentication fails.

use super::{AuthenticationFailure, SaslServer, Step};

#[derive(Default)]
pub(super) struct OauthServer {
    /// Why the token was refused; the client's acknowledgement is still to come.
    refused: Option<AuthenticationFailure>,
}

impl OauthServer {
    pub fn respond(&mut self, server: &SaslServer, message: &[u8]) -> Result<Step, AuthenticationFailure> {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        let token = token(message).map_err(|reason| AuthenticationFailure::new(reason, reason))?;
        let Some(checker) = &server.tokens else {
            return Err(AuthenticationFailure::new(
                "OAUTHBEARER is not configured",
                "OAUTHBEARER is not configured",
            ));
        };
        match checker.check(token) {
            Ok(accepted) => Ok(Step::Done {
                message: Vec::new(),
                user: accepted.subject,
                expires_ms: Some(accepted.expires_ms),
            }),
            Err(error) => {
                let response = r#"{"status":"invalid_token"}"#;
                let refused = AuthenticationFailure::new(response, format!("token refused: {error}"));
                self.refused = Some(refused.clone());
                Ok(Step::Refusing {
                    message: response.as_bytes().to_vec(),
                    refused,
                })
            }
        }
    }
}

/// The token of `n,[a=…],^Aauth=Bearer TOKEN^A…^A^A`, where `^A` is the byte 1.
fn token(message: &[u8]) -> Result<&str, &'static str> {
    const INVALID: &str = "Invalid OAUTHBEARER client first message";
    let text = std::str::from_utf8(message).map_err(|_| INVALID)?;
    let (header, rest) = text.split_once('\u{1}').ok_or(INVALID)?;
    let mut header = header.splitn(3, ',');
    if header.next() != Some("n") && !text.starts_with('y') {
        return Err(INVALID);
    }
    if header
        .next()
        .is_some_and(|authorization| !authorization.is_empty())
    {
        return Err("an authorization id is not supported with OAUTHBEARER");
    }
    let pairs = rest.strip_suffix("\u{1}\u{1}").ok_or(INVALID)?;
    let value = pairs
        .split('\u{1}')
        .find_map(|pair| pair.strip_prefix("auth="))
        .ok_or(INVALID)?;
    let (scheme, token) = value.split_once(' ').ok_or(INVALID)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err("Invalid scheme in OAUTHBEARER client first message")
    }
}

#[cfg(test)]
mod tests {
    use super::token;

    #[test]
    fn tokens_are_found_in_the_first_message() {
        for (message, expected) in [
            ("n,,\u{1}auth=Bearer abc.d\u{1}\u{1}", Some("abc.d")),
            ("n,,\u{1}host=x\u{1}auth=bearer t\u{1}port=1\u{1}\u{1}", Some("t")),
            ("n,a=other,\u{1}auth=Bearer t\u{1}\u{1}", None),
            ("n,,\u{1}auth=Basic t\u{1}\u{1}", None),
            ("n,,\u{1}auth=Bearer t", None),
            ("p=x,,\u{1}auth=Bearer t\u{1}\u{1}", None),
            ("", None),
        ] {
            assert_eq!(token(message.as_bytes()).ok(), expected, "{message:?}");
        }
    }
}
