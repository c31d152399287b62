//! Delegation tokens are disabled, as in a Kafka without `delegation.token.secret.key`. Kafka first checks whether the
//! caller may request tokens at all, and so does this.

use crate::context::{ANONYMOUS, RequestContext};
use crate::purgatory::Outcome;
use millstream_kafka_wire::messages::{
    CreateDelegationTokenResponse, DescribeDelegationTokenResponse, ExpireDelegationTokenResponse,
    RenewDelegationTokenResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};

/// A time that there is none of.
const NO_TIME_MS: i64 = -1;

/// The error code of a token request: only authenticated clients may send one.
fn refusal(context: &RequestContext) -> ErrorCode {
    match context.principal.as_str() {
        ANONYMOUS => ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
        _ => ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED,
    }
}

pub(crate) fn create(context: &RequestContext, version: i16) -> Outcome {
    let (kind, name) = context
        .principal
        .split_once(':')
        .unwrap_or(("User", &context.principal));
    let (kind, name) = (KafkaString::from(kind), KafkaString::from(name));
    let mut response = CreateDelegationTokenResponse {
        error_code: refusal(context),
        principal_type: kind.clone(),
        principal_name: name.clone(),
        issue_timestamp_ms: NO_TIME_MS,
        expiry_timestamp_ms: NO_TIME_MS,
        max_timestamp_ms: NO_TIME_MS,
        ..Default::default()
    };
    if version >= 3 {
        response.token_requester_principal_type = kind;
        response.token_requester_principal_name = name;
    }
    Outcome::now(response)
}

pub(crate) fn renew(context: &RequestContext) -> Outcome {
    Outcome::now(RenewDelegationTokenResponse {
        error_code: refusal(context),
        expiry_timestamp_ms: NO_TIME_MS,
        ..Default::default()
    })
}

pub(crate) fn expire(context: &RequestContext) -> Outcome {
    Outcome::now(ExpireDelegationTokenResponse {
        error_code: refusal(context),
        expiry_timestamp_ms: NO_TIME_MS,
        ..Default::default()
    })
}

pub(crate) fn describe(context: &RequestContext) -> Outcome {
    Outcome::now(DescribeDelegationTokenResponse {
        error_code: refusal(context),
        ..Default::default()
    })
}
