//! `millstream topic`: a small Kafka client.

mod alter;
mod describe;
mod offsets;
mod produce;
mod select;
mod tail;

use std::io::{Write, stdout};

use millstream_kafka_client::TopicPartition;
use millstream_kafka_client::admin::NewTopic;
use millstream_kafka_wire::ErrorCode;
use serde_json::json;

use self::select::TopicFilter;
use crate::args::{Common, Isolation, TopicArgs, TopicCommand};
use crate::commands::connect::{Connected, connect, say};
use crate::exit::Outcome;
use crate::output::OutputFormat;
use crate::process::Process;

pub fn run(process: &Process, common: &Common, args: &TopicArgs) -> Outcome {
    let client = |overrides: &[(&str, &str)]| connect(process, common, &args.client, overrides);
    let is_json = common.output == Some(OutputFormat::Json);
    match &args.command {
        TopicCommand::Create {
            name,
            partitions,
            replication_factor,
            replica_assignment,
            configs,
            if_not_exists,
        } => {
            let topic = NewTopic {
                configs: configs.iter().cloned().collect(),
                replication_factor: *replication_factor,
                assignments: replica_assignment
                    .as_ref()
                    .map(|a| a.0.clone())
                    .unwrap_or_default(),
                ..NewTopic::new(name.as_str(), *partitions)
            };
            create(process, common, &client(&[])?, topic, *if_not_exists)?;
        }
        TopicCommand::List { filter } => {
            let filter = TopicFilter::new(filter)?;
            list(process, &client(&[])?, &filter, is_json)?;
        }
        TopicCommand::Describe(args) => describe::run(process, &client(&[])?, args, is_json)?,
        TopicCommand::Alter(args) => alter::alter(process, common, &client(&[])?, args)?,
        TopicCommand::Delete { names, if_exists } => {
            delete(process, common, &client(&[])?, names, *if_exists)?;
        }
        TopicCommand::Offsets(args) => offsets::run(process, common, &client(&[])?, args, is_json)?,
        TopicCommand::DeleteRecords {
            name,
            partition,
            offset,
        } => {
            let partition = TopicPartition::new(name.as_str(), *partition);
            alter::delete_records(process, &client(&[])?, &partition, *offset, is_json)?;
        }
        TopicCommand::Produce(args) => {
            let given = [("compression.type", &args.compression), ("acks", &args.acks)];
            let overrides: Vec<(&str, &str)> = given
                .into_iter()
                .filter_map(|(key, value)| Some((key, value.as_deref()?)))
                .collect();
            produce::run(process, common, &client(&overrides)?, args)?;
        }
        TopicCommand::Tail(args) => {
            let isolation = match args.isolation_level {
                Isolation::ReadCommitted => "read_committed",
                Isolation::ReadUncommitted => "read_uncommitted",
            };
            let connected = client(&[("isolation.level", isolation)])?;
            tail::run(process, common, &connected, args, is_json)?;
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

fn list(process: &Process, connected: &Connected, filter: &TopicFilter, is_json: bool) -> anyhow::Result<()> {
    let metadata = process.runtime.block_on(connected.client.list_topics())?;
    let mut out = stdout().lock();
    for topic in filter.chosen(&metadata) {
        if is_json {
            writeln!(
                out,
                "{}",
                json!({"topic": topic.name.as_str(), "partitions": topic.partitions.len()})
            )?
        } else {
            writeln!(out, "{}", topic.name.as_str())?
        }
    }
    Ok(())
}
