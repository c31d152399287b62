//! COMPILE PLAN and EXECUTE PLAN: a planned INSERT stored in a file.
//!
//! The file is JSON in a format of our own: a version, the plan as the engine runs it, and the names of the sinks. The
//! plan embeds the tables with their options, so EXECUTE PLAN does not read the catalog. A file of another version is
//! rejected.

use std::path::Path;

use millstream_connectors::filesystem::local_path;
use millstream_plan::Plan;
use millstream_sql::bind::statement::{BoundStatement, InsertPlan};
use millstream_sql::parse::ast::{PlanStatement, Statement};
use millstream_types::ErrorKind;
use serde_json::{Value, json};

use crate::session::Session;
use crate::{SessionError, StatementResult};

/// Increases with every incompatible change of the file format.
const VERSION: u64 = 1;
const FORMAT: &str = "millstream-compiled-plan";
/// The setting that allows COMPILE PLAN to overwrite a file.
const FORCE_RECOMPILE: &str = "table.plan.force-recompile";

/// What COMPILE PLAN does if the file exists.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Refuse,
    Keep,
    Replace,
}

impl Session {
    /// COMPILE PLAN, EXECUTE PLAN, and both at once.
    pub(crate) fn plan_statement(
        &mut self,
        statement: &PlanStatement,
        sql: &str,
    ) -> Result<StatementResult, SessionError> {
        let (PlanStatement::Compile { path, .. }
        | PlanStatement::Execute { path }
        | PlanStatement::CompileAndExecute { path, .. }) = statement;
        self.files.check("plan file", &path.value)?;
        match statement {
            PlanStatement::Compile {
                path,
                if_not_exists,
                statement,
            } => {
                let existing = self.existing(*if_not_exists);
                write(&path.value, &self.planned(statement, sql)?, existing)?;
                Ok(StatementResult::Done)
            }
            PlanStatement::Execute { path } => self.run_insert(read(&path.value)?, &[sql]),
            PlanStatement::CompileAndExecute { path, statement } => {
                let insert = self.planned(statement, sql)?;
                write(&path.value, &insert, self.existing(false))?;
                self.run_insert(insert, &[sql])
            }
        }
    }

    fn existing(&self, if_not_exists: bool) -> Existing {
        let forced = self.configuration().get(FORCE_RECOMPILE);
        if if_not_exists {
            Existing::Keep
        } else if forced.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            Existing::Replace
        } else {
            Existing::Refuse
        }
    }

    fn planned(&mut self, statement: &Statement, sql: &str) -> Result<InsertPlan, SessionError> {
        match self.bind(statement, sql)? {
            BoundStatement::Insert(insert) => Ok(insert),
            _ => Err(SessionError::input(
                "COMPILE PLAN takes an INSERT or a STATEMENT SET",
            )),
        }
    }
}

fn write(uri: &str, insert: &InsertPlan, existing: Existing) -> Result<(), SessionError> {
    let path = local_path(uri).map_err(|error| SessionError::input(error.to_string()))?;
    if Path::new(path).exists() {
        match existing {
            Existing::Keep => return Ok(()),
            Existing::Replace => {}
            Existing::Refuse => {
                return Err(SessionError::input(format!(
                    "cannot overwrite the plan file '{path}': remove it, or SET '{FORCE_RECOMPILE}' = 'true'"
                )));
            }
        }
    }
    let failed = |reason: String| {
        SessionError::new(
            ErrorKind::Environment,
            format!("cannot write the plan file '{path}': {reason}"),
        )
    };
    let plan = serde_json::to_value(&insert.plan).map_err(|e| failed(e.to_string()))?;
    let document = json!({
        "format": FORMAT,
        "version": VERSION,
        "sinks": insert.sinks,
        "bounded": insert.bounded,
        "plan": plan,
    });
    let text = serde_json::to_string_pretty(&document).map_err(|e| failed(e.to_string()))?;
    std::fs::write(path, text).map_err(|e| failed(e.to_string()))
}

fn read(uri: &str) -> Result<InsertPlan, SessionError> {
    let path = local_path(uri).map_err(|error| SessionError::input(error.to_string()))?;
    let text = std::fs::read_to_string(path).map_err(|e| {
        SessionError::new(
            ErrorKind::Environment,
            format!("cannot read the plan file '{path}': {e}"),
        )
    })?;
    let invalid = |reason: String| SessionError::input(format!("plan file '{path}': {reason}"));
    let document: Value = serde_json::from_str(&text).map_err(|e| invalid(e.to_string()))?;
    if document["format"] != FORMAT {
        return Err(invalid(
            "this is not a plan of COMPILE PLAN; plans of Flink cannot be executed".to_owned(),
        ));
    }
    if document["version"] != VERSION {
        return Err(invalid(format!(
            "version {} is not supported, only {VERSION}; compile the statement again",
            document["version"]
        )));
    }
    let plan: Plan = serde_json::from_value(document["plan"].clone()).map_err(|e| invalid(e.to_string()))?;
    let sinks = document["sinks"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(InsertPlan {
        plan,
        sinks: sinks
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        bounded: document["bounded"].as_bool().unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may stop at the first surprise

    use super::*;

    #[test]
    fn plans_of_others_and_of_other_versions_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.json");
        let uri = path.to_string_lossy().into_owned();
        let insert = InsertPlan {
            plan: Plan::default(),
            sinks: vec!["c.d.t".to_owned()],
            bounded: true,
        };
        write(&uri, &insert, Existing::Refuse).unwrap();
        let found = read(&uri).unwrap();
        assert_eq!((found.sinks, found.bounded), (insert.sinks.clone(), true));
        assert!(
            write(&uri, &insert, Existing::Refuse)
                .unwrap_err()
                .message
                .contains("overwrite")
        );
        write(&uri, &insert, Existing::Keep).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"version\": 1", "\"version\": 2")).unwrap();
        assert!(read(&uri).unwrap_err().message.contains("version 2"));
        write(&uri, &insert, Existing::Replace).unwrap();
        std::fs::write(&path, "{\"flinkVersion\": \"2.3\"}").unwrap();
        assert!(read(&uri).unwrap_err().message.contains("not a plan"));
        assert!(
            read("/no/such/plan.json")
                .unwrap_err()
                .message
                .contains("cannot read")
        );
    }
}
