//! The page of error codes.

use millstream_types::{ERROR_CODES, EXAMPLE_TABLES, ErrorCodeDecl};

use super::markdown::{Document, code};

const ABOUT: &str = "\
Every error of a statement or a job has a code that stays the same between versions; messages may change. The command line \
prints it before the message, `error[UNKNOWN_COLUMN]: …`, and `--output json`, the SQL Gateway and the job REST API have it as \
`code`, beside `kind`, `message`, `hint`, `spans` and `rendered`.

| kind | what to do |
|---|---|
| `input` | change the statement or the setting |
| `data` | change the data, or choose an error policy |
| `retry` | try again |
| `environment` | make room, grant permission, start the other system |
| `unsupported` | write it in another way |
| `internal` | report a defect |

A span has `line`, `column`, `end_line` and `end_column`, counted from 1 in characters, the end exclusive; `primary` marks the \
place at fault, and `label` says what another place has to do with it. `run` and `sql --on-error stop` execute nothing after \
the first error, as in Flink, and report the syntax errors of the statements behind it as well.";

/// `errors.md`.
pub fn page() -> String {
    let mut document = Document::new("Errors", ABOUT);
    document.paragraph("The examples use these tables:");
    document.paragraph(&format!("```sql\n{EXAMPLE_TABLES}\n```"));
    let mut area = "";
    for declared in ERROR_CODES {
        if declared.area != area {
            area = declared.area;
            document.heading(2, &title(area));
        }
        entry(&mut document, declared);
    }
    document.finish()
}

fn entry(document: &mut Document, declared: &ErrorCodeDecl) {
    document.heading(3, declared.name);
    let kind = code(&declared.kind_name());
    document.paragraph(&format!("{} Kind {kind}. {}", declared.meaning, declared.remedy));
    if !declared.example.is_empty() {
        let example = declared.example.replace("; ", ";\n");
        document.paragraph(&format!("```sql\n{example}\n```"));
    }
}

/// A heading begins with a capital.
fn title(area: &str) -> String {
    let mut characters = area.chars();
    let first = characters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}
