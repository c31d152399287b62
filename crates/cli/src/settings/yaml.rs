//! Flink's `config.yaml`: keys with dots, nested keys, or both.
//!
//! The file has one level of meaning: `rest.port: 8081` and `rest: {port: 8081}` are the same. Options of the command
//! line, Kafka's broker configurations and Flink's keys stand side by side. Unknown keys are warnings, as such a file is
//! often one that Flink reads too.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use millstream_session::flink_setting;
use toml::{Table, Value};
use yaml_rust2::{Yaml, YamlLoader};

use super::{Definitions, OPTIONS, flatten, is_known, keys, unknown};

/// The variable that names the directory of `config.yaml`, Flink's.
pub const DIRECTORY_VARIABLE: &str = "FLINK_CONF_DIR";
/// The file in that directory, and below the directory `conf`.
pub const FILE: &str = "config.yaml";
/// Nesting of a file.
const DEPTH_MAX: usize = 32;

/// Whether a file is YAML, by its name.
pub fn is_yaml(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["yaml", "yml"].contains(&extension))
}

/// The file where Flink would look for it: in the directory of `FLINK_CONF_DIR`, or else in `conf`. The second part is a
/// warning.
pub fn usual_file(directory: Option<PathBuf>) -> (Option<PathBuf>, Option<String>) {
    let Some(directory) = directory else {
        let path = Path::new("conf").join(FILE);
        return (path.is_file().then_some(path), None);
    };
    let path = directory.join(FILE);
    if path.is_file() {
        return (Some(path), None);
    }
    let directory = directory.display();
    let warning = format!(
        "{DIRECTORY_VARIABLE} names '{directory}', which has no {FILE}; no settings are read from there"
    );
    (None, Some(warning))
}

/// The tree of a file.
pub fn parse(text: &str) -> anyhow::Result<Table> {
    let documents = YamlLoader::load_from_str(text)?;
    match documents.as_slice() {
        [] | [Yaml::Null] => Ok(Table::new()),
        [Yaml::Hash(_)] => match value(&documents[0], "", 0)? {
            Some(Value::Table(table)) => Ok(table),
            _ => Ok(Table::new()),
        },
        [_] => bail!("the file does not consist of keys and values, for example rest.port: 8081"),
        _ => bail!("the file has several YAML documents; one is read"),
    }
}

/// A value at a key. A key without a value sets nothing.
fn value(yaml: &Yaml, key: &str, depth: usize) -> anyhow::Result<Option<Value>> {
    if depth > DEPTH_MAX {
        bail!("'{key}' is nested more than {DEPTH_MAX} levels deep");
    }
    Ok(Some(match yaml {
        Yaml::Null => return Ok(None),
        Yaml::String(text) | Yaml::Real(text) => Value::String(text.clone()),
        Yaml::Integer(number) => Value::Integer(*number),
        Yaml::Boolean(flag) => Value::Boolean(*flag),
        Yaml::Array(items) => {
            let mut values = Vec::with_capacity(items.len());
            for item in items {
                values.extend(value(item, key, depth + 1)?);
            }
            Value::Array(values)
        }
        Yaml::Hash(pairs) => {
            let mut table = Table::new();
            for (name, inner) in pairs {
                let name = match name {
                    Yaml::String(text) | Yaml::Real(text) => text.clone(),
                    Yaml::Integer(number) => number.to_string(),
                    Yaml::Boolean(flag) => flag.to_string(),
                    _ => bail!("a key below '{key}' is not plain text"),
                };
                if let Some(inner) = value(inner, &name, depth + 1)? {
                    table.insert(name, inner);
                }
            }
            Value::Table(table)
        }
        Yaml::Alias(_) | Yaml::BadValue => bail!("'{key}' has an alias to nothing"),
    }))
}

/// The options of the command line, the keys, and a warning for each key that means nothing.
pub fn split(table: Table) -> anyhow::Result<(Table, Definitions, Vec<String>)> {
    let is_option = |key: &str, value: &Value| OPTIONS.contains(&key) && !value.is_table();
    let (options, keys): (Table, Table) = table.into_iter().partition(|(key, value)| is_option(key, value));
    let mut flat = std::collections::BTreeMap::new();
    flatten("", &keys, &mut flat).context("a list holds more than plain values")?;
    let warnings = flat.keys().filter_map(|key| warning(key)).collect();
    Ok((options, flat.into_iter().collect(), warnings))
}

/// A sentence for a key of Flink that changes results and is not followed, or that neither Flink nor Millstream has.
pub fn warning(key: &str) -> Option<String> {
    use millstream_sql::compatibility::Support;
    if is_known(key) {
        return None;
    }
    match flink_setting(key) {
        Some(setting) if setting.support == Support::Differs => {
            Some(format!("configuration '{key}' is not supported: {}", setting.why))
        }
        Some(_) => None,
        None => Some(unknown("configuration", key, keys())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(text: &str) -> (Definitions, Vec<String>) {
        let (_, definitions, warnings) = split(parse(text).expect(text)).expect(text);
        (definitions, warnings)
    }

    fn pairs(expected: &[(&str, &str)]) -> Definitions {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        expected.iter().map(own).collect()
    }

    #[test]
    fn nested_and_flat_keys_are_the_same() {
        let expected = pairs(&[
            ("execution.checkpointing.interval", "10 s"),
            ("log.retention.hours", "24"),
            ("millstream.sql.allowed-hosts", "a:1;b"),
            ("parallelism.default", "2"),
            ("rest.port", "8082"),
            ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256"),
        ]);
        for text in [
            "execution.checkpointing.interval: 10 s\nlog.retention.hours: 24\nmillstream.sql.allowed-hosts: a:1;b\n\
             parallelism.default: 2\nrest.port: 8082\nsasl.enabled.mechanisms: PLAIN,SCRAM-SHA-256\n",
            "execution:\n  checkpointing:\n    interval: 10 s\nlog.retention:\n  hours: 24\n\
             millstream: {sql: {allowed-hosts: ['a:1', b]}}\nparallelism:\n  default: 2\nrest:\n  port: 8082\n  address:\n\
             sasl:\n  enabled.mechanisms:\n    - PLAIN\n    - SCRAM-SHA-256\n",
        ] {
            assert_eq!(flat(text), (expected.clone(), Vec::new()));
        }
    }

    #[test]
    fn options_stand_beside_keys() {
        let text = "data-dir: /var/lib/millstream\nlog: info\nquiet: true\nlog.dirs: /x\n";
        let (options, definitions, _) = split(parse(text).unwrap()).unwrap();
        assert_eq!(options.keys().collect::<Vec<_>>(), ["data-dir", "log", "quiet"]);
        assert_eq!(definitions, pairs(&[("log.dirs", "/x")]));
        // Nested, `log` is the beginning of keys of the broker.
        let (options, definitions, _) = split(parse("log:\n  retention:\n    hours: 1\n").unwrap()).unwrap();
        assert!(options.is_empty());
        assert_eq!(definitions, pairs(&[("log.retention.hours", "1")]));
    }

    #[test]
    fn unknown_keys_are_named() {
        for (text, expected) in [
            (
                "rest.prot: 1",
                "unknown configuration 'rest.prot'; did you mean 'rest.port'?",
            ),
            (
                "no.such.thing.at.all: 1",
                "unknown configuration 'no.such.thing.at.all'",
            ),
            ("table.exec.emit.early-fire.enabled: true", "is not supported"),
        ] {
            let (_, warnings) = flat(text);
            assert!(
                warnings.len() == 1 && warnings[0].contains(expected),
                "{warnings:?}"
            );
        }
        // What Flink ships.
        let shipped = "jobmanager:\n  rpc:\n    address: localhost\ntaskmanager.numberOfTaskSlots: 1\n\
                       env:\n  java:\n    opts:\n      all: --add-exports=x\nio.tmp.dirs: /tmp\n";
        assert_eq!(flat(shipped).1, Vec::<String>::new());
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for text in ["- a\n- b", "a: 1\na: 2", "a: [1", "a: 1\n---\nb: 2", "? [x]\n: 1"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(split(parse("a: [[1]]").unwrap()).is_err());
        assert_eq!(parse("# nothing\n").unwrap(), Table::new());
    }
}
