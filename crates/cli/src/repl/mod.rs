//! The shell: reads statements from a terminal, with history, completion, colours and many lines.
//!
//! The parts that know SQL are functions over text, apart from the line editor: [`complete`], [`highlight`],
//! [`validate`], [`help`]. Here they meet the terminal. Statements are executed and shown by the same code as those of
//! a script; Ctrl-C ends the query that runs, not the shell.

mod complete;
mod help;
mod highlight;
mod prompt;
mod validate;

use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use millstream_session::{ClientCommand, JobHandle, JobStatus, Session, wait_for};
use millstream_sql::parse::split::split;
use nu_ansi_term::Style;
use reedline::{
    ColumnarMenu, EditCommand, Emacs, FileBackedHistory, KeyCode, KeyModifiers, MenuBuilder, Reedline,
    ReedlineEvent, ReedlineMenu, Signal, default_emacs_keybindings,
};

use crate::args::Common;
use crate::commands::statement::{Ended, Interrupt, ResultPrinter, statements};
use crate::exit::Outcome;
use complete::ShellCompleter;
use highlight::ShellHighlighter;
use millstream_session::completion::Vocabulary;
use prompt::ShellPrompt;
use validate::{ShellValidator, command};

/// Length of the history.
const HISTORY_ENTRIES_MAX: usize = 10_000;
/// The history file in the home directory.
const HISTORY_FILE: &str = ".millstream_history";
const COMPLETION_MENU: &str = "completion";
/// Characters that end a word and close the menu, so that Enter submits the input.
const ENDS_OF_WORDS: [char; 4] = [' ', ',', ';', ')'];

/// Reads and executes statements until the user quits.
pub fn run(
    common: &Common,
    session: &mut Session,
    results: &mut ResultPrinter,
    interrupt: &Interrupt,
    history: Option<PathBuf>,
) -> Outcome {
    let vocabulary = Arc::new(Mutex::new(Vocabulary::default()));
    let colors = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && stdout().is_terminal();
    let mut editor = editor(Arc::clone(&vocabulary), history.or_else(default_history), colors);
    if !common.quiet {
        writeln!(stderr(), "HELP shows what can be written; QUIT or Ctrl-D leaves")?;
    }
    results.acknowledge_statements();
    let mut jobs: Vec<JobHandle> = Vec::new();
    loop {
        report_failed_jobs(&mut jobs, results)?;
        *vocabulary.lock().unwrap_or_else(PoisonError::into_inner) = Vocabulary::of(session);
        match editor.read_line(&ShellPrompt { colors }) {
            Ok(Signal::Success(text)) => {
                interrupt.clear();
                if !execute(&text, session, results, &mut editor, &mut jobs)? {
                    break;
                }
                interrupt.clear();
            }
            Ok(Signal::CtrlC) => {}
            Ok(Signal::CtrlD) => break,
            Ok(_) => {}
            Err(error) => return Err(anyhow::anyhow!("cannot read from the terminal: {error}").into()),
        }
    }
    stop(&jobs, common)
}

fn editor(vocabulary: Arc<Mutex<Vocabulary>>, history: Option<PathBuf>, colors: bool) -> Reedline {
    let mut keys = default_emacs_keybindings();
    let complete = ReedlineEvent::UntilFound(vec![
        ReedlineEvent::Menu(COMPLETION_MENU.to_owned()),
        ReedlineEvent::MenuNext,
    ]);
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, complete);
    keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    for c in ENDS_OF_WORDS {
        let insert = ReedlineEvent::Edit(vec![EditCommand::InsertChar(c)]);
        keys.add_binding(
            KeyModifiers::NONE,
            KeyCode::Char(c),
            ReedlineEvent::Multiple(vec![ReedlineEvent::Esc, insert]),
        );
    }
    let menu = ColumnarMenu::default().with_name(COMPLETION_MENU);
    let menu = if colors {
        menu
    } else {
        menu.with_text_style(Style::new())
    };
    let editor = Reedline::create()
        .with_completer(Box::new(ShellCompleter { vocabulary }))
        .with_highlighter(Box::new(ShellHighlighter { colors }))
        .with_validator(Box::new(ShellValidator))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_partial_completions(true)
        .with_ansi_colors(colors);
    let Some(path) = history else { return editor };
    match FileBackedHistory::with_file(HISTORY_ENTRIES_MAX, path.clone()) {
        Ok(history) => editor.with_history(Box::new(history)),
        Err(error) => {
            eprintln!(
                "warning: no history, because '{}' cannot be used: {error}",
                path.display()
            );
            editor
        }
    }
}

fn default_history() -> Option<PathBuf> {
    std::env::var_os("HOME")
        .filter(|home| !home.is_empty())
        .map(|home| PathBuf::from(home).join(HISTORY_FILE))
}

/// Executes the input; `false` to quit. Stops at the first failure.
fn execute(
    text: &str,
    session: &mut Session,
    results: &mut ResultPrinter,
    editor: &mut Reedline,
    jobs: &mut Vec<JobHandle>,
) -> anyhow::Result<bool> {
    match command(text) {
        Some((word, rest)) if word == "HELP" => {
            let help = if rest.is_empty() {
                help::overview()
            } else {
                help::topic(rest)
            };
            write!(stdout(), "{help}")?;
            return Ok(true);
        }
        Some((word, _)) if word == "CLEAR" => {
            editor.clear_screen()?;
            return Ok(true);
        }
        Some((word, rest)) if word == "SOURCE" => return source(rest, session, results, editor, jobs),
        Some(_) => return Ok(false),
        None => {}
    }
    let entered = split(text).into_iter().map(|span| span.text(text).to_owned());
    execute_all(entered, session, results, editor, jobs)
}

/// Executes the statements of a file. They see and change the shell's session.
fn source(
    file: &str,
    session: &mut Session,
    results: &mut ResultPrinter,
    editor: &mut Reedline,
    jobs: &mut Vec<JobHandle>,
) -> anyhow::Result<bool> {
    let file = file.trim_matches(['\'', '"']);
    if file.is_empty() {
        eprintln!("error: SOURCE needs the name of a file: SOURCE setup.sql");
        return Ok(true);
    }
    match std::fs::read_to_string(file) {
        Ok(script) => execute_all(statements(&script), session, results, editor, jobs),
        Err(error) => {
            eprintln!("error: cannot read the script '{file}': {error}");
            Ok(true)
        }
    }
}

fn execute_all(
    statements: impl Iterator<Item = String>,
    session: &mut Session,
    results: &mut ResultPrinter,
    editor: &mut Reedline,
    jobs: &mut Vec<JobHandle>,
) -> anyhow::Result<bool> {
    for statement in statements {
        match results.execute(session, &statement)? {
            Ended::Ok => {}
            Ended::Running { job, .. } => jobs.push(job),
            Ended::Client(ClientCommand::Quit) => return Ok(false),
            Ended::Client(ClientCommand::Clear) => editor.clear_screen()?,
            Ended::Client(ClientCommand::Help) => write!(stdout(), "{}", help::overview())?,
            Ended::Failed | Ended::Interrupted => break,
        }
    }
    Ok(true)
}

/// Reports the jobs of this shell that have failed since the last prompt, and drops the ended ones.
fn report_failed_jobs(jobs: &mut Vec<JobHandle>, results: &mut ResultPrinter) -> anyhow::Result<()> {
    let (ended, running): (Vec<_>, Vec<_>) = jobs.drain(..).partition(|job| job.status().is_terminal());
    *jobs = running;
    for job in ended.iter().filter(|job| job.status() == JobStatus::Failed) {
        if let Err(error) = wait_for(job) {
            eprintln!("job {} ({}) has failed", job.name(), job.id());
            results.failed(&error)?;
        }
    }
    Ok(())
}

/// Jobs run in this process: leaving the shell stops them.
fn stop(jobs: &[JobHandle], common: &Common) -> Outcome {
    for job in jobs.iter().filter(|job| !job.status().is_terminal()) {
        if !common.quiet {
            writeln!(
                stderr(),
                "job {} ({}) ends with the shell; `millstream run` keeps jobs running",
                job.name(),
                job.id()
            )?;
        }
        job.cancel();
    }
    Ok(())
}
