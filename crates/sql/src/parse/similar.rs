//! "Did you mean …": the nearest name by edit distance.
//!
//! Used for keywords by the parser, and for columns, tables, functions and options wherever an unknown name is
//! reported.

/// A name is offered only if it can be reached with this many edits per started group of
/// [`CHARACTERS_PER_EDIT`] characters.
const CHARACTERS_PER_EDIT: usize = 3;

/// Longer names are not compared: a typing mistake is not the problem with them.
const NAME_LENGTH_MAX: usize = 128;

/// The candidate nearest to `name`, if one is near enough. A difference in case counts as half an edit, so a name that
/// differs only in case always wins. Ties go to the first candidate, so the result depends on the order of the
/// candidates.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.is_empty() || name.len() > NAME_LENGTH_MAX {
        return None;
    }
    let lower = name.to_lowercase();
    let allowed = lower.chars().count().div_ceil(CHARACTERS_PER_EDIT);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate == name || candidate.len() > NAME_LENGTH_MAX {
            continue;
        }
        let distance = edit_distance(&lower, &candidate.to_lowercase());
        let is_whole_word_changed = distance >= candidate.chars().count();
        if distance > allowed || is_whole_word_changed {
            continue;
        }
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Number of characters to insert, delete, change or swap with their neighbour to get from one text to the other.
pub fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_previous: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (row, from) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let change = previous[column] + usize::from(from != to);
            let mut least = change.min(previous[column + 1] + 1).min(current[column] + 1);
            let is_swap = row > 0 && column > 0 && *from == right[column - 1] && left[row - 1] == *to;
            if is_swap {
                least = least.min(before_previous[column - 1] + 1);
            }
            current.push(least);
        }
        before_previous = std::mem::replace(&mut previous, current);
    }
    previous.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("form", "from"), 1);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("same", "same"), 0);
    }

    #[test]
    fn offers_only_near_names() {
        let names = ["price", "prices", "customer", "id"];
        assert_eq!(nearest("prize", names), Some("price"));
        assert_eq!(nearest("PRICE", names), Some("price"));
        assert_eq!(nearest("costumer", names), Some("customer"));
        assert_eq!(nearest("quantity", names), None);
        assert_eq!(nearest("xy", ["ab"]), None);
        assert_eq!(nearest("", names), None);
    }
}
