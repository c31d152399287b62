//! Integration tests of the SQL front end.

mod explain;
mod parse;
mod scripts;
