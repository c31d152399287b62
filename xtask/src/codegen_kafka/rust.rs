//! Writes the Rust text of one message: its structures and their defaults, with `decode` and `encode` of the modules
//! beside this one. Layout is left to
//! rustfmt; what is decided here is only which reader or writer call stands for which field in which versions.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::spec::{Field, Kind, Message, Type, Versions};
use super::{read, write};

/// What the text of one structure depends on besides its fields.
pub(super) struct Context<'a> {
    pub message: &'a Message,
    /// Structures that another message of the same API names as well; they get a prefix.
    clashes: &'a BTreeSet<String>,
}

impl Context<'_> {
    pub fn rust_struct(&self, name: &str) -> String {
        if !self.clashes.contains(name) {
            return name.to_owned();
        }
        match self.message.kind {
            Kind::Request => format!("Request{name}"),
            Kind::Response => format!("Response{name}"),
            Kind::Data => name.to_owned(),
        }
    }

    /// The text for "this version is flexible".
    pub fn flexible(&self) -> &'static str {
        match self.message.flexible_from {
            None => "false",
            Some(from) if from <= self.message.valid.min => "true",
            Some(_) => "flexible",
        }
    }
}

/// The text of a message with all its structures.
pub fn message(message: &Message, clashes: &BTreeSet<String>) -> String {
    let context = Context { message, clashes };
    let mut text = String::new();
    structure(&mut text, &context, &message.name, &message.fields, true);
    for each in &message.structs {
        structure(
            &mut text,
            &context,
            &context.rust_struct(&each.name),
            &each.fields,
            false,
        );
    }
    text
}

fn structure(text: &mut String, context: &Context<'_>, name: &str, fields: &[Field], is_message: bool) {
    let valid = context.message.valid;
    let fields: Vec<&Field> = fields
        .iter()
        .filter(|f| f.versions.intersect(valid).is_some())
        .collect();
    let all_natural = fields.iter().all(|f| special_default(context, f).is_none());
    let derive = if all_natural {
        "Clone, Debug, Default, PartialEq"
    } else {
        "Clone, Debug, PartialEq"
    };
    if is_message {
        let what = match context.message.kind {
            Kind::Request => "The request",
            Kind::Response => "The response",
            Kind::Data => "The structure",
        };
        let _ = writeln!(
            text,
            "/// {what} `{name}`, versions {} to {}.",
            valid.min, valid.max
        );
    } else {
        let _ = writeln!(text, "/// A part of `{}`.", context.message.name);
    }
    let _ = writeln!(text, "#[derive({derive})]\npub struct {name} {{");
    for field in &fields {
        let _ = writeln!(
            text,
            "{}pub {}: {},",
            field_doc(field, valid),
            snake(&field.name),
            rust_type(context, field)
        );
    }
    text.push_str("}\n\n");
    if !all_natural {
        default_impl(text, context, name, &fields);
    }
    let _ = writeln!(text, "impl {name} {{");
    read::decode(text, context, name, &fields, is_message);
    write::encode(text, context, name, &fields, is_message);
    text.push_str("}\n\n");
}

fn field_doc(field: &Field, valid: Versions) -> String {
    if field.versions.covers(valid) {
        return String::new();
    }
    let versions = field.versions;
    if versions.max >= valid.max {
        return format!("/// From version {}.\n", versions.min);
    }
    if versions.min <= valid.min {
        return format!("/// Up to version {}.\n", versions.max);
    }
    format!("/// Versions {} to {}.\n", versions.min, versions.max)
}

/// The versions in which a field may be null, within those that have it.
pub(super) fn nullable(context: &Context<'_>, field: &Field) -> Option<Versions> {
    field
        .nullable?
        .intersect(field.versions)?
        .intersect(context.message.valid)
}

fn rust_type(context: &Context<'_>, field: &Field) -> String {
    if is_error_code(field) {
        return "ErrorCode".to_owned();
    }
    let plain = plain_type(context, &field.field_type);
    if nullable(context, field).is_some() && field.field_type != Type::Records {
        return format!("Option<{plain}>");
    }
    plain
}

pub(super) fn is_error_code(field: &Field) -> bool {
    field.field_type == Type::Int16 && field.name.ends_with("ErrorCode")
}

fn plain_type(context: &Context<'_>, field_type: &Type) -> String {
    match field_type {
        Type::Bool => "bool".to_owned(),
        Type::Int8 => "i8".to_owned(),
        Type::Int16 => "i16".to_owned(),
        Type::Uint16 => "u16".to_owned(),
        Type::Int32 => "i32".to_owned(),
        Type::Int64 => "i64".to_owned(),
        Type::Float64 => "f64".to_owned(),
        Type::Text => "KafkaString".to_owned(),
        Type::Bytes => "Bytes".to_owned(),
        Type::Records => "Option<Bytes>".to_owned(),
        Type::Uuid => "Uuid".to_owned(),
        Type::Struct(name) => context.rust_struct(name),
        Type::Array(element) => format!("Vec<{}>", plain_type(context, element)),
    }
}

/// The default of a field if it is not what Rust's `Default` gives for its type.
fn special_default(context: &Context<'_>, field: &Field) -> Option<String> {
    if field.field_type == Type::Records {
        return None;
    }
    if nullable(context, field).is_some() {
        let null = field.default.as_deref() == Some("null");
        return (!null).then(|| format!("Some({})", natural_default(&field.field_type)));
    }
    let default = field.default.as_deref()?;
    let natural = matches!(default, "" | "0" | "false" | "null");
    (!natural).then(|| default.to_owned())
}

fn natural_default(field_type: &Type) -> &'static str {
    match field_type {
        Type::Bool => "false",
        Type::Float64 => "0.0",
        Type::Int8 | Type::Int16 | Type::Uint16 | Type::Int32 | Type::Int64 => "0",
        Type::Array(_) => "Vec::new()",
        Type::Text => "KafkaString::EMPTY",
        Type::Bytes => "Bytes::new()",
        Type::Records => "None",
        Type::Uuid => "Uuid::ZERO",
        Type::Struct(_) => "Default::default()",
    }
}

pub(super) fn default_expression(context: &Context<'_>, field: &Field) -> String {
    if let Some(special) = special_default(context, field) {
        return special;
    }
    if is_error_code(field) {
        return "ErrorCode::NONE".to_owned();
    }
    if nullable(context, field).is_some() {
        return "None".to_owned();
    }
    match &field.field_type {
        Type::Struct(name) => format!("{}::default()", context.rust_struct(name)),
        other => natural_default(other).to_owned(),
    }
}

/// The text for "the field `self.x` differs from its default".
pub(super) fn differs_from_default(context: &Context<'_>, field: &Field) -> String {
    let name = format!("self.{}", snake(&field.name));
    let is_option = nullable(context, field).is_some() || field.field_type == Type::Records;
    if is_option && special_default(context, field).is_none() {
        return format!("{name}.is_some()");
    }
    if is_option {
        return format!("{name}.as_ref().is_none_or(|value| !value.is_empty())");
    }
    let default = default_expression(context, field);
    match field.field_type {
        Type::Bool if default == "true" => format!("!{name}"),
        Type::Bool => name,
        Type::Text | Type::Bytes | Type::Array(_) => format!("!{name}.is_empty()"),
        _ => format!("{name} != {default}"),
    }
}

fn default_impl(text: &mut String, context: &Context<'_>, name: &str, fields: &[&Field]) {
    let _ = writeln!(
        text,
        "impl Default for {name} {{\nfn default() -> Self {{\nSelf {{"
    );
    for field in fields {
        let _ = writeln!(
            text,
            "{}: {},",
            snake(&field.name),
            default_expression(context, field)
        );
    }
    text.push_str("}\n}\n}\n\n");
}

/// The text for "`version` is in `versions`", or `None` if all valid versions are.
pub(super) fn condition(versions: Versions, valid: Versions) -> Option<String> {
    if versions.covers(valid) {
        return None;
    }
    if versions.max >= valid.max {
        return Some(format!("version >= {}", versions.min));
    }
    if versions.min <= valid.min {
        return Some(format!("version <= {}", versions.max));
    }
    if versions.min == versions.max {
        return Some(format!("version == {}", versions.min));
    }
    Some(format!(
        "({}..={}).contains(&version)",
        versions.min, versions.max
    ))
}

/// The text for "`version` is not in `versions`", where some valid ones are not.
pub(super) fn absence(versions: Versions, valid: Versions) -> Option<String> {
    let when = condition(versions, valid)?;
    if versions.max >= valid.max {
        return Some(format!("version < {}", versions.min));
    }
    if versions.min <= valid.min {
        return Some(format!("version > {}", versions.max));
    }
    Some(format!("!({when})"))
}

/// Whether `word` stands in `text` as a whole word.
pub(super) fn uses(text: &str, word: &str) -> bool {
    let boundary = |c: char| !(c.is_alphanumeric() || c == '_');
    text.split(boundary).any(|each| each == word)
}

pub(super) fn flexible_line(body: &mut String, context: &Context<'_>) {
    if context.flexible() == "flexible"
        && let Some(from) = context.message.flexible_from
    {
        let _ = writeln!(body, "let flexible = version >= {from};");
    }
}

pub(super) fn fixed_name(field_type: &Type) -> &'static str {
    match field_type {
        Type::Bool => "bool",
        Type::Int8 => "i8",
        Type::Int16 => "i16",
        Type::Uint16 => "u16",
        Type::Int32 => "i32",
        Type::Int64 => "i64",
        Type::Float64 => "f64",
        Type::Uuid => "uuid",
        Type::Text | Type::Bytes | Type::Records | Type::Struct(_) | Type::Array(_) => "",
    }
}

/// `TopicId` → `topic_id`, escaped if it is a keyword.
pub fn snake(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (index, c) in characters.iter().enumerate() {
        let after_word = index > 0 && !characters[index - 1].is_uppercase();
        let before_word = index > 0 && characters.get(index + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (after_word || before_word) {
            text.push('_');
        }
        text.extend(c.to_lowercase());
    }
    match text.as_str() {
        "type" | "match" => format!("r#{text}"),
        _ => text,
    }
}

/// The names of structures that occur in more than one message of an API.
pub fn clashes(messages: &[&Message]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for message in messages {
        for each in &message.structs {
            if !seen.insert(each.name.clone()) {
                twice.insert(each.name.clone());
            }
        }
    }
    twice
}

/// Which of the support items of the codec the text of a file names.
pub fn imports(text: &str) -> String {
    let mut lines = String::new();
    if uses(text, "Bytes") {
        lines.push_str("use bytes::Bytes;\n\n");
    }
    let items = [
        ("DecodeError", "error"),
        ("EncodeError", "error"),
        ("ErrorCode", "error_code"),
        ("KafkaString", "string"),
        ("Reader", "reader"),
        ("TaggedFields", "writer"),
        ("Uuid", "uuid"),
        ("Writer", "writer"),
        ("check_decode", "reader"),
        ("check_encode", "writer"),
        ("check_null", "reader"),
    ];
    for (item, module) in items {
        if uses(text, item) {
            let _ = writeln!(lines, "use crate::{module}::{item};");
        }
    }
    lines
}
