//! Reads the message descriptions of `specs/kafka/messages.txt` into plain data. It knows the file format and
//! nothing about Rust or about bytes on the wire; the codec generator and the codec's own tests both read it.

use std::collections::BTreeSet;

use anyhow::{Context, anyhow, bail};

/// An inclusive range of versions; `max` is `i16::MAX` for "to the end".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub min: i16,
    pub max: i16,
}

impl Versions {
    /// The versions that are in both ranges, if any.
    pub fn intersect(self, other: Versions) -> Option<Versions> {
        let both = Versions {
            min: self.min.max(other.min),
            max: self.max.min(other.max),
        };
        (both.min <= both.max).then_some(both)
    }

    /// Whether every version of `other` is in this range.
    pub fn covers(self, other: Versions) -> bool {
        self.min <= other.min && self.max >= other.max
    }

    pub fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }
}

/// The type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Int64,
    Float64,
    Text,
    Bytes,
    Records,
    Uuid,
    Struct(String),
    Array(Box<Type>),
}

/// One field of a message or structure.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub field_type: Type,
    pub versions: Versions,
    pub nullable: Option<Versions>,
    pub tag: Option<(u32, Versions)>,
    pub default: Option<String>,
    pub ignorable: bool,
}

/// A structure: inline (described below its field) or shared by several fields of its message.
#[derive(Clone, Debug)]
pub struct Struct {
    pub name: String,
    pub fields: Vec<Field>,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Response,
    Data,
}

/// A message with all its structures.
#[derive(Clone, Debug)]
pub struct Message {
    pub kind: Kind,
    /// The API key; -1 for data that travels inside of other messages.
    pub key: i16,
    pub name: String,
    pub valid: Versions,
    pub flexible_from: Option<i16>,
    pub fields: Vec<Field>,
    pub structs: Vec<Struct>,
}

impl Message {
    pub fn find_struct(&self, name: &str) -> Option<&Struct> {
        self.structs.iter().find(|s| s.name == name)
    }
}

struct Line<'a> {
    number: usize,
    depth: usize,
    words: Vec<&'a str>,
}

/// Parses the whole file; the error names the line.
pub fn parse(text: &str) -> anyhow::Result<Vec<Message>> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let body = line.trim_start();
        if body.is_empty() || body.starts_with('#') {
            continue;
        }
        let indent = line.len() - body.len();
        lines.push(Line {
            number: index + 1,
            depth: indent / 2,
            words: body.split_whitespace().collect(),
        });
    }
    let mut messages = Vec::new();
    let mut position = 0;
    while position < lines.len() {
        let mut message = parse_message(&lines[position])?;
        position += 1;
        parse_fields(&lines, &mut position, 1, &mut message)?;
        check_structs(&message)?;
        messages.push(message);
    }
    Ok(messages)
}

fn parse_message(line: &Line<'_>) -> anyhow::Result<Message> {
    let fail = |what: &str| anyhow!("line {}: {what}", line.number);
    let (kind, key, rest) = match line.words.as_slice() {
        ["request", key, rest @ ..] => (
            Kind::Request,
            parse_number(key).map_err(|e| fail(&e.to_string()))?,
            rest,
        ),
        ["response", key, rest @ ..] => (
            Kind::Response,
            parse_number(key).map_err(|e| fail(&e.to_string()))?,
            rest,
        ),
        ["data", rest @ ..] => (Kind::Data, -1, rest),
        _ => return Err(fail("expected `request`, `response` or `data`")),
    };
    let [name, valid, flexible] = rest else {
        return Err(fail("expected NAME valid=… flexible=…"));
    };
    let valid = valid
        .strip_prefix("valid=")
        .ok_or_else(|| fail("expected valid=…"))?;
    let flexible = flexible
        .strip_prefix("flexible=")
        .ok_or_else(|| fail("expected flexible=…"))?;
    let flexible_from = match flexible {
        "none" => None,
        range => Some(parse_versions(range).map_err(|e| fail(&e.to_string()))?.min),
    };
    Ok(Message {
        kind,
        key,
        name: (*name).to_owned(),
        valid: parse_versions(valid).map_err(|e| fail(&e.to_string()))?,
        flexible_from,
        fields: Vec::new(),
        structs: Vec::new(),
    })
}

/// Parses the top-level fields and shared structures of `message`.
fn parse_fields(
    lines: &[Line<'_>],
    position: &mut usize,
    depth: usize,
    message: &mut Message,
) -> anyhow::Result<()> {
    while let Some(line) = lines.get(*position).filter(|line| line.depth >= depth) {
        if let ["struct", name, _versions] = line.words.as_slice() {
            *position += 1;
            let fields = parse_children(lines, position, depth + 1, message)?;
            message.structs.push(Struct {
                name: (*name).to_owned(),
                fields,
            });
            continue;
        }
        let field = parse_field_with_children(lines, position, depth, message)?;
        message.fields.push(field);
    }
    Ok(())
}

fn parse_children(
    lines: &[Line<'_>],
    position: &mut usize,
    depth: usize,
    message: &mut Message,
) -> anyhow::Result<Vec<Field>> {
    let mut fields = Vec::new();
    while lines.get(*position).is_some_and(|line| line.depth >= depth) {
        fields.push(parse_field_with_children(lines, position, depth, message)?);
    }
    Ok(fields)
}

fn parse_field_with_children(
    lines: &[Line<'_>],
    position: &mut usize,
    depth: usize,
    message: &mut Message,
) -> anyhow::Result<Field> {
    let line = &lines[*position];
    if line.depth != depth {
        bail!("line {}: indented too far", line.number);
    }
    let field = parse_field(line).map_err(|e| anyhow!("line {}: {e}", line.number))?;
    *position += 1;
    let children = parse_children(lines, position, depth + 1, message)?;
    if !children.is_empty() {
        let name = struct_name(&field.field_type)
            .with_context(|| format!("line {}: only structures have children", line.number))?;
        message.structs.push(Struct {
            name: name.to_owned(),
            fields: children,
        });
    }
    Ok(field)
}

fn parse_field(line: &Line<'_>) -> anyhow::Result<Field> {
    let [name, field_type, versions, flags @ ..] = line.words.as_slice() else {
        bail!("expected NAME TYPE VERSIONS");
    };
    let mut field = Field {
        name: (*name).to_owned(),
        field_type: parse_type(field_type),
        versions: parse_versions(versions)?,
        nullable: None,
        tag: None,
        default: None,
        ignorable: false,
    };
    for flag in flags {
        match flag.split_once('=') {
            None if *flag == "ignorable" => field.ignorable = true,
            None if *flag == "key" => {}
            Some(("null", range)) => field.nullable = Some(parse_versions(range)?),
            Some(("default", value)) => field.default = Some(value.trim_matches('"').to_owned()),
            Some(("tag", tag)) => {
                let (number, range) = tag.split_once('@').context("expected tag=N@VERSIONS")?;
                let number = number
                    .parse()
                    .with_context(|| format!("tag `{number}` is not a number"))?;
                field.tag = Some((number, parse_versions(range)?));
            }
            _ => bail!("unknown flag `{flag}`"),
        }
    }
    Ok(field)
}

fn parse_type(word: &str) -> Type {
    if let Some(element) = word.strip_prefix("[]") {
        return Type::Array(Box::new(parse_type(element)));
    }
    match word {
        "bool" => Type::Bool,
        "int8" => Type::Int8,
        "int16" => Type::Int16,
        "uint16" => Type::Uint16,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "float64" => Type::Float64,
        "string" => Type::Text,
        "bytes" => Type::Bytes,
        "records" => Type::Records,
        "uuid" => Type::Uuid,
        name => Type::Struct(name.to_owned()),
    }
}

fn parse_versions(text: &str) -> anyhow::Result<Versions> {
    if let Some(min) = text.strip_suffix('+') {
        return Ok(Versions {
            min: parse_number(min)?,
            max: i16::MAX,
        });
    }
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    Ok(Versions {
        min: parse_number(min)?,
        max: parse_number(max)?,
    })
}

fn parse_number(text: &str) -> anyhow::Result<i16> {
    text.parse()
        .with_context(|| format!("`{text}` is not a version or key"))
}

/// The structure that a field's type names, directly or as an array's element.
pub fn struct_name(field_type: &Type) -> Option<&str> {
    match field_type {
        Type::Struct(name) => Some(name),
        Type::Array(element) => struct_name(element),
        _ => None,
    }
}

fn check_structs(message: &Message) -> anyhow::Result<()> {
    let mut names = BTreeSet::new();
    for each in &message.structs {
        if !names.insert(each.name.as_str()) {
            bail!("{}: structure `{}` is described twice", message.name, each.name);
        }
    }
    let all_fields = message
        .fields
        .iter()
        .chain(message.structs.iter().flat_map(|s| &s.fields));
    for field in all_fields {
        if let Some(name) = struct_name(&field.field_type)
            && !names.contains(name)
        {
            bail!(
                "{}: structure `{name}` of `{}` is not described",
                message.name,
                field.name
            );
        }
        if let Some((_, versions)) = field.tag
            && versions != field.versions
        {
            bail!(
                "{}: `{}` is tagged in a part of its versions",
                message.name,
                field.name
            );
        }
    }
    Ok(())
}
