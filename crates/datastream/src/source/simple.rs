//! Sources for beginnings and tests: collections, sequences, files of lines.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::error::{Error, Result};
use crate::source::{Boundedness, ReaderOutput, ReaderStatus, Source, SplitReader};

/// The elements of a collection, in order, by one instance.
#[derive(Clone)]
pub struct CollectionSource<T>(Arc<Vec<T>>);

impl<T> CollectionSource<T> {
    pub fn new(elements: impl IntoIterator<Item = T>) -> Self {
        Self(Arc::new(elements.into_iter().collect()))
    }
}

const COLLECTION: &str = "collection";

impl<T: Data + Sync> Source for CollectionSource<T> {
    type Item = T;
    /// The number of elements read.
    type Split = u64;
    type Reader = CollectionReader<T>;

    fn name(&self) -> String {
        "Collection Source".to_owned()
    }

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self) -> Result<Vec<u64>> {
        Ok(vec![0])
    }

    fn split_id(&self, _: &u64) -> String {
        COLLECTION.to_owned()
    }

    fn create_reader(&self) -> Result<CollectionReader<T>> {
        Ok(CollectionReader {
            elements: Arc::clone(&self.0),
            next: None,
        })
    }
}

/// Reads a [`CollectionSource`].
pub struct CollectionReader<T> {
    elements: Arc<Vec<T>>,
    next: Option<usize>,
}

impl<T: Data + Sync> SplitReader<T, u64> for CollectionReader<T> {
    fn add_split(&mut self, split: u64) -> Result<()> {
        self.next = Some(usize::try_from(split).unwrap_or(usize::MAX));
        Ok(())
    }

    fn poll(&mut self, out: &mut ReaderOutput<T>) -> Result<ReaderStatus> {
        let Some(next) = self.next else {
            return Ok(ReaderStatus::Finished);
        };
        let start = next.min(self.elements.len());
        let end = (start + out.room()).min(self.elements.len());
        for element in &self.elements[start..end] {
            out.collect(COLLECTION, element.clone());
        }
        self.next = (end < self.elements.len()).then_some(end);
        if self.next.is_some() {
            return Ok(ReaderStatus::Ready);
        }
        out.finish_split(COLLECTION);
        Ok(ReaderStatus::Finished)
    }

    fn snapshot(&mut self) -> Result<Vec<u64>> {
        Ok(self.next.into_iter().map(|next| next as u64).collect())
    }
}

/// The numbers from one to another, both included, shared out over the instances.
#[derive(Clone, Copy, Debug)]
pub struct SequenceSource {
    from: i64,
    to: i64,
    splits: i64,
}

impl SequenceSource {
    /// In `splits` parts, each of which is in order.
    pub fn new(from: i64, to: i64, splits: usize) -> Self {
        Self {
            from,
            to,
            splits: i64::try_from(splits).unwrap_or(1).max(1),
        }
    }
}

/// A part of a sequence: the next number and the step to the one after it. The step is that of the first start, whatever
/// the parallelism is now.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SequenceSplit {
    part: i64,
    next: i64,
    step: i64,
}

impl SequenceSplit {
    /// A part of the numbers from `from` on.
    pub(super) fn new(from: i64, part: i64, parts: i64) -> Self {
        Self {
            part,
            next: from.saturating_add(part),
            step: parts,
        }
    }

    pub(super) fn id(&self) -> String {
        self.part.to_string()
    }

    pub(super) fn is_below(&self, end: i64) -> bool {
        self.next < end
    }

    /// The next number, if it is below `end`.
    pub(super) fn take_below(&mut self, end: i64) -> Option<i64> {
        let next = self.next;
        self.next = next.saturating_add(self.step);
        (next < end).then_some(next)
    }
}

impl Source for SequenceSource {
    type Item = i64;
    type Split = SequenceSplit;
    type Reader = SequenceReader;

    fn name(&self) -> String {
        "Sequence Source".to_owned()
    }

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self) -> Result<Vec<SequenceSplit>> {
        let split = |part| SequenceSplit::new(self.from, part, self.splits);
        Ok((0..self.splits).map(split).collect())
    }

    /// The number of splits follows the parallelism of the first start.
    fn discovers_splits(&self) -> bool {
        false
    }

    fn split_id(&self, split: &SequenceSplit) -> String {
        split.id()
    }

    fn create_reader(&self) -> Result<SequenceReader> {
        Ok(SequenceReader {
            to: self.to,
            splits: VecDeque::new(),
        })
    }
}

/// Reads a [`SequenceSource`].
pub struct SequenceReader {
    to: i64,
    splits: VecDeque<SequenceSplit>,
}

impl SplitReader<i64, SequenceSplit> for SequenceReader {
    fn add_split(&mut self, split: SequenceSplit) -> Result<()> {
        self.splits.push_back(split);
        Ok(())
    }

    fn poll(&mut self, out: &mut ReaderOutput<i64>) -> Result<ReaderStatus> {
        let Some(mut split) = self.splits.pop_front() else {
            return Ok(ReaderStatus::Finished);
        };
        let id = split.id();
        while out.room() > 0 && split.next <= self.to {
            out.collect(&id, split.next);
            split.next = split.next.saturating_add(split.step);
        }
        if split.next <= self.to {
            self.splits.push_back(split);
        } else {
            out.finish_split(&id);
        }
        Ok(if self.splits.is_empty() {
            ReaderStatus::Finished
        } else {
            ReaderStatus::Ready
        })
    }

    fn snapshot(&mut self) -> Result<Vec<SequenceSplit>> {
        Ok(self.splits.iter().copied().collect())
    }
}

/// The lines of files, each file a split.
#[derive(Clone, Debug)]
pub struct TextFileSource {
    path: PathBuf,
}

impl TextFileSource {
    /// A file, or a directory whose files are read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// A file, and the bytes of it that were read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileSplit {
    path: String,
    position: u64,
}

impl Source for TextFileSource {
    type Item = String;
    type Split = FileSplit;
    type Reader = TextFileReader;

    fn name(&self) -> String {
        format!("File Source {}", self.path.display())
    }

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self) -> Result<Vec<FileSplit>> {
        let place = self.path.display();
        let cannot = |error: std::io::Error| Error::environment(format!("cannot read '{place}': {error}"));
        let mut paths = vec![self.path.clone()];
        if self.path.is_dir() {
            let entries: std::io::Result<Vec<_>> = std::fs::read_dir(&self.path).map_err(cannot)?.collect();
            paths = entries
                .map_err(cannot)?
                .into_iter()
                .map(|entry| entry.path())
                .collect();
            paths.retain(|path| path.is_file());
            paths.sort();
        } else {
            std::fs::metadata(&self.path).map_err(cannot)?;
        }
        let split = |path: PathBuf| FileSplit {
            path: path.to_string_lossy().into_owned(),
            position: 0,
        };
        Ok(paths.into_iter().map(split).collect())
    }

    fn split_id(&self, split: &FileSplit) -> String {
        split.path.clone()
    }

    fn create_reader(&self) -> Result<TextFileReader> {
        Ok(TextFileReader {
            open: None,
            waiting: VecDeque::new(),
        })
    }
}

/// Reads a [`TextFileSource`].
pub struct TextFileReader {
    open: Option<(FileSplit, BufReader<File>)>,
    waiting: VecDeque<FileSplit>,
}

impl TextFileReader {
    fn open_next(&mut self) -> Result<bool> {
        let Some(split) = self.waiting.pop_front() else {
            return Ok(false);
        };
        let cannot =
            |error: std::io::Error| Error::environment(format!("cannot read '{}': {error}", split.path));
        let mut file = File::open(&split.path).map_err(cannot)?;
        file.seek(SeekFrom::Start(split.position)).map_err(cannot)?;
        self.open = Some((split, BufReader::new(file)));
        Ok(true)
    }
}

impl SplitReader<String, FileSplit> for TextFileReader {
    fn add_split(&mut self, split: FileSplit) -> Result<()> {
        self.waiting.push_back(split);
        Ok(())
    }

    fn poll(&mut self, out: &mut ReaderOutput<String>) -> Result<ReaderStatus> {
        if self.open.is_none() && !self.open_next()? {
            return Ok(ReaderStatus::Finished);
        }
        let Some((split, file)) = &mut self.open else {
            return Ok(ReaderStatus::Finished);
        };
        let mut line = Vec::new();
        while out.room() > 0 {
            line.clear();
            let read = file.read_until(b'\n', &mut line)?;
            if read == 0 {
                out.finish_split(&split.path);
                self.open = None;
                break;
            }
            split.position += read as u64;
            let end = line.strip_suffix(b"\n").unwrap_or(&line);
            let end = end.strip_suffix(b"\r").unwrap_or(end);
            out.collect(&split.path, String::from_utf8_lossy(end).into_owned());
        }
        Ok(if self.open.is_none() && self.waiting.is_empty() {
            ReaderStatus::Finished
        } else {
            ReaderStatus::Ready
        })
    }

    fn snapshot(&mut self) -> Result<Vec<FileSplit>> {
        let open = self.open.iter().map(|(split, _)| split.clone());
        Ok(open.chain(self.waiting.iter().cloned()).collect())
    }
}
