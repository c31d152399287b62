//! Runs the program against transcripts: commands as users type them, and their output.
//!
//! A file in `tests/transcripts` is a sequence of lines:
//!
//! | line | meaning |
//! |---|---|
//! | `# text`, empty | nothing |
//! | `+ NAME` | the lines `\| …` below are a file of this name |
//! | `$ millstream …` | runs the program in the transcript's directory; quotes as in a shell |
//! | `$ cat NAME` | shows a file, or all visible files below a directory; lines are sorted |
//! | `< text` | a line of standard input |
//! | `! text` | a line that the program writes to standard error |
//! | `? N` | it ends with this exit code; without it, with 0 |
//! | anything else | a line that it writes to standard output |
//!
//! What differs from run to run is replaced: `[DIR]`, `[JOB]`, `[PORT]`, `[ID]` of a topic, `[TIME]`.
//! `UPDATE_SNAPSHOTS=1 cargo test -p millstream-cli` writes the current output; read the diff before you commit it.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A command that says nothing for so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// What a command gave.
struct Outcome {
    stdout: String,
    stderr: String,
    code: i32,
}

/// Reads a stream to its end on a thread of its own.
fn reader(mut stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A broken pipe is an end like any other.
        let _ = stream.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

fn run(directory: &Path, args: &[String], input: &str, kafka: Option<&str>) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_millstream"))
        .args(args)
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory)
        .env("NO_COLOR", "1")
        .envs(kafka.map(|address| ("MILLSTREAM_KAFKA", address)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let stdout = reader(child.stdout.take().expect("standard output"));
    let stderr = reader(child.stderr.take().expect("standard error"));
    // The program may end without having read everything.
    let _ = child
        .stdin
        .take()
        .expect("standard input")
        .write_all(input.as_bytes());
    let (Ok(stdout), Ok(stderr)) = (stdout.recv_timeout(SILENCE_MAX), stderr.recv_timeout(SILENCE_MAX))
    else {
        let _ = child.kill();
        panic!("millstream {args:?} does not end");
    };
    let code = child.wait().expect("the program ends").code().unwrap_or(-1);
    Outcome { stdout, stderr, code }
}

/// The visible files below a path, the lines of each sorted.
fn cat(path: &Path) -> Outcome {
    let mut stdout = String::new();
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a directory");
            let mut inside: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
            inside.retain(|path| {
                !path
                    .file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with('.'))
            });
            inside.sort();
            open.extend(inside.into_iter().rev());
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| format!("{error}\n"));
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines
            .into_iter()
            .for_each(|line| stdout.push_str(&format!("{line}\n")));
    }
    Outcome {
        stdout,
        stderr: String::new(),
        code: 0,
    }
}

/// Words of a command line: single and double quotes hold words together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Replaces the word behind each `start`; a time only where there is one, not its placeholder in a help text.
fn replaced(text: &str, start: &str, by: &str) -> String {
    let mut parts = text.split(start);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if by == "[TIME]" && !part.starts_with(|c: char| c.is_ascii_digit()) {
            replaced.push_str(&format!("{start}{part}"));
            continue;
        }
        let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        replaced.push_str(&format!("{start}{by}{}", part.trim_start_matches(is_of_word)));
    }
    replaced
}

/// Replaces what differs from run to run.
fn settled(text: &str, directory: &Path) -> String {
    let mut text = text.replace(&*directory.to_string_lossy(), "[DIR]");
    for (start, by) in [
        (r#""id":""#, "[ID]"),
        (", id ", "[ID]"),
        ("CreateTime:", "[TIME]"),
        ("LogAppendTime:", "[TIME]"),
        (r#""timestamp":"#, "[TIME]"),
    ] {
        text = replaced(&text, start, by);
    }
    let (mut settled, mut word) = (String::new(), String::new());
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        let is_id = word.len() == 32 && word.chars().all(|c| c.is_ascii_hexdigit());
        let is_port = settled.ends_with("127.0.0.1:") && word != "9092" && word != "0" && !word.is_empty();
        settled.push_str(if is_id {
            "[JOB]"
        } else if is_port {
            "[PORT]"
        } else {
            &word
        });
        word.clear();
        if c != '\0' {
            settled.push(c);
        }
    }
    settled
}

/// Plays a transcript and gives it as it is today.
fn play(transcript: &str, directory: &Path, kafka: Option<&str>) -> String {
    let mut today = String::new();
    let mut lines = transcript.lines().peekable();
    while let Some(line) = lines.next() {
        today.push_str(&format!("{line}\n"));
        if let Some(name) = line.strip_prefix("+ ") {
            let mut text = String::new();
            while let Some(line) = lines.next_if(|line| line.starts_with('|')) {
                today.push_str(&format!("{line}\n"));
                text.push_str(line.strip_prefix("| ").unwrap_or(""));
                text.push('\n');
            }
            std::fs::write(directory.join(name), text).expect("a file");
        }
        let Some(command) = line.strip_prefix("$ ") else {
            continue;
        };
        let mut input = String::new();
        while let Some(line) = lines.next_if(|line| line.starts_with('<')) {
            today.push_str(&format!("{line}\n"));
            input.push_str(line.strip_prefix("< ").unwrap_or(""));
            input.push('\n');
        }
        // What was expected ends where the next command, file or remark begins.
        while lines
            .next_if(|line| !["$ ", "+ ", "# "].iter().any(|start| line.starts_with(start)))
            .is_some()
        {}
        let words = words(command);
        let outcome = match words.split_first() {
            Some((program, args)) if program == "millstream" => run(directory, args, &input, kafka),
            Some((program, [path])) if program == "cat" => cat(&directory.join(path)),
            _ => panic!("no command of a transcript: {command}"),
        };
        settled(&outcome.stdout, directory)
            .lines()
            .for_each(|line| today.push_str(&format!("{}\n", line.trim_end())));
        let talk = settled(&outcome.stderr, directory);
        talk.lines()
            .for_each(|line| today.push_str(&format!("{}\n", format!("! {line}").trim_end())));
        if outcome.code != 0 {
            today.push_str(&format!("? {}\n", outcome.code));
        }
        today.push('\n');
    }
    today.trim_end().to_owned() + "\n"
}

/// The broker's address in transcripts that may start one.
const ANY_PORT: Option<&str> = Some("127.0.0.1:0");

fn check(name: &str, kafka: Option<&str>) {
    let path = format!("{}/tests/transcripts/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().canonicalize().expect("its real path");
    let today = play(&expected, &root, kafka);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, today).expect("the transcript can be written");
        return;
    }
    let differs = expected.lines().zip(today.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or(expected.lines().count().min(today.lines().count())) + 1;
    assert!(
        expected == today,
        "{name} differs from line {line} on; it is now:\n\n{today}"
    );
}

#[test]
fn help() {
    check("help", None);
}

#[test]
fn usage() {
    check("usage", None);
}

#[test]
fn statements() {
    check("statements", ANY_PORT);
}

#[test]
fn errors() {
    check("errors", ANY_PORT);
}

#[test]
fn scripts() {
    check("scripts", ANY_PORT);
}

#[test]
fn topics() {
    check("topics", ANY_PORT);
}

#[test]
fn topic_tables() {
    check("topic_tables", ANY_PORT);
}

#[test]
fn topic_options() {
    check("topic_options", ANY_PORT);
}

#[test]
fn groups() {
    check("groups", ANY_PORT);
}

#[test]
fn group_options() {
    check("group_options", ANY_PORT);
}

#[test]
fn access() {
    check("access", ANY_PORT);
}

#[test]
fn acls() {
    check("acls", ANY_PORT);
}

#[test]
fn settings() {
    check("settings", ANY_PORT);
}
