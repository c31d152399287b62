//! Integration tests of the program: real processes, and what they write.

mod chaos;
mod documents;
mod exactly_once;
mod examples;
mod first_hour;
mod kill_matrix;
mod killed;
mod kills;
mod processes;
mod protocol;
mod serve_kills;
mod side_outputs;
mod transcript;
mod troubles;
