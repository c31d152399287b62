//! Functions over dates, times and timestamps, one file for each family.
//!
//! The calendar is the proleptic Gregorian one, except where Flink goes through `SimpleDateFormat`, which has the Julian
//! calendar before 1582-10-15, and in the rounding of dates to months and longer units.

pub mod add;
pub mod civil;
pub mod current;
pub mod diff;
pub mod extract;
pub mod floor;
pub mod format;
pub(crate) mod iso;
pub mod overlaps;
pub mod parse;
pub mod pattern;
mod pattern_format;
mod pattern_parse;
pub mod to_timestamp_ltz;
pub(crate) mod unit;
pub(crate) mod values;
pub mod zone;
