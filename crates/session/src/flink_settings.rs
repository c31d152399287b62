//! Flink settings that Millstream does not read, each with the reason. SET accepts them as Flink does and warns if
//! results can differ; the reference lists them.

use millstream_sql::compatibility::Support;
use millstream_sql::parse::similar::nearest;

use crate::configuration::configuration_options;

/// A key, or a prefix followed by `*`.
#[derive(Clone, Copy, Debug)]
pub struct FlinkSetting {
    pub key: &'static str,
    pub support: Support,
    pub why: &'static str,
}

const fn no_effect(key: &'static str, why: &'static str) -> FlinkSetting {
    FlinkSetting {
        key,
        support: Support::NoEffect,
        why,
    }
}

const fn differs(key: &'static str, why: &'static str) -> FlinkSetting {
    FlinkSetting {
        key,
        support: Support::Differs,
        why,
    }
}

/// Flink's settings that [`configuration_options`] does not contain.
pub const FLINK_SETTINGS: &[FlinkSetting] = &[
    differs(
        "table.exec.emit.*",
        "Windows fire once, at their end: early and late firing are not supported.",
    ),
    differs(
        "table.exec.sink.nested-constraint-enforcer",
        "NOT NULL and lengths are enforced for columns, not for fields and elements inside of them.",
    ),
    no_effect(
        "table.exec.rank.topn-cache-size",
        "Top-N keeps its rows in memory as a whole.",
    ),
    no_effect(
        "table.exec.window-agg.buffer-size-limit",
        "Windows are kept by slices, without a buffer in front.",
    ),
    no_effect(
        "table.exec.interval-join.min-cleanup-interval",
        "Rows are removed as soon as the watermark allows.",
    ),
    no_effect(
        "table.exec.sink.keyed-shuffle",
        "Changes of one key reach one instance of the sink in any case.",
    ),
    no_effect(
        "table.exec.sink.upsert-materialize-strategy.*",
        "There is one way to materialise upserts.",
    ),
    no_effect(
        "table.exec.async-*",
        "No connector can be looked up, and there are no asynchronous functions.",
    ),
    no_effect(
        "table.exec.uid.*",
        "Operators are named by their place in the plan.",
    ),
    no_effect(
        "table.exec.resource.*",
        "Memory is taken as it is needed, within the limits of the reference.",
    ),
    no_effect(
        "table.exec.spill-compression.*",
        "Nothing is spilled in this form.",
    ),
    no_effect("table.exec.sort.*", "Sorts run in memory."),
    no_effect("table.exec.local-hash-agg.*", "Aggregation has one phase."),
    no_effect(
        "table.exec.operator-fusion-codegen.enabled",
        "No code is generated.",
    ),
    no_effect("table.exec.disabled-operators", "Plans are made by rules."),
    no_effect("table.exec.shuffle-mode", "Exchanges are pipelined."),
    no_effect("table.exec.deduplicate.*", "Deduplication follows the plan."),
    no_effect(
        "table.exec.simplify-operator-name-enabled",
        "Names of operators are short.",
    ),
    no_effect(
        "table.optimizer.*",
        "Plans are made by rules, without cost and statistics.",
    ),
    no_effect("table.generated-code.*", "No code is generated."),
    no_effect(
        "table.plan.compile.catalog-objects",
        "A compiled plan holds its tables as a whole.",
    ),
    no_effect(
        "table.plan.restore.catalog-objects",
        "A compiled plan holds its tables as a whole.",
    ),
    no_effect(
        "table.display.max-column-width",
        "See the options of the command line.",
    ),
    differs("table.sql-dialect", "Flink's own dialect only."),
    differs("table.legacy-nested-row-nullability", "Nested NOT NULL is kept."),
    differs(
        "table.builtin-catalog-name",
        "The catalog is called 'default_catalog'.",
    ),
    differs(
        "table.builtin-database-name",
        "The database is called 'default_database'.",
    ),
    no_effect("table.resources.*", "There are no jars."),
    no_effect("table.rtas-ctas.*", "CREATE TABLE AS makes the table first."),
    no_effect("table.materialized-table.*", "There are no materialized tables."),
    no_effect("sql-client.*", "See the options of the command line."),
    no_effect("execution.target", "Jobs run in this process."),
    no_effect("execution.attached", "Jobs run in this process."),
    no_effect("execution.shutdown-on-*", "Jobs run in this process."),
    no_effect("execution.buffer-timeout*", "A batch is handed on at once."),
    no_effect("execution.batch*", "Batch jobs run as pipelines."),
    no_effect("execution.sorted-inputs.*", "Batch jobs run as pipelines."),
    no_effect("execution.checkpointing.mode", "Checkpoints are exactly-once."),
    no_effect("execution.checkpointing.unaligned*", "Barriers are aligned."),
    no_effect(
        "execution.checkpointing.max-concurrent-checkpoints",
        "One checkpoint at a time.",
    ),
    no_effect(
        "execution.checkpointing.externalized-*",
        "Checkpoints of named jobs are kept.",
    ),
    no_effect(
        "execution.checkpointing.incremental",
        "Snapshots hold what has changed.",
    ),
    no_effect(
        "execution.checkpointing.storage",
        "Checkpoints are always stored; 'execution.checkpointing.dir' says where.",
    ),
    no_effect(
        "execution.state-recovery.*",
        "A named job begins from its last checkpoint.",
    ),
    no_effect("execution.*", "Jobs run in this process."),
    no_effect("state.*", "State is kept in one form."),
    no_effect("pipeline.*", "Operators run on the workers of this process."),
    no_effect("restart-strategy*", "See the strategies of the reference."),
    no_effect("jobmanager.*", "There is one process."),
    no_effect("taskmanager.*", "There is one process."),
    no_effect("cluster.*", "There is one process."),
    no_effect("akka.*", "There is one process."),
    no_effect("pekko.*", "There is one process."),
    no_effect("heartbeat.*", "There is one process."),
    no_effect("high-availability*", "There is one process."),
    no_effect("kubernetes.*", "There is one process."),
    no_effect("yarn.*", "There is one process."),
    no_effect("blob.*", "There is one process."),
    no_effect(
        "historyserver.*",
        "Jobs that have ended are listed by the server itself.",
    ),
    no_effect("web.*", "The Web UI has no settings."),
    no_effect("security.ssl.internal.*", "There is one process."),
    differs("security.kerberos.*", "There is no Kerberos."),
    no_effect("env.*", "There is no Java virtual machine."),
    no_effect("classloader.*", "There is no Java virtual machine."),
    no_effect("python.*", "There is no Python interpreter."),
];

/// The entry for a Flink key that Millstream does not read.
pub fn flink_setting(key: &str) -> Option<&'static FlinkSetting> {
    FLINK_SETTINGS
        .iter()
        .find(|setting| match setting.key.strip_suffix('*') {
            Some(prefix) => key.starts_with(prefix),
            None => key == setting.key,
        })
}

/// The warning for a user who sets this key; `None` if the key makes no difference.
pub(crate) fn note(key: &str) -> Option<String> {
    if configuration_options().any(|option| option.key == key) {
        return None;
    }
    match flink_setting(key) {
        Some(setting) if setting.support == Support::Differs => {
            Some(format!("setting '{key}' is not supported: {}", setting.why))
        }
        Some(_) => None,
        None => {
            let known = configuration_options().map(|option| option.key);
            nearest(key, known).map(|near| format!("setting '{key}' is not known; did you mean '{near}'?"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_flink_are_known_and_misspelt_ones_are_named() {
        assert_eq!(note("table.exec.state.ttl"), None);
        assert_eq!(note("taskmanager.memory.process.size"), None);
        assert_eq!(note("a.b"), None);
        let early = note("table.exec.emit.early-fire.enabled");
        assert!(early.is_some_and(|text| text.contains("early")));
        let misspelt = note("table.exec.state.tll");
        assert!(misspelt.is_some_and(|text| text.contains("'table.exec.state.ttl'")));
        // An entry after a wider pattern would never match.
        for (place, setting) in FLINK_SETTINGS.iter().enumerate() {
            let key = setting.key.trim_end_matches('*');
            let found = flink_setting(key).map(|found| found.key);
            assert_eq!(found, Some(setting.key), "entry {place}");
        }
    }
}
