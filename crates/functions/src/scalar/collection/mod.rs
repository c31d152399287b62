//! Functions over arrays, maps, rows and bitmaps, one file for each family.

pub mod access;
pub mod array_edit;
pub mod array_extremes;
pub mod array_join;
pub mod array_search;
pub mod array_sets;
pub mod array_sort;
pub mod bitmap;
pub mod constructors;
pub(crate) mod elements;
pub(crate) mod hash_order;
pub mod maps;
pub mod objects;
pub(crate) mod roaring;
pub mod unnest;
