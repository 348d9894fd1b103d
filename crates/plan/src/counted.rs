//! Counts in sentences: the number with its noun, and the verb that agrees with it. Every message for people that counts things uses
//! these functions. So does every message that names some of many things.

/// The number and the noun: `1 node`, `2 nodes`, `0 nodes`.
pub fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A part of a number of things: `1 of 10 ENIs`, `0 of 1 ENIs`, `1 of 1 ENI`. The verb after it agrees with the part.
pub fn part_of(part: usize, all: usize, noun: &str) -> String {
    if (part, all) == (1, 1) { format!("1 of 1 {noun}") } else { format!("{part} of {all} {noun}s") }
}

/// The verb after [`counted`] or [`part_of`]: `is` or `are`.
pub fn is_or_are(number: usize) -> &'static str {
    verb(number, "is", "are")
}

/// The verb after [`counted`] or [`part_of`]: the form for one, or the form for several.
pub fn verb(number: usize, one: &'static str, several: &'static str) -> &'static str {
    if number == 1 { one } else { several }
}

/// Number of names that a sentence has.
const NAMED: usize = 3;

/// The first names, and how many others there are: `a, b, c and 2 others`.
pub fn first_of(names: &[&str]) -> String {
    let first = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        others => format!("{first} and {}", counted(others, "other")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_none_is_plural() {
        let say = |n: usize| format!("{} {}", counted(n, "node"), is_or_are(n));
        assert_eq!([say(0), say(1), say(2)], ["0 nodes are", "1 node is", "2 nodes are"]);
        assert_eq!((verb(1, "waits", "wait"), verb(3, "waits", "wait")), ("waits", "wait"));
    }

    #[test]
    fn the_verb_agrees_with_the_part() {
        let say = |part: usize, all: usize| format!("{} {}", part_of(part, all, "ENI"), is_or_are(part));
        assert_eq!([say(1, 10), say(2, 10), say(0, 10)], ["1 of 10 ENIs is", "2 of 10 ENIs are", "0 of 10 ENIs are"]);
        assert_eq!([say(0, 1), say(1, 1), say(0, 0)], ["0 of 1 ENIs are", "1 of 1 ENI is", "0 of 0 ENIs are"]);
    }

    #[test]
    fn many_names_are_cut() {
        assert_eq!(first_of(&["a", "b", "c"]), "a, b, c");
        assert_eq!(first_of(&["a", "b", "c", "d", "e"]), "a, b, c and 2 others");
    }
}
