//! `cargo xtask sim`, `fuzz` and `kill-matrix`: what every test run does a little of, many times.

use std::path::Path;
use std::process::Command;

/// Runs the simulation of the broker with many seeds, or each broken broker with some.
pub fn sim(root: &Path, options: &[&str]) -> anyhow::Result<()> {
    let (name, known, default) = if options.contains(&"--mutants") {
        let known = [("--mutants", "SIM_MUTANTS"), ("--mutant", "SIM_MUTANT")];
        let name = "mutants::every_broken_broker_is_caught";
        (name, known, ("SIM_MUTANTS", "200"))
    } else {
        let known = [("--seeds", "SIM_SEEDS"), ("--first", "SIM_FIRST")];
        ("many_seeds", known, ("SIM_SEEDS", "10000"))
    };
    let packages = ["millstream-testkit"];
    test(root, ("sim", "sim", name), &packages, &known, default, options)
}

/// Runs the targets for bad input with many damaged inputs.
pub fn fuzz(root: &Path, options: &[&str]) -> anyhow::Result<()> {
    let known = [
        ("--executions", "FUZZ_EXECUTIONS"),
        ("--target", "FUZZ_TARGET"),
        ("--seed", "FUZZ_SEED"),
    ];
    let name = "damaged_input_neither_panics_nor_takes_memory_that_it_does_not_justify";
    test(
        root,
        ("sim", "fuzz", name),
        &["millstream-testkit", "millstream-server"],
        &known,
        ("FUZZ_EXECUTIONS", "10000000"),
        options,
    )
}

/// Kills a job at every failpoint. Failpoints exist in debug builds only, so there is no optimisation.
pub fn kill_matrix(root: &Path, options: &[&str]) -> anyhow::Result<()> {
    let known = [
        ("--cluster", "KILL_MATRIX_CLUSTER"),
        ("--rounds", "KILL_MATRIX_ROUNDS"),
        ("--failpoint", "KILL_MATRIX_FAILPOINT"),
        ("--seed", "KILL_SEED"),
        ("--address", "KILL_MATRIX_ADDRESS"),
        ("--kill", "KILL_MATRIX_KILL"),
        ("--start", "KILL_MATRIX_START"),
    ];
    let name = "kill_matrix::every_record_survives_a_kill_at_every_failpoint";
    let default = ("KILL_MATRIX_ROUNDS", "20");
    test(
        root,
        ("dev", "it", name),
        &["millstream-cli"],
        &known,
        default,
        options,
    )
}

/// Builds the generator of SQL with this package and hands over to it.
#[cfg(not(feature = "fuzz-sql"))]
pub fn fuzz_sql(root: &Path, options: &[&str]) -> anyhow::Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let status = Command::new(cargo)
        .args([
            "run",
            "--quiet",
            "--package",
            "xtask",
            "--features",
            "fuzz-sql",
            "--",
            "fuzz-sql",
        ])
        .args(options)
        .current_dir(root)
        .status()?;
    anyhow::ensure!(status.success(), "fuzz-sql failed");
    Ok(())
}

/// Runs one test, built with a profile; options become variables of its environment.
fn test(
    root: &Path,
    (profile, binary, name): (&str, &str, &str),
    packages: &[&str],
    known: &[(&str, &str)],
    default: (&str, &str),
    options: &[&str],
) -> anyhow::Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.current_dir(root).env(default.0, default.1);
    command.args(["test", "--profile", profile, "--test", binary]);
    for package in packages {
        command.args(["-p", package]);
    }
    command.args(["--", "--exact", name, "--nocapture"]);
    for pair in options.chunks(2) {
        let [option, value] = pair else {
            anyhow::bail!("option '{}' needs a value", pair[0]);
        };
        let Some((_, variable)) = known.iter().find(|(known, _)| known == option) else {
            anyhow::bail!("option '{option}' is not known");
        };
        command.env(variable, value);
    }
    anyhow::ensure!(command.status()?.success(), "the test '{name}' failed");
    Ok(())
}
