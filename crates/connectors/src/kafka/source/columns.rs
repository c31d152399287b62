//! What the source does with the columns of record batches.

use arrow_array::types::TimestampMillisecondType;
use millstream_kafka_wire::record_batch::RecordColumns;

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
