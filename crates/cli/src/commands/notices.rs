//! What keeps a running job waiting, said once in words: a Kafka that does not respond, a partition without records that
//! holds the watermark back.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_session::JobHandle;

/// The notices of one job.
#[derive(Default)]
pub struct Notices {
    /// Those of now by what they are about, with the time at which each came up.
    current: BTreeMap<String, (String, Duration)>,
    now: Duration,
}

/// A notice: what it is about, and its text.
type Notice = (String, String);

impl Notices {
    /// Looks at a job at a time since the start; returns what is new, and what is over.
    pub fn look(&mut self, job: &JobHandle, now: Duration) -> Vec<String> {
        self.take(found(job), now)
    }

    fn take(&mut self, found: Vec<Notice>, now: Duration) -> Vec<String> {
        self.now = now;
        let mut news = Vec::new();
        let mut current = BTreeMap::new();
        for (about, text) in found {
            let since = match self.current.remove(&about) {
                Some((_, since)) => since,
                None => {
                    news.push(text.clone());
                    now
                }
            };
            current.insert(about, (text, since));
        }
        let over = std::mem::replace(&mut self.current, current);
        news.extend(over.into_values().map(|(text, since)| {
            let seconds = now.saturating_sub(since).as_secs();
            format!("no longer after {seconds} s: {text}")
        }));
        news
    }

    /// The notices that hold now, with how long they have.
    pub fn now(&self) -> impl Iterator<Item = String> {
        self.current.values().map(|(text, since)| {
            let seconds = self.now.saturating_sub(*since).as_secs();
            format!("{text} … {seconds} s")
        })
    }
}

/// What the sources of a job report.
fn found(job: &JobHandle) -> Vec<Notice> {
    let metrics = job.metrics();
    let vertices = job.vertices();
    let sources = (0..vertices.len()).filter(|vertex| vertices[*vertex].inputs.is_empty());
    let notices = sources.flat_map(|vertex| metrics.notices(vertex));
    notices
        .map(|notice| (notice.subject().to_owned(), notice.to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_said_once_and_again_when_it_is_over() {
        let mut notices = Notices::default();
        let reason = "no Kafka broker can be reached at 127.0.0.1:9092".to_owned();
        let waiting = || vec![(reason.clone(), reason.clone())];
        let second = Duration::from_secs;
        assert_eq!(
            notices.take(waiting(), second(1)),
            ["no Kafka broker can be reached at 127.0.0.1:9092"]
        );
        assert!(notices.take(waiting(), second(9)).is_empty());
        assert_eq!(
            notices.now().collect::<Vec<_>>(),
            ["no Kafka broker can be reached at 127.0.0.1:9092 … 8 s"]
        );
        assert_eq!(
            notices.take(Vec::new(), second(13)),
            ["no longer after 12 s: no Kafka broker can be reached at 127.0.0.1:9092"]
        );
    }
}
