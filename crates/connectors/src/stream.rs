//! Connectors `datastream`, `datastream-upsert` and `datastream-changelog`: tables that are streams of a program.
//!
//! They are declarations only. A program that embeds queries replaces the scans of such tables by operators behind its
//! streams, so there is no source here, and sessions outside of programs do not know the connectors.

use millstream_types::{
    ChangelogMode, ConnectorDecl, FormatUse, InvalidTable, LogicalType, MetadataDecl, OptionDecl, OptionType,
    Options, SinkAdaptation, SourceAbilities, SourceWatermarks, TableDefinition,
};

use crate::table_error::TableError;

/// Option that names the stream.
pub const STREAM: &str = "stream";
/// Option that says whether the stream ends by itself.
pub const BOUNDED: &str = "bounded";
/// Metadata key of a record's timestamp.
pub const ROWTIME: &str = "rowtime";

pub const DATASTREAM: &str = "datastream";
pub const DATASTREAM_UPSERT: &str = "datastream-upsert";
pub const DATASTREAM_CHANGELOG: &str = "datastream-changelog";

/// Every connector whose rows and watermarks come from a stream.
pub const CONNECTORS: [&str; 3] = [DATASTREAM, DATASTREAM_UPSERT, DATASTREAM_CHANGELOG];

const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(STREAM, OptionType::String, "Number of the stream in its program.").required(),
    OptionDecl::new(BOUNDED, OptionType::Boolean, "Whether the stream ends by itself.").with_default("false"),
];

const METADATA: &[MetadataDecl] = &[MetadataDecl {
    key: ROWTIME,
    ty: || LogicalType::timestamp_ltz(3),
    writable: false,
    doc: "Timestamp of the record.",
}];

const fn declaration(identifier: &'static str, source: ChangelogMode) -> ConnectorDecl {
    ConnectorDecl {
        identifier,
        doc: "A stream of the program around the query.",
        options: OPTIONS,
        metadata: METADATA,
        formats: FormatUse::None,
        source: Some(source),
        sink: None,
        source_abilities: SourceAbilities {
            watermarks: SourceWatermarks::WithRows,
            ..SourceAbilities::NONE
        },
        sink_adaptation: SinkAdaptation::Fixed,
        strict: true,
        bounded: is_bounded,
        validate: needs_no_more,
    }
}

fn is_bounded(options: &Options) -> bool {
    options.get(BOUNDED).is_some_and(|value| value == "true")
}

fn needs_no_more(_: &TableDefinition<'_>) -> Result<(), InvalidTable> {
    Ok(())
}

fn needs_a_key(table: &TableDefinition<'_>) -> Result<(), InvalidTable> {
    match table.primary_key {
        [] => Err(TableError::UpsertStreamKey(table.identifier.to_owned()).into()),
        _ => Ok(()),
    }
}

/// Insertions only.
pub const DECLARATION: ConnectorDecl = declaration(DATASTREAM, ChangelogMode::INSERT_ONLY);

/// Changes by primary key, without the rows before updates.
pub const UPSERT_DECLARATION: ConnectorDecl = ConnectorDecl {
    validate: needs_a_key,
    ..declaration(DATASTREAM_UPSERT, ChangelogMode::UPSERT)
};

/// Changes of every kind.
pub const CHANGELOG_DECLARATION: ConnectorDecl = declaration(DATASTREAM_CHANGELOG, ChangelogMode::ALL);
