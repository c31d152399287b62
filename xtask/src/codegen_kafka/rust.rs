//! Writes the Rust text of one message: its structures, their defaults, `decode` and `encode`. Layout is left to
//! rustfmt; what is decided here is only which reader or writer call stands for which field in which versions.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::spec::{Field, Kind, Message, Type, Versions};

/// What the text of one structure depends on besides its fields.
struct Context<'a> {
    message: &'a Message,
    /// Structures that another message of the same API names as well; they get a prefix.
    clashes: &'a BTreeSet<String>,
}

impl Context<'_> {
    fn rust_struct(&self, name: &str) -> String {
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
    fn flexible(&self) -> &'static str {
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
        structure(&mut text, &context, &context.rust_struct(&each.name), &each.fields, false);
    }
    text
}

fn structure(text: &mut String, context: &Context<'_>, name: &str, fields: &[Field], is_message: bool) {
    let valid = context.message.valid;
    let fields: Vec<&Field> = fields.iter().filter(|f| f.versions.intersect(valid).is_some()).collect();
    let all_natural = fields.iter().all(|f| special_default(context, f).is_none());
    let derive = if all_natural { "Clone, Debug, Default, PartialEq" } else { "Clone, Debug, PartialEq" };
    if is_message {
        let what = match context.message.kind {
            Kind::Request => "The request",
            Kind::Response => "The response",
            Kind::Data => "The structure",
        };
        let _ = writeln!(text, "/// {what} `{name}`, versions {} to {}.", valid.min, valid.max);
    } else {
        let _ = writeln!(text, "/// A part of `{}`.", context.message.name);
    }
    let _ = writeln!(text, "#[derive({derive})]\npub struct {name} {{");
    for field in &fields {
        let _ = writeln!(text, "{}pub {}: {},", field_doc(field, valid), snake(&field.name), rust_type(context, field));
    }
    text.push_str("}\n\n");
    if !all_natural {
        default_impl(text, context, name, &fields);
    }
    let _ = writeln!(text, "impl {name} {{");
    decode(text, context, name, &fields, is_message);
    encode(text, context, name, &fields, is_message);
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
fn nullable(context: &Context<'_>, field: &Field) -> Option<Versions> {
    field.nullable?.intersect(field.versions)?.intersect(context.message.valid)
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

fn is_error_code(field: &Field) -> bool {
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

fn default_expression(context: &Context<'_>, field: &Field) -> String {
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
fn differs_from_default(context: &Context<'_>, field: &Field) -> String {
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
    let _ = writeln!(text, "impl Default for {name} {{\nfn default() -> Self {{\nSelf {{");
    for field in fields {
        let _ = writeln!(text, "{}: {},", snake(&field.name), default_expression(context, field));
    }
    text.push_str("}\n}\n}\n\n");
}

/// The text for "`version` is in `versions`", or `None` if all valid versions are.
fn condition(versions: Versions, valid: Versions) -> Option<String> {
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
    Some(format!("({}..={}).contains(&version)", versions.min, versions.max))
}

fn decode(text: &mut String, context: &Context<'_>, name: &str, fields: &[&Field], is_message: bool) {
    let valid = context.message.valid;
    let mut body = String::new();
    if is_message {
        let _ = writeln!(body, "check_decode(\"{name}\", version, {}, {})?;", valid.min, valid.max);
    }
    flexible_line(&mut body, context);
    let tagged: Vec<&&Field> = fields.iter().filter(|f| f.tag.is_some()).collect();
    let mut literal = String::new();
    for field in fields {
        let default = default_expression(context, field);
        let value = match (field.tag, condition(field.versions, valid)) {
            (Some(_), _) => default,
            (None, None) => read_field(context, field),
            (None, Some(when)) => format!("if {when} {{ {} }} else {{ {default} }}", read_field(context, field)),
        };
        let _ = writeln!(literal, "{}: {value},", snake(&field.name));
    }
    if context.message.flexible_from.is_none() {
        let _ = writeln!(body, "Ok(Self {{ {literal} }})");
    } else {
        let mutable = if tagged.is_empty() { "" } else { "mut " };
        let _ = writeln!(body, "let {mutable}decoded = Self {{ {literal} }};");
        read_tags(&mut body, context, &tagged);
        body.push_str("Ok(decoded)\n");
    }
    let version = if uses(&body, "version") { "version" } else { "_version" };
    let reader = if uses(&body, "r") { "r" } else { "_r" };
    let visible = if is_message { "pub" } else { "pub(crate)" };
    if is_message {
        let _ = writeln!(text, "/// Reads the body of the message in the given version.");
    } else {
        let _ = writeln!(text, "{}", min_size_constant(context, fields));
    }
    let _ = writeln!(
        text,
        "{visible} fn decode({reader}: &mut Reader, {version}: i16) -> Result<Self, DecodeError> {{\n{body}}}\n"
    );
}

/// Whether `word` stands in `text` as a whole word.
fn uses(text: &str, word: &str) -> bool {
    let boundary = |c: char| !(c.is_alphanumeric() || c == '_');
    text.split(boundary).any(|each| each == word)
}

fn flexible_line(body: &mut String, context: &Context<'_>) {
    if context.flexible() == "flexible"
        && let Some(from) = context.message.flexible_from
    {
        let _ = writeln!(body, "let flexible = version >= {from};");
    }
}

fn read_tags(body: &mut String, context: &Context<'_>, tagged: &[&&Field]) {
    let skip = if tagged.is_empty() { "r.skip_tagged_fields()?;".to_owned() } else { tag_match(context, tagged) };
    if context.flexible() == "flexible" {
        let _ = writeln!(body, "if flexible {{\n{skip}\n}}");
    } else {
        let _ = writeln!(body, "{skip}");
    }
}

fn tag_match(context: &Context<'_>, tagged: &[&&Field]) -> String {
    let flexible_from = context.message.flexible_from.unwrap_or(0);
    let flexible = Versions { min: flexible_from.max(context.message.valid.min), max: context.message.valid.max };
    let mut arms = String::new();
    for field in tagged {
        let Some((number, versions)) = field.tag else { continue };
        let guard = condition(versions, flexible).map(|when| format!(" if {when}")).unwrap_or_default();
        let value = read_field(context, field).replace("(flexible", "(true");
        let _ = writeln!(arms, "{number}{guard} => decoded.{} = {value},", snake(&field.name));
    }
    format!("r.tagged_fields(|r, tag| {{\nmatch tag {{\n{arms}_ => return Ok(false),\n}}\nOk(true)\n}})?;")
}

fn read_field(context: &Context<'_>, field: &Field) -> String {
    if is_error_code(field) {
        return "r.error_code()?".to_owned();
    }
    let Some(null_versions) = nullable(context, field) else {
        return format!("{}?", read_value(context, &field.field_type, ""));
    };
    let value = match &field.field_type {
        Type::Struct(name) => {
            format!("r.nullable_struct(|r| {}::decode(r, version))", context.rust_struct(name))
        }
        other => read_value(context, other, "nullable_"),
    };
    let own = field.versions.intersect(context.message.valid).unwrap_or(field.versions);
    match condition(null_versions, own) {
        Some(when) if field.field_type != Type::Records => {
            format!("check_null({value}?, {when}, \"{}\")?", field.name)
        }
        _ => format!("{value}?"),
    }
}

/// The reader's call for a value; `prefix` is `nullable_` where null is allowed.
fn read_value(context: &Context<'_>, field_type: &Type, prefix: &str) -> String {
    let flexible = context.flexible();
    match field_type {
        Type::Text => format!("r.{prefix}string({flexible})"),
        Type::Bytes => format!("r.{prefix}bytes({flexible})"),
        Type::Records => format!("r.nullable_bytes({flexible})"),
        Type::Struct(name) => format!("{}::decode(r, version)", context.rust_struct(name)),
        Type::Array(element) => {
            let read = match element.as_ref() {
                Type::Struct(_) | Type::Text | Type::Bytes | Type::Records | Type::Array(_) => {
                    format!("|r| {}", read_value(context, element, ""))
                }
                fixed => format!("Reader::{}", fixed_name(fixed)),
            };
            let min_size = match element.as_ref() {
                Type::Struct(name) => format!("{}::MIN_SIZE", context.rust_struct(name)),
                other => min_size(context, other, context.message.valid.min).min(min_size(
                    context,
                    other,
                    context.message.valid.max,
                )).to_string(),
            };
            format!("r.{prefix}array({flexible}, {min_size}, {read})")
        }
        fixed => format!("r.{}()", fixed_name(fixed)),
    }
}

fn fixed_name(field_type: &Type) -> &'static str {
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

fn min_size_constant(context: &Context<'_>, fields: &[&Field]) -> String {
    let valid = context.message.valid;
    let smallest = (valid.min..=valid.max).map(|version| struct_min_size(context, fields, version)).min();
    format!(
        "/// The fewest bytes that this takes in any version.\npub(crate) const MIN_SIZE: usize = {};\n",
        smallest.unwrap_or(0).max(1)
    )
}

fn is_flexible(context: &Context<'_>, version: i16) -> bool {
    context.message.flexible_from.is_some_and(|from| version >= from)
}

fn struct_min_size(context: &Context<'_>, fields: &[&Field], version: i16) -> usize {
    let tags = usize::from(is_flexible(context, version));
    let present = fields.iter().filter(|f| f.versions.contains(version) && f.tag.is_none());
    let size = |field: &&&Field| match (&field.field_type, nullable(context, field)) {
        (Type::Struct(_), Some(_)) => 1,
        (other, _) => min_size(context, other, version),
    };
    present.map(|field| size(&field)).sum::<usize>() + tags
}

fn min_size(context: &Context<'_>, field_type: &Type, version: i16) -> usize {
    let flexible = is_flexible(context, version);
    match field_type {
        Type::Bool | Type::Int8 => 1,
        Type::Int16 | Type::Uint16 => 2,
        Type::Int32 => 4,
        Type::Int64 | Type::Float64 => 8,
        Type::Uuid => 16,
        Type::Text => if flexible { 1 } else { 2 },
        Type::Bytes | Type::Records | Type::Array(_) => if flexible { 1 } else { 4 },
        Type::Struct(name) => {
            let fields: Vec<&Field> = context.message.find_struct(name).iter().flat_map(|s| &s.fields).collect();
            struct_min_size(context, &fields, version)
        }
    }
}

fn encode(text: &mut String, context: &Context<'_>, name: &str, fields: &[&Field], is_message: bool) {
    let valid = context.message.valid;
    let mut body = String::new();
    if is_message {
        let _ = writeln!(body, "check_encode(\"{name}\", version, {}, {})?;", valid.min, valid.max);
    }
    flexible_line(&mut body, context);
    for field in fields.iter().filter(|f| f.tag.is_none()) {
        write_untagged(&mut body, context, name, field);
    }
    write_tags(&mut body, context, name, fields);
    body.push_str("Ok(())\n");
    let version = if uses(&body, "version") { "version" } else { "_version" };
    let writer = if uses(&body, "w") { "w" } else { "_w" };
    let visible = if is_message { "pub" } else { "pub(crate)" };
    if is_message {
        let _ = writeln!(text, "/// Writes the body of the message in the given version.");
    }
    let _ = writeln!(
        text,
        "{visible} fn encode(&self, {writer}: &mut Writer, {version}: i16) -> Result<(), EncodeError> {{\n{body}}}\n"
    );
}

fn unsupported(name: &str, field: &Field) -> String {
    format!("return Err(EncodeError::unsupported_field(\"{name}\", \"{}\", version));", field.name)
}

fn write_untagged(body: &mut String, context: &Context<'_>, name: &str, field: &Field) {
    let valid = context.message.valid;
    let write = write_field(context, name, field, context.flexible());
    let Some(when) = condition(field.versions, valid) else {
        body.push_str(&write);
        return;
    };
    let _ = write!(body, "if {when} {{\n{write}}}");
    if !field.ignorable {
        let differs = differs_from_default(context, field);
        let _ = write!(body, " else if {differs} {{\n{}\n}}", unsupported(name, field));
    }
    body.push('\n');
}

fn write_tags(body: &mut String, context: &Context<'_>, name: &str, fields: &[&Field]) {
    let Some(flexible_from) = context.message.flexible_from else { return };
    let mut tagged: Vec<&&Field> = fields.iter().filter(|f| f.tag.is_some()).collect();
    tagged.sort_by_key(|f| f.tag.map(|(number, _)| number));
    let valid = context.message.valid;
    let flexible = Versions { min: flexible_from.max(valid.min), max: valid.max };
    let mut inner = String::new();
    if tagged.is_empty() {
        inner.push_str("w.no_tagged_fields();\n");
    } else {
        inner.push_str("let mut tags = TaggedFields::default();\n");
        for field in &tagged {
            let Some((number, versions)) = field.tag else { continue };
            let differs = differs_from_default(context, field);
            let when = condition(versions, flexible).map(|when| format!("{when} && ")).unwrap_or_default();
            let write = write_field(context, name, field, "true");
            let _ = writeln!(
                inner,
                "if {when}{differs} {{\ntags.add({number}, |w| {{\n{write}Ok(())\n}})?;\n}}"
            );
        }
        inner.push_str("w.tagged_fields(tags)?;\n");
    }
    if context.flexible() == "flexible" {
        let _ = writeln!(body, "if flexible {{\n{inner}}}");
    } else {
        body.push_str(&inner);
    }
    for field in tagged.iter().filter(|f| !f.ignorable) {
        let Some((_, versions)) = field.tag else { continue };
        let Some(when) = condition(versions, valid) else { continue };
        let differs = differs_from_default(context, field);
        let _ = writeln!(body, "if !({when}) && {differs} {{\n{}\n}}", unsupported(name, field));
    }
}

fn write_field(context: &Context<'_>, name: &str, field: &Field, flexible: &str) -> String {
    let path = format!("self.{}", snake(&field.name));
    if is_error_code(field) {
        return format!("w.error_code({path});\n");
    }
    let Some(null_versions) = nullable(context, field) else {
        return write_value(context, &field.field_type, &path, flexible, false);
    };
    let mut text = String::new();
    let own = field.versions.intersect(context.message.valid).unwrap_or(field.versions);
    if let Some(when) = condition(null_versions, own) {
        let _ = writeln!(
            text,
            "if {path}.is_none() && !({when}) {{\nreturn Err(EncodeError::null_field(\"{name}\", \"{}\", version));\n}}",
            field.name
        );
    }
    text.push_str(&match &field.field_type {
        Type::Text => format!("w.nullable_string({path}.as_ref(), {flexible})?;\n"),
        Type::Bytes | Type::Records => format!("w.nullable_bytes({path}.as_ref(), {flexible})?;\n"),
        Type::Struct(_) => format!("w.nullable_struct({path}.as_ref(), |w, each| each.encode(w, version))?;\n"),
        Type::Array(element) => format!(
            "w.nullable_array({path}.as_deref(), {flexible}, |w, each| {})?;\n",
            write_element(context, element, flexible)
        ),
        _ => String::new(),
    });
    text
}

fn write_element(context: &Context<'_>, element: &Type, flexible: &str) -> String {
    let text = write_value(context, element, "each", flexible, true);
    match text.strip_suffix("?;\n") {
        Some(fallible) => fallible.to_owned(),
        None => format!("{{ {text} Ok(()) }}"),
    }
}

fn write_value(context: &Context<'_>, field_type: &Type, path: &str, flexible: &str, by_reference: bool) -> String {
    let (borrow, star) = if by_reference { ("", "*") } else { ("&", "") };
    match field_type {
        Type::Text => format!("w.string({borrow}{path}, {flexible})?;\n"),
        Type::Bytes => format!("w.bytes({borrow}{path}, {flexible})?;\n"),
        Type::Records => format!("w.nullable_bytes({path}.as_ref(), {flexible})?;\n"),
        Type::Struct(_) => format!("{path}.encode(w, version)?;\n"),
        Type::Array(element) => format!(
            "w.array({borrow}{path}, {flexible}, |w, each| {})?;\n",
            write_element(context, element, flexible)
        ),
        fixed => format!("w.{}({star}{path});\n", fixed_name(fixed)),
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
