//! Functions of numbers: rounding, roots and logarithms, trigonometry, random numbers, other number bases.
//!
//! Results are those of `java.lang.Math` and `java.math.BigDecimal`; outside of a function's domain they are NaN or
//! infinite, not an error.

pub mod approximate;
mod hyperbolic;
pub mod radix;
pub mod random;
pub mod rounding;
pub mod sign;

#[cfg(test)]
mod tests;
