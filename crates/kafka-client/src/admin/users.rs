//! SCRAM credentials of users. A password never leaves this process: the broker gets its salted hash.

use millstream_kafka_wire::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use millstream_kafka_wire::messages::describe_user_scram_credentials::{
    DescribeUserScramCredentialsRequest, UserName,
};

use crate::client::KafkaClient;
use crate::config::{SaslMechanism, Secret};
use crate::error::ClientError;
use crate::tcp::sasl::salted_password;

/// A credential as the cluster describes it: without the secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScramCredential {
    pub user: String,
    /// `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: &'static str,
    pub iterations: i32,
}

/// Entropy of a salt, in bits.
const SALT_BITS: usize = 130;
const SALT_DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Makes a salt from random bytes, in the format of Kafka's tools: a 130-bit number in digits and lower-case letters
/// (`ScramFormatter.secureRandomString`). Another format would reveal how a user was created.
pub fn scram_salt(mut random: [u8; SALT_BITS.div_ceil(8)]) -> Vec<u8> {
    random[0] &= (1 << (SALT_BITS % 8)) - 1;
    let mut digits = Vec::new();
    while random.iter().any(|byte| *byte > 0) {
        let mut rest = 0;
        for byte in &mut random {
            let part = rest * 256 + usize::from(*byte);
            *byte = (part / SALT_DIGITS.len()) as u8;
            rest = part % SALT_DIGITS.len();
        }
        digits.push(SALT_DIGITS[rest]);
    }
    digits.reverse();
    digits
}

/// Kafka's number for a mechanism; `None` for one that keeps no credentials.
const fn code(mechanism: SaslMechanism) -> Option<i8> {
    match mechanism {
        SaslMechanism::ScramSha256 => Some(1),
        SaslMechanism::ScramSha512 => Some(2),
        _ => None,
    }
}

fn mechanism_name(code: i8) -> &'static str {
    match code {
        1 => SaslMechanism::ScramSha256.name(),
        2 => SaslMechanism::ScramSha512.name(),
        _ => "UNKNOWN",
    }
}

fn no_scram(mechanism: SaslMechanism) -> ClientError {
    ClientError::Config(crate::config::ConfigError::Unsupported {
        name: "mechanism".to_owned(),
        value: mechanism.name().to_owned(),
        remedy: "credentials are kept for SCRAM-SHA-256 and SCRAM-SHA-512".to_owned(),
    })
}

impl KafkaClient {
    /// The credentials of some users, or of all with `None`.
    pub async fn describe_scram_credentials(
        &self,
        users: Option<&[String]>,
    ) -> Result<Vec<ScramCredential>, ClientError> {
        let name = |user: &String| UserName { name: user.into() };
        let request = DescribeUserScramCredentialsRequest {
            users: users.map(|users| users.iter().map(name).collect()),
        };
        let response = self
            .call_controller(request, |response| response.error_code)
            .await?;
        response
            .error_code
            .check()
            .map_err(|code| ClientError::broker_with("listing users", code, response.error_message))?;
        let mut found = Vec::new();
        for result in response.results {
            let user = String::from(result.user);
            result.error_code.check().map_err(|code| {
                ClientError::broker_with(format!("user '{user}'"), code, result.error_message)
            })?;
            found.extend(result.credential_infos.into_iter().map(|info| ScramCredential {
                user: user.clone(),
                mechanism: mechanism_name(info.mechanism),
                iterations: info.iterations,
            }));
        }
        found.sort();
        Ok(found)
    }

    /// Makes or replaces a user's credential. The salt should be new for each.
    pub async fn set_scram_credential(
        &self,
        user: &str,
        mechanism: SaslMechanism,
        iterations: i32,
        salt: &[u8],
        password: &Secret,
    ) -> Result<(), ClientError> {
        let code = code(mechanism).ok_or_else(|| no_scram(mechanism))?;
        let rounds = u32::try_from(iterations).unwrap_or_default();
        let salted = salted_password(mechanism, password.reveal().as_bytes(), salt, rounds);
        let upsertion = ScramCredentialUpsertion {
            name: user.into(),
            mechanism: code,
            iterations,
            salt: salt.to_vec().into(),
            salted_password: salted.into(),
        };
        self.alter_scram_credentials(user, Vec::new(), vec![upsertion])
            .await
    }

    pub async fn delete_scram_credential(
        &self,
        user: &str,
        mechanism: SaslMechanism,
    ) -> Result<(), ClientError> {
        let mechanism = code(mechanism).ok_or_else(|| no_scram(mechanism))?;
        let deletion = ScramCredentialDeletion {
            name: user.into(),
            mechanism,
        };
        self.alter_scram_credentials(user, vec![deletion], Vec::new())
            .await
    }

    async fn alter_scram_credentials(
        &self,
        user: &str,
        deletions: Vec<ScramCredentialDeletion>,
        upsertions: Vec<ScramCredentialUpsertion>,
    ) -> Result<(), ClientError> {
        let request = AlterUserScramCredentialsRequest {
            deletions,
            upsertions,
        };
        let response = self
            .call_controller(request, |response| {
                let first = response.results.first();
                first.map(|result| result.error_code).unwrap_or_default()
            })
            .await?;
        let result = response.results.into_iter().next();
        let result = result.ok_or(ClientError::Incomplete("AlterUserScramCredentials"))?;
        result
            .error_code
            .check()
            .map_err(|code| ClientError::broker_with(format!("user '{user}'"), code, result.error_message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salts_are_written_as_java_writes_numbers() {
        for (first, last, digits) in [
            (0, [0, 0, 35], "z"),
            (0, [0, 0, 36], "10"),
            (0, [1, 0, 0], "1ekg"),
            (4, [255, 255, 255], "9zldr"), // beyond 130 bits
        ] {
            let mut random = [0; 17];
            random[0] = first;
            random[14..].copy_from_slice(&last);
            assert_eq!(scram_salt(random), digits.as_bytes());
        }
    }
}
