//! Processes that are killed, and the dice that say when.

use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
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
        let mut broker = Self::start(directory, &["broker", "--log", "error", "--kafka", address]);
        let mut line = String::new();
        broker.stderr.read_line(&mut line).expect("a line");
        broker.address = line
            .strip_prefix("broker listening on ")
            .and_then(|rest| rest.split(',').next())
            .expect(&line)
            .to_owned();
        broker
    }

    pub fn start(directory: &Path, args: &[&str]) -> Self {
        let mut child = command(directory, args)
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

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// How many kills (`KILL_ROUNDS`, or `default`), and the dice (`KILL_SEED`, or other ones in each run).
pub fn rounds(default: u64) -> (u64, SeededRng) {
    let rounds = setting("KILL_ROUNDS").unwrap_or(default);
    let seed = setting("KILL_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("KILL_ROUNDS={rounds} KILL_SEED={seed}");
    (rounds, SeededRng::new(seed))
}
