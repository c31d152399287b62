//! Walking over JSON text byte by byte: white space, strings, numbers, skipping of values.
//!
//! Strict as RFC 8259 and as Jackson's defaults: no trailing commas, no unquoted names, no raw control characters in
//! strings. Positions are those of the whole message buffer, so that a string can be referred to where it lies.

use millstream_types::limits::NESTING_DEPTH_MAX;
use wide::u8x16;

use crate::ValueError;

/// What is wrong with the text, and where.
#[derive(Debug)]
pub struct ScanError {
    pub at: usize,
    pub reason: ValueError,
}

/// Where a string's content lies, and whether it has escapes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text {
    pub start: usize,
    pub end: usize,
    pub escaped: bool,
}

/// A position in a message.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    /// The whole buffer up to the end of the message.
    pub data: &'a [u8],
    pub at: usize,
    depth: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor over `data[start..end]`.
    pub fn new(data: &'a [u8], start: usize, end: usize) -> Self {
        Self {
            data: &data[..end.min(data.len())],
            at: start,
            depth: 0,
        }
    }

    /// Continues at a value that `depth` open brackets enclose.
    #[inline]
    pub fn set_depth(&mut self, depth: usize) {
        self.depth = depth;
    }

    /// Open brackets around the current position.
    pub fn depth(&self) -> usize {
        self.depth
    }

    pub fn error<T>(&self, reason: &'static str) -> Result<T, ScanError> {
        self.fail(ValueError::Syntax(reason))
    }

    pub fn fail<T>(&self, reason: ValueError) -> Result<T, ScanError> {
        Err(ScanError { at: self.at, reason })
    }

    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.data.get(self.at).copied()
    }

    #[inline]
    pub fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Consumes `byte` if it is next.
    #[inline]
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Consumes `byte`, or says what was found.
    pub fn expect(&mut self, byte: u8) -> Result<(), ScanError> {
        if self.eat(byte) {
            return Ok(());
        }
        match self.peek() {
            None => self.fail(ValueError::EndOfInput(char::from(byte))),
            Some(found) => self.fail(ValueError::Character {
                found: show(found).into(),
                expected: char::from(byte),
            }),
        }
    }

    /// Consumes `word` (`true`, `false`, `null`).
    pub fn expect_word(&mut self, word: &'static str) -> Result<(), ScanError> {
        let rest = &self.data[self.at..];
        let follows = rest.get(word.len()).copied();
        if rest.starts_with(word.as_bytes())
            && !follows.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            self.at += word.len();
            return Ok(());
        }
        self.error("unrecognized token: expected a JSON value")
    }

    /// Consumes a string; the cursor is at its opening quote.
    #[inline]
    pub fn string(&mut self) -> Result<Text, ScanError> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = plain(self.data, self.at).end;
            match self.peek() {
                None => return self.error("unexpected end-of-input in a string"),
                Some(b'"') => {
                    let end = self.at;
                    self.at += 1;
                    return Ok(Text { start, end, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(byte) => {
                    return self.fail(ValueError::ControlCharacter(byte));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let hex = self.data.get(self.at + 1..self.at + 5);
                if !hex.is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)) {
                    return self.error("invalid unicode escape in a string");
                }
                self.at += 5;
            }
            _ => return self.error("unrecognized character escape in a string"),
        }
        Ok(())
    }

    /// Consumes a number and returns where it lies and whether it is an integer (no fraction, no exponent).
    #[inline]
    pub fn number(&mut self) -> Result<(usize, usize, bool), ScanError> {
        let start = self.at;
        self.eat(b'-');
        let first = self.at;
        self.digits();
        let whole = self.at - first;
        if whole == 0 {
            return self.error("unrecognized token: expected a JSON value");
        }
        if whole > 1 && self.data[first] == b'0' {
            return self.error("invalid numeric value: leading zeroes not allowed");
        }
        let mut integer = true;
        if self.eat(b'.') {
            integer = false;
            let fraction = self.at;
            self.digits();
            if self.at == fraction {
                return self.error("invalid number: a digit must follow the decimal point");
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            let exponent = self.at;
            self.digits();
            if self.at == exponent {
                return self.error("invalid number: a digit must follow the exponent sign");
            }
        }
        if self
            .peek()
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
        {
            return self.error("unrecognized character behind a number");
        }
        Ok((start, self.at, integer))
    }

    #[inline]
    fn digits(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    /// Consumes a value of any kind.
    pub fn skip_value(&mut self) -> Result<(), ScanError> {
        match self.peek() {
            None => self.error("unexpected end-of-input: expected a JSON value"),
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{') => self.members(b'}', |cursor| {
                cursor.string()?;
                cursor.behind_colon()?;
                cursor.skip_value()
            }),
            Some(b'[') => self.members(b']', Self::skip_value),
            Some(b't') => self.expect_word("true"),
            Some(b'f') => self.expect_word("false"),
            Some(b'n') => self.expect_word("null"),
            Some(_) => self.number().map(|_| ()),
        }
    }

    /// Goes through an object or array, whose opening bracket is next, to behind its closing one: `member` is called at the
    /// start of each member and has to leave the cursor behind it.
    #[inline]
    pub fn members(
        &mut self,
        close: u8,
        mut member: impl FnMut(&mut Self) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        self.enter()?;
        self.skip_whitespace();
        if !self.eat(close) {
            loop {
                self.skip_whitespace();
                member(self)?;
                self.skip_whitespace();
                if !self.eat(b',') {
                    break;
                }
            }
            self.expect(close)?;
        }
        self.leave();
        Ok(())
    }

    /// Goes from the end of a key to the start of its value.
    #[inline]
    pub fn behind_colon(&mut self) -> Result<(), ScanError> {
        self.skip_whitespace();
        self.expect(b':')?;
        self.skip_whitespace();
        Ok(())
    }

    /// Consumes the opening bracket of an object or array.
    pub fn enter(&mut self) -> Result<(), ScanError> {
        self.at += 1;
        self.depth += 1;
        if self.depth > NESTING_DEPTH_MAX {
            return self.fail(ValueError::Nesting(NESTING_DEPTH_MAX));
        }
        Ok(())
    }

    /// Notes that an object or array was closed.
    pub fn leave(&mut self) {
        self.depth -= 1;
    }
}

fn show(byte: u8) -> String {
    if byte.is_ascii_graphic() || byte == b' ' {
        char::from(byte).to_string()
    } else {
        format!("\\x{byte:02x}")
    }
}

/// A run of bytes without quotes, backslashes and control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Position of the byte that ends it, or the end of the data.
    pub end: usize,
    /// No byte of it is above 0x7f, so that it needs no check for UTF-8.
    pub ascii: bool,
}

/// The plain bytes from `at` on, sixteen at a time.
#[inline]
pub fn plain(data: &[u8], mut at: usize) -> Plain {
    const BYTES: usize = 16;
    let mut high = 0;
    while let Some(chunk) = data
        .get(at..at + BYTES)
        .and_then(|c| <[u8; BYTES]>::try_from(c).ok())
    {
        let bytes = u8x16::new(chunk);
        let special = bytes.simd_eq(u8x16::splat(b'"'))
            | bytes.simd_eq(u8x16::splat(b'\\'))
            | bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
        let (special, above) = (special.to_bitmask(), bytes.to_bitmask());
        if special != 0 {
            let count = special.trailing_zeros();
            high |= above & ((1 << count) - 1);
            return Plain {
                end: at + count as usize,
                ascii: high == 0,
            };
        }
        high |= above;
        at += BYTES;
    }
    let mut ascii = high == 0;
    while let Some(byte) = data.get(at).filter(|b| !matches!(b, b'"' | b'\\' | 0..=0x1f)) {
        ascii &= byte.is_ascii();
        at += 1;
    }
    Plain { end: at, ascii }
}

/// Appends the content of an escaped string to `out`, without escapes. Lone surrogates become U+FFFD.
pub fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < raw.len() {
        let plain = raw[at..]
            .iter()
            .position(|b| *b == b'\\')
            .map_or(raw.len(), |n| at + n);
        out.extend_from_slice(&raw[at..plain]);
        at = plain;
        let Some(kind) = raw.get(at + 1) else { return };
        at += 2;
        match kind {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let (character, used) = unicode_escape(raw, at);
                at += used;
                let mut buffer = [0; 4];
                out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
            }
            other => out.push(*other),
        }
    }
}

/// The character of the hex digits at `at`, joined with a second escape if they are a surrogate pair, and the number of
/// bytes used.
fn unicode_escape(raw: &[u8], at: usize) -> (char, usize) {
    let Some(high) = hex4(raw, at) else {
        return (char::REPLACEMENT_CHARACTER, 0);
    };
    if (0xD800..0xDC00).contains(&high)
        && raw.get(at + 4..at + 6) == Some(b"\\u")
        && let Some(low) = hex4(raw, at + 6).filter(|low| (0xDC00..0xE000).contains(low))
    {
        let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 10);
    }
    (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 4)
}

fn hex4(raw: &[u8], at: usize) -> Option<u32> {
    let text = std::str::from_utf8(raw.get(at..at + 4)?).ok()?;
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_bytes_end_at_quotes_backslashes_and_controls() {
        for (text, expected) in [
            ("abc\"", 3),
            ("abcdefghij\\", 10),
            ("\u{1}", 0),
            ("no end", 6),
            ("éééééééé\"", 16),
            ("\u{7f}~!\"", 3),
            ("sixteen bytes at a time, and the rest\" é", 37),
            ("sixteen bytes at é time, and the rest\\", 38),
            ("sixteen bytes at a time, and é", 31),
        ] {
            let found = plain(text.as_bytes(), 0);
            let ascii = text.as_bytes()[..expected].is_ascii();
            assert_eq!(found, Plain { end: expected, ascii }, "{text}");
        }
    }

    #[test]
    fn values_are_skipped_strictly() {
        for good in [
            "1",
            "-0.5e+3",
            "\"a\\u00e9\"",
            "[]",
            "[1, {\"a\": null}]",
            "{\"a\":{\"b\":[true,false]}}",
        ] {
            let mut cursor = Cursor::new(good.as_bytes(), 0, good.len());
            assert!(cursor.skip_value().is_ok() && cursor.at == good.len(), "{good}");
        }
        for bad in [
            "01",
            "1.",
            "+1",
            "[1,]",
            "{a:1}",
            "\"\\x\"",
            "tru",
            "nullx",
            "\"open",
            "{\"a\" 1}",
            "-",
            "1e",
        ] {
            let mut cursor = Cursor::new(bad.as_bytes(), 0, bad.len());
            assert!(cursor.skip_value().is_err(), "{bad}");
        }
        let deep = "[".repeat(100_000);
        assert!(Cursor::new(deep.as_bytes(), 0, deep.len()).skip_value().is_err());
    }

    #[test]
    fn escapes_are_resolved() {
        let mut out = Vec::new();
        unescape(br#"a\n\u00e9\ud83d\ude00\ud83d!\/"#, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "a\né😀\u{fffd}!/");
    }
}
