//! Programs against the engine, in one process without ports.

mod host;
mod joins;
mod keyed;
mod streams;
mod windows;
