//! Connects the client commands (`topic`, `group`, …) to Kafka: settings, transport, first metadata request.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use millstream_connectors::kafka::KafkaClusters;
use millstream_kafka_client::config::{ConnectionConfig, parse_properties_file};
use millstream_kafka_client::error::with_causes;
use millstream_kafka_client::{ClientConfig, ClientError, KafkaClient};

use crate::args::{ClientArgs, Common};
use crate::process::Process;

/// How long a command tries to reach Kafka; a user is waiting for the result.
const PATIENCE: Duration = Duration::from_secs(3);
/// Timeout of a single connection, unless the properties set it.
const CONNECT_TIMEOUT: (&str, &str) = ("socket.connection.setup.timeout.ms", "3000");

/// A client and its settings.
pub struct Connected {
    pub client: KafkaClient,
    pub config: ClientConfig,
}

/// Connects according to `--bootstrap-server` and `--command-config`; `overrides` take precedence over the file. Sends
/// a request at once to check that a broker responds.
pub fn connect(
    process: &Process,
    common: &Common,
    args: &ClientArgs,
    overrides: &[(&str, &str)],
) -> anyhow::Result<Connected> {
    let properties = properties(process, common, args, overrides)?;
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
    let connection = parsed.config.connection.clone();
    let hasty = ConnectionConfig {
        api_timeout: PATIENCE,
        ..connection.clone()
    };
    let first = KafkaClient::new(hasty, transport.clone(), process.rng.clone());
    process
        .runtime
        .block_on(first.topics(&[], false))
        .map_err(|error| no_kafka(&error, &parsed.config.connection))?;
    let client = KafkaClient::new(connection, transport, process.rng.clone());
    Ok(Connected {
        client,
        config: parsed.config,
    })
}

fn properties(
    process: &Process,
    common: &Common,
    args: &ClientArgs,
    overrides: &[(&str, &str)],
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut properties = match &args.command_config {
        None => BTreeMap::new(),
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read '{}'", path.display()))?;
            parse_properties_file(&text).with_context(|| format!("in '{}'", path.display()))?
        }
    };
    let (key, value) = CONNECT_TIMEOUT;
    for (key, value) in [("client.id", "millstream"), (key, value)] {
        properties
            .entry(key.to_owned())
            .or_insert_with(|| value.to_owned());
    }
    let of_directory = || {
        process
            .clusters
            .neighbour()
            .unwrap_or_else(|| common.kafka.clone())
    };
    let server = args.bootstrap_server.clone().unwrap_or_else(of_directory);
    let given = [("bootstrap.servers", server.as_str())];
    for (key, value) in given.iter().chain(overrides) {
        properties.insert((*key).to_owned(), (*value).to_owned());
    }
    Ok(properties)
}

/// Explains why Kafka is unreachable and what to do.
fn no_kafka(error: &ClientError, connection: &ConnectionConfig) -> anyhow::Error {
    let servers = connection.bootstrap_servers.join(", ");
    // The error of the last attempt is more specific than "all attempts failed".
    let last = match error {
        ClientError::Timeout { last: Some(last), .. } => last,
        other => other,
    };
    let cause = std::error::Error::source(last).map_or_else(|| last.to_string(), with_causes);
    anyhow::anyhow!(
        "cannot talk to Kafka at {servers}: {cause}. is a broker running there? `millstream broker --kafka {servers}` starts \
         one, --bootstrap-server HOST:PORT names another, --command-config FILE says how to authenticate"
    )
}

/// Prints to standard error, unless the user asked for quiet.
pub fn say(common: &Common, text: &str) {
    if !common.quiet {
        eprintln!("{text}");
    }
}
