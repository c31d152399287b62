//! URL_ENCODE, URL_DECODE, PARSE_URL.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use crate::scalar::forms::{Arg, check, nullable};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "URL_ENCODE",
        "URL_ENCODE(string)",
        "The string in the form of application/x-www-form-urlencoded, by its UTF-8 bytes.",
        |args| {
            nullable(
                check("URL_ENCODE", args, &[&[Arg::Character]])?,
                LogicalType::STRING,
            )
        },
        url_encode,
    ),
    ScalarFunction::new(
        Group::String,
        "URL_DECODE",
        "URL_DECODE(string)",
        "The string that was encoded in the form of application/x-www-form-urlencoded; NULL if it is malformed.",
        |args| {
            nullable(
                check("URL_DECODE", args, &[&[Arg::Character]])?,
                LogicalType::STRING,
            )
        },
        url_decode,
    ),
    ScalarFunction::new(
        Group::String,
        "PARSE_URL",
        "PARSE_URL(url, part[, key])",
        "A part of a URL: HOST, PATH, QUERY, REF, PROTOCOL, FILE, AUTHORITY or USERINFO; with the part QUERY and a key, the \
         value of that parameter. NULL if the URL is malformed or has no such part.",
        |args| {
            let two: &[Arg] = &[Arg::Character, Arg::Character];
            let three: &[Arg] = &[Arg::Character, Arg::Character, Arg::Character];
            nullable(check("PARSE_URL", args, &[two, three])?, LogicalType::STRING)
        },
        parse_url,
    ),
];

fn url_encode(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    args.write_text(|row, out| {
        for byte in text.get(row)?.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                    out.push(char::from(byte))
                }
                b' ' => out.push('+'),
                _ => {
                    out.push('%');
                    for half in [byte >> 4, byte & 15] {
                        out.push(char::from(b"0123456789ABCDEF"[usize::from(half)]));
                    }
                }
            }
        }
        Some(())
    })
}

fn url_decode(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    let mut decoded = Vec::new();
    args.write_text(|row, out| {
        decoded.clear();
        let mut bytes = text.get(row)?.bytes();
        while let Some(byte) = bytes.next() {
            let value = match byte {
                b'+' => b' ',
                b'%' => {
                    let mut half = || char::from(bytes.next()?).to_digit(16);
                    (half()? << 4 | half()?) as u8
                }
                other => other,
            };
            decoded.push(value);
        }
        out.push_str(&String::from_utf8_lossy(&decoded));
        Some(())
    })
}

/// The parts of a URL, as `java.net.URL` takes it apart.
struct Url<'t> {
    protocol: &'t str,
    authority: Option<&'t str>,
    path: &'t str,
    /// Path and query.
    file: &'t str,
    query: Option<&'t str>,
    reference: Option<&'t str>,
}

/// Protocols for which Java has a handler; any other is malformed.
const PROTOCOLS: [&str; 6] = ["http", "https", "ftp", "file", "jar", "mailto"];

impl<'t> Url<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let text = text.trim_matches(|c: char| c <= ' ');
        let text = match text.get(..4) {
            Some(prefix) if prefix.eq_ignore_ascii_case("url:") => &text[4..],
            _ => text,
        };
        let (protocol, rest) = text.split_once(':')?;
        if !PROTOCOLS.iter().any(|known| protocol.eq_ignore_ascii_case(known)) {
            return None;
        }
        let (rest, reference) = match rest.split_once('#') {
            Some((rest, reference)) => (rest, Some(reference)),
            None => (rest, None),
        };
        let (authority, file) = match rest.strip_prefix("//") {
            Some(after) => {
                let end = after.find(['/', '?']).unwrap_or(after.len());
                (Some(&after[..end]), &after[end..])
            }
            None => (None, rest),
        };
        if let Some((_, port)) = authority.and_then(host_port) {
            let number = port.is_empty() || port.parse::<i32>().is_ok_and(|port| port >= -1);
            if !number {
                return None;
            }
        }
        let (path, query) = match file.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (file, None),
        };
        Some(Self {
            protocol,
            authority,
            path,
            file,
            query,
            reference,
        })
    }

    fn part(&self, name: &str) -> Option<&'t str> {
        match name {
            "HOST" => Some(self.authority.map_or("", host)),
            "PATH" => Some(self.path),
            "QUERY" => self.query,
            "REF" => self.reference,
            "PROTOCOL" => Some(self.protocol),
            "FILE" => Some(self.file),
            "AUTHORITY" => self.authority,
            "USERINFO" => self.authority?.rsplit_once('@').map(|(user, _)| user),
            _ => None,
        }
    }

    /// The value of a parameter of the query.
    fn parameter(&self, key: &str) -> Option<&'t str> {
        self.query?
            .split('&')
            .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
    }
}

/// Host and port of an authority with a port; brackets hold an IPv6 address.
fn host_port(authority: &str) -> Option<(&str, &str)> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let colon = host
        .rfind(':')
        .filter(|colon| host.rfind(']').is_none_or(|bracket| bracket < *colon))?;
    Some((&host[..colon], &host[colon + 1..]))
}

fn host(authority: &str) -> &str {
    let whole = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host_port(authority).map_or(whole, |(host, _)| host)
}

fn parse_url(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (url, part, key) = (args.text(0)?, args.text(1)?, args.optional_text(2)?);
    args.write_text(|row, out| {
        let (url, part) = (url.get(row)?, part.get(row)?);
        let found = match &key {
            None => {
                let parsed = Url::parse(url)?;
                if part == "PROTOCOL" {
                    out.push_str(&parsed.protocol.to_ascii_lowercase());
                    return Some(());
                }
                parsed.part(part)?
            }
            Some(key) => {
                let key = key.get(row)?;
                if part != "QUERY" {
                    return None;
                }
                Url::parse(url)?.parameter(key)?
            }
        };
        out.push_str(found);
        Some(())
    })
}
