//! Reads `sasl.jaas.config`: a login module's class, a flag, and options, ended by a semicolon. Only the user and the
//! password of the modules for PLAIN and SCRAM are of interest.

use std::collections::BTreeMap;

use super::ConfigError;

/// The class of a login module and its options, of `CLASS FLAG NAME="VALUE" … ;`. `None` if the text is not of that form.
pub fn login_module(text: &str) -> Option<(String, BTreeMap<String, String>)> {
    let mut words = split(text)?.into_iter();
    let module = words.next()?;
    let mut options = BTreeMap::new();
    for word in words.skip(1) {
        let (name, value) = word.split_once('=')?;
        options.insert(name.to_owned(), value.to_owned());
    }
    Some((module, options))
}

/// The options of the login module.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let invalid = |expected: &str| ConfigError::Value {
        name: "sasl.jaas.config".to_owned(),
        value: "[hidden]".to_owned(),
        expected: expected.to_owned(),
    };
    let (module, options) = login_module(text).ok_or_else(|| {
        invalid("a login module, `required` and then options such as username=\"…\" with closed quotes")
    })?;
    if !module.ends_with("PlainLoginModule") && !module.ends_with("ScramLoginModule") {
        return Err(invalid(
            "…PlainLoginModule or …ScramLoginModule; others are not supported",
        ));
    }
    Ok(options)
}

/// Splits words up to the semicolon and removes quotes. `None` if a quote is not closed.
fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(_), '\\') => word.push(characters.next()?),
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, ';') => break,
            (None, c) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    quote.is_none().then_some(words)
}
