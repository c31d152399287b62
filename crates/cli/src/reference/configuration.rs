//! The configuration page: command line, sessions and jobs, broker, topics, clients.

use clap::CommandFactory;
use millstream_kafka_client::config::{PROPERTIES, Property, PropertyType};
use millstream_server::kafka::config::{OWN_CONFIGS, OwnConfig};
use millstream_server::kafka::{
    BROKER_CONFIGS, ConfigDecl, ConfigType, OWN_DEFAULTS, ResourceType, TOPIC_CONFIGS, Validity, meaning,
};
use millstream_session::configuration_options;

use super::markdown::{Document, code, value, words};
use crate::args::Cli;
use crate::settings::yaml::DIRECTORY_VARIABLE;
use crate::settings::{EXAMPLE, FILE_VARIABLE, YAML_EXAMPLE, variable};

/// `configuration.md`
pub fn page() -> String {
    let mut page = Document::new(
        "Configuration",
        "What can be set, and where. `SET 'key' = 'value'` changes a key of sessions and jobs in a script; what holds before \
         the script begins, and the broker's configurations, are set in one of three ways. The first that has a value wins.",
    );
    sources(&mut page);
    command_line(&mut page);
    page.heading(2, "Sessions and jobs");
    page.paragraph(
        "Flink's keys. Keys that are not here may be set and have no effect. Durations are written `10 s`, `500 ms`, `1 min`.",
    );
    page.options(configuration_options());
    page.heading(2, "Server");
    page.paragraph(
        "Where `millstream serve` listens, by Flink's keys; `--kafka` and `listeners` are the broker's.",
    );
    page.options(millstream_server::http::options());
    broker(&mut page);
    page.heading(2, "Clients");
    page.paragraph(
        "Kafka's client properties: in a table as `'properties.NAME'`, for `millstream topic` and the other commands that are \
         Kafka clients in the file of `--command-config`.",
    );
    let understood = |p: &&Property| !p.is_ignored;
    page.table(
        ["property", "type", "default", "meaning"],
        PROPERTIES.iter().filter(understood).map(property),
    );
    let ignored: Vec<&str> = PROPERTIES
        .iter()
        .filter(|p| !understood(p))
        .map(|p| p.name)
        .collect();
    page.paragraph(&format!("Accepted without a meaning here: {}.", words(&ignored)));
    page.finish()
}

fn sources(page: &mut Document) {
    let example = "num.partitions";
    page.paragraph(&format!(
        "1. On the command line: `-D {example}=4`.\n\
         2. In the environment: `{}=4`. The name is `MILLSTREAM_` and the key in capitals, with `_` for `.` and `-`.\n\
         3. In a file: `--config FILE` of `run`, `sql`, `broker` and `serve`, or `{FILE_VARIABLE}` for every command. Without \
         either, `config.yaml` in the directory of `{DIRECTORY_VARIABLE}`, or else `conf/config.yaml`, is read if it is there.",
        variable(example)
    ));
    page.paragraph(
        "A file whose name ends in `.yaml` or `.yml` has the form of Flink's `config.yaml`: keys with dots, nested keys, or both. \
         Options of the command line, Kafka's broker configurations and Flink's keys stand side by side. A key that means \
         nothing is a warning that names the nearest one.",
    );
    page.paragraph(&format!("```yaml\n{YAML_EXAMPLE}```"));
    page.paragraph(
        "Any other file is TOML. The options of the command line stand at its head, Kafka's broker configurations below \
         `[broker]`, Flink's keys below `[flink]`.",
    );
    page.paragraph(&format!("```toml\n{EXAMPLE}```"));
}

fn command_line(page: &mut Document) {
    page.heading(2, "Command line");
    page.paragraph("Options of every command; `millstream COMMAND --help` shows those of one.");
    let command = Cli::command();
    let options = command
        .get_arguments()
        .filter(|a| !a.is_hide_set() && a.get_id() != "version");
    page.table(
        ["option", "environment", "default", "meaning"],
        options.filter(|a| a.get_id() != "help").map(flag),
    );
}

fn flag(argument: &clap::Arg) -> [String; 4] {
    let name = match (argument.get_long(), argument.get_short()) {
        (Some(long), _) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => argument.get_id().to_string(),
    };
    let takes = argument.get_action().takes_values();
    let shown = argument.get_value_names().unwrap_or_default();
    let name = match shown.first() {
        Some(placeholder) if takes => format!("{name} {placeholder}"),
        _ => name,
    };
    let defaults: Vec<String> = argument
        .get_default_values()
        .iter()
        .filter(|_| takes)
        .map(|d| value(&d.to_string_lossy()))
        .collect();
    let environment = argument.get_env().map(|e| code(&e.to_string_lossy()));
    [
        code(&name),
        environment.unwrap_or_default(),
        defaults.join(" "),
        argument.get_help().map(ToString::to_string).unwrap_or_default(),
    ]
}

fn broker(page: &mut Document) {
    page.heading(2, "Broker");
    page.paragraph(
        "Kafka's broker configurations. All names of Kafka 4.3 are known; these change what the broker does:",
    );
    configs(page, ResourceType::Broker, BROKER_CONFIGS);
    page.paragraph(
        "Keys of listeners may be set for one of them as `listener.name.NAME.KEY`, and those of SASL for one mechanism as \
         `listener.name.NAME.MECHANISM.KEY`. Beside Kafka's there are:",
    );
    let own = |config: &OwnConfig| [code(config.name), config.doc.to_owned()];
    page.table(["configuration", "meaning"], OWN_CONFIGS.iter().map(own));
    page.paragraph("The others are accepted, checked, kept and shown, and change nothing on one node:");
    page.paragraph(&kept(ResourceType::Broker, BROKER_CONFIGS));
    page.heading(2, "Topics");
    page.paragraph(
        "Configurations of a topic (`millstream topic create NAME --config KEY=VALUE`). These change what the broker does:",
    );
    configs(page, ResourceType::Topic, TOPIC_CONFIGS);
    page.paragraph(&format!(
        "Accepted, checked, kept and shown: {}.",
        kept(ResourceType::Topic, TOPIC_CONFIGS).trim_end_matches('.')
    ));
}

fn configs(page: &mut Document, kind: ResourceType, declared: &'static [ConfigDecl]) {
    let row = |config: &ConfigDecl| {
        let own = OWN_DEFAULTS
            .iter()
            .find(|(name, _)| *name == config.name && kind == ResourceType::Broker);
        let default = own.map(|(_, default)| *default).or(config.default);
        Some([
            code(config.name),
            config_type(config),
            default.map_or_else(|| "none".to_owned(), value),
            meaning(kind, config.name)?.to_owned(),
        ])
    };
    page.table(
        ["name", "values", "default", "meaning"],
        declared.iter().filter_map(row),
    );
}

fn kept(kind: ResourceType, declared: &[ConfigDecl]) -> String {
    let names: Vec<&str> = declared
        .iter()
        .map(|c| c.name)
        .filter(|name| meaning(kind, name).is_none())
        .collect();
    format!("{}.", words(&names))
}

fn config_type(config: &ConfigDecl) -> String {
    let name = match config.config_type {
        ConfigType::Boolean => "boolean",
        ConfigType::Int | ConfigType::Short | ConfigType::Long => "integer",
        ConfigType::Double => "number",
        ConfigType::String => "text",
        ConfigType::List => "list with `,`",
        ConfigType::Class => "class",
        ConfigType::Password => "secret",
    };
    match config.valid {
        Validity::Any => name.to_owned(),
        Validity::AtLeast(least) => format!("{name} from {least}"),
        Validity::Between(from, to) => format!("{name} from {from} to {to}"),
        Validity::BetweenOr(from, to, or) => format!("{name} from {from} to {to}, or {or}"),
        Validity::OneOf(choices) | Validity::OneOfIgnoringCase(choices) => words(choices),
        Validity::NotEmpty => format!("{name}, not empty"),
    }
}

fn property(property: &Property) -> [String; 4] {
    let kind = match property.property_type {
        PropertyType::Text => "text".to_owned(),
        PropertyType::Password => "secret".to_owned(),
        PropertyType::Boolean => "boolean".to_owned(),
        PropertyType::Int(..) => "integer".to_owned(),
        PropertyType::Word(choices) => words(choices),
    };
    let default = match property.default {
        "" => "none".to_owned(),
        default => code(default),
    };
    [code(property.name), kind, default, property.doc.to_owned()]
}
