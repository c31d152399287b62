//! What every HTTP request passes before its handler: the Host header, the origin of mutations, credentials and roles.
//! Every response leaves with headers that keep browsers from guessing types, framing pages and running foreign scripts.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::RestError;
use super::users::{HttpUsers, Role};
use crate::access::{Caller, OwnerToken};

/// Which door a request came to: roles mean different things behind each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    JobRest,
    Gateway,
    Metrics,
}

/// The rules of one listener.
#[derive(Debug)]
pub struct Guard {
    pub door: Door,
    /// Names of the server in Host headers, beside IP addresses and `localhost`.
    pub names: Vec<String>,
    /// Who may do what; `None`: everyone everything, which only loopback listeners allow.
    pub users: Option<Arc<HttpUsers>>,
    /// By which the owner of the data directory is known.
    pub owner: Option<Arc<OwnerToken>>,
}

/// What the audit log calls the owner of the data directory.
const OWNER: &str = "(owner)";
/// Headers of responses that set none of their own.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
];

/// Puts a guard before all routes of a router.
pub fn guarded(router: Router, guard: Guard) -> Router {
    router.layer(from_fn_with_state(Arc::new(guard), check))
}

async fn check(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut user = None;
    let mut response = match guard.admit(&request) {
        Ok(caller) => {
            user.clone_from(&caller.user);
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    };
    if is_mutation(&method) {
        tracing::info!(
            target: "millstream::audit",
            user = user.as_deref().unwrap_or("-"),
            %method,
            path,
            status = response.status().as_u16(),
            "request"
        );
    }
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whether a method changes something.
fn is_mutation(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

impl Guard {
    /// Who sends an admitted request.
    fn admit(&self, request: &Request) -> Result<Caller, Refusal> {
        let headers = request.headers();
        let host = self.check_host(headers)?;
        if is_mutation(request.method()) {
            check_origin(headers, &host)?;
        }
        if self.is_owner(headers) {
            return Ok(Caller {
                user: Some(OWNER.to_owned()),
                is_owner: true,
            });
        }
        let Some(users) = &self.users else {
            return Ok(Caller::default());
        };
        let Some((name, role)) = users.authenticate(headers) else {
            return Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "authentication is required: a bearer token, or a user and password",
            ));
        };
        let needed = self.needed_role(request);
        if role < needed {
            let message = format!(
                "user '{name}' has the role {}, and this needs {}",
                role.name(),
                needed.name()
            );
            return Err(Refusal::new(StatusCode::FORBIDDEN, message));
        }
        Ok(Caller {
            user: Some(name),
            is_owner: false,
        })
    }

    fn is_owner(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let token = given.and_then(|given| given.strip_prefix(b"Bearer "));
        match (&self.owner, token) {
            (Some(owner), Some(token)) => owner.is(token),
            _ => false,
        }
    }

    /// A page of another site may point its own name at this address (DNS rebinding): only names of this server and
    /// addresses pass.
    fn check_host(&self, headers: &HeaderMap) -> Result<String, Refusal> {
        let mut given = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (given.next(), given.next()) else {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "the request needs exactly one Host header",
            ));
        };
        let host = host.to_str().unwrap_or_default().to_ascii_lowercase();
        let name = without_port(&host);
        let is_known = name == "localhost"
            || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            || self.names.iter().any(|known| known.eq_ignore_ascii_case(name));
        if is_known {
            return Ok(host);
        }
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "the Host header names another server; set 'rest.address' or 'sql-gateway.endpoint.rest.address' to the name \
             under which clients reach this one",
        ))
    }

    /// Reading needs a viewer. Behind the gateway everything but its description runs statements.
    fn needed_role(&self, request: &Request) -> Role {
        let path = request.uri().path();
        let administers = ["/api/v1/acls", "/api/v1/users"]
            .iter()
            .any(|prefix| path.starts_with(prefix));
        match self.door {
            _ if administers && is_mutation(request.method()) => Role::Admin,
            Door::JobRest if is_mutation(request.method()) => Role::Operator,
            Door::JobRest | Door::Metrics => Role::Viewer,
            Door::Gateway if path.ends_with("/info") || path.ends_with("/api_versions") => Role::Viewer,
            Door::Gateway => Role::Operator,
        }
    }
}

/// A browser names the page that a request comes from; pages of other origins may read nothing and change nothing.
fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), Refusal> {
    if !is_foreign(headers, host) {
        Ok(())
    } else {
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "the request comes from a page of another origin",
        ))
    }
}

/// A request without these headers comes from a program, which has no saved passwords that a page could borrow.
fn is_foreign(headers: &HeaderMap, host: &str) -> bool {
    let site = headers.get("sec-fetch-site");
    let is_foreign_site = site.is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    let is_foreign_origin = headers.get(header::ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        origin.is_none_or(|(_, from)| !from.eq_ignore_ascii_case(host))
    });
    is_foreign_site || is_foreign_origin
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// Why a request does not reach its handler.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    message: Cow<'static, str>,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let response = RestError::new(self.status, self.message).into_response();
        if self.status != StatusCode::UNAUTHORIZED {
            return response;
        }
        let challenge = [(
            header::WWW_AUTHENTICATE,
            "Basic realm=\"millstream\", charset=\"UTF-8\"",
        )];
        (challenge, response).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_no_part_of_names() {
        for (host, name) in [
            ("a:80", "a"),
            ("a", "a"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("127.0.0.1:1", "127.0.0.1"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
    #[test]
    fn only_other_origins_are_foreign() {
        for (pairs, foreign) in [
            (&[][..], false),
            (&[("origin", "http://127.0.0.1:8081")], false),
            (&[("origin", "https://127.0.0.1:8081")], false),
            (&[("origin", "http://evil.example")], true),
            (&[("origin", "null")], true),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "nonsense")], true),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://127.0.0.1:8081"),
                ],
                true,
            ),
        ] {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            let headers: HeaderMap = pairs.iter().map(pair).collect();
            assert_eq!(is_foreign(&headers, "127.0.0.1:8081"), foreign, "{pairs:?}");
        }
    }
}
