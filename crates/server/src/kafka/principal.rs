//! Names of clients: from certificates, by the rules of `ssl.principal.mapping.rules`.
//!
//! A distinguished name is written as Java does (RFC 2253): the last attribute first, special characters behind
//! backslashes, attributes without a short name as `1.2.3=#hex`. Users have these very texts in their ACLs.

use regex::Regex;

/// Maps a distinguished name to a user name: the first matching rule decides.
#[derive(Clone, Debug)]
pub struct PrincipalRules(Vec<Rule>);

impl Default for PrincipalRules {
    /// Every name as it is.
    fn default() -> Self {
        Self(vec![Rule::Default])
    }
}

#[derive(Clone, Debug)]
enum Rule {
    /// The name as it is.
    Default,
    Replace {
        pattern: Regex,
        replacement: String,
        case: Case,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Kept,
    Lower,
    Upper,
}

/// What is expected where a text is no list of rules.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    #[error("a comma before '{0}'")]
    Comma(String),
    #[error("DEFAULT or RULE:pattern/replacement/[LU], not '{0}'")]
    Rule(String),
    #[error("a regular expression: {0}")]
    Pattern(#[from] regex::Error),
}

impl PrincipalRules {
    /// Parses `RULE:pattern/replacement/[LU]` and `DEFAULT`, separated by commas.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let mut rules = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (rule, behind) = parse_rule(rest)?;
            rules.push(rule);
            rest = behind.trim_start();
            if let Some(next) = rest.strip_prefix(',') {
                rest = next.trim_start();
            } else if !rest.is_empty() {
                return Err(RuleError::Comma(rest.to_owned()));
            }
        }
        if rules.is_empty() {
            rules.push(Rule::Default);
        }
        Ok(Self(rules))
    }

    /// The name of the user; `None` if no rule fits.
    pub fn apply(&self, distinguished_name: &str) -> Option<String> {
        self.0.iter().find_map(|rule| match rule {
            Rule::Default => Some(distinguished_name.to_owned()),
            Rule::Replace {
                pattern,
                replacement,
                case,
            } => {
                let name = pattern.captures(distinguished_name)?;
                let mut result = String::new();
                name.expand(replacement, &mut result);
                Some(match case {
                    Case::Kept => result,
                    Case::Lower => result.to_lowercase(),
                    Case::Upper => result.to_uppercase(),
                })
            }
        })
    }
}

/// Parses one rule; returns the rest.
fn parse_rule(text: &str) -> Result<(Rule, &str), RuleError> {
    if let Some(behind) = text.strip_prefix("DEFAULT") {
        return Ok((Rule::Default, behind));
    }
    let expected = || RuleError::Rule(text.to_owned());
    let body = text.strip_prefix("RULE:").ok_or_else(expected)?;
    let (pattern, body) = until_slash(body).ok_or_else(expected)?;
    let (replacement, behind) = until_slash(body).ok_or_else(expected)?;
    let (case, behind) = match behind.chars().next() {
        Some('L') => (Case::Lower, &behind[1..]),
        Some('U') => (Case::Upper, &behind[1..]),
        _ => (Case::Kept, behind),
    };
    let pattern = Regex::new(&format!("^(?:{pattern})$"))?;
    let rule = Rule::Replace {
        pattern,
        replacement: braced(&replacement),
        case,
    };
    Ok((rule, behind))
}

/// The text before the next unescaped slash, and the rest.
fn until_slash(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '/' => return Some((out, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                '/' => out.push('/'),
                other => out.extend(['\\', other]),
            },
            c => out.push(c),
        }
    }
    None
}

/// `$1` in Java ends with its digits; here it needs braces for that.
fn braced(replacement: &str) -> String {
    let mut out = String::new();
    let mut characters = replacement.chars().peekable();
    while let Some(c) = characters.next() {
        let is_group = c == '$' && characters.peek().is_some_and(char::is_ascii_digit);
        if !is_group {
            out.push(c);
            continue;
        }
        out.push_str("${");
        while let Some(digit) = characters.next_if(char::is_ascii_digit) {
            out.push(digit);
        }
        out.push('}');
    }
    out
}

/// The distinguished name of a certificate's subject; `None` if it cannot be read.
pub fn subject_name(certificate: &rustls::pki_types::CertificateDer<'_>) -> Option<String> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    name_text(certificate.subject())
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;

/// The text of a distinguished name, given as the content of its outermost sequence.
fn name_text(der: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    let mut rest = der;
    while !rest.is_empty() {
        let (relative, behind) = expect(SET, rest)?;
        rest = behind;
        let mut attributes = Vec::new();
        let mut inside = relative;
        while !inside.is_empty() {
            let (attribute, behind) = expect(SEQUENCE, inside)?;
            inside = behind;
            let (id, value) = expect(OBJECT_ID, attribute)?;
            attributes.push(attribute_text(id, value)?);
        }
        parts.push(attributes.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

fn attribute_text(id: &[u8], value: &[u8]) -> Option<String> {
    let keyword = match id {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 9] => "STREET",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1] => "UID",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC",
        _ => return Some(format!("{}=#{}", dotted(id)?, hex(value))),
    };
    let (tag, content, _) = element(value)?;
    match string(tag, content) {
        Some(text) => Some(format!("{keyword}={}", escaped(&text))),
        None => Some(format!("{keyword}=#{}", hex(value))),
    }
}

/// UTF8String, NumericString, PrintableString, TeletexString, IA5String as UTF-8; BMPString as UTF-16.
fn string(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        0x0c | 0x12 | 0x13 | 0x16 => std::str::from_utf8(content).ok().map(str::to_owned),
        0x14 => Some(content.iter().copied().map(char::from).collect()),
        0x1e => {
            let units = content
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).collect::<Result<String, _>>().ok()
        }
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (at, c) in text.chars().enumerate() {
        let is_special = matches!(c, ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\');
        let is_edge = c == ' ' && (at == 0 || at == last);
        if is_special || is_edge {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `1.2.840…` of the bytes of an object identifier.
fn dotted(id: &[u8]) -> Option<String> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0u64;
    for byte in id {
        number = number.checked_mul(128)? + u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(std::mem::take(&mut number));
        }
    }
    let (first, others) = numbers.split_first()?;
    let head = match first {
        0..40 => [0, *first],
        40..80 => [1, first - 40],
        _ => [2, first - 80],
    };
    let all = head.iter().chain(others).map(u64::to_string);
    Some(all.collect::<Vec<_>>().join("."))
}

fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// Tag, content and rest of a DER element.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => {
            let high = usize::from(*rest.first()?);
            (high << 8 | usize::from(*rest.get(1)?), rest.get(2..)?)
        }
        _ => return None, // no name is longer
    };
    Some((tag, rest.get(..length)?, rest.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_applied_in_order_as_kafka_does() {
        let rules = PrincipalRules::parse(
            r"RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/,
              RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2x/L, RULE:^.*[Cc][Nn]=([a-zA-Z0-9.\/]*).*$/$1/U,DEFAULT",
        )
        .unwrap();
        for (name, expected) in [
            ("CN=kafka-server1,OU=ServiceUsers,O=Org", "kafka-server1"),
            ("CN=Duke,OU=JavaSoft,O=Sun,L=P,ST=Q,C=US", "duke@javasoftx"),
            ("OU=x,cn=a/b,O=y", "A/B"),
            ("OU=JavaSoft", "OU=JavaSoft"),
        ] {
            assert_eq!(rules.apply(name).as_deref(), Some(expected), "{name}");
        }
        assert_eq!(
            PrincipalRules::parse("").unwrap().apply("CN=a").as_deref(),
            Some("CN=a")
        );
        let none = PrincipalRules::parse("RULE:^CN=([a-z]+)$/$1/").unwrap();
        assert_eq!(none.apply("CN=A1"), None);
        for wrong in ["RULE:a", "RULE:a/b", "DEFAULT DEFAULT", "RULE:(/x/", "nonsense"] {
            assert!(PrincipalRules::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_written_as_java_does() {
        fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
            [&[tag, content.len() as u8], content].concat()
        }
        let attribute =
            |id: &[u8], tag: u8, value: &[u8]| tlv(SEQUENCE, &[tlv(OBJECT_ID, id), tlv(tag, value)].concat());
        let email = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
        let der = [
            tlv(SET, &attribute(&[0x55, 4, 6], 0x13, b"DE")),
            tlv(SET, &attribute(&[0x55, 4, 10], 0x0c, "Größe, Inc.".as_bytes())),
            tlv(
                SET,
                &[
                    attribute(&[0x55, 4, 11], 0x0c, b"#1 "),
                    attribute(&[0x55, 4, 3], 0x0c, b"bob"),
                ]
                .concat(),
            ),
            tlv(SET, &attribute(&email, 0x16, b"b@x")),
        ]
        .concat();
        let text = name_text(&der).unwrap();
        assert_eq!(
            text,
            r"1.2.840.113549.1.9.1=#1603624078,OU=\#1\ +CN=bob,O=Größe\, Inc.,C=DE"
        );
        for cut in 1..der.len() {
            let _ = name_text(&der[..cut]); // never more than `None`
        }
    }
}
