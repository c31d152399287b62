//! Client quotas: values by entity. An entity is a user, a client id, both, or an address; a missing name stands for
//! the default of its type. Alterations are validated here, with Kafka's messages.

use super::unreadable;
use bytes::Bytes;
use millstream_kafka_wire::{DecodeError, KafkaString, Reader, Writer};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Types with names, sorted by type.
pub(crate) type Entity = BTreeMap<KafkaString, Option<KafkaString>>;
/// Limits by their key.
pub(crate) type Limits = BTreeMap<KafkaString, f64>;

pub(crate) const PRODUCER_BYTE_RATE: &str = "producer_byte_rate";
pub(crate) const CONSUMER_BYTE_RATE: &str = "consumer_byte_rate";
pub(crate) const REQUEST_PERCENTAGE: &str = "request_percentage";
pub(crate) const CONTROLLER_MUTATION_RATE: &str = "controller_mutation_rate";
const CONNECTION_CREATION_RATE: &str = "connection_creation_rate";
/// How much above a whole number still counts as whole.
const WHOLE_WITHIN: f64 = 1e-6;
/// Types of entities that are known.
pub(crate) const TYPES: [&str; 3] = [USER, CLIENT_ID, IP];
const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
pub(crate) const IP: &str = "ip";

/// How many connections a second may come from an address.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IpRates {
    /// From addresses without a limit of their own; `None`: any number.
    pub default: Option<f64>,
    /// From these addresses.
    pub addresses: BTreeMap<IpAddr, f64>,
}

/// Why a quota cannot be set, in Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QuotaError {
    #[error("Invalid empty client quota entity")]
    EmptyEntity,
    #[error("Invalid quota entity combination, IP entity should not be combined with User or ClientId")]
    Combination,
    #[error("{0} is not a valid IP or resolvable host.")]
    Host(String),
    #[error("Invalid configuration key {0}")]
    Key(String),
    #[error("Quota {0} must be greater than 0")]
    NotPositive(String),
    #[error("Proposed value for {key} is too large for {kind}.")]
    TooLarge { key: String, kind: &'static str },
    #[error("{0} cannot be a fractional value.")]
    Fraction(String),
}

/// Whether an entity may have quotas.
pub(crate) fn check_entity(entity: &Entity) -> Result<(), QuotaError> {
    let Some(ip) = entity.get(IP) else {
        return if entity.is_empty() {
            Err(QuotaError::EmptyEntity)
        } else {
            Ok(())
        };
    };
    if entity.len() > 1 {
        return Err(QuotaError::Combination);
    }
    match ip {
        Some(name) if address(name).is_none() => Err(QuotaError::Host(name.to_string())),
        _ => Ok(()),
    }
}

/// Whether a value may be set on an entity.
pub(crate) fn check_limit(entity: &Entity, key: &str, value: f64) -> Result<(), QuotaError> {
    // The greatest value of an integer quota.
    let whole = match (key, entity.contains_key(IP)) {
        (CONNECTION_CREATION_RATE, true) => Some((f64::from(i32::MAX), "an INT")),
        (PRODUCER_BYTE_RATE | CONSUMER_BYTE_RATE, false) => Some((i64::MAX as f64, "a LONG")),
        (REQUEST_PERCENTAGE | CONTROLLER_MUTATION_RATE, false) => None,
        _ => return Err(QuotaError::Key(key.to_owned())),
    };
    if value.is_nan() || value <= 0.0 {
        return Err(QuotaError::NotPositive(key.to_owned()));
    }
    match whole {
        Some((most, kind)) if value > most => Err(QuotaError::TooLarge {
            key: key.to_owned(),
            kind,
        }),
        Some(_) if value % 1.0 > WHOLE_WITHIN => Err(QuotaError::Fraction(key.to_owned())),
        _ => Ok(()),
    }
}

/// Parses an address. Host names are not resolved.
fn address(name: &str) -> Option<IpAddr> {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let parsed: IpAddr = bare.unwrap_or(name).parse().ok()?;
    Some(parsed.to_canonical())
}

/// The quota that counts for a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub limit: f64,
    /// Whether each user has this limit for itself.
    pub by_user: bool,
    /// Whether each client id has this limit for itself.
    pub by_client_id: bool,
}

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

    /// Whether this key is limited for any client.
    pub fn has(&self, key: &str) -> bool {
        self.limits.values().any(|limits| limits.contains_key(key))
    }

    /// How many connections a second may come from each address.
    pub fn ip_rates(&self) -> IpRates {
        let mut rates = IpRates::default();
        for (entity, limits) in &self.limits {
            let (Some(name), Some(limit)) = (entity.get(IP), limits.get(CONNECTION_CREATION_RATE)) else {
                continue;
            };
            match name.as_ref().map(|name| address(name)) {
                None => rates.default = Some(*limit),
                Some(Some(address)) => _ = rates.addresses.insert(address, *limit),
                Some(None) => {}
            }
        }
        rates
    }

    /// The limit of the most specific entity with this key, in Kafka's order; `Some(None)` stands for a default.
    pub fn limit(&self, key: &str, user: &KafkaString, client_id: &KafkaString) -> Option<Found> {
        if self.limits.is_empty() {
            return None;
        }
        let (user, client_id) = (Some(Some(user)), Some(Some(client_id)));
        let default = Some(None);
        let order = [
            (user, client_id),
            (user, default),
            (user, None),
            (default, client_id),
            (default, default),
            (default, None),
            (None, client_id),
            (None, default),
        ];
        order.into_iter().find_map(|(user, client_id)| {
            let part = |kind, name: Option<Option<&KafkaString>>| {
                name.map(|name| (KafkaString::from_static(kind), name.cloned()))
            };
            let entity: Entity = part(USER, user)
                .into_iter()
                .chain(part(CLIENT_ID, client_id))
                .collect();
            let limit = *self.limits.get(&entity)?.get(key)?;
            Some(Found {
                limit,
                by_user: user.is_some(),
                by_client_id: client_id.is_some(),
            })
        })
    }

    pub fn apply(&mut self, key: &Bytes, value: Option<&Bytes>) {
        let entity = match decode_entity(key.clone()) {
            Ok(entity) => entity,
            Err(error) => return unreadable("entity of a quota", &error),
        };
        match value.map(|value| decode_limits(value.clone())) {
            Some(Ok(limits)) => _ = self.limits.insert(entity, limits),
            Some(Err(error)) => {
                self.limits.remove(&entity);
                unreadable("quota", &error);
            }
            None => _ = self.limits.remove(&entity),
        }
    }
}

/// A row in words.
pub(crate) fn describe(key: &Bytes, value: Option<&Bytes>) -> Option<String> {
    let entity = decode_entity(key.clone()).ok()?;
    let name = |name: &Option<KafkaString>| name.as_ref().map_or("<default>".to_owned(), ToString::to_string);
    let parts = entity.iter().map(|(kind, each)| format!("{kind} {}", name(each)));
    let limits = value
        .and_then(|value| decode_limits(value.clone()).ok())
        .unwrap_or_default();
    let limits = limits.iter().map(|(key, value)| format!(" {key}={value}"));
    Some(format!(
        "{}{}",
        parts.collect::<Vec<_>>().join(", "),
        limits.collect::<String>()
    ))
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
