//! One operator in one line, for messages.

use millstream_types::Schema;

use crate::rules::physical::Phys;

/// `GroupAggregate(groupBy=[k], select=[k, SUM(v)])`.
pub fn node(node: &Phys) -> String {
    let inputs: Vec<&Schema> = node.inputs.iter().map(|input| &input.schema).collect();
    millstream_plan::explain::operator(&node.op, &inputs, &node.schema)
}
