//! The page of functions.

use millstream_functions::{
    AggregateFunction, Determinism, Group, ScalarFunction, all_aggregates, all_scalars,
};
use millstream_sql::language::{EXPRESSIONS, Form, TABLES};

use super::markdown::{Document, code};

/// `functions.md`
pub fn page() -> String {
    let mut scalars: Vec<&ScalarFunction> = all_scalars().collect();
    scalars.sort_by_key(|f| (f.group, f.name));
    let mut aggregates: Vec<&AggregateFunction> = all_aggregates().collect();
    aggregates.sort_by_key(|f| (f.window_only, f.name));
    let about = format!(
        "Every built-in function and operator: {} of values, {} of groups of rows. Names are Flink's, and are written in any \
         case. `HELP name` in the shell shows one of them.",
        scalars.len(),
        aggregates.len()
    );
    let mut page = Document::new("Functions", &about);
    let form = |form: &Form| [code(form.syntax), form.doc.to_owned()];
    page.heading(2, "Forms of the language");
    page.table(["form", "result"], EXPRESSIONS.iter().map(form));
    page.heading(2, "Tables in FROM");
    page.table(["form", "result"], TABLES.iter().map(form));
    for family in scalars.chunk_by(|a, b| a.group == b.group) {
        page.heading(2, title(family[0].group));
        page.table(["form", "result"], family.iter().map(|f| scalar(f)));
    }
    let is_window_only = |f: &&&AggregateFunction| f.window_only;
    page.heading(2, "Aggregates");
    page.paragraph(
        "With `GROUP BY`, over windows, and with `OVER`; most take `DISTINCT` and `FILTER (WHERE …)`.",
    );
    let plain = aggregates.iter().filter(|f| !is_window_only(f));
    page.table(["form", "result"], plain.map(|f| aggregate(f)));
    page.heading(2, "Only with OVER");
    let over = aggregates.iter().filter(is_window_only);
    page.table(["form", "result"], over.map(|f| aggregate(f)));
    page.finish()
}

fn title(group: Group) -> &'static str {
    match group {
        Group::Comparison => "Comparison",
        Group::Logical => "Logic",
        Group::Arithmetic => "Numbers",
        Group::String => "Strings",
        Group::Temporal => "Date and time",
        Group::Conditional => "Conditions",
        Group::Conversion => "Conversion",
        Group::Collection => "Collections",
        Group::Json => "JSON",
        Group::Variant => "VARIANT",
        Group::Constructor => "Constructors",
        Group::Grouping => "Grouping",
        Group::Hash => "Hashes",
        Group::Bitmap => "Bitmaps",
        Group::Auxiliary => "Auxiliary",
    }
}

fn scalar(function: &ScalarFunction) -> [String; 2] {
    let mut doc = meaning(function.doc, function.aliases);
    match function.determinism {
        Determinism::Always => {}
        Determinism::WithinQuery => {
            doc.push_str(" Evaluated for each record; in batch mode once for the query.")
        }
        Determinism::Never => doc.push_str(" Each call gives another value."),
    }
    [code(function.syntax), doc]
}

fn aggregate(function: &AggregateFunction) -> [String; 2] {
    [code(function.syntax), meaning(function.doc, function.aliases)]
}

fn meaning(doc: &str, aliases: &[&str]) -> String {
    if aliases.is_empty() {
        return doc.to_owned();
    }
    let aliases: Vec<String> = aliases.iter().map(|alias| code(alias)).collect();
    format!("{doc} Also {}.", aliases.join(", "))
}
