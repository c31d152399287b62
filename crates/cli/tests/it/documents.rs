//! The commands of the first pages, run as a reader types them.
//!
//! A page is one shell session in an empty directory with `examples` in it. Blocks marked `console` are run: a line `$ …` is
//! a command, the lines below it are what it prints on standard output. A comment `<!-- file: NAME -->` writes the next block
//! to a file. Other blocks are for readers only.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// A command of a page and what it must print.
#[derive(Default)]
struct Step {
    command: String,
    stdout: String,
}

/// A page whose session takes longer hangs.
const SESSION_SECONDS_MAX: &str = "300";
/// Separates the output of one command from that of the next.
const MARK: &str = "\u{1}";

/// Reads a page: its steps, and the files that it defines, which are written.
fn steps(page: &str, directory: &Path) -> Vec<Step> {
    let (mut steps, mut file, mut block) = (Vec::<Step>::new(), None::<String>, None::<String>);
    for line in page.lines() {
        match &block {
            None if line.starts_with("```") => block = Some(line.trim_start_matches('`').to_owned()),
            None => {
                if let Some(name) = line.strip_prefix("<!-- file: ") {
                    let name = name.strip_suffix(" -->").expect("a comment of one line");
                    std::fs::write(directory.join(name), "").expect("a file");
                    file = Some(name.to_owned());
                }
            }
            Some(_) if line.starts_with("```") => (block, file) = (None, None),
            Some(_) if file.is_some() => {
                let path = directory.join(file.as_deref().unwrap_or_default());
                let text = std::fs::read_to_string(&path).expect("a file");
                std::fs::write(path, format!("{text}{line}\n")).expect("a file");
            }
            Some(language) if language == "console" => match line.strip_prefix("$ ") {
                Some(command) => steps.push(Step {
                    command: command.to_owned(),
                    stdout: String::new(),
                }),
                None => {
                    let step = steps.last_mut().expect("a block begins with a command");
                    let _ = writeln!(step.stdout, "{line}");
                }
            },
            Some(_) => {}
        }
    }
    steps
}

/// An address for the broker of the session: its commands have to agree on one, so it cannot be port 0.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

fn check(page: &str, steps_min: usize) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(repository.join(page)).expect("a page");
    let directory = tempfile::tempdir().expect("a directory");
    let steps = steps(&text, directory.path());
    assert!(steps.len() >= steps_min, "{page} has {} commands", steps.len());
    let link = |from: &Path, name: &str| {
        std::os::unix::fs::symlink(from, directory.path().join(name)).expect("a link");
    };
    link(&repository.join("examples"), "examples");
    link(Path::new(env!("CARGO_BIN_EXE_millstream")), "millstream");

    // Job control lets a page start a job with `&` and interrupt it as Ctrl-C does.
    let mut script = String::from("set -m\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n");
    let address = free_address();
    for step in &steps {
        let _ = writeln!(script, "printf '{MARK}'\n{}", step.command);
        if step.command.ends_with('&') {
            // The next command must find the broker of this one, as it does at the speed of a reader.
            let port = address.replace(':', "/");
            let _ = writeln!(
                script,
                "until (exec 3<>/dev/tcp/{port}) 2>/dev/null; do sleep 0.05; done"
            );
        }
    }
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", directory.path().display());
    let output = Command::new("timeout")
        .args([SESSION_SECONDS_MAX, "bash", "-c", &script])
        .current_dir(directory.path())
        .env_clear()
        .env("PATH", path)
        .env("HOME", directory.path())
        .env("MILLSTREAM_KAFKA", address)
        .stdin(Stdio::null())
        .output()
        .expect("bash is there");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let printed: Vec<&str> = stdout.split(MARK).skip(1).collect();
    assert_eq!(printed.len(), steps.len(), "{page} ended early: {stderr}");
    for (step, printed) in steps.iter().zip(printed) {
        assert_eq!(printed, step.stdout, "{page}: $ {}\n{stderr}", step.command);
    }
}

#[test]
fn every_command_of_the_quick_start_prints_what_the_page_says() {
    check("docs/quickstart.md", 10);
}
