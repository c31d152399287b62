//! Building blocks of the pages: headings, tables, declared options.

use std::fmt::Write;

use millstream_types::{OptionDecl, OptionType};

/// Escapes text such as `ARRAY<STRING>`, which would be an HTML tag outside of code.
fn without_tags(text: &str) -> String {
    // Back-ticks split the text; every second part is code.
    let parts = text.split('`').enumerate();
    let escaped: Vec<String> = parts
        .map(|(index, part)| {
            if index % 2 == 0 {
                part.replace('<', "\\<")
            } else {
                part.to_owned()
            }
        })
        .collect();
    escaped.join("`")
}

/// A page under construction.
pub struct Document {
    text: String,
}

impl Document {
    /// A page with its title and a first paragraph.
    pub fn new(title: &str, about: &str) -> Self {
        let mut document = Self { text: String::new() };
        document
            .line("<!-- Printed by `cargo xtask docs` from the declarations in the code. Do not edit. -->");
        document.line("");
        document.line(&format!("# {title}"));
        document.line("");
        document.line(about);
        document
    }

    fn line(&mut self, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{text}");
    }

    pub fn heading(&mut self, level: usize, text: &str) {
        self.line("");
        self.line(&format!("{} {text}", "#".repeat(level)));
    }

    pub fn paragraph(&mut self, text: &str) {
        self.line("");
        self.line(text);
    }

    /// A table; omitted if it has no rows.
    pub fn table<const N: usize>(&mut self, head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return;
        }
        self.line("");
        self.line(&format!("| {} |", head.join(" | ")));
        self.line(&format!("|{}", "---|".repeat(N)));
        for row in rows {
            let cells = row.map(|cell| without_tags(&cell).replace('|', "\\|").replace('\n', " "));
            self.line(&format!("| {} |", cells.join(" | ")));
        }
    }

    /// A table of declared options.
    pub fn options<'a>(&mut self, options: impl IntoIterator<Item = &'a OptionDecl>) {
        let row = |option: &OptionDecl| {
            [
                code(option.key),
                option_type(option.ty),
                match (option.required, option.default) {
                    (true, _) => "required".to_owned(),
                    (false, Some(default)) => value(default),
                    (false, None) => "none".to_owned(),
                },
                option.doc.to_owned(),
            ]
        };
        let rows: Vec<_> = options.into_iter().map(row).collect();
        self.table(["option", "type", "default", "meaning"], rows);
    }

    pub fn finish(self) -> String {
        self.text
    }
}

/// Text as code.
pub fn code(text: &str) -> String {
    // Code that contains a back-tick is delimited by two.
    if text.contains('`') {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}

/// A default value; an empty one is made visible.
pub fn value(text: &str) -> String {
    if text.trim().is_empty() {
        format!("`'{text}'`")
    } else {
        code(text)
    }
}

/// A list of allowed words.
pub fn words(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| code(word)).collect();
    words.join(", ")
}

fn option_type(ty: OptionType) -> String {
    match ty {
        OptionType::String => "text".to_owned(),
        OptionType::Boolean => "boolean".to_owned(),
        OptionType::Int | OptionType::Long => "integer".to_owned(),
        OptionType::Double => "number".to_owned(),
        OptionType::Duration => "duration".to_owned(),
        OptionType::MemorySize => "size".to_owned(),
        OptionType::Enum(choices) => words(choices),
        OptionType::List => "list with `;`".to_owned(),
        OptionType::Map => "`k1:v1,k2:v2`".to_owned(),
    }
}
