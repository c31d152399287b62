//! Enrichment by broadcast rules: payments are marked by limits that another topic changes while the job runs.
//!
//!     echo '{"country":"NL","limit":100.0}' | millstream topic produce rules
//!     echo '{"country":"NL","amount":250.0}' | millstream topic produce input
//!     cargo run -p millstream --example broadcast_rules
//!     millstream topic tail output --from-beginning

use std::collections::BTreeMap;

use millstream::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Payment {
    pub country: String,
    pub amount: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    pub country: String,
    pub limit: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    pub country: String,
    pub amount: f64,
    pub above_limit: bool,
}

#[derive(Clone)]
pub struct CheckLimit;

impl KeyedBroadcastProcessFunction<String, Payment, Rule, String, f64, Checked> for CheckLimit {
    fn process_element(
        &mut self,
        payment: Payment,
        ctx: &mut ReadOnlyContext<'_, String, String, f64>,
        out: &mut Collector<Checked>,
    ) -> Result<()> {
        let limit = ctx.broadcast_state().get(&payment.country);
        let above_limit = limit.is_some_and(|limit| payment.amount > *limit);
        out.collect(Checked {
            country: payment.country,
            amount: payment.amount,
            above_limit,
        });
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        rule: Rule,
        limits: &mut BTreeMap<String, f64>,
        _: &mut Context<'_>,
        _: &mut Collector<Checked>,
    ) -> Result<()> {
        limits.insert(rule.country, rule.limit);
        Ok(())
    }
}

pub fn checked(payments: DataStream<Payment>, rules: DataStream<Rule>) -> DataStream<Checked> {
    payments
        .key_by_ref(|payment| &payment.country)
        .connect_broadcast(&rules.broadcast_state())
        .process(CheckLimit)
}

#[allow(dead_code)]
fn main() -> Result<()> {
    let env = StreamExecutionEnvironment::from_args()?;
    let payments = KafkaSource::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .topics(["input"])
        .group_id("payments")
        .value_only(JsonSchema::<Payment>::new())
        .build()?;
    let rules = KafkaSource::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .topics(["rules"])
        .group_id("payments")
        .value_only(JsonSchema::<Rule>::new())
        .build()?;
    let sink = KafkaSink::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .delivery_guarantee(DeliveryGuarantee::AtLeastOnce)
        .record_serializer(Record::to("output").value(JsonSchema::<Checked>::new()))
        .build()?;
    let payments = env.from_source(payments, WatermarkStrategy::no_watermarks(), "payments");
    let rules = env.from_source(rules, WatermarkStrategy::no_watermarks(), "rules");
    checked(payments, rules).sink_to(sink);
    env.execute("payments")?;
    Ok(())
}
