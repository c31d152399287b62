//! Watermarks from an expression over the rows.
//!
//! As in Flink a watermark is due when event time has moved by more than the interval since the last one, and after an
//! interval of wall-clock time. A batch is cut only where that matters: a watermark that is due is sent before the next
//! row that it makes late, or behind the batch. So which rows are late does not depend on the size of batches, and
//! rows in order of time stay together.

use arrow_array::{Array, ArrayRef};
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_functions::Environment;
use millstream_plan::Expr;
use millstream_state::StateError;
use millstream_types::{Batch, Watermark};

use crate::emit::push;
use crate::expression::RowExpression;
use crate::window::input::milliseconds;

pub(crate) struct WatermarkAssigner {
    rowtime: usize,
    expr: RowExpression,
    interval_ms: i64,
    /// A NULL time is an error in streaming mode; batch mode has no watermarks.
    streaming: bool,
    /// Highest watermark seen; like Flink's it starts at 0.
    current: i64,
    /// The last watermark that was due.
    last: i64,
    /// When a watermark is due by the clock.
    timer_ms: Option<i64>,
}

const STATE_VERSION: u8 = 1;

impl WatermarkAssigner {
    pub(crate) fn new(
        rowtime: usize,
        expr: &Expr,
        interval_ms: i64,
        env: &Environment,
    ) -> Result<Self, DataflowError> {
        Ok(Self {
            rowtime,
            expr: RowExpression::new(expr, env)?,
            interval_ms,
            streaming: env.streaming,
            current: 0,
            last: 0,
            timer_ms: None,
        })
    }

    fn check_times(&self, times: &ArrayRef) -> Result<(), DataflowError> {
        if times.null_count() == 0 {
            return Ok(());
        }
        Err(DataflowError::data(
            "RowTime field should not be null, please convert it to a non-null long value: filter such rows out or give \
             the column a default",
        ))
    }

    /// Emits the rows of a batch with the watermarks between them.
    fn send(
        &mut self,
        batch: Batch,
        marks: &ArrayRef,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let (times, _) = milliseconds(&batch.columns[self.rowtime])?;
        let (marks, nulls) = milliseconds(marks)?;
        let (mut start, mut due) = (0, None);
        for row in 0..batch.rows {
            if let Some(watermark) = due.filter(|watermark| times[row] <= *watermark) {
                push(batch.slice(start, row - start), context, out)?;
                out.watermark(Watermark(watermark))?;
                (start, due) = (row, None);
            }
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                self.current = self.current.max(marks[row]);
            }
            if self.current.saturating_sub(self.last) > self.interval_ms {
                self.last = self.current;
                due = Some(self.current);
            }
        }
        let rest = if start == 0 {
            batch
        } else {
            batch.slice(start, batch.rows - start)
        };
        push(rest, context, out)?;
        due.map_or(Ok(()), |watermark| out.watermark(Watermark(watermark)))
    }
}

impl Operator for WatermarkAssigner {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if !self.streaming {
            return push(batch, context, out);
        }
        self.check_times(&batch.columns[self.rowtime])?;
        let marks = self.expr.evaluate(&batch.columns, batch.rows, context)?;
        self.send(batch, &marks, context, out)?;
        if self.current > self.last && self.timer_ms.is_none() {
            self.timer_ms = Some(context.now_ms.saturating_add(self.interval_ms.max(1)));
        }
        Ok(())
    }

    /// Replaces upstream watermarks; only the end of input passes.
    fn watermark(
        &mut self,
        watermark: Watermark,
        _: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if watermark == Watermark::MAX {
            out.watermark(watermark)
        } else {
            Ok(())
        }
    }

    fn next_timer(&self) -> Option<i64> {
        self.timer_ms
    }

    fn timer(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        if self.timer_ms.is_none_or(|at| at > context.now_ms) {
            return Ok(());
        }
        self.timer_ms = None;
        if self.current > self.last {
            self.last = self.current;
            out.watermark(Watermark(self.current))?;
        }
        Ok(())
    }

    fn snapshot(&mut self, _: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut bytes = vec![STATE_VERSION];
        bytes.extend(self.current.to_le_bytes());
        bytes.extend(self.last.to_le_bytes());
        Ok(StateBlocks::single("watermark", bytes))
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, _: &Context) -> Result<(), DataflowError> {
        // After a restore, the lowest watermark of all instances applies.
        let mut restored: Option<(i64, i64)> = None;
        for bytes in blocks.iter().filter_map(|b| b.get("watermark")) {
            let parts = match bytes {
                [STATE_VERSION, rest @ ..] => rest.split_at_checked(size_of::<i64>()),
                _ => None,
            };
            let number = |bytes: &[u8]| bytes.try_into().map(i64::from_le_bytes).ok();
            let pair = parts.and_then(|(current, last)| number(current).zip(number(last)));
            let pair = pair.ok_or_else(|| StateError::corrupt("watermark", "it is not a pair of numbers"))?;
            restored = Some(restored.map_or(pair, |held| held.min(pair)));
        }
        (self.current, self.last) = restored.unwrap_or((0, 0));
        Ok(())
    }
}
