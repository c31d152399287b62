//! Refuses changes that another web site sends through a user's browser (CSRF).
//!
//! Browsers tell where a request comes from. A request without these headers comes from a program, which has no cookies
//! or saved passwords that an attacker could borrow.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::UiError;

pub async fn same_origin(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_read && is_foreign(request.headers()) {
        let refused = UiError::new(
            StatusCode::FORBIDDEN,
            "changes are accepted from this server's own page only",
        );
        return refused.into_response();
    }
    next.run(request).await
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let host = text("host").unwrap_or_default();
    let from = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    from.is_none_or(|(_, from)| !from.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                (
                    header::HeaderName::from_static(name),
                    header::HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn only_other_origins_are_foreign() {
        for (pairs, foreign) in [
            (&[][..], false),
            (
                &[("host", "127.0.0.1:8081"), ("origin", "http://127.0.0.1:8081")],
                false,
            ),
            (
                &[("host", "127.0.0.1:8081"), ("origin", "http://evil.example")],
                true,
            ),
            (&[("host", "127.0.0.1:8081"), ("origin", "null")], true),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("host", "a"),
                    ("origin", "http://a"),
                ],
                true,
            ),
            (&[("sec-fetch-site", "same-site")], true),
        ] {
            assert_eq!(is_foreign(&headers(pairs)), foreign, "{pairs:?}");
        }
    }
}
