//! Integration tests of the SQL front end.

mod parse;
