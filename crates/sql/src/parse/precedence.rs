//! How tight operators bind, shared by the parser and the unparser; a higher number binds tighter.

use super::ast::BinaryOperator;

/// `+a`, `-a`.
pub const SIGN: u8 = 80;
/// `a * b`, `a / b`, `a % b`, `a || b`.
pub const PRODUCT: u8 = 60;
/// `a + b`, `a - b`.
pub const SUM: u8 = 40;
/// `BETWEEN`, `IN`, `LIKE`, `SIMILAR TO`, `= SOME (…)`.
pub const RANGE: u8 = 32;
/// `a = b` and the other comparisons.
pub const COMPARISON: u8 = 30;
/// `a IS NULL` and the other tests.
pub const IS: u8 = 28;
/// `NOT a`.
pub const NOT: u8 = 26;
/// `a AND b`.
pub const AND: u8 = 24;
/// `a OR b`.
pub const OR: u8 = 22;

/// The binding power of an infix operator; all associate to the left.
pub fn of(operator: BinaryOperator) -> u8 {
    use BinaryOperator as Op;
    match operator {
        Op::Or => OR,
        Op::And => AND,
        Op::Plus | Op::Minus => SUM,
        Op::Multiply | Op::Divide | Op::Modulo | Op::Concat => PRODUCT,
        Op::MultisetIntersect | Op::MultisetIntersectAll => 18,
        Op::MultisetUnion | Op::MultisetUnionAll | Op::MultisetExcept | Op::MultisetExceptAll => 14,
        _ => COMPARISON,
    }
}
