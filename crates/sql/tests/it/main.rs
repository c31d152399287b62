//! Integration tests of the SQL front end.

mod explain;
mod parse;
mod scans;
mod scripts;
