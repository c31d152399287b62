//! The row store against lists of texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringViewArray};
use arrow_schema::DataType;
use millstream_state::{RowStore, SnapshotScope, StateBlocks, TimerQueue};
use millstream_types::CheckpointId;
use proptest::prelude::*;

fn columns(rows: &[(i64, i64)]) -> Vec<ArrayRef> {
    let key: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0)));
    let value: ArrayRef = Arc::new(StringViewArray::from_iter_values(
        rows.iter().map(|r| format!("value number {}", r.1)),
    ));
    vec![value, key]
}

fn store() -> RowStore {
    RowStore::new(&[DataType::Utf8View, DataType::Int64], &[1]).unwrap()
}

/// The rows of each key in order, with counts.
fn content(store: &RowStore) -> BTreeMap<String, Vec<(String, u32)>> {
    let mut all = BTreeMap::new();
    for key in store.keys() {
        let rows: Vec<u32> = store.rows_of(key).collect();
        let values = store.columns(&rows).unwrap();
        let text = |i: usize| (format!("{:?}", values[0].slice(i, 1)), store.count(rows[i]));
        let key = format!("{:?}", store.key_values(&[key]).unwrap());
        all.insert(key, (0..rows.len()).map(text).collect());
    }
    all
}

proptest! {
    #[test]
    fn rows_are_kept_as_in_plain_lists(
        batches in prop::collection::vec(prop::collection::vec((0i64..5, 0i64..6, prop::bool::weighted(0.6)), 0..40), 1..8),
    ) {
        let mut store = store();
        let mut oracle: BTreeMap<String, Vec<(String, u32)>> = BTreeMap::new();
        let (mut keys, mut rows) = (Vec::new(), Vec::new());
        for batch in &batches {
            let pairs: Vec<(i64, i64)> = batch.iter().map(|(k, v, _)| (*k, *v)).collect();
            let columns = columns(&pairs);
            store.resolve(&columns, pairs.len(), &mut keys, &mut rows).unwrap();
            for (i, (_, _, adds)) in batch.iter().enumerate() {
                let key = format!("{:?}", vec![columns[1].slice(i, 1)]);
                let value = format!("{:?}", columns[0].slice(i, 1));
                let list = oracle.entry(key).or_default();
                let position = list.iter().position(|(v, _)| *v == value);
                if *adds {
                    store.add(keys[i], rows[i], 0);
                    match position {
                        Some(p) => list[p].1 += 1,
                        None => list.push((value, 1)),
                    }
                } else {
                    prop_assert_eq!(store.subtract(rows[i]), position.map(|p| list[p].1 - 1));
                    if let Some(p) = position {
                        list[p].1 -= 1;
                        if list[p].1 == 0 {
                            list.remove(p);
                        }
                    }
                }
            }
            store.end_batch().unwrap();
        }
        oracle.retain(|_, list| !list.is_empty());
        prop_assert_eq!(&content(&store), &oracle);

        let mut blocks = StateBlocks::new();
        store.snapshot("rows", &SnapshotScope::full(CheckpointId(1)), &mut blocks).unwrap();
        let mut merged = BTreeMap::new();
        for owned in [0..50, 50..128] {
            let mut part = self::store();
            part.restore("rows", std::slice::from_ref(&blocks), owned, 128).unwrap();
            merged.extend(content(&part));
        }
        prop_assert_eq!(merged, oracle);
    }
}

/// Rows of arrivals are known by their numbers alone; `removed` names the positions that go after each batch.
type Arrivals = Vec<(Vec<(i64, i64)>, Vec<prop::sample::Index>)>;

proptest! {
    #[test]
    fn arrivals_are_kept_one_by_one(
        batches in prop::collection::vec(
            (prop::collection::vec((0i64..5, 0i64..6), 1..400), prop::collection::vec(any::<prop::sample::Index>(), 0..300)),
            1..6,
        ),
    ) {
        let store = arrivals_like_lists(&batches)?;
        let (mut blocks, mut store) = (StateBlocks::new(), store);
        store.snapshot("rows", &SnapshotScope::full(CheckpointId(1)), &mut blocks).unwrap();
        let mut merged = BTreeMap::new();
        for owned in [0..50, 50..128] {
            let mut part = arrivals();
            part.restore("rows", std::slice::from_ref(&blocks), owned, 128).unwrap();
            merged.extend(content(&part));
        }
        prop_assert_eq!(&merged, &content(&store));

        // A store that compares rows counts what was frozen one by one.
        let mut compared = self::store();
        compared.restore("rows", &[blocks], 0..128, 128).unwrap();
        let copies = |all: &BTreeMap<String, Vec<(String, u32)>>| {
            let mut copies: BTreeMap<(String, String), u32> = BTreeMap::new();
            for (key, rows) in all {
                for (row, count) in rows {
                    *copies.entry((key.clone(), row.clone())).or_default() += count;
                }
            }
            copies
        };
        prop_assert_eq!(copies(&content(&compared)), copies(&merged));
        prop_assert!(content(&compared).values().all(|rows| rows.len() <= 6));
    }
}

fn arrivals() -> RowStore {
    RowStore::of_arrivals(&[DataType::Utf8View, DataType::Int64], &[1]).unwrap()
}

/// A store after these batches, compared with a list of rows after each.
fn arrivals_like_lists(batches: &Arrivals) -> Result<RowStore, TestCaseError> {
    let mut store = arrivals();
    let mut oracle: Vec<(i64, i64, u32)> = Vec::new();
    let (mut keys, mut rows) = (Vec::new(), Vec::new());
    for (batch, removed) in batches {
        let columns = columns(batch);
        store.resolve_keys(&columns, batch.len(), &mut keys).unwrap();
        store.resolve_rows(&columns, batch.len(), &mut rows).unwrap();
        for (i, (key, value)) in batch.iter().enumerate() {
            prop_assert_eq!(store.add(keys[i], rows[i], 0), 1);
            oracle.push((*key, *value, rows[i]));
        }
        for position in removed {
            if !oracle.is_empty() {
                let (_, _, row) = oracle.remove(position.index(oracle.len()));
                prop_assert_eq!(store.subtract(row), Some(0));
            }
        }
        store.end_batch().unwrap();
        let numbers: Vec<u32> = oracle.iter().map(|(_, _, row)| *row).collect();
        let values: Vec<(i64, i64)> = oracle.iter().map(|(key, value, _)| (*key, *value)).collect();
        // Twice each, to be decoded once.
        let twice: Vec<u32> = numbers.iter().chain(&numbers).copied().collect();
        let expected: Vec<(i64, i64)> = values.iter().chain(&values).copied().collect();
        prop_assert_eq!(&store.columns(&twice).unwrap(), &self::columns(&expected));
        prop_assert_eq!(
            &store.columns_at(&twice, &[1]).unwrap()[..],
            &self::columns(&expected)[1..]
        );
        prop_assert_eq!(store.len(), oracle.len());
    }
    Ok(store)
}

#[test]
fn timers_fire_in_order_and_come_back() {
    let mut timers = TimerQueue::new();
    assert!(timers.register(20, 1) && timers.register(10, 7) && timers.register(10, 3));
    assert!(!timers.register(10, 3), "a timer exists once");
    let mut blocks = StateBlocks::new();
    timers.snapshot("timers", &mut blocks).unwrap();
    assert_eq!(timers.pop_due(15), Some((10, 3)));
    assert_eq!(timers.pop_due(15), Some((10, 7)));
    assert_eq!((timers.pop_due(15), timers.next()), (None, Some(20)));
    let mut restored = TimerQueue::new();
    // Old group 3 has the new number 0, the others belong elsewhere.
    let map = vec![vec![u32::MAX, u32::MAX, u32::MAX, 0]];
    restored.restore("timers", &[blocks], &map).unwrap();
    assert_eq!((restored.pop_due(i64::MAX), restored.len()), (Some((10, 0)), 0));
}
