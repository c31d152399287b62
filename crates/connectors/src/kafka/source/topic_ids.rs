//! Notices topics that were deleted and created again.
//!
//! A position says nothing about another topic of the same name: its records would be skipped, or read in part. So a
//! checkpoint keeps the id of each topic beside the positions. Checkpoints of earlier releases, and brokers before Kafka
//! 2.8, have none: then nothing is compared.

use std::collections::BTreeMap;

use millstream_dataflow::DataflowError;
use millstream_types::ErrorKind;

use crate::kafka::splits::Split;

/// Ids of topics by name.
pub(crate) type TopicIds = BTreeMap<String, String>;

/// Fails if a split that was read is of a topic with another id.
pub(super) fn check(known: &[Split], now: &TopicIds) -> Result<(), DataflowError> {
    for split in known {
        let (Some(was), Some(is)) = (&split.topic_id, now.get(&split.topic)) else {
            continue;
        };
        if was != is {
            let message = format!(
                "topic '{topic}' was deleted and created again: its id was '{was}' and is '{is}', so that the job's position {} \
                 in partition {} belongs to records that are gone; use --fresh to read the new topic from its start, or read \
                 another topic",
                split.position,
                split.partition,
                topic = split.topic,
            );
            return Err(DataflowError::new(ErrorKind::Input, message));
        }
    }
    Ok(())
}

/// Notes the ids of the splits' topics.
pub(super) fn note(splits: &mut [Split], now: &TopicIds) {
    for split in splits {
        if let Some(id) = now.get(&split.topic) {
            split.topic_id = Some(id.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_was_created_again_is_noticed() {
        let ids = |id: &str| TopicIds::from([("orders".to_owned(), id.to_owned())]);
        // As releases without ids wrote it.
        let old = r#"{"topic":"orders","partition":2,"position":7,"stop":null,"watermark":0}"#;
        let mut splits: Vec<Split> = vec![serde_json::from_str(old).expect("a split without an id")];
        assert_eq!(serde_json::to_string(&splits[0]).expect("JSON"), old);
        check(&splits, &ids("a")).expect("the id was not known");
        note(&mut splits, &ids("a"));
        check(&splits, &ids("a")).expect("the same topic");
        check(&splits, &TopicIds::new()).expect("the broker has no ids");
        let error = check(&splits, &ids("b")).expect_err("another topic");
        assert_eq!(error.kind, ErrorKind::Input);
        assert!(
            error
                .message
                .contains("its id was 'a' and is 'b', so that the job's position 7 in partition 2"),
            "{error}"
        );
    }
}
