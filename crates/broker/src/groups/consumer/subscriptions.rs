//! The topics that members of a group read: topics by name, and topics that match their regular expression and that
//! they may describe.
//!
//! Each heartbeat has to detect changes for all members. Expressions are therefore evaluated only when subscriptions,
//! topics or permissions have changed, and once for all members with the same view. A revoked DESCRIBE permission takes
//! effect with the next heartbeat of any member.

use super::assignor::Partitions;
use super::{ConsumerGroup, Member, TopicView};
use millstream_kafka_wire::{KafkaString, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Topics with their sizes.
type Sizes = BTreeMap<Uuid, i32>;

/// A principal and host that need ACLs to see topics.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Viewer {
    pub principal: KafkaString,
    pub host: KafkaString,
}

/// An expression and its viewer; `None` sees all topics.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Sight {
    regex: KafkaString,
    viewer: Option<Viewer>,
}

impl Sight {
    fn of(member: &Member, topics: &dyn TopicView) -> Option<Sight> {
        let regex = member.topic_regex.clone()?;
        let principal = member.principal.as_ref();
        let viewer = principal
            .filter(|principal| topics.is_restrained(principal))
            .map(|principal| Viewer {
                principal: principal.clone(),
                host: member.client_host.clone(),
            });
        Some(Sight { regex, viewer })
    }
}

/// The memoised matches of all expressions. Not persisted: they are computed again after a restart.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// The version of the topics that this and the group's topics are of.
    version: Option<u64>,
    of_members: BTreeMap<KafkaString, (Sight, Arc<Sizes>)>,
}

impl Matches {
    /// A static member is replaced: the matches of the old id tell whether the new one sees other topics.
    pub fn rename(&mut self, old: &KafkaString, new: &KafkaString) {
        if let Some(seen) = self.of_members.remove(old) {
            self.of_members.insert(new.clone(), seen);
        }
    }
}

impl ConsumerGroup {
    /// The topics that a member reads, with their partition counts, as of the last evaluation of its expression.
    pub(super) fn topics_of(&self, id: &KafkaString, member: &Member, topics: &dyn TopicView) -> Sizes {
        let named = member.topic_names.iter().filter_map(|name| topics.topic(name));
        let matched = self.matches.of_members.get(id);
        let matched = matched.into_iter().flat_map(|(_, matched)| matched.iter());
        named
            .chain(matched.map(|(topic, size)| (*topic, *size)))
            .collect()
    }

    fn subscribed_topics(&self, topics: &dyn TopicView) -> Sizes {
        // Members of a group read similar topics: each name is resolved once.
        let names: BTreeSet<&KafkaString> = self
            .members
            .values()
            .flat_map(|member| &member.topic_names)
            .collect();
        let named = names.into_iter().filter_map(|name| topics.topic(name));
        let matched = self.matches.of_members.values();
        let matched: BTreeMap<&Sight, &Arc<Sizes>> =
            matched.map(|(sight, matched)| (sight, matched)).collect();
        let matched = matched.into_values().flat_map(|matched| matched.iter());
        named
            .chain(matched.map(|(topic, size)| (*topic, *size)))
            .collect()
    }

    /// Raises the group epoch if a member's subscription or the topics behind it have changed.
    pub(super) fn refresh(&mut self, id: &KafkaString, is_other: bool, topics: &dyn TopicView) {
        let sight = self.members.get(id).and_then(|member| Sight::of(member, topics));
        let known = self.matches.of_members.get(id).map(|(sight, _)| sight);
        let is_current = self.matches.version == Some(topics.version()) && known == sight.as_ref();
        if is_current && !is_other {
            return;
        }
        let sees_other = self.look(topics);
        let subscribed = self.subscribed_topics(topics);
        if is_other || sees_other || subscribed != self.topics {
            self.epoch = self.epoch.saturating_add(1);
            self.topics = subscribed;
        }
    }

    /// From now on the target is out of date.
    pub(super) fn raise_epoch(&mut self, topics: &dyn TopicView) {
        self.epoch = self.epoch.saturating_add(1);
        self.note_topics(topics);
    }

    /// Records the topics of a group that had none before.
    pub(super) fn note_topics(&mut self, topics: &dyn TopicView) {
        self.look(topics);
        self.topics = self.subscribed_topics(topics);
    }

    /// Looks through the expressions of all members. Whether one of them sees something else than before.
    fn look(&mut self, topics: &dyn TopicView) -> bool {
        let before = std::mem::take(&mut self.matches);
        let mut seen: BTreeMap<Sight, Arc<Sizes>> = BTreeMap::new();
        if before.version == Some(topics.version()) {
            seen.extend(before.of_members.values().cloned());
        }
        let mut matching: BTreeMap<KafkaString, Vec<(Uuid, i32)>> = BTreeMap::new();
        let mut sees_other = false;
        for (id, member) in &self.members {
            let Some(sight) = Sight::of(member, topics) else {
                continue;
            };
            let matched = seen.entry(sight.clone()).or_insert_with(|| {
                let all = matching
                    .entry(sight.regex.clone())
                    .or_insert_with(|| topics.matching(&sight.regex));
                let sees = |topic| {
                    let viewer = sight.viewer.as_ref();
                    viewer.is_none_or(|viewer| topics.may_describe(viewer, topic))
                };
                Arc::new(all.iter().copied().filter(|(topic, _)| sees(*topic)).collect())
            });
            sees_other |= match before.of_members.get(id) {
                Some((_, known)) => !Arc::ptr_eq(known, matched) && known != matched,
                // The matches before a restart are unknown, but the assignment is persisted and tells as much.
                None => {
                    let given = self.target.get(id);
                    given.is_some_and(|given| has_unread(given, member, matched, topics))
                }
            };
            let noted = (sight, Arc::clone(matched));
            self.matches.of_members.insert(id.clone(), noted);
        }
        self.matches.version = Some(topics.version());
        sees_other
    }
}

/// Whether a member is assigned a partition that it does not read. It would be assigned to no other member either.
fn has_unread(given: &Partitions, member: &Member, matched: &Sizes, topics: &dyn TopicView) -> bool {
    let named = member.topic_names.iter().filter_map(|name| topics.topic(name));
    let named: BTreeSet<Uuid> = named.map(|(topic, _)| topic).collect();
    let is_read = |topic: &Uuid| matched.contains_key(topic) || named.contains(topic);
    given.iter().any(|(topic, _)| !is_read(topic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Configs;
    use crate::groups::consumer::Heartbeat;
    use crate::groups::rules::ConsumerRules;
    use std::cell::Cell;

    /// A view of topics that counts its evaluations.
    #[derive(Default)]
    struct Counting {
        version: Cell<u64>,
        searches: Cell<usize>,
        questions: Cell<usize>,
    }

    impl Counting {
        fn counts(&self) -> (usize, usize) {
            (self.searches.take(), self.questions.take())
        }
    }

    impl TopicView for Counting {
        fn version(&self) -> u64 {
            self.version.get()
        }

        fn topic(&self, _: &KafkaString) -> Option<(Uuid, i32)> {
            None
        }

        fn name(&self, _: Uuid) -> Option<KafkaString> {
            None
        }

        fn matching(&self, _: &KafkaString) -> Vec<(Uuid, i32)> {
            self.searches.set(self.searches.get() + 1);
            (1..=3).map(|id| (Uuid::from_u128(id), 2)).collect()
        }

        fn is_restrained(&self, principal: &str) -> bool {
            principal != "root"
        }

        fn may_describe(&self, viewer: &Viewer, topic: Uuid) -> bool {
            self.questions.set(self.questions.get() + 1);
            viewer.host != *"far" || topic == Uuid::from_u128(1)
        }
    }

    fn beat(id: &str, epoch: i32, (principal, host): (&str, &str), regex: Option<&str>) -> Heartbeat {
        Heartbeat {
            member_id: id.into(),
            epoch,
            instance_id: None,
            rack_id: None,
            client_id: "client".into(),
            client_host: host.into(),
            principal: Some(principal.into()),
            rebalance_timeout_ms: 30_000,
            topic_names: None,
            topic_regex: regex.map(Into::into),
            assignor: None,
            owned: (epoch == 0).then(BTreeSet::new),
        }
    }

    #[test]
    fn expressions_are_looked_through_once_for_all_who_see_the_same_and_again_when_topics_change() {
        let rules = ConsumerRules::new(&Configs::new(&BTreeMap::new()).unwrap(), &"g".into());
        let (topics, mut group) = (Counting::default(), ConsumerGroup::default());
        let members = [
            ("a", ("root", "near")),
            ("b", ("root", "far")),
            ("c", ("user", "near")),
            ("d", ("user", "near")),
            ("e", ("user", "far")),
        ];
        let mut epochs = BTreeMap::new();
        for (id, who) in members {
            let join = beat(id, 0, who, Some("t.*"));
            let joined = group.heartbeat(0, &rules, join, &topics, &mut false);
            epochs.insert(id, joined.unwrap().epoch);
        }
        // Two more viewers with other permissions: the expression is evaluated once for them.
        assert_eq!(topics.counts(), (3, 6));
        let beats = |group: &mut ConsumerGroup, epochs: &mut BTreeMap<&str, i32>| {
            for (id, who) in members {
                let beat = beat(id, epochs[id], who, None);
                let response = group.heartbeat(0, &rules, beat, &topics, &mut false);
                epochs.insert(id, response.unwrap().epoch);
            }
        };
        beats(&mut group, &mut epochs);
        assert_eq!(topics.counts(), (0, 0), "nothing has changed");
        let epoch = group.epoch;
        topics.version.set(1);
        beats(&mut group, &mut epochs);
        assert_eq!(topics.counts(), (1, 6), "once for all");
        assert_eq!(group.epoch, epoch, "they see the same as before");
        let moved = group.heartbeat(
            0,
            &rules,
            beat("c", epochs["c"], ("user", "far"), None),
            &topics,
            &mut false,
        );
        moved.unwrap();
        assert_eq!(group.epoch, epoch + 1, "one sees less from where it is now");
        let read = |group: &ConsumerGroup, id: &str| {
            let id = KafkaString::from(id);
            group.topics_of(&id, &group.members[&id], &topics).len()
        };
        let read: Vec<usize> = members.iter().map(|(id, _)| read(&group, id)).collect();
        assert_eq!(read, [3, 3, 1, 3, 1]);
    }
}
