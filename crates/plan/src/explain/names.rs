//! Column names, made unique within a node for readers of a plan.

use std::collections::BTreeSet;

use millstream_types::Schema;

/// A repeated name gets a number: `id`, `id0`, `id1`. So does a column named after the call that computes it
/// (`COUNT(*)`), because it would read like the call itself.
pub fn unique(schema: &Schema) -> Vec<String> {
    let is_call = |name: &str| name.ends_with(')') && name.contains('(');
    let names: Vec<String> = schema
        .columns
        .iter()
        .enumerate()
        .map(|(i, column)| {
            if is_call(&column.name) {
                format!("$f{i}")
            } else {
                column.name.clone()
            }
        })
        .collect();
    unique_names(names.iter().map(String::as_str))
}

pub(super) fn joined(left: &[String], right: &[String]) -> Vec<String> {
    unique_names(left.iter().chain(right).map(String::as_str))
}

fn unique_names<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut unique = Vec::new();
    for name in names {
        let mut candidate = name.to_owned();
        let mut number = 0;
        while !taken.insert(candidate.clone()) {
            candidate = format!("{name}{number}");
            number += 1;
        }
        unique.push(candidate);
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_names_are_numbered() {
        let names = unique_names(["id", "v", "id", "id", "id0"].into_iter());
        assert_eq!(names, ["id", "v", "id0", "id1", "id00"]);
    }
}
