//! Fraud detection with state and timers: a small payment, and a large one on the same account within a minute.
//!
//!     printf '{"account":1,"amount":0.5,"ts":0}\n{"account":1,"amount":900.0,"ts":30000}\n' | millstream topic produce input
//!     cargo run -p millstream --example fraud_detection
//!     millstream topic tail output --from-beginning
//!
//! It is the walkthrough of Flink's documentation, by event time so that it gives the same for the same input.

use millstream::prelude::*;
use serde::{Deserialize, Serialize};

const SMALL_AMOUNT: f64 = 1.00;
const LARGE_AMOUNT: f64 = 500.00;
const ONE_MINUTE_MS: i64 = 60 * 1000;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Transaction {
    pub account: u64,
    pub amount: f64,
    /// Milliseconds since the epoch.
    pub ts: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alert {
    pub account: u64,
    pub ts: i64,
}

/// Remembers that the last transaction of an account was small, for a minute.
#[derive(Clone, Default)]
pub struct FraudDetector {
    flag: ValueState<bool>,
    timer: ValueState<i64>,
}

impl KeyedProcessFunction<u64, Transaction, Alert> for FraudDetector {
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        self.flag = ctx.value_state("flag")?;
        self.timer = ctx.value_state("timer-state")?;
        Ok(())
    }

    fn process_element(
        &mut self,
        transaction: Transaction,
        ctx: &mut KeyedContext<'_, u64>,
        out: &mut Collector<Alert>,
    ) -> Result<()> {
        if self.flag.value(ctx).is_some() {
            if transaction.amount > LARGE_AMOUNT {
                out.collect(Alert {
                    account: transaction.account,
                    ts: transaction.ts,
                });
            }
            if let Some(timer) = self.timer.clear(ctx) {
                ctx.delete_event_time_timer(timer);
            }
            self.flag.clear(ctx);
        }
        if transaction.amount < SMALL_AMOUNT {
            self.flag.update(ctx, true);
            let timer = transaction.ts + ONE_MINUTE_MS;
            ctx.register_event_time_timer(timer);
            self.timer.update(ctx, timer);
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        ctx: &mut OnTimerContext<'_, u64>,
        _: &mut Collector<Alert>,
    ) -> Result<()> {
        self.timer.clear(ctx);
        self.flag.clear(ctx);
        Ok(())
    }
}

pub fn watermarks() -> WatermarkStrategy<Transaction> {
    WatermarkStrategy::for_monotonous_timestamps()
        .with_timestamp_assigner(|transaction: &Transaction, _| transaction.ts)
}

pub fn alerts(transactions: DataStream<Transaction>) -> DataStream<Alert> {
    transactions
        .key_by(|transaction| transaction.account)
        .process(FraudDetector::default())
        .name("fraud-detector")
}

#[allow(dead_code)]
fn main() -> Result<()> {
    let env = StreamExecutionEnvironment::from_args()?;
    let source = KafkaSource::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .topics(["input"])
        .group_id("fraud-detection")
        .value_only(JsonSchema::<Transaction>::new())
        .build()?;
    let sink = KafkaSink::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .delivery_guarantee(DeliveryGuarantee::ExactlyOnce)
        .record_serializer(Record::to("output").value(JsonSchema::<Alert>::new()))
        .build()?;
    alerts(env.from_source(source, watermarks(), "transactions")).sink_to(sink);
    env.execute("fraud detection")?;
    Ok(())
}
