//! Project automation: tidy, codegen, docs, bench.
fn main() {}
