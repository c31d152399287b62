//! The configurations of groups, resolved once for a request.

use super::consumer::assignor;
use crate::config::{ConfigSource, Configs, ResourceType, declaration};
use millstream_kafka_wire::KafkaString;

/// How the classic protocol is configured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub initial_delay_ms: i64,
    pub max_size: usize,
}

impl Rules {
    pub fn new(configs: &Configs) -> Rules {
        Rules {
            initial_delay_ms: configs.long("group.initial.rebalance.delay.ms"),
            max_size: size(configs, "group.max.size"),
        }
    }
}

/// The direction in which a group with members may migrate. An empty group takes the protocol of the first member that
/// joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MigrationPolicy {
    /// From the classic protocol to the new one.
    pub upgrade: bool,
    /// From the new protocol back to the classic one.
    pub downgrade: bool,
}

impl MigrationPolicy {
    fn new(configs: &Configs) -> MigrationPolicy {
        let policy = configs
            .text("group.consumer.migration.policy")
            .unwrap_or_default();
        let is = |word: &str| policy.trim().eq_ignore_ascii_case(word);
        MigrationPolicy {
            upgrade: is("bidirectional") || is("upgrade"),
            downgrade: is("bidirectional") || is("downgrade"),
        }
    }

    /// Whether members of the classic protocol may be in a group of the new one.
    pub fn takes_classic_members(self) -> bool {
        self.upgrade || self.downgrade
    }
}

/// How the new protocol is configured for one group.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerRules {
    pub session_ms: i64,
    pub heartbeat_ms: i32,
    /// A new target is made no sooner than this after the last one.
    pub assignment_interval_ms: i64,
    pub max_size: usize,
    /// The assignors that members may request, the default one first.
    pub assignors: Vec<&'static str>,
    pub policy: MigrationPolicy,
    pub classic: Rules,
}

impl ConsumerRules {
    pub fn new(configs: &Configs, group: &KafkaString) -> ConsumerRules {
        let own = configs.of(ResourceType::Group, group);
        let of_group = |name: &str| -> i64 {
            let decl = declaration(ResourceType::Group, name);
            let text = decl.and_then(|decl| configs.effective(decl, &own, ConfigSource::Group).value);
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        };
        ConsumerRules {
            session_ms: of_group("consumer.session.timeout.ms"),
            heartbeat_ms: i32::try_from(of_group("consumer.heartbeat.interval.ms")).unwrap_or(i32::MAX),
            assignment_interval_ms: of_group("consumer.assignment.interval.ms"),
            max_size: size(configs, "group.consumer.max.size"),
            assignors: assignors(configs),
            policy: MigrationPolicy::new(configs),
            classic: Rules::new(configs),
        }
    }

    /// Whether a group whose remaining members are all classic, `count` of them, is downgraded.
    pub fn may_downgrade(&self, count: usize) -> bool {
        self.policy.downgrade && count > 0 && count <= self.classic.max_size
    }

    pub fn default_assignor(&self) -> &'static str {
        self.assignors.first().copied().unwrap_or(assignor::NAMES[0])
    }
}

/// The assignors of this broker that are configured, the default one first.
pub(crate) fn assignors(configs: &Configs) -> Vec<&'static str> {
    let names = configs.text("group.consumer.assignors").unwrap_or_default();
    let known = |name: &str| assignor::NAMES.into_iter().find(|known| *known == name.trim());
    names.split(',').filter_map(known).collect()
}

/// Whether a protocol is switched on.
pub(crate) fn speaks(configs: &Configs, protocol: &str) -> bool {
    let protocols = configs
        .text("group.coordinator.rebalance.protocols")
        .unwrap_or_default();
    protocols
        .split(',')
        .any(|each| each.trim().eq_ignore_ascii_case(protocol))
}

fn size(configs: &Configs, name: &str) -> usize {
    usize::try_from(configs.long(name)).unwrap_or(usize::MAX)
}
