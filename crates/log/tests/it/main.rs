//! Tests of the log as its owner sees it: appending, reading, crashing, recovering.

mod crash;
mod driver;
mod oracle;
mod reading;
