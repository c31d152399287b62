//! `millstream user`: SCRAM credentials and quotas.

use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;

use anyhow::Context;
use millstream_kafka_client::admin::{ClientQuota, QuotaEntity, QuotaMatch, ScramCredential, scram_salt};
use millstream_kafka_client::config::{SaslMechanism, Secret};
use millstream_kafka_client::{ClientError, KafkaClient};
use millstream_kafka_wire::ErrorCode;
use millstream_types::Rng;
use serde_json::{Map, Value, json};

use crate::args::{Common, EntityArgs, EntityType, Mechanism, QuotaCommand, UserArgs, UserCommand};
use crate::commands::columns;
use crate::commands::connect::{connect, say};
use crate::exit::Outcome;
use crate::output::OutputFormat;
use crate::process::Process;

/// The entity types of quotas, under Kafka's names.
const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

pub fn run(process: &Process, common: &Common, args: &UserArgs) -> Outcome {
    let is_json = common.output == Some(OutputFormat::Json);
    match &args.command {
        UserCommand::List { names } => {
            let client = connect(process, common, &args.client, &[])?.client;
            let asked = (!names.is_empty()).then_some(names.as_slice());
            print_users(
                &process
                    .runtime
                    .block_on(client.describe_scram_credentials(asked))?,
                is_json,
            )?;
        }
        UserCommand::Set {
            name,
            mechanisms,
            iterations,
            password_file,
        } => {
            let password = password(password_file.as_deref())?;
            let client = connect(process, common, &args.client, &[])?.client;
            for mechanism in chosen(mechanisms) {
                let salt = salt(process.rng.as_ref());
                let set = client.set_scram_credential(name, mechanism, *iterations, &salt, &password);
                process.runtime.block_on(set)?;
                say(
                    common,
                    &format!("set the {} password of user {name}", mechanism.name()),
                );
            }
        }
        UserCommand::Delete { name, mechanisms } => {
            let client = connect(process, common, &args.client, &[])?.client;
            delete(process, common, &client, name, mechanisms)?;
        }
        UserCommand::Quota { command } => {
            let client = connect(process, common, &args.client, &[])?.client;
            quota(process, common, &client, command, is_json)?;
        }
    }
    Ok(())
}

fn scram(mechanism: Mechanism) -> SaslMechanism {
    match mechanism {
        Mechanism::Sha256 => SaslMechanism::ScramSha256,
        Mechanism::Sha512 => SaslMechanism::ScramSha512,
    }
}

/// Both mechanisms, unless some are named.
fn chosen(named: &[Mechanism]) -> Vec<SaslMechanism> {
    match named {
        [] => vec![SaslMechanism::ScramSha256, SaslMechanism::ScramSha512],
        named => named.iter().copied().map(scram).collect(),
    }
}

/// The first line of the file or of standard input. A command-line argument would be visible to other users.
fn password(file: Option<&Path>) -> anyhow::Result<Secret> {
    let line = match file {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read '{}'", path.display()))?;
            text.lines().next().unwrap_or_default().to_owned()
        }
        None => {
            let mut line = String::new();
            stdin()
                .lock()
                .read_line(&mut line)
                .context("cannot read standard input")?;
            line.trim_end_matches(['\n', '\r']).to_owned()
        }
    };
    anyhow::ensure!(
        !line.is_empty(),
        "the password is empty; write it to standard input or into --password-file"
    );
    Ok(Secret::new(line))
}

fn salt(rng: &dyn Rng) -> Vec<u8> {
    let words = [rng.next_u64(), rng.next_u64(), rng.next_u64()].map(u64::to_be_bytes);
    scram_salt(std::array::from_fn(|at| words.as_flattened()[at]))
}

/// Deletes the named credentials, or all.
fn delete(
    process: &Process,
    common: &Common,
    client: &KafkaClient,
    name: &str,
    mechanisms: &[Mechanism],
) -> anyhow::Result<()> {
    let mut deleted = 0;
    let mut missing: Option<ClientError> = None;
    for mechanism in chosen(mechanisms) {
        match process
            .runtime
            .block_on(client.delete_scram_credential(name, mechanism))
        {
            Err(error) if mechanisms.is_empty() && error.code() == Some(ErrorCode::RESOURCE_NOT_FOUND) => {
                missing = Some(error);
            }
            other => {
                other?;
                deleted += 1;
                say(
                    common,
                    &format!("deleted the {} password of user {name}", mechanism.name()),
                );
            }
        }
    }
    match missing {
        Some(error) if deleted == 0 => Err(error.into()),
        _ => Ok(()),
    }
}

fn print_users(credentials: &[ScramCredential], is_json: bool) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    if is_json {
        for c in credentials {
            let value = json!({"user": c.user, "mechanism": c.mechanism, "iterations": c.iterations});
            writeln!(out, "{value}")?;
        }
        return Ok(());
    }
    let row = |c: &ScramCredential| {
        [
            Some(c.user.clone()),
            Some(c.mechanism.to_owned()),
            Some(c.iterations.to_string()),
        ]
    };
    let rows: Vec<_> = credentials.iter().map(row).collect();
    Ok(columns::print(
        &mut out,
        ["USER", "MECHANISM", "ITERATIONS"],
        &rows,
    )?)
}

fn quota(
    process: &Process,
    common: &Common,
    client: &KafkaClient,
    command: &QuotaCommand,
    is_json: bool,
) -> anyhow::Result<()> {
    match command {
        QuotaCommand::List { entity, entity_types } => {
            let parts = matches(entity, entity_types);
            // As in kafka-configs: naming entity types selects these and no others.
            let strict = !entity_types.is_empty();
            let found = process
                .runtime
                .block_on(client.describe_client_quotas(&parts, strict))?;
            print_quotas(&found, is_json)
        }
        QuotaCommand::Set { entity, values } => {
            let number = |(key, text): &(String, String)| {
                let value: Option<f64> = text.parse().ok().filter(|v: &f64| v.is_finite());
                let value =
                    value.ok_or_else(|| anyhow::anyhow!("'{text}' of quota '{key}' is not a number"))?;
                anyhow::Ok((key.clone(), Some(value)))
            };
            let changes: Vec<_> = values.iter().map(number).collect::<anyhow::Result<_>>()?;
            alter(process, common, client, entity, &changes)
        }
        QuotaCommand::Remove { entity, keys } => {
            let changes: Vec<_> = keys.iter().map(|key| (key.clone(), None)).collect();
            alter(process, common, client, entity, &changes)
        }
    }
}

fn alter(
    process: &Process,
    common: &Common,
    client: &KafkaClient,
    entity: &EntityArgs,
    changes: &[(String, Option<f64>)],
) -> anyhow::Result<()> {
    let entity = parts(entity);
    anyhow::ensure!(
        !entity.is_empty(),
        "the quota has no entity; name --user, --client-id or --ip, or --user-defaults, --client-defaults, --ip-defaults"
    );
    process
        .runtime
        .block_on(client.alter_client_quotas(&entity, changes))?;
    say(common, &format!("changed the quotas of {}", entity_text(&entity)));
    Ok(())
}

/// The parts of an entity by type.
fn parts(args: &EntityArgs) -> QuotaEntity {
    let kinds = [
        (USER, &args.user, args.user_defaults),
        (CLIENT_ID, &args.client_id, args.client_defaults),
        (IP, &args.ip, args.ip_defaults),
    ];
    let part = |(kind, name, is_default): (&str, &Option<String>, bool)| {
        (name.is_some() || is_default).then(|| (kind.to_owned(), name.clone()))
    };
    kinds.into_iter().filter_map(part).collect()
}

/// The filter for listed quotas: the named parts, and any name for the other types.
fn matches(args: &EntityArgs, kinds: &[EntityType]) -> Vec<(String, QuotaMatch)> {
    let named = parts(args).into_iter();
    let mut matches: Vec<(String, QuotaMatch)> = named
        .map(|(kind, name)| (kind, name.map_or(QuotaMatch::Default, QuotaMatch::Exactly)))
        .collect();
    for kind in kinds {
        let kind = match kind {
            EntityType::Users => USER,
            EntityType::Clients => CLIENT_ID,
            EntityType::Ips => IP,
        };
        if matches.iter().all(|(known, _)| known != kind) {
            matches.push((kind.to_owned(), QuotaMatch::Any));
        }
    }
    matches
}

/// `user-principal 'alice', client-id 'app'`, as `kafka-configs` writes it.
fn entity_text(entity: &QuotaEntity) -> String {
    let part = |(kind, name): &(String, Option<String>)| {
        let kind = if kind == USER {
            "user-principal"
        } else {
            kind.as_str()
        };
        match name {
            Some(name) => format!("{kind} '{name}'"),
            None => format!("the default {kind}"),
        }
    };
    entity.iter().map(part).collect::<Vec<_>>().join(", ")
}

fn print_quotas(quotas: &[ClientQuota], is_json: bool) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    for quota in quotas {
        if is_json {
            let entity: Map<String, Value> = quota
                .entity
                .iter()
                .map(|(kind, name)| (kind.clone(), json!(name)))
                .collect();
            let values: Map<String, Value> = quota
                .values
                .iter()
                .map(|(key, value)| (key.clone(), json!(value)))
                .collect();
            writeln!(out, "{}", json!({"entity": entity, "quotas": values}))?;
            continue;
        }
        let values: Vec<String> = quota
            .values
            .iter()
            .map(|(key, value)| format!("{key}={value:?}"))
            .collect();
        writeln!(
            out,
            "Quota configs for {} are {}",
            entity_text(&quota.entity),
            values.join(", ")
        )?;
    }
    Ok(())
}
