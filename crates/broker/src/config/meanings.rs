//! The effect of each configuration that this broker acts on. A declared configuration that is missing here is
//! accepted, stored and shown, and has no effect on a single node.
//!
//! The table is separate from the declarations: those state Kafka's facts, this states ours. The reference prints it.

use super::ResourceType;

/// Names and meanings of broker configurations.
#[rustfmt::skip]
const BROKER: &[(&str, &str)] = &[
    ("advertised.listeners", "What clients are told of each listener; one that is missing tells the address that they came to."),
    ("allow.everyone.if.no.acl.found", "Whether everybody may use a resource for which no ACL was made."),
    ("authorizer.class.name", "Any class turns on the checking of ACLs."),
    ("auto.create.topics.enable", "Whether a topic comes into being when a client asks for it or writes to it."),
    ("broker.id", "The number of this node, unless `node.id` is set."),
    ("broker.rack", "The rack that clients are told."),
    ("compression.gzip.level", "How hard gzip tries when a batch is compressed anew, unless the topic says otherwise; -1 is 6."),
    ("compression.type", "The codec in which topics keep batches unless they say otherwise; `producer` keeps them as they come."),
    ("compression.zstd.level", "How hard zstd tries when a batch is compressed anew, unless the topic says otherwise."),
    ("connection.failed.authentication.delay.ms", "How long a client that failed to authenticate waits for its answer."),
    ("connections.max.idle.ms", "How long a connection may be idle; -1 is for ever."),
    ("connections.max.reauth.ms", "How long a client is believed by SASL; 0 is for ever."),
    ("controller.listener.names", "Listeners that are not opened: there is one node."),
    ("controller.quota.window.num", "Samples over which the rate of changes is taken."),
    ("controller.quota.window.size.seconds", "Length of one of them."),
    ("delete.topic.enable", "Whether topics may be deleted."),
    ("fetch.max.bytes", "Bytes of one answer to a fetch."),
    ("group.consumer.assignment.interval.ms", "How long after one assignment a group of the new consumer protocol gets the next."),
    ("group.consumer.assignors", "Assignors that members may ask for: `uniform` and `range`; the first is the default."),
    ("group.consumer.heartbeat.interval.ms", "How often members of the new consumer protocol report."),
    ("group.consumer.max.assignment.interval.ms", "Longest `consumer.assignment.interval.ms` that a group may be given."),
    ("group.consumer.max.heartbeat.interval.ms", "Longest `consumer.heartbeat.interval.ms` that a group may be given."),
    ("group.consumer.max.session.timeout.ms", "Longest `consumer.session.timeout.ms` that a group may be given."),
    ("group.consumer.max.size", "Members of a group of the new consumer protocol."),
    ("group.consumer.migration.policy", "Which groups with members may change their protocol: `upgrade` to the new one, `downgrade` back, `bidirectional`, `disabled`."),
    ("group.consumer.min.assignment.interval.ms", "Shortest `consumer.assignment.interval.ms` that a group may be given."),
    ("group.consumer.min.heartbeat.interval.ms", "Shortest `consumer.heartbeat.interval.ms` that a group may be given."),
    ("group.consumer.min.session.timeout.ms", "Shortest `consumer.session.timeout.ms` that a group may be given."),
    ("group.consumer.session.timeout.ms", "How long a member of the new consumer protocol may be silent."),
    ("group.coordinator.rebalance.protocols", "Without `consumer` the new consumer protocol is switched off."),
    ("group.initial.rebalance.delay.ms", "How long a new classic group waits for more members before its first assignment."),
    ("group.max.session.timeout.ms", "Longest session timeout that a member may ask for."),
    ("group.max.size", "Members of a classic group."),
    ("group.min.session.timeout.ms", "Shortest session timeout that a member may ask for."),
    ("inter.broker.listener.name", "The listener that limits of connections of the broker as a whole do not apply to, if there are others."),
    ("listener.security.protocol.map", "What each name of a listener is: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."),
    ("listeners", "Ports as `NAME://HOST:PORT`; without it there is one PLAINTEXT listener on the address of `--kafka`."),
    ("log.cleaner.backoff.ms", "Time between looks for something to compact."),
    ("log.cleaner.dedupe.buffer.size", "Bytes of keys that one compaction holds in memory."),
    ("log.cleaner.delete.retention.ms", "How long a tombstone outlives the compaction that kept it, unless the topic says otherwise."),
    ("log.cleaner.enable", "Whether topics with `cleanup.policy=compact` are compacted."),
    ("log.cleaner.max.compaction.lag.ms", "How long a record may wait for compaction, unless the topic says otherwise."),
    ("log.cleaner.min.cleanable.ratio", "Part of a log that must be new before it is compacted, unless the topic says otherwise."),
    ("log.cleaner.min.compaction.lag.ms", "How long a record is safe from compaction, unless the topic says otherwise."),
    ("log.cleanup.policy", "Whether old records are deleted or compacted, unless the topic says otherwise."),
    ("log.dir", "The path that DescribeLogDirs shows; the log lies in the data directory."),
    ("log.dirs", "The path that DescribeLogDirs shows, before `log.dir`."),
    ("log.index.interval.bytes", "Bytes of a segment between two entries of its index, unless the topic says otherwise."),
    ("log.message.timestamp.after.max.ms", "How far a record's time may be ahead of the broker's clock, unless the topic says otherwise."),
    ("log.message.timestamp.before.max.ms", "How far a record's time may be behind the broker's clock, unless the topic says otherwise."),
    ("log.message.timestamp.type", "Whether records keep the producer's time or get the broker's, unless the topic says otherwise."),
    ("log.retention.bytes", "Bytes of a partition beyond which its oldest segments are deleted, unless the topic says otherwise; -1 keeps all."),
    ("log.retention.check.interval.ms", "Time between looks for something to delete."),
    ("log.retention.hours", "Age in hours of records that are deleted, if neither `log.retention.ms` nor `log.retention.minutes` is set."),
    ("log.retention.minutes", "Age in minutes of records that are deleted, if `log.retention.ms` is not set."),
    ("log.retention.ms", "Age of records that are deleted, unless the topic says otherwise; -1 keeps all."),
    ("log.roll.hours", "Age in hours of a segment that gets no more records, if `log.roll.ms` is not set."),
    ("log.roll.jitter.hours", "The same as `log.roll.jitter.ms` in hours, if that is not set."),
    ("log.roll.jitter.ms", "By up to so much earlier a segment gets no more records, unless the topic says otherwise."),
    ("log.roll.ms", "Age of a segment that gets no more records, unless the topic says otherwise."),
    ("log.segment.bytes", "Size of a segment, unless the topic says otherwise."),
    ("max.connection.creation.rate", "New connections a second; those that come faster wait."),
    ("max.connections", "Connections at once, at most 10000."),
    ("max.connections.per.ip", "Connections at once from one address."),
    ("max.connections.per.ip.overrides", "The same for some addresses, as `HOST:COUNT`."),
    ("max.incremental.fetch.session.cache.slots", "Fetch sessions that are kept."),
    ("max.request.partition.size.limit", "Partitions in one answer to DescribeTopicPartitions; the client asks for the rest."),
    ("message.max.bytes", "Size of a record batch, unless the topic says otherwise."),
    ("node.id", "The number of this node."),
    ("num.partitions", "Partitions of a topic that is created without a number."),
    ("offset.metadata.max.bytes", "Size of the text beside a committed offset."),
    ("offsets.retention.check.interval.ms", "Time between looks for expired offsets."),
    ("offsets.retention.minutes", "How long the offsets of a group without members are kept."),
    ("offsets.topic.num.partitions", "Partitions of `__consumer_offsets`, which is made for tools that look for it and stays empty."),
    ("offsets.topic.segment.bytes", "`segment.bytes` of the same topic."),
    ("producer.id.expiration.ms", "How long an idle producer's sequence numbers are kept."),
    ("queued.max.request.bytes", "Bytes of requests that are being received or worked on; -1 is 512 MiB."),
    ("quota.window.num", "Samples over which the rates of clients and of new connections are taken."),
    ("quota.window.size.seconds", "Length of one of them."),
    ("sasl.enabled.mechanisms", "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER; it must be set for a listener with SASL."),
    ("sasl.jaas.config", "Users for PLAIN, as `user_NAME=\"PASSWORD\"`."),
    ("sasl.oauthbearer.clock.skew.seconds", "How far the clock of the issuer of tokens may differ."),
    ("sasl.oauthbearer.expected.audience", "Audiences of which a token must name one."),
    ("sasl.oauthbearer.expected.issuer", "The issuer that a token must name."),
    ("sasl.oauthbearer.jwks.endpoint.url", "The file with the keys of tokens, for example `file:///etc/jwks.json`."),
    ("sasl.oauthbearer.scope.claim.name", "The claim with a token's scopes."),
    ("sasl.oauthbearer.sub.claim.name", "The claim with a token's user."),
    ("sasl.server.max.receive.size", "Bytes of one message before authentication; 65536 unless it is set."),
    ("security.inter.broker.protocol", "The protocol and name of that listener, if `inter.broker.listener.name` is not set."),
    ("socket.request.max.bytes", "Bytes of one request."),
    ("ssl.cipher.suites", "Cipher suites that are spoken; all if empty."),
    ("ssl.client.auth", "Whether clients need a certificate: `none`, `requested`, `required`."),
    ("ssl.enabled.protocols", "Versions of TLS that are spoken."),
    ("ssl.keystore.certificate.chain", "Certificates in PEM, as text."),
    ("ssl.keystore.key", "The private key in PEM, as text."),
    ("ssl.keystore.location", "A PEM file with the private key and the certificates; read again when it changes."),
    ("ssl.principal.mapping.rules", "How the name in a certificate becomes the name of a user."),
    ("ssl.truststore.certificates", "Authorities of clients' certificates in PEM, as text."),
    ("ssl.truststore.location", "A PEM file with the authorities of clients' certificates."),
    ("super.users", "Principals to whom no ACL applies, separated by `;`, for example `User:admin`."),
    ("transaction.max.timeout.ms", "Longest time for which a transaction may be open."),
    ("transaction.state.log.num.partitions", "Partitions of `__transaction_state`, which is made for tools that look for it and stays empty."),
    ("transaction.state.log.segment.bytes", "`segment.bytes` of the same topic."),
    ("transaction.two.phase.commit.enable", "Whether producers may prepare transactions that never expire."),
    ("transactional.id.expiration.ms", "How long an unused transactional id is kept."),
];

/// Names and meanings of topic configurations.
#[rustfmt::skip]
const TOPIC: &[(&str, &str)] = &[
    ("cleanup.policy", "`delete` removes old segments, `compact` keeps the last record of each key; both may be given."),
    ("compression.gzip.level", "How hard gzip tries when a batch is compressed anew for `compression.type`; -1 is 6."),
    ("compression.type", "The codec in which batches are kept; `producer` keeps them as they come."),
    ("compression.zstd.level", "How hard zstd tries when a batch is compressed anew for `compression.type`."),
    ("delete.retention.ms", "How long a tombstone outlives the compaction that kept it."),
    ("index.interval.bytes", "Bytes of a segment between two entries of its index."),
    ("max.compaction.lag.ms", "How long a record may wait for compaction."),
    ("max.message.bytes", "Size of a record batch."),
    ("message.timestamp.after.max.ms", "How far a record's time may be ahead of the broker's clock."),
    ("message.timestamp.before.max.ms", "How far a record's time may be behind the broker's clock."),
    ("message.timestamp.type", "Whether records keep the producer's time or get the broker's."),
    ("min.cleanable.dirty.ratio", "Part of the log that must be new before it is compacted."),
    ("min.compaction.lag.ms", "How long a record is safe from compaction."),
    ("retention.bytes", "Bytes of a partition beyond which its oldest segments are deleted; -1 keeps all."),
    ("retention.ms", "Age of records that are deleted; -1 keeps all."),
    ("segment.bytes", "Size of a segment."),
    ("segment.jitter.ms", "By up to so much earlier a segment gets no more records, each by another time."),
    ("segment.ms", "Age of a segment that gets no more records."),
];

/// Names and meanings of group configurations.
#[rustfmt::skip]
const GROUP: &[(&str, &str)] = &[
    ("consumer.assignment.interval.ms", "How long after one assignment the group gets the next."),
    ("consumer.heartbeat.interval.ms", "How often members of the new consumer protocol report."),
    ("consumer.session.timeout.ms", "How long a member of the new consumer protocol may be silent."),
];

/// The effect of a configuration; `None` if it is accepted without one.
pub fn meaning(kind: ResourceType, name: &str) -> Option<&'static str> {
    let meanings = match kind {
        ResourceType::Broker => BROKER,
        ResourceType::Topic => TOPIC,
        ResourceType::Group => GROUP,
        _ => return None,
    };
    let position = meanings.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    Some(meanings[position].1)
}

#[cfg(test)]
mod tests {
    use super::super::declaration;
    use super::*;

    #[test]
    fn meanings_are_of_declared_names_and_in_order() {
        for (kind, meanings) in [
            (ResourceType::Broker, BROKER),
            (ResourceType::Topic, TOPIC),
            (ResourceType::Group, GROUP),
        ] {
            assert!(meanings.is_sorted_by(|a, b| a.0 < b.0));
            for (name, _) in meanings {
                assert!(declaration(kind, name).is_some(), "{name}");
            }
        }
    }

    /// Names in the broker's sources that are asked for where `Configs` and the settings of topics are read.
    fn names_that_are_read() -> Vec<(String, String)> {
        let mut directories = vec![std::path::PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src"
        ))];
        let mut found = Vec::new();
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for call in ["long(", "int(", "flag(", "text(", "size(configs, ", "format!("] {
                    let after = text.split(call).skip(1);
                    let names = after.filter_map(|rest| rest.strip_prefix('"')?.split('"').next());
                    found.extend(names.map(|name| (path.display().to_string(), name.to_owned())));
                }
            }
        }
        found
    }

    #[test]
    fn what_the_broker_reads_has_a_meaning() {
        let mut count = 0;
        for (path, name) in names_that_are_read() {
            let names = match name.strip_prefix("{prefix}") {
                None => vec![name],
                Some(end) => ["offsets.topic", "transaction.state.log"]
                    .map(|start| format!("{start}{end}"))
                    .into(),
            };
            for name in names {
                // Limits are checked and kept for Kafka's sake, wherever their names are in `altered`.
                if declaration(ResourceType::Broker, &name).is_none() || path.ends_with("config/altered.rs") {
                    continue;
                }
                assert!(meaning(ResourceType::Broker, &name).is_some(), "{path}: {name}");
                count += 1;
            }
        }
        assert!(count > 30, "{count}");
    }
}
