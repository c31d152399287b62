//! `millstream topic produce`: each line of standard input as a record.

use std::io::{BufRead, stdin};

use millstream_kafka_client::error::with_causes;
use millstream_kafka_client::{ProduceRecord, Producer};
use millstream_kafka_wire::KafkaString;
use millstream_kafka_wire::record_batch::Header;

use crate::args::{Common, ProduceArgs};
use crate::commands::connect::{Connected, say};
use crate::exit::chain;
use crate::process::Process;

/// Produces lines until the end of standard input and waits for acknowledgements. An invalid line stops reading; the
/// records before it are written.
pub fn run(
    process: &Process,
    common: &Common,
    connected: &Connected,
    args: &ProduceArgs,
) -> anyhow::Result<()> {
    for (option, text) in [
        ("--key-separator", &args.key_separator),
        ("--headers-separator", &args.headers_separator),
    ] {
        anyhow::ensure!(text.as_deref() != Some(""), "{option} must not be empty");
    }
    process.runtime.block_on(async {
        let producer = Producer::start(connected.client.clone(), connected.config.produce.clone());
        let mut sent = 0u64;
        let read = send_lines(process, &producer, args, &mut sent).await;
        // Flushes what precedes an invalid line, too.
        producer.flush().await.map_err(|error| match &read {
            Ok(()) => anyhow::Error::from(error),
            Err(wrong) => anyhow::anyhow!(
                "{}; not all of the lines before were written: {}",
                chain(wrong),
                with_causes(&error)
            ),
        })?;
        if read.is_ok() || sent > 0 {
            let records = if sent == 1 { "record" } else { "records" };
            say(common, &format!("{sent} {records} written to {}", args.name));
        }
        read
    })
}

/// Produces lines until the end of standard input or an invalid line. Returns the count.
async fn send_lines(
    process: &Process,
    producer: &Producer,
    args: &ProduceArgs,
    sent: &mut u64,
) -> anyhow::Result<()> {
    let topic = KafkaString::from(args.name.as_str());
    for line in stdin().lock().split(b'\n') {
        let mut line = line?;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let parsed = Line::parse(&line, args, *sent + 1)?;
        let record = ProduceRecord {
            topic: &topic,
            partition: args.partition,
            timestamp: process.clock.now_ms(),
            key: parsed.key,
            value: parsed.value,
            headers: &parsed.headers,
        };
        producer.append(&record).await?;
        *sent += 1;
    }
    Ok(())
}

/// A parsed line.
struct Line<'a> {
    headers: Vec<Header<'a>>,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a [u8], args: &ProduceArgs, number: u64) -> anyhow::Result<Self> {
        let (headers, rest) = match &args.headers_separator {
            None => (Vec::new(), line),
            Some(separator) => {
                let (headers, rest) = split(line, separator, number, "headers separator")?;
                (parse_headers(headers, number)?, rest)
            }
        };
        let (key, value) = match &args.key_separator {
            None => (None, rest),
            Some(separator) => {
                let (key, value) = split(rest, separator, number, "key separator")?;
                (Some(key), value)
            }
        };
        let marker = args.null_marker.as_deref().map(str::as_bytes);
        let unless_null = |text: &&[u8]| marker != Some(*text);
        Ok(Self {
            headers,
            key: key.filter(unless_null),
            value: Some(value).filter(unless_null),
        })
    }
}

/// `name:value,name:value`
fn parse_headers(text: &[u8], number: u64) -> anyhow::Result<Vec<Header<'_>>> {
    let header = |part: &'_ [u8]| -> anyhow::Result<(usize, usize)> {
        let colon = part.iter().position(|byte| *byte == b':');
        let colon =
            colon.ok_or_else(|| anyhow::anyhow!("line {number} has a header that is not name:value"))?;
        Ok((colon, colon + 1))
    };
    let parts = text.split(|byte| *byte == b',').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (end, start) = header(part)?;
            let key = std::str::from_utf8(&part[..end])
                .map_err(|_| anyhow::anyhow!("line {number} has a header whose name is not UTF-8"))?;
            Ok(Header {
                key,
                value: Some(&part[start..]),
            })
        })
        .collect()
}

fn split<'a>(
    line: &'a [u8],
    separator: &str,
    number: u64,
    kind: &str,
) -> anyhow::Result<(&'a [u8], &'a [u8])> {
    let at = line
        .windows(separator.len())
        .position(|window| window == separator.as_bytes())
        .ok_or_else(|| anyhow::anyhow!("line {number} has no {kind} '{separator}'"))?;
    Ok((&line[..at], &line[at + separator.len()..]))
}
