//! What the source does with the columns of record batches, and what it has read of them.

use arrow_array::types::TimestampMillisecondType;
use millstream_kafka_wire::record_batch::RecordColumns;

/// What a source has read so far.
#[derive(Default)]
pub(super) struct Totals {
    /// Rows that it emitted.
    pub rows: u64,
    /// Size of the record batches that it took, as the broker stores them.
    pub bytes: u64,
}

/// Drops records from offset `stop` on, the end of a bounded read.
pub(super) fn cut_at(columns: &mut RecordColumns, stop: Option<i64>) {
    let Some(stop) = stop else { return };
    let kept = columns.offsets.partition_point(|offset| *offset < stop);
    columns.offsets.truncate(kept);
    columns.timestamps.truncate(kept);
    columns.values.truncate(kept);
    columns.keys.truncate(kept);
    columns.headers.truncate(kept);
}

/// Shifts positions of columns from `first` on by `by` bytes.
pub(super) fn shift(columns: &mut RecordColumns, first: usize, by: usize) {
    if by == 0 {
        return;
    }
    let by = by as u32;
    for list in [&mut columns.values, &mut columns.keys, &mut columns.headers] {
        let skip = first.min(list.len());
        list[skip..].iter_mut().for_each(|slice| slice.start += by);
    }
}

pub(super) fn maximum(values: &arrow_array::PrimitiveArray<TimestampMillisecondType>) -> Option<i64> {
    values.iter().flatten().max()
}
