//! Integration tests of the program: real processes, and what they write.

mod documents;
mod exactly_once;
mod examples;
mod killed;
mod kills;
mod processes;
mod protocol;
mod transcript;
