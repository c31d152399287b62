//! Decides whether the state of a checkpoint fits the operators of a job that may have changed since.
//!
//! An operator continues with stored state if both have the same kind and traits and reach the same sink. The remaining
//! operators and states are paired by similarity, so that the verdict can name what changed. Positions in the plan play
//! no role.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use millstream_dataflow::{DataflowError, InstanceState};
use millstream_state::{CheckpointHeader, OperatorEntry};
use millstream_types::ErrorCode;

use crate::side_outputs::is_side_output;

/// What happens to the state of one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The operator continues with its state.
    Kept,
    /// No state fits the operator: it starts empty.
    New,
    /// No operator fits the state: it is discarded.
    Dropped,
    /// The operator still exists, but something that its state depends on has changed.
    Incompatible { reason: String },
}

/// One operator in the comparison of a job with a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorVerdict {
    /// The uid of the job's operator, or of the stored one if it was dropped.
    pub uid: String,
    pub name: String,
    /// The sinks that its rows reach.
    pub sinks: Vec<String>,
    pub verdict: Verdict,
    /// The uid of the kept state in the checkpoint.
    stored_uid: Option<String>,
}

/// The comparison of a job with a checkpoint, in the order of the job's operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    pub operators: Vec<OperatorVerdict>,
    /// The job computes something different from the job that took the checkpoint.
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

/// Whether a stored operator matches one of the job.
type Rule = fn(&OperatorEntry, &OperatorEntry) -> bool;

impl Comparison {
    /// Compares the operators of a checkpoint with those of a job.
    pub fn new(before: &[OperatorEntry], now: &[OperatorEntry]) -> Self {
        let mut open: Vec<&OperatorEntry> = before.iter().collect();
        let mut found: Vec<Option<(&OperatorEntry, bool)>> = vec![None; now.len()];
        // From the strictest rule to the loosest; each stored operator matches at most once.
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

    /// Whether every operator keeps its state and no stored state is left over.
    pub fn is_unchanged(&self) -> bool {
        self.operators.iter().all(|o| o.verdict == Verdict::Kept)
    }

    /// One line per operator.
    pub fn table(&self) -> String {
        let line = |operator: &OperatorVerdict| {
            let sinks = operator.sinks.join(", ");
            format!("  {} → {sinks}: {}", operator.name, operator.verdict)
        };
        self.operators.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The states of the operators that continue, under their current uids.
    pub fn adopt(&self, states: Vec<InstanceState>, stored: &[OperatorEntry]) -> Vec<InstanceState> {
        let kept: HashMap<&str, &str> = self
            .operators
            .iter()
            .filter_map(|operator| Some((operator.stored_uid.as_deref()?, operator.uid.as_str())))
            .collect();
        let is_named = |uid: &str| stored.iter().any(|entry| entry.uid == uid);
        let adopt = |mut state: InstanceState| {
            // The operator in front of a sink belongs to the sink.
            let (uid, suffix) = match state.uid.strip_suffix(SINK_INPUT) {
                Some(uid) if is_named(uid) => (uid, SINK_INPUT),
                _ => (&*state.uid, ""),
            };
            match kept.get(uid) {
                Some(now) => {
                    state.uid = Arc::from(format!("{now}{suffix}"));
                    Some(state)
                }
                // Vertices without traits have no state that could be incompatible.
                None => (!is_named(uid)).then_some(state),
            }
        };
        states.into_iter().filter_map(adopt).collect()
    }
}

/// Suffix of the uid of the operator in front of a sink.
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

/// Operators without traits are matched by uid alone.
fn same_state(a: &OperatorEntry, b: &OperatorEntry) -> bool {
    a.name == b.name && a.traits == b.traits && !a.traits.is_empty()
}

fn share_sink(a: &OperatorEntry, b: &OperatorEntry) -> bool {
    let have_traits = !a.traits.is_empty() && !b.traits.is_empty();
    have_traits && a.sinks.iter().any(|sink| b.sinks.contains(sink))
}

/// The first trait that differs.
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

/// Compares a job with a checkpoint and rejects every combination that would silently give wrong results. With
/// `allow_partial`, operators without matching state start empty and unmatched state is dropped.
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
        Err(DataflowError::coded(ErrorCode::IncompatibleState, message))
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
        // Next to operators that continue, a new operator would miss all rows before the checkpoint.
        Verdict::New => has_kept && !is_side_output(&operator.name),
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
    fn a_side_output_may_be_new_but_not_missing() {
        let (scan, side) = (
            entry("scan", "Scan", "s", "t"),
            entry("dead-letters", "DeadLetters", "topic d", "c"),
        );
        let header = |operators: &[OperatorEntry]| CheckpointHeader {
            checkpoint: 1,
            triggered_ms: 0,
            job: "j".to_owned(),
            max_parallelism: 128,
            fingerprint: 0,
            operators: operators.to_vec(),
            finished: false,
            kind: millstream_state::CheckpointKind::Checkpoint,
            origin: None,
        };
        let (without, with) = ([scan.clone()], [scan, side]);
        let check =
            |before: &[OperatorEntry], now: &[OperatorEntry]| check("it", &header(before), now, 128, false);
        assert!(check(&without, &with).is_ok());
        assert!(check(&with, &with).is_ok());
        let error = check(&with, &without).unwrap_err();
        assert!(
            error.message.contains("DeadLetters → topic d: dropped"),
            "{error}"
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
