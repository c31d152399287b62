//! The result of an operation, read page by page.
//!
//! A token names a page. Fetching the current token moves on, fetching the previous one repeats the page, so that a
//! client whose response was lost can ask again. At most one page is kept; what the client has not fetched stays in the
//! query's own bounded queue, which holds the query back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use millstream_session::{Polled, QueryResult, ResultRows};
use millstream_types::Schema;
use tokio::sync::Mutex;

use super::error::OperationError;
use crate::limits::RESULT_PAGE_ROWS_MAX;

/// Flink's kinds of results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResultKind {
    Success,
    SuccessWithContent,
}

impl ResultKind {
    /// As REST names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::SuccessWithContent => "SUCCESS_WITH_CONTENT",
        }
    }
}

/// Rows of one page.
#[derive(Clone, Debug)]
pub enum Page {
    /// Rows that are only texts: SHOW, DESCRIBE, EXPLAIN.
    Texts(Arc<[Vec<Option<String>>]>),
    Rows(Arc<[ResultRows]>),
}

impl Page {
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Texts(rows) => rows.is_empty(),
            Self::Rows(parts) => parts.iter().all(ResultRows::is_empty),
        }
    }
}

/// What a token gave.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// A page, possibly empty when no row came in time, and the token of the next one.
    Page { page: Page, next_token: u64 },
    /// There are no more rows.
    End,
}

/// A result that is ready to be read.
pub struct Results {
    pub schema: Schema,
    pub kind: ResultKind,
    /// Whether the statement was a query.
    pub is_query: bool,
    /// Whether rows carry kinds worth showing.
    pub is_changelog: bool,
    /// The job that the statement started.
    pub job_id: Option<String>,
    fetcher: Mutex<Fetcher>,
}

struct Fetcher {
    source: Source,
    token: u64,
    previous: Page,
    ended: bool,
}

enum Source {
    Texts(VecDeque<Vec<Option<String>>>),
    Query {
        query: Box<QueryResult>,
        /// Rows that did not fit into the last page.
        left: Option<ResultRows>,
        ended: bool,
    },
}

impl Results {
    /// A small table that is complete.
    pub fn texts(
        schema: Schema,
        kind: ResultKind,
        rows: Vec<Vec<Option<String>>>,
        job_id: Option<String>,
    ) -> Self {
        Self {
            schema,
            kind,
            is_query: false,
            is_changelog: false,
            job_id,
            fetcher: Mutex::new(Fetcher::new(Source::Texts(rows.into()))),
        }
    }

    /// A running query.
    pub fn query(query: QueryResult) -> Self {
        Self {
            schema: query.schema.clone(),
            kind: ResultKind::SuccessWithContent,
            is_query: true,
            is_changelog: query.is_changelog,
            job_id: Some(query.job_id().to_string()),
            fetcher: Mutex::new(Fetcher::new(Source::Query {
                query: Box::new(query),
                left: None,
                ended: false,
            })),
        }
    }

    /// The page of a token. Waits at most `patience` for the first row of a new page.
    pub async fn fetch(&self, token: i64, patience: Duration) -> Result<Fetched, OperationError> {
        let mut fetcher = self.fetcher.lock().await;
        let current = fetcher.token;
        if u64::try_from(token) == Ok(current) {
            return fetcher.advance(patience).await;
        }
        if current > 0 && u64::try_from(token) == Ok(current - 1) {
            return Ok(Fetched::Page {
                page: fetcher.previous.clone(),
                next_token: current,
            });
        }
        Err(OperationError::token(current, token))
    }
}

impl Fetcher {
    fn new(source: Source) -> Self {
        Self {
            source,
            token: 0,
            previous: Page::Texts(Arc::new([])),
            ended: false,
        }
    }

    async fn advance(&mut self, patience: Duration) -> Result<Fetched, OperationError> {
        if self.ended {
            return Ok(Fetched::End);
        }
        let page = match &mut self.source {
            Source::Texts(rows) if rows.is_empty() => None,
            Source::Texts(rows) => {
                let count = rows.len().min(RESULT_PAGE_ROWS_MAX);
                Some(Page::Texts(rows.drain(..count).collect()))
            }
            Source::Query { query, left, ended } => query_page(query, left, ended, patience).await?,
        };
        let Some(page) = page else {
            self.ended = true;
            return Ok(Fetched::End);
        };
        self.token += 1;
        self.previous = page.clone();
        Ok(Fetched::Page {
            page,
            next_token: self.token,
        })
    }
}

/// The next rows of a query; `None` at its end. Waits only for the first of them.
async fn query_page(
    query: &mut QueryResult,
    left: &mut Option<ResultRows>,
    ended: &mut bool,
    patience: Duration,
) -> Result<Option<Page>, OperationError> {
    let mut parts = Vec::new();
    let mut room = RESULT_PAGE_ROWS_MAX;
    let first = match left.take() {
        Some(rows) => Some(Polled::Rows(rows)),
        None if *ended => Some(Polled::End),
        // Nothing is lost if the client goes away meanwhile: rows leave the queue only when they are returned.
        None => tokio::time::timeout(patience, std::future::poll_fn(|context| query.poll_rows(context)))
            .await
            .ok(),
    };
    let mut next = first;
    while let Some(polled) = next.take() {
        match polled {
            Polled::Rows(rows) => {
                let (taken, rest) = rows.split_at(room);
                room -= taken.len();
                parts.push(taken);
                if !rest.is_empty() {
                    *left = Some(rest);
                }
            }
            Polled::End => *ended = true,
            // Rows before the failure are lost to the client, as with Flink.
            Polled::Failed(error) => return Err(error.into()),
        }
        if room > 0 && !*ended {
            next = query.take_rows();
        }
    }
    if parts.is_empty() && *ended {
        return Ok(None);
    }
    Ok(Some(Page::Rows(parts.into())))
}
