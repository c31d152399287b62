//! DescribeCluster: one broker, which is the controller too.

use crate::api::metadata::cluster_operations;
use crate::broker::Broker;
use crate::context::RequestContext;
use crate::purgatory::Outcome;
use crate::security::OPERATIONS_NOT_ASKED;
use millstream_kafka_wire::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;
const WANTED_A_CONTROLLER: &str =
    "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";

pub(crate) fn describe(
    broker: &Broker,
    context: &RequestContext,
    request: &DescribeClusterRequest,
) -> Outcome {
    let node_id = broker.node_id();
    if request.endpoint_type != BROKERS {
        let (error_code, message) = match request.endpoint_type {
            CONTROLLERS => (
                ErrorCode::MISMATCHED_ENDPOINT_TYPE,
                WANTED_A_CONTROLLER.to_owned(),
            ),
            other => (
                ErrorCode::UNSUPPORTED_ENDPOINT_TYPE,
                format!("Unsupported endpoint type {other}"),
            ),
        };
        return Outcome::now(DescribeClusterResponse {
            error_code,
            error_message: Some(KafkaString::from(message)),
            endpoint_type: BROKERS,
            cluster_authorized_operations: OPERATIONS_NOT_ASKED,
            ..Default::default()
        });
    }
    Outcome::now(DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: broker.cluster_id.clone(),
        controller_id: node_id,
        brokers: vec![DescribeClusterBroker {
            broker_id: node_id,
            host: context.endpoint.host.clone(),
            port: context.endpoint.port,
            rack: broker.configs.text("broker.rack").map(KafkaString::from),
            is_fenced: false,
        }],
        cluster_authorized_operations: cluster_operations(
            broker,
            request.include_cluster_authorized_operations,
        ),
        ..Default::default()
    })
}
