//! Requests that need the disk or much time: fetches of segments, and offsets by time, for which batches are inflated as well.
//! What is fetched from memory is answered by the broker's thread; the rest is done by others, so that a consumer that is far
//! behind does not hold up everybody.
//!
//! Whoever drives the broker asks for this with [`Broker::defer_reads`] and then runs the jobs; otherwise the broker reads
//! segments itself, when it handles the request.

use crate::api::fetch::{self, Fetch, FetchRead};
use crate::api::list_offsets::{self, FoundOffset, Listing, OffsetSearch, Place};
use crate::broker::Broker;
use crate::purgatory::Ticket;
use millstream_kafka_wire::compression::Decompressor;
use millstream_log::{ReadJob, ReadOutcome};
use std::collections::{BTreeMap, VecDeque};

/// The segments that one request needs, or its search by time. Run it on any thread and give the outcome back.
#[derive(Debug)]
pub struct DiskReadJob {
    ticket: Ticket,
    work: Work,
}

#[derive(Debug)]
enum Work {
    /// With the number of the partition in the fetch.
    Fetch(Vec<(usize, ReadJob)>),
    Search(Vec<(Place, OffsetSearch)>),
}

/// What a [`DiskReadJob`] has read.
#[derive(Debug)]
pub struct DiskReadOutcome {
    ticket: Ticket,
    done: Done,
}

#[derive(Debug)]
enum Done {
    Fetch(Vec<(usize, ReadOutcome)>),
    Search(Vec<(Place, OffsetSearch, FoundOffset)>),
}

impl DiskReadJob {
    /// Reads.
    pub fn run(self) -> DiskReadOutcome {
        let done = match self.work {
            Work::Fetch(jobs) => {
                let outcomes = jobs.into_iter().map(|(index, job)| (index, job.run()));
                Done::Fetch(outcomes.collect())
            }
            Work::Search(searches) => {
                let mut decompressor = Decompressor::new();
                let outcomes = searches.into_iter().map(|(place, mut search)| {
                    let found = search.run(&mut decompressor);
                    (place, search, found)
                });
                Done::Search(outcomes.collect())
            }
        };
        DiskReadOutcome {
            ticket: self.ticket,
            done,
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
    listing: BTreeMap<Ticket, Listing>,
    jobs: VecDeque<DiskReadJob>,
}

impl DiskReads {
    pub fn start(&mut self, ticket: Ticket, mut reading: Reading) {
        let jobs = std::mem::take(&mut reading.read.jobs);
        self.reading.insert(ticket, reading);
        let work = Work::Fetch(jobs);
        self.jobs.push_back(DiskReadJob { ticket, work });
    }

    pub fn start_listing(&mut self, ticket: Ticket, listing: Listing, searches: Vec<(Place, OffsetSearch)>) {
        self.listing.insert(ticket, listing);
        let work = Work::Search(searches);
        self.jobs.push_back(DiskReadJob { ticket, work });
    }
}

impl Broker {
    /// From now on segments are read by jobs from [`Broker::take_read`].
    pub fn defer_reads(&mut self) {
        self.disk_reads.is_deferred = true;
    }

    /// Disk work to be run: the segments of a request. Any number may be under way.
    pub fn take_read(&mut self) -> Option<DiskReadJob> {
        self.disk_reads.jobs.pop_front()
    }

    /// Segments have been read: the request is answered, or a fetch waits for more.
    pub fn on_read(&mut self, now_ms: i64, outcome: DiskReadOutcome) {
        let ticket = outcome.ticket;
        match outcome.done {
            Done::Fetch(outcomes) => {
                if let Some(reading) = self.disk_reads.reading.remove(&ticket) {
                    fetch::on_read(self, now_ms, ticket, reading, outcomes);
                }
            }
            Done::Search(outcomes) => {
                if let Some(listing) = self.disk_reads.listing.remove(&ticket) {
                    list_offsets::on_searched(self, ticket, listing, outcomes);
                }
            }
        }
    }
}
