//! Type algebra: common types, implicit casts, derivation of DECIMAL and string results.
