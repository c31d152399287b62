//! The example of each error code in the reference fails with this code.

use millstream_sql::parse::split::split;
use millstream_types::{ERROR_CODES, EXAMPLE_TABLES, ErrorCode};

use crate::engine::{Engine, Way};
use crate::kafka::Clusters;

/// Codes of errors that no statement alone causes.
const WITHOUT_EXAMPLE: &[ErrorCode] = &[
    ErrorCode::LimitExceeded,
    ErrorCode::IncompatibleState,
    ErrorCode::JobCanceled,
    ErrorCode::TemporaryFailure,
    ErrorCode::EnvironmentFailure,
    ErrorCode::InternalError,
];

#[test]
fn examples_give_their_codes() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let clusters = Clusters::start(runtime.handle().clone());
    let mut wrong = Vec::new();
    for declared in ERROR_CODES {
        if declared.example.is_empty() {
            assert!(
                WITHOUT_EXAMPLE.contains(&declared.code),
                "{} has no example",
                declared.name
            );
            continue;
        }
        let mut engine = Engine::new(clusters.clone(), Way::Batches);
        for span in split(EXAMPLE_TABLES) {
            engine.execute(span.text(EXAMPLE_TABLES)).unwrap();
        }
        let mut statements = split(declared.example);
        let last = statements.pop().unwrap().text(declared.example);
        for span in statements {
            engine.execute(span.text(declared.example)).unwrap();
        }
        match engine.execute(last) {
            Err(error) if (error.code, error.kind) == (declared.code, declared.kind) => {}
            Err(error) => wrong.push(format!(
                "{}: {last}\n  {}: {}",
                declared.name, error.code, error.message
            )),
            Ok(_) => wrong.push(format!("{}: {last}\n  succeeds", declared.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
