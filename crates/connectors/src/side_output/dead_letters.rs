//! Records that a source cannot decode.

use std::ops::Range;

use millstream_dataflow::{Context, DEAD_LETTERS, DataflowError, Operator, OperatorFactory, Output};
use millstream_formats::DecodeError;
use millstream_types::Records;

use super::{Collector, Describe, Messages};

const HEADER_REASON: &str = "__millstream.errors.message";
const HEADER_TABLE: &str = "__millstream.errors.table";

/// A record that cannot be decoded, with its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetter {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub timestamp_ms: Option<i64>,
    /// Headers of the record.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Where it lies, as names and values of further headers.
    pub place: Vec<(&'static str, String)>,
    pub reason: String,
}

/// Emits dead letters behind the source that found them.
pub(crate) fn emit(letters: Vec<DeadLetter>, out: &mut dyn Output) -> Result<(), DataflowError> {
    if letters.is_empty() {
        return Ok(());
    }
    let mut records = Records::new(letters);
    records.output = DEAD_LETTERS;
    out.records(records)
}

/// Decodes what can be decoded: calls `decode` for ranges, and `skip` for each message that fails, in order.
///
/// A decoder keeps nothing of a call that fails, so messages before the failing one are decoded again. Ranges double
/// behind a success and shrink at a failure: a few failures cost a few short batches, and where everything fails no
/// message is decoded more than twice.
pub(crate) fn decode_around<T>(
    whole: Range<usize>,
    mut decode: impl FnMut(Range<usize>) -> Result<T, DecodeError>,
    mut skip: impl FnMut(usize, String),
) -> Vec<T> {
    let (mut decoded, mut next, mut step) = (Vec::new(), whole.start, whole.len());
    while next < whole.end {
        let end = whole.end.min(next.saturating_add(step));
        match decode(next..end) {
            Ok(part) => {
                decoded.push(part);
                next = end;
                step = step.saturating_mul(2);
            }
            Err(error) if end - next == 1 => {
                skip(next, error.to_string());
                next = end;
                step = 1;
            }
            Err(error) => step = error.message.clamp(1, end - next - 1),
        }
    }
    decoded
}

/// Makes the operators that turn dead letters into messages.
pub struct DeadLetterCollector {
    /// The table whose source stands before it.
    pub table: String,
}

impl OperatorFactory for DeadLetterCollector {
    fn create(&self, _: &Context) -> Result<Box<dyn Operator>, DataflowError> {
        Ok(Box::new(Collector(DeadLetters {
            table: self.table.clone(),
        })))
    }
}

struct DeadLetters {
    table: String,
}

impl Describe for DeadLetters {
    type Row = DeadLetter;
    const OUTPUT: u32 = DEAD_LETTERS;

    fn describe(&mut self, letter: &DeadLetter, messages: &mut Messages) -> Result<(), DataflowError> {
        messages.begin(
            letter.key.as_deref(),
            letter.value.as_deref(),
            letter.timestamp_ms,
        );
        for (name, value) in &letter.headers {
            messages.header(name, value);
        }
        messages.header(HEADER_TABLE, self.table.as_bytes());
        for (name, value) in &letter.place {
            messages.header(name, value.as_bytes());
        }
        messages.header(HEADER_REASON, letter.reason.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use millstream_formats::ValueError;

    use super::*;

    /// Decodes numbers; fails at the first that is in `wrong`.
    fn run(count: usize, wrong: &[usize]) -> (Vec<usize>, Vec<usize>, usize) {
        let (mut skipped, mut work) = (Vec::new(), 0);
        let decode = |range: Range<usize>| {
            let failing = range.clone().find(|message| wrong.contains(message));
            work += failing.unwrap_or(range.end) - range.start + 1;
            match failing {
                None => Ok(range.collect::<Vec<usize>>()),
                Some(message) => Err(DecodeError {
                    message: message - range.start,
                    subject: None,
                    reason: ValueError::Number(message.to_string().into()),
                }),
            }
        };
        let decoded = decode_around(0..count, decode, |message, reason| {
            assert_eq!(reason, format!("For input string: \"{message}\""));
            skipped.push(message);
        });
        (decoded.concat(), skipped, work)
    }

    #[test]
    fn every_message_is_decoded_or_skipped_once_and_in_order() {
        let cases: [&[usize]; 8] = [
            &[],
            &[0],
            &[9],
            &[4],
            &[4, 5],
            &[0, 9],
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
            &[1, 3, 5, 7],
        ];
        for wrong in cases {
            let (decoded, skipped, work) = run(10, wrong);
            let right: Vec<usize> = (0..10).filter(|m| !wrong.contains(m)).collect();
            assert_eq!((decoded, skipped), (right, wrong.to_vec()));
            assert!(work <= 5 * 10, "{work} for {wrong:?}");
        }
    }

    /// Keys are decoded after values, so an error may lie before the one that was found first.
    #[test]
    fn an_error_before_the_one_that_was_found_is_found_too() {
        let (keys, values) = ([2usize], [6usize]);
        let mut skipped = Vec::new();
        let decode = |range: Range<usize>| {
            let first = |wrong: &[usize]| range.clone().find(|m| wrong.contains(m));
            match first(&values).or_else(|| first(&keys)) {
                None => Ok(range.collect::<Vec<usize>>()),
                Some(message) => Err(DecodeError {
                    message: message - range.start,
                    subject: None,
                    reason: ValueError::Utf8,
                }),
            }
        };
        let decoded = decode_around(0..8, decode, |message, _| skipped.push(message));
        assert_eq!((decoded.concat(), skipped), (vec![0, 1, 3, 4, 5, 7], vec![2, 6]));
    }
}
