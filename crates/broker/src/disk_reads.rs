//! Fetches that need the disk. What is in memory is answered by the broker's thread; segments are read by others, so that a
//! consumer that is far behind does not hold up the rest.
//!
//! Whoever drives the broker asks for this with [`Broker::defer_reads`] and then runs the jobs; otherwise the broker reads
//! segments itself, when it handles the request.

use crate::api::fetch::{self, Fetch, FetchRead};
use crate::broker::Broker;
use crate::waits::Ticket;
use millstream_log::{ReadJob, ReadOutcome};
use std::collections::{BTreeMap, VecDeque};

/// The segments that one fetch needs. Run it on any thread and give the outcome back.
#[derive(Debug)]
pub struct FetchReadJob {
    ticket: Ticket,
    /// With the number of the partition in the fetch.
    jobs: Vec<(usize, ReadJob)>,
}

/// What a [`FetchReadJob`] has read.
#[derive(Debug)]
pub struct FetchReadOutcome {
    ticket: Ticket,
    outcomes: Vec<(usize, ReadOutcome)>,
}

impl FetchReadJob {
    /// Reads.
    pub fn run(self) -> FetchReadOutcome {
        let outcomes = self.jobs.into_iter().map(|(index, job)| (index, job.run()));
        FetchReadOutcome {
            ticket: self.ticket,
            outcomes: outcomes.collect(),
        }
    }
}

/// A fetch whose segments are being read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub fetch: Fetch,
    pub read: FetchRead,
    /// Until then it may wait if there is too little.
    pub deadline_ms: i64,
}

#[derive(Debug, Default)]
pub(crate) struct DiskReads {
    pub is_deferred: bool,
    reading: BTreeMap<Ticket, Reading>,
    jobs: VecDeque<FetchReadJob>,
}

impl DiskReads {
    pub fn start(&mut self, ticket: Ticket, mut reading: Reading) {
        let jobs = std::mem::take(&mut reading.read.jobs);
        self.reading.insert(ticket, reading);
        self.jobs.push_back(FetchReadJob { ticket, jobs });
    }
}

impl Broker {
    /// From now on segments are read by jobs from [`Broker::take_read`].
    pub fn defer_reads(&mut self) {
        self.disk_reads.is_deferred = true;
    }

    /// Disk work to be run: the segments of a fetch. Any number may be under way.
    pub fn take_read(&mut self) -> Option<FetchReadJob> {
        self.disk_reads.jobs.pop_front()
    }

    /// Segments have been read: the fetch is answered, or waits for more.
    pub fn on_read(&mut self, now_ms: i64, outcome: FetchReadOutcome) {
        let Some(reading) = self.disk_reads.reading.remove(&outcome.ticket) else {
            return;
        };
        fetch::on_read(self, now_ms, outcome.ticket, reading, outcome.outcomes);
    }
}
