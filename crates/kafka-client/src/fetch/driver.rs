//! The task behind a fetcher: executes the plans of the core.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_kafka_wire::KafkaString;
use millstream_kafka_wire::messages::fetch::{FetchRequest, FetchResponse};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};

use super::Shared;
use super::core::{Plan, PlannedFetch, Ticket};
use crate::TopicPartition;
use crate::admin::ListedOffset;
use crate::client::{KafkaClient, lock};
use crate::error::ClientError;
use crate::transport::{Call, Target};

/// Longest sleep without a plan.
const IDLE: Duration = Duration::from_secs(3600);

/// Something that was planned has come to an end.
enum Done {
    Fetch(Box<Ticket>, Result<FetchResponse, ClientError>),
    Metadata(Option<ClientError>),
    Reset(
        Vec<TopicPartition>,
        Result<BTreeMap<TopicPartition, ListedOffset>, ClientError>,
    ),
}

pub(super) async fn run(client: KafkaClient, shared: Arc<Shared>) {
    let start = Instant::now();
    let now_ms = || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut work: JoinSet<Done> = JoinSet::new();
    loop {
        let (plan, has_events) = {
            let mut core = lock(&shared.core);
            (core.plan(&client.metadata(), now_ms()), core.has_events())
        };
        if has_events {
            shared.announce();
        }
        let wake_at = plan
            .wake_at_ms
            .map_or(Instant::now() + IDLE, |at| start + Duration::from_millis(at));
        start_work(plan, &client, &shared, &mut work);
        tokio::select! {
            Some(done) = work.join_next() => {
                // A task that panicked has lost its ticket; there is none to give back.
                if let Ok(done) = done {
                    settle(done, &client, &shared, now_ms());
                }
            }
            () = shared.changed.notified() => {}
            () = tokio::time::sleep_until(wake_at) => {}
        }
    }
}

fn settle(done: Done, client: &KafkaClient, shared: &Shared, now_ms: u64) {
    let mut core = lock(&shared.core);
    match done {
        Done::Fetch(ticket, result) => core.complete(*ticket, result, now_ms, client.rng()),
        Done::Metadata(error) => core.metadata_arrived(&client.metadata(), error, now_ms, client.rng()),
        Done::Reset(asked, result) => core.reset_arrived(asked, result, now_ms, client.rng()),
    }
}

fn start_work(plan: Plan, client: &KafkaClient, shared: &Arc<Shared>, work: &mut JoinSet<Done>) {
    for PlannedFetch {
        node,
        request,
        version_max,
        ticket,
    } in plan.fetches
    {
        let client = client.clone();
        // The broker delays the response on purpose (`fetch.max.wait.ms`).
        let timeout = client.config().request_timeout
            + Duration::from_millis(request.max_wait_ms.unsigned_abs().into());
        let call = Call::new(Target::Node(node), request)
            .version_max(version_max)
            .timeout(timeout);
        work.spawn(async move {
            let result = client.call_with::<FetchRequest>(call).await;
            Done::Fetch(Box::new(ticket), result.map(|(response, _)| response))
        });
    }
    if !plan.refresh.is_empty() {
        let client = client.clone();
        let allow_auto_create = lock(&shared.core).allows_auto_create();
        let topics: Vec<KafkaString> = plan.refresh.into_iter().collect();
        work.spawn(async move {
            Done::Metadata(
                client
                    .refresh_metadata(Some(&topics), allow_auto_create)
                    .await
                    .err(),
            )
        });
    }
    if !plan.resets.is_empty() {
        let client = client.clone();
        let isolation_level = lock(&shared.core).isolation_level();
        work.spawn(async move {
            let found = client.list_offsets(&plan.resets, isolation_level).await;
            Done::Reset(plan.resets.into_keys().collect(), found)
        });
    }
}
