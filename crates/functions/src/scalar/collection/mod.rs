//! Functions over arrays, maps, rows and bitmaps, one file for each family.

pub(crate) mod hash_order;
