//! DescribeUserScramCredentials, AlterUserScramCredentials.

use crate::broker::{Broker, log_error_code};
use crate::security::acls::CLUSTER_NAME;
use crate::security::{Operation, ResourceKind, ScramCredential, ScramMechanism, scram_row};
use crate::waits::Outcome;
use millstream_kafka_wire::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
};
use millstream_kafka_wire::messages::describe_user_scram_credentials::{
    CredentialInfo, DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::{BTreeMap, BTreeSet};

const ITERATIONS_MIN: i32 = 4096;
const ITERATIONS_MAX: i32 = 16384;

pub(crate) fn describe(broker: &Broker, request: &DescribeUserScramCredentialsRequest) -> Outcome {
    if let Err(error_code) = broker.access(Operation::Describe, ResourceKind::Cluster, CLUSTER_NAME) {
        return Outcome::now(DescribeUserScramCredentialsResponse {
            error_code,
            ..Default::default()
        });
    }
    let mut known: BTreeMap<KafkaString, Vec<CredentialInfo>> = BTreeMap::new();
    for ((user, mechanism), credential) in broker.security.scram() {
        let info = CredentialInfo {
            mechanism: *mechanism as i8,
            iterations: credential.iterations,
        };
        known.entry(user.clone()).or_default().push(info);
    }
    let asked = request.users.as_ref().filter(|users| !users.is_empty());
    let names: Vec<KafkaString> = match asked {
        None => known.keys().cloned().collect(),
        Some(users) => users.iter().map(|user| user.name.clone()).collect(),
    };
    let mut seen = BTreeSet::new();
    let mut results = Vec::new();
    for user in &names {
        let is_repeated = names.iter().filter(|other| *other == user).count() > 1;
        if !seen.insert(user.clone()) {
            continue;
        }
        let mut result = DescribeUserScramCredentialsResult {
            user: user.clone(),
            ..Default::default()
        };
        match known.get(user) {
            _ if is_repeated => {
                result.error_code = ErrorCode::DUPLICATE_RESOURCE;
                result.error_message = Some(format!("Cannot describe SCRAM credentials for the same user twice in a single request: {user}").into());
            }
            None => {
                result.error_code = ErrorCode::RESOURCE_NOT_FOUND;
                result.error_message =
                    Some(format!("Attempt to describe a user credential that does not exist: {user}").into());
            }
            Some(infos) => result.credential_infos = infos.clone(),
        }
        results.push(result);
    }
    Outcome::now(DescribeUserScramCredentialsResponse {
        results,
        ..Default::default()
    })
}

pub(crate) fn alter(broker: &mut Broker, now_ms: i64, request: &AlterUserScramCredentialsRequest) -> Outcome {
    let denied = broker
        .access(Operation::Alter, ResourceKind::Cluster, CLUSTER_NAME)
        .err();
    let mut results: BTreeMap<KafkaString, Result<(), (ErrorCode, &'static str)>> = BTreeMap::new();
    let mut changes = Vec::new();
    let mut seen = BTreeSet::new();
    let mut judge = |user: &KafkaString, mechanism: i8, verdict: Result<(), (ErrorCode, &'static str)>| {
        let verdict = match denied {
            Some(code) => Err((code, "access to the cluster is denied")),
            None if user.is_empty() => {
                Err((ErrorCode::UNACCEPTABLE_CREDENTIAL, "Username must not be empty"))
            }
            None if !seen.insert((user.clone(), mechanism)) => Err((
                ErrorCode::DUPLICATE_RESOURCE,
                "A user credential cannot be altered twice in the same request",
            )),
            None => verdict,
        };
        let entry = results.entry(user.clone()).or_insert(Ok(()));
        if entry.is_ok() {
            *entry = verdict;
        }
    };
    for deletion in &request.deletions {
        let mechanism = ScramMechanism::from_code(deletion.mechanism);
        let known = mechanism.filter(|mechanism| {
            broker
                .security
                .scram()
                .contains_key(&(deletion.name.clone(), *mechanism))
        });
        let verdict = match (mechanism, known) {
            (None, _) => Err((ErrorCode::UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism")),
            (_, None) => Err((
                ErrorCode::RESOURCE_NOT_FOUND,
                "Attempt to delete a user credential that does not exist",
            )),
            (_, Some(mechanism)) => {
                changes.push((deletion.name.clone(), scram_row(&deletion.name, mechanism, None)));
                Ok(())
            }
        };
        judge(&deletion.name, deletion.mechanism, verdict);
    }
    for upsertion in &request.upsertions {
        let verdict = match ScramMechanism::from_code(upsertion.mechanism) {
            None => Err((ErrorCode::UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism")),
            Some(_) if upsertion.iterations < ITERATIONS_MIN => {
                Err((ErrorCode::UNACCEPTABLE_CREDENTIAL, "Too few iterations"))
            }
            Some(_) if upsertion.iterations > ITERATIONS_MAX => {
                Err((ErrorCode::UNACCEPTABLE_CREDENTIAL, "Too many iterations"))
            }
            Some(mechanism) => {
                let (salt, password) = (&upsertion.salt, &upsertion.salted_password);
                let credential = ScramCredential::new(mechanism, salt, password, upsertion.iterations);
                changes.push((
                    upsertion.name.clone(),
                    scram_row(&upsertion.name, mechanism, Some(&credential)),
                ));
                Ok(())
            }
        };
        judge(&upsertion.name, upsertion.mechanism, verdict);
    }
    let accepted: Vec<_> = changes
        .into_iter()
        .filter(|(user, _)| results.get(user).is_some_and(Result::is_ok))
        .map(|(_, change)| change)
        .collect();
    let written = match accepted.is_empty() {
        true => Ok(0),
        false => broker
            .write(now_ms, Vec::new(), &accepted)
            .map_err(|error| log_error_code(&error)),
    };
    let result = |(user, verdict): (KafkaString, Result<(), (ErrorCode, &'static str)>)| {
        tracing::info!(%user, accepted = verdict.is_ok(), "SCRAM credential altered");
        let (error_code, message) = match verdict {
            Ok(()) => (written.err().unwrap_or_default(), None),
            Err((code, message)) => (code, Some(KafkaString::from_static(message))),
        };
        AlterUserScramCredentialsResult {
            user,
            error_code,
            error_message: message,
        }
    };
    let results = results.into_iter().map(result).collect();
    Outcome::durable(
        written.unwrap_or(0),
        AlterUserScramCredentialsResponse {
            throttle_time_ms: 0,
            results,
        },
    )
}
