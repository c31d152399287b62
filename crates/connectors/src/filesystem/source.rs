//! The source of connector `filesystem`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use arrow_array::ArrayRef;
use millstream_dataflow::source::Waker;
use millstream_dataflow::{Context, DataflowError, Output, Source, SourceFactory, SourceStatus, StateBlocks};
use millstream_formats::{Decoded, Decoder};
use millstream_types::{Batch, Clock, ErrorKind, Scalar, Schema};
use serde::{Deserialize, Serialize};

use super::lines::{Quoting, Records};
use super::reader::{FileReader, open_container};
use super::{DEFAULT_PARTITION, container_format, local_path, partition};
use crate::context::ConnectorContext;
use crate::side_output::DeadLetter;
use crate::side_output::dead_letters;
use crate::{ScanSpec, rows};

const POSITIONS_BLOCK: &str = "positions";
const POSITIONS_VERSION: u8 = 1;

/// Creates file sources.
pub struct FileSourceFactory {
    shared: Arc<Shared>,
    monitor_ms: Option<i64>,
}

/// What all instances know.
struct Shared {
    spec: ScanSpec,
    root: PathBuf,
    format: (String, millstream_types::Options),
    /// Columns in the lines: the physical columns without partition columns.
    in_lines: Schema,
    /// Produced columns that come from lines.
    decoded: Schema,
    default_name: String,
    pattern: Option<regex::Regex>,
    quoting: Option<Quoting>,
    clock: Arc<dyn Clock>,
}

impl FileSourceFactory {
    pub fn new(spec: ScanSpec, context: &ConnectorContext) -> Result<Self, DataflowError> {
        let input = |message: String| DataflowError::new(ErrorKind::Input, message);
        let path = spec
            .table
            .options
            .get("path")
            .ok_or_else(|| input("option 'path' is missing".to_owned()))?;
        let root = PathBuf::from(local_path(path)?);
        let format = rows::format_of(&spec.table, "format", "")?;
        let in_file = |name: &str| !spec.table.partition_keys.iter().any(|k| k == name);
        let keep = |schema: Schema| Schema {
            columns: schema.columns.into_iter().filter(|c| in_file(&c.name)).collect(),
        };
        let (in_lines, decoded) = (keep(spec.table.physical.clone()), keep(spec.produced()));
        rows::decoder(&format, &decoded, &in_lines)?;
        let pattern = match spec.table.options.get("source.path.regex-pattern") {
            None => None,
            Some(text) => Some(
                regex::Regex::new(&format!("^(?:{text})$"))
                    .map_err(|e| input(format!("invalid 'source.path.regex-pattern' '{text}': {e}")))?,
            ),
        };
        let monitor_ms = rows::duration_ms(&spec.table, "source.monitor-interval")?;
        let default_name = spec
            .table
            .options
            .get("partition.default-name")
            .map_or(DEFAULT_PARTITION, String::as_str)
            .to_owned();
        let quoting = csv_quoting(&format);
        let clock = Arc::clone(&context.clock);
        let shared = Shared {
            spec,
            root,
            format,
            in_lines,
            decoded,
            default_name,
            pattern,
            quoting,
            clock,
        };
        if monitor_ms.is_none() && !shared.root.exists() {
            return Err(input(format!(
                "path '{}' of table '{}' does not exist",
                shared.root.display(),
                shared.spec.table.identifier
            )));
        }
        Ok(Self {
            shared: Arc::new(shared),
            monitor_ms,
        })
    }
}

fn csv_quoting(format: &(String, millstream_types::Options)) -> Option<Quoting> {
    let (name, options) = format;
    let is_off = |key: &str| options.get(key).is_some_and(|v| v.eq_ignore_ascii_case("true"));
    if name != "csv" || is_off("disable-quote-character") {
        return None;
    }
    let parsed = millstream_formats::csv::CsvOptions::parse(options).ok()?;
    let byte = |c: char| u8::try_from(c).ok().filter(u8::is_ascii);
    Some(Quoting {
        quote: byte(parsed.quote?)?,
        escape: parsed.escape.and_then(byte),
        delimiter: byte(parsed.delimiter).unwrap_or(b','),
    })
}

impl SourceFactory for FileSourceFactory {
    fn create(&self, _: &Context) -> Result<Box<dyn Source>, DataflowError> {
        let shared = Arc::clone(&self.shared);
        let decoder = rows::decoder(&shared.format, &shared.decoded, &shared.in_lines)?;
        Ok(Box::new(FileSource {
            shared,
            decoder,
            monitor_ms: self.monitor_ms,
            next_look_ms: i64::MIN,
            queue: VecDeque::new(),
            current: None,
            finished: BTreeSet::new(),
            restored: BTreeMap::new(),
            emitted: 0,
            bytes_read: 0,
        }))
    }

    /// An instance without files would only hold back the watermark.
    fn parallelism_max(&self) -> Option<usize> {
        if !self.is_bounded() {
            return None;
        }
        let mut files = Vec::new();
        list(&self.shared.root, &mut files).ok()?;
        Some(files.len().max(1))
    }

    fn is_bounded(&self) -> bool {
        self.monitor_ms.is_none()
    }
}

/// A file being read.
struct OpenFile {
    path: String,
    reader: FileReader,
    /// Partition and metadata values by output position; `None`: decoded from the line.
    constants: Vec<Option<Scalar>>,
    line: u64,
}

/// The state in a checkpoint.
#[derive(Default, Serialize, Deserialize)]
struct Positions {
    finished: BTreeSet<String>,
    /// Partly read files, with the position of the next record.
    partly: BTreeMap<String, u64>,
}

struct FileSource {
    shared: Arc<Shared>,
    decoder: Box<dyn Decoder>,
    monitor_ms: Option<i64>,
    next_look_ms: i64,
    queue: VecDeque<String>,
    current: Option<OpenFile>,
    /// Fully read files.
    finished: BTreeSet<String>,
    restored: BTreeMap<String, u64>,
    emitted: u64,
    /// Size of the records that were read, decompressed.
    bytes_read: u64,
}

impl FileSource {
    /// Adds unknown files that belong to this instance.
    fn look(&mut self, context: &Context) -> Result<(), DataflowError> {
        let mut files = Vec::new();
        list(&self.shared.root, &mut files).map_err(|e| {
            let message = format!("cannot list '{}': {e}", self.shared.root.display());
            DataflowError::new(ErrorKind::Environment, message)
        })?;
        files.sort();
        for file in files {
            let mine = stable_hash(&file) % context.parallelism as u64 == context.subtask as u64;
            let known = self.finished.contains(&file)
                || self.queue.contains(&file)
                || self.current.as_ref().is_some_and(|c| c.path == file);
            let wanted = self.shared.pattern.as_ref().is_none_or(|p| p.is_match(&file));
            if mine && !known && wanted {
                self.queue.push_back(file);
            }
        }
        Ok(())
    }

    fn open_next(&mut self) -> Result<bool, DataflowError> {
        let Some(path) = self.queue.pop_front() else {
            return Ok(false);
        };
        let position = self.restored.remove(&path).unwrap_or(0);
        let failed = |e: std::io::Error| {
            DataflowError::new(ErrorKind::Environment, format!("cannot read '{path}': {e}"))
        };
        let reader = match container_format(&self.shared.format)? {
            None => FileReader::lines(Path::new(&path), position, self.shared.quoting).map_err(failed)?,
            Some(options) => {
                let container = open_container(Path::new(&path), position).map_err(failed)?;
                let decoder = container.decoder(options, &self.shared.decoded);
                self.decoder = decoder.map_err(|e| DataflowError::data(format!("{e} (file '{path}')")))?;
                FileReader::Blocks(container)
            }
        };
        let constants = self.constants(&path)?;
        self.current = Some(OpenFile {
            path,
            reader,
            constants,
            line: 0,
        });
        Ok(true)
    }

    /// Values that are constant within a file.
    fn constants(&self, path: &str) -> Result<Vec<Option<Scalar>>, DataflowError> {
        let shared = &self.shared;
        let root = shared.root.to_string_lossy();
        let relative = path.strip_prefix(root.as_ref()).unwrap_or(path);
        let parts: BTreeMap<&str, &str> = partition::parts(relative).collect();
        let mut constants = Vec::new();
        for column in shared.spec.produced().columns {
            if !shared.spec.table.partition_keys.contains(&column.name) {
                constants.push(None);
                continue;
            }
            let value = match parts.get(column.name.as_str()) {
                None => Scalar::Null,
                Some(text) => {
                    partition::parse_value(&column.ty, text, &shared.default_name).map_err(|e| {
                        DataflowError::data(format!("{e} (column '{}', file '{path}')", column.name))
                    })?
                }
            };
            constants.push(Some(value));
        }
        for metadata in &shared.spec.metadata {
            constants.push(Some(file_metadata(&metadata.key, path)?));
        }
        Ok(constants)
    }

    fn emit_some(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let Some(file) = &mut self.current else {
            return Ok(());
        };
        let failed = |e: std::io::Error| {
            DataflowError::new(
                ErrorKind::Environment,
                format!("cannot read '{}': {e}", file.path),
            )
        };
        let Some(records) = file.reader.read(context.batch_rows).map_err(failed)? else {
            self.finished.insert(file.path.clone());
            self.current = None;
            return Ok(());
        };
        let (parts, letters) = if self.shared.spec.dead_letters {
            decode_or_bury(self.decoder.as_mut(), &file.path, &records)
        } else {
            let decoded = self.decoder.decode(&records.data, &records.ranges);
            let decoded = decoded.map_err(|e| {
                let record = file.line + e.message as u64 + 1;
                let what = file.reader.record_name();
                DataflowError::data(format!("{e} (file '{}', {what} {record})", file.path))
            })?;
            (vec![decoded], Vec::new())
        };
        file.line += records.ranges.len() as u64;
        self.bytes_read += records
            .ranges
            .iter()
            .map(|range| u64::from(range.length))
            .sum::<u64>();
        let batches: Vec<Batch> = parts
            .into_iter()
            .map(|decoded| with_constants(decoded, &file.constants, &self.shared.spec))
            .collect();
        for batch in batches {
            // A block may hold more rows than a batch.
            for start in (0..batch.rows).step_by(context.batch_rows.max(1)) {
                let rows = context.batch_rows.max(1).min(batch.rows - start);
                self.emit_batch(batch.slice(start, rows), out)?;
            }
        }
        dead_letters::emit(letters, out)
    }

    fn emit_batch(&mut self, mut batch: Batch, out: &mut dyn Output) -> Result<(), DataflowError> {
        if let Some(limit) = self.shared.spec.limit {
            batch = batch.slice(0, batch.rows.min(limit.saturating_sub(self.emitted) as usize));
        }
        self.emitted += batch.rows as u64;
        if batch.is_empty() {
            Ok(())
        } else {
            out.batch(batch)
        }
    }
}

/// Rows of a file with the values that are the same for all of them.
fn with_constants(decoded: Decoded, constants: &[Option<Scalar>], spec: &ScanSpec) -> Batch {
    let types = spec.output_types();
    let mut physical = decoded.columns.into_iter();
    let columns: Vec<ArrayRef> = constants
        .iter()
        .zip(&types)
        .filter_map(|(constant, ty)| match constant {
            Some(value) => Some(value.to_array(ty, decoded.rows)),
            None => physical.next(),
        })
        .collect();
    Batch {
        columns,
        kinds: decoded.kinds.map(Into::into),
        rows: decoded.rows,
    }
}

/// What can be decoded, and the other records as dead letters.
fn decode_or_bury(
    decoder: &mut dyn Decoder,
    path: &str,
    records: &Records,
) -> (Vec<Decoded>, Vec<DeadLetter>) {
    let mut letters = Vec::new();
    let decode = |range: Range<usize>| decoder.decode(&records.data, &records.ranges[range]);
    let decoded = dead_letters::decode_around(0..records.ranges.len(), decode, |record, reason| {
        let range = records.ranges[record];
        let start = range.offset as usize;
        let bytes = records.data.get(start..start + range.length as usize);
        letters.push(DeadLetter {
            value: bytes.map(<[u8]>::to_vec),
            place: vec![
                ("__millstream.errors.file", path.to_owned()),
                (
                    "__millstream.errors.offset",
                    (records.position + u64::from(range.offset)).to_string(),
                ),
            ],
            reason,
            ..DeadLetter::default()
        });
    });
    (decoded, letters)
}

impl Source for FileSource {
    fn open(&mut self, _: &Context, _: Waker) -> Result<(), DataflowError> {
        Ok(())
    }

    fn poll(&mut self, context: &Context, out: &mut dyn Output) -> Result<SourceStatus, DataflowError> {
        let now = self.shared.clock.now_ms();
        if self.current.is_none() && self.queue.is_empty() && now >= self.next_look_ms {
            self.next_look_ms = self.monitor_ms.map_or(i64::MAX, |interval| now + interval.max(1));
            self.look(context)?;
        }
        if self.shared.spec.limit.is_some_and(|limit| self.emitted >= limit) {
            return Ok(SourceStatus::Finished);
        }
        if self.current.is_some() || self.open_next()? {
            self.emit_some(context, out)?;
            return Ok(SourceStatus::Ready);
        }
        match self.monitor_ms {
            None => Ok(SourceStatus::Finished),
            Some(_) => Ok(SourceStatus::Pending {
                until_ms: Some(self.next_look_ms),
            }),
        }
    }

    fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    fn snapshot(&mut self) -> Result<StateBlocks, DataflowError> {
        let mut positions = Positions {
            finished: self.finished.clone(),
            partly: self.restored.clone(),
        };
        if let Some(file) = &self.current {
            positions.partly.insert(file.path.clone(), file.reader.position());
        }
        let mut bytes = vec![POSITIONS_VERSION];
        serde_json::to_writer(&mut bytes, &positions).map_err(|e| DataflowError::internal(e.to_string()))?;
        Ok(StateBlocks::single(POSITIONS_BLOCK, bytes))
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, _: &Context) -> Result<(), DataflowError> {
        for block in &blocks {
            let Some([POSITIONS_VERSION, json @ ..]) = block.get(POSITIONS_BLOCK) else {
                return Err(DataflowError::internal(
                    "the state of a file source has an unknown version",
                ));
            };
            let positions: Positions =
                serde_json::from_slice(json).map_err(|e| DataflowError::internal(e.to_string()))?;
            self.finished.extend(positions.finished);
            self.restored.extend(positions.partly);
        }
        Ok(())
    }
}

/// Lists the files below a directory (or the file itself). Names that start with `.` or `_` are hidden.
fn list(path: &Path, files: &mut Vec<String>) -> std::io::Result<()> {
    let is_hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(['.', '_']);
    // A table whose own path is hidden is empty.
    if path.file_name().is_some_and(is_hidden) {
        return Ok(());
    }
    if path.is_file() {
        files.push(path.to_string_lossy().into_owned());
        return Ok(());
    }
    if !path.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        // `__DEFAULT_PARTITION__` occurs only after `key=`, so hiding leading underscores skips no partition.
        list(&entry?.path(), files)?;
    }
    Ok(())
}

/// FNV-1a: the assignment of files to instances must be the same in every process.
fn stable_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

fn file_metadata(key: &str, path: &str) -> Result<Scalar, DataflowError> {
    let failed =
        |e: std::io::Error| DataflowError::new(ErrorKind::Environment, format!("cannot read '{path}': {e}"));
    Ok(match key {
        "file.path" => Scalar::String(path.to_owned()),
        "file.name" => Scalar::String(path.rsplit('/').next().unwrap_or(path).to_owned()),
        "file.size" => Scalar::BigInt(std::fs::metadata(path).map_err(failed)?.len() as i64),
        "file.modification-time" => {
            let modified = std::fs::metadata(path)
                .and_then(|m| m.modified())
                .map_err(failed)?;
            let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
            Scalar::Timestamp(since.as_millis() as i128 * 1_000_000)
        }
        other => {
            return Err(DataflowError::new(
                ErrorKind::Input,
                format!("unknown metadata key '{other}'"),
            ));
        }
    })
}
