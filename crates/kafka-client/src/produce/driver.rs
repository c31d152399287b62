//! The task behind a producer: executes the plans of the core.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use millstream_kafka_wire::messages::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic,
};
use millstream_kafka_wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use millstream_kafka_wire::messages::produce::{ProduceRequest, ProduceResponse};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};

use super::Shared;
use super::core::{Plan, Ticket};
use crate::TopicPartition;
use crate::client::{CoordinatorType, KafkaClient, lock};
use crate::error::ClientError;
use crate::transport::{BoxFuture, Call, Target};

/// Longest sleep without a plan.
const IDLE: Duration = Duration::from_secs(3600);
/// Clients add partitions in the versions up to this one; the later ones are for brokers.
const ADD_PARTITIONS_LAST_VERSION: i16 = 3;
/// The last version of InitProducerId without preparation.
pub(super) const INIT_PRODUCER_LAST_VERSION: i16 = 5;

/// Produce requests on their way. They are polled in this one task and in their order, so that they reach the
/// connection in the order of their sequence numbers; tasks of their own would overtake each other.
#[derive(Default)]
struct Sends(VecDeque<BoxFuture<Done>>);

impl Sends {
    /// Waits for the next response; forever if no request is in flight.
    async fn next(&mut self) -> Done {
        poll_fn(|context| {
            for index in 0..self.0.len() {
                if let Poll::Ready(done) = self.0[index].as_mut().poll(context) {
                    self.0.remove(index);
                    return Poll::Ready(done);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Something that was planned has come to an end.
enum Done {
    Send(Ticket, Result<ProduceResponse, ClientError>),
    Metadata(Result<(), ClientError>),
    Identity((i64, i16), Result<InitProducerIdResponse, ClientError>),
    Added(Vec<TopicPartition>, Result<(), ClientError>),
}

pub(super) async fn run(shared: Arc<Shared>) {
    let mut work: JoinSet<Done> = JoinSet::new();
    let mut sends = Sends::default();
    loop {
        let (plan, expired) = {
            let mut core = lock(&shared.core);
            let before = core.unfinished.len();
            let plan = core.plan(&shared.client.metadata(), shared.now_ms());
            (plan, core.unfinished.len() < before)
        };
        if expired {
            shared.progressed.notify_waiters();
        }
        let wake_at = plan.wake_at_ms.map_or(Instant::now() + IDLE, |at| {
            shared.start + Duration::from_millis(at)
        });
        start_work(plan, &shared, &mut work, &mut sends);
        tokio::select! {
            done = sends.next() => {
                settle(done, &shared);
                shared.progressed.notify_waiters();
            }
            Some(done) = work.join_next() => {
                if let Ok(done) = done {
                    settle(done, &shared);
                    shared.progressed.notify_waiters();
                }
            }
            () = shared.changed.notified() => {}
            () = tokio::time::sleep_until(wake_at) => {}
        }
    }
}

fn settle(done: Done, shared: &Shared) {
    let now_ms = shared.now_ms();
    let rng = shared.client.rng();
    let mut core = lock(&shared.core);
    match done {
        Done::Send(ticket, result) => core.complete(ticket, result, now_ms, rng),
        Done::Metadata(result) => {
            core.metadata_arrived(result.is_err(), now_ms, rng);
            if let Err(error) = result
                && !error.is_retriable()
            {
                core.fail_waiting(&error.into());
            }
        }
        Done::Identity(_, Ok(response)) => {
            core.identity_arrived(response.producer_id, response.producer_epoch)
        }
        Done::Identity(previous, Err(error)) => core.identity_failed(previous, error, now_ms, rng),
        Done::Added(partitions, result) => core.partitions_added(partitions, result),
    }
}

fn start_work(plan: Plan, shared: &Arc<Shared>, work: &mut JoinSet<Done>, sends: &mut Sends) {
    for send in plan.sends {
        let client = shared.client.clone();
        let expects_response = send.request.acks != 0;
        let mut call = Call::new(Target::Node(send.node), send.request)
            .version_min(send.version_min)
            .version_max(send.version_max);
        call.expects_response = expects_response;
        sends.0.push_back(Box::pin(async move {
            let result = client.call_with::<ProduceRequest>(call).await;
            Done::Send(send.ticket, result.map(|(response, _)| response))
        }));
    }
    if !plan.refresh.is_empty() {
        let client = shared.client.clone();
        let topics: Vec<KafkaString> = plan.refresh.into_iter().collect();
        work.spawn(
            async move { Done::Metadata(client.refresh_metadata(Some(&topics), true).await.map(drop)) },
        );
    }
    if let Some(previous) = plan.init_producer {
        let client = shared.client.clone();
        work.spawn(async move { Done::Identity(previous, init_idempotent(&client, previous).await) });
    }
    if !plan.add_partitions.is_empty() {
        let shared = shared.clone();
        work.spawn(async move {
            let result = add_partitions(&shared, &plan.add_partitions).await;
            Done::Added(plan.add_partitions, result)
        });
    }
}

/// Requests a producer id without a transactional id, from any broker.
async fn init_idempotent(
    client: &KafkaClient,
    previous: (i64, i16),
) -> Result<InitProducerIdResponse, ClientError> {
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        producer_id: previous.0,
        producer_epoch: previous.1,
        ..Default::default()
    };
    // Only from version 3 on can an epoch be succeeded; before, a new id is as good.
    let call = Call::new(Target::Any, request)
        .version_min(3)
        .version_max(INIT_PRODUCER_LAST_VERSION);
    let result = match client.call_with::<InitProducerIdRequest>(call).await {
        Err(ClientError::Transport(crate::TransportError::UnsupportedApi { .. })) => {
            let request = InitProducerIdRequest {
                transaction_timeout_ms: i32::MAX,
                ..Default::default()
            };
            client
                .call_with::<InitProducerIdRequest>(Call::new(Target::Any, request))
                .await
        }
        other => other,
    };
    let (response, _) = result?;
    match response.error_code.check() {
        Ok(()) => Ok(response),
        Err(code) => Err(ClientError::broker("asking for a producer id", code)),
    }
}

/// Adds partitions to a transaction of the first kind.
async fn add_partitions(shared: &Shared, partitions: &[TopicPartition]) -> Result<(), ClientError> {
    let Some((id, producer_id, producer_epoch)) = lock(&shared.core).transactional_identity() else {
        return Err(ClientError::Incomplete("InitProducerId"));
    };
    let mut topics: Vec<AddPartitionsToTxnTopic> = Vec::new();
    for partition in partitions {
        match topics.last_mut().filter(|topic| topic.name == partition.topic) {
            Some(topic) => topic.partitions.push(partition.partition),
            None => topics.push(AddPartitionsToTxnTopic {
                name: partition.topic.clone(),
                partitions: vec![partition.partition],
            }),
        }
    }
    let request = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: id.as_str().into(),
        v3_and_below_producer_id: producer_id,
        v3_and_below_producer_epoch: producer_epoch,
        v3_and_below_topics: topics,
        ..Default::default()
    };
    let versions = (0, ADD_PARTITIONS_LAST_VERSION);
    let of = CoordinatorType::Transaction;
    let response = shared
        .client
        .call_coordinator(of, &id, versions, request, add_error)
        .await?;
    add_error(&response)
        .check()
        .map_err(|code| ClientError::broker("adding partitions to the transaction", code))
}

/// The error that is the cause: with one partition refused, the others are not attempted.
fn add_error(response: &AddPartitionsToTxnResponse) -> ErrorCode {
    let topics = response.results_by_topic_v3_and_below.iter();
    let codes = topics.flat_map(|topic| topic.results_by_partition.iter().map(|p| p.partition_error_code));
    let mut errors = codes.filter(|code| code.is_error() && *code != ErrorCode::OPERATION_NOT_ATTEMPTED);
    errors.next().unwrap_or_default()
}
