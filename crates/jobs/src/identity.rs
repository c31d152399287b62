//! The names of a plan's operators in checkpoints, and what their state depends on.

use millstream_plan::Plan;
use millstream_plan::lineage::{fingerprint, keeps_state, lineage};
use millstream_plan::uid::{kind_name, uids_of};
use millstream_state::{OperatorEntry, OperatorTrait};

/// The stateful operators of a plan, as a checkpoint records them.
pub fn operator_entries(plan: &Plan) -> Vec<OperatorEntry> {
    describe(plan).0
}

/// The stateful operators of a plan, and the fingerprint of everything that the plan computes.
pub fn describe(plan: &Plan) -> (Vec<OperatorEntry>, u64) {
    let lineage = lineage(plan);
    let fingerprint = fingerprint(plan, &lineage);
    let uids = uids_of(plan, &lineage);
    let nodes = plan.nodes.iter().zip(uids).zip(lineage);
    let with_state = nodes.filter(|((node, _), _)| keeps_state(&node.op));
    let operators = with_state.map(|((node, uid), known)| OperatorEntry {
        uid,
        name: kind_name(&node.op).to_owned(),
        sinks: known.sinks,
        traits: known
            .traits
            .into_iter()
            .map(|(name, value)| OperatorTrait {
                name: name.to_owned(),
                value,
            })
            .collect(),
    });
    (operators.collect(), fingerprint)
}
