//! DescribeUserScramCredentials, AlterUserScramCredentials.

use crate::broker::{Broker, log_error_code};
use crate::change::Change;
use crate::purgatory::Outcome;
use crate::security::acls::CLUSTER_NAME;
use crate::security::{Operation, ResourceKind, ScramCredential, ScramMechanism, scram_row};
use millstream_kafka_wire::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use millstream_kafka_wire::messages::describe_user_scram_credentials::{
    CredentialInfo, DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::{BTreeMap, BTreeSet};

const ITERATIONS_MIN: i32 = 4096;
/// The most iterations that Kafka allows for a password.
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
    // Number of times that each user is requested.
    let mut asked: BTreeMap<KafkaString, usize> = BTreeMap::new();
    match request.users.as_ref().filter(|users| !users.is_empty()) {
        None => asked.extend(known.keys().map(|user| (user.clone(), 1))),
        Some(users) => {
            for user in users {
                *asked.entry(user.name.clone()).or_default() += 1;
            }
        }
    }
    let mut results = Vec::with_capacity(asked.len());
    for (user, times) in &asked {
        let mut result = DescribeUserScramCredentialsResult {
            user: user.clone(),
            ..Default::default()
        };
        match known.get(user) {
            _ if *times > 1 => {
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

type Verdict = Result<(), (ErrorCode, &'static str)>;

/// The outcome for each user of a request.
#[derive(Default)]
struct Alteration {
    denied: Option<ErrorCode>,
    seen: BTreeSet<(KafkaString, i8)>,
    verdicts: BTreeMap<KafkaString, Verdict>,
    changes: Vec<(KafkaString, Change)>,
}

impl Alteration {
    /// Adds one credential: the change to make, or the reason for its rejection.
    fn add(&mut self, user: &KafkaString, mechanism: i8, change: Result<Change, (ErrorCode, &'static str)>) {
        let is_new = self.seen.insert((user.clone(), mechanism));
        let verdict = match (self.denied, change) {
            (Some(code), _) => Err((code, "access to the cluster is denied")),
            _ if user.is_empty() => Err((ErrorCode::UNACCEPTABLE_CREDENTIAL, "Username must not be empty")),
            _ if !is_new => Err((
                ErrorCode::DUPLICATE_RESOURCE,
                "A user credential cannot be altered twice in the same request",
            )),
            (None, Err(refused)) => Err(refused),
            (None, Ok(change)) => {
                self.changes.push((user.clone(), change));
                Ok(())
            }
        };
        let entry = self.verdicts.entry(user.clone()).or_insert(Ok(()));
        if entry.is_ok() {
            *entry = verdict;
        }
    }

    /// The changes of users without a rejected change.
    fn accepted(&self) -> Vec<Change> {
        let is_accepted = |user: &KafkaString| self.verdicts.get(user).is_some_and(Result::is_ok);
        self.changes
            .iter()
            .filter(|(user, _)| is_accepted(user))
            .map(|(_, change)| change.clone())
            .collect()
    }
}

pub(crate) fn alter(broker: &mut Broker, now_ms: i64, request: &AlterUserScramCredentialsRequest) -> Outcome {
    let denied = broker
        .access(Operation::Alter, ResourceKind::Cluster, CLUSTER_NAME)
        .err();
    let mut alteration = Alteration {
        denied,
        ..Alteration::default()
    };
    for deletion in &request.deletions {
        alteration.add(&deletion.name, deletion.mechanism, deleted(broker, deletion));
    }
    for upsertion in &request.upsertions {
        alteration.add(&upsertion.name, upsertion.mechanism, upserted(upsertion));
    }
    let accepted = alteration.accepted();
    let written = if accepted.is_empty() {
        Ok(0)
    } else {
        broker
            .write(now_ms, Vec::new(), &accepted)
            .map_err(|error| log_error_code(&error))
    };
    let result = |(user, verdict): (KafkaString, Verdict)| {
        let (error_code, error_message) = match verdict {
            Ok(()) => (written.err().unwrap_or_default(), None),
            Err((code, message)) => (code, Some(KafkaString::from_static(message))),
        };
        AlterUserScramCredentialsResult {
            user,
            error_code,
            error_message,
        }
    };
    let results = alteration.verdicts.into_iter().map(result).collect();
    Outcome::durable(
        written.unwrap_or(0),
        AlterUserScramCredentialsResponse {
            throttle_time_ms: 0,
            results,
        },
    )
}

const UNKNOWN_MECHANISM: (ErrorCode, &str) =
    (ErrorCode::UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism");

fn deleted(broker: &Broker, deletion: &ScramCredentialDeletion) -> Result<Change, (ErrorCode, &'static str)> {
    let mechanism = ScramMechanism::from_code(deletion.mechanism).ok_or(UNKNOWN_MECHANISM)?;
    if !broker
        .security
        .scram()
        .contains_key(&(deletion.name.clone(), mechanism))
    {
        return Err((
            ErrorCode::RESOURCE_NOT_FOUND,
            "Attempt to delete a user credential that does not exist",
        ));
    }
    Ok(scram_row(&deletion.name, mechanism, None))
}

fn upserted(upsertion: &ScramCredentialUpsertion) -> Result<Change, (ErrorCode, &'static str)> {
    let mechanism = ScramMechanism::from_code(upsertion.mechanism).ok_or(UNKNOWN_MECHANISM)?;
    if upsertion.iterations < ITERATIONS_MIN {
        return Err((ErrorCode::UNACCEPTABLE_CREDENTIAL, "Too few iterations"));
    }
    if upsertion.iterations > ITERATIONS_MAX {
        return Err((ErrorCode::UNACCEPTABLE_CREDENTIAL, "Too many iterations"));
    }
    let (salt, password) = (&upsertion.salt, &upsertion.salted_password);
    let credential = ScramCredential::new(mechanism, salt, password, upsertion.iterations);
    Ok(scram_row(&upsertion.name, mechanism, Some(&credential)))
}
