//! Every operator with state has a program that is interrupted and continued at other parallelisms. A new kind of operator
//! needs one before this compiles.

use millstream_datastream::Collector;
use millstream_datastream::asynchronous::AsyncDataStream;
use millstream_datastream::context::WindowContext;
use millstream_datastream::environment::Stateful;
use millstream_datastream::window::{CountEvictor, EventTimeSessionWindows, TumblingEventTimeWindows};

use crate::asynchronous::{MINUTE, looked_up};
use crate::operator_state::Buffer;
use crate::recovery::{Buckets, MS, NUMBERS, Program, Row, Ruled, contents, stateful_kinds};
use crate::recovery_of_state::{Count, Named};

/// A program with an operator of this kind, for a test of recovery.
pub fn program_of(kind: Stateful) -> Program {
    match kind {
        Stateful::Source | Stateful::Sink => |env, _, _| env.from_sequence(1, NUMBERS).map(|n| n.to_string()),
        Stateful::AsyncWait => |_, data, _| AsyncDataStream::ordered_wait(&data, looked_up, MINUTE, 20),
        Stateful::OperatorState => |_, data, _| data.process_checkpointed(Buffer::default()),
        Stateful::Broadcast => {
            |_, data, rules| data.connect_broadcast(&rules.broadcast_state()).process(Ruled)
        }
        Stateful::KeyedProcess => |_, data, _| data.key_by_ref(|row| &row.0).process(Buckets::default()),
        Stateful::KeyedReduce => |_, data, _| {
            data.map(|row| (row.0, 1))
                .key_by_ref(|row| &row.0)
                .reduce(|a: Row, b: Row| (a.0, a.1 + b.1))
                .map(|(key, count)| format!("{key} {count}"))
        },
        Stateful::KeyedCoProcess => |_, data, rules| {
            let rules = rules.key_by_ref(|row| &row.0);
            data.key_by_ref(|row| &row.0)
                .connect(&rules)
                .process(Named::default())
        },
        Stateful::KeyedBroadcast => |_, data, rules| {
            let rules = rules.broadcast_state();
            data.key_by_ref(|row| &row.0)
                .connect_broadcast(&rules)
                .process(Ruled)
        },
        Stateful::WindowReduce => |_, data, _| {
            data.key_by_ref(|row| &row.0)
                .window(TumblingEventTimeWindows::of(MS(40)))
                .reduce_process(|a: Row, b: Row| (a.0, a.1 + b.1), contents)
        },
        Stateful::WindowAggregate => |_, data, _| {
            let windows = TumblingEventTimeWindows::of(MS(40));
            data.key_by_ref(|row| &row.0).window(windows).aggregate_process(
                Count,
                |_: &String, ctx: &mut WindowContext<'_>, counts: &[String], out: &mut Collector<String>| {
                    out.collect(format!("{:?} {counts:?}", ctx.window()));
                    Ok(())
                },
            )
        },
        Stateful::WindowRecords => |_, data, _| {
            let windows = EventTimeSessionWindows::with_gap(MS(15));
            data.key_by_ref(|row| &row.0).window(windows).process(contents)
        },
        Stateful::EvictingWindow => |_, data, _| {
            // More than a window has of a key: which come first is open at other parallelisms.
            data.key_by_ref(|row| &row.0)
                .window(TumblingEventTimeWindows::of(MS(40)))
                .evictor(CountEvictor::of(100))
                .process(contents)
        },
    }
}

#[test]
fn every_operator_with_state_has_a_case() {
    for kind in Stateful::ALL {
        let kinds = stateful_kinds(program_of(kind));
        assert!(kinds.contains(&kind), "{kind:?} is not among {kinds:?}");
    }
}
