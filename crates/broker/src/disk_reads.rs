//! Requests that need the disk or much CPU time: fetches from segments, and searches for offsets by time, which
//! decompress batches. Fetches from memory complete on the broker's thread; the rest runs in jobs, so that a lagging
//! consumer does not delay all other clients.
//!
//! The host enables this with [`Broker::defer_reads`] and runs the jobs. Without it, the broker reads segments inline.

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

/// The result of a [`DiskReadJob`].
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

    /// Reads of segments for a request, to be run as a job. Any number may be in flight.
    pub fn take_read(&mut self) -> Option<DiskReadJob> {
        self.disk_reads.jobs.pop_front()
    }

    /// Handles a finished read: completes the request, or parks the fetch for more records.
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
