//! Rows of a user's own type on their way between operators.
//!
//! A program written in Rust moves values of its own types, not columns. [`Records`] carries a vector of them behind one
//! pointer: operators take the vector out by its type once a batch and run their closures over it, so a record costs
//! neither an allocation nor a virtual call. Exchanges stay inside the process and hand the values over as they are; user
//! types are encoded only where they leave memory, in checkpoints and sinks.
//!
//! Records are not columns: SQL operators and connectors reject them, and conversions between both stand at the edges of a
//! program ([`crate::Batch`] on one side, `Records` on the other).

use std::any::Any;
use std::fmt;

/// A vector of a user's type, without its type. Implemented for `Vec<T>`; nothing else should implement it.
pub trait RecordRows: Any + Send {
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// For a stream with several consumers.
    fn clone_rows(&self) -> Box<dyn RecordRows>;
    /// Moves every row to the part that `owners` names; rows keep their order within a part.
    fn split(self: Box<Self>, owners: &[u32], counts: &[usize]) -> Vec<Box<dyn RecordRows>>;
    /// Takes the rows from `at` on.
    fn split_off(&mut self, at: usize) -> Box<dyn RecordRows>;
    /// Adds the rows of `other`, or gives it back if it has another type.
    fn append(&mut self, other: Box<dyn RecordRows>) -> Result<(), Box<dyn RecordRows>>;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
    /// Bytes of the rows themselves, without what they point to.
    fn memory_size(&self) -> usize;
    /// The type of a row, for error messages.
    fn type_name(&self) -> &'static str;
}

impl<T: Clone + Send + 'static> RecordRows for Vec<T> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn clone_rows(&self) -> Box<dyn RecordRows> {
        Box::new(self.clone())
    }

    fn split(self: Box<Self>, owners: &[u32], counts: &[usize]) -> Vec<Box<dyn RecordRows>> {
        let mut parts: Vec<Vec<T>> = counts.iter().map(|count| Vec::with_capacity(*count)).collect();
        for (row, owner) in self.into_iter().zip(owners) {
            parts[*owner as usize].push(row);
        }
        let boxed = |part: Vec<T>| Box::new(part) as Box<dyn RecordRows>;
        parts.into_iter().map(boxed).collect()
    }

    fn split_off(&mut self, at: usize) -> Box<dyn RecordRows> {
        Box::new(Vec::split_off(self, at))
    }

    fn append(&mut self, other: Box<dyn RecordRows>) -> Result<(), Box<dyn RecordRows>> {
        if other.type_name() != self.type_name() {
            return Err(other);
        }
        // Two types may share a name; then the rows are lost with their batch, and the debug build says so.
        match other.into_any().downcast::<Vec<T>>() {
            Ok(mut rows) => Vec::append(self, &mut rows),
            Err(_) => debug_assert!(false, "two types of one name on a stream"),
        }
        Ok(())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }

    fn memory_size(&self) -> usize {
        Vec::len(self) * size_of::<T>()
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<T>()
    }
}

/// Where an exchange by key sends the rows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Routing {
    /// No keys: such records take every exchange but one by key.
    #[default]
    Free,
    /// The hash of each row's key, from which its key group follows.
    Keys(Vec<u64>),
    /// The instance for each row.
    Targets(Vec<u32>),
}

/// Timestamp of a row that has none.
pub const NO_TIMESTAMP: i64 = i64::MIN;

/// A batch of rows of a user's type. See the module's documentation.
pub struct Records {
    rows: Box<dyn RecordRows>,
    /// Event time of each row; empty if no row has one.
    pub timestamps: Vec<i64>,
    pub routing: Routing,
    /// Number of the side output; 0 is the main one.
    pub output: u32,
}

impl Records {
    /// Rows without timestamps.
    pub fn new<T: Clone + Send + 'static>(rows: Vec<T>) -> Self {
        Self::with_timestamps(rows, Vec::new())
    }

    /// `timestamps` is empty or has one for each row.
    pub fn with_timestamps<T: Clone + Send + 'static>(rows: Vec<T>, timestamps: Vec<i64>) -> Self {
        debug_assert!(timestamps.is_empty() || timestamps.len() == rows.len());
        Self {
            rows: Box::new(rows),
            timestamps,
            routing: Routing::Free,
            output: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes held, for credits and metrics.
    pub fn memory_size(&self) -> usize {
        self.rows.memory_size() + self.timestamps.len() * size_of::<i64>()
    }

    /// The rows with their timestamps, if they are of this type; otherwise the name of the type that they have.
    pub fn into_rows<T: 'static>(self) -> Result<(Vec<T>, Vec<i64>, Routing), &'static str> {
        let name = self.rows.type_name();
        let rows = self.rows.into_any().downcast::<Vec<T>>().map_err(|_| name)?;
        Ok((*rows, self.timestamps, self.routing))
    }

    /// Distributes the rows: `owner` gives the part of a row from its place. Parts without rows are `None`.
    pub fn split(self, parts: usize, owner: impl Fn(usize) -> usize) -> Vec<Option<Self>> {
        let owners: Vec<u32> = (0..self.len()).map(|row| owner(row) as u32).collect();
        let mut counts = vec![0usize; parts];
        owners.iter().for_each(|owner| counts[*owner as usize] += 1);
        if let Some(only) = counts.iter().position(|count| *count == self.len()) {
            let mut whole = Some(self);
            return (0..parts)
                .map(|part| if part == only { whole.take() } else { None })
                .collect();
        }
        let of_part = |values: &[u64], part: usize| {
            let own = values
                .iter()
                .zip(&owners)
                .filter(|(_, owner)| **owner as usize == part);
            own.map(|(value, _)| *value).collect::<Vec<u64>>()
        };
        let (timestamps, routing, output) = (self.timestamps, self.routing, self.output);
        let rows = self.rows.split(&owners, &counts);
        let split = |(part, rows): (usize, Box<dyn RecordRows>)| {
            let times = timestamps
                .iter()
                .zip(&owners)
                .filter(|(_, o)| **o as usize == part);
            (!rows.is_empty()).then(|| Self {
                rows,
                timestamps: times.map(|(time, _)| *time).collect(),
                routing: match &routing {
                    Routing::Keys(hashes) => Routing::Keys(of_part(hashes, part)),
                    Routing::Free | Routing::Targets(_) => Routing::Free,
                },
                output,
            })
        };
        rows.into_iter().enumerate().map(split).collect()
    }

    /// Takes the rows from `at` on.
    pub fn split_off(&mut self, at: usize) -> Self {
        let timestamps = if self.timestamps.is_empty() {
            Vec::new()
        } else {
            self.timestamps.split_off(at)
        };
        let routing = match &mut self.routing {
            Routing::Free => Routing::Free,
            Routing::Keys(hashes) => Routing::Keys(hashes.split_off(at)),
            Routing::Targets(targets) => Routing::Targets(targets.split_off(at)),
        };
        Self {
            rows: self.rows.split_off(at),
            timestamps,
            routing,
            output: self.output,
        }
    }

    /// Adds `other` behind, or gives it back if the two cannot be one batch.
    pub fn append(&mut self, mut other: Self) -> Result<(), Self> {
        let alike = self.output == other.output
            && self.timestamps.is_empty() == other.timestamps.is_empty()
            && std::mem::discriminant(&self.routing) == std::mem::discriminant(&other.routing);
        if !alike {
            return Err(other);
        }
        match self.rows.append(other.rows) {
            Ok(()) => {}
            Err(rows) => {
                other.rows = rows;
                return Err(other);
            }
        }
        self.timestamps.append(&mut other.timestamps);
        match (&mut self.routing, &mut other.routing) {
            (Routing::Keys(own), Routing::Keys(others)) => own.append(others),
            (Routing::Targets(own), Routing::Targets(others)) => own.append(others),
            _ => {}
        }
        Ok(())
    }
}

impl Clone for Records {
    fn clone(&self) -> Self {
        Self {
            rows: self.rows.clone_rows(),
            timestamps: self.timestamps.clone(),
            routing: self.routing.clone(),
            output: self.output,
        }
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("rows", &self.len())
            .field("type", &self.rows.type_name())
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(records: Records) -> (Vec<String>, Vec<i64>, Routing) {
        records.into_rows::<String>().unwrap()
    }

    fn letters(text: &str) -> Records {
        let rows: Vec<String> = text.chars().map(String::from).collect();
        let times = (0..rows.len() as i64).collect();
        let mut records = Records::with_timestamps(rows, times);
        records.routing = Routing::Keys((0..text.len() as u64).collect());
        records
    }

    #[test]
    fn rows_keep_their_order_time_and_hash_when_they_are_split() {
        let parts = letters("abcde").split(3, |row| if row % 2 == 0 { 0 } else { 2 });
        let [first, none, last] = <[_; 3]>::try_from(parts).unwrap();
        assert!(none.is_none());
        let (of_first, times, routing) = rows(first.unwrap());
        assert_eq!((of_first.concat(), times), ("ace".to_owned(), vec![0, 2, 4]));
        assert_eq!(routing, Routing::Keys(vec![0, 2, 4]));
        assert_eq!(rows(last.unwrap()).0.concat(), "bd");
    }

    #[test]
    fn what_was_split_off_can_be_appended_again() {
        let mut records = letters("abcd");
        let rest = records.split_off(3);
        assert_eq!((records.len(), rest.len()), (3, 1));
        records.append(rest).unwrap();
        assert_eq!(rows(records).0.concat(), "abcd");
        let mut texts = letters("a");
        assert!(texts.append(Records::new(vec![1])).is_err());
    }

    #[test]
    fn rows_of_another_type_are_not_taken_out() {
        assert_eq!(
            letters("a").into_rows::<u64>().unwrap_err(),
            "alloc::string::String"
        );
    }
}
