//! The endpoint for Prometheus.

use millstream_kafka_wire::messages::*;
use millstream_server::metrics::{MetricsEndpoint, MetricsError, MetricsSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::Cluster;
use crate::raw::Raw;

async fn open(
    cluster: &Cluster,
    address: &str,
    token: Option<&str>,
) -> Result<MetricsEndpoint, MetricsError> {
    let settings = MetricsSettings {
        address: address.to_owned(),
        token_file: token.map(Into::into),
    };
    let (metrics, gate) = (cluster.metrics.clone(), cluster.listeners.gate());
    MetricsEndpoint::open(&settings, cluster.broker.clone(), metrics, gate).await
}

async fn get(endpoint: &MetricsEndpoint, path: &str, header: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", endpoint.address().port()))
        .await
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

#[tokio::test]
async fn numbers_have_kafkas_names() {
    let cluster = Cluster::start(&[]).await;
    cluster.create("PLAINTEXT", &[], "t").await.unwrap();
    let mut raw = Raw::connect(cluster.port("PLAINTEXT")).await;
    let mut builder = millstream_kafka_wire::record_batch::BatchBuilder::new(Default::default());
    for value in ["a", "b", "c"] {
        builder.append(crate::cluster::START_MS, None, Some(value.as_bytes()), &[]);
    }
    let records: bytes::Bytes = builder.build(&mut Default::default()).unwrap().into();
    let size = records.len();
    let request = ProduceRequest {
        acks: -1,
        topic_data: vec![produce::TopicProduceData {
            name: "t".into(),
            partition_data: vec![produce::PartitionProduceData {
                index: 0,
                records: Some(records),
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let produced = raw.call(9, request).await.unwrap();
    assert!(
        produced.responses[0].partition_responses[0].error_code.is_none(),
        "{produced:?}"
    );
    let commit = OffsetCommitRequest {
        group_id: "g \"x\"".into(),
        generation_id_or_member_epoch: -1,
        topics: vec![offset_commit::OffsetCommitRequestTopic {
            name: "t".into(),
            partitions: vec![offset_commit::OffsetCommitRequestPartition {
                committed_offset: 1,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    raw.call(8, commit).await.unwrap();
    let endpoint = open(&cluster, "0", None).await.unwrap();
    let response = get(&endpoint, "/metrics", "").await;
    assert!(
        response.contains("content-type: text/plain; version=0.0.4"),
        "{response}"
    );
    for expected in [
        "kafka_server_brokertopicmetrics_messagesin_total 3",
        "kafka_server_brokertopicmetrics_messagesin_total{topic=\"t\"} 3",
        &format!("kafka_server_brokertopicmetrics_bytesin_total{{topic=\"t\"}} {size}"),
        "kafka_server_brokertopicmetrics_totalproducerequests_total{topic=\"t\"} 1",
        "kafka_log_log_logstartoffset{topic=\"t\",partition=\"0\"} 0",
        "kafka_log_log_logendoffset{topic=\"t\",partition=\"0\"} 3",
        "kafka_network_requestmetrics_requests_total{request=\"Produce\",version=\"9\"} 1",
        "kafka_network_requestmetrics_totaltimems_count{request=\"Produce\"} 1",
        "kafka_network_requestmetrics_totaltimems{request=\"Produce\",quantile=\"0.99\"} ",
        "kafka_consumergroup_lag{consumergroup=\"g \\\"x\\\"\",topic=\"t\",partition=\"0\"} 2",
        "kafka_controller_kafkacontroller_globaltopiccount 1",
        "kafka_server_socketservermetrics_connection_count{listener=\"PLAINTEXT\"} ",
        "kafka_server_socketservermetrics_broker_connection_accept_rate 0.",
        "kafka_server_socketservermetrics_connection_accept_rate{listener=\"PLAINTEXT\"} 0.",
        "kafka_server_socketservermetrics_connection_accept_throttle_time{listener=\"PLAINTEXT\"} NaN",
        "kafka_server_socketservermetrics_ip_connection_accept_throttle_time{listener=\"PLAINTEXT\"} NaN",
    ] {
        assert!(
            response.contains(&format!("\n{expected}")),
            "{expected} is not in\n{response}"
        );
    }
    let families: Vec<&str> = response
        .lines()
        .filter(|line| line.starts_with("# TYPE"))
        .collect();
    let mut unique = families.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), families.len(), "each family is there once");
    assert!(get(&endpoint, "/", "").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn off_loopback_a_token_is_needed() {
    let cluster = Cluster::start(&[]).await;
    let refused = open(&cluster, "0.0.0.0:0", None).await;
    assert!(matches!(refused, Err(MetricsError::NotLoopback { .. })));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "  \n").unwrap();
    let empty = open(&cluster, "0.0.0.0:0", path.to_str()).await;
    assert!(matches!(empty, Err(MetricsError::NoToken { .. })));
    std::fs::write(&path, "s3cret\n").unwrap();
    let endpoint = open(&cluster, "0.0.0.0:0", path.to_str()).await.unwrap();
    for (header, status) in [
        ("", "401"),
        ("Authorization: Bearer wrong\r\n", "401"),
        ("Authorization: Bearer s3cret\r\n", "200"),
    ] {
        let response = get(&endpoint, "/metrics", header).await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}")),
            "{header:?}: {response}"
        );
    }
}
