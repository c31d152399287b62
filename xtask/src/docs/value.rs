//! The value of a constant's expression, and how the page shows it.

use anyhow::Context;

/// What an expression such as `4 << 20`, `Duration::from_secs(5)` or `u32::MAX as u64` comes to; milliseconds for
/// durations.
pub fn evaluate(text: &str) -> anyhow::Result<i128> {
    let text = text.trim();
    let duration = |name: &str| text.strip_prefix(name).and_then(|rest| rest.strip_suffix(')'));
    if let Some(seconds) = duration("Duration::from_secs(") {
        return Ok(evaluate(seconds)? * 1000);
    }
    if let Some(millis) = duration("Duration::from_millis(") {
        return evaluate(millis);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let (first, rest) = words.split_first().context("the expression is empty")?;
    let mut value = number(first)?;
    // Left to right is right for the chains of one operator that stand in the sources.
    for pair in rest.chunks(2) {
        let [operator, operand] = pair else {
            anyhow::bail!("'{text}' is too clever for a limit");
        };
        value = match *operator {
            "as" => value,
            "<<" => value << number(operand)?,
            "*" => value * number(operand)?,
            "+" => value + number(operand)?,
            "-" => value - number(operand)?,
            other => anyhow::bail!("'{other}' in '{text}' is too clever for a limit"),
        };
    }
    Ok(value)
}

fn number(text: &str) -> anyhow::Result<i128> {
    Ok(match text {
        "i16::MAX" => i128::from(i16::MAX),
        "i32::MAX" => i128::from(i32::MAX),
        "i64::MAX" => i128::from(i64::MAX),
        "u16::MAX" => i128::from(u16::MAX),
        "u32::MAX" => i128::from(u32::MAX),
        digits => digits
            .replace('_', "")
            .parse()
            .with_context(|| format!("'{digits}' is not a number"))?,
    })
}

/// A value as people read it, by the unit in the constant's name.
pub fn shown(name: &str, ty: &str, value: i128) -> String {
    let has = |word: &str| name.split('_').any(|part| part == word);
    if ty == "Duration" || has("MS") {
        return unit(
            value,
            &[
                ("d", 86_400_000),
                ("h", 3_600_000),
                ("min", 60_000),
                ("s", 1000),
                ("ms", 1),
            ],
        );
    }
    if has("BYTES") {
        return unit(
            value,
            &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("bytes", 1)],
        );
    }
    grouped(value)
}

/// In the largest unit that leaves no rest.
fn unit(value: i128, units: &[(&str, i128)]) -> String {
    let fits = |(_, size): &&(&str, i128)| value >= *size && value % size == 0;
    match units.iter().find(fits) {
        Some((name, size)) => format!("{} {name}", grouped(value / size)),
        None => grouped(value),
    }
}

/// `1,000,000`
fn grouped(value: i128) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_limits() {
        for (text, value) in [
            ("8192", 8192),
            ("4 << 20", 4_194_304),
            ("30 * 60_000", 1_800_000),
            ("u32::MAX as i64", 4_294_967_295),
            ("Duration::from_secs(5)", 5000),
        ] {
            assert_eq!(evaluate(text).expect(text), value);
        }
        assert!(evaluate("f(1)").is_err());
    }

    #[test]
    fn values_in_their_units() {
        assert_eq!(shown("FRAME_BYTES_MAX", "i64", 100 << 20), "100 MiB");
        assert_eq!(shown("WAIT_MS_MAX", "i64", 60_000), "1 min");
        assert_eq!(shown("ACCEPT_RETRY", "Duration", 100), "100 ms");
        assert_eq!(shown("ROWS_MAX", "usize", 1_000_000), "1,000,000");
    }
}
