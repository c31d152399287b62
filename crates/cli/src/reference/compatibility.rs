//! `docs/sql-compatibility.md`: the support for each of Flink's statements, hints, settings and functions.

use std::fmt::Write;

use millstream_session::{FLINK_SETTINGS, configuration_options};
use millstream_sql::compatibility::{Entry, HINTS, STATEMENTS};

pub fn page() -> String {
    let mut text = String::from(
        "# SQL compatibility\n\nThe support for Flink's SQL. `cargo xtask docs` prints this page from the declarations that the \
         program uses.\n\n- **works**: as in Flink.\n- **differs**: with the difference named; see also \
         [differences](differences.md).\n- **no effect**: accepted and checked, because nothing here needs it.\n- **refused**: an \
         error names it.\n\n",
    );
    table(&mut text, "Statements and clauses", STATEMENTS);
    table(&mut text, "Hints", HINTS);
    text.push_str(
        "A hint of another name is refused.\n\n## Settings\n\nSettings that work are described in the \
         [configuration reference](reference/configuration.md). SET accepts any key, as Flink does; it warns about a setting \
         that differs, and about a key that is close to a known one.\n\n| setting | state | why |\n|---|---|---|\n",
    );
    let works: Vec<String> = configuration_options()
        .map(|option| format!("`{}`", option.key))
        .collect();
    _ = writeln!(
        text,
        "| {} | works | Read by planning, jobs or sessions. |",
        works.join(", ")
    );
    for setting in FLINK_SETTINGS {
        _ = writeln!(
            text,
            "| `{}` | {} | {} |",
            setting.key,
            setting.support.word(),
            setting.why
        );
    }
    text.push_str(
        "\n## Options of tables\n\nOptions of connectors and formats are described in [connectors](reference/connectors.md) and \
         [formats](reference/formats.md). An unknown option is refused with the nearest known one; the filesystem connector \
         leaves options of its format to the format, as Flink does.\n\n## Functions\n\nThe functions that work are \
         described in [functions](reference/functions.md).\n",
    );
    text
}

fn table(text: &mut String, title: &str, entries: &[Entry]) {
    _ = write!(text, "## {title}\n\n| what | state | note |\n|---|---|---|\n");
    for entry in entries {
        _ = writeln!(
            text,
            "| {} | {} | {} |",
            entry.name,
            entry.support.word(),
            entry.note
        );
    }
    text.push('\n');
}
