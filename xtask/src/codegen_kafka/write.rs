//! The text of `encode`: which writer call stands for which field, and what is refused.

use std::fmt::Write as _;

use super::rust::{
    Context, absence, condition, differs_from_default, fixed_name, flexible_line, is_error_code, nullable,
    snake, uses,
};
use super::spec::{Field, Type, Versions};

pub(super) fn encode(
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
            "check_encode(\"{name}\", version, {}, {})?;",
            valid.min, valid.max
        );
    }
    flexible_line(&mut body, context);
    for field in fields.iter().filter(|f| f.tag.is_none()) {
        write_untagged(&mut body, context, name, field);
    }
    write_tags(&mut body, context, name, fields);
    body.push_str("Ok(())\n");
    let version = if uses(&body, "version") {
        "version"
    } else {
        "_version"
    };
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
    format!(
        "return Err(EncodeError::unsupported_field(\"{name}\", \"{}\", version));",
        field.name
    )
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
    let Some(flexible_from) = context.message.flexible_from else {
        return;
    };
    let mut tagged: Vec<&&Field> = fields.iter().filter(|f| f.tag.is_some()).collect();
    tagged.sort_by_key(|f| f.tag.map(|(number, _)| number));
    let valid = context.message.valid;
    let flexible = Versions {
        min: flexible_from.max(valid.min),
        max: valid.max,
    };
    let mut inner = String::new();
    if tagged.is_empty() {
        inner.push_str("w.no_tagged_fields();\n");
    } else {
        inner.push_str("let mut tags = TaggedFields::default();\n");
        for field in &tagged {
            let Some((number, versions)) = field.tag else {
                continue;
            };
            let differs = differs_from_default(context, field);
            let when = condition(versions, flexible)
                .map(|when| format!("{when} && "))
                .unwrap_or_default();
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
        let Some(when) = absence(versions, valid) else {
            continue;
        };
        let differs = differs_from_default(context, field);
        let _ = writeln!(
            body,
            "if {when} && {differs} {{\n{}\n}}",
            unsupported(name, field)
        );
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
    let own = field
        .versions
        .intersect(context.message.valid)
        .unwrap_or(field.versions);
    if let Some(when) = absence(null_versions, own) {
        let _ = writeln!(
            text,
            "if {path}.is_none() && {when} {{\nreturn Err(EncodeError::null_field(\"{name}\", \"{}\", version));\n}}",
            field.name
        );
    }
    text.push_str(&match &field.field_type {
        Type::Text => format!("w.nullable_string({path}.as_ref(), {flexible})?;\n"),
        Type::Bytes | Type::Records => format!("w.nullable_bytes({path}.as_ref(), {flexible})?;\n"),
        Type::Struct(_) => {
            format!("w.nullable_struct({path}.as_ref(), |w, each| each.encode(w, version))?;\n")
        }
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

fn write_value(
    context: &Context<'_>,
    field_type: &Type,
    path: &str,
    flexible: &str,
    by_reference: bool,
) -> String {
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
