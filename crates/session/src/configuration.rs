//! The session configuration: what SET and RESET change.
//!
//! Any key may be set. Keys that the session itself reads are checked at once, the others where they are used.

use millstream_types::options::{parse_boolean, parse_duration};
use millstream_types::{OptionDecl, OptionType, Options};

use crate::error::SessionError;

/// Keys that only sessions and shells read.
const OWN: &[OptionDecl] = &[
    OptionDecl::new(
        "table.dml-sync",
        OptionType::Boolean,
        "Whether an INSERT is answered when its job has ended.",
    )
    .with_default("false"),
    OptionDecl::new(
        "table.plan.force-recompile",
        OptionType::Boolean,
        "Whether COMPILE PLAN replaces a file that is there.",
    )
    .with_default("false"),
    OptionDecl::new(
        "sql-client.execution.result-mode",
        OptionType::Enum(&["TABLE", "CHANGELOG", "TABLEAU"]),
        "How the shell shows results.",
    )
    .with_default("TABLE"),
];

/// Keys whose values are checked when they are set; those of the others where they are used, as in Flink.
const CHECKED: &[&str] = &[
    "execution.runtime-mode",
    "parallelism.default",
    "table.dml-sync",
    "execution.checkpointing.interval",
    "millstream.batch.max-rows",
    "sql-client.execution.result-mode",
];

/// Every configuration key that means something here: of planning, of jobs, of sessions.
pub fn configuration_options() -> impl Iterator<Item = &'static OptionDecl> {
    let planning = millstream_sql::bind::config::OPTIONS.iter();
    planning.chain(millstream_jobs::settings::OPTIONS).chain(OWN)
}

/// What was set, over what the process was started with.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// From the command line; RESET goes back to these.
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

    /// Back to the value of the start, if there was one.
    pub fn reset(&mut self, key: &str) {
        match self.defaults.get(key) {
            Some(value) => self.values.insert(key.to_owned(), value.clone()),
            None => self.values.remove(key),
        };
    }

    pub fn reset_all(&mut self) {
        self.values = self.defaults.clone();
    }

    /// Puts values over those of the session, for one statement; gives what they hide.
    pub(crate) fn overlay(&mut self, over: &Options) -> Result<Vec<(String, Option<String>)>, SessionError> {
        for (key, value) in over {
            check(key, value)?;
        }
        let hide =
            |(key, value): (&String, &String)| (key.clone(), self.values.insert(key.clone(), value.clone()));
        Ok(over.iter().map(hide).collect())
    }

    /// Takes an overlay away again.
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
    if !CHECKED.contains(&key) {
        return Ok(());
    }
    let Some(declared) = configuration_options().find(|d| d.key == key) else {
        return Ok(());
    };
    let problem = match declared.ty {
        OptionType::Duration if parse_duration(value).is_none() => {
            Some("a duration such as '10 s'".to_owned())
        }
        OptionType::Enum(words) if !words.iter().any(|w| w.eq_ignore_ascii_case(value.trim())) => {
            let words = words.join(", ");
            return Err(SessionError::input(format!(
                "Could not parse value for enum class: '{value}' for key '{key}'. expected one of: {words}"
            )));
        }
        _ => declared.check(value).err().map(|e| e.to_string()),
    };
    match problem {
        None => Ok(()),
        Some(problem) => Err(SessionError::input(format!(
            "Could not parse value '{value}' for key '{key}': {problem}"
        ))),
    }
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
