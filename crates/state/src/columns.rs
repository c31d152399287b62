//! Arrow columns as the bytes of a state block, and back: an Arrow IPC stream behind a version byte.
//!
//! IPC carries types and nulls of every column kind that the engine has, so state needs no format of its own. The
//! bytes come from disk: anything that does not decode is an error, never a panic.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{Field, Schema};

use crate::error::StateError;

/// Version of the layout behind the first byte.
const COLUMNS_VERSION: u8 = 1;

/// Columns of equal length as bytes.
pub fn encode_columns(columns: &[ArrayRef], rows: usize) -> Result<Vec<u8>, StateError> {
    let field =
        |(i, column): (usize, &ArrayRef)| Field::new(format!("c{i}"), column.data_type().clone(), true);
    let schema = Arc::new(Schema::new(
        columns.iter().enumerate().map(field).collect::<Vec<_>>(),
    ));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns.to_vec(), &options)?;
    let bytes = vec![COLUMNS_VERSION];
    let mut writer = StreamWriter::try_new_with_options(bytes, &schema, IpcWriteOptions::default())?;
    writer.write(&batch)?;
    writer.finish()?;
    Ok(writer.into_inner()?)
}

/// What [`encode_columns`] was given; `block` names the block in errors.
pub fn decode_columns(block: &str, bytes: &[u8]) -> Result<(Vec<ArrayRef>, usize), StateError> {
    let corrupt = |reason: String| StateError::corrupt(block, reason);
    let (version, bytes) = bytes
        .split_first()
        .ok_or_else(|| corrupt("no bytes".to_owned()))?;
    if *version != COLUMNS_VERSION {
        return Err(StateError::Version {
            block: block.to_owned(),
            version: u32::from(*version),
            supported: u32::from(COLUMNS_VERSION),
        });
    }
    let mut reader = StreamReader::try_new(bytes, None).map_err(|e| corrupt(e.to_string()))?;
    let batch = reader.next().ok_or_else(|| corrupt("no batch".to_owned()))?;
    let batch = batch.map_err(|e| corrupt(e.to_string()))?;
    Ok((batch.columns().to_vec(), batch.num_rows()))
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, StringViewArray};

    use super::*;

    #[test]
    fn columns_come_back() {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(1), None])),
            Arc::new(StringViewArray::from(vec![
                "short",
                "a string longer than a view",
            ])),
        ];
        let bytes = encode_columns(&columns, 2).unwrap();
        let (back, rows) = decode_columns("b", &bytes).unwrap();
        assert_eq!((back, rows), (columns, 2));
        let (none, rows) = decode_columns("b", &encode_columns(&[], 5).unwrap()).unwrap();
        assert_eq!((none.len(), rows), (0, 5));
    }

    #[test]
    fn torn_bytes_are_an_error() {
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1, 2, 3]))];
        let bytes = encode_columns(&columns, 3).unwrap();
        for end in 0..bytes.len() - 24 {
            assert!(decode_columns("b", &bytes[..end]).is_err(), "first {end} bytes");
        }
        assert!(
            decode_columns("b", &[9, 1, 2])
                .unwrap_err()
                .to_string()
                .contains("version 9")
        );
    }
}
