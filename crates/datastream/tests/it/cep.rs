//! Patterns: the examples of Flink's documentation of CEP, timeouts, late records, and recovery.

use std::time::Duration;

use millstream_datastream::cep::{self, AfterMatchSkipStrategy, Match, Pattern};
use millstream_datastream::watermark::WatermarkStrategy;
use millstream_datastream::{DataStream, Environment, OutputTag};

use crate::host::{collect, environment, in_order};
use crate::recovery::{MS, Row, assert_recovers};

/// An event by its name, and the second at which it happens.
type Event = (String, i64);

fn is(letter: &'static str) -> impl Fn(&Event) -> bool + Send + Sync + 'static {
    move |event| event.0.starts_with(letter)
}

fn start(letter: &'static str) -> Pattern<Event> {
    Pattern::begin(letter).where_(is(letter))
}

/// The events of a match in the order in which they happened.
fn shown(found: &Match<Event>) -> String {
    let mut events: Vec<&Event> = found.parts().flat_map(|(_, events)| events).collect();
    events.sort_by_key(|event| event.1);
    let names: Vec<&str> = events.iter().map(|event| event.0.as_str()).collect();
    names.join(" ")
}

/// A second apart, by event time.
fn events(env: &Environment, names: &str) -> DataStream<Event> {
    let names: Vec<Event> = names.split(' ').map(str::to_owned).zip(0..).collect();
    let strategy = WatermarkStrategy::for_monotonous_timestamps();
    env.from_collection(names)
        .assign_timestamps_and_watermarks(strategy.with_timestamp_assigner(|event: &Event, _| event.1 * 1000))
}

fn matches(pattern: Pattern<Event>, names: &str) -> Vec<String> {
    let env = environment(1);
    let found = cep::pattern_all(&events(&env, names), pattern).unwrap();
    collect(found.select(|found| shown(&found)))
}

fn sorted(mut expected: Vec<&str>) -> Vec<&str> {
    expected.sort_unstable();
    expected
}

#[test]
fn contiguity_decides_what_is_passed_over() {
    let names = "a c b1 b2";
    assert_eq!(
        matches(start("a").next("b").where_(is("b")), names),
        Vec::<String>::new()
    );
    assert_eq!(
        matches(start("a").followed_by("b").where_(is("b")), names),
        ["a b1"]
    );
    assert_eq!(
        matches(start("a").followed_by_any("b").where_(is("b")), names),
        ["a b1", "a b2"]
    );
}

#[test]
fn loops_have_a_contiguity_of_their_own() {
    let names = "a b1 d1 b2 d2 b3 c";
    let before = || start("a").followed_by_any("b").where_(is("b")).one_or_more();
    let ended = |pattern: Pattern<Event>| pattern.followed_by("c").where_(is("c"));
    assert_eq!(
        matches(ended(before().consecutive()), names),
        ["a b1 c", "a b2 c", "a b3 c"]
    );
    assert_eq!(
        matches(ended(before()), names),
        [
            "a b1 b2 b3 c",
            "a b1 b2 c",
            "a b1 c",
            "a b2 b3 c",
            "a b2 c",
            "a b3 c"
        ]
    );
    assert_eq!(
        matches(ended(before().allow_combinations()), names),
        [
            "a b1 b2 b3 c",
            "a b1 b2 c",
            "a b1 b3 c",
            "a b1 c",
            "a b2 b3 c",
            "a b2 c",
            "a b3 c"
        ]
    );
}

#[test]
fn combinations_and_consecutive_events_of_the_documentation() {
    let names = "c d a1 a2 a3 d a4 b";
    let looping = || start("c").followed_by("middle").where_(is("a")).one_or_more();
    let ended = |pattern: Pattern<Event>| pattern.followed_by("end").where_(is("b"));
    assert_eq!(
        matches(ended(looping().consecutive()), names),
        ["c a1 a2 a3 b", "c a1 a2 b", "c a1 b"]
    );
    assert_eq!(
        matches(ended(looping()), names),
        ["c a1 a2 a3 a4 b", "c a1 a2 a3 b", "c a1 a2 b", "c a1 b"]
    );
    assert_eq!(
        matches(ended(looping().allow_combinations()), names),
        sorted(vec![
            "c a1 b",
            "c a1 a2 b",
            "c a1 a3 b",
            "c a1 a4 b",
            "c a1 a2 a3 b",
            "c a1 a2 a4 b",
            "c a1 a3 a4 b",
            "c a1 a2 a3 a4 b"
        ])
    );
}

#[test]
fn until_ends_a_loop() {
    let pattern = start("a").one_or_more().until(is("b"));
    assert_eq!(matches(pattern, "a1 c a2 b a3"), ["a1", "a1 a2", "a2", "a3"]);
}

#[test]
fn times_and_optional_parts() {
    assert_eq!(matches(start("a").times(2), "a1 a2 a3"), ["a1 a2", "a2 a3"]);
    assert_eq!(
        matches(start("a").times_between(1, 2), "a1 a2"),
        ["a1", "a1 a2", "a2"]
    );
    assert_eq!(
        matches(start("a").times_or_more(2), "a1 a2 a3"),
        ["a1 a2", "a1 a2 a3", "a2 a3"]
    );
    let optional = || {
        start("a")
            .followed_by("b")
            .where_(is("b"))
            .optional()
            .followed_by("c")
            .where_(is("c"))
    };
    assert_eq!(matches(optional(), "a c"), ["a c"]);
    assert_eq!(matches(optional(), "a b c"), ["a b c", "a c"]);
}

#[test]
fn greedy_parts_take_what_they_can() {
    let pattern = || start("c").followed_by("a").where_(is("a")).one_or_more();
    let ended = |pattern: Pattern<Event>| pattern.followed_by("d").where_(is("d"));
    assert_eq!(
        matches(ended(pattern().optional().greedy()), "c a1 a2 a3 d"),
        ["c a1 a2 a3 d"]
    );
    assert_eq!(matches(ended(pattern().optional().greedy()), "c d"), ["c d"]);
}

#[test]
fn skip_strategies_drop_overlapping_matches() {
    use AfterMatchSkipStrategy::{NoSkip, SkipPastLastEvent, SkipToFirst, SkipToLast, SkipToNext};
    let pattern = |skip| {
        let pattern = Pattern::begin_with("b", skip)
            .where_(is("b"))
            .one_or_more()
            .consecutive();
        matches(pattern.next("c").where_(is("c")), "b1 b2 b3 c")
    };
    let all = ["b1 b2 b3 c", "b2 b3 c", "b3 c"];
    assert_eq!(pattern(NoSkip), all);
    assert_eq!(pattern(SkipToNext), all);
    assert_eq!(pattern(SkipPastLastEvent), ["b1 b2 b3 c"]);
    assert_eq!(pattern(SkipToFirst("b".to_owned())), all);
    assert_eq!(pattern(SkipToLast("b".to_owned())), ["b1 b2 b3 c", "b3 c"]);
    let growing = |skip| {
        let pattern = Pattern::begin_with("a", skip)
            .where_(is("a"))
            .next("b")
            .where_(is("b"))
            .one_or_more();
        matches(pattern, "a b1 b2 b3")
    };
    assert_eq!(growing(NoSkip), ["a b1", "a b1 b2", "a b1 b2 b3"]);
    assert_eq!(growing(SkipToNext), ["a b1"]);
}

#[test]
fn negated_parts_stop_a_match() {
    let not_next = || {
        start("a")
            .not_next("b")
            .where_(is("b"))
            .followed_by("c")
            .where_(is("c"))
    };
    assert_eq!(matches(not_next(), "a d c"), ["a c"]);
    assert_eq!(matches(not_next(), "a b c"), Vec::<String>::new());
    let not_follow = || {
        start("a")
            .not_followed_by("b")
            .where_(is("b"))
            .followed_by("c")
            .where_(is("c"))
    };
    assert_eq!(matches(not_follow(), "a d c"), ["a c"]);
    assert_eq!(matches(not_follow(), "a d b c"), Vec::<String>::new());
    let silence = || {
        start("a")
            .not_followed_by("b")
            .where_(is("b"))
            .within(Duration::from_secs(3))
    };
    assert_eq!(matches(silence(), "a1 b a2 d d d d"), ["a2"]);
}

#[test]
fn conditions_see_the_events_so_far() {
    let pattern = start("a")
        .one_or_more()
        .followed_by("b")
        .where_iterative(|event: &Event, ctx| {
            let taken = ctx.events_for_pattern("a");
            event.0.starts_with('b') && taken.len() == 2 && taken[0].0 == "a1"
        });
    assert_eq!(matches(pattern, "a1 a2 a3 b"), ["a1 a2 b"]);
    let either = start("a").or_(is("x")).next("b").where_(is("b"));
    assert_eq!(matches(either, "x b a b"), ["a b", "x b"]);
}

const TIMED_OUT: OutputTag<String> = OutputTag::new("timed out");
const LATE: OutputTag<Event> = OutputTag::new("late");

#[test]
fn partial_matches_time_out_into_a_side_output() {
    let env = environment(1);
    let pattern = start("a")
        .followed_by("b")
        .where_(is("b"))
        .within(Duration::from_secs(3));
    let found = cep::pattern_all(&events(&env, "a1 d d b1 a2 b2"), pattern)
        .unwrap()
        .select_with_timeout(
            TIMED_OUT,
            |partial, at| format!("{} until {at}", shown(&partial)),
            |found| shown(&found),
        );
    // Three seconds later is too late.
    let timed_out = found.get_side_output(TIMED_OUT);
    assert_eq!(collect(found.union([timed_out])), ["a1 until 3000", "a2 b2"]);
}

#[test]
fn records_behind_the_watermark_are_late() {
    let env = environment(1);
    let strategy = WatermarkStrategy::for_monotonous_timestamps();
    env.set("millstream.batch.max-rows", "1");
    let rows = [("a", 5), ("b", 2), ("b", 7)].map(|(name, at): (&str, i64)| (name.to_owned(), at));
    let rows = env
        .from_collection(rows)
        .assign_timestamps_and_watermarks(strategy.with_timestamp_assigner(|event: &Event, _| event.1));
    let pattern = start("a").followed_by("b").where_(is("b"));
    let found = cep::pattern_all(&rows, pattern)
        .unwrap()
        .side_output_late_data(LATE);
    let found = found.select(|found| shown(&found));
    let late = found
        .get_side_output(LATE)
        .map(|event| format!("late {}", event.1));
    let rows = collect(found.union([late]));
    assert_eq!(rows, ["a b", "late 2"]);
}

#[test]
fn keys_have_matches_of_their_own_in_processing_time() {
    let env = environment(2);
    let rows = env.from_collection([("x", 1), ("y", 1), ("x", 2), ("y", 3), ("x", 3)]);
    let keyed = rows
        .map(|(key, n)| (key.to_owned(), n))
        .key_by(|row| row.0.clone());
    let pattern = Pattern::begin("one")
        .where_(|row: &(String, i32)| row.1 == 1)
        .next("two")
        .where_(|row| row.1 == 2);
    let found = cep::pattern(&keyed, pattern).unwrap().in_processing_time();
    let found = found.flat_select(|found, out| out.collect(format!("{:?}", found.first("two"))));
    assert_eq!(in_order(found), ["Some((\"x\", 2))"]);
}

#[test]
fn mistakes_in_patterns_are_refused() {
    let refused = |pattern: Pattern<Event>| {
        let env = environment(1);
        cep::pattern_all(&events(&env, "a"), pattern)
            .err()
            .expect("it is a mistake")
            .message
    };
    assert!(refused(start("a").next("a")).contains("Duplicate pattern name: a"));
    assert!(refused(start("a").not_followed_by("b")).contains("without windowTime"));
    assert!(refused(start("a").until(is("b"))).contains("only applicable to looping states"));
    assert!(refused(start("a").greedy()).contains("single event pattern"));
    assert!(refused(start("a").times(2).one_or_more()).contains("Already applied quantifier"));
    let skip = AfterMatchSkipStrategy::SkipToFirst("none".to_owned());
    assert!(refused(Pattern::begin_with("a", skip)).contains("can not be found"));
}

fn runs_of_numbers(_: &Environment, data: DataStream<Row>, _: DataStream<Row>) -> DataStream<String> {
    let pattern = Pattern::begin("first")
        .where_(|row: &Row| row.1 % 5 == 0)
        .followed_by("rest")
        .where_(|row| row.1 % 5 != 0)
        .times(2)
        .followed_by("end")
        .where_(|row| row.1 % 3 == 0)
        .within(MS(90));
    let found = cep::pattern(&data.key_by_ref(|row| &row.0), pattern).unwrap();
    let found = found.select_with_timeout(
        TIMED_OUT,
        |partial, at| format!("{partial:?} until {at}"),
        |found| format!("{found:?}"),
    );
    let timed_out = found.get_side_output(TIMED_OUT);
    found.union([timed_out])
}

#[test]
fn partial_matches_recover_at_other_parallelisms() {
    assert_recovers(runs_of_numbers);
}
