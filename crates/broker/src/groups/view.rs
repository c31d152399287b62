//! Topics as groups of the new protocol see them.

use super::Groups;
use super::consumer::{TopicView, Viewer};
use crate::broker::Broker;
use crate::patterns::Pattern;
use crate::security::acls::Acls;
use crate::security::{AccessPolicy, Operation, ResourceKind};
use crate::topics::Topics;
use millstream_kafka_wire::{KafkaString, Uuid};

/// The topics of a broker and the permissions on them.
pub(crate) struct TopicsOf<'a> {
    topics: &'a Topics,
    policy: &'a AccessPolicy,
    acls: &'a Acls,
    version: u64,
}

impl Broker {
    /// The groups, with the topics as they see them.
    pub(crate) fn groups_and_topics(&mut self) -> (&mut Groups, TopicsOf<'_>) {
        let topics = TopicsOf {
            topics: &self.topics,
            policy: &self.policy,
            acls: &self.security.acls,
            version: self.topics_version,
        };
        (&mut self.groups, topics)
    }
}

impl TopicView for TopicsOf<'_> {
    fn version(&self) -> u64 {
        self.version
    }

    fn topic(&self, name: &KafkaString) -> Option<(Uuid, i32)> {
        self.topics
            .by_name(name)
            .map(|topic| (topic.id, topic.partitions.len() as i32))
    }

    fn name(&self, id: Uuid) -> Option<KafkaString> {
        self.topics.by_id(id).map(|topic| topic.name.clone())
    }

    fn matching(&self, regex: &KafkaString) -> Vec<(Uuid, i32)> {
        let pattern = Pattern::new(regex);
        let matching = self.topics.iter().filter(|topic| pattern.matches(&topic.name));
        matching
            .map(|topic| (topic.id, topic.partitions.len() as i32))
            .collect()
    }

    fn is_restrained(&self, principal: &str) -> bool {
        self.policy.restrains(principal)
    }

    fn may_describe(&self, viewer: &Viewer, topic: Uuid) -> bool {
        let who = (viewer.principal.as_str(), viewer.host.as_str());
        self.topics.by_id(topic).is_some_and(|topic| {
            let resource = (ResourceKind::Topic, topic.name.as_str());
            self.policy.allows(self.acls, who, Operation::Describe, resource)
        })
    }
}
