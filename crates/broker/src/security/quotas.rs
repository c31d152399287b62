//! Client quotas as they are set: values by entity. An entity is a user, a client id, both, or an address; a name that is
//! missing stands for the default of its type.

use bytes::Bytes;
use millstream_kafka_wire::{DecodeError, KafkaString, Reader, Writer};
use std::collections::BTreeMap;

/// Types with names, sorted by type.
pub(crate) type Entity = BTreeMap<KafkaString, Option<KafkaString>>;
/// Limits by their key.
pub(crate) type Limits = BTreeMap<KafkaString, f64>;

/// Keys of limits that are known.
pub(crate) const KEYS: [&str; 5] = [
    "producer_byte_rate",
    "consumer_byte_rate",
    "request_percentage",
    "controller_mutation_rate",
    "connection_creation_rate",
];
/// Types of entities that are known.
pub(crate) const TYPES: [&str; 3] = ["user", "client-id", "ip"];

/// All quotas.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    limits: BTreeMap<Entity, Limits>,
}

impl Quotas {
    pub fn iter(&self) -> impl Iterator<Item = (&Entity, &Limits)> {
        self.limits.iter()
    }

    pub fn get(&self, entity: &Entity) -> Limits {
        self.limits.get(entity).cloned().unwrap_or_default()
    }

    pub fn apply(&mut self, key: &Bytes, value: Option<&Bytes>) {
        let Ok(entity) = decode_entity(key.clone()) else {
            return;
        };
        match value.and_then(|value| decode_limits(value.clone()).ok()) {
            Some(limits) => _ = self.limits.insert(entity, limits),
            None => _ = self.limits.remove(&entity),
        }
    }
}

pub(crate) fn encode_entity(entity: &Entity) -> Bytes {
    let mut w = Writer::new();
    let pairs: Vec<_> = entity.iter().collect();
    let _ = w.array(&pairs, true, |w, (kind, name)| {
        w.string(kind, true)?;
        w.nullable_string(name.as_ref(), true)
    });
    w.into_bytes()
}

fn decode_entity(bytes: Bytes) -> Result<Entity, DecodeError> {
    let mut r = Reader::new(bytes);
    let pairs = r.array(true, 2, |r| {
        let kind = r.string(true)?.detached();
        Ok((kind, r.nullable_string(true)?.map(|name| name.detached())))
    })?;
    Ok(pairs.into_iter().collect())
}

pub(crate) fn encode_limits(limits: &Limits) -> Bytes {
    let mut w = Writer::new();
    let pairs: Vec<_> = limits.iter().collect();
    let _ = w.array(&pairs, true, |w, (key, value)| {
        w.string(key, true)?;
        w.f64(**value);
        Ok(())
    });
    w.into_bytes()
}

fn decode_limits(bytes: Bytes) -> Result<Limits, DecodeError> {
    let mut r = Reader::new(bytes);
    Ok(r.array(true, 9, |r| Ok((r.string(true)?.detached(), r.f64()?)))?
        .into_iter()
        .collect())
}
