use super::*;
use std::collections::BTreeMap;

fn expression(key: &str, operator: &str, values: &[&str]) -> StoredRequirement {
    let values = Some(values.iter().map(|value| (*value).to_owned()).collect()).filter(|v: &Vec<String>| !v.is_empty());
    StoredRequirement { key: key.to_owned(), operator: operator.to_owned(), values }
}

fn stored(labels: &[(&str, &str)], expressions: &[StoredRequirement]) -> StoredTerm {
    let labels: BTreeMap<String, String> = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    StoredTerm {
        match_labels: Some(labels).filter(|labels| !labels.is_empty()),
        match_expressions: Some(expressions.to_vec()).filter(|list| !list.is_empty()),
    }
}

fn matches(term: &StoredTerm, labels: &[(&str, &str)]) -> bool {
    NodeSelectorTerm::read(term).unwrap().matches(&labels.iter().copied().collect())
}

#[test]
fn each_operator_matches_as_in_kubernetes() {
    let term = |operator: &str, values: &[&str]| stored(&[], &[expression("tier", operator, values)]);
    let (db, web, none): (&[_], &[_], &[_]) = (&[("tier", "db")], &[("tier", "web")], &[("ng", "x")]);
    let of = |term: &StoredTerm| [db, web, none].map(|labels| matches(term, labels));
    assert_eq!(of(&term("In", &["db", "cache"])), [true, false, false]);
    // A node without the label matches NotIn.
    assert_eq!(of(&term("NotIn", &["db", "cache"])), [false, true, true]);
    assert_eq!(of(&term("Exists", &[])), [true, true, false]);
    assert_eq!(of(&term("DoesNotExist", &[])), [false, false, true]);
    // An empty value is a value.
    assert!(matches(&term("In", &[""]), &[("tier", "")]) && !matches(&term("In", &[""]), none));
}

#[test]
fn all_requirements_of_a_term_must_hold() {
    let term = stored(&[("ng", "x")], &[expression("tier", "In", &["db"]), expression("gpu", "DoesNotExist", &[])]);
    assert!(matches(&term, &[("ng", "x"), ("tier", "db")]));
    assert!(!matches(&term, &[("tier", "db")]), "matchLabels does not hold");
    assert!(!matches(&term, &[("ng", "x"), ("tier", "web")]));
    assert!(!matches(&term, &[("ng", "x"), ("tier", "db"), ("gpu", "")]));
    let read = NodeSelectorTerm::read(&term).unwrap();
    let more = NodeSelectorTerm::read(&stored(&[], &[expression("zone", "NotIn", &["b", "a"])])).unwrap();
    assert_eq!(text(&[read, more]), "ng=x,tier=db,!gpu or zone notin (a,b)");
}

#[test]
fn a_stored_term_that_the_schema_would_refuse_is_an_error() {
    let why = |term: &StoredTerm| NodeSelectorTerm::read(term).unwrap_err();
    let one = |key: &str, operator: &str, values: &[&str]| why(&stored(&[], &[expression(key, operator, values)]));
    assert!(why(&StoredTerm::default()).contains("would match every node"));
    assert!(one("a", "In", &[]).contains("needs at least one value"));
    assert!(one("a", "NotIn", &[]).contains("needs at least one value"));
    assert!(one("a", "Exists", &["x"]).contains("takes no values"));
    assert!(one("a", "DoesNotExist", &["x"]).contains("takes no values"));
    assert!(one("a", "Gt", &["1"]).contains("must be In, NotIn, Exists or DoesNotExist"));
    for key in
        ["", "/", "a/", "/a", "a b", "-a", "a-", "a/b/c", "A.com/b", &"a".repeat(64), &format!("{}/a", "p".repeat(317))]
    {
        assert!(one(key, "Exists", &[]).contains("is no label key"), "{key:?}");
    }
    for value in ["a b", "-a", "a.", "ä", &"a".repeat(64)] {
        assert!(one("a", "In", &[value]).contains("is no label value"), "{value:?}");
    }
    for key in ["a", "A", "example.com/Pool_1", "a.b-c.d/e.f", &"a".repeat(63)] {
        let term = stored(&[(key, "")], &[]);
        assert!(NodeSelectorTerm::read(&term).is_ok(), "{key:?}");
    }
}
