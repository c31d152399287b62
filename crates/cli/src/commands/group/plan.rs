//! Group offsets as `reset-offsets --export` prints and `--from-file` reads them: the CSV of `kafka-consumer-groups`,
//! `topic,partition,offset` for one group and `group,topic,partition,offset` for several. Names with a comma, a quote,
//! or leading or trailing spaces are enclosed in double quotes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use millstream_kafka_client::TopicPartition;

pub type Offsets = BTreeMap<TopicPartition, i64>;
/// The new offsets of each group.
pub type Plan = BTreeMap<String, Offsets>;

/// Prints a plan, without the group if there is only one.
pub fn export(out: &mut dyn Write, plan: &Plan, is_single: bool) -> io::Result<()> {
    for (group, offsets) in plan {
        for (partition, offset) in offsets {
            if !is_single {
                write!(out, "{},", field(group))?;
            }
            let topic = field(partition.topic.as_str());
            writeln!(out, "{topic},{},{offset}", partition.partition)?;
        }
    }
    Ok(())
}

fn field(text: &str) -> String {
    let is_plain = !text.contains([',', '"', '\n', '\r']) && text.trim() == text && !text.is_empty();
    if is_plain {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('"', "\"\""))
    }
}

/// Reads a plan; lines without a group are those of `only`.
pub fn import(text: &str, only: Option<&str>) -> anyhow::Result<Plan> {
    let mut plan = Plan::new();
    for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
        let wrong =
            || anyhow::anyhow!("line {number}: '{line}' is not of the form [group,]topic,partition,offset");
        let fields = fields(line).ok_or_else(wrong)?;
        let (group, topic, partition, offset) = match fields.as_slice() {
            [topic, partition, offset] => {
                let group = only.ok_or_else(|| {
                    anyhow::anyhow!(
                        "line {number} does not say of which group it is; write group,topic,partition,offset"
                    )
                })?;
                (group, topic, partition, offset)
            }
            [group, topic, partition, offset] => (group.as_str(), topic, partition, offset),
            _ => return Err(wrong()),
        };
        let partition: i32 = partition.trim().parse().map_err(|_| wrong())?;
        let offset: i64 = offset.trim().parse().map_err(|_| wrong())?;
        let partition = TopicPartition::new(topic.as_str(), partition);
        plan.entry(group.to_owned())
            .or_default()
            .insert(partition, offset);
    }
    Ok(plan)
}

/// The fields of a line; `None` if a quote is unclosed or closes in the middle of a field.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line.trim_end_matches('\r');
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let end = rest.find(',').unwrap_or(rest.len());
            fields.push(rest[..end].to_owned());
            match rest[end..].strip_prefix(',') {
                Some(more) => rest = more,
                None => return Some(fields),
            }
            continue;
        };
        let (field, behind) = unquoted(quoted)?;
        fields.push(field);
        match behind.strip_prefix(',') {
            Some(more) => rest = more,
            None if behind.is_empty() => return Some(fields),
            None => return None,
        }
    }
}

/// The text of a quoted field, given the text after its opening quote, and the rest of the line. A doubled quote stands
/// for one.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let (part, behind) = rest.split_once('"')?;
        field.push_str(part);
        match behind.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, behind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(groups: &[&str]) -> Plan {
        let offsets = Offsets::from([(TopicPartition::new("t", 0), 7), (TopicPartition::new("u", 1), 0)]);
        groups
            .iter()
            .map(|group| ((*group).to_owned(), offsets.clone()))
            .collect()
    }

    fn exported(plan: &Plan, is_single: bool) -> String {
        let mut out = Vec::new();
        export(&mut out, plan, is_single).expect("memory takes everything");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn what_is_exported_can_be_read() {
        let one = plan(&["g"]);
        assert_eq!(exported(&one, true), "t,0,7\nu,1,0\n");
        assert_eq!(import("t,0,7\r\nu,1,0\n\n", Some("g")).expect("a plan"), one);
        let several = plan(&["a,\"b\"", "g", " "]);
        let text = exported(&several, false);
        assert!(text.contains("\"a,\"\"b\"\"\",t,0,7\n"), "{text}");
        assert_eq!(import(&text, None).expect("a plan"), several);
    }

    #[test]
    fn lines_that_say_nothing_clear_are_refused() {
        for wrong in ["t,0", "g,t,0,1,2", "t,zero,1", "t,0,one", "\"t,0,1", "\"t\"u,0,1"] {
            let error = import(wrong, Some("g")).expect_err(wrong).to_string();
            assert!(error.starts_with("line 1"), "{error}");
        }
        assert!(import("t,0,1", None).is_err());
    }
}
