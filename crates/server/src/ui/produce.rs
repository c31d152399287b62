//! Writing one record.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use millstream_kafka_client::{ProduceRecord, Producer};
use millstream_kafka_wire::KafkaString;
use millstream_kafka_wire::record_batch::Header;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::error::{UiError, UiResult};
use super::payload::from_hex;

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Text,
    /// The value is written in hexadecimal digits.
    Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRecord {
    /// `None`: by the key.
    partition: Option<i32>,
    key: Option<String>,
    /// `None`: a tombstone.
    value: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    encoding: Encoding,
}

pub async fn produce(
    State(ui): Shared,
    topic: Result<Path<String>, PathRejection>,
    body: Result<Json<NewRecord>, JsonRejection>,
) -> UiResult<(StatusCode, Json<Value>)> {
    let (Path(name), Json(record)) = (topic?, body?);
    let value = match (record.value, record.encoding) {
        (None, _) => None,
        (Some(text), Encoding::Text) => Some(text.into_bytes()),
        (Some(text), Encoding::Hex) => Some(from_hex(&text).ok_or_else(|| {
            UiError::input("the value is not in pairs of hexadecimal digits, such as '00 ff'")
        })?),
    };
    let topic = KafkaString::from(name.as_str());
    let (client, config) = ui.kafka.connected().await?;
    // A page must not make topics by a slip of the pen.
    client.topics(std::slice::from_ref(&topic), false).await?;
    let headers: Vec<Header<'_>> = record
        .headers
        .iter()
        .map(|(key, value)| Header {
            key,
            value: Some(value.as_bytes()),
        })
        .collect();
    let producer = Producer::start(client.clone(), config.produce.clone());
    let delivery = producer
        .append(&ProduceRecord {
            topic: &topic,
            partition: record.partition,
            timestamp: ui.server.now_ms(),
            key: record.key.as_deref().map(str::as_bytes),
            value: value.as_deref(),
            headers: &headers,
        })
        .await?;
    producer.flush().await?;
    let written = delivery.wait().await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({ "partition": written.partition, "offset": written.offset })),
    ))
}
