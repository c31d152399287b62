//! Records for the example programs: the same in every run.

use std::fmt::Write;

/// Numbers without a pattern that a program could profit from.
struct Numbers(u64);

impl Numbers {
    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// When the first record was made: records of long ago are kept by the topics, those of the future are refused.
const BEGIN_MS: i64 = 1_700_000_000_000;
const WORDS: u64 = 2_000;
const WORDS_PER_LINE: u64 = 8;
const ACCOUNTS: u64 = 1_000;
const SENSORS: u64 = 1_000;
const CUSTOMERS: u64 = 500;
const COUNTRIES: u64 = 50;

/// Writes records of one kind, one after the other, with their timestamps.
pub struct Input {
    kind: &'static str,
    numbers: Numbers,
    count: i64,
}

impl Input {
    pub fn new(kind: &'static str) -> Self {
        Self {
            kind,
            numbers: Numbers(7),
            count: 0,
        }
    }

    /// The next record; gives its timestamp, ten thousand records a second.
    pub fn write(&mut self, text: &mut String) -> i64 {
        let number = self.count;
        self.count += 1;
        let ts = BEGIN_MS + number / 10;
        text.clear();
        let numbers = &mut self.numbers;
        // Writing to a string does not fail.
        let _ = match self.kind {
            "lines" => {
                for place in 0..WORDS_PER_LINE {
                    let space = if place == 0 { "" } else { " " };
                    let _ = write!(text, "{space}word{}", numbers.below(WORDS));
                }
                Ok(())
            }
            "transactions" => {
                let account = numbers.below(ACCOUNTS);
                let amount = match numbers.below(10) {
                    0 => "0.5".to_owned(),
                    1 => format!("{}.25", 501 + numbers.below(500)),
                    _ => format!("{}.75", 1 + numbers.below(400)),
                };
                // A record of an account comes every ten seconds of this time.
                let ts = BEGIN_MS + number * 10;
                write!(text, r#"{{"account":{account},"amount":{amount},"ts":{ts}}}"#)
            }
            "readings" => {
                let (sensor, value) = (numbers.below(SENSORS), numbers.below(4_000));
                let ts = BEGIN_MS + number - numbers.below(900) as i64;
                write!(
                    text,
                    r#"{{"sensor":"sensor-{sensor}","value":{}.25,"ts":{ts}}}"#,
                    value
                )
            }
            "temperatures" => {
                let (sensor, celsius) = (numbers.below(SENSORS), 80 + numbers.below(30));
                // Up to 600 ms out of order, and never twice the same: Flink's sort in BATCH mode is not stable.
                let at_ms = BEGIN_MS + number * 2 - number % 3 * 300;
                write!(
                    text,
                    r#"{{"sensor":"sensor-{sensor}","at_ms":{at_ms},"celsius":{celsius}.5}}"#
                )
            }
            "orders" => write!(
                text,
                r#"{{"order":{number},"customer":{}}}"#,
                numbers.below(CUSTOMERS)
            ),
            "payments" => {
                let (country, amount) = (numbers.below(COUNTRIES), numbers.below(1_000));
                write!(text, r#"{{"country":"country-{country}","amount":{amount}.5}}"#)
            }
            "rules" => {
                // Later limits replace earlier ones; some countries have none.
                let (country, limit) = (numbers.below(COUNTRIES - 5), numbers.below(1_000));
                write!(text, r#"{{"country":"country-{country}","limit":{limit}.0}}"#)
            }
            _ => {
                let (key, value) = (numbers.below(20), numbers.below(100));
                // Up to 150 s late: in time, within the lateness, and too late.
                let late = [0, 0, 0, 20_000, 80_000, 150_000][numbers.below(6) as usize];
                let ts = BEGIN_MS + number * 100 - late;
                write!(text, r#"{{"key":"key-{key}","value":{value},"ts":{ts}}}"#)
            }
        };
        ts
    }
}
