//! A number with its noun, in the singular or the plural.

/// `1 ENI`, `2 ENIs`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
