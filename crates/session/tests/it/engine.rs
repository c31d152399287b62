//! A session that produces the output of the command line's `--output json`, in one of four execution modes.

use std::sync::Arc;
use std::time::Duration;

use millstream_connectors::PrintTarget;
use millstream_connectors::kafka::KafkaClusters;
use millstream_plan::{Op, Plan};
use millstream_session::{
    JobRegistry, Progress, Session, SessionContext, SessionError, StatementResult, TextRows,
};
use millstream_testkit::slt::cell;
use millstream_types::{ErrorKind, Options, SeededRng, SystemClock};

use crate::interrupted;

/// Timeout for one poll of a query; a query without rows for this long counts as stuck.
const LOOK: Duration = Duration::from_secs(60);

/// How a file is executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// One row per step, which gives Flink's record-by-record changelog.
    Exact,
    /// With the default batch size.
    Batches,
    /// Parallelism 2.
    Parallel,
    /// One row per step, with checkpoints and crashes.
    Interrupted,
}

impl Way {
    fn configuration(self) -> Options {
        let parallelism = if self == Self::Parallel { "2" } else { "1" };
        let mut options = Options::from([
            ("table.dml-sync".to_owned(), "true".to_owned()),
            ("parallelism.default".to_owned(), parallelism.to_owned()),
        ]);
        if matches!(self, Self::Exact | Self::Interrupted) {
            options.insert("millstream.batch.max-rows".to_owned(), "1".to_owned());
        }
        options
    }
}

struct NoPrint;

impl PrintTarget for NoPrint {
    fn print_line(&self, _: &str, _: bool) {}
}

/// Rows with their kinds.
pub type Changes = Vec<(String, Vec<String>)>;

pub struct Engine {
    session: Session,
    way: Way,
}

impl Engine {
    pub fn new(kafka: Arc<dyn KafkaClusters>, way: Way) -> Self {
        let context = SessionContext {
            clock: Arc::new(SystemClock),
            rng: Arc::new(SeededRng::new(1)),
            kafka,
            print: Arc::new(NoPrint),
            jobs: Arc::new(JobRegistry::default()),
            checkpoints: None,
            fresh: false,
            attended: false,
            cores: 1,
            zone_name: "UTC".into(),
        };
        let session = Session::new(context, way.configuration()).unwrap();
        Self { session, way }
    }

    /// Whether queries show their changes, not only the final rows.
    pub fn shows_changes(&self) -> bool {
        let mode = self
            .session
            .configuration()
            .get("sql-client.execution.result-mode");
        mode.is_some_and(|m| !m.eq_ignore_ascii_case("table"))
    }

    pub fn execute(&mut self, sql: &str) -> Result<Changes, SessionError> {
        if self.way == Way::Interrupted
            && let Some(job) = self.session.prepare(sql)?
            && !repeats_rows(&job.request.plan)
        {
            let batches = interrupted::run(&job.request)?;
            let mut changes = Changes::new();
            if let Some(schema) = &job.schema {
                for batch in batches {
                    take(&mut changes, &TextRows::new(schema, batch, &job.zone));
                }
            }
            return Ok(changes);
        }
        self.execute_at_once(sql)
    }

    fn execute_at_once(&mut self, sql: &str) -> Result<Changes, SessionError> {
        let mut changes = Changes::new();
        match self.session.execute(sql)? {
            StatementResult::Done => changes.push(("+I".to_owned(), vec!["OK".to_owned()])),
            StatementResult::Job { .. } | StatementResult::Client(_) => {}
            StatementResult::Table(table) => {
                for row in &table.rows {
                    let values = row.iter().map(|v| cell(v.as_deref())).collect();
                    changes.push(("+I".to_owned(), values));
                }
            }
            StatementResult::Query(mut query) => loop {
                match query.next(LOOK)? {
                    Progress::Rows(rows) => take(&mut changes, &rows),
                    Progress::End => break,
                    Progress::Nothing => {
                        let stuck = "the query gives nothing any more";
                        return Err(SessionError::new(ErrorKind::Internal, stuck));
                    }
                }
            },
        }
        Ok(changes)
    }
}

/// Whether a job writes rows again after a crash: Kafka sinks are at-least-once by default.
fn repeats_rows(plan: &Plan) -> bool {
    plan.nodes.iter().any(|node| match &node.op {
        Op::Sink { table, .. } => {
            let option = |key: &str| table.options.get(key).map_or("", String::as_str);
            option("connector").ends_with("kafka") && option("sink.delivery-guarantee") != "exactly-once"
        }
        _ => false,
    })
}

fn take(changes: &mut Changes, rows: &TextRows) {
    for row in 0..rows.len() {
        let values = rows.values(row).into_iter().map(cell).collect();
        changes.push((rows.kind(row).symbol().to_owned(), values));
    }
}
