//! The operators of conditions.

use super::wildcard::{matches, matches_arn};

/// An operator that is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// The key has one of these values.
    StringEquals,
    /// The key has none of these values.
    StringNotEquals,
    /// The key has a value that matches one of these patterns.
    StringLike,
    /// The key has an ARN that matches one of these patterns, part by part.
    ArnLike,
    /// `true`: the request does not have the key. `false`: it has the key.
    Null,
}

/// Whether an operator takes a key with one value, or each value of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// The key has one value.
    One,
    /// `ForAllValues:`. An absent key passes.
    All,
    /// `ForAnyValue:`. An absent key does not pass.
    Any,
}

/// The operator of this name. None for one that is not evaluated.
pub(super) fn parse(name: &str) -> Option<(Of, Operator)> {
    let (of, base) = match name.split_once(':') {
        None => (Of::One, name),
        Some(("ForAllValues", base)) => (Of::All, base),
        Some(("ForAnyValue", base)) => (Of::Any, base),
        Some(_) => return None,
    };
    let operator = match base {
        "StringEquals" => Operator::StringEquals,
        "StringNotEquals" => Operator::StringNotEquals,
        "StringLike" => Operator::StringLike,
        "ArnLike" => Operator::ArnLike,
        "Null" => Operator::Null,
        _ => return None,
    };
    (of == Of::One || operator != Operator::Null).then_some((of, operator))
}

/// Whether the condition holds. `expected`: the values in the policy. `found`: those of the request.
pub(super) fn holds((of, operator): (Of, Operator), expected: &[String], found: &[String]) -> bool {
    let is_one = |test: fn(&str, &str) -> bool, value: &str| expected.iter().any(|pattern| test(pattern, value));
    let passes = |value: &String| match operator {
        Operator::StringEquals => is_one(|pattern, value| pattern == value, value),
        Operator::StringNotEquals => !is_one(|pattern, value| pattern == value, value),
        Operator::StringLike => is_one(matches, value),
        Operator::ArnLike => is_one(matches_arn, value),
        Operator::Null => false,
    };
    match (operator, of) {
        (Operator::Null, _) => expected.iter().all(|absent| (absent == "true") == found.is_empty()),
        // A negated operator passes if the key is absent.
        (Operator::StringNotEquals, Of::One) => found.iter().all(passes),
        // An array without a set operator has no defined meaning: it does not pass.
        (_, Of::One) => matches!(found, [value] if passes(value)),
        (_, Of::All) => found.iter().all(passes),
        (_, Of::Any) => found.iter().any(passes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(name: &str, expected: &[&str], found: &[&str]) -> bool {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        holds(parse(name).unwrap(), &owned(expected), &owned(found))
    }

    #[test]
    fn an_absent_key_passes_only_null_and_what_is_negated_or_for_all() {
        for (name, value) in [("Null", "true"), ("StringNotEquals", "a"), ("ForAllValues:StringEquals", "a")] {
            assert!(test(name, &[value], &[]), "{name}");
        }
        for (name, value) in
            [("Null", "false"), ("StringEquals", "a"), ("StringLike", "*"), ("ForAnyValue:StringLike", "*")]
        {
            assert!(!test(name, &[value], &[]), "{name}");
        }
    }

    #[test]
    fn values_are_compared() {
        assert!(test("StringEquals", &["a", "b"], &["b"]) && !test("StringEquals", &["a"], &["A"]));
        assert!(test("StringLike", &["a*"], &["abc"]) && !test("StringEquals", &["a*"], &["abc"]));
        assert!(test("Null", &["false"], &["x"]) && !test("Null", &["true"], &["x"]));
        assert!(!test("ForAllValues:StringNotEquals", &["b"], &["a", "b"]));
        assert!(test("ForAllValues:StringNotEquals", &["b"], &["a", "c"]));
        assert!(test("ForAnyValue:StringEquals", &["b"], &["a", "b"]) && !test("StringEquals", &["a"], &["a", "b"]));
        assert!(test("ArnLike", &["arn:aws:ec2:*:*:vpc/vpc-1"], &["arn:aws:ec2:eu-central-1:1:vpc/vpc-1"]));
        assert_eq!((parse("NumericLessThan"), parse("ForSomeValues:StringLike")), (None, None));
        assert_eq!((parse("StringEqualsIfExists"), parse("ForAllValues:Null")), (None, None));
    }
}
