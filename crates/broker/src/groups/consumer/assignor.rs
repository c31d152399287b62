//! The assignors of the broker: `range` and `uniform`. Pure functions from subscriptions to a target assignment.

use crate::groups::TopicPartition;
use millstream_kafka_wire::{KafkaString, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// Partitions of a member.
pub(crate) type Partitions = BTreeSet<TopicPartition>;
/// Partitions of each member.
pub(crate) type Target = BTreeMap<KafkaString, Partitions>;

/// Input of an assignor.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// The topics that each member reads.
    pub subscriptions: BTreeMap<KafkaString, BTreeSet<Uuid>>,
    /// How many partitions each topic has.
    pub topics: BTreeMap<Uuid, i32>,
    /// The current assignment; `uniform` moves as few partitions as it can.
    pub current: Target,
}

/// Names of the assignors, the default one first.
pub(crate) const NAMES: [&str; 2] = ["uniform", "range"];

/// Assigns by name.
pub(crate) fn assign(name: &str, input: &Input) -> Target {
    if name == "range" {
        range(input)
    } else {
        uniform(input)
    }
}

/// Each topic's partitions in order, in runs of equal length, so that the same numbers of several topics meet.
fn range(input: &Input) -> Target {
    let mut target = empty(input);
    for (topic, count) in &input.topics {
        let readers: Vec<&KafkaString> = readers_of(input, topic);
        let Some(share) = usize::try_from(*count)
            .ok()
            .and_then(|count| count.checked_div(readers.len()))
        else {
            continue;
        };
        let extra = *count as usize % readers.len();
        let mut next = 0;
        for (index, member) in readers.into_iter().enumerate() {
            let end = next + share + usize::from(index < extra);
            let partitions = (next..end).map(|partition| (*topic, partition as i32));
            target.entry(member.clone()).or_default().extend(partitions);
            next = end;
        }
    }
    target
}

/// Assigns equal numbers as far as subscriptions allow; within that, members keep their partitions.
fn uniform(input: &Input) -> Target {
    let all: Partitions = input
        .topics
        .iter()
        .flat_map(|(topic, count)| (0..*count).map(|partition| (*topic, partition)))
        .collect();
    let members = input.subscriptions.len().max(1);
    let (share, extra) = (all.len() / members, all.len() % members);
    let mut target = empty(input);
    let mut taken = Partitions::new();
    let mut larger = 0;
    for (member, partitions) in &mut target {
        let topics = &input.subscriptions[member];
        let had = input.current.get(member).into_iter().flatten();
        let kept = had.filter(|partition| topics.contains(&partition.0) && all.contains(*partition));
        let limit = share + usize::from(larger < extra);
        for partition in kept {
            if partitions.len() < limit && taken.insert(*partition) {
                partitions.insert(*partition);
            }
        }
        larger += usize::from(partitions.len() > share);
    }
    for partition in all.difference(&taken) {
        let readers = readers_of(input, &partition.0);
        let least = readers
            .into_iter()
            .min_by_key(|member| target.get(*member).map_or(0, BTreeSet::len));
        if let Some(partitions) = least.and_then(|member| target.get_mut(member)) {
            partitions.insert(*partition);
        }
    }
    balance(input, &mut target);
    target
}

/// Moves partitions from members that have two more than another reader of the same topic.
fn balance(input: &Input, target: &mut Target) {
    let limit = target.values().map(BTreeSet::len).sum::<usize>();
    for _ in 0..limit {
        let Some((from, to, partition)) = improvement(input, target) else {
            return;
        };
        if let Some(partitions) = target.get_mut(&from) {
            partitions.remove(&partition);
        }
        target.entry(to).or_default().insert(partition);
    }
}

fn improvement(input: &Input, target: &Target) -> Option<(KafkaString, KafkaString, TopicPartition)> {
    let mut by_size: Vec<(&KafkaString, &Partitions)> = target.iter().collect();
    by_size.sort_by_key(|(_, partitions)| partitions.len());
    let least = by_size.first()?.1.len();
    for (from, partitions) in by_size
        .iter()
        .rev()
        .take_while(|(_, partitions)| partitions.len() > least + 1)
    {
        for (to, _) in by_size
            .iter()
            .take_while(|(_, others)| others.len() + 1 < partitions.len())
        {
            let topics = &input.subscriptions[*to];
            if let Some(partition) = partitions.iter().find(|partition| topics.contains(&partition.0)) {
                return Some(((*from).clone(), (*to).clone(), *partition));
            }
        }
    }
    None
}

fn empty(input: &Input) -> Target {
    input
        .subscriptions
        .keys()
        .map(|member| (member.clone(), Partitions::new()))
        .collect()
}

fn readers_of<'a>(input: &'a Input, topic: &Uuid) -> Vec<&'a KafkaString> {
    input
        .subscriptions
        .iter()
        .filter(|(_, topics)| topics.contains(topic))
        .map(|(member, _)| member)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(members: &[(&str, &[u128])], topics: &[(u128, i32)], current: Target) -> Input {
        let ids = |topics: &[u128]| topics.iter().map(|topic| Uuid::from_u128(*topic)).collect();
        Input {
            subscriptions: members
                .iter()
                .map(|(name, topics)| ((*name).into(), ids(topics)))
                .collect(),
            topics: topics
                .iter()
                .map(|(topic, count)| (Uuid::from_u128(*topic), *count))
                .collect(),
            current,
        }
    }

    fn sizes(target: &Target) -> Vec<usize> {
        target.values().map(BTreeSet::len).collect()
    }

    #[test]
    fn every_partition_goes_to_exactly_one_reader_and_shares_are_even() {
        for (members, topics, uniform_sizes) in [
            (
                vec![("a", &[1u128, 2][..]), ("b", &[1, 2])],
                vec![(1, 3), (2, 3)],
                vec![3, 3],
            ),
            (
                vec![("a", &[1][..]), ("b", &[1, 2]), ("c", &[2])],
                vec![(1, 4), (2, 2)],
                vec![2, 2, 2],
            ),
            (
                vec![("a", &[1][..]), ("b", &[1]), ("c", &[1])],
                vec![(1, 2)],
                vec![1, 1, 0],
            ),
        ] {
            let input = input(&members, &topics, Target::new());
            for name in NAMES {
                let target = assign(name, &input);
                let all: Vec<_> = target.values().flatten().collect();
                let total: i32 = topics.iter().map(|(_, count)| count).sum();
                assert_eq!(all.len(), total as usize, "{name}");
                assert_eq!(
                    all.iter().collect::<BTreeSet<_>>().len(),
                    all.len(),
                    "{name}: given twice"
                );
                for (member, partitions) in &target {
                    assert!(
                        partitions
                            .iter()
                            .all(|each| input.subscriptions[member].contains(&each.0))
                    );
                }
            }
            assert_eq!(sizes(&uniform(&input)), uniform_sizes);
        }
    }

    #[test]
    fn uniform_moves_only_what_it_must() {
        let two = input(&[("a", &[1]), ("b", &[1])], &[(1, 6)], Target::new());
        let before = uniform(&two);
        let three = input(
            &[("a", &[1]), ("b", &[1]), ("c", &[1])],
            &[(1, 6)],
            before.clone(),
        );
        let after = uniform(&three);
        assert_eq!(sizes(&after), [2, 2, 2]);
        for member in ["a", "b"] {
            assert!(
                after[member].is_subset(&before[member]),
                "{member} got something new"
            );
        }
    }

    #[test]
    fn range_gives_runs() {
        let target = range(&input(
            &[("a", &[1, 2]), ("b", &[1, 2])],
            &[(1, 3), (2, 3)],
            Target::new(),
        ));
        let numbers: Vec<i32> = target["a"].iter().map(|partition| partition.1).collect();
        assert_eq!(numbers, [0, 1, 0, 1]);
    }
}
