//! One line of CSV into its fields.

use super::CsvOptions;
use crate::ValueError;

/// A field's text, and whether it was quoted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    pub text: std::borrow::Cow<'a, str>,
    pub quoted: bool,
}

/// Splits the first line of a text: anything after its line break is ignored.
pub fn split<'a>(line: &'a str, options: &CsvOptions, fields: &mut Vec<Field<'a>>) -> Result<(), ValueError> {
    fields.clear();
    let mut rest = line;
    loop {
        let (field, behind) = field(rest, options)?;
        fields.push(field);
        match behind {
            Some(behind) => rest = behind,
            None => return Ok(()),
        }
    }
}

/// The first field, and the text after its delimiter.
fn field<'a>(text: &'a str, options: &CsvOptions) -> Result<(Field<'a>, Option<&'a str>), ValueError> {
    let start = if options.trim_spaces {
        text.trim_start_matches([' ', '\t'])
    } else {
        text
    };
    if let Some(quote) = options.quote
        && let Some(inner) = start.strip_prefix(quote)
    {
        return quoted(inner, quote, options);
    }
    if options.escape.is_none() {
        let end = start.find(|c| c == options.delimiter || is_line_break(c));
        let (raw, behind) = match end {
            Some(end) => (&start[..end], start[end..].strip_prefix(options.delimiter)),
            None => (start, None),
        };
        let raw = if options.trim_spaces {
            raw.trim_end_matches([' ', '\t'])
        } else {
            raw
        };
        return Ok((
            Field {
                text: raw.into(),
                quoted: false,
            },
            behind,
        ));
    }
    let (mut out, mut characters) = (String::new(), start.char_indices());
    while let Some((at, c)) = characters.next() {
        if c == options.delimiter || is_line_break(c) {
            return Ok((
                Field {
                    text: out.into(),
                    quoted: false,
                },
                start[at..].strip_prefix(options.delimiter),
            ));
        }
        match (Some(c) == options.escape).then(|| characters.next()).flatten() {
            Some((_, next)) => out.push(escaped(next)),
            None => out.push(c),
        }
    }
    Ok((
        Field {
            text: out.into(),
            quoted: false,
        },
        None,
    ))
}

/// A quoted field behind its opening quote.
fn quoted<'a>(
    text: &'a str,
    quote: char,
    options: &CsvOptions,
) -> Result<(Field<'a>, Option<&'a str>), ValueError> {
    let (mut out, mut characters) = (String::new(), text.char_indices().peekable());
    while let Some((at, c)) = characters.next() {
        if Some(c) == options.escape && c != quote {
            out.extend(characters.next().map(|(_, next)| escaped(next)));
            continue;
        }
        if c != quote {
            out.push(c);
            continue;
        }
        if characters.peek().is_some_and(|(_, next)| *next == quote) {
            characters.next();
            out.push(quote);
            continue;
        }
        let behind = text[at + c.len_utf8()..].trim_start_matches([' ', '\t']);
        let field = Field {
            text: out.into(),
            quoted: true,
        };
        if behind.is_empty() || behind.starts_with(is_line_break) {
            return Ok((field, None));
        }
        // A tab may be the delimiter itself, so look before the white space was cut, too.
        let behind = text[at + c.len_utf8()..].trim_start_matches(' ');
        return match behind.strip_prefix(options.delimiter) {
            Some(rest) => Ok((field, Some(rest))),
            None => Err(ValueError::Separator(options.delimiter)),
        };
    }
    Err(ValueError::Syntax("missing closing quote for value"))
}

fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

fn escaped(character: char) -> char {
    match character {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        other => other,
    }
}
