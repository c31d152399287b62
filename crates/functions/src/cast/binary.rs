//! Casts among BINARY, VARBINARY, BITMAP and character strings: UTF-8 bytes, cut or padded with zeros.

use std::sync::Arc;

use arrow_array::builder::{BinaryViewBuilder, StringViewBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use millstream_types::logical_type::MAX_LENGTH;
use millstream_types::{LogicalType, TypeKind};

use super::Step;
use super::text::Length;

/// The step from bytes to text; bytes that are not UTF-8 become U+FFFD.
pub(super) fn to_text(to: &LogicalType) -> Option<Step> {
    let length = Length::of(to);
    Some(Arc::new(move |array, run| {
        let texts: ArrayRef = match array.as_binary_view().clone().to_string_view() {
            Ok(texts) => Arc::new(texts),
            Err(_) => decoded(array),
        };
        Ok(length.fit(&texts, run.env.legacy_cast))
    }))
}

fn decoded(array: &ArrayRef) -> ArrayRef {
    let mut builder = StringViewBuilder::with_capacity(array.len());
    for bytes in array.as_binary_view() {
        match bytes {
            None => builder.append_null(),
            Some(bytes) => builder.append_value(String::from_utf8_lossy(bytes)),
        }
    }
    Arc::new(builder.finish())
}

/// The step from text or bytes to BINARY(n) or VARBINARY(n).
pub(super) fn to_binary(from: &LogicalType, to: &LogicalType) -> Option<Step> {
    let text = from.is_character();
    let fitting = match (&from.kind, &to.kind) {
        (_, TypeKind::Varbinary(MAX_LENGTH)) => true,
        (TypeKind::Binary(n) | TypeKind::Varbinary(n), TypeKind::Varbinary(most)) => n <= most,
        _ => false,
    };
    if fitting && !text {
        return None;
    }
    let (length, pads) = (
        to.length().unwrap_or(MAX_LENGTH) as usize,
        matches!(to.kind, TypeKind::Binary(_)),
    );
    Some(Arc::new(move |array, run| {
        let bytes: ArrayRef = if text {
            Arc::new(array.as_string_view().clone().to_binary_view())
        } else {
            Arc::clone(array)
        };
        let kept = fitting || run.env.legacy_cast;
        Ok(if kept { bytes } else { fitted(&bytes, length, pads) })
    }))
}

fn fitted(array: &ArrayRef, length: usize, pads: bool) -> ArrayRef {
    let values = array.as_binary_view();
    let holds = |bytes: &[u8]| {
        if pads {
            bytes.len() == length
        } else {
            bytes.len() <= length
        }
    };
    if values.iter().flatten().all(holds) {
        return Arc::clone(array);
    }
    let mut builder = BinaryViewBuilder::with_capacity(values.len());
    let mut padded = Vec::new();
    for bytes in values {
        match bytes {
            None => builder.append_null(),
            Some(bytes) => {
                padded.clear();
                padded.extend_from_slice(&bytes[..bytes.len().min(length)]);
                if pads {
                    padded.resize(length, 0);
                }
                builder.append_value(&padded);
            }
        }
    }
    Arc::new(builder.finish())
}
