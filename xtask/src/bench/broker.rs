//! The broker as a process, beside a real Kafka: throughput by several clients, latency from end to end, starting, and
//! being idle.
//!
//! The broker here acknowledges `acks=all` after the disk has the records, Kafka before; how long the disk takes is measured,
//! too, as no latency here can be below it. Both have a whole process to themselves, whose CPU time and memory count.

mod clients;
mod disk;
mod engine;
mod latency;
mod starts;
mod throughput;

use super::Options;
use super::report::Report;
use engine::{Engine, Here, Real};

/// Starting, being idle, producing and fetching.
pub fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let mut engines = engines(options)?;
    disk::run(&options.millstream, report)?;
    starts::run(&mut engines, report)?;
    throughput::run(options, &mut engines, report)
}

/// From end to end at a steady rate.
pub fn latency(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    latency::run(&mut engines(options)?, report)
}

fn engines(options: &Options) -> anyhow::Result<Vec<Box<dyn Engine>>> {
    let mut engines: Vec<Box<dyn Engine>> = vec![Box::new(Here::new(&options.millstream)?)];
    if let Some(directory) = &options.flink {
        engines.push(Box::new(Real::new(directory)?));
    }
    Ok(engines)
}
