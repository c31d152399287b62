//! Casts among all types, with Flink's rules.
