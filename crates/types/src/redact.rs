//! Secrets in configurations, never shown.

use crate::Options;

/// What stands for a secret: Flink's.
pub const HIDDEN: &str = "******";

/// Parts of keys whose values are secrets: Flink's list, and Kafka's.
const SENSITIVE: [&str; 10] = [
    "password",
    "secret",
    "fs.azure.account.key",
    "apikey",
    "api-key",
    "auth-params",
    "service-key",
    "token",
    "basic-auth",
    "jaas.config",
];

/// Whether the value of a key is a secret.
pub fn is_sensitive(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SENSITIVE.iter().any(|part| key.contains(part))
}

/// A configuration whose secrets are hidden.
pub fn redacted(options: &Options) -> Options {
    let shown = |(key, value): (&String, &String)| {
        let value = if is_sensitive(key) { HIDDEN } else { value };
        (key.clone(), value.to_owned())
    };
    options.iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_whatever_their_case() {
        let keys = [
            "properties.sasl.jaas.config",
            "ssl.key.PASSWORD",
            "s3.secret-key",
            "parallelism.default",
        ];
        let shown: Vec<bool> = keys.iter().map(|key| !is_sensitive(key)).collect();
        assert_eq!(shown, [false, false, false, true]);
    }
}
