//! `millstream topic produce`: each line of standard input as a record.

use std::io::{BufRead, stdin};

use millstream_kafka_client::{ProduceRecord, Producer};
use millstream_kafka_wire::KafkaString;

use super::Connected;
use crate::args::Common;
use crate::process::Process;

/// Sends lines until the end of standard input, and waits until all are written.
pub fn run(
    process: &Process,
    common: &Common,
    connected: &Connected,
    name: &str,
    separator: Option<&str>,
    partition: Option<i32>,
) -> anyhow::Result<()> {
    if separator == Some("") {
        anyhow::bail!("--key-separator must not be empty");
    }
    let topic = KafkaString::from(name);
    process.runtime.block_on(async {
        let producer = Producer::start(connected.client.clone(), connected.config.produce.clone());
        let mut sent = 0u64;
        for line in stdin().lock().split(b'\n') {
            let mut line = line?;
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            let (key, value) = match separator {
                None => (None, line.as_slice()),
                Some(separator) => split(&line, separator.as_bytes(), sent + 1)?,
            };
            let timestamp = process.clock.now_ms();
            let record = ProduceRecord {
                topic: &topic,
                partition,
                timestamp,
                key,
                value: Some(value),
                headers: &[],
            };
            producer.append(&record).await?;
            sent += 1;
        }
        producer.flush().await?;
        if !common.quiet {
            eprintln!(
                "{sent} record{} written to {name}",
                if sent == 1 { "" } else { "s" }
            );
        }
        Ok(())
    })
}

fn split<'a>(line: &'a [u8], separator: &[u8], number: u64) -> anyhow::Result<(Option<&'a [u8]>, &'a [u8])> {
    let at = line
        .windows(separator.len())
        .position(|window| window == separator)
        .ok_or_else(|| {
            anyhow::anyhow!(
                "line {number} has no key separator '{}'",
                String::from_utf8_lossy(separator)
            )
        })?;
    Ok((Some(&line[..at]), &line[at + separator.len()..]))
}
