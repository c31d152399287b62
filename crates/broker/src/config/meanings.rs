//! The effect of each configuration that this broker acts on. A declared configuration that is missing here is
//! accepted, stored and shown, and has no effect on a single node.
//!
//! The table is separate from the declarations: those state Kafka's facts, this states ours. The reference prints it.

use super::ResourceType;

/// Names and meanings of broker configurations.
#[rustfmt::skip]
const BROKER: &[(&str, &str)] = &[
    ("advertised.listeners", "Addresses advertised to clients, by listener; one that is missing advertises the address that the client connected to."),
    ("allow.everyone.if.no.acl.found", "Whether every principal may use a resource without any ACL."),
    ("authorizer.class.name", "Any class enables ACLs."),
    ("auto.create.topics.enable", "Whether a topic is created when a client requests its metadata or writes to it."),
    ("broker.id", "The number of this node, unless `node.id` is set."),
    ("broker.rack", "The rack advertised to clients."),
    ("compression.gzip.level", "Compression level for batches that are recompressed with gzip, unless the topic sets it (-1 means 6)."),
    ("compression.type", "The codec in which topics keep batches unless they set it; `producer` keeps the producer's codec."),
    ("compression.zstd.level", "Compression level for batches that are recompressed with zstd, unless the topic sets it."),
    ("connection.failed.authentication.delay.ms", "Delay of the response to a failed authentication."),
    ("connections.max.idle.ms", "How long a connection may be idle; -1 means forever."),
    ("connections.max.reauth.ms", "Lifetime of a SASL session; 0 means unlimited."),
    ("controller.listener.names", "Listeners that are not opened: there is one node."),
    ("controller.quota.window.num", "Number of samples for the rate of topic mutations."),
    ("controller.quota.window.size.seconds", "Length of one sample."),
    ("delete.topic.enable", "Whether topics may be deleted."),
    ("fetch.max.bytes", "Bytes of one fetch response."),
    ("group.consumer.assignment.interval.ms", "Minimum time between two assignments of a group of the new consumer protocol."),
    ("group.consumer.assignors", "Assignors that members may ask for: `uniform` and `range`; the first is the default."),
    ("group.consumer.heartbeat.interval.ms", "Heartbeat interval of the new consumer protocol."),
    ("group.consumer.max.assignment.interval.ms", "Longest `consumer.assignment.interval.ms` that a group may be given."),
    ("group.consumer.max.heartbeat.interval.ms", "Longest `consumer.heartbeat.interval.ms` that a group may be given."),
    ("group.consumer.max.session.timeout.ms", "Longest `consumer.session.timeout.ms` that a group may be given."),
    ("group.consumer.max.size", "Members of a group of the new consumer protocol."),
    ("group.consumer.migration.policy", "Which groups with members may change their protocol: `upgrade` to the new one, `downgrade` back, `bidirectional`, `disabled`."),
    ("group.consumer.min.assignment.interval.ms", "Shortest `consumer.assignment.interval.ms` that a group may be given."),
    ("group.consumer.min.heartbeat.interval.ms", "Shortest `consumer.heartbeat.interval.ms` that a group may be given."),
    ("group.consumer.min.session.timeout.ms", "Shortest `consumer.session.timeout.ms` that a group may be given."),
    ("group.consumer.session.timeout.ms", "Time without a heartbeat after which a member of the new consumer protocol expires."),
    ("group.coordinator.rebalance.protocols", "Without `consumer` the new consumer protocol is disabled."),
    ("group.initial.rebalance.delay.ms", "How long a new classic group waits for more members before its first assignment."),
    ("group.max.session.timeout.ms", "Longest session timeout that a member may ask for."),
    ("group.max.size", "Members of a classic group."),
    ("group.min.session.timeout.ms", "Shortest session timeout that a member may ask for."),
    ("inter.broker.listener.name", "The listener to which the broker's limits of connections do not apply, if there are others."),
    ("listener.security.protocol.map", "The security protocol of each listener name: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."),
    ("listeners", "Listeners as `NAME://HOST:PORT`; the default is one PLAINTEXT listener on the address of `--kafka`."),
    ("log.cleaner.backoff.ms", "Time between searches for a log to compact."),
    ("log.cleaner.dedupe.buffer.size", "Bytes of keys that one compaction holds in memory."),
    ("log.cleaner.delete.retention.ms", "How long a tombstone outlives the compaction that kept it, unless the topic sets it."),
    ("log.cleaner.enable", "Whether topics with `cleanup.policy=compact` are compacted."),
    ("log.cleaner.max.compaction.lag.ms", "Longest time until a record is compacted, unless the topic sets it."),
    ("log.cleaner.min.cleanable.ratio", "Dirty ratio from which a log is compacted, unless the topic sets it."),
    ("log.cleaner.min.compaction.lag.ms", "Time during which a record is not compacted, unless the topic sets it."),
    ("log.cleanup.policy", "Whether old records are deleted or compacted, unless the topic sets it."),
    ("log.dir", "The path shown by DescribeLogDirs; the log itself is in the data directory."),
    ("log.dirs", "The path shown by DescribeLogDirs, in preference to `log.dir`."),
    ("log.index.interval.bytes", "Bytes of a segment between two entries of its index, unless the topic sets it."),
    ("log.message.timestamp.after.max.ms", "How far a record's time may be ahead of the broker's clock, unless the topic sets it."),
    ("log.message.timestamp.before.max.ms", "How far a record's time may be behind the broker's clock, unless the topic sets it."),
    ("log.message.timestamp.type", "Whether records keep the producer's time or get the broker's, unless the topic sets it."),
    ("log.retention.bytes", "Bytes of a partition beyond which its oldest segments are deleted, unless the topic sets it; -1 keeps all."),
    ("log.retention.check.interval.ms", "Time between searches for segments to delete."),
    ("log.retention.hours", "Age in hours of records that are deleted, if neither `log.retention.ms` nor `log.retention.minutes` is set."),
    ("log.retention.minutes", "Age in minutes of records that are deleted, if `log.retention.ms` is not set."),
    ("log.retention.ms", "Age of records that are deleted, unless the topic sets it; -1 keeps all."),
    ("log.roll.hours", "Age in hours at which a segment is closed, if `log.roll.ms` is not set."),
    ("log.roll.jitter.hours", "`log.roll.jitter.ms` in hours, if that is not set."),
    ("log.roll.jitter.ms", "Random time by which segments are closed earlier, at most, unless the topic sets it."),
    ("log.roll.ms", "Age at which a segment is closed, unless the topic sets it."),
    ("log.segment.bytes", "Size of a segment, unless the topic sets it."),
    ("max.connection.creation.rate", "New connections per second; further ones wait."),
    ("max.connections", "Connections at once, at most 10000."),
    ("max.connections.per.ip", "Connections at once from one address."),
    ("max.connections.per.ip.overrides", "The same for some addresses, as `HOST:COUNT`."),
    ("max.incremental.fetch.session.cache.slots", "Number of cached fetch sessions."),
    ("max.request.partition.size.limit", "Partitions in one DescribeTopicPartitions response; the client requests the rest."),
    ("message.max.bytes", "Size of a record batch, unless the topic sets it."),
    ("node.id", "The number of this node."),
    ("num.partitions", "Partitions of a topic that is created without a number."),
    ("offset.metadata.max.bytes", "Size of the metadata of a committed offset."),
    ("offsets.retention.check.interval.ms", "Time between searches for expired offsets."),
    ("offsets.retention.minutes", "How long the offsets of a group without members are kept."),
    ("offsets.topic.num.partitions", "Partitions of `__consumer_offsets`, which exists for tools that look for it and stays empty."),
    ("offsets.topic.segment.bytes", "`segment.bytes` of the same topic."),
    ("producer.id.expiration.ms", "How long an idle producer's sequence numbers are kept."),
    ("queued.max.request.bytes", "Memory for requests in flight; -1 means 512 MiB."),
    ("quota.window.num", "Number of samples for the rates of clients and of new connections."),
    ("quota.window.size.seconds", "Length of one sample."),
    ("sasl.enabled.mechanisms", "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER; required for a listener with SASL."),
    ("sasl.jaas.config", "Users for PLAIN, as `user_NAME=\"PASSWORD\"`."),
    ("sasl.oauthbearer.clock.skew.seconds", "Tolerated clock difference to the issuer of tokens."),
    ("sasl.oauthbearer.expected.audience", "Accepted audiences; a token must name one of them."),
    ("sasl.oauthbearer.expected.issuer", "The issuer required in a token."),
    ("sasl.oauthbearer.jwks.endpoint.url", "The file with the keys of tokens, for example `file:///etc/jwks.json`."),
    ("sasl.oauthbearer.scope.claim.name", "The claim with a token's scopes."),
    ("sasl.oauthbearer.sub.claim.name", "The claim with a token's user."),
    ("sasl.server.max.receive.size", "Bytes of one message before authentication; the default is 65536."),
    ("security.inter.broker.protocol", "The protocol and name of that listener, if `inter.broker.listener.name` is not set."),
    ("socket.request.max.bytes", "Bytes of one request."),
    ("ssl.cipher.suites", "Enabled cipher suites; all if empty."),
    ("ssl.client.auth", "Whether clients need a certificate: `none`, `requested`, `required`."),
    ("ssl.enabled.protocols", "Enabled versions of TLS."),
    ("ssl.keystore.certificate.chain", "Certificates in PEM, as text."),
    ("ssl.keystore.key", "The private key in PEM, as text."),
    ("ssl.keystore.location", "A PEM file with the private key and the certificates; reloaded when it changes."),
    ("ssl.principal.mapping.rules", "Rules that map the distinguished name of a certificate to a user name."),
    ("ssl.truststore.certificates", "Authorities of clients' certificates in PEM, as text."),
    ("ssl.truststore.location", "A PEM file with the authorities of clients' certificates."),
    ("super.users", "Principals that no ACL restricts, separated by `;`, for example `User:admin`."),
    ("transaction.max.timeout.ms", "Longest time for which a transaction may be open."),
    ("transaction.state.log.num.partitions", "Partitions of `__transaction_state`, which exists for tools that look for it and stays empty."),
    ("transaction.state.log.segment.bytes", "`segment.bytes` of the same topic."),
    ("transaction.two.phase.commit.enable", "Whether producers may prepare transactions that never expire."),
    ("transactional.id.expiration.ms", "How long an unused transactional id is kept."),
];

/// Names and meanings of topic configurations.
#[rustfmt::skip]
const TOPIC: &[(&str, &str)] = &[
    ("cleanup.policy", "`delete` removes old segments, `compact` keeps the last record of each key; both may be given."),
    ("compression.gzip.level", "Compression level for batches that are recompressed with gzip for `compression.type` (-1 means 6)."),
    ("compression.type", "The codec in which batches are kept; `producer` keeps the producer's codec."),
    ("compression.zstd.level", "Compression level for batches that are recompressed with zstd for `compression.type`."),
    ("delete.retention.ms", "How long a tombstone outlives the compaction that kept it."),
    ("index.interval.bytes", "Bytes of a segment between two entries of its index."),
    ("max.compaction.lag.ms", "Longest time until a record is compacted."),
    ("max.message.bytes", "Size of a record batch."),
    ("message.timestamp.after.max.ms", "How far a record's time may be ahead of the broker's clock."),
    ("message.timestamp.before.max.ms", "How far a record's time may be behind the broker's clock."),
    ("message.timestamp.type", "Whether records keep the producer's time or get the broker's."),
    ("min.cleanable.dirty.ratio", "Dirty ratio from which the log is compacted."),
    ("min.compaction.lag.ms", "Time during which a record is not compacted."),
    ("retention.bytes", "Bytes of a partition beyond which its oldest segments are deleted; -1 keeps all."),
    ("retention.ms", "Age of records that are deleted; -1 keeps all."),
    ("segment.bytes", "Size of a segment."),
    ("segment.jitter.ms", "Random time by which segments are closed earlier, at most."),
    ("segment.ms", "Age at which a segment is closed."),
];

/// Names and meanings of group configurations.
#[rustfmt::skip]
const GROUP: &[(&str, &str)] = &[
    ("consumer.assignment.interval.ms", "Minimum time between two assignments of the group."),
    ("consumer.heartbeat.interval.ms", "Heartbeat interval of the new consumer protocol."),
    ("consumer.session.timeout.ms", "Time without a heartbeat after which a member of the new consumer protocol expires."),
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
