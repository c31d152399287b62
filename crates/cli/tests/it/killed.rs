//! Processes that are killed, and the dice that say when.

use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use millstream_types::SeededRng;

/// A running program, killed without notice when it is dropped.
pub struct Process {
    child: Child,
    /// Of a broker: where it listens.
    pub address: String,
    /// Kept open: the process writes there.
    stderr: BufReader<ChildStderr>,
}

impl Process {
    /// The broker alone, on the data of `directory`.
    pub fn broker(directory: &Path, address: &str) -> Self {
        Self::spawn_broker(command(
            directory,
            &["broker", "--log", "error", "--kafka", address],
        ))
    }

    pub fn start(directory: &Path, args: &[&str]) -> Self {
        Self::spawn(command(directory, args))
    }

    /// As [`Process::broker`], of a command that [`command`] has made.
    pub fn spawn_broker(command: Command) -> Self {
        let mut broker = Self::spawn(command);
        let mut line = String::new();
        broker.stderr.read_line(&mut line).expect("a line");
        broker.address = line
            .strip_prefix("broker listening on ")
            .and_then(|rest| rest.split(',').next())
            .expect(&line)
            .to_owned();
        broker
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = BufReader::new(child.stderr.take().expect("standard error"));
        Process {
            child,
            address: String::new(),
            stderr,
        }
    }

    /// Whether it is still there.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// What it says on standard error until its end.
    pub fn talk(&mut self) -> String {
        let mut talk = String::new();
        let _ = std::io::Read::read_to_string(&mut self.stderr, &mut talk);
        talk
    }

    /// Waits for its own end; what it said on standard error.
    pub fn end(mut self) -> (ExitStatus, String) {
        let talk = self.talk();
        (self.child.wait().expect("it ends"), talk)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The signal is SIGKILL: nothing of the process runs after it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program to its end, which must be a success. Returns what it printed.
pub fn run(directory: &Path, args: &[&str]) -> String {
    run_with_input(directory, args, "")
}

/// As [`run`], with `input` as the standard input.
pub fn run_with_input(directory: &Path, args: &[&str], input: &str) -> String {
    let mut child = command(directory, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("standard input");
    stdin.write_all(input.as_bytes()).expect("taken");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {talk}");
    String::from_utf8(output.stdout).expect("text")
}

/// Writes lines to a topic of the broker at `address`.
pub fn produce(directory: &Path, address: &str, topic: &str, lines: &str) {
    let args = ["topic", "produce", topic, "--bootstrap-server", address];
    run_with_input(directory, &args, lines);
}

/// The program in a directory, with nothing of the environment.
pub fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
    command
        .args(args)
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory);
    command
}

/// A number of the environment.
pub fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

/// How many kills (`KILL_ROUNDS`, or `default`), and the dice (`KILL_SEED`, or other ones in each run).
pub fn rounds(default: u64) -> (u64, SeededRng) {
    let rounds = setting("KILL_ROUNDS").unwrap_or(default);
    let seed = setting("KILL_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("KILL_ROUNDS={rounds} KILL_SEED={seed}");
    (rounds, SeededRng::new(seed))
}
