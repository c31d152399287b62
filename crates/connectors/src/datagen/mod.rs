//! Connector `datagen`: rows of random values or sequences.

mod generator;

use std::sync::Arc;

use millstream_dataflow::source::Waker;
use millstream_dataflow::{Context, DataflowError, Output, Source, SourceFactory, SourceStatus, StateBlocks};
use millstream_types::{
    Batch, ChangelogMode, ConnectorDecl, ErrorKind, FormatUse, OptionDecl, OptionType, Options, SeededRng,
};

use crate::context::ConnectorContext;
use crate::{ScanSpec, rows};
use generator::Generator;

const ROWS_PER_SECOND_DEFAULT: u64 = 10_000;
const POSITION_BLOCK: &str = "position";
const POSITION_VERSION: u8 = 1;

const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        "rows-per-second",
        OptionType::Long,
        "Rows made in a second, over all instances.",
    )
    .with_default("10000"),
    OptionDecl::new(
        "number-of-rows",
        OptionType::Long,
        "Rows made in all; without it the table is unbounded.",
    ),
    OptionDecl::new("scan.parallelism", OptionType::Int, "Instances of the source."),
    OptionDecl::new("fields.#.kind", OptionType::String, "random or sequence.").with_default("random"),
    OptionDecl::new("fields.#.min", OptionType::String, "Least random value."),
    OptionDecl::new("fields.#.max", OptionType::String, "Greatest random value."),
    OptionDecl::new(
        "fields.#.max-past",
        OptionType::Duration,
        "How far before now random timestamps go.",
    )
    .with_default("0"),
    OptionDecl::new(
        "fields.#.length",
        OptionType::Int,
        "Length of random strings and collections.",
    ),
    OptionDecl::new(
        "fields.#.var-len",
        OptionType::Boolean,
        "Whether strings vary in length up to it.",
    )
    .with_default("false"),
    OptionDecl::new("fields.#.null-rate", OptionType::Double, "Share of NULLs.").with_default("0"),
    OptionDecl::new("fields.#.start", OptionType::String, "First value of a sequence."),
    OptionDecl::new(
        "fields.#.end",
        OptionType::String,
        "Last value of a sequence; the table is bounded then.",
    ),
];

/// The declaration of connector `datagen`.
pub const DECLARATION: ConnectorDecl = ConnectorDecl {
    identifier: "datagen",
    doc: "Makes rows of random values or sequences.",
    options: OPTIONS,
    metadata: &[],
    formats: FormatUse::None,
    source: Some(ChangelogMode::INSERT_ONLY),
    sink: None,
    strict: true,
    bounded: is_bounded,
    validate: |table| {
        let numbers =
            |c: &millstream_types::Column| Generator::parse(&c.name, &c.ty, table.options).map(|_| ());
        table.physical.columns.iter().try_for_each(numbers)?;
        for key in table.options.keys() {
            let Some(field) = key.strip_prefix("fields.") else {
                continue;
            };
            // Nested fields are addressed by further dots; the first name decides.
            let known = |c: &millstream_types::Column| field.starts_with(&format!("{}.", c.name));
            if !table.physical.columns.iter().any(known) {
                return Err(format!(
                    "unsupported options found for 'datagen'. unsupported options: {key}"
                ));
            }
        }
        Ok(())
    },
};

fn is_bounded(options: &Options) -> bool {
    options.contains_key("number-of-rows") || options.values().any(|v| v.eq_ignore_ascii_case("sequence"))
}

/// Makes datagen sources.
pub struct DatagenFactory {
    spec: ScanSpec,
    rows_per_second: u64,
    rows_max: Option<u64>,
    context: ConnectorContext,
}

impl DatagenFactory {
    pub fn new(spec: ScanSpec, context: &ConnectorContext) -> Result<Self, DataflowError> {
        let rows_per_second = rows::parsed(&spec.table, "rows-per-second", "a number of rows")?;
        let mut rows_max: Option<u64> = rows::parsed(&spec.table, "number-of-rows", "a number of rows")?;
        // The shortest sequence ends the table, whether or not the query reads its column.
        for column in &spec.table.physical.columns {
            let generator = Generator::parse(&column.name, &column.ty, &spec.table.options)
                .map_err(|e| DataflowError::new(ErrorKind::Input, e))?;
            if let Some(length) = generator.sequence_length() {
                rows_max = Some(rows_max.map_or(length, |rows| rows.min(length)));
            }
        }
        if let Some(limit) = spec.limit {
            rows_max = Some(rows_max.map_or(limit, |rows| rows.min(limit)));
        }
        Ok(Self {
            spec,
            rows_per_second: rows_per_second.unwrap_or(ROWS_PER_SECOND_DEFAULT).max(1),
            rows_max,
            context: context.clone(),
        })
    }
}

impl SourceFactory for DatagenFactory {
    fn create(&self, context: &Context) -> Result<Box<dyn Source>, DataflowError> {
        let (subtask, parallelism) = (context.subtask as u64, context.parallelism.max(1) as u64);
        let generators: Result<Vec<_>, _> = self
            .spec
            .produced()
            .columns
            .iter()
            .map(|c| Generator::parse(&c.name, &c.ty, &self.spec.table.options))
            .collect();
        // Instance i makes rows i, i + n, i + 2n, …
        let share = |rows: u64| rows / parallelism + u64::from(subtask < rows % parallelism);
        Ok(Box::new(Datagen {
            generators: generators.map_err(|e| DataflowError::new(ErrorKind::Input, e))?,
            rng: SeededRng::new(self.context.rng.next_u64()),
            rows_max: self.rows_max.map(share),
            rows_per_second: (self.rows_per_second / parallelism).max(1),
            subtask,
            parallelism,
            emitted: 0,
            started: None,
            clock: Arc::clone(&self.context.clock),
        }))
    }

    fn is_bounded(&self) -> bool {
        self.rows_max.is_some()
    }
}

struct Datagen {
    generators: Vec<Generator>,
    rng: SeededRng,
    rows_max: Option<u64>,
    rows_per_second: u64,
    subtask: u64,
    parallelism: u64,
    emitted: u64,
    /// Time and number of rows from which the rate counts.
    started: Option<(i64, u64)>,
    clock: Arc<dyn millstream_types::Clock>,
}

impl Source for Datagen {
    fn open(&mut self, _: &Context, _: Waker) -> Result<(), DataflowError> {
        Ok(())
    }

    fn poll(&mut self, context: &Context, out: &mut dyn Output) -> Result<SourceStatus, DataflowError> {
        let now = self.clock.now_ms();
        let (start, base) = *self.started.get_or_insert((now, self.emitted));
        let left = self
            .rows_max
            .map_or(u64::MAX, |max| max.saturating_sub(self.emitted));
        if left == 0 {
            return Ok(SourceStatus::Finished);
        }
        let elapsed = u128::from(now.saturating_sub(start).max(0) as u64);
        let due = base + (u128::from(self.rows_per_second) * elapsed / 1000) as u64 + 1;
        let count = due
            .saturating_sub(self.emitted)
            .min(left)
            .min(context.batch_rows as u64) as usize;
        if count == 0 {
            let next =
                (u128::from(self.emitted + 1 - base) * 1000).div_ceil(u128::from(self.rows_per_second));
            return Ok(SourceStatus::Pending {
                until_ms: Some(start + next as i64),
            });
        }
        let indices: Vec<u64> = (0..count as u64)
            .map(|i| (self.emitted + i) * self.parallelism + self.subtask)
            .collect();
        let columns = self
            .generators
            .iter()
            .map(|g| g.column(&indices, now, &self.rng))
            .collect();
        self.emitted += count as u64;
        out.batch(Batch::inserts(columns, count))?;
        Ok(SourceStatus::Ready)
    }

    fn snapshot(&mut self) -> Result<StateBlocks, DataflowError> {
        let mut bytes = vec![POSITION_VERSION];
        bytes.extend_from_slice(&self.emitted.to_le_bytes());
        Ok(StateBlocks::single(POSITION_BLOCK, bytes))
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, _: &Context) -> Result<(), DataflowError> {
        let unknown = || DataflowError::internal("the state of a datagen source has an unknown version");
        let [block] = blocks.as_slice() else {
            return Err(DataflowError::new(
                ErrorKind::Input,
                "a datagen source cannot be restored with another parallelism; use the parallelism it had before",
            ));
        };
        let Some([POSITION_VERSION, position @ ..]) = block.get(POSITION_BLOCK) else {
            return Err(unknown());
        };
        self.emitted = u64::from_le_bytes(position.try_into().map_err(|_| unknown())?);
        Ok(())
    }
}
