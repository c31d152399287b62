//! Integration tests of the program: real processes, and what they write.

mod exactly_once;
mod killed;
mod kills;
mod processes;
mod protocol;
mod transcript;
