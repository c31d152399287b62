//! `cargo xtask codegen kafka [--check]`: turns `specs/kafka/*.txt` into `crates/kafka-wire/src/generated`, one file
//! for each API, so that the codec is plain Rust that one can read and step through. With `--check` nothing is
//! written, and the command fails if a file is not current.

mod read;
mod rust;
mod spec;
mod write;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use spec::{Kind, Message};

const SPECS: &str = "specs/kafka";
const OUTPUT: &str = "crates/kafka-wire/src/generated";
const NOTICE: &str =
    "// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.\n\n";

/// Runs the command on the repository at `root`.
pub fn run(root: &Path, check: bool) -> anyhow::Result<()> {
    let files = generate(root)?;
    let directory = root.join(OUTPUT);
    if check {
        return check_current(&directory, &files);
    }
    std::fs::create_dir_all(&directory)?;
    for stale in present_files(&directory)?
        .into_iter()
        .filter(|name| !files.contains_key(name))
    {
        std::fs::remove_file(directory.join(stale))?;
    }
    for (name, text) in &files {
        let path = directory.join(name);
        if std::fs::read_to_string(&path).ok().as_deref() != Some(text) {
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
    }
    Ok(())
}

fn check_current(directory: &Path, files: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let mut stale: Vec<String> = Vec::new();
    for (name, text) in files {
        if std::fs::read_to_string(directory.join(name)).ok().as_deref() != Some(text) {
            stale.push(name.clone());
        }
    }
    stale.extend(
        present_files(directory)?
            .into_iter()
            .filter(|name| !files.contains_key(name)),
    );
    if !stale.is_empty() {
        bail!(
            "{OUTPUT} is not current ({}); run `cargo xtask codegen kafka`",
            stale.join(", ")
        );
    }
    Ok(())
}

fn present_files(directory: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// All generated files by name, formatted.
fn generate(root: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let read = |name: &str| -> anyhow::Result<String> {
        let path: PathBuf = root.join(SPECS).join(name);
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    let messages = spec::parse(&read("messages.txt")?).context("messages.txt")?;
    let apis = group_by_api(&messages)?;
    let mut files = BTreeMap::new();
    for (name, messages) in &apis {
        files.insert(format!("{}.rs", rust::snake(name)), api_file(name, messages));
    }
    files.insert("mod.rs".to_owned(), module_file(&apis));
    files.insert("api_key.rs".to_owned(), api_key_file(&apis));
    files.insert("request.rs".to_owned(), union_file(&apis, Kind::Request));
    files.insert("response.rs".to_owned(), union_file(&apis, Kind::Response));
    files.insert("error_codes.rs".to_owned(), error_file(&read("errors.txt")?)?);
    for text in files.values_mut() {
        *text = format_rust(root, text)?;
    }
    Ok(files)
}

type Apis<'a> = Vec<(String, Vec<&'a Message>)>;

/// The messages by API, in the order of the keys; data structures last.
fn group_by_api(messages: &[Message]) -> anyhow::Result<Apis<'_>> {
    let mut apis: Apis<'_> = Vec::new();
    for message in messages {
        let suffix = match message.kind {
            Kind::Request => "Request",
            Kind::Response => "Response",
            Kind::Data => "",
        };
        let Some(name) = message.name.strip_suffix(suffix) else {
            bail!("`{}` does not end in `{suffix}`", message.name);
        };
        match apis.iter_mut().find(|(each, _)| each == name) {
            Some((_, list)) => list.push(message),
            None => apis.push((name.to_owned(), vec![message])),
        }
    }
    Ok(apis)
}

fn is_api(messages: &[&Message]) -> bool {
    messages.iter().any(|m| m.kind == Kind::Request)
}

fn api_file(name: &str, messages: &[&Message]) -> String {
    let clashes = rust::clashes(messages);
    let mut text = String::new();
    for message in messages {
        text.push_str(&rust::message(message, &clashes));
    }
    if is_api(messages) {
        let _ = writeln!(
            text,
            "impl RequestMessage for {name}Request {{\n\
             const API_KEY: ApiKey = ApiKey::{name};\n\
             type Response = {name}Response;\n}}\n\n\
             impl From<{name}Request> for Request {{\n\
             fn from(message: {name}Request) -> Self {{ Request::{name}(message) }}\n}}\n\n\
             impl From<{name}Response> for Response {{\n\
             fn from(message: {name}Response) -> Self {{ Response::{name}(message) }}\n}}\n\n\
             impl TryFrom<Response> for {name}Response {{\n\
             type Error = Response;\n\
             fn try_from(response: Response) -> Result<Self, Response> {{\n\
             match response {{ Response::{name}(message) => Ok(message), other => Err(other) }}\n}}\n}}"
        );
    }
    let what = if is_api(messages) {
        format!("The API `{name}`.")
    } else {
        format!("The structure `{name}`.")
    };
    let mut imports = rust::imports(&text);
    if is_api(messages) {
        imports.push_str("use super::{ApiKey, Request, RequestMessage, Response};\n");
    }
    format!("{NOTICE}//! {what}\n\n{imports}\n{text}")
}

fn module_file(apis: &Apis<'_>) -> String {
    let mut text = format!("{NOTICE}//! Messages, one module for each API.\n\n");
    text.push_str("mod api_key;\nmod error_codes;\nmod request;\nmod response;\n\n");
    for (name, _) in apis {
        let _ = writeln!(text, "pub mod {};", rust::snake(name));
    }
    text.push_str("\npub use api_key::ApiKey;\npub use request::Request;\npub use response::Response;\n\n");
    text.push_str("pub use crate::message::RequestMessage;\n\n");
    for (name, messages) in apis {
        for message in messages {
            let _ = writeln!(text, "pub use {}::{};", rust::snake(name), message.name);
        }
    }
    text
}

fn api_key_file(apis: &Apis<'_>) -> String {
    let requests: Vec<(&String, &&Message)> = apis
        .iter()
        .filter_map(|(name, list)| Some((name, list.iter().find(|m| m.kind == Kind::Request)?)))
        .collect();
    let mut text = format!("{NOTICE}//! The keys of the APIs and their versions.\n\n");
    text.push_str(
        "/// An API of the protocol.\n#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n\
         #[repr(i16)]\npub enum ApiKey {\n",
    );
    for (name, message) in &requests {
        let _ = writeln!(text, "{name} = {},", message.key);
    }
    text.push_str("}\n\nimpl ApiKey {\n/// All APIs in the order of their keys.\npub const ALL: &'static [ApiKey] = &[\n");
    for (name, _) in &requests {
        let _ = writeln!(text, "ApiKey::{name},");
    }
    text.push_str("];\n\n");
    let table = |text: &mut String, head: &str, value: &dyn Fn(&str, &Message) -> String| {
        let _ = writeln!(text, "{head} {{\nmatch self {{");
        for (name, message) in &requests {
            let _ = writeln!(text, "ApiKey::{name} => {},", value(name, message));
        }
        text.push_str("}\n}\n\n");
    };
    table(
        &mut text,
        "/// Kafka's name of the API.\npub const fn name(self) -> &'static str",
        &|name, _| format!("\"{name}\""),
    );
    table(
        &mut text,
        "/// The lowest and the highest version that this codec speaks.\npub const fn versions(self) -> (i16, i16)",
        &|_, message| format!("({}, {})", message.valid.min, message.valid.max),
    );
    table(
        &mut text,
        "/// The first version with compact lengths and tagged fields, if any.\npub const fn flexible_from(self) -> Option<i16>",
        &|_, message| format!("{:?}", message.flexible_from),
    );
    text.push_str(
        "/// The API of a key.\npub const fn from_code(code: i16) -> Option<ApiKey> {\nmatch code {\n",
    );
    for (name, message) in &requests {
        let _ = writeln!(text, "{} => Some(ApiKey::{name}),", message.key);
    }
    text.push_str("_ => None,\n}\n}\n}\n");
    text
}

fn union_file(apis: &Apis<'_>, kind: Kind) -> String {
    let union = if kind == Kind::Request {
        "Request"
    } else {
        "Response"
    };
    let names: Vec<&String> = apis
        .iter()
        .filter(|(_, list)| is_api(list))
        .map(|(name, _)| name)
        .collect();
    let mut text = format!("{NOTICE}//! Any {} of the protocol.\n\n", union.to_lowercase());
    text.push_str("use super::ApiKey;\nuse crate::error::{DecodeError, EncodeError};\nuse crate::reader::Reader;\nuse crate::writer::Writer;\n");
    for name in &names {
        let _ = writeln!(text, "use super::{name}{union};");
    }
    let _ = writeln!(
        text,
        "\n/// The body of a {} of any API.\n\
         #[allow(clippy::large_enum_variant, reason = \"lives for one call; a box would cost more\")]\n\
         #[derive(Clone, Debug, PartialEq)]\npub enum {union} {{",
        union.to_lowercase()
    );
    for name in &names {
        let _ = writeln!(text, "{name}({name}{union}),");
    }
    let _ = writeln!(
        text,
        "}}\n\nimpl {union} {{\n/// The API that this belongs to.\npub fn api_key(&self) -> ApiKey {{\nmatch self {{"
    );
    for name in &names {
        let _ = writeln!(text, "{union}::{name}(_) => ApiKey::{name},");
    }
    text.push_str("}\n}\n\n/// Reads a body of the given API and version.\n");
    text.push_str("pub fn decode(api_key: ApiKey, version: i16, r: &mut Reader) -> Result<Self, DecodeError> {\nmatch api_key {\n");
    for name in &names {
        let _ = writeln!(
            text,
            "ApiKey::{name} => {name}{union}::decode(r, version).map({union}::{name}),"
        );
    }
    text.push_str("}\n}\n\n/// Writes the body in the given version.\n");
    text.push_str(
        "pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {\nmatch self {\n",
    );
    for name in &names {
        let _ = writeln!(text, "{union}::{name}(message) => message.encode(w, version),");
    }
    text.push_str("}\n}\n");
    if kind == Kind::Response {
        text.push_str(&throttle_functions(apis));
    }
    text.push_str("}\n");
    text
}

/// Access to the field that most responses have at their head.
fn throttle_functions(apis: &Apis<'_>) -> String {
    let is_throttled = |message: &&Message| {
        let fields = &message.fields;
        message.kind == Kind::Response && fields.iter().any(|field| field.name == "ThrottleTimeMs")
    };
    let names = apis.iter().filter(|(_, list)| list.iter().any(is_throttled));
    let (mut read, mut write) = (String::new(), String::new());
    for (name, _) in names {
        let _ = writeln!(read, "Response::{name}(message) => message.throttle_time_ms,");
        let _ = writeln!(
            write,
            "Response::{name}(message) => Some(&mut message.throttle_time_ms),"
        );
    }
    format!(
        "\n/// For how long the client is asked to wait, 0 if it is not.\n\
         pub fn throttle_time_ms(&self) -> i32 {{\nmatch self {{\n{read}_ => 0,\n}}\n}}\n\n\
         /// The same to be written, if responses of this API have it.\n\
         pub fn throttle_time_ms_mut(&mut self) -> Option<&mut i32> {{\nmatch self {{\n{write}_ => None,\n}}\n}}\n"
    )
}

fn error_file(specs: &str) -> anyhow::Result<String> {
    let mut constants = String::new();
    let mut names = String::new();
    let mut retriable = Vec::new();
    for line in specs
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [code, name, flags @ ..] = words.as_slice() else {
            bail!("errors.txt: expected `code NAME [retriable]`, found `{line}`");
        };
        let code: i16 = code
            .parse()
            .with_context(|| format!("errors.txt: code `{code}`"))?;
        let _ = writeln!(constants, "pub const {name}: ErrorCode = ErrorCode({code});");
        let _ = writeln!(names, "{code} => Some(\"{name}\"),");
        if flags.contains(&"retriable") {
            retriable.push(code.to_string());
        }
    }
    Ok(format!(
        "{NOTICE}//! Kafka's error codes.\n\nuse crate::error_code::ErrorCode;\n\n\
         impl ErrorCode {{\n{constants}\n\
         /// Kafka's name of the code, if it is a known one.\npub const fn known_name(self) -> Option<&'static str> {{\n\
         match self.0 {{\n{names}_ => None,\n}}\n}}\n\n\
         /// Whether Kafka's clients retry a request after this error.\npub const fn is_retriable(self) -> bool {{\n\
         matches!(self.0, {})\n}}\n}}\n",
        retriable.join(" | ")
    ))
}

fn format_rust(root: &Path, text: &str) -> anyhow::Result<String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting rustfmt")?;
    let mut stdin = child.stdin.take().context("rustfmt has no standard input")?;
    stdin.write_all(text.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("rustfmt refused generated code");
    }
    Ok(String::from_utf8(output.stdout)?)
}
