//! Configuration to settings.

use millstream_jobs::{JobSettings, RestartSettings};
use millstream_types::Options;

fn read(pairs: &[(&str, &str)]) -> Result<JobSettings, String> {
    let options: Options = pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    JobSettings::read(&options, 4).map_err(|error| error.to_string())
}

#[test]
fn defaults() {
    let settings = read(&[]).unwrap();
    assert_eq!(
        (
            settings.parallelism,
            settings.graph.max_parallelism,
            settings.graph.batch_rows
        ),
        (4, 128, 8192)
    );
    assert_eq!(settings.checkpoints.unwrap().interval_ms, 1000);
    assert!(matches!(
        settings.restart,
        RestartSettings::ExponentialDelay { initial_ms: 1000, .. }
    ));
    let without = read(&[("execution.checkpointing.interval", "0")]).unwrap();
    assert_eq!(
        (without.checkpoints, without.restart),
        (None, RestartSettings::None)
    );
}

#[test]
fn what_is_set_is_taken() {
    let settings = read(&[
        ("parallelism.default", "3"),
        ("table.exec.resource.default-parallelism", "100"),
        ("millstream.batch.max-rows", "1"),
        ("execution.checkpointing.interval", "5 s"),
        ("execution.checkpointing.min-pause", "1 s"),
        ("restart-strategy.type", "fixed-delay"),
        ("restart-strategy.fixed-delay.attempts", "9"),
        ("restart-strategy.fixed-delay.delay", "3 s"),
        ("pipeline.name", "hourly delays"),
    ])
    .unwrap();
    assert_eq!(
        (
            settings.parallelism,
            settings.graph.max_parallelism,
            settings.graph.batch_rows
        ),
        (100, 256, 1)
    );
    let checkpoints = settings.checkpoints.unwrap();
    assert_eq!((checkpoints.interval_ms, checkpoints.min_pause_ms), (5000, 1000));
    assert_eq!(
        settings.restart,
        RestartSettings::FixedDelay {
            attempts: 9,
            delay_ms: 3000
        }
    );
    assert_eq!(settings.name.as_deref(), Some("hourly delays"));
}

#[test]
fn wrong_values_are_named() {
    let cases = [
        ("parallelism.default", "many", "'parallelism.default'"),
        ("parallelism.default", "0", "parallelism 0"),
        (
            "execution.checkpointing.interval",
            "often",
            "'execution.checkpointing.interval'",
        ),
        ("restart-strategy.type", "never", "'restart-strategy.type'"),
        (
            "execution.checkpointing.num-retained",
            "-1",
            "'execution.checkpointing.num-retained'",
        ),
    ];
    for (key, value, expected) in cases {
        let error = read(&[(key, value)]).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
