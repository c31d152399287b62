//! Format `csv`: one line of separated values in a message, by position.
//!
//! The dialect is that of Jackson's CSV module, which Flink uses: quotes count only at the start of a field, a doubled
//! quote stands for one, and when writing, a text is quoted as soon as a character might need it.

mod decode;
mod encode;
mod line;

use millstream_types::{ChangelogMode, FormatDecl, OptionDecl, OptionType, Options};

pub use decode::CsvDecoder;
pub use encode::CsvEncoder;

use crate::{FormatError, boolean_option, options_behind};

const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new("field-delimiter", OptionType::String, "Character between fields.").with_default(","),
    OptionDecl::new("disable-quote-character", OptionType::Boolean, "Whether values are never quoted.")
        .with_default("false"),
    OptionDecl::new("quote-character", OptionType::String, "Character around quoted values.").with_default("\""),
    OptionDecl::new("allow-comments", OptionType::Boolean, "Whether lines that start with '#' are skipped.")
        .with_default("false"),
    OptionDecl::new(
        "ignore-parse-errors",
        OptionType::Boolean,
        "Whether an invalid value becomes NULL and an invalid line is skipped, instead of failing the job.",
    )
    .with_default("false"),
    OptionDecl::new("array-element-delimiter", OptionType::String, "Separator of array elements and of fields of a nested row.")
        .with_default(";"),
    OptionDecl::new("escape-character", OptionType::String, "Escape character: the next character is taken literally."),
    OptionDecl::new("null-literal", OptionType::String, "Text that stands for NULL."),
    OptionDecl::new(
        "write-bigdecimal-in-scientific-notation",
        OptionType::Boolean,
        "Accepted without effect, as in Flink: files contain decimals in their shortest form (1E+5), messages all digits (100000).",
    )
    .with_default("true"),
    OptionDecl::new("trim-spaces", OptionType::Boolean, "Whether spaces around unquoted values are trimmed.")
        .with_default("false"),
    OptionDecl::new("ignore-trailing-unmappable", OptionType::Boolean, "Whether surplus fields of a line are ignored.")
        .with_default("false"),
    OptionDecl::new("allow-trailing-comma", OptionType::Boolean, "Whether a line may end with an additional delimiter.")
        .with_default("true"),
    OptionDecl::new("fail-on-missing-columns", OptionType::Boolean, "Whether a line with too few fields is invalid.")
        .with_default("false"),
    OptionDecl::new("empty-string-as-null", OptionType::Boolean, "Whether an empty field is NULL.").with_default("false"),
];

/// The declaration of format `csv`.
pub const DECLARATION: FormatDecl = FormatDecl {
    identifier: "csv",
    doc: "Delimiter-separated lines; columns are assigned by position.",
    options: OPTIONS,
    metadata: &[],
    decode: Some(ChangelogMode::INSERT_ONLY),
    encode: Some(ChangelogMode::INSERT_ONLY),
    narrows_rows: false,
    validate: |table| {
        CsvOptions::parse(&options_behind("csv.", table.options))?;
        Ok(())
    },
};

/// The options of format `csv`, parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CsvOptions {
    pub delimiter: char,
    /// `None`: quoting is off.
    pub quote: Option<char>,
    pub escape: Option<char>,
    pub array_delimiter: String,
    pub null_literal: Option<String>,
    pub allow_comments: bool,
    pub ignore_parse_errors: bool,
    /// Whether decimals are written without trailing zeros, in scientific notation where that is shorter, as Flink does in
    /// files. In messages it writes all digits of the scale; the option for the notation changes neither.
    pub strip_decimals: bool,
    /// Whether the columns that are read must be in the line, as in files of Flink, or all columns of the table.
    pub checks_read_columns: bool,
    pub trim_spaces: bool,
    pub ignore_trailing: bool,
    pub allow_trailing_comma: bool,
    pub fail_on_missing: bool,
    pub empty_as_null: bool,
}

impl CsvOptions {
    /// Reads options given without the prefix `csv.`.
    pub fn parse(options: &Options) -> Result<Self, FormatError> {
        let flag = |key, default| boolean_option("csv", options, key, default);
        flag("write-bigdecimal-in-scientific-notation", true)?;
        let disable_quote = flag("disable-quote-character", false)?;
        if disable_quote && options.contains_key("quote-character") {
            return Err(FormatError::Conflict(
                "format cannot define a quote character and disabled quote character at the same time",
            ));
        }
        Ok(Self {
            delimiter: character(options, "field-delimiter", true)?.unwrap_or(','),
            quote: if disable_quote {
                None
            } else {
                Some(character(options, "quote-character", false)?.unwrap_or('"'))
            },
            escape: character(options, "escape-character", false)?,
            array_delimiter: character(options, "array-element-delimiter", false)?
                .unwrap_or(';')
                .to_string(),
            null_literal: options.get("null-literal").cloned(),
            allow_comments: flag("allow-comments", false)?,
            ignore_parse_errors: flag("ignore-parse-errors", false)?,
            strip_decimals: false,
            checks_read_columns: false,
            trim_spaces: flag("trim-spaces", false)?,
            ignore_trailing: flag("ignore-trailing-unmappable", false)?,
            allow_trailing_comma: flag("allow-trailing-comma", true)?,
            fail_on_missing: flag("fail-on-missing-columns", false)?,
            empty_as_null: flag("empty-string-as-null", false)?,
        })
    }
}

/// An option that is one character. The field delimiter may be written as a Java escape (`\t`, `\u0001`).
fn character(options: &Options, key: &'static str, unescape: bool) -> Result<Option<char>, FormatError> {
    let Some(value) = options.get(key) else {
        return Ok(None);
    };
    let text = if unescape {
        unescape_java(value)
    } else {
        value.clone()
    };
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) => Ok(Some(only)),
        _ => Err(FormatError::Character {
            key,
            value: value.clone(),
        }),
    }
}

fn unescape_java(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let hex: String = rest.by_ref().take(4).collect();
                out.extend(u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32));
            }
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    out
}
