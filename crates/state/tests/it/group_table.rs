//! The group table against an obvious map of texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray,
    StringViewArray, StructArray, TimestampMillisecondArray,
};
use arrow_schema::{DataType, Field};
use millstream_state::{GroupTable, NO_GROUP, SnapshotScope, StateBlocks};
use millstream_types::CheckpointId;
use proptest::prelude::*;

/// Columns of a kind chosen by `shape` from small numbers, so that keys repeat.
fn columns(shape: usize, values: &[Option<i64>]) -> Vec<ArrayRef> {
    let long = |v: i64| {
        if v % 2 == 0 {
            format!("s{v}")
        } else {
            format!("a rather long key, number {v}")
        }
    };
    let ints: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    let small: ArrayRef = Arc::new(
        values
            .iter()
            .map(|v| v.map(|v| v as i32 % 3))
            .collect::<Int32Array>(),
    );
    let text: ArrayRef = Arc::new(StringViewArray::from_iter(values.iter().map(|v| v.map(long))));
    let flag: ArrayRef = Arc::new(values.iter().map(|v| v.map(|v| v > 5)).collect::<BooleanArray>());
    let decimals: ArrayRef = Arc::new(
        values
            .iter()
            .map(|v| v.map(i128::from))
            .collect::<Decimal128Array>()
            .with_data_type(DataType::Decimal128(20, 2)),
    );
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(values.to_vec()));
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
        values.iter().map(|v| v.map(|v| vec![Some(v as i32), None])),
    ));
    match shape {
        0 => vec![ints],
        1 => vec![text],
        2 => vec![small, flag],
        3 => vec![text, ints, flag, decimals],
        4 => vec![decimals],
        5 => vec![times, ints, small],
        6 => vec![lists, small],
        _ => Vec::new(),
    }
}

const SHAPES: usize = 8;

fn types(shape: usize) -> Vec<DataType> {
    columns(shape, &[Some(1)])
        .iter()
        .map(|c| c.data_type().clone())
        .collect()
}

/// Rows as texts, for comparison.
fn texts(columns: &[ArrayRef], rows: usize) -> Vec<String> {
    let text = |row: usize| {
        columns
            .iter()
            .map(|c| format!("{:?}", c.slice(row, 1)))
            .collect::<Vec<_>>()
            .join("|")
    };
    (0..rows).map(text).collect()
}

proptest! {
    #[test]
    fn groups_are_those_of_an_obvious_map(
        shape in 0..SHAPES,
        batches in prop::collection::vec((prop::collection::vec(prop::option::weighted(0.9, 0i64..40), 0..60), 0usize..8), 1..12),
    ) {
        let mut table = GroupTable::new(&types(shape)).unwrap();
        let mut oracle: BTreeMap<String, u32> = BTreeMap::new();
        let mut groups = Vec::new();
        for (values, removals) in batches {
            let batch = columns(shape, &values);
            let keys = texts(&batch, values.len());
            table.find(&batch, values.len(), &mut groups).unwrap();
            for (key, group) in keys.iter().zip(&groups) {
                prop_assert_eq!(oracle.get(key).copied().unwrap_or(NO_GROUP), *group);
            }
            table.intern(&batch, values.len(), &mut groups).unwrap();
            let created = table.created().to_vec();
            let mut fresh = Vec::new();
            for (key, group) in keys.iter().zip(&groups) {
                let known = *oracle.entry(key.clone()).or_insert_with(|| { fresh.push(*group); *group });
                prop_assert_eq!(known, *group);
            }
            prop_assert_eq!(created, fresh);
            for _ in 0..removals {
                if let Some((key, group)) = oracle.iter().next().map(|(k, g)| (k.clone(), *g)) {
                    table.remove(group).unwrap();
                    oracle.remove(&key);
                }
            }
            prop_assert_eq!(table.len(), oracle.len());
        }
        let all: Vec<u32> = table.groups().collect();
        let keys = texts(&table.keys(&all).unwrap(), all.len());
        let emitted: BTreeMap<String, u32> = keys.into_iter().zip(all).collect();
        prop_assert_eq!(emitted, oracle);
    }
}

#[test]
fn many_keys_survive_growth() {
    let mut table = GroupTable::new(&[DataType::Int64]).unwrap();
    let mut groups = Vec::new();
    for start in (0..200_000).step_by(5_000) {
        let batch: ArrayRef = Arc::new(Int64Array::from_iter_values(start..start + 5_000));
        table.intern(&[batch], 5_000, &mut groups).unwrap();
    }
    let all: ArrayRef = Arc::new(Int64Array::from_iter_values(0..200_000));
    table.find(&[all], 200_000, &mut groups).unwrap();
    assert!(groups.iter().enumerate().all(|(i, g)| i as u32 == *g));
}

#[test]
fn nan_is_one_key_and_signed_zeros_are_two() {
    let mut table = GroupTable::new(&[DataType::Float64]).unwrap();
    let odd_nan = f64::from_bits(f64::NAN.to_bits() | 7);
    let batch: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, odd_nan, 0.0, -0.0]));
    let mut groups = Vec::new();
    table.intern(&[batch], 4, &mut groups).unwrap();
    assert_eq!(groups, [0, 0, 1, 2]);
}

#[test]
fn columns_of_other_types_are_refused() {
    let mut table = GroupTable::new(&[DataType::Int64]).unwrap();
    let batch: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let error = table.intern(&[batch], 1, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("Int32"), "{error}");
}

fn snapshot(table: &mut GroupTable, scope: &SnapshotScope) -> StateBlocks {
    let mut blocks = StateBlocks::new();
    table.snapshot("keys", scope, &mut blocks).unwrap();
    blocks
}

#[test]
fn a_restored_table_knows_its_keys_and_maps_their_numbers() {
    for shape in 0..SHAPES {
        let values: Vec<Option<i64>> = (0..30).map(Some).chain([None]).collect();
        let batch = columns(shape, &values);
        let mut table = GroupTable::new(&types(shape)).unwrap();
        let mut groups = Vec::new();
        table.intern(&batch, values.len(), &mut groups).unwrap();
        if shape != 7 {
            table.remove(groups[3]).unwrap();
        }
        let frozen = snapshot(&mut table, &SnapshotScope::full(CheckpointId(1)));
        let mut restored = Vec::new();
        for owned in [0..64, 64..128] {
            let mut half = GroupTable::new(&types(shape)).unwrap();
            let map = half
                .restore("keys", std::slice::from_ref(&frozen), owned, 128)
                .unwrap()
                .remove(0);
            for (old, new) in map.iter().enumerate().filter(|(_, new)| **new != NO_GROUP) {
                let (was, is) = (table.keys(&[old as u32]).unwrap(), half.keys(&[*new]).unwrap());
                assert_eq!(texts(&was, 1), texts(&is, 1));
                restored.push(old as u32);
            }
        }
        restored.sort_unstable();
        assert_eq!(restored, table.groups().collect::<Vec<_>>(), "shape {shape}");
    }
}

#[test]
fn only_changed_blocks_are_written() {
    let mut table = GroupTable::new(&[DataType::Int64]).unwrap();
    let mut groups = Vec::new();
    let batch: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
    table.intern(&[batch], 10_000, &mut groups).unwrap();
    let carried = |blocks: &StateBlocks| {
        blocks
            .blocks
            .iter()
            .filter(|b| b.bytes().unwrap().is_some())
            .count()
    };
    assert_eq!(
        carried(&snapshot(&mut table, &SnapshotScope::full(CheckpointId(1)))),
        3
    );
    // The first checkpoint never became durable: everything is written again.
    assert_eq!(
        carried(&snapshot(&mut table, &SnapshotScope::full(CheckpointId(2)))),
        3
    );
    let scope = SnapshotScope {
        checkpoint: CheckpointId(3),
        base: Some(CheckpointId(2)),
    };
    table.remove(9_999).unwrap();
    assert_eq!(carried(&snapshot(&mut table, &scope)), 1);
    let scope = SnapshotScope {
        checkpoint: CheckpointId(4),
        base: Some(CheckpointId(3)),
    };
    assert_eq!(carried(&snapshot(&mut table, &scope)), 0);
}

#[test]
fn key_groups_agree_with_restore() {
    let batch = columns(3, &(0..100).map(Some).collect::<Vec<_>>());
    let mut key_groups = Vec::new();
    millstream_state::key_groups(&batch, 100, 128, &mut key_groups).unwrap();
    let mut table = GroupTable::new(&types(3)).unwrap();
    let mut groups = Vec::new();
    table.intern(&batch, 100, &mut groups).unwrap();
    let frozen = snapshot(&mut table, &SnapshotScope::full(CheckpointId(1)));
    let mut part = GroupTable::new(&types(3)).unwrap();
    part.restore("keys", &[frozen], 0..40, 128).unwrap();
    assert_eq!(part.len(), key_groups.iter().filter(|g| **g < 40).count());
    let kept = part.keys(&part.groups().collect::<Vec<_>>()).unwrap();
    assert!(kept[1].as_primitive::<Int64Type>().len() == part.len());
}

/// A query names the fields of a ROW as it likes; the sink's table has other names.
#[test]
fn names_of_nested_fields_are_no_part_of_a_key() {
    let row = |names: [&str; 2], values: &[i64]| -> ArrayRef {
        let texts =
            StringViewArray::from_iter_values(values.iter().map(|v| format!("the text of value {v}")));
        let columns: [ArrayRef; 2] = [Arc::new(Int64Array::from(values.to_vec())), Arc::new(texts)];
        let fields = [DataType::Int64, DataType::Utf8View];
        let fields = names
            .into_iter()
            .zip(fields)
            .map(|(name, ty)| Field::new(name, ty, true));
        Arc::new(StructArray::new(fields.collect(), columns.to_vec(), None))
    };
    let declared = row(["n", "kinds"], &[1]);
    let mut table = GroupTable::new(&[declared.data_type().clone()]).unwrap();
    let (mut groups, mut again) = (Vec::new(), Vec::new());
    table
        .intern(&[row(["EXPR$0", "EXPR$1"], &[1, 2, 1])], 3, &mut groups)
        .unwrap();
    table
        .intern(&[row(["n", "kinds"], &[2, 1])], 2, &mut again)
        .unwrap();
    assert_eq!((groups, again), (vec![0, 1, 0], vec![1, 0]));
    assert_eq!(
        table.keys(&[0]).unwrap(),
        [declared],
        "keys have the declared names"
    );
    let other: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let error = table.intern(&[other], 1, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("does not fit"), "{error}");
}
