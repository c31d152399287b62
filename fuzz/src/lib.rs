//! The targets of the tests' own driver, for libFuzzer: `cargo +nightly fuzz run produce`.

#[path = "../../crates/testkit/tests/fuzz/targets.rs"]
pub mod targets;

#[path = "../../crates/server/tests/fuzz/targets.rs"]
pub mod authentication;
