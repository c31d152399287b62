//! Project automation: tidy, codegen, docs, bench.

#[cfg(feature = "bench")]
mod bench;
mod bench_launch;
mod codegen_kafka;
mod dialect;
mod docs;
#[cfg(feature = "fuzz-sql")]
mod fuzz_sql;
mod invariants;
mod links;
mod long_life;
mod many;
mod program;
mod soak;
mod tidy;
mod voice;

use std::path::{Path, PathBuf};

const USAGE: &str = "usage: cargo xtask tidy [--bless | --words DIRECTORY] | codegen kafka [--check] | docs [limits] | bench [--help] | \
                     sim [--seeds N] [--first N] | sim --mutants N | \
                     kill-matrix [--cluster embedded|process] [--rounds N] [--failpoint NAME] [--seed N] | \
                     kill-matrix --cluster kafka --address A --kill COMMAND --start COMMAND | \
                     soak [--minutes N] [--rate N] [--kill-each SECONDS] [--binary PATH] [--report FILE] | \
                     long-life [--rows N] [--rate N] [--kills N] [--seed N] [--binary PATH] | \
                     fuzz [--executions N] [--target NAME] [--seed N] | fuzz-sql [--expressions] --gateway URL --cli COMMAND";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["codegen", "kafka"] => codegen_kafka::run(&repository(), false),
        ["codegen", "kafka", "--check"] => codegen_kafka::run(&repository(), true),
        ["docs"] => docs::run(&repository()),
        ["docs", "limits"] => docs::limits(&repository()),
        ["tidy"] => tidy::run(&repository(), false),
        ["tidy", "--bless"] => tidy::run(&repository(), true),
        ["tidy", "--words", directory] => voice::list(&repository(), directory),
        #[cfg(feature = "bench")]
        ["bench", rest @ ..] => bench::run(rest),
        #[cfg(not(feature = "bench"))]
        ["bench", rest @ ..] => bench_launch::run(&repository(), rest),
        ["sim", options @ ..] => many::sim(&repository(), options),
        #[cfg(feature = "fuzz-sql")]
        ["fuzz-sql", options @ ..] => fuzz_sql::run(options),
        #[cfg(not(feature = "fuzz-sql"))]
        ["fuzz-sql", options @ ..] => many::fuzz_sql(&repository(), options),
        ["kill-matrix", options @ ..] => many::kill_matrix(&repository(), options),
        ["long-life", options @ ..] => long_life::run(&repository(), options),
        ["soak", options @ ..] => soak::run(&repository(), options),
        ["fuzz", options @ ..] => many::fuzz(&repository(), options),
        _ => anyhow::bail!("{USAGE}"),
    }
}

/// The root of the repository: the parent of this package.
fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}
