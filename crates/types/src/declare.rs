//! Declarations of connectors and formats.
//!
//! The SQL front end knows connectors and formats only through these: the same declaration checks a WITH clause, lists
//! metadata columns, prints the reference and completes words in the REPL. They hold no behaviour beyond checks.

use crate::changelog::ChangelogMode;
use crate::logical_type::LogicalType;
use crate::options::{OptionDecl, Options};
use crate::schema::Schema;

/// A metadata column that a connector or format offers.
#[derive(Clone, Copy, Debug)]
pub struct MetadataDecl {
    pub key: &'static str,
    /// Its type; a function, as types own heap data.
    pub ty: fn() -> LogicalType,
    /// Whether a sink writes it (a column not declared VIRTUAL).
    pub writable: bool,
    pub doc: &'static str,
}

/// How a connector uses formats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FormatUse {
    /// No format options.
    None,
    /// `format` (bytes of a file or a message).
    Value,
    /// `format` or `value.format`, and optionally `key.format` (kafka).
    KeyAndValue,
    /// `key.format` and `value.format` are both required (upsert-kafka).
    KeyAndValueRequired,
}

/// The part of a table's definition that a connector may validate.
#[derive(Clone, Debug)]
pub struct TableDefinition<'a> {
    /// `catalog.database.table`, for messages.
    pub identifier: &'a str,
    pub options: &'a Options,
    /// Physical columns.
    pub physical: &'a Schema,
    /// Names of the primary key columns; empty: none.
    pub primary_key: &'a [String],
    pub partition_keys: &'a [String],
}

/// Why a connector or a format refuses a table's definition: an error of its own crate, which `sql` cannot know.
pub type InvalidTable = Box<dyn std::error::Error + Send + Sync>;

/// Who makes the watermarks of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceWatermarks {
    /// An operator behind the source.
    Operator,
    /// The source, for each split by itself, so that a slow split does not make the rows of another one late.
    PerSplit,
    /// They come with the rows, and `SOURCE_WATERMARK()` stands for them.
    WithRows,
}

/// What the planner may leave to the sources of a connector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceAbilities {
    pub watermarks: SourceWatermarks,
    /// Whether a scan can end after a number of rows.
    pub limits: bool,
    /// Whether queries with different conditions share a scan: reading twice costs more than filtering.
    pub shared_across_filters: bool,
}

impl SourceAbilities {
    /// The planner leaves nothing to the source.
    pub const NONE: Self = Self {
        watermarks: SourceWatermarks::Operator,
        limits: false,
        shared_across_filters: false,
    };
}

/// How the row kinds that a sink accepts depend on the query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SinkAdaptation {
    /// They do not.
    Fixed,
    /// The sink accepts what the query produces, both rows of an update.
    AsProduced,
    /// The same, but a table with a primary key takes only the new row of an update.
    AsProducedByKey,
}

/// A table connector, as declared.
#[derive(Clone, Copy, Debug)]
pub struct ConnectorDecl {
    /// The value of `'connector'`.
    pub identifier: &'static str,
    pub doc: &'static str,
    pub options: &'static [OptionDecl],
    pub metadata: &'static [MetadataDecl],
    pub formats: FormatUse,
    /// Kinds that a scan produces before the format has its say; `None`: cannot be read.
    pub source: Option<ChangelogMode>,
    /// Kinds that a sink accepts before the format has its say; `None`: cannot be written.
    pub sink: Option<ChangelogMode>,
    pub source_abilities: SourceAbilities,
    pub sink_adaptation: SinkAdaptation,
    /// Whether unknown options are an error (kafka) or ignored (filesystem's format options).
    pub strict: bool,
    /// Whether a scan ends by itself under these options.
    pub bounded: fn(&Options) -> bool,
    /// Checks beyond single options; the error is shown as it is.
    pub validate: fn(&TableDefinition<'_>) -> Result<(), InvalidTable>,
}

/// A record format, as declared. Option keys are without the format's prefix.
#[derive(Clone, Copy, Debug)]
pub struct FormatDecl {
    /// The value of `'format'`, and the prefix of its options.
    pub identifier: &'static str,
    pub doc: &'static str,
    pub options: &'static [OptionDecl],
    pub metadata: &'static [MetadataDecl],
    /// Kinds that decoding produces; `None`: cannot be read.
    pub decode: Option<ChangelogMode>,
    /// Kinds that encoding accepts; `None`: cannot be written.
    pub encode: Option<ChangelogMode>,
    /// Whether decoding finds the fields of rows by name, at any depth: then a scan may leave out fields.
    pub narrows_rows: bool,
    /// Checks of options against each other and of the physical schema.
    pub validate: fn(&TableDefinition<'_>) -> Result<(), InvalidTable>,
}

/// All connectors and formats of a build, in the order in which messages list them.
#[derive(Clone, Copy, Debug)]
pub struct Declarations {
    pub connectors: &'static [&'static ConnectorDecl],
    pub formats: &'static [&'static FormatDecl],
}

impl Declarations {
    pub fn connector(&self, identifier: &str) -> Option<&'static ConnectorDecl> {
        self.connectors
            .iter()
            .copied()
            .find(|c| c.identifier == identifier)
    }

    pub fn format(&self, identifier: &str) -> Option<&'static FormatDecl> {
        self.formats.iter().copied().find(|f| f.identifier == identifier)
    }
}
