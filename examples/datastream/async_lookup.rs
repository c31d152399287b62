//! Enrichment by asynchronous calls: the customer's name for each order, from a service that takes its time.
//!
//!     echo '{"order":1,"customer":7}' | millstream topic produce input
//!     cargo run -p millstream --example async_lookup
//!     millstream topic tail output --from-beginning
//!
//! The service is a function of this program that waits; a database driver or an HTTP client stands in its place. Calls do
//! not wait for each other, names come in the order of the orders, and a call that fails is made again.

use millstream::prelude::*;
use serde::{Deserialize, Serialize};

/// Orders in flight at a time, in each instance.
const CAPACITY: usize = 100;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub order: u64,
    pub customer: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedOrder {
    pub order: u64,
    pub name: Option<String>,
}

/// Asks the service.
async fn name_of(customer: u64) -> Result<Option<String>> {
    tokio::time::sleep(Duration::from_millis(customer % 10)).await;
    Ok(match customer {
        0 => None,
        known => Some(format!("customer {known}")),
    })
}

pub fn named(orders: &DataStream<Order>) -> DataStream<NamedOrder> {
    let lookup = |order: Order| async move {
        let name = name_of(order.customer).await?;
        let order = order.order;
        Ok(Some(NamedOrder { order, name }))
    };
    let retry = AsyncRetryStrategy::fixed_delay(3, Duration::from_millis(100)).if_error(|_| true);
    AsyncDataStream::ordered_wait_with_retry(orders, lookup, Duration::from_secs(5), CAPACITY, retry)
        .name("name-lookup")
}

#[allow(dead_code)]
fn main() -> Result<()> {
    let env = StreamExecutionEnvironment::from_args()?;
    let source = KafkaSource::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .topics(["input"])
        .group_id("async-lookup")
        .value_only(JsonSchema::<Order>::new())
        .build()?;
    let sink = KafkaSink::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .delivery_guarantee(DeliveryGuarantee::ExactlyOnce)
        .record_serializer(Record::to("output").value(JsonSchema::<NamedOrder>::new()))
        .build()?;
    let orders = env.from_source(source, WatermarkStrategy::no_watermarks(), "orders");
    named(&orders).sink_to(sink);
    env.execute("async lookup")?;
    Ok(())
}
