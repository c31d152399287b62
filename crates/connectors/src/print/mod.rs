//! Connector `print`: a line for each change, `id:task> +I[1, a]`, on standard output or standard error. Values look as in
//! Flink's own lines, which are made by Java's `toString`.

use std::sync::Arc;

use millstream_dataflow::{Context, DataflowError, Sink, SinkFactory, Unbuffered, UnbufferedSink};
use millstream_functions::display::{Printer, Style, ZoneOffsets};
use millstream_types::options::parse_boolean;
use millstream_types::{
    Batch, ChangelogMode, ConnectorDecl, FormatUse, LogicalType, OptionDecl, OptionType, SinkAdaptation,
    SourceAbilities,
};

use crate::context::{ConnectorContext, PrintTarget};
use crate::{SinkSpec, rows};

/// The declaration of connector `print`.
pub const DECLARATION: ConnectorDecl = ConnectorDecl {
    identifier: "print",
    doc: "Prints each change on a line.",
    options: &[
        OptionDecl::new("print-identifier", OptionType::String, "Prefix of each line."),
        OptionDecl::new(
            "standard-error",
            OptionType::Boolean,
            "Whether to print to standard error.",
        )
        .with_default("false"),
        OptionDecl::new("sink.parallelism", OptionType::Int, "Parallelism of the sink."),
        OptionDecl::new(
            "property-version",
            OptionType::Int,
            "Accepted for compatibility with Flink; has no effect.",
        ),
    ],
    metadata: &[],
    formats: FormatUse::None,
    source: None,
    sink: Some(ChangelogMode::ALL),
    source_abilities: SourceAbilities::NONE,
    sink_adaptation: SinkAdaptation::AsProduced,
    strict: true,
    bounded: |_| true,
    validate: |_| Ok(()),
};

/// Creates print sinks.
pub struct PrintFactory {
    types: Vec<LogicalType>,
    identifier: Option<String>,
    to_stderr: bool,
    parallelism_max: Option<usize>,
    context: ConnectorContext,
}

impl PrintFactory {
    pub fn new(spec: SinkSpec, context: &ConnectorContext) -> Result<Self, DataflowError> {
        let option = |key: &str| spec.table.options.get(key);
        Ok(Self {
            types: spec
                .table
                .physical
                .project(&spec.columns)
                .types()
                .cloned()
                .collect(),
            identifier: option("print-identifier").filter(|id| !id.is_empty()).cloned(),
            to_stderr: option("standard-error")
                .and_then(|v| parse_boolean(v))
                .unwrap_or(false),
            parallelism_max: rows::parsed(&spec.table, "sink.parallelism", "a number of instances")?,
            context: context.clone(),
        })
    }

    /// `id:task> ` with `id` only if set and `task` only if there are several.
    fn prefix(&self, context: &Context) -> String {
        let task = (context.parallelism > 1).then(|| (context.subtask + 1).to_string());
        match (&self.identifier, task) {
            (None, None) => String::new(),
            (Some(id), None) => format!("{id}> "),
            (None, Some(task)) => format!("{task}> "),
            (Some(id), Some(task)) => format!("{id}:{task}> "),
        }
    }
}

impl SinkFactory for PrintFactory {
    fn create(&self, context: &Context) -> Result<Box<dyn Sink>, DataflowError> {
        Ok(Box::new(Unbuffered(Print {
            printers: self
                .types
                .iter()
                .map(|ty| Printer::new(ty, Style::Java))
                .collect(),
            prefix: self.prefix(context),
            to_stderr: self.to_stderr,
            target: Arc::clone(&self.context.print),
            zone: self.context.zone.clone(),
        })))
    }

    fn parallelism_max(&self) -> Option<usize> {
        self.parallelism_max
    }

    fn rests_without_rows(&self) -> bool {
        true
    }
}

struct Print {
    printers: Vec<Printer>,
    prefix: String,
    to_stderr: bool,
    target: Arc<dyn PrintTarget>,
    zone: jiff::tz::TimeZone,
}

impl UnbufferedSink for Print {
    fn write(&mut self, batch: Batch) -> Result<(), DataflowError> {
        let mut zone = ZoneOffsets::new(self.zone.clone());
        let mut line = String::new();
        for row in 0..batch.rows {
            line.clear();
            line.push_str(&self.prefix);
            line.push_str(batch.kind(row).symbol());
            line.push('[');
            for (index, (printer, column)) in self.printers.iter().zip(&batch.columns).enumerate() {
                if index > 0 {
                    line.push_str(", ");
                }
                printer.write(&mut line, column, row, &mut zone);
            }
            line.push(']');
            self.target.print_line(&line, self.to_stderr);
        }
        Ok(())
    }
}
