//! Integration tests of the program: real processes, and what they write.

mod processes;
mod transcript;
