//! Random updates of groups of which memory holds a part: updates per CPU-second, memory, bytes on disk.
//!
//!     cargo run --release -p millstream-state --example cold_groups -- [keys] [MiB of memory] [text]

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // a measurement for people

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Int64Array, StringViewArray};
use arrow_schema::DataType;
use millstream_state::{ColdGroups, GroupTable, MemoryPool, Spill, SpillSpace, StateError, share_in_use};
use millstream_types::storage::OsStorage;

const BATCH_ROWS: u64 = 8192;
const ROWS_PER_LINE: u64 = 1 << 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().map_or(default, |text| text.parse().unwrap());
    let (keys, memory_mib) = (number(5_000_000), number(64));
    let is_text = arguments.next().is_some();
    let directory = std::env::temp_dir().join(format!("cold-groups-{}", std::process::id()));
    let path = directory.clone();
    let spill = Spill {
        space: SpillSpace::new("example", move || Ok(Arc::new(OsStorage::open(&path)?))),
        pool: Arc::new(MemoryPool::new((memory_mib as usize) << 20)),
        limit_bytes: None,
    };
    run(&spill, keys, is_text);
    drop(spill);
    _ = std::fs::remove_dir_all(directory);
}

fn run(spill: &Spill, keys: u64, is_text: bool) {
    let key_type = if is_text {
        DataType::Utf8View
    } else {
        DataType::Int64
    };
    let mut table = GroupTable::new(&[key_type]).unwrap();
    table.track_use();
    let mut cold = ColdGroups::new(spill.space.clone(), table.types(), &[DataType::Int64]).unwrap();
    let mut share = spill.share();
    let (mut counts, mut groups): (Vec<i64>, Vec<u32>) = (Vec::new(), Vec::new());
    let (mut random, mut done) = (0x9E37_79B9_7F4A_7C15u64, 0u64);
    let (mut wall, mut cpu) = (Instant::now(), cpu_seconds());
    while done < keys * 3 {
        let used = share_in_use(table.memory_size() + counts.capacity() * 8, &table);
        let excess = share.report(used + cold.memory_size()).min(used);
        if excess > 0 {
            let victims = table.least_used(table.len() * excess / used + 1);
            let values = |groups: &[u32]| {
                let counts = groups.iter().map(|group| counts[*group as usize]);
                let counts: ArrayRef = Arc::new(Int64Array::from_iter_values(counts));
                Ok::<_, StateError>(vec![counts])
            };
            cold.evict(&mut table, &victims, |_| i64::MAX, values).unwrap();
        }
        let column = batch(&mut random, keys, is_text);
        table.intern(&[column], BATCH_ROWS as usize, &mut groups).unwrap();
        counts.resize(table.end(), 0);
        table
            .created()
            .iter()
            .for_each(|group| counts[*group as usize] = 0);
        if let Some(recalled) = cold.recall(&table).unwrap() {
            let values = recalled.columns[0].as_any().downcast_ref::<Int64Array>().unwrap();
            let pairs = recalled.groups.iter().zip(values.values());
            pairs.for_each(|(group, count)| counts[*group as usize] = *count);
        }
        groups.iter().for_each(|group| counts[*group as usize] += 1);
        done += BATCH_ROWS;
        if done % ROWS_PER_LINE == 0 {
            let (wall_s, cpu_s) = (wall.elapsed().as_secs_f64(), cpu_seconds() - cpu);
            println!(
                "{done} updates; {:.0} thousand a CPU-second, {:.0} a second; groups in memory {}, on disk {}; state {} MB, \
                 resident {} MB, disk {} MB",
                ROWS_PER_LINE as f64 / cpu_s / 1000.0,
                ROWS_PER_LINE as f64 / wall_s / 1000.0,
                table.len(),
                cold.len(),
                (share_in_use(table.memory_size() + counts.capacity() * 8, &table) + cold.memory_size())
                    >> 20,
                resident_mib(),
                cold.disk_size() >> 20,
            );
            (wall, cpu) = (Instant::now(), cpu_seconds());
        }
    }
    let sum: i64 = table.groups().map(|group| counts[group as usize]).sum();
    let mut on_disk = 0;
    while let Some(many) = cold.take_many().unwrap() {
        let values = many.values[0].as_any().downcast_ref::<Int64Array>().unwrap();
        on_disk += values.values().iter().sum::<i64>();
    }
    assert_eq!((sum + on_disk) as u64, done, "no update is lost");
}

/// Random keys of one batch.
fn batch(random: &mut u64, keys: u64, is_text: bool) -> ArrayRef {
    let batch = (0..BATCH_ROWS).map(|_| {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        *random % keys
    });
    if !is_text {
        Arc::new(Int64Array::from_iter_values(batch.map(|key| key as i64)))
    } else {
        Arc::new(StringViewArray::from_iter_values(
            batch.map(|key| format!("customer-{key:012}")),
        ))
    }
}

/// Seconds of CPU of this process so far (Linux).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}
