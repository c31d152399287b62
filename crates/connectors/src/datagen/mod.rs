//! Connector `datagen`: rows of random values or sequences.

mod generator;
mod lanes;

use std::sync::Arc;

use millstream_dataflow::source::Waker;
use millstream_dataflow::{Context, DataflowError, Output, Source, SourceFactory, SourceStatus, StateBlocks};
use millstream_types::{
    Batch, ChangelogMode, ConnectorDecl, FormatUse, OptionDecl, OptionType, Options, SeededRng,
    SinkAdaptation, SourceAbilities,
};

use crate::context::ConnectorContext;
use crate::table_error::DatagenError;
use crate::{ScanSpec, rows};
use generator::Generator;
use lanes::{Lane, PacedLane, deal};

const ROWS_PER_SECOND_DEFAULT: u64 = 10_000;
const POSITION_BLOCK: &str = "position";
const POSITION_VERSION: u8 = 2;

const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        "rows-per-second",
        OptionType::Long,
        "Rows per second over all instances.",
    )
    .with_default("10000"),
    OptionDecl::new(
        "number-of-rows",
        OptionType::Long,
        "Total number of rows; without it, the table is unbounded.",
    ),
    OptionDecl::new("scan.parallelism", OptionType::Int, "Parallelism of the source."),
    OptionDecl::new("fields.#.kind", OptionType::String, "random or sequence.").with_default("random"),
    OptionDecl::new("fields.#.min", OptionType::String, "Minimum random value."),
    OptionDecl::new("fields.#.max", OptionType::String, "Maximum random value."),
    OptionDecl::new(
        "fields.#.max-past",
        OptionType::Duration,
        "Maximum age of random timestamps.",
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
        "Whether the length of strings varies up to `length`.",
    )
    .with_default("false"),
    OptionDecl::new("fields.#.null-rate", OptionType::Double, "Fraction of NULLs.").with_default("0"),
    OptionDecl::new("fields.#.start", OptionType::String, "First value of a sequence."),
    OptionDecl::new(
        "fields.#.end",
        OptionType::String,
        "Last value of a sequence; makes the table bounded.",
    ),
];

/// The declaration of connector `datagen`.
pub const DECLARATION: ConnectorDecl = ConnectorDecl {
    identifier: "datagen",
    doc: "Generates rows of random values or sequences.",
    options: OPTIONS,
    metadata: &[],
    formats: FormatUse::None,
    source: Some(ChangelogMode::INSERT_ONLY),
    sink: None,
    source_abilities: SourceAbilities::NONE,
    sink_adaptation: SinkAdaptation::Fixed,
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
            // Dots address nested fields; the first name determines the column.
            let known = |c: &millstream_types::Column| field.starts_with(&format!("{}.", c.name));
            if !table.physical.columns.iter().any(known) {
                return Err(DatagenError::UnknownField(key.clone()).into());
            }
        }
        Ok(())
    },
};

fn is_bounded(options: &Options) -> bool {
    options.contains_key("number-of-rows") || options.values().any(|v| v.eq_ignore_ascii_case("sequence"))
}

/// Creates datagen sources.
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
        // The shortest sequence ends the table, even if the query does not read its column.
        for column in &spec.table.physical.columns {
            let generator = Generator::parse(&column.name, &column.ty, &spec.table.options)?;
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
        let generators: Result<Vec<_>, _> = self
            .spec
            .produced()
            .columns
            .iter()
            .map(|c| Generator::parse(&c.name, &c.ty, &self.spec.table.options))
            .collect();
        let lane = Lane {
            next: context.subtask as u64,
            stride: context.parallelism.max(1) as u64,
        };
        Ok(Box::new(Datagen {
            generators: generators?,
            rng: SeededRng::new(self.context.rng.next_u64()),
            end: self.rows_max.unwrap_or(u64::MAX),
            rows_per_second: self.rows_per_second,
            parallelism: context.parallelism as u64,
            lanes: vec![PacedLane::new(lane)],
            started_ms: None,
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
    /// Total rows of the table.
    end: u64,
    rows_per_second: u64,
    parallelism: u64,
    lanes: Vec<PacedLane>,
    /// When the rate started to count.
    started_ms: Option<i64>,
    clock: Arc<dyn millstream_types::Clock>,
}

impl Datagen {
    /// The numbers of the rows that are due, at most `most`.
    fn take_due(&mut self, elapsed_ms: u64, most: u64) -> Vec<u64> {
        let mut indices = Vec::new();
        for lane in &mut self.lanes {
            let room = most - indices.len() as u64;
            let count = lane.due(elapsed_ms, self.rows_per_second);
            indices.extend(lane.take(count.min(lane.lane.left(self.end)).min(room)));
        }
        indices
    }
}

impl Source for Datagen {
    fn open(&mut self, _: &Context, _: Waker) -> Result<(), DataflowError> {
        Ok(())
    }

    fn poll(&mut self, context: &Context, out: &mut dyn Output) -> Result<SourceStatus, DataflowError> {
        let now = self.clock.now_ms();
        let start = *self.started_ms.get_or_insert(now);
        let elapsed_ms = now.saturating_sub(start).max(0) as u64;
        let indices = self.take_due(elapsed_ms, context.batch_rows as u64);
        if !indices.is_empty() {
            let columns = self
                .generators
                .iter()
                .map(|g| g.column(&indices, now, &self.rng))
                .collect();
            out.batch(Batch::inserts(columns, indices.len()))?;
            return Ok(SourceStatus::Ready);
        }
        let open = self.lanes.iter().filter(|lane| lane.lane.left(self.end) > 0);
        let next = open.map(|lane| lane.next_due_ms(self.rows_per_second)).min();
        Ok(match next {
            None => SourceStatus::Finished,
            Some(next) => SourceStatus::Pending {
                until_ms: Some(start.saturating_add_unsigned(next)),
            },
        })
    }

    fn snapshot(&mut self) -> Result<StateBlocks, DataflowError> {
        let mut bytes = vec![POSITION_VERSION];
        bytes.extend_from_slice(&self.parallelism.to_le_bytes());
        for PacedLane { lane, .. } in &self.lanes {
            bytes.extend_from_slice(&lane.next.to_le_bytes());
            bytes.extend_from_slice(&lane.stride.to_le_bytes());
        }
        Ok(StateBlocks::single(POSITION_BLOCK, bytes))
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let mut lanes = Vec::new();
        let mut is_own = true;
        for block in &blocks {
            let saved = block.get(POSITION_BLOCK).and_then(read_position);
            let (parallelism, of_instance) = saved
                .ok_or_else(|| DataflowError::data("the state of a datagen source is of another version"))?;
            is_own &= parallelism == self.parallelism;
            lanes.extend(of_instance);
        }
        // After a change of parallelism, every instance receives the state of all former ones.
        if !is_own {
            lanes = deal(lanes, context.subtask, context.parallelism);
        }
        self.lanes = lanes.into_iter().map(PacedLane::new).collect();
        Ok(())
    }
}

/// The parallelism and the lanes of an instance.
fn read_position(bytes: &[u8]) -> Option<(u64, Vec<Lane>)> {
    let (&POSITION_VERSION, numbers) = bytes.split_first()? else {
        return None;
    };
    let (numbers, []) = numbers.as_chunks::<8>() else {
        return None;
    };
    let mut numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
    let parallelism = numbers.next()?;
    let mut lanes = Vec::new();
    while let Some(next) = numbers.next() {
        let stride = numbers.next().filter(|stride| *stride > 0)?;
        lanes.push(Lane { next, stride });
    }
    Some((parallelism, lanes))
}
