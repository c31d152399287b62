//! Drives parsers of external bytes with damaged input from a seed, and measures the memory that they allocate.
//!
//! A [`Target`] is a function that must not panic on any input. [`drive`] starts with valid inputs, damages them, and
//! damages the results again. A test binary that does so contains nothing else, because memory is counted for the whole
//! process, with an allocator of its own. libFuzzer drives the same functions from `fuzz/` and finds new paths better;
//! this driver needs no special compiler and runs with the other tests.

use millstream_types::{Rng, SeededRng};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Executions of a target in an ordinary test run.
const EXECUTIONS: u64 = 3_000;
/// Memory allowed per byte received before authentication.
const MEMORY_PER_BYTE: usize = 16;
/// Memory allowed for any input on top of that: the copy of the frame and small fixed parts.
const ALLOWANCE_BYTES: usize = 8_192;
/// The longest input that damage makes.
const LONGEST_INPUT_BYTES: usize = 1 << 14;
/// Damaged inputs that are kept to be damaged again.
const POOL_INPUTS: usize = 64;

/// Something that reads bytes from outside.
pub struct Target {
    /// Name on the command line.
    pub name: &'static str,
    /// Reads an input.
    pub run: fn(&[u8]),
    /// Whether unauthenticated clients reach it; then its memory must be bounded by the bytes received.
    pub is_before_authentication: bool,
}

impl Target {
    /// A target that every client can reach.
    pub const fn before(name: &'static str, run: fn(&[u8])) -> Self {
        Target {
            name,
            run,
            is_before_authentication: true,
        }
    }

    /// A target behind authentication, or one that reads what the process itself has written.
    pub const fn after(name: &'static str, run: fn(&[u8])) -> Self {
        Target {
            name,
            run,
            is_before_authentication: false,
        }
    }
}

/// Runs a closure and returns the number of bytes that it allocated.
pub type Allocated = fn(&mut dyn FnMut()) -> usize;

/// How often which targets are run, by the variables that `cargo xtask fuzz` sets.
#[derive(Debug)]
pub struct Order {
    /// The only target, if not all.
    pub only: Option<String>,
    /// `FUZZ_EXECUTIONS`
    pub executions: u64,
    /// `FUZZ_SEED`
    pub seed: u64,
}

impl Order {
    /// As the environment says, else as every test run does.
    pub fn given() -> Self {
        let number = |name: &str| std::env::var(name).ok()?.parse().ok();
        Order {
            only: std::env::var("FUZZ_TARGET").ok(),
            executions: number("FUZZ_EXECUTIONS").unwrap_or(EXECUTIONS),
            seed: number("FUZZ_SEED").unwrap_or(1),
        }
    }
}

/// Drives all targets that are asked for, one after the other; `corpus` gives the valid inputs of each.
///
/// # Panics
/// If a target panics or takes too much memory; the message has the input.
pub fn drive_all(order: &Order, targets: &[Target], corpus: fn(&str) -> Vec<Vec<u8>>, allocated: Allocated) {
    let is_asked = |target: &&Target| order.only.as_ref().is_none_or(|only| only == target.name);
    for target in targets.iter().filter(is_asked) {
        drive(target, order, &corpus(target.name), allocated);
        println!("{}: {} executions", target.name, order.executions);
    }
}

/// Drives one target.
///
/// # Panics
/// If the target panics or takes too much memory; the message has the input.
pub fn drive(target: &Target, order: &Order, seeds: &[Vec<u8>], allocated: Allocated) {
    let rng = SeededRng::new(order.seed);
    let mut pool = seeds.to_vec();
    for execution in 0..order.executions {
        let pick = |pool: &[Vec<u8>]| pool[rng.below(pool.len() as u64) as usize].clone();
        let (mut input, other) = (pick(&pool), pick(seeds));
        match seeds.get(execution as usize) {
            Some(seed) => input.clone_from(seed),
            None => damage(&rng, &mut input, &other),
        }
        execute(target, &input, execution, allocated);
        // Damage upon damage, now and then.
        if rng.below(64) == 0 {
            if pool.len() < seeds.len() + POOL_INPUTS {
                pool.push(input)
            } else {
                let at = seeds.len() + rng.below(POOL_INPUTS as u64) as usize;
                pool[at] = input;
            }
        }
    }
}

fn execute(target: &Target, input: &[u8], execution: u64, allocated: Allocated) {
    let mut is_sound = true;
    let bytes = allocated(&mut || is_sound = catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_ok());
    let replay = || {
        let name = target.name;
        format!("target {name}, execution {execution}, input {input:02x?}")
    };
    assert!(is_sound, "panic: {}", replay());
    let limit = input.len() * (MEMORY_PER_BYTE + 1) + ALLOWANCE_BYTES;
    if target.is_before_authentication {
        assert!(
            bytes <= limit,
            "{bytes} bytes allocated, {limit} allowed: {}",
            replay()
        );
    }
}

/// Damages an input: flips bits, writes boundary values, cuts and repeats pieces, or copies them from another input.
pub fn damage(rng: &SeededRng, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=rng.below(4) {
        let at = rng.below(input.len() as u64 + 1) as usize;
        let end = at + rng.below((input.len() - at) as u64 + 1) as usize;
        match rng.below(9) {
            0 | 1 => flip(rng, input, at),
            2 => edge(rng, input, at),
            3 => _ = input.drain(at..end),
            4 => input.truncate(at),
            5 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            6 => {
                let from = rng.below(other.len() as u64 + 1) as usize;
                let count = rng.below(other.len() as u64 - from as u64 + 1) as usize;
                input.splice(at..end, other[from..from + count].iter().copied());
            }
            7 => {
                let bytes: Vec<u8> = (0..rng.below(16)).map(|_| rng.below(256) as u8).collect();
                input.splice(at..at, bytes);
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = rng.below(256) as u8;
                }
            }
        }
        input.truncate(LONGEST_INPUT_BYTES);
    }
}

fn flip(rng: &SeededRng, input: &mut [u8], at: usize) {
    if let Some(byte) = input.get_mut(at) {
        *byte ^= 1 << rng.below(8);
    }
}

/// Overwrites a number with one that breaks sums.
fn edge(rng: &SeededRng, input: &mut [u8], at: usize) {
    const EDGES: [u64; 9] = [
        0,
        1,
        0x7f,
        0xff,
        0x7fff,
        0x7fff_ffff,
        0xffff_ffff,
        0x7fff_ffff_ffff_ffff,
        u64::MAX,
    ];
    let value = EDGES[rng.below(9) as usize];
    let width = [1, 2, 4, 8][rng.below(4) as usize];
    let bytes = match rng.below(2) {
        0 => value.to_be_bytes()[8 - width..].to_vec(),
        _ => value.to_le_bytes()[..width].to_vec(),
    };
    for (to, from) in input.iter_mut().skip(at).zip(bytes) {
        *to = from;
    }
}
