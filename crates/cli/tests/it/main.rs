//! Integration tests of the program: real processes, and what they write.

mod kills;
mod processes;
mod protocol;
mod transcript;
