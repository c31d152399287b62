//! The session configuration, which SET and RESET change.
//!
//! SET accepts any key. The session checks the keys that it reads itself at once; the others are checked where they are
//! used.

use millstream_types::options::parse_boolean;
use millstream_types::{ErrorCode, OptionDecl, OptionType, Options};

use crate::catalog_store;
use crate::error::SessionError;

/// Keys that only sessions and shells read.
const OWN: &[OptionDecl] = &[
    OptionDecl::new(
        "table.dml-sync",
        OptionType::Boolean,
        "Whether an INSERT returns only when its job has ended.",
    )
    .with_default("false"),
    OptionDecl::new(
        "table.plan.force-recompile",
        OptionType::Boolean,
        "Whether COMPILE PLAN overwrites an existing file.",
    )
    .with_default("false"),
    OptionDecl::new(
        "sql-client.execution.result-mode",
        OptionType::Enum(&["TABLE", "CHANGELOG", "TABLEAU"]),
        "How the shell displays results.",
    )
    .with_default("TABLE"),
];

/// Values of `table.sql-dialect` that Flink knows; the session warns that only the first is spoken.
const DIALECTS: [&str; 2] = ["default", "hive"];

/// Keys whose values SET checks at once. As in Flink, other values are checked where they are used.
const CHECKED: &[&str] = &[
    "execution.runtime-mode",
    "parallelism.default",
    "table.dml-sync",
    "execution.checkpointing.interval",
    "millstream.batch.max-rows",
    "sql-client.execution.result-mode",
    catalog_store::KIND,
];

/// Every configuration key that has an effect: on planning, on jobs, on sessions.
pub fn configuration_options() -> impl Iterator<Item = &'static OptionDecl> {
    let planning = millstream_sql::bind::config::OPTIONS.iter();
    planning
        .chain(millstream_jobs::settings::OPTIONS)
        .chain(millstream_jobs::OBJECT_STORE_OPTIONS)
        .chain(OWN)
        .chain(catalog_store::OPTIONS)
}

/// The values that were set, on top of the process's defaults.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// From the command line; RESET restores these.
    defaults: Options,
    values: Options,
}

impl Configuration {
    pub fn new(defaults: Options) -> Result<Self, SessionError> {
        for (key, value) in &defaults {
            check(key, value)?;
        }
        Ok(Self {
            values: defaults.clone(),
            defaults,
        })
    }

    /// All values, in key order.
    pub fn values(&self) -> &Options {
        &self.values
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SessionError> {
        check(key, value)?;
        if let Some(note) = crate::flink_settings::note(key) {
            tracing::warn!("{note}");
        }
        self.values.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// Restores the default, or removes the key if it has none.
    pub fn reset(&mut self, key: &str) {
        match self.defaults.get(key) {
            Some(value) => self.values.insert(key.to_owned(), value.clone()),
            None => self.values.remove(key),
        };
    }

    pub fn reset_all(&mut self) {
        self.values = self.defaults.clone();
    }

    /// Overrides values for one statement. Returns the values to put back with [`Self::restore`].
    pub(crate) fn overlay(&mut self, over: &Options) -> Result<Vec<(String, Option<String>)>, SessionError> {
        for (key, value) in over {
            check(key, value)?;
        }
        let hide =
            |(key, value): (&String, &String)| (key.clone(), self.values.insert(key.clone(), value.clone()));
        Ok(over.iter().map(hide).collect())
    }

    /// Removes an overlay.
    pub(crate) fn restore(&mut self, hidden: Vec<(String, Option<String>)>) {
        for (key, value) in hidden {
            match value {
                Some(value) => self.values.insert(key, value),
                None => self.values.remove(&key),
            };
        }
    }

    /// Whether `execution.runtime-mode` is BATCH.
    pub fn is_batch(&self) -> bool {
        self.get("execution.runtime-mode")
            .is_some_and(|mode| mode.eq_ignore_ascii_case("batch"))
    }

    /// Whether `table.dml-sync` is on.
    pub fn dml_sync(&self) -> bool {
        self.get("table.dml-sync")
            .and_then(parse_boolean)
            .unwrap_or(false)
    }
}

fn check(key: &str, value: &str) -> Result<(), SessionError> {
    let is_dialect = DIALECTS.iter().any(|dialect| value.eq_ignore_ascii_case(dialect));
    if key == "table.sql-dialect" && !is_dialect {
        let message = format!("there is no SQL dialect '{value}'");
        return Err(SessionError::coded(ErrorCode::InvalidSetting, message).with_hint("give 'default'"));
    }
    if !CHECKED.contains(&key) {
        return Ok(());
    }
    let Some(declared) = configuration_options().find(|d| d.key == key) else {
        return Ok(());
    };
    let Some(expected) = declared.expected_instead_of(value) else {
        return Ok(());
    };
    let message = match declared.ty {
        // Flink's words for these, which people search for.
        OptionType::Enum(_) => format!("Could not parse value for enum class: '{value}' for key '{key}'"),
        _ => format!("Could not parse value '{value}' for key '{key}'"),
    };
    Err(SessionError::coded(ErrorCode::InvalidSetting, message).with_hint(format!("give {expected}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_declared_once_and_checked_keys_are_declared() {
        let mut keys: Vec<&str> = configuration_options().map(|o| o.key).collect();
        assert!(CHECKED.iter().all(|key| keys.contains(key)));
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }
}
