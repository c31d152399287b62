//! Table connectors: one directory each, with its declaration, its source and its sink.
//!
//! A plan's `Scan` and `Sink` nodes become factories here; the engine asks the factories for instances. A connector
//! knows tables only as [`millstream_plan::TableSpec`] and formats only through `formats`. The SQL front end knows
//! connectors only through [`DECLARATIONS`].

pub mod blackhole;
pub mod context;
pub mod datagen;
pub mod filesystem;
pub mod kafka;
pub mod print;
mod rows;
pub mod side_output;
pub mod stream;
mod table_error;

use std::sync::Arc;

use millstream_dataflow::{DataflowError, SinkFactory, SourceFactory};
use millstream_plan::{MetadataColumn, ScanWatermark, TableSpec};
use millstream_types::{ConnectorDecl, Declarations, ErrorKind, LogicalType, Scalar, Schema};

pub use context::{ConnectorContext, PrintTarget};
pub use table_error::{DatagenError, FilesystemError, TableError};

/// Every connector and format of this build.
pub const DECLARATIONS: Declarations = Declarations {
    connectors: &[
        &blackhole::DECLARATION,
        &datagen::DECLARATION,
        &filesystem::DECLARATION,
        &kafka::DECLARATION,
        &kafka::UPSERT_DECLARATION,
        &print::DECLARATION,
    ],
    formats: millstream_formats::FORMATS,
};

/// [`DECLARATIONS`] and the tables over streams that only programs have.
pub const PROGRAM_DECLARATIONS: Declarations = Declarations {
    connectors: &[
        &blackhole::DECLARATION,
        &datagen::DECLARATION,
        &filesystem::DECLARATION,
        &kafka::DECLARATION,
        &kafka::UPSERT_DECLARATION,
        &print::DECLARATION,
        &stream::DECLARATION,
        &stream::UPSERT_DECLARATION,
        &stream::CHANGELOG_DECLARATION,
    ],
    formats: DECLARATIONS.formats,
};

/// A `Scan` node, as a connector receives it.
#[derive(Clone, Debug)]
pub struct ScanSpec {
    pub table: TableSpec,
    /// Positions of physical columns to produce.
    pub columns: Vec<usize>,
    /// Metadata columns to produce after them.
    pub metadata: Vec<MetadataColumn>,
    pub watermark: Option<ScanWatermark>,
    pub limit: Option<u64>,
    /// Records that cannot be decoded are emitted as a side output, see [`side_output`], instead of ending the job.
    pub dead_letters: bool,
}

impl ScanSpec {
    /// Physical columns that are produced.
    pub fn produced(&self) -> Schema {
        self.table.physical.project(&self.columns)
    }

    /// Types of the whole output.
    pub fn output_types(&self) -> Vec<LogicalType> {
        let metadata = self.metadata.iter().map(|m| m.ty.clone());
        self.produced().types().cloned().chain(metadata).collect()
    }
}

/// A `Sink` node, as a connector receives it.
#[derive(Clone, Debug)]
pub struct SinkSpec {
    pub table: TableSpec,
    /// Positions of the input's physical columns, in order.
    pub columns: Vec<usize>,
    /// Metadata columns of the input, after the physical ones.
    pub metadata: Vec<MetadataColumn>,
    pub overwrite: bool,
    pub static_partition: Vec<(String, Scalar)>,
}

/// Creates the source of a scan. Fails early: parses options and builds decoders here.
pub fn source(spec: ScanSpec, context: &ConnectorContext) -> Result<Arc<dyn SourceFactory>, DataflowError> {
    match connector_of(&spec.table)? {
        "datagen" => Ok(Arc::new(datagen::DatagenFactory::new(spec, context)?)),
        "filesystem" => Ok(Arc::new(filesystem::source::FileSourceFactory::new(
            spec, context,
        )?)),
        "kafka" | "upsert-kafka" => Ok(Arc::new(kafka::source::KafkaSourceFactory::new(spec, context)?)),
        other => Err(unusable(other, "read", &spec.table)),
    }
}

/// The sink of a table.
pub fn sink(spec: SinkSpec, context: &ConnectorContext) -> Result<Arc<dyn SinkFactory>, DataflowError> {
    match connector_of(&spec.table)? {
        "blackhole" => Ok(Arc::new(blackhole::BlackholeFactory)),
        "print" => Ok(Arc::new(print::PrintFactory::new(spec, context)?)),
        "filesystem" => Ok(Arc::new(filesystem::sink::FileSinkFactory::new(spec, context)?)),
        "kafka" | "upsert-kafka" => Ok(Arc::new(kafka::sink::KafkaSinkFactory::new(spec, context)?)),
        other => Err(unusable(other, "written", &spec.table)),
    }
}

/// The environment of a connector's expressions (watermarks).
fn environment(context: &ConnectorContext) -> millstream_functions::Environment {
    millstream_functions::Environment {
        zone: context.zone.clone(),
        zone_name: Arc::clone(&context.zone_name),
        now_ms: context.clock.now_ms(),
        watermark_ms: None,
        rng: Arc::clone(&context.rng),
        legacy_cast: false,
        current_database: "default_database".into(),
        streaming: !context.batch,
    }
}

fn connector_of(table: &TableSpec) -> Result<&str, DataflowError> {
    table.options.get("connector").map(String::as_str).ok_or_else(|| {
        DataflowError::new(
            ErrorKind::Input,
            format!("table '{}' has no option 'connector'", table.identifier),
        )
    })
}

fn unusable(connector: &str, verb: &str, table: &TableSpec) -> DataflowError {
    let known: Vec<&str> = DECLARATIONS
        .connectors
        .iter()
        .map(|c: &&ConnectorDecl| c.identifier)
        .collect();
    let message = if known.contains(&connector) {
        format!(
            "connector '{connector}' of table '{}' cannot be {verb}",
            table.identifier
        )
    } else {
        format!(
            "could not find any factory for identifier '{connector}' of table '{}'. available connectors: {}",
            table.identifier,
            known.join(", ")
        )
    };
    DataflowError::new(ErrorKind::Input, message)
}
