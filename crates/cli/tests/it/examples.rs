//! The examples, run as a reader runs them: from the root of the repository, twice in a row.
//!
//! A script `NAME.sql` under `examples/` with a file `NAME.expected` beside it must print exactly that file, the second time
//! as the first. The expected rows were compared with those of Flink. Each script has a data directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn repository() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .and_then(Path::parent)
        .expect("the package is two levels below the root")
}

fn millstream(data: &Path, args: &[&str], input: Option<&Path>) -> Output {
    let input = input.map_or(Stdio::null(), |path| {
        std::fs::File::open(path).expect("the input").into()
    });
    Command::new(env!("CARGO_BIN_EXE_millstream"))
        .args(args)
        .arg("--data-dir")
        .arg(data)
        .args(["--kafka", "127.0.0.1:0"])
        .current_dir(repository())
        .env_clear()
        .env("HOME", data)
        .stdin(input)
        .output()
        .expect("the program starts")
}

/// The standard output of a command that must succeed.
fn stdout(data: &Path, args: &[&str], input: Option<&Path>) -> String {
    let output = millstream(data, args, input);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "millstream {args:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Scripts that have a file `NAME.expected` beside them.
fn scripts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(repository().join("examples")).expect("examples") {
        let folder = folder.expect("an entry").path();
        if !folder.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(folder).expect("a folder") {
            let script = file.expect("an entry").path();
            if script.extension().is_some_and(|e| e == "sql") && script.with_extension("expected").exists() {
                found.push(script);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_example_prints_its_expected_rows_twice() {
    let scripts = scripts();
    assert!(scripts.len() >= 11, "only {} examples found", scripts.len());
    for script in scripts {
        let expected = std::fs::read_to_string(script.with_extension("expected")).expect("expected rows");
        let data = tempfile::tempdir().expect("a directory");
        let script = script.to_string_lossy();
        for run in ["first", "second"] {
            let printed = stdout(data.path(), &["run", &script], None);
            assert_eq!(printed, expected, "{script}, {run} run");
        }
    }
}

/// Scripts of `examples/seeds` run until they are interrupted; here they end at the last record, so that the test needs no
/// clock.
#[test]
fn every_seed_writes_its_records() {
    let sensor = r#"{"sensor":"a","value":21,"ts":"2024-01-01 00:00:00"}"#;
    let later = r#"{"sensor":"a","value":23,"ts":"2024-01-01 00:00:00.500"}"#;
    let means: String = (1..=10)
        .map(|second| {
            format!("{{\"window_end\":\"2024-01-01 00:00:{second:02}\",\"sensor\":\"a\",\"mean\":22.0}}\n")
        })
        .collect();
    let seeds = [
        (
            "prefix_map",
            "hello\nworld".to_owned(),
            "processed-hello\nprocessed-world\n".to_owned(),
        ),
        ("sliding_average", format!("{sensor}\n{later}"), means),
    ];
    for (name, input, expected) in seeds {
        assert_eq!(seed(name, &input), expected, "{name}");
    }
    // The window of a word is that of the wall clock, so only words and counts are compared.
    let counts = seed("word_count", "to be or not to be");
    let mut words: Vec<&str> = counts
        .lines()
        .map(|line| line.split_once("\"word\"").expect("a word").1)
        .collect();
    words.sort_unstable();
    assert_eq!(
        words,
        [
            r#":"be","n":2}"#,
            r#":"not","n":1}"#,
            r#":"or","n":1}"#,
            r#":"to","n":2}"#
        ]
    );
}

/// Runs a seed over the given lines and returns the records of its output topic.
fn seed(name: &str, input: &str) -> String {
    const UNBOUNDED: &str = "'scan.startup.mode' = 'earliest-offset',";
    let script = repository().join(format!("examples/seeds/{name}.sql"));
    let sql = std::fs::read_to_string(script).expect("a script");
    assert!(sql.contains(UNBOUNDED), "{name}");
    let bounded = sql.replace(
        UNBOUNDED,
        "'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset',",
    );
    let directory = tempfile::tempdir().expect("a directory");
    let (script, lines, data) = (
        directory.path().join("seed.sql"),
        directory.path().join("lines"),
        directory.path().join("data"),
    );
    std::fs::write(&script, bounded).expect("a script");
    std::fs::write(&lines, input).expect("lines");
    let topic = name.replace('_', "-");
    stdout(
        &data,
        &["topic", "produce", &format!("{topic}-input")],
        Some(&lines),
    );
    stdout(&data, &["run", &script.to_string_lossy()], None);
    let output = format!("{topic}-output");
    stdout(
        &data,
        &["topic", "tail", &output, "--from-beginning", "--exit-at-end"],
        None,
    )
}
