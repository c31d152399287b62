//! JSON text as a tree, and a tree as text.

use millstream_types::limits::NESTING_DEPTH_MAX;

use super::error::JsonError;
use super::number::BigDecimal;

/// A JSON value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Json {
    Null,
    Boolean(bool),
    /// Text of the number as Java prints it: an integer as it was written, any other as a `BigDecimal`.
    Number(String),
    String(String),
    Array(Vec<Json>),
    /// Members in the order of their first appearance; of equal keys the last value.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The first JSON value of a text; what follows it is not looked at.
    pub(crate) fn parse(text: &str) -> Result<Self, JsonError> {
        let mut reader = Reader {
            text,
            at: 0,
            depth: 0,
            raw_numbers: false,
            duplicate: None,
        };
        let value = reader.value()?;
        reader.end_of_scalar(&value)?;
        Ok(value)
    }

    /// As [`Self::parse`], but numbers keep the text that they are written with; and the first key that came twice in one
    /// object.
    pub(crate) fn parse_raw(text: &str) -> Result<(Self, Option<String>), JsonError> {
        let mut reader = Reader {
            text,
            at: 0,
            depth: 0,
            raw_numbers: true,
            duplicate: None,
        };
        let value = reader.value()?;
        reader.end_of_scalar(&value)?;
        Ok((value, reader.duplicate))
    }

    pub(crate) fn is_scalar(&self) -> bool {
        !matches!(self, Self::Array(_) | Self::Object(_))
    }

    pub(crate) fn member(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Appends the JSON text without blanks, the members of objects ordered by key.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Boolean(b) => out.push_str(if *b { "true" } else { "false" }),
            Self::Number(text) => out.push_str(text),
            Self::String(text) => write_string(text, out),
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                let mut ordered: Vec<&(String, Json)> = members.iter().collect();
                ordered.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                out.push('{');
                for (i, (key, value)) in ordered.into_iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Appends a scalar as plain text: a string without quotes.
    pub(crate) fn write_scalar(&self, out: &mut String) {
        match self {
            Self::String(text) => out.push_str(text),
            other => other.write(out),
        }
    }
}

/// Appends a JSON string: quotes, backslashes and control characters are escaped, nothing else.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut copied = 0;
    for (i, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            b'\t' => "\\t",
            b'\n' => "\\n",
            0x0C => "\\f",
            b'\r' => "\\r",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[copied..i]);
        copied = i + 1;
        if short.is_empty() {
            out.push_str(&format!("\\u{byte:04X}"));
        } else {
            out.push_str(short);
        }
    }
    out.push_str(&text[copied..]);
    out.push('"');
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    raw_numbers: bool,
    /// The first key that came twice in one object.
    duplicate: Option<String>,
}

impl<'t> Reader<'t> {
    fn error(&self, what: &'static str) -> JsonError {
        JsonError::text(self.text, what, self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// A number or word must not run into other characters.
    fn end_of_scalar(&self, value: &Json) -> Result<(), JsonError> {
        let bare = matches!(value, Json::Null | Json::Boolean(_) | Json::Number(_));
        match self.peek() {
            None | Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}' | b':') => Ok(()),
            Some(_) if bare => Err(self.error("unexpected character")),
            Some(_) => Ok(()),
        }
    }

    fn value(&mut self) -> Result<Json, JsonError> {
        self.skip_blanks();
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Boolean(true)),
            Some(b'f') => self.word("false", Json::Boolean(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.error("unrecognized token")),
            None => Err(self.error("no content")),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Json, JsonError>) -> Result<Json, JsonError> {
        self.depth += 1;
        if self.depth > NESTING_DEPTH_MAX {
            return Err(self.error("values are nested too deeply"));
        }
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, JsonError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.error("unrecognized token"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn array(&mut self) -> Result<Json, JsonError> {
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            let item = self.value()?;
            self.end_of_scalar(&item)?;
            items.push(item);
            if self.eat(b']') {
                return Ok(Json::Array(items));
            }
            if !self.eat(b',') {
                return Err(self.error("expected ',' or ']'"));
            }
        }
    }

    fn object(&mut self) -> Result<Json, JsonError> {
        let mut members: Vec<(String, Json)> = Vec::new();
        // Past this many members a set finds equal keys.
        const SEARCHED_MAX: usize = 16;
        let mut known: hashbrown::HashMap<String, usize> = hashbrown::HashMap::new();
        if self.eat(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a member name in quotes"));
            }
            let key = self.string()?;
            if !self.eat(b':') {
                return Err(self.error("expected ':'"));
            }
            let value = self.value()?;
            self.end_of_scalar(&value)?;
            if members.len() == SEARCHED_MAX {
                known.extend(members.iter().enumerate().map(|(i, (key, _))| (key.clone(), i)));
            }
            let same = if members.len() < SEARCHED_MAX {
                members.iter().position(|(k, _)| *k == key)
            } else {
                known.get(&key).copied()
            };
            match same {
                Some(i) => {
                    members[i].1 = value;
                    self.duplicate.get_or_insert(key);
                }
                None => {
                    if members.len() >= SEARCHED_MAX {
                        known.insert(key.clone(), members.len());
                    }
                    members.push((key, value));
                }
            }
            if self.eat(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.eat(b',') {
                return Err(self.error("expected ',' or '}'"));
            }
        }
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        let digits = |reader: &mut Self| {
            let from = reader.at;
            while reader.peek().is_some_and(|b| b.is_ascii_digit()) {
                reader.at += 1;
            }
            reader.at - from
        };
        self.at += usize::from(self.peek() == Some(b'-'));
        let zero = self.peek() == Some(b'0');
        let whole = digits(self);
        if whole == 0 || (zero && whole > 1) {
            return Err(self.error("malformed number"));
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            if digits(self) == 0 {
                return Err(self.error("malformed number"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            if digits(self) == 0 {
                return Err(self.error("malformed number"));
            }
        }
        let text = &self.text[start..self.at];
        if self.raw_numbers {
            return Ok(Json::Number(text.to_owned()));
        }
        if integer {
            return Ok(Json::Number(if text == "-0" {
                "0".to_owned()
            } else {
                text.to_owned()
            }));
        }
        let number = BigDecimal::parse(text).ok_or_else(|| self.error("malformed number"))?;
        let mut printed = String::with_capacity(text.len());
        number.write(&mut printed);
        Ok(Json::Number(printed))
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        let mut copied = self.at;
        loop {
            match self.peek() {
                None => return Err(self.error("unclosed string")),
                Some(b'"') => {
                    out.push_str(&self.text[copied..self.at]);
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(&self.text[copied..self.at]);
                    self.at += 1;
                    self.escape(&mut out)?;
                    copied = self.at;
                }
                Some(0..0x20) => return Err(self.error("control character in a string")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), JsonError> {
        let Some(byte) = self.peek() else {
            return Err(self.error("unclosed string"));
        };
        self.at += 1;
        out.push(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(out),
            _ => return Err(self.error("unrecognized character escape")),
        });
        Ok(())
    }

    fn unit(&mut self) -> Result<u16, JsonError> {
        let hex = self
            .text
            .get(self.at..self.at + 4)
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = hex.and_then(|hex| u16::from_str_radix(hex, 16).ok());
        let unit = unit.ok_or_else(|| self.error("malformed unicode escape"))?;
        self.at += 4;
        Ok(unit)
    }

    /// One or two UTF-16 units; half a pair cannot be kept and becomes `?`.
    fn unicode_escape(&mut self, out: &mut String) -> Result<(), JsonError> {
        let first = self.unit()?;
        let mut units = vec![first];
        if (0xD800..0xDC00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            let second = self.unit()?;
            if (0xDC00..0xE000).contains(&second) {
                units.push(second);
            } else {
                self.at = before;
            }
        }
        crate::scalar::string::push_utf16(units, out);
        Ok(())
    }
}
