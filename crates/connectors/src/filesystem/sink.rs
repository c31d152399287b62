//! The sink of connector `filesystem`.
//!
//! Rows go to hidden files (`.part-….inprogress`). A file that has grown or aged enough is closed and waits; a
//! checkpoint renames what waits, the last one follows the end of the input. A file that stays open over a checkpoint is
//! remembered with its length and cut back to it after a restart, so that no row is there twice. Container files are
//! closed at each checkpoint, as the bulk formats of Flink are.

mod body;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::UInt32Array;
use millstream_dataflow::source::Waker;
use millstream_dataflow::{Context, DataflowError, Sink, SinkCommit, SinkFactory, StateBlocks};
use millstream_formats::{Encoded, Encoder};
use millstream_types::{Batch, CheckpointId, ErrorKind, LogicalType, Scalar, Schema, failpoint};

use self::body::{Container, OpenFile};
use self::state::{Closed, State};
use super::{AVRO_CODEC, DEFAULT_PARTITION, codec, container_format, local_path, partition};
use crate::context::ConnectorContext;
use crate::table_error::FilesystemError;
use crate::{SinkSpec, rows};

const STATE_BLOCK: &str = "files";
const STATE_VERSION: u8 = 1;
const FILE_BYTES_DEFAULT: u64 = 128 << 20;
const INTERVAL_MS_DEFAULT: i64 = 30 * 60_000;

/// Creates file sinks.
pub struct FileSinkFactory {
    shared: Arc<Shared>,
    parallelism_max: Option<usize>,
}

struct Shared {
    root: PathBuf,
    format: (String, millstream_types::Options),
    /// The files are containers.
    container: Option<Container>,
    /// Columns of a line.
    in_lines: Schema,
    /// Input positions of the columns of a line.
    line_columns: Vec<usize>,
    /// Partition columns: name, position in the input (`None`: fixed by PARTITION) and type.
    partitions: Vec<PartitionColumn>,
    default_name: String,
    file_bytes_max: u64,
    rollover_ms: i64,
    inactivity_ms: i64,
    success_file: Option<String>,
    overwrite: bool,
    context: ConnectorContext,
}

struct PartitionColumn {
    name: String,
    ty: LogicalType,
    from: PartitionValue,
}

enum PartitionValue {
    Column(usize),
    Fixed(Scalar),
}

impl FileSinkFactory {
    pub fn new(spec: SinkSpec, context: &ConnectorContext) -> Result<Self, DataflowError> {
        let input = |message: String| DataflowError::new(ErrorKind::Input, message);
        let table = &spec.table;
        let path = table
            .options
            .get("path")
            .ok_or_else(|| input("option 'path' is missing".to_owned()))?;
        let format = rows::format_of(table, "format", "")?;
        let columns = table.physical.project(&spec.columns);
        let is_partition = |name: &String| table.partition_keys.contains(name);
        let line_columns: Vec<usize> = (0..columns.len())
            .filter(|i| !is_partition(&columns.columns[*i].name))
            .collect();
        let in_lines = columns.project(&line_columns);
        rows::encoder(&format, &in_lines)?;
        let container = match container_format(&format)? {
            None => None,
            Some(options) => {
                let codec = codec(table.options.get(AVRO_CODEC)).map_err(FilesystemError::from)?;
                Some(Container { options, codec })
            }
        };
        let success = table
            .options
            .get("sink.partition-commit.policy.kind")
            .map(String::as_str)
            == Some("success-file");
        let success_name = table.options.get("sink.partition-commit.success-file.name");
        let shared = Shared {
            root: PathBuf::from(local_path(path)?),
            partitions: partition_columns(&spec, &columns)?,
            in_lines,
            line_columns,
            default_name: table
                .options
                .get("partition.default-name")
                .map_or(DEFAULT_PARTITION, String::as_str)
                .to_owned(),
            file_bytes_max: rows::memory_size(table, "sink.rolling-policy.file-size")?
                .unwrap_or(FILE_BYTES_DEFAULT),
            rollover_ms: rows::duration_ms(table, "sink.rolling-policy.rollover-interval")?
                .unwrap_or(INTERVAL_MS_DEFAULT),
            inactivity_ms: rows::duration_ms(table, "sink.rolling-policy.inactivity-interval")?
                .unwrap_or(INTERVAL_MS_DEFAULT),
            success_file: success.then(|| success_name.map_or("_SUCCESS", String::as_str).to_owned()),
            overwrite: spec.overwrite,
            context: context.clone(),
            format,
            container,
        };
        let parallelism_max = rows::parsed(table, "sink.parallelism", "a number of instances")?;
        // Overwriting existing files requires a single instance that knows all new files. A single instance also leaves
        // nothing to compact: it writes one file of a partition after the other, each up to the rolling size.
        let compacts = rows::parsed::<bool>(table, "auto-compaction", "true or false")?.unwrap_or(false);
        let parallelism_max = if spec.overwrite || compacts {
            Some(1)
        } else {
            parallelism_max
        };
        Ok(Self {
            shared: Arc::new(shared),
            parallelism_max,
        })
    }
}

fn partition_columns(spec: &SinkSpec, columns: &Schema) -> Result<Vec<PartitionColumn>, DataflowError> {
    let column = |name: &String| {
        let fixed = spec.static_partition.iter().find(|(key, _)| key == name);
        let physical = spec.table.physical.index_of(name);
        let from = match (fixed, columns.index_of(name)) {
            (Some((_, value)), _) => PartitionValue::Fixed(value.clone()),
            (None, Some(index)) => PartitionValue::Column(index),
            (None, None) => PartitionValue::Fixed(Scalar::Null),
        };
        let Some(physical) = physical else {
            let message = format!(
                "partition column '{name}' of table '{}' is not a column",
                spec.table.identifier
            );
            return Err(DataflowError::new(ErrorKind::Input, message));
        };
        Ok(PartitionColumn {
            name: name.clone(),
            ty: spec.table.physical.columns[physical].ty.clone(),
            from,
        })
    };
    spec.table.partition_keys.iter().map(column).collect()
}

impl SinkFactory for FileSinkFactory {
    fn create(&self, context: &Context) -> Result<Box<dyn Sink>, DataflowError> {
        let shared = Arc::clone(&self.shared);
        let encoder = rows::encoder(&shared.format, &shared.in_lines)?;
        let id = format!(
            "{:016x}{:016x}",
            shared.context.rng.next_u64(),
            shared.context.rng.next_u64()
        );
        Ok(Box::new(FileSink {
            encoder,
            encoded: Encoded::default(),
            id: format!(
                "{}-{}-{}-{}-{}",
                &id[..8],
                &id[8..12],
                &id[12..16],
                &id[16..20],
                &id[20..32]
            ),
            subtask: context.subtask,
            counter: 0,
            bytes_written: 0,
            open: BTreeMap::new(),
            closed: Vec::new(),
            prepared: BTreeMap::new(),
            states: BTreeMap::new(),
            complete: false,
            shared,
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        self.parallelism_max
    }
}

struct FileSink {
    shared: Arc<Shared>,
    encoder: Box<dyn Encoder>,
    encoded: Encoded,
    id: String,
    subtask: usize,
    counter: u64,
    /// Size of all lines.
    bytes_written: u64,
    /// By partition directory, relative to the table's.
    open: BTreeMap<String, OpenFile>,
    closed: Vec<Closed>,
    prepared: BTreeMap<CheckpointId, Vec<Closed>>,
    /// Uncommitted checkpoints, with the files at their barriers.
    states: BTreeMap<CheckpointId, StateBlocks>,
    /// All rows were written.
    complete: bool,
}

fn failed(action: &str, path: &Path, error: &std::io::Error) -> DataflowError {
    DataflowError::new(
        ErrorKind::Environment,
        format!("cannot {action} '{}': {error}", path.display()),
    )
}

impl FileSink {
    /// Groups a batch's rows by partition directory, in the order of their first rows.
    fn split(&self, batch: &Batch) -> Vec<(String, Vec<u32>)> {
        let mut groups: Vec<(String, Vec<u32>)> = Vec::new();
        for row in 0..batch.rows {
            let mut directory = String::new();
            for column in &self.shared.partitions {
                let text = match &column.from {
                    PartitionValue::Column(index) => partition::value_text(
                        &column.ty,
                        &batch.columns[*index],
                        row,
                        &self.shared.context.zone,
                    ),
                    PartitionValue::Fixed(value) => {
                        let array = value.to_array(&column.ty, 1);
                        partition::value_text(&column.ty, &array, 0, &self.shared.context.zone)
                    }
                };
                directory.push_str(&column.name);
                directory.push('=');
                match text.filter(|t| !t.is_empty()) {
                    Some(text) => partition::escape(&mut directory, &text),
                    None => directory.push_str(&self.shared.default_name),
                }
                directory.push('/');
            }
            match groups.iter_mut().rev().find(|(name, _)| *name == directory) {
                Some((_, rows)) => rows.push(row as u32),
                None => groups.push((directory, vec![row as u32])),
            }
        }
        groups
    }

    fn write_to(&mut self, directory: &str, batch: &Batch, now_ms: i64) -> Result<(), DataflowError> {
        let lines = batch.project(&self.shared.line_columns);
        self.encoded.clear();
        self.encoder
            .encode(&lines, &mut self.encoded)
            .map_err(|e| DataflowError::data(e.to_string()))?;
        if !self.open.contains_key(directory) {
            let file = self.create(directory, now_ms)?;
            self.open.insert(directory.to_owned(), file);
        }
        let Some(file) = self.open.get_mut(directory) else {
            return Ok(());
        };
        let before = file.bytes;
        for message in self.encoded.messages() {
            file.append(message.unwrap_or_default())
                .map_err(|e| failed("write", &file.hidden, &e))?;
        }
        self.bytes_written += file.bytes - before;
        file.written_ms = now_ms;
        if file.bytes >= self.shared.file_bytes_max {
            self.close_file(directory)?;
        }
        Ok(())
    }

    fn create(&mut self, directory: &str, now_ms: i64) -> Result<OpenFile, DataflowError> {
        let parent = self.shared.root.join(directory);
        std::fs::create_dir_all(&parent).map_err(|e| failed("create directory", &parent, &e))?;
        let name = format!("part-{}-{}-{}", self.id, self.subtask, self.counter);
        self.counter += 1;
        let hidden = parent.join(format!(".{name}.inprogress"));
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(&hidden)
            .map_err(|e| failed("create", &hidden, &e))?;
        let mut file = OpenFile::new(file, (hidden, parent.join(name)), 0, now_ms);
        if let Some(container) = &self.shared.container {
            let (body, header) = container.begin(&self.shared.in_lines, self.shared.context.rng.as_ref())?;
            file.body = body;
            file.write(&header)
                .map_err(|e| failed("write", &file.hidden, &e))?;
            self.bytes_written += file.bytes;
        }
        Ok(file)
    }

    fn close_file(&mut self, directory: &str) -> Result<(), DataflowError> {
        let Some(mut file) = self.open.remove(directory) else {
            return Ok(());
        };
        let before = file.bytes;
        let done = file
            .complete()
            .and_then(|()| file.writer.flush())
            .and_then(|()| file.writer.get_ref().sync_all());
        done.map_err(|e| failed("sync", &file.hidden, &e))?;
        self.bytes_written += file.bytes - before;
        failpoint::hit("file-closed");
        self.closed.push(Closed {
            hidden: file.hidden,
            visible: file.visible,
        });
        Ok(())
    }

    fn close_all(&mut self) -> Result<(), DataflowError> {
        let directories: Vec<String> = self.open.keys().cloned().collect();
        directories
            .iter()
            .try_for_each(|directory| self.close_file(directory))
    }

    /// Makes closed files visible. A file that is already visible was renamed before a restart.
    fn publish(&self, files: &[Closed]) -> Result<(), DataflowError> {
        if self.shared.overwrite {
            self.remove_replaced(files)?;
        }
        for file in files {
            if file.hidden.exists() {
                std::fs::rename(&file.hidden, &file.visible)
                    .map_err(|e| failed("rename", &file.hidden, &e))?;
                failpoint::hit("file-renamed");
            } else if !file.visible.exists() {
                return Err(DataflowError::new(
                    ErrorKind::Environment,
                    format!(
                        "file '{}' of a checkpoint is gone; was it removed by hand?",
                        file.hidden.display()
                    ),
                ));
            }
            self.announce(file)?;
        }
        Ok(())
    }

    fn announce(&self, file: &Closed) -> Result<(), DataflowError> {
        let (Some(name), Some(parent)) = (&self.shared.success_file, file.visible.parent()) else {
            return Ok(());
        };
        let path = parent.join(name);
        File::create(&path)
            .map(|_| ())
            .map_err(|e| failed("create", &path, &e))
    }

    /// INSERT OVERWRITE: removes the old files from directories that receive new ones; an unpartitioned table is
    /// emptied.
    fn remove_replaced(&self, files: &[Closed]) -> Result<(), DataflowError> {
        let mut directories: Vec<&Path> = files.iter().filter_map(|f| f.visible.parent()).collect();
        if self.shared.partitions.is_empty() {
            directories.push(&self.shared.root);
        }
        directories.sort();
        directories.dedup();
        for directory in directories {
            let Ok(entries) = std::fs::read_dir(directory) else {
                continue;
            };
            for entry in entries.flatten() {
                let path = entry.path();
                let hidden = entry.file_name().to_string_lossy().starts_with('.');
                // Renamed before a restart: one of the new files.
                let is_new = files.iter().any(|file| file.visible == path);
                if path.is_file() && !hidden && !is_new {
                    std::fs::remove_file(&path).map_err(|e| failed("remove", &path, &e))?;
                }
            }
        }
        Ok(())
    }

    fn state(&mut self, closed: Vec<Closed>) -> Result<StateBlocks, DataflowError> {
        let mut state = State {
            id: self.id.clone(),
            subtask: self.subtask,
            closed,
            open: Vec::new(),
        };
        for (directory, file) in &mut self.open {
            let done = file
                .writer
                .flush()
                .and_then(|()| file.writer.get_ref().sync_data());
            done.map_err(|e| failed("sync", &file.hidden, &e))?;
            state.open.push((
                directory.clone(),
                file.hidden.clone(),
                file.visible.clone(),
                file.bytes,
            ));
        }
        let mut bytes = vec![STATE_VERSION];
        serde_json::to_writer(&mut bytes, &state).map_err(|e| DataflowError::internal(e.to_string()))?;
        Ok(StateBlocks::single(STATE_BLOCK, bytes))
    }

    fn reopen(&mut self, state: State, now_ms: i64) -> Result<(), DataflowError> {
        self.remove_leftovers(&state)?;
        if self.shared.overwrite {
            self.closed.extend(state.closed);
        } else {
            self.publish(&state.closed)?;
        }
        for (directory, hidden, visible, length) in state.open {
            let file = OpenOptions::new()
                .write(true)
                .open(&hidden)
                .map_err(|e| failed("open", &hidden, &e))?;
            file.set_len(length)
                .map_err(|e| failed("truncate", &hidden, &e))?;
            drop(file);
            let file = OpenOptions::new()
                .append(true)
                .open(&hidden)
                .map_err(|e| failed("open", &hidden, &e))?;
            // Only one file per directory stays open; that of a second former instance is closed.
            self.close_file(&directory)?;
            let open = OpenFile::new(file, (hidden, visible), length, now_ms);
            self.open.insert(directory, open);
        }
        Ok(())
    }
}

impl FileSink {
    /// Removes hidden files that the checkpoint's instance started after it.
    fn remove_leftovers(&self, state: &State) -> Result<(), DataflowError> {
        let prefix = format!(".part-{}-", state.id);
        let is_kept = |path: &Path| {
            let closed = state.closed.iter().map(|file| &file.hidden);
            let open = state.open.iter().map(|(_, hidden, ..)| hidden);
            closed.chain(open).any(|hidden| hidden == path)
        };
        let mut directories = vec![self.shared.root.clone()];
        while let Some(directory) = directories.pop() {
            let Ok(entries) = std::fs::read_dir(&directory) else {
                continue;
            };
            for path in entries.flatten().map(|entry| entry.path()) {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                let name = name.unwrap_or_default();
                if path.is_dir() && !self.shared.partitions.is_empty() {
                    directories.push(path);
                } else if name.starts_with(&prefix) && name.ends_with(".inprogress") && !is_kept(&path) {
                    std::fs::remove_file(&path).map_err(|e| failed("remove", &path, &e))?;
                }
            }
        }
        Ok(())
    }
}

impl Sink for FileSink {
    fn open(&mut self, _: &Context, _: Waker) -> Result<(), DataflowError> {
        if !self.shared.context.batch {
            return Ok(());
        }
        std::fs::create_dir_all(&self.shared.root)
            .map_err(|e| failed("create directory", &self.shared.root, &e))
    }

    fn write(&mut self, batch: Batch, context: &Context) -> Result<(), DataflowError> {
        if self.shared.partitions.is_empty() {
            return self.write_to("", &batch, context.now_ms);
        }
        for (directory, rows) in self.split(&batch) {
            let part = batch.take(&UInt32Array::from(rows))?;
            self.write_to(&directory, &part, context.now_ms)?;
        }
        Ok(())
    }

    fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    fn next_timer(&self) -> Option<i64> {
        let due = |f: &OpenFile| {
            (f.opened_ms + self.shared.rollover_ms).min(f.written_ms + self.shared.inactivity_ms)
        };
        self.open.values().map(due).min()
    }

    fn timer(&mut self, context: &Context) -> Result<(), DataflowError> {
        let aged = |f: &OpenFile| {
            context.now_ms >= f.opened_ms + self.shared.rollover_ms
                || context.now_ms >= f.written_ms + self.shared.inactivity_ms
        };
        let directories: Vec<String> = self
            .open
            .iter()
            .filter(|(_, f)| aged(f))
            .map(|(d, _)| d.clone())
            .collect();
        directories
            .iter()
            .try_for_each(|directory| self.close_file(directory))
    }

    fn prepare(&mut self, checkpoint: CheckpointId, _: &Context) -> Result<(), DataflowError> {
        if self.shared.container.is_some() {
            self.close_all()?;
        }
        let closed = std::mem::take(&mut self.closed);
        self.prepared.insert(checkpoint, closed);
        // Files of earlier uncommitted checkpoints belong to this one as well.
        let waiting = self.prepared.values().flatten().cloned().collect();
        let state = self.state(waiting)?;
        self.states.insert(checkpoint, state);
        Ok(())
    }

    fn prepared(
        &mut self,
        checkpoint: CheckpointId,
        _: &Context,
    ) -> Result<Option<SinkCommit>, DataflowError> {
        let state = self.states.remove(&checkpoint).unwrap_or_default();
        Ok(Some(SinkCommit { state }))
    }

    fn commit(&mut self, checkpoint: CheckpointId, _: &Context) -> Result<bool, DataflowError> {
        let later = self.prepared.split_off(&CheckpointId(checkpoint.0 + 1));
        let due = std::mem::replace(&mut self.prepared, later);
        // INSERT OVERWRITE removes old files only at the end, when all new files are known.
        let due: Vec<Closed> = due.into_values().flatten().collect();
        if self.shared.overwrite && !self.complete {
            self.closed.extend(due);
            return Ok(true);
        }
        self.publish(&due)?;
        Ok(true)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        for block in &blocks {
            let Some([STATE_VERSION, json @ ..]) = block.get(STATE_BLOCK) else {
                return Err(DataflowError::internal(
                    "the state of a file sink has an unknown version",
                ));
            };
            let state: State =
                serde_json::from_slice(json).map_err(|e| DataflowError::internal(e.to_string()))?;
            // After a change of parallelism, every instance receives the state of all former ones.
            if state.subtask % context.parallelism.max(1) == self.subtask {
                self.reopen(state, context.now_ms)?;
            }
        }
        Ok(())
    }

    /// The files become visible with the last checkpoint, which follows.
    fn finish(&mut self, _: &Context) -> Result<(), DataflowError> {
        self.complete = true;
        self.close_all()
    }

    fn finished(&mut self, _: &Context) -> Result<bool, DataflowError> {
        Ok(true)
    }
}
