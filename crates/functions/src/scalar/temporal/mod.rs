//! Functions over dates, times and timestamps, one file for each family.

pub(crate) mod iso;
