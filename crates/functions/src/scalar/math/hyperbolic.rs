//! SINH, COSH and TANH by the formulas of fdlibm, which Java follows bit for bit. The functions of these names in the crate
//! `libm` use other formulas.

use std::f64::consts::LN_2;

/// Beyond this, exp(-x) does not count beside exp(x).
const LARGE: f64 = 22.0;
/// Beyond this, exp(x) is infinite although its half is not.
const EXP_MAX: f64 = 709.782_712_893_384;

pub(super) fn cosh(x: f64) -> f64 {
    let size = x.abs();
    if size < 0.5 * LN_2 {
        let t = libm::expm1(size);
        let w = 1.0 + t;
        // The quotient of a tiny number would underflow.
        return if size < 2f64.powi(-55) {
            w
        } else {
            1.0 + (t * t) / (w + w)
        };
    }
    if size < LARGE {
        let t = libm::exp(size);
        return 0.5 * t + 0.5 / t;
    }
    scaled_exp(0.5, size)
}

pub(super) fn sinh(x: f64) -> f64 {
    let half = if x < 0.0 { -0.5 } else { 0.5 };
    let size = x.abs();
    if size < 2f64.powi(-28) {
        return x;
    }
    if size < LARGE {
        let t = libm::expm1(size);
        return if size < 1.0 {
            half * (2.0 * t - t * t / (t + 1.0))
        } else {
            half * (t + t / (t + 1.0))
        };
    }
    scaled_exp(half, size)
}

/// `factor * exp(size)` without an overflow on the way; NaN stays NaN.
fn scaled_exp(factor: f64, size: f64) -> f64 {
    if size < EXP_MAX {
        return factor * libm::exp(size);
    }
    let w = libm::exp(0.5 * size);
    (factor * w) * w
}

pub(super) fn tanh(x: f64) -> f64 {
    let size = x.abs();
    if x.is_nan() || size < 2f64.powi(-55) {
        return x;
    }
    let z = if size >= LARGE {
        1.0
    } else if size >= 1.0 {
        1.0 - 2.0 / (libm::expm1(2.0 * size) + 2.0)
    } else {
        let t = libm::expm1(-2.0 * size);
        -t / (t + 2.0)
    };
    if x < 0.0 { -z } else { z }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by Java 17.
    #[test]
    fn results_are_those_of_java() {
        assert_eq!(cosh(1.0), 1.543_080_634_815_244);
        assert_eq!(cosh(127.0), 7.151_039_979_174_052e54);
        assert_eq!(cosh(710.0), 1.116_997_383_080_855_7e308);
        assert_eq!(cosh(f64::NEG_INFINITY), f64::INFINITY);
        assert_eq!(sinh(0.5), 0.521_095_305_493_747_4);
        assert_eq!(sinh(-3.0), -10.017_874_927_409_903);
        assert_eq!(tanh(-0.25), -0.244_918_662_403_709_13);
        assert_eq!(tanh(3.0), 0.995_054_753_686_730_5);
        assert!(cosh(f64::NAN).is_nan() && sinh(f64::NAN).is_nan() && tanh(f64::NAN).is_nan());
    }
}
