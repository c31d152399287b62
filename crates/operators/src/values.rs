//! VALUES: constant rows as a bounded source.

use std::sync::Arc;

use millstream_dataflow::source::Waker;
use millstream_dataflow::{Context, DataflowError, Output, Source, SourceFactory, SourceStatus, StateBlocks};
use millstream_state::StateError;
use millstream_types::{Batch, Scalar, Schema, scalars_to_array};

/// Makes the one instance that emits the rows.
pub(crate) struct ValuesFactory {
    rows: Arc<[Vec<Scalar>]>,
    schema: Schema,
}

impl ValuesFactory {
    pub(crate) fn new(rows: &[Vec<Scalar>], schema: &Schema) -> Self {
        Self {
            rows: rows.into(),
            schema: schema.clone(),
        }
    }
}

impl SourceFactory for ValuesFactory {
    fn create(&self, context: &Context) -> Result<Box<dyn Source>, DataflowError> {
        // Rows are emitted once, whatever the parallelism.
        let rows: Arc<[Vec<Scalar>]> = if context.subtask == 0 {
            Arc::clone(&self.rows)
        } else {
            Arc::new([])
        };
        Ok(Box::new(Values {
            rows,
            schema: self.schema.clone(),
            next: 0,
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        Some(1)
    }

    fn is_bounded(&self) -> bool {
        true
    }
}

struct Values {
    rows: Arc<[Vec<Scalar>]>,
    schema: Schema,
    /// The first row that has not been emitted.
    next: usize,
}

const POSITION_VERSION: u8 = 1;

impl Source for Values {
    fn open(&mut self, _: &Context, _: Waker) -> Result<(), DataflowError> {
        Ok(())
    }

    fn poll(&mut self, context: &Context, out: &mut dyn Output) -> Result<SourceStatus, DataflowError> {
        let end = self.rows.len().min(self.next + context.batch_rows.max(1));
        if self.next == end {
            return Ok(SourceStatus::Finished);
        }
        let rows = &self.rows[self.next..end];
        let value = |row: &'_ Vec<Scalar>, i: usize| row.get(i).cloned().unwrap_or(Scalar::Null);
        let columns = self.schema.types().enumerate().map(|(i, ty)| {
            let column: Vec<Scalar> = rows.iter().map(|row| value(row, i)).collect();
            scalars_to_array(ty, column.iter())
        });
        let batch = Batch::inserts(columns.collect(), rows.len());
        self.next = end;
        out.batch(batch)?;
        Ok(if end == self.rows.len() {
            SourceStatus::Finished
        } else {
            SourceStatus::Ready
        })
    }

    fn snapshot(&mut self) -> Result<StateBlocks, DataflowError> {
        let mut bytes = vec![POSITION_VERSION];
        bytes.extend((self.next as u64).to_le_bytes());
        Ok(StateBlocks::single("position", bytes))
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, _: &Context) -> Result<(), DataflowError> {
        // Instances other than the first have nothing to emit and are always at 0.
        for bytes in blocks.iter().filter_map(|b| b.get("position")) {
            let position = match bytes {
                [POSITION_VERSION, position @ ..] => position.try_into().map(u64::from_le_bytes).ok(),
                _ => None,
            };
            let position = position.ok_or_else(|| StateError::corrupt("position", "it is not a number"))?;
            self.next = self.next.max(position as usize).min(self.rows.len());
        }
        Ok(())
    }
}
