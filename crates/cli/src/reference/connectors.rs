//! The pages of connectors and of formats.

use millstream_connectors::DECLARATIONS;
use millstream_types::{ChangelogMode, FormatUse, MetadataDecl};

use super::markdown::{Document, code};

/// Explains the tables of options.
const TYPES: &str = "Durations are written `10 s`, `500 ms`, `1 min`, `2 h`, `1 d`; sizes `64 kb`, `128 mb`, `1 gb`. \
     In the keys, `*` stands for any ending and `#` for the name of a column.";

/// `connectors.md`
pub fn page() -> String {
    let mut page = Document::new(
        "Connectors",
        "What the option `'connector'` of a table may name, and the options beside it.",
    );
    page.paragraph(TYPES);
    for connector in DECLARATIONS.connectors {
        page.heading(2, connector.identifier);
        page.paragraph(connector.doc);
        page.table(
            ["can be", "changes"],
            [("read", connector.source), ("written", connector.sink)]
                .iter()
                .filter_map(|(verb, mode)| Some([(*verb).to_owned(), changes((*mode)?)])),
        );
        match connector.formats {
            FormatUse::None => {}
            FormatUse::Value => page.paragraph("Needs a [format](formats.md): `'format'`."),
            FormatUse::KeyAndValue => page.paragraph(
                "Needs a [format](formats.md): `'format'` or `'value.format'`, and `'key.format'` for a key. The format's \
                 options stand behind its name: `'json.ignore-parse-errors'`, `'key.json.ignore-parse-errors'`.",
            ),
            FormatUse::KeyAndValueRequired => page.paragraph(
                "Needs two [formats](formats.md): `'key.format'` and `'value.format'`. A format's options stand behind \
                 both names: `'value.json.ignore-parse-errors'`.",
            ),
        }
        page.options(connector.options);
        metadata(&mut page, connector.metadata);
    }
    page.finish()
}

/// `formats.md`
pub fn formats_page() -> String {
    let mut page = Document::new(
        "Formats",
        "What the options `'format'`, `'key.format'` and `'value.format'` of a table may name. The options of a format stand \
         behind its name: `'csv.field-delimiter'`.",
    );
    page.paragraph(TYPES);
    for format in DECLARATIONS.formats {
        page.heading(2, format.identifier);
        page.paragraph(format.doc);
        page.table(
            ["can be", "changes"],
            [("read", format.decode), ("written", format.encode)]
                .iter()
                .filter_map(|(verb, mode)| Some([(*verb).to_owned(), changes((*mode)?)])),
        );
        page.options(format.options);
        metadata(&mut page, format.metadata);
    }
    page.finish()
}

fn metadata(page: &mut Document, columns: &[MetadataDecl]) {
    if !columns.is_empty() {
        page.paragraph("Metadata columns:");
    }
    let row = |column: &MetadataDecl| {
        [
            code(column.key),
            code(&(column.ty)().to_string()),
            if column.writable { "read, written" } else { "read" }.to_owned(),
            column.doc.to_owned(),
        ]
    };
    page.table(["column", "type", "use", "meaning"], columns.iter().map(row));
}

/// `+I`, `-U`, `+U`, `-D`: as results show them.
fn changes(mode: ChangelogMode) -> String {
    let kinds = [
        (mode.insert, "`+I`"),
        (mode.update_before, "`-U`"),
        (mode.update_after, "`+U`"),
        (mode.delete, "`-D`"),
    ];
    let shown: Vec<&str> = kinds
        .iter()
        .filter(|(on, _)| *on)
        .map(|(_, kind)| *kind)
        .collect();
    shown.join(" ")
}
