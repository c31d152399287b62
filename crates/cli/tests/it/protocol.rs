//! `sql --output json` as a program talks to it: a statement in, its output before the next statement.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

#[test]
fn an_unclosed_string_gets_an_error_and_the_next_statement_runs() {
    let data = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_millstream"))
        .args(["sql", "--output", "json", "--quiet", "--data-dir"])
        .arg(data.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = program.stdin.take().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let mut respond = |statement: &str| {
        write!(input, "{statement}\n;\n").unwrap();
        let status = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains("\"status\""));
        status.unwrap_or_else(|| panic!("no response to {statement}"))
    };
    assert!(respond("SELECT 'never closed").contains("\"status\":\"error\""));
    assert!(respond("SELECT 1").contains("{\"statement\":2,\"status\":\"ok\"}"));
    drop(input);
    assert_eq!(program.wait().unwrap().code(), Some(1));
}
