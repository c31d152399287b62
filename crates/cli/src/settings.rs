//! Settings from the command line, the environment and a file. The command line wins over the environment, that over the
//! file, and that over the default.
//!
//! What can be set is declared elsewhere: the options of every command in [`Common`](crate::args::Common), Kafka's broker
//! configurations in the broker, Flink's keys in the session. Here are only the forms in which they are written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ArgMatches;
use clap::ValueEnum;
use clap::parser::ValueSource;
use millstream_server::kafka::{BROKER_CONFIGS, is_broker_config};
use millstream_session::configuration_options;
use millstream_sql::parse::similar::nearest;
use toml::{Table, Value};

pub mod yaml;

use crate::args::{Cli, Command, Common};
use crate::failpoints;
use crate::logging::LogFormat;
use crate::output::OutputFormat;

/// Prefix of environment variables.
const PREFIX: &str = "MILLSTREAM_";
/// The variable for the configuration file.
pub const FILE_VARIABLE: &str = "MILLSTREAM_CONFIG";
/// Variables that commands read themselves: options of `serve` and `broker`, and credentials for servers.
const OTHER_VARIABLES: [&str; 7] = [
    FILE_VARIABLE,
    "MILLSTREAM_CA_FILE",
    "MILLSTREAM_METRICS",
    "MILLSTREAM_PAGER",
    "MILLSTREAM_TOKEN",
    "MILLSTREAM_USER",
    "MILLSTREAM_USERS_FILE",
];

/// Sections of the file, beside the options at its head.
const BROKER: &str = "broker";
const FLINK: &str = "flink";
/// The options at the head of the file, by their names on the command line.
const OPTIONS: [&str; 6] = ["data-dir", "kafka", "log", "log-format", "output", "quiet"];

/// Key and value pairs; a later one wins.
type Definitions = Vec<(String, String)>;

/// Fills in what the command line leaves open, from the environment and from the file that is named.
pub fn complete(cli: &mut Cli, matches: &ArgMatches) -> anyhow::Result<()> {
    let mut definitions = Definitions::new();
    let (path, mut warnings) = file(cli);
    if let Some(path) = path {
        let read = read_file(cli, matches, &path);
        let (found, more) = read.with_context(|| format!("in the settings of '{}'", path.display()))?;
        definitions = found;
        warnings.extend(
            more.iter()
                .map(|warning| format!("{warning} (in '{}')", path.display())),
        );
    }
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let (from_environment, unknown) = environment(variables);
    definitions.extend(from_environment);
    warnings.extend(unknown);
    if !cli.common.quiet {
        warnings
            .iter()
            .for_each(|warning| eprintln!("warning: {warning}"));
    }
    check_definitions(&cli.common.define)?;
    definitions.append(&mut cli.common.define);
    cli.common.define = definitions;
    if cli.common.kafka.parse::<u16>().is_ok() {
        cli.common.kafka = format!("127.0.0.1:{}", cli.common.kafka);
    }
    Ok(())
}

/// Rejects a key of `-D` that is nearly one that exists: it would have no effect. Other unknown keys pass, as Flink's
/// configurations have many that mean nothing here.
fn check_definitions(define: &[(String, String)]) -> anyhow::Result<()> {
    for (key, _) in define {
        if is_known(key) || key.starts_with('$') {
            continue;
        }
        if let Some(near) = nearest(key, keys()) {
            bail!("unknown configuration '{key}'; did you mean '{near}'?");
        }
    }
    Ok(())
}

/// Whether a key changes something here.
fn is_known(key: &str) -> bool {
    let mut topic_configs = millstream_server::kafka::TOPIC_CONFIGS.iter();
    is_broker_config(key)
        || keys().any(|known| known == key)
        || topic_configs.any(|config| config.name == key)
}

/// Reads the file into the options that the command line leaves open; the keys, and warnings.
fn read_file(cli: &mut Cli, matches: &ArgMatches, path: &Path) -> anyhow::Result<(Definitions, Vec<String>)> {
    let text = std::fs::read_to_string(path)?;
    if yaml::is_yaml(path) {
        let (own, definitions, warnings) = yaml::split(yaml::parse(&text)?)?;
        options(&mut cli.common, &own, |id| is_given(matches, id))?;
        return Ok((definitions, warnings));
    }
    let table: Table = text.parse()?;
    options(&mut cli.common, &table, |id| is_given(matches, id))?;
    let definitions = sections(&table)?;
    let warnings = definitions.iter().filter_map(|(key, _)| yaml::warning(key));
    let warnings = warnings.collect();
    Ok((definitions, warnings))
}

/// The file that is to be read, and warnings.
fn file(cli: &Cli) -> (Option<PathBuf>, Vec<String>) {
    if let Some(named) = named_file(cli) {
        let path = if named.is_dir() {
            named.join(yaml::FILE)
        } else {
            named
        };
        return (Some(path), Vec::new());
    }
    let directory = std::env::var_os(yaml::DIRECTORY_VARIABLE).filter(|directory| !directory.is_empty());
    let (path, warning) = yaml::usual_file(directory.map(PathBuf::from));
    (path, warning.into_iter().collect())
}

/// The file that the command line or the environment names.
fn named_file(cli: &Cli) -> Option<PathBuf> {
    match &cli.command {
        Command::Run(args) => args.settings.config.clone(),
        Command::Sql(args) => args.settings.config.clone(),
        Command::Broker(args) => args.settings.config.clone(),
        Command::Serve(args) => args.settings.config.clone(),
        // `--config` of topics is another option.
        _ => std::env::var_os(FILE_VARIABLE).map(PathBuf::from),
    }
}

/// Whether the command line or the environment has an option.
fn is_given(matches: &ArgMatches, id: &str) -> bool {
    match matches.value_source(id) {
        None | Some(ValueSource::DefaultValue) => {
            matches.subcommand().is_some_and(|(_, below)| is_given(below, id))
        }
        Some(_) => true,
    }
}

/// The options at the head of the file.
fn options(common: &mut Common, table: &Table, is_given: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    for (key, value) in table {
        if [BROKER, FLINK].contains(&key.as_str()) {
            continue;
        }
        if !OPTIONS.contains(&key.as_str()) {
            bail!("{}", unknown("setting", key, OPTIONS.iter().copied()));
        }
        if is_given(&key.replace('-', "_")) {
            continue;
        }
        let text = || {
            value
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("'{key}' is not text; write {key} = \"…\""))
        };
        match key.as_str() {
            "data-dir" => common.data_dir = PathBuf::from(text()?),
            "kafka" => common.kafka = text()?,
            "log" => common.log = text()?,
            "log-format" => {
                let format = LogFormat::from_str(&text()?, true);
                common.log_format = format.map_err(|e| anyhow::anyhow!("'log-format': {e}"))?;
            }
            "output" => {
                let format = OutputFormat::from_str(&text()?, true);
                common.output = Some(format.map_err(|e| anyhow::anyhow!("'output': {e}"))?);
            }
            _ => {
                let quiet = value.as_bool();
                common.quiet = quiet.with_context(|| format!("'{key}' is neither true nor false"))?;
            }
        }
    }
    Ok(())
}

/// The keys of both sections.
fn sections(table: &Table) -> anyhow::Result<Definitions> {
    let mut definitions = Definitions::new();
    for section in [BROKER, FLINK] {
        let Some(value) = table.get(section) else { continue };
        let inner = value
            .as_table()
            .with_context(|| format!("'{section}' is not a section; write [{section}]"))?;
        let mut flat = BTreeMap::new();
        flatten("", inner, &mut flat)?;
        for (key, value) in flat {
            if section == BROKER && !is_broker_config(&key) {
                bail!(
                    "{}",
                    unknown(
                        "broker configuration",
                        &key,
                        BROKER_CONFIGS.iter().map(|c| c.name)
                    )
                );
            }
            if section == FLINK && is_broker_config(&key) {
                bail!("'{key}' is a configuration of the broker; write it below [{BROKER}]");
            }
            definitions.push((key, value));
        }
    }
    Ok(definitions)
}

/// `log.retention.hours = 24` is a table in a table to TOML; here it is a key again. Kafka separates the items of a list
/// by commas, Flink by semicolons.
fn flatten(prefix: &str, table: &Table, flat: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
    for (name, value) in table {
        let key = match prefix {
            "" => name.clone(),
            prefix => format!("{prefix}.{name}"),
        };
        match value {
            Value::Table(inner) => flatten(&key, inner, flat)?,
            Value::Array(items) => {
                let texts: Option<Vec<String>> = items.iter().map(scalar).collect();
                let texts =
                    texts.with_context(|| format!("'{key}' has an item that is not a plain value"))?;
                let separator = if is_broker_config(&key) { "," } else { ";" };
                flat.insert(key, texts.join(separator));
            }
            plain => {
                let text = scalar(plain).with_context(|| format!("'{key}' is not a plain value"))?;
                flat.insert(key, text);
            }
        }
    }
    Ok(())
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

/// The variable that sets a key: `MILLSTREAM_NUM_PARTITIONS` sets `num.partitions`.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace(['.', '-'], "_").to_uppercase())
}

/// Every key that has a variable.
fn keys() -> impl Iterator<Item = &'static str> {
    let broker = BROKER_CONFIGS.iter().map(|config| config.name);
    let server = millstream_server::http::options();
    broker.chain(configuration_options().chain(server).map(|option| option.key))
}

/// Keys that variables set, and a sentence for each variable that sets nothing.
fn environment(variables: impl Iterator<Item = (String, String)>) -> (Definitions, Vec<String>) {
    let known: BTreeMap<String, &str> = keys().map(|key| (variable(key), key)).collect();
    let own: Vec<String> = OPTIONS.iter().map(|option| variable(option)).collect();
    let (mut definitions, mut warnings) = (Definitions::new(), Vec::new());
    let is_other = |name: &str| OTHER_VARIABLES.contains(&name) || name == failpoints::VARIABLE;
    for (name, value) in variables.filter(|(name, _)| name.starts_with(PREFIX)) {
        if let Some(key) = known.get(&name) {
            definitions.push(((*key).to_owned(), value));
        } else if !is_other(&name) && !own.contains(&name) {
            let all = known
                .keys()
                .map(String::as_str)
                .chain(own.iter().map(String::as_str));
            warnings.push(unknown("environment variable", &name, all));
        }
    }
    definitions.sort();
    warnings.sort();
    (definitions, warnings)
}

fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let hint = nearest(name, known).map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
    format!("unknown {kind} '{name}'{hint}")
}

/// A file that says what is said here, for the reference.
pub const EXAMPLE: &str = "\
data-dir = \"/var/lib/millstream\"
kafka = \"127.0.0.1:9092\"
log = \"info\"

[broker]
num.partitions = 4
log.retention.hours = 24

[flink]
parallelism.default = 2
execution.checkpointing.interval = \"10 s\"
";

/// The same in YAML.
pub const YAML_EXAMPLE: &str = "\
data-dir: /var/lib/millstream
kafka: 127.0.0.1:9092
log.retention.hours: 24
num.partitions: 4
parallelism.default: 2
execution:
  checkpointing:
    interval: 10 s
rest:
  port: 8081
";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn common() -> Common {
        Cli::parse_from(["millstream", "broker"]).common
    }

    fn read_text(text: &str, common: &mut Common) -> anyhow::Result<Definitions> {
        let table: Table = text.parse()?;
        options(common, &table, |_| false)?;
        sections(&table)
    }

    fn refused(text: &str) -> String {
        let error = read_text(text, &mut common()).expect_err(text);
        format!("{error:#}")
    }

    #[test]
    fn a_file_sets_options_and_both_kinds_of_keys() {
        let mut common = common();
        let definitions = read_text(EXAMPLE, &mut common).expect("the example is right");
        assert_eq!(common.data_dir, Path::new("/var/lib/millstream"));
        assert_eq!(common.log, "info");
        let expected = [
            ("log.retention.hours", "24"),
            ("num.partitions", "4"),
            ("execution.checkpointing.interval", "10 s"),
            ("parallelism.default", "2"),
        ];
        let expected: Definitions = expected
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(definitions, expected);
    }

    #[test]
    fn a_mistake_in_a_file_is_named() {
        assert!(refused("data_dir = 'x'").contains("did you mean 'data-dir'?"));
        assert!(refused("[broker]\nnum.partition = 1").contains("did you mean 'num.partitions'?"));
        assert!(refused("[flink]\nnum.partitions = 1").contains("below [broker]"));
        assert!(refused("kafka = 9092").contains("'kafka' is not text"));
        assert!(refused("output = 'yaml'").contains("'output'"));
        assert!(refused("broker = 1").contains("write [broker]"));
    }

    #[test]
    fn variables_set_keys_by_their_names() {
        let given = [
            ("MILLSTREAM_NUM_PARTITIONS", "3"),
            ("MILLSTREAM_PARALLELISM_DEFAULT", "2"),
            ("MILLSTREAM_NUM_PARTITION", "3"),
            ("MILLSTREAM_DATA_DIR", "x"),
            ("MILLSTREAM_USER", "ann:pw"),
            ("PATH", "/bin"),
        ];
        let given = given.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned()));
        let (definitions, warnings) = environment(given);
        let keys: Vec<&str> = definitions.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["num.partitions", "parallelism.default"]);
        assert_eq!(
            warnings,
            [
                "unknown environment variable 'MILLSTREAM_NUM_PARTITION'; did you mean 'MILLSTREAM_NUM_PARTITIONS'?"
            ]
        );
    }

    #[test]
    fn no_two_keys_have_one_variable() {
        let mut names: Vec<String> = keys()
            .map(variable)
            .chain(OPTIONS.iter().map(|option| variable(option)))
            .collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
