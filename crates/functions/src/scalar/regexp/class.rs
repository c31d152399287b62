//! Character classes of Java's regular expressions, written as classes of the `regex` crate.

use super::PatternError;
use super::syntax::Parser;

/// `\d`, `\w`, `\s` and their like: ASCII, as Java's are by default.
pub(super) fn predefined(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[a-zA-Z_0-9]",
        'W' => "[^a-zA-Z_0-9]",
        's' => r"[ \t\n\x0B\f\r]",
        'S' => r"[^ \t\n\x0B\f\r]",
        'h' => r"[ \t\x{A0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]",
        'H' => r"[^ \t\x{A0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]",
        'v' => r"[\n\x0B\f\r\x{85}\x{2028}\x{2029}]",
        'V' => r"[^\n\x0B\f\r\x{85}\x{2028}\x{2029}]",
        _ => return None,
    })
}

/// A character as `regex` syntax, inside and outside of classes.
pub(super) fn escaped(c: char) -> String {
    if c.is_ascii_alphanumeric() || !c.is_ascii() {
        c.to_string()
    } else {
        format!("\\x{{{:x}}}", c as u32)
    }
}

/// The character of an escape such as `\n`, `\x41`, `\u00e9`, `\.`; `first` is the character after the backslash.
pub(super) fn escaped_char(parser: &mut Parser, first: char) -> Result<char, PatternError> {
    Ok(match first {
        't' => '\t',
        'n' => '\n',
        'r' => '\r',
        'f' => '\u{c}',
        'a' => '\u{7}',
        'e' => '\u{1b}',
        '0' => octal(parser)?,
        'x' if parser.eat("{") => {
            let mut value = 0u32;
            loop {
                match parser.next() {
                    Some('}') => break,
                    Some(c) if c.is_ascii_hexdigit() && value <= 0x10_FFFF => {
                        value = value * 16 + c.to_digit(16).unwrap_or(0);
                    }
                    _ => return Err(parser.invalid("unclosed hexadecimal escape sequence")),
                }
            }
            code_point(parser, value)?
        }
        'x' => {
            let value = hexadecimal(parser, 2)?;
            code_point(parser, value)?
        }
        'u' => unicode(parser)?,
        'c' => match parser.next() {
            Some(c) if c.is_ascii() => char::from(c as u8 ^ 64),
            _ => return Err(parser.invalid("illegal control escape sequence")),
        },
        c if c.is_ascii_alphabetic() => {
            return Err(parser.invalid(format!("illegal escape sequence '\\{c}'")));
        }
        c => c,
    })
}

fn octal(parser: &mut Parser) -> Result<char, PatternError> {
    let mut value = 0;
    let mut digits = 0;
    while let Some(digit) = parser.peek().and_then(|c| c.to_digit(8)) {
        if digits == 3 || value * 8 + digit > 0o377 {
            break;
        }
        value = value * 8 + digit;
        digits += 1;
        parser.at += 1;
    }
    if digits == 0 {
        return Err(parser.invalid("illegal octal escape sequence"));
    }
    code_point(parser, value)
}

fn hexadecimal(parser: &mut Parser, digits: usize) -> Result<u32, PatternError> {
    let mut value = 0;
    for _ in 0..digits {
        let digit = parser.next().and_then(|c| c.to_digit(16));
        value = value * 16 + digit.ok_or_else(|| parser.invalid("illegal hexadecimal escape sequence"))?;
    }
    Ok(value)
}

/// `\uD83D\uDE00` is one character, as in Java.
fn unicode(parser: &mut Parser) -> Result<char, PatternError> {
    let high = hexadecimal(parser, 4)?;
    if (0xD800..0xDC00).contains(&high) && parser.eat("\\u") {
        let low = hexadecimal(parser, 4)?;
        if (0xDC00..0xE000).contains(&low) {
            return code_point(parser, 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00));
        }
    }
    code_point(parser, high)
}

fn code_point(parser: &Parser, value: u32) -> Result<char, PatternError> {
    char::from_u32(value).ok_or_else(|| parser.invalid("the escape sequence is not a character"))
}

/// `\p{…}` after the `p`.
pub(super) fn property(parser: &mut Parser, negated: bool) -> Result<String, PatternError> {
    let mut name = String::new();
    if parser.eat("{") {
        loop {
            match parser.next() {
                Some('}') => break,
                Some(c) => name.push(c),
                None => return Err(parser.invalid("unclosed character family")),
            }
        }
    } else {
        name.extend(parser.next());
    }
    let members = named(parser, &name)?;
    Ok(if negated {
        format!("[^{members}]")
    } else {
        format!("[{members}]")
    })
}

/// Members of a named class: POSIX names are ASCII, `Is…` is a script or a binary property, `java…` a method of Character.
fn named(parser: &Parser, name: &str) -> Result<String, PatternError> {
    let ascii = match name {
        "Lower" => "a-z",
        "Upper" => "A-Z",
        "ASCII" => r"\x00-\x7F",
        "Alpha" => "a-zA-Z",
        "Digit" => "0-9",
        "Alnum" => "a-zA-Z0-9",
        "Punct" => r"!-/:-@\[-`{-~",
        "Graph" => "!-~",
        "Print" => " -~",
        "Blank" => r" \t",
        "Cntrl" => r"\x00-\x1F\x7F",
        "XDigit" => "0-9a-fA-F",
        "Space" => r" \t\n\x0B\f\r",
        "javaLowerCase" => r"\p{Lowercase}",
        "javaUpperCase" => r"\p{Uppercase}",
        "javaWhitespace" => r"\p{White_Space}",
        "javaLetter" => r"\p{L}",
        "javaDigit" => r"\p{Nd}",
        "javaLetterOrDigit" => r"\p{L}\p{Nd}",
        "javaAlphabetic" => r"\p{Alphabetic}",
        "L1" => r"\x00-\x{FF}",
        "all" => r"\x00-\x{10FFFF}",
        "LC" => r"\p{Lu}\p{Ll}\p{Lt}",
        _ => "",
    };
    if !ascii.is_empty() {
        return Ok(ascii.to_owned());
    }
    if name.starts_with("In") || name.to_ascii_lowercase().starts_with("blk=") {
        return Err(parser.unsupported(format!("the Unicode block '{name}'")));
    }
    let bare = name.strip_prefix("Is").unwrap_or(name);
    let bare = if bare.eq_ignore_ascii_case("Letter") {
        "L"
    } else {
        bare
    };
    let class = format!(r"\p{{{bare}}}");
    match regex::Regex::new(&class) {
        Ok(_) => Ok(class),
        Err(_) => Err(parser.invalid(format!("unknown character property name '{name}'"))),
    }
}

/// A class in brackets, after the opening one.
pub(super) fn bracketed(parser: &mut Parser) -> Result<String, PatternError> {
    bracketed_at(parser, 0)
}

fn bracketed_at(parser: &mut Parser, depth: usize) -> Result<String, PatternError> {
    if depth > millstream_types::limits::NESTING_DEPTH_MAX {
        return Err(parser.invalid("classes are nested too deeply"));
    }
    let mut out = String::from("[");
    if parser.eat("^") {
        out.push('^');
    }
    let mut first = true;
    loop {
        let Some(c) = parser.next() else {
            return Err(parser.invalid("unclosed character class"));
        };
        match c {
            ']' if !first => break,
            '[' => out.push_str(&bracketed_at(parser, depth + 1)?),
            '&' if parser.eat("&") => out.push_str("&&"),
            '\\' if parser.eat("Q") => quoted_members(parser, &mut out),
            '\\' => escaped_member(parser, &mut out)?,
            other => member(parser, other, &mut out)?,
        }
        first = false;
    }
    out.push(']');
    Ok(out)
}

fn quoted_members(parser: &mut Parser, out: &mut String) {
    while !parser.eat("\\E") {
        match parser.next() {
            Some(c) => push_range(parser, c, c, out),
            None => return,
        }
    }
}

fn escaped_member(parser: &mut Parser, out: &mut String) -> Result<(), PatternError> {
    let Some(c) = parser.next() else {
        return Err(parser.invalid("unclosed character class"));
    };
    if let Some(class) = predefined(c) {
        out.push_str(class);
        return Ok(());
    }
    if c == 'p' || c == 'P' {
        out.push_str(&property(parser, c == 'P')?);
        return Ok(());
    }
    let literal = escaped_char(parser, c)?;
    member(parser, literal, out)
}

/// A character, or the range that starts with it.
fn member(parser: &mut Parser, low: char, out: &mut String) -> Result<(), PatternError> {
    let dash = parser.peek() == Some('-');
    let after = parser.chars.get(parser.at + 1).copied();
    if !dash || matches!(after, None | Some(']' | '[')) {
        push_range(parser, low, low, out);
        return Ok(());
    }
    parser.at += 1;
    let high = match parser.next() {
        Some('\\') => {
            let first = parser
                .next()
                .ok_or_else(|| parser.invalid("unclosed character class"))?;
            escaped_char(parser, first)?
        }
        Some(c) => c,
        None => return Err(parser.invalid("unclosed character class")),
    };
    if high < low {
        return Err(parser.invalid("illegal character range"));
    }
    push_range(parser, low, high, out);
    Ok(())
}

fn push_range(parser: &Parser, low: char, high: char, out: &mut String) {
    let mut push = |low: char, high: char| {
        out.push_str(&escaped(low));
        if high > low {
            out.push('-');
            out.push_str(&escaped(high));
        }
    };
    push(low, high);
    if !parser.flags.ignore_case {
        return;
    }
    let mut other_case = |from: char, to: char, shift: i32| {
        let (start, end) = (low.max(from), high.min(to));
        if start <= end {
            let moved = |c: char| char::from_u32((c as i32 + shift) as u32).unwrap_or(c);
            push(moved(start), moved(end));
        }
    };
    other_case('a', 'z', -32);
    other_case('A', 'Z', 32);
    if parser.flags.unicode_case && low == high && !low.is_ascii() {
        low.to_lowercase()
            .chain(low.to_uppercase())
            .for_each(|c| push(c, c));
    }
}
