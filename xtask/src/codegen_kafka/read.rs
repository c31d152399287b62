//! The text of `decode`: which reader call stands for which field, and the least size of a structure.

use std::fmt::Write as _;

use super::rust::{
    Context, condition, default_expression, fixed_name, flexible_line, is_error_code, nullable, snake, uses,
};
use super::spec::{Field, Type, Versions};

pub(super) fn decode(
    text: &mut String,
    context: &Context<'_>,
    name: &str,
    fields: &[&Field],
    is_message: bool,
) {
    let valid = context.message.valid;
    let mut body = String::new();
    if is_message {
        let _ = writeln!(
            body,
            "check_decode(\"{name}\", version, {}, {})?;",
            valid.min, valid.max
        );
    }
    flexible_line(&mut body, context);
    let tagged: Vec<&&Field> = fields.iter().filter(|f| f.tag.is_some()).collect();
    let mut literal = String::new();
    for field in fields {
        let default = default_expression(context, field);
        let value = match (field.tag, condition(field.versions, valid)) {
            (Some(_), _) => default,
            (None, None) => read_field(context, field),
            (None, Some(when)) => format!(
                "if {when} {{ {} }} else {{ {default} }}",
                read_field(context, field)
            ),
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
    let version = if uses(&body, "version") {
        "version"
    } else {
        "_version"
    };
    let reader = if uses(&body, "r") { "r" } else { "_r" };
    let visible = if is_message { "pub" } else { "pub(crate)" };
    if is_message {
        let _ = writeln!(text, "/// Reads the body of the message in the given version.");
    } else if is_array_element(context, name) {
        let _ = writeln!(text, "{}", min_size_constant(context, fields));
    }
    let _ = writeln!(
        text,
        "{visible} fn decode({reader}: &mut Reader, {version}: i16) -> Result<Self, DecodeError> {{\n{body}}}\n"
    );
}

fn read_tags(body: &mut String, context: &Context<'_>, tagged: &[&&Field]) {
    let skip = if tagged.is_empty() {
        "r.skip_tagged_fields()?;".to_owned()
    } else {
        tag_match(context, tagged)
    };
    if context.flexible() == "flexible" {
        let _ = writeln!(body, "if flexible {{\n{skip}\n}}");
    } else {
        let _ = writeln!(body, "{skip}");
    }
}

fn tag_match(context: &Context<'_>, tagged: &[&&Field]) -> String {
    let flexible_from = context.message.flexible_from.unwrap_or(0);
    let flexible = Versions {
        min: flexible_from.max(context.message.valid.min),
        max: context.message.valid.max,
    };
    let mut arms = String::new();
    for field in tagged {
        let Some((number, versions)) = field.tag else {
            continue;
        };
        let guard = condition(versions, flexible)
            .map(|when| format!(" if {when}"))
            .unwrap_or_default();
        let value = read_field(context, field);
        let _ = writeln!(
            arms,
            "{number}{guard} => decoded.{} = {value},",
            snake(&field.name)
        );
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
            format!(
                "r.nullable_struct(|r| {}::decode(r, version))",
                context.rust_struct(name)
            )
        }
        other => read_value(context, other, "nullable_"),
    };
    let own = field
        .versions
        .intersect(context.message.valid)
        .unwrap_or(field.versions);
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
                other => min_size(context, other, context.message.valid.min)
                    .min(min_size(context, other, context.message.valid.max))
                    .to_string(),
            };
            format!("r.{prefix}array({flexible}, {min_size}, {read})")
        }
        fixed => format!("r.{}()", fixed_name(fixed)),
    }
}

/// Whether arrays of the structure are read, which need to know its smallest size.
fn is_array_element(context: &Context<'_>, name: &str) -> bool {
    let message = context.message;
    let mut fields = message
        .fields
        .iter()
        .chain(message.structs.iter().flat_map(|s| &s.fields));
    fields.any(|field| match &field.field_type {
        Type::Array(element) => {
            matches!(element.as_ref(), Type::Struct(each) if context.rust_struct(each) == name)
        }
        _ => false,
    })
}

fn min_size_constant(context: &Context<'_>, fields: &[&Field]) -> String {
    let valid = context.message.valid;
    let smallest = (valid.min..=valid.max)
        .map(|version| struct_min_size(context, fields, version))
        .min();
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
    let present = fields
        .iter()
        .filter(|f| f.versions.contains(version) && f.tag.is_none());
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
        Type::Text => {
            if flexible {
                1
            } else {
                2
            }
        }
        Type::Bytes | Type::Records | Type::Array(_) => {
            if flexible {
                1
            } else {
                4
            }
        }
        Type::Struct(name) => {
            let fields: Vec<&Field> = context
                .message
                .find_struct(name)
                .iter()
                .flat_map(|s| &s.fields)
                .collect();
            struct_min_size(context, &fields, version)
        }
    }
}
