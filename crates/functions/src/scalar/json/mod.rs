//! Functions over JSON text, and VARIANT values.
//!
//! SQL's clauses reach the functions as constant character arguments; each function's module says which. JSON is read into
//! a small tree of our own that keeps what Flink's reader keeps: the text of numbers, and of equal keys the last value.
//!
//! A VARIANT column holds the canonical JSON text of its values: keys in order, no blanks, numbers without superfluous
//! zeros. So equal values are equal bytes, and the text is what is printed.

pub mod construct;
pub(crate) mod error;
mod evaluate;
pub mod exists;
mod filter;
pub mod is_json;
pub(crate) mod number;
mod path;
pub mod query;
pub mod quote;
pub mod string;
pub(crate) mod tree;
pub mod value;
pub mod variant;
pub(crate) mod writer;

use std::borrow::Cow;
use std::collections::HashMap;

use self::error::JsonError;
use self::path::JsonPath;
use self::tree::Json;
use super::EvalError;
use super::access::data_error;
use crate::signature::{ArgInfo, SignatureError};

/// Compiled paths that one call site keeps when the path is not a constant.
const PATHS_KEPT_MAX: usize = 64;

/// The compiled paths of one call site.
#[derive(Default)]
struct Paths {
    last: String,
    compiled: HashMap<String, Result<JsonPath, JsonError>>,
}

impl Paths {
    fn get(&mut self, path: &str) -> &Result<JsonPath, JsonError> {
        if self.last != path || self.compiled.is_empty() {
            if !self.compiled.contains_key(path) {
                if self.compiled.len() >= PATHS_KEPT_MAX {
                    self.compiled.clear();
                }
                self.compiled.insert(path.to_owned(), JsonPath::parse(path));
            }
            path.clone_into(&mut self.last);
        }
        self.compiled.get(&self.last).expect("the path was stored above")
    }
}

/// What a path finds in a document.
struct Found<'j> {
    lax: bool,
    /// The value (NULL where a lax path finds nothing), or why there is none.
    value: Result<Cow<'j, Json>, JsonError>,
}

/// Evaluates a path over a document, or reports why the document could not be parsed.
fn find<'j>(document: &'j Result<Json, JsonError>, path: &Result<JsonPath, JsonError>) -> Found<'j> {
    let path = match path {
        Ok(path) => path,
        Err(error) => {
            return Found {
                lax: false,
                value: Err(error.clone()),
            };
        }
    };
    let value = match document {
        Ok(Json::Null) => Err(JsonError::NullDocument),
        Ok(root) => path.evaluate(root),
        Err(_) if path.lax => Ok(Cow::Owned(Json::Null)),
        Err(error) => Err(error.clone()),
    };
    Found { lax: path.lax, value }
}

/// A clause of SQL that arrives as a constant character argument.
fn clause<'a>(
    function: &str,
    args: &[ArgInfo<'a>],
    index: usize,
    allowed: &[&str],
) -> Result<(), SignatureError> {
    let text = args
        .get(index)
        .and_then(|arg| arg.literal)
        .and_then(|literal| literal.as_str());
    if text.is_some_and(|text| allowed.contains(&text)) {
        return Ok(());
    }
    Err(SignatureError::Other(format!(
        "argument {} of {function} must be one of {}",
        index + 1,
        allowed.join(", ")
    )))
}

/// The error of a function with ERROR behaviour.
fn failure(function: &str, reason: &JsonError) -> EvalError {
    data_error(format!("{function}: {reason}"))
}
