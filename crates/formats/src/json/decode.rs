//! The decoder of format `json`: the general way for every record, with the predicted way in front of it.

use arrow_buffer::Buffer;
use millstream_types::{LogicalType, Schema, TypeKind};

use super::JsonOptions;
use super::fast::Predictor;
use super::scan::{Cursor, ScanError};
use super::value::{Program, ValueOptions, object};
use crate::column::{ColumnBuilder, finish_all};
use crate::{DecodeError, Decoded, Decoder, FormatError, MessageRange, Subject, ValueError};

/// Decodes JSON messages into the columns of a schema.
pub struct JsonDecoder {
    options: ValueOptions,
    program: Program,
    columns: Vec<ColumnBuilder>,
    predictor: Option<Predictor>,
}

impl JsonDecoder {
    /// A decoder for the columns of `schema`, by name.
    pub fn new(options: JsonOptions, schema: &Schema) -> Result<Self, FormatError> {
        let fields = schema.columns.iter().map(|c| (c.name.clone(), c.ty.clone()));
        let row = LogicalType::row(fields);
        debug_assert!(matches!(row.kind, TypeKind::Row(_)));
        Ok(Self {
            options: ValueOptions {
                ignore_errors: options.ignore_parse_errors,
                fail_on_missing: options.fail_on_missing_field,
                standard: options.standard,
                reads_tree: options.reads_tree,
                decimals: schema.types().any(has_decimals),
            },
            program: Program::new(&row),
            columns: schema.types().map(ColumnBuilder::new).collect(),
            predictor: (!options.reads_tree).then(Predictor::default),
        })
    }

    /// Turns the predicted way off: the reference of the tests.
    pub fn general_only(mut self) -> Self {
        self.predictor = None;
        self
    }

    /// Decodes one message the general way from row `rows` on; returns the number of rows (an array gives several).
    fn message(&mut self, data: &[u8], start: usize, end: usize, rows: usize) -> Result<usize, ScanError> {
        let mut cursor = Cursor::new(data, start, end);
        cursor.skip_whitespace();
        let count = match cursor.peek() {
            None => return cursor.error("No content to map due to end-of-input"),
            Some(b'{') => {
                object(&mut cursor, &self.program, &mut self.columns, rows, self.options)?;
                1
            }
            Some(b'[') => self.array(&mut cursor, rows)?,
            Some(_) => {
                cursor.skip_value()?;
                return cursor.error("a JSON object is expected");
            }
        };
        // Trailing tokens are ignored, as Flink's reader stops behind the object.
        Ok(count)
    }

    /// The objects of a top-level array. If errors are ignored, the rows before a broken element stay; a reader of trees
    /// leaves such elements out.
    fn array(&mut self, cursor: &mut Cursor<'_>, rows: usize) -> Result<usize, ScanError> {
        if self.options.reads_tree {
            // The whole message must be sound before any row counts.
            cursor.clone().skip_value()?;
        }
        cursor.enter()?;
        cursor.skip_whitespace();
        let mut count = 0;
        if cursor.eat(b']') {
            return Ok(0);
        }
        loop {
            cursor.skip_whitespace();
            match self.element(cursor, rows + count) {
                Ok(is_row) => count += usize::from(is_row),
                Err(_) if self.options.ignore_errors && !self.options.reads_tree => {
                    self.truncate(rows + count);
                    return Ok(count);
                }
                Err(error) => return Err(error),
            }
            cursor.skip_whitespace();
            if !cursor.eat(b',') {
                break;
            }
        }
        if self.options.ignore_errors {
            return Ok(count);
        }
        cursor.expect(b']')?;
        Ok(count)
    }

    fn element(&mut self, cursor: &mut Cursor<'_>, row: usize) -> Result<bool, ScanError> {
        if cursor.peek() != Some(b'{') {
            if self.options.reads_tree && self.options.ignore_errors {
                cursor.skip_value()?;
                return Ok(false);
            }
            return cursor.error("a JSON object is expected");
        }
        object(cursor, &self.program, &mut self.columns, row, self.options)?;
        Ok(true)
    }

    fn truncate(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|c| c.truncate(rows));
    }

    fn rows_of_messages(
        &mut self,
        data: &[u8],
        messages: &[MessageRange],
    ) -> Result<(usize, Vec<u32>), DecodeError> {
        let mut rows = 0;
        let mut origins = Vec::with_capacity(messages.len());
        for (index, range) in messages.iter().enumerate() {
            let Some(text) = range.slice(data) else { continue };
            let (start, end) = (range.offset as usize, range.offset as usize + text.len());
            match self.one(data, start, end, rows) {
                Ok(count) => {
                    origins.extend(std::iter::repeat_n(index as u32, count));
                    rows += count;
                }
                Err(_) if self.options.ignore_errors => self.truncate(rows),
                Err(error) => {
                    self.truncate(0);
                    return Err(DecodeError {
                        message: index,
                        subject: Some(Subject::json(text)),
                        reason: error.reason,
                    });
                }
            }
        }
        Ok((rows, origins))
    }

    /// Decodes one message from row `rows` on, the predicted way if its shape is known; returns the number of rows.
    fn one(&mut self, data: &[u8], start: usize, end: usize, rows: usize) -> Result<usize, ScanError> {
        if let Some(predictor) = &mut self.predictor {
            if predictor.decode(data, (start, end), &self.program, &mut self.columns, self.options) {
                debug_assert!(self.columns.iter().all(|c| c.len() == rows + 1));
                return Ok(1);
            }
            self.truncate(rows);
        }
        if simdutf8::basic::from_utf8(&data[start..end]).is_err() {
            return Err(ScanError {
                at: start,
                reason: ValueError::Utf8,
            });
        }
        let count = self.message(data, start, end, rows)?;
        if let Some(predictor) = &mut self.predictor {
            predictor.learn(data, start, end, &self.program);
        }
        Ok(count)
    }
}

/// Whether the type is DECIMAL or contains it.
pub(super) fn has_decimals(ty: &LogicalType) -> bool {
    matches!(ty.kind, TypeKind::Decimal { .. }) || ty.children().into_iter().any(has_decimals)
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, data: &Buffer, messages: &[MessageRange]) -> Result<Decoded, DecodeError> {
        let (rows, origins) = self.rows_of_messages(data, messages)?;
        let columns = finish_all(&mut self.columns)?;
        let complete = rows == messages.len() && origins.iter().enumerate().all(|(i, m)| i == *m as usize);
        Ok(Decoded {
            columns,
            rows,
            kinds: None,
            messages: (!complete).then_some(origins),
        })
    }
}
