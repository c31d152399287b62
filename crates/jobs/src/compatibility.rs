//! Whether the state of a checkpoint fits the operators of a job that may have changed since.
//!
//! An operator continues with the state of the one that was the same: the same kind and the same traits, on the way to
//! the same table. What is left on either side is compared with its like, so that the verdict can say what changed.
//! Nothing is decided here by position in the plan.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use millstream_dataflow::{DataflowError, InstanceState};
use millstream_state::{CheckpointHeader, OperatorEntry};
use millstream_types::ErrorKind;

/// What becomes of the state of one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The operator continues with its state.
    Kept,
    /// No state fits the operator: it starts empty.
    New,
    /// No operator fits the state: it is given up.
    Dropped,
    /// The operator is still there, but its state depends on something that changed.
    Incompatible { reason: String },
}

/// One operator in the comparison of a job with a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorVerdict {
    /// Of the job's operator; of the stored one if it was dropped.
    pub uid: String,
    pub name: String,
    /// The tables that its rows end in.
    pub sinks: Vec<String>,
    pub verdict: Verdict,
    /// The uid under which the checkpoint has the state that is kept.
    stored_uid: Option<String>,
}

/// The comparison of a job with a checkpoint, in the order of the job's operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    pub operators: Vec<OperatorVerdict>,
    /// The job computes something else than the one that made the checkpoint.
    pub statement_changed: bool,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("kept"),
            Self::New => f.write_str("new: starts without state"),
            Self::Dropped => f.write_str("dropped: its state fits no operator"),
            Self::Incompatible { reason } => write!(f, "incompatible: {reason}"),
        }
    }
}

/// Whether a stored operator and one of the job belong together.
type Rule = fn(&OperatorEntry, &OperatorEntry) -> bool;

impl Comparison {
    /// Compares the operators of a checkpoint with those of a job.
    pub fn new(before: &[OperatorEntry], now: &[OperatorEntry]) -> Self {
        let mut open: Vec<&OperatorEntry> = before.iter().collect();
        let mut found: Vec<Option<(&OperatorEntry, bool)>> = vec![None; now.len()];
        // From the strictest rule to the loosest; a stored operator is taken once.
        let rules: [(Rule, bool); 4] = [
            (|a, b| a.uid == b.uid && a.traits == b.traits, true),
            (|a, b| same_state(a, b) && a.sinks == b.sinks, true),
            (|a, b| same_state(a, b) && share_sink(a, b), true),
            (|a, b| a.name == b.name && share_sink(a, b), false),
        ];
        for (fits, is_kept) in rules {
            for (entry, slot) in now.iter().zip(&mut found).filter(|(_, slot)| slot.is_none()) {
                if let Some(position) = open.iter().position(|stored| fits(stored, entry)) {
                    *slot = Some((open.remove(position), is_kept));
                }
            }
        }
        let verdict = |(entry, slot): (&OperatorEntry, &Option<(&OperatorEntry, bool)>)| match slot {
            Some((stored, true)) => verdict(entry, Verdict::Kept, Some(stored.uid.clone())),
            Some((stored, false)) => {
                let reason = difference(stored, entry);
                verdict(entry, Verdict::Incompatible { reason }, None)
            }
            None => verdict(entry, Verdict::New, None),
        };
        let mut operators: Vec<OperatorVerdict> = now.iter().zip(&found).map(verdict).collect();
        operators.extend(
            open.into_iter()
                .map(|stored| self::verdict(stored, Verdict::Dropped, None)),
        );
        Self {
            operators,
            statement_changed: false,
        }
    }

    /// Whether every operator continues with its state, and no state is left.
    pub fn is_unchanged(&self) -> bool {
        self.operators.iter().all(|o| o.verdict == Verdict::Kept)
    }

    /// One line for each operator.
    pub fn table(&self) -> String {
        let line = |operator: &OperatorVerdict| {
            let sinks = operator.sinks.join(", ");
            format!("  {} → {sinks}: {}", operator.name, operator.verdict)
        };
        self.operators.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The states of the operators that continue, under their uids of now.
    pub fn adopt(&self, states: Vec<InstanceState>, stored: &[OperatorEntry]) -> Vec<InstanceState> {
        let kept: HashMap<&str, &str> = self
            .operators
            .iter()
            .filter_map(|operator| Some((operator.stored_uid.as_deref()?, operator.uid.as_str())))
            .collect();
        let is_named = |uid: &str| stored.iter().any(|entry| entry.uid == uid);
        let adopt = |mut state: InstanceState| {
            // What stands before a sink belongs to the sink.
            let (uid, suffix) = match state.uid.strip_suffix(SINK_INPUT) {
                Some(uid) if is_named(uid) => (uid, SINK_INPUT),
                _ => (&*state.uid, ""),
            };
            match kept.get(uid) {
                Some(now) => {
                    state.uid = Arc::from(format!("{now}{suffix}"));
                    Some(state)
                }
                // Vertices without traits keep no state that could fail to fit.
                None => (!is_named(uid)).then_some(state),
            }
        };
        states.into_iter().filter_map(adopt).collect()
    }
}

/// Ending of the uid of what stands before a sink.
pub(crate) const SINK_INPUT: &str = "-input";

fn verdict(entry: &OperatorEntry, verdict: Verdict, stored_uid: Option<String>) -> OperatorVerdict {
    OperatorVerdict {
        uid: entry.uid.clone(),
        name: entry.name.clone(),
        sinks: entry.sinks.clone(),
        verdict,
        stored_uid,
    }
}

/// Operators without traits are told apart by their uids alone.
fn same_state(a: &OperatorEntry, b: &OperatorEntry) -> bool {
    a.name == b.name && a.traits == b.traits && !a.traits.is_empty()
}

fn share_sink(a: &OperatorEntry, b: &OperatorEntry) -> bool {
    let have_traits = !a.traits.is_empty() && !b.traits.is_empty();
    have_traits && a.sinks.iter().any(|sink| b.sinks.contains(sink))
}

/// The first trait that is not the same.
fn difference(before: &OperatorEntry, now: &OperatorEntry) -> String {
    let value = |entry: &OperatorEntry, name: &str| {
        let found = entry.traits.iter().find(|t| t.name == name);
        found.map_or_else(|| "absent".to_owned(), |t| format!("[{}]", t.value))
    };
    let names = before.traits.iter().chain(&now.traits).map(|t| t.name.as_str());
    for name in names {
        let (was, is) = (value(before, name), value(now, name));
        if was != is {
            return format!("its {name} changed from {was} to {is}");
        }
    }
    "it changed".to_owned()
}

/// Compares a job with a checkpoint and refuses what would silently give wrong results. With `allow_partial` operators
/// start empty and state is dropped where it does not fit.
pub fn check(
    source: &str,
    header: &CheckpointHeader,
    now: &[OperatorEntry],
    max_parallelism: u16,
    allow_partial: bool,
) -> Result<Comparison, DataflowError> {
    let refuse = |reason: String| {
        let message = format!(
            "{source} of job '{}' does not fit the statement: {reason}; use --fresh to start without it, \
             --allow-non-restored-state to start with what fits, or give the job another 'pipeline.name'",
            header.job
        );
        Err(DataflowError::new(ErrorKind::Input, message))
    };
    if header.max_parallelism != max_parallelism {
        return refuse(format!(
            "'pipeline.max-parallelism' was {} and is {max_parallelism}, which distributes keys differently",
            header.max_parallelism
        ));
    }
    let comparison = Comparison::new(&header.operators, now);
    let has_kept = comparison.operators.iter().any(|o| o.verdict == Verdict::Kept);
    let is_refused = |operator: &OperatorVerdict| match operator.verdict {
        Verdict::Kept => false,
        // Beside operators that continue, a new one would miss all rows before the checkpoint.
        Verdict::New => has_kept,
        Verdict::Dropped | Verdict::Incompatible { .. } => true,
    };
    if !allow_partial && comparison.operators.iter().any(is_refused) {
        return refuse(format!("its operators changed:\n{}\n", comparison.table()));
    }
    Ok(comparison)
}

#[cfg(test)]
mod tests {
    use millstream_state::OperatorTrait;

    use super::*;

    fn entry(uid: &str, name: &str, sink: &str, keys: &str) -> OperatorEntry {
        OperatorEntry {
            uid: uid.to_owned(),
            name: name.to_owned(),
            sinks: vec![sink.to_owned()],
            traits: vec![OperatorTrait {
                name: "keys".to_owned(),
                value: keys.to_owned(),
            }],
        }
    }

    fn verdicts(before: &[OperatorEntry], now: &[OperatorEntry]) -> Vec<String> {
        let comparison = Comparison::new(before, now);
        let text = |o: &OperatorVerdict| format!("{} {}", o.uid, o.verdict);
        comparison.operators.iter().map(text).collect()
    }

    #[test]
    fn like_operators_of_two_sinks_keep_their_own_state_when_they_change_places() {
        let named = |uid: &str, sink: &str| entry(&format!("{uid}-{sink}"), "Agg", sink, "k");
        let before = [named("agg", "a"), named("agg", "b")];
        let now = [named("agg", "b"), named("agg", "a")];
        let comparison = Comparison::new(&before, &now);
        let stored: Vec<_> = comparison
            .operators
            .iter()
            .map(|o| o.stored_uid.as_deref())
            .collect();
        assert_eq!(stored, [Some("agg-b"), Some("agg-a")]);
    }

    #[test]
    fn the_table_says_what_changed() {
        let before = [
            entry("scan", "Scan", "s", "t"),
            entry("agg-a", "Agg", "s", "a BIGINT"),
            entry("rank", "Rank", "s", "r"),
        ];
        let now = [
            entry("scan", "Scan", "s", "t"),
            entry("agg-b", "Agg", "s", "b BIGINT"),
            entry("join", "Join", "s", "j"),
        ];
        assert_eq!(
            verdicts(&before, &now),
            [
                "scan kept",
                "agg-b incompatible: its keys changed from [a BIGINT] to [b BIGINT]",
                "join new: starts without state",
                "rank dropped: its state fits no operator",
            ]
        );
    }

    #[test]
    fn a_statement_that_leaves_a_set_keeps_what_was_shared() {
        let both = |uid: &str| OperatorEntry {
            sinks: vec!["a".to_owned(), "b".to_owned()],
            ..entry(uid, "Agg", "a", "k")
        };
        assert_eq!(
            verdicts(&[both("agg-ab")], &[entry("agg-a", "Agg", "a", "k")]),
            ["agg-a kept"]
        );
    }
}
