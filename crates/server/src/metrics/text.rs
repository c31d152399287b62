//! Prometheus' text form of everything that is measured.

use std::fmt::Write as _;

use millstream_broker::{GroupMeasure, Measure, TopicCounters, TopicMeasure};

use crate::kafka::gate::{ConnectionCounts, ListenerCounts};

use super::requests::{QUANTILES, RequestCounts, Snapshot};

/// All numbers.
pub fn render(measure: &Measure, requests: &Snapshot, connections: &ConnectionCounts) -> String {
    let mut page = Page::default();
    counters(&mut page, &measure.all, &measure.topics);
    logs(&mut page, measure);
    request_metrics(&mut page, &requests.requests);
    new_connections(&mut page, connections);
    authentications(&mut page, requests);
    groups(&mut page, &measure.groups);
    page.family("millstream_build_info", "gauge", "The version that runs.");
    page.sample(
        "millstream_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1,
    );
    page.0
}

/// A page in the making.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Writes the header of a metric.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

type Counter = (&'static str, &'static str, fn(&TopicCounters) -> u64);

/// The counters of topics, with the sum of all topics as the sample without a label.
const COUNTERS: &[Counter] = &[
    ("messagesin", "Records appended.", |c| c.messages_in),
    ("bytesin", "Bytes appended.", |c| c.bytes_in),
    ("bytesout", "Bytes given to consumers.", |c| c.bytes_out),
    ("totalproducerequests", "Partitions of produce requests.", |c| {
        c.produce_requests
    }),
    (
        "failedproducerequests",
        "Partitions of produce requests that were refused.",
        |c| c.failed_produce_requests,
    ),
    ("totalfetchrequests", "Partitions of fetch requests.", |c| {
        c.fetch_requests
    }),
    (
        "failedfetchrequests",
        "Partitions of fetch requests that failed.",
        |c| c.failed_fetch_requests,
    ),
];

fn counters(page: &mut Page, all: &TopicCounters, topics: &[TopicMeasure]) {
    for (word, help, value) in COUNTERS {
        let name = format!("kafka_server_brokertopicmetrics_{word}_total");
        page.family(&name, "counter", help);
        page.sample(&name, &[], value(all));
        for topic in topics {
            page.sample(&name, &[("topic", &topic.name)], value(&topic.counters));
        }
    }
}

fn logs(page: &mut Page, measure: &Measure) {
    let topics = &measure.topics;
    let partitions: usize = topics.iter().map(|topic| topic.partitions.len()).sum();
    let gauges = [
        (
            "kafka_controller_kafkacontroller_activecontrollercount",
            "This node is the controller.",
            1,
        ),
        (
            "kafka_controller_kafkacontroller_globaltopiccount",
            "Topics.",
            topics.len(),
        ),
        (
            "kafka_controller_kafkacontroller_globalpartitioncount",
            "Partitions.",
            partitions,
        ),
        (
            "kafka_controller_kafkacontroller_offlinepartitionscount",
            "Partitions that take no writes.",
            if measure.is_poisoned { partitions } else { 0 },
        ),
        (
            "kafka_server_replicamanager_partitioncount",
            "Partitions on this node.",
            partitions,
        ),
        (
            "kafka_server_replicamanager_leadercount",
            "Partitions that this node leads.",
            partitions,
        ),
        (
            "kafka_server_replicamanager_underreplicatedpartitions",
            "Always 0: there is one replica.",
            0,
        ),
        (
            "kafka_log_logmanager_offlinelogdirectorycount",
            "1 after an error of the disk, which ends all writes.",
            usize::from(measure.is_poisoned),
        ),
    ];
    for (name, help, value) in gauges {
        page.family(name, "gauge", help);
        page.sample(name, &[], value);
    }
    partition_gauges(page, topics);
}

fn partition_gauges(page: &mut Page, topics: &[TopicMeasure]) {
    type Gauge = (
        &'static str,
        &'static str,
        fn(&millstream_broker::PartitionMeasure) -> i64,
    );
    let of_partitions: [Gauge; 3] = [
        ("kafka_log_log_logstartoffset", "The first offset.", |p| {
            p.start_offset
        }),
        ("kafka_log_log_logendoffset", "The next offset.", |p| p.end_offset),
        ("kafka_log_log_size", "Bytes of the partition.", |p| {
            i64::try_from(p.size).unwrap_or(i64::MAX)
        }),
    ];
    for (name, help, value) in of_partitions {
        page.family(name, "gauge", help);
        for topic in topics {
            for (index, partition) in topic.partitions.iter().enumerate() {
                let labels = [("topic", topic.name.as_str()), ("partition", &index.to_string())];
                page.sample(name, &labels, value(partition));
            }
        }
    }
}

fn request_metrics(page: &mut Page, requests: &[RequestCounts]) {
    let name = "kafka_network_requestmetrics_requests_total";
    page.family(name, "counter", "Completed requests.");
    for api in requests {
        for (version, count) in &api.by_version {
            let labels = [("request", api.key.name()), ("version", &version.to_string())];
            page.sample(name, &labels, count);
        }
    }
    let name = "kafka_network_requestmetrics_totaltimems";
    page.family(
        name,
        "summary",
        "Milliseconds from reading a request to having written its response.",
    );
    for api in requests {
        let request = ("request", api.key.name());
        for (share, time_us) in QUANTILES.iter().zip(api.quantiles_us) {
            let share = share.to_string();
            page.sample(name, &[request, ("quantile", &share)], milliseconds(time_us));
        }
        page.sample(&format!("{name}_sum"), &[request], milliseconds(api.sum_us));
        page.sample(&format!("{name}_count"), &[request], api.count);
    }
    type Bytes = (&'static str, &'static str, fn(&RequestCounts) -> u64);
    let sizes: [Bytes; 2] = [
        (
            "kafka_network_requestmetrics_requestbytes_total",
            "Bytes of requests.",
            |api| api.received,
        ),
        (
            "kafka_network_requestmetrics_responsebytes_total",
            "Bytes of responses.",
            |api| api.sent,
        ),
    ];
    for (name, help, value) in sizes {
        page.family(name, "counter", help);
        for api in requests {
            page.sample(name, &[("request", api.key.name())], value(api));
        }
    }
}

fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1000.0
}

fn new_connections(page: &mut Page, connections: &ConnectionCounts) {
    let name = "kafka_server_socketservermetrics_broker_connection_accept_rate";
    page.family(name, "gauge", "New connections a second.");
    page.sample(name, &[], connections.accept_rate);
    type Gauge = (&'static str, &'static str, fn(&ListenerCounts) -> f64);
    let of_listeners: [Gauge; 4] = [
        ("connection_count", "Connections that are open.", |counts| {
            counts.open as f64
        }),
        ("connection_accept_rate", "New connections a second.", |counts| {
            counts.accept_rate
        }),
        (
            "connection_accept_throttle_time",
            "Milliseconds that new connections waited that came too fast for the broker or the listener, on average.",
            |counts| counts.throttle_ms,
        ),
        (
            "ip_connection_accept_throttle_time",
            "Milliseconds after which connections were closed whose address was too fast, on average.",
            |counts| counts.ip_throttle_ms,
        ),
    ];
    for (word, help, value) in of_listeners {
        let name = format!("kafka_server_socketservermetrics_{word}");
        page.family(&name, "gauge", help);
        for (listener, counts) in &connections.listeners {
            page.sample(&name, &[("listener", listener)], value(counts));
        }
    }
}

fn authentications(page: &mut Page, requests: &Snapshot) {
    type Count = (&'static str, &'static str, fn(&(u64, u64)) -> u64);
    let counts: [Count; 2] = [
        (
            "kafka_server_socketservermetrics_successful_authentication_total",
            "SASL authentications that succeeded.",
            |counts| counts.0,
        ),
        (
            "kafka_server_socketservermetrics_failed_authentication_total",
            "SASL authentications that failed.",
            |counts| counts.1,
        ),
    ];
    for (name, help, value) in counts {
        page.family(name, "counter", help);
        for (listener, counts) in &requests.authentications {
            page.sample(name, &[("listener", listener)], value(counts));
        }
    }
}

fn groups(page: &mut Page, groups: &[GroupMeasure]) {
    let name = "kafka_coordinator_group_groupmetadatamanager_numgroups";
    page.family(name, "gauge", "Groups.");
    page.sample(name, &[], groups.len());
    let name = "kafka_consumergroup_members";
    page.family(name, "gauge", "Members of a group.");
    for group in groups {
        page.sample(name, &[("consumergroup", &group.name)], group.members);
    }
    type Position = (&'static str, &'static str, fn(i64, i64) -> i64);
    let positions: [Position; 2] = [
        (
            "kafka_consumergroup_current_offset",
            "The offset that a group has committed.",
            |offset, _| offset,
        ),
        (
            "kafka_consumergroup_lag",
            "Records behind the offset that a group has committed.",
            |_, lag| lag,
        ),
    ];
    for (name, help, value) in positions {
        page.family(name, "gauge", help);
        for group in groups {
            for (topic, partition, offset, lag) in &group.offsets {
                let labels = [
                    ("consumergroup", group.name.as_str()),
                    ("topic", topic),
                    ("partition", &partition.to_string()),
                ];
                page.sample(name, &labels, value(*offset, *lag));
            }
        }
    }
}
