//! The transport to a broker in the same process: typed requests and responses, records by reference.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_broker::{BrokerHandle, Endpoint, Reply as BrokerReply, RequestContext};
use millstream_kafka_client::TransportError;
use millstream_kafka_client::transport::{BoxFuture, Call, Node, NodeVersions, Reply, Target, Transport};
use millstream_kafka_wire::Response;
use millstream_kafka_wire::messages::produce::ProduceResponse;
use tokio::sync::oneshot;

/// The features that the embedded broker has enabled.
const FINALIZED_FEATURES: &[(&str, i16)] = &[("transaction.version", 2), ("group.version", 1)];

/// The name of the embedded broker in error messages.
const ADDRESS: &str = "the embedded broker";

/// A [`Transport`] to a [`BrokerHandle`].
pub struct EmbeddedTransport {
    broker: BrokerHandle,
    context: RequestContext,
    versions: Arc<NodeVersions>,
}

impl EmbeddedTransport {
    /// `endpoint` is the address that the broker reports to clients.
    pub fn new(broker: BrokerHandle, client_id: &str, endpoint: Endpoint) -> Self {
        let features: BTreeMap<String, i16> = FINALIZED_FEATURES
            .iter()
            .map(|(name, level)| ((*name).to_owned(), *level))
            .collect();
        Self {
            broker,
            context: RequestContext::internal(client_id, endpoint),
            versions: Arc::new(NodeVersions::of_this_build(features)),
        }
    }
}

impl Transport for EmbeddedTransport {
    fn call(&self, call: Call) -> BoxFuture<Result<Reply, TransportError>> {
        let api = call.request.api_key();
        let Some(version) = self.versions.choose(api, call.version_min, call.version_max) else {
            let (address, min, max) = (ADDRESS.to_owned(), call.version_min, call.version_max);
            return Box::pin(async move {
                Err(TransportError::UnsupportedApi {
                    api,
                    address,
                    min,
                    max,
                })
            });
        };
        let (done, reply) = oneshot::channel();
        // Sends now, not when the future is polled, so that requests reach the broker in call order.
        let submitted = self
            .broker
            .submit(self.context.clone(), version, call.request, move |reply| {
                _ = done.send(reply)
            });
        Box::pin(async move {
            if submitted.is_err() {
                return Err(stopped());
            }
            match reply.await {
                Ok(BrokerReply::Response(response)) => Ok(Reply {
                    version,
                    response: *response,
                }),
                Ok(BrokerReply::Silent) => Ok(Reply {
                    version,
                    response: Response::from(ProduceResponse::default()),
                }),
                Ok(BrokerReply::Close) | Err(_) => Err(stopped()),
            }
        })
    }

    fn versions(&self, _: Target) -> BoxFuture<Result<Arc<NodeVersions>, TransportError>> {
        let versions = Arc::clone(&self.versions);
        Box::pin(async move { Ok(versions) })
    }

    fn set_nodes(&self, _: &[Node]) {}
}

fn stopped() -> TransportError {
    TransportError::Disconnected {
        address: ADDRESS.to_owned(),
        reason: "it has stopped".to_owned(),
    }
}
