//! `millstream topic`: a small Kafka client.

mod describe;
mod produce;
mod tail;

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use anyhow::Context;
use millstream_connectors::kafka::KafkaClusters;
use millstream_kafka_client::admin::NewTopic;
use millstream_kafka_client::config::parse_properties_file;
use millstream_kafka_client::{ClientConfig, KafkaClient};
use millstream_kafka_wire::ErrorCode;
use serde_json::json;

use crate::args::{ClientArgs, Common, TopicArgs, TopicCommand};
use crate::exit::Outcome;
use crate::output::OutputFormat;
use crate::process::Process;

/// A client and its settings.
pub struct Connected {
    pub client: KafkaClient,
    pub config: ClientConfig,
}

/// Connects as `--bootstrap-server` and `--command-config` say; `overrides` win over the file.
pub fn connect(
    process: &Process,
    common: &Common,
    args: &ClientArgs,
    overrides: &[(&str, &str)],
) -> anyhow::Result<Connected> {
    let mut properties = match &args.command_config {
        None => BTreeMap::new(),
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read '{}'", path.display()))?;
            parse_properties_file(&text).with_context(|| format!("in '{}'", path.display()))?
        }
    };
    let server = args
        .bootstrap_server
        .clone()
        .unwrap_or_else(|| common.kafka.clone());
    properties.insert("bootstrap.servers".to_owned(), server);
    properties
        .entry("client.id".to_owned())
        .or_insert_with(|| "millstream".to_owned());
    for (key, value) in overrides {
        properties.insert((*key).to_owned(), (*value).to_owned());
    }
    let parsed = ClientConfig::parse(&properties)?;
    if !common.quiet {
        parsed
            .warnings
            .iter()
            .for_each(|warning| eprintln!("warning: {warning}"));
    }
    let transport = process
        .clusters
        .transport(&properties)
        .map_err(|e| anyhow::anyhow!(e.message))?;
    let client = KafkaClient::new(parsed.config.connection.clone(), transport, process.rng.clone());
    Ok(Connected {
        client,
        config: parsed.config,
    })
}

/// Runs a topic command.
pub fn run(process: &Process, common: &Common, args: TopicArgs) -> Outcome {
    let client = |overrides: &[(&str, &str)]| connect(process, common, &args.client, overrides);
    let is_json = common.output == Some(OutputFormat::Json);
    match args.command {
        TopicCommand::Create {
            ref name,
            partitions,
            ref configs,
            if_not_exists,
        } => {
            let topic = NewTopic {
                configs: configs.iter().cloned().collect(),
                ..NewTopic::new(name.as_str(), partitions)
            };
            create(process, common, &client(&[])?, topic, if_not_exists)?;
        }
        TopicCommand::List => list(process, &client(&[])?, is_json)?,
        TopicCommand::Describe { ref name } => describe::run(process, &client(&[])?, name, is_json)?,
        TopicCommand::Delete { ref names, if_exists } => {
            delete(process, common, &client(&[])?, names, if_exists)?;
        }
        TopicCommand::Produce {
            ref name,
            ref key_separator,
            partition,
        } => {
            let connected = client(&[])?;
            produce::run(
                process,
                common,
                &connected,
                name,
                key_separator.as_deref(),
                partition,
            )?;
        }
        TopicCommand::Tail {
            ref name,
            from_beginning,
            exit_at_end,
            partition,
            offset,
            max_records,
            isolation_level,
        } => {
            let isolation = match isolation_level {
                crate::args::Isolation::ReadCommitted => "read_committed",
                crate::args::Isolation::ReadUncommitted => "read_uncommitted",
            };
            let connected = client(&[("isolation.level", isolation)])?;
            let options = tail::TailOptions {
                from_beginning,
                exit_at_end,
                partition,
                offset,
                max_records,
                is_json,
            };
            tail::run(process, &connected, name, &options)?;
        }
    }
    Ok(())
}

fn create(
    process: &Process,
    common: &Common,
    connected: &Connected,
    topic: NewTopic,
    if_not_exists: bool,
) -> anyhow::Result<()> {
    let name = topic.name.clone();
    match process.runtime.block_on(connected.client.create_topic(topic)) {
        Err(error) if if_not_exists && error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) => {
            say(
                common,
                &format!("topic {name} exists already", name = name.as_str()),
            );
        }
        other => {
            other?;
            say(common, &format!("created topic {name}", name = name.as_str()));
        }
    }
    Ok(())
}

fn delete(
    process: &Process,
    common: &Common,
    connected: &Connected,
    names: &[String],
    if_exists: bool,
) -> anyhow::Result<()> {
    for name in names {
        match process.runtime.block_on(connected.client.delete_topic(name)) {
            Err(error) if if_exists && error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => {
                say(common, &format!("topic {name} does not exist"));
            }
            other => {
                other?;
                say(common, &format!("deleted topic {name}"));
            }
        }
    }
    Ok(())
}

fn say(common: &Common, text: &str) {
    if !common.quiet {
        eprintln!("{text}");
    }
}

fn list(process: &Process, connected: &Connected, is_json: bool) -> anyhow::Result<()> {
    let metadata = process.runtime.block_on(connected.client.list_topics())?;
    let mut out = stdout().lock();
    for topic in metadata.topics.values() {
        match is_json {
            true => writeln!(
                out,
                "{}",
                json!({"topic": topic.name.as_str(), "partitions": topic.partitions.len()})
            )?,
            false => writeln!(out, "{}", topic.name.as_str())?,
        }
    }
    Ok(())
}
