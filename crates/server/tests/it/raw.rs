//! A connection that sends arbitrary bytes, and what the listener makes of clients that do not speak its language.

use bytes::Bytes;
use millstream_kafka_wire::compression::{Codec, Compressor};
use millstream_kafka_wire::header::encode_request;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::record_batch::BatchBuilder;
use millstream_kafka_wire::{ApiKey, ErrorCode, Reader, Request, RequestMessage, Response, ResponseHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::{Cluster, START_MS};

pub struct Raw {
    stream: TcpStream,
    next_id: i32,
}

impl Raw {
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        Self { stream, next_id: 1 }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        // The other side may have closed; what matters is what comes back.
        let _ = self.stream.write_all(bytes).await;
    }

    /// A frame's content; `None` when the other side closes.
    pub async fn receive(&mut self) -> Option<Bytes> {
        let size = self.stream.read_i32().await.ok()?;
        let mut frame = vec![0; size as usize];
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(frame.into())
    }

    /// Whether the other side closes without another word.
    pub async fn is_closed(&mut self) -> bool {
        self.receive().await.is_none()
    }

    /// Sends a request and reads its response; `None` when the other side closes.
    pub async fn call<R: RequestMessage>(&mut self, version: i16, request: R) -> Option<R::Response> {
        let request: Request = request.into();
        let api = request.api_key();
        self.next_id += 1;
        let chunks = encode_request(&request, version, self.next_id, Some(&"raw".into())).unwrap();
        for chunk in chunks {
            self.send(&chunk).await;
        }
        let mut reader = Reader::new(self.receive().await?);
        let head = ResponseHeader::decode(&mut reader, api, version).unwrap();
        assert_eq!(head.correlation_id, self.next_id);
        let response = Response::decode(api, version, &mut reader).unwrap();
        R::Response::try_from(response).ok()
    }

    /// Asks for a mechanism and sends first messages of it.
    pub async fn handshake(&mut self, mechanism: &str) -> ErrorCode {
        let request = SaslHandshakeRequest {
            mechanism: mechanism.into(),
        };
        self.call(1, request)
            .await
            .map_or(ErrorCode::NETWORK_EXCEPTION, |reply| reply.error_code)
    }

    pub async fn token(&mut self, token: impl Into<Vec<u8>>) -> Option<SaslAuthenticateResponse> {
        let auth_bytes = Bytes::from(token.into());
        self.call(2, SaslAuthenticateRequest { auth_bytes }).await
    }
}

#[tokio::test]
async fn what_is_not_kafka_is_closed_and_others_are_served() {
    let cluster = Cluster::start(&[]).await;
    let port = cluster.port("PLAINTEXT");
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
        &[0xff; 64],
        &[0; 64],
        &[0, 0, 0, 8, 0x7f, 0x7f, 0, 0, 0, 0, 0, 1], // an unknown API
        &[0, 0, 0, 4, 0, 3, 0, 12],                  // half a header
        &[0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff], // a version from the future
    ] {
        let mut raw = Raw::connect(port).await;
        raw.send(garbage).await;
        assert!(raw.is_closed().await, "{garbage:?}");
    }
    cluster.create("PLAINTEXT", &[], "t").await.unwrap();
}

#[tokio::test]
async fn a_future_version_of_api_versions_gets_the_oldest_form() {
    let cluster = Cluster::start(&[]).await;
    let mut raw = Raw::connect(cluster.port("PLAINTEXT")).await;
    raw.send(&[0, 0, 0, 11, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0])
        .await;
    let mut reader = Reader::new(raw.receive().await.unwrap());
    ResponseHeader::decode(&mut reader, ApiKey::ApiVersions, 0).unwrap();
    let response = ApiVersionsResponse::decode(&mut reader, 0).unwrap();
    assert_eq!(response.error_code, ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!(response.api_keys.len(), 1);
    let again = raw.call(3, api_versions()).await.unwrap();
    assert!(again.api_keys.len() > 40);
}

pub fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "raw".into(),
        client_software_version: "1".into(),
    }
}

#[tokio::test]
async fn clients_are_told_the_advertised_address_of_their_listener() {
    let cluster = Cluster::start(&[
        ("listeners", "PLAINTEXT://127.0.0.1:0,INSIDE://127.0.0.1:0"),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT",
        ),
        ("advertised.listeners", "INSIDE://broker.example.org:1234"),
    ])
    .await;
    for (listener, host, port) in [
        ("PLAINTEXT", "127.0.0.1", i32::from(cluster.port("PLAINTEXT"))),
        ("INSIDE", "broker.example.org", 1234),
    ] {
        let mut raw = Raw::connect(cluster.port(listener)).await;
        let metadata = raw.call(12, MetadataRequest::default()).await.unwrap();
        let broker = &metadata.brokers[0];
        assert_eq!((broker.host.as_str(), broker.port), (host, port));
    }
}

#[tokio::test]
async fn sasl_on_a_listener_without_it_fails_as_in_kafka() {
    let cluster = Cluster::start(&[]).await;
    let mut raw = Raw::connect(cluster.port("PLAINTEXT")).await;
    assert_eq!(raw.handshake("PLAIN").await, ErrorCode::ILLEGAL_SASL_STATE);
    let reply = raw.token("\0a\0b").await.unwrap();
    assert_eq!(reply.error_code, ErrorCode::ILLEGAL_SASL_STATE);
    assert!(raw.call(3, api_versions()).await.is_some());
}

/// A fetch of the only partition of a topic, from its start.
fn waiting_fetch(topic: &str) -> FetchRequest {
    let partition = fetch::FetchPartition {
        current_leader_epoch: -1,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: 300_000,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: vec![fetch::FetchTopic {
            topic: topic.into(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn produce(topic: &str) -> Request {
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(START_MS, None, Some(b"v"), &[]);
    let records = batch.build(&mut Compressor::default()).unwrap();
    ProduceRequest {
        acks: -1,
        topic_data: vec![produce::TopicProduceData {
            name: topic.into(),
            partition_data: vec![produce::PartitionProduceData {
                index: 0,
                records: Some(records.into()),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
    .into()
}

#[tokio::test]
async fn closing_ends_idle_connections_at_once_and_completes_requests_behind_a_delayed_fetch() {
    let cluster = Cluster::start(&[]).await;
    let port = cluster.port("PLAINTEXT");
    for topic in ["silent", "t"] {
        cluster.create("PLAINTEXT", &[], topic).await.unwrap();
    }
    let (mut idle, mut asking) = (Raw::connect(port).await, Raw::connect(port).await);
    assert!(idle.call(3, api_versions()).await.is_some());
    let mut bytes = Vec::new();
    for (id, (request, version)) in (1..).zip([(waiting_fetch("silent").into(), 12), (produce("t"), 9)]) {
        for chunk in encode_request(&request, version, id, None).unwrap() {
            bytes.extend_from_slice(&chunk);
        }
    }
    asking.send(&bytes).await;
    // A reader of the produced records knows that the broker has both requests.
    let mut reading = Raw::connect(port).await;
    assert!(reading.call(12, waiting_fetch("t")).await.is_some());
    let Cluster {
        broker, listeners, ..
    } = cluster;
    let later = async {
        for (id, api, version) in [(1, ApiKey::Fetch, 12), (2, ApiKey::Produce, 9)] {
            let mut reader = Reader::new(asking.receive().await.unwrap());
            let head = ResponseHeader::decode(&mut reader, api, version).unwrap();
            assert_eq!(head.correlation_id, id);
            match Response::decode(api, version, &mut reader).unwrap() {
                Response::Fetch(fetched) => {
                    let part = &fetched.responses[0].partitions[0];
                    assert_eq!(part.error_code, ErrorCode::NONE);
                    assert!(part.records.as_ref().is_none_or(Bytes::is_empty));
                }
                Response::Produce(produced) => {
                    let part = &produced.responses[0].partition_responses[0];
                    assert_eq!((part.error_code, part.base_offset), (ErrorCode::NONE, 0));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(asking.is_closed().await);
    };
    let (closed, ..) = tokio::join!(listeners.shutdown(), idle.is_closed(), later);
    assert_eq!(closed, ());
    broker.stop().unwrap();
}

#[tokio::test]
async fn requests_before_a_close_are_completed_in_order() {
    let cluster = Cluster::start(&[]).await;
    let mut raw = Raw::connect(cluster.port("PLAINTEXT")).await;
    // Without acknowledgement an error can only be told by closing the connection.
    let refused = ProduceRequest {
        acks: 0,
        topic_data: vec![produce::TopicProduceData {
            name: "missing".into(),
            partition_data: vec![Default::default()],
            ..Default::default()
        }],
        ..Default::default()
    };
    let asked: [(Request, i16); 5] = [
        (api_versions().into(), 3),
        (MetadataRequest::default().into(), 12),
        (api_versions().into(), 3),
        (refused.into(), 9),
        (api_versions().into(), 3),
    ];
    let mut bytes = Vec::new();
    for (id, (request, version)) in (1..).zip(&asked) {
        for chunk in encode_request(request, *version, id, None).unwrap() {
            bytes.extend_from_slice(&chunk);
        }
    }
    raw.send(&bytes).await;
    for id in 1..=3u8 {
        let reply = raw.receive().await.unwrap();
        assert_eq!(reply[..4], [0, 0, 0, id]);
    }
    assert!(raw.is_closed().await);
}

#[tokio::test]
async fn requests_larger_than_the_budget_are_completed_one_by_one() {
    let cluster = Cluster::start(&[]).await;
    let mut raw = Raw::connect(cluster.port("PLAINTEXT")).await;
    let partition = produce::PartitionProduceData {
        records: Some(Bytes::from(vec![
            0;
            millstream_server::limits::PIPELINED_REQUEST_BYTES
                + 1
        ])),
        ..Default::default()
    };
    let request: Request = ProduceRequest {
        acks: -1,
        topic_data: vec![produce::TopicProduceData {
            name: "missing".into(),
            partition_data: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    }
    .into();
    for id in 1..=3 {
        for chunk in encode_request(&request, 9, id, None).unwrap() {
            raw.send(&chunk).await;
        }
    }
    for id in 1..=3u8 {
        let reply = raw.receive().await.unwrap();
        assert_eq!(reply[..4], [0, 0, 0, id]);
    }
}
