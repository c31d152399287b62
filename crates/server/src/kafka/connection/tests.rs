//! A connection whose client does not read responses.

use std::collections::BTreeMap;
use std::future::Future;
use std::task::Poll;

use millstream_broker::{BrokerConfig, BrokerHandle, Endpoint};
use millstream_kafka_wire::KafkaString;
use millstream_kafka_wire::messages::*;
use millstream_testkit::storage::MemStorage;
use millstream_types::{Clock, ManualClock, SeededRng};

use super::*;
use crate::kafka::config::ShellConfig;
use crate::kafka::frames::RequestMemory;
use crate::kafka::gate::Gate;
use crate::metrics::ShellMetrics;
use crate::open_files::Shares;

fn serving() -> Arc<Serving> {
    let config = ShellConfig::parse(&BTreeMap::new(), "127.0.0.1:0").unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(0));
    let broker = BrokerHandle::start(
        BrokerConfig::new(config.broker.clone()),
        Arc::new(MemStorage::new()),
        Arc::new(SeededRng::new(7)),
        clock.clone(),
    );
    Arc::new(Serving {
        name: "PLAINTEXT".to_owned(),
        endpoint: None,
        tls: None,
        sasl: None,
        broker: broker.unwrap_or_else(|error| panic!("{error}")),
        gate: Gate::new(config.limits, [], None, Shares::of(None)),
        memory: RequestMemory::new(1 << 20),
        metrics: Arc::new(ShellMetrics::new(clock.clone())),
        clock,
    })
}

fn context() -> RequestContext {
    RequestContext {
        client_id: KafkaString::EMPTY,
        client_host: KafkaString::from_static("/127.0.0.1"),
        principal: KafkaString::from_static("User:ANONYMOUS"),
        endpoint: Arc::new(Endpoint {
            host: KafkaString::from_static("localhost"),
            port: 1,
        }),
        is_internal: false,
    }
}

fn receiver(serving: &Arc<Serving>) -> (Receiver, mpsc::Receiver<Outgoing>) {
    let (_, muted) = watch::channel(None);
    Receiver::new(serving.clone(), context(), Instant::now(), muted)
}

fn frame(request: impl Into<Request>, version: i16) -> Frame {
    let chunks = header::encode_request(&request.into(), version, 1, None).unwrap();
    let bytes = Bytes::from(chunks.concat());
    Frame {
        bytes: bytes.slice(4..),
        memory: None,
    }
}

/// Whether a future is ready on its first poll.
async fn is_done(future: impl Future<Output = Result<(), ConnectionError>>) -> bool {
    let mut future = std::pin::pin!(tokio::task::unconstrained(future));
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(result.is_ok()),
        Poll::Pending => Poll::Ready(false),
    })
    .await
}

fn api_versions() -> Frame {
    frame(
        ApiVersionsRequest {
            client_software_name: "raw".into(),
            client_software_version: "1".into(),
        },
        3,
    )
}

/// The listener may close while a request waits for a slot in the response queue.
#[tokio::test]
async fn a_request_without_a_response_slot_is_not_executed() {
    let serving = serving();
    let (mut receiver, mut queue) = receiver(&serving);
    for _ in 0..PIPELINED_REQUESTS_MAX {
        assert!(is_done(receiver.take(api_versions())).await);
    }
    let produce = ProduceRequest {
        acks: -1,
        topic_data: vec![produce::TopicProduceData {
            name: "missing".into(),
            partition_data: vec![Default::default()],
            ..Default::default()
        }],
        ..Default::default()
    };
    assert!(!is_done(receiver.take(frame(produce.clone(), 9))).await);
    assert_eq!(receiver.in_flight.load(Ordering::SeqCst), PIPELINED_REQUESTS_MAX);
    drop(queue.recv().await);
    assert!(is_done(receiver.take(frame(produce, 9))).await);
    assert_eq!(receiver.in_flight.load(Ordering::SeqCst), PIPELINED_REQUESTS_MAX);
}

#[tokio::test]
async fn few_large_responses_wait_for_a_client_that_has_stopped_reading() {
    let serving = serving();
    let names = FindCoordinatorRequest {
        coordinator_keys: vec!["x".into(); 1000],
        ..Default::default()
    };
    // The response contains all partitions of the member.
    let joining = ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        ..Default::default()
    };
    let asked: [(Request, i16); 3] = [
        (MetadataRequest::default().into(), 12),
        (names.into(), 4),
        (joining.into(), 1),
    ];
    for (request, version) in asked {
        let (mut receiver, mut queue) = receiver(&serving);
        let large = || frame(request.clone(), version);
        for _ in 0..PIPELINED_LISTINGS_MAX {
            assert!(is_done(receiver.take(large())).await, "{:?}", request.api_key());
        }
        assert!(!is_done(receiver.take(large())).await, "{:?}", request.api_key());
        assert!(is_done(receiver.take(api_versions())).await, "small ones may");
        drop(queue.recv().await);
        assert!(is_done(receiver.take(large())).await);
    }
}
