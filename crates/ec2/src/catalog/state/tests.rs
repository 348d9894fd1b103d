//! Tests of the data of the catalog.

use super::super::changes::names_changed;
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn subnet(id: &SubnetId, name: &str, as_of: Timestamp) -> ObservedSubnet {
    ObservedSubnet {
        id: id.clone(),
        zone: "eu-west-1a".into(),
        outpost: None,
        vpc: "vpc-1".into(),
        cidr: "10.0.0.0/24".into(),
        owner: String::new(),
        tags: [("Name", name)].into(),
        tags_since: Some(as_of),
        name: Some(name.into()),
        free_addresses: 200,
        grown: None,
        as_of,
    }
}

#[test]
fn a_missing_subnet_is_recorded_and_may_appear_later() {
    let (here, gone) = (SubnetId::parse("subnet-00000001").unwrap(), SubnetId::parse("subnet-00000002").unwrap());
    let mut state = CatalogState::default();
    let asked = BTreeSet::from([here.clone(), gone.clone()]);
    assert!(state.apply_subnets(at(0), &asked, vec![subnet(&here, "a", at(0))]));
    assert_eq!(state.catalog().missing_subnets, BTreeMap::from([(gone.clone(), at(0))]));
    // The same answer again changes nothing, and a missing subnet keeps the time of its first absence.
    assert!(!state.apply_subnets(at(120), &asked, vec![subnet(&here, "a", at(120))]));
    assert_eq!(state.catalog().missing_subnets.get(&gone), Some(&at(0)));
    assert!(state.apply_subnets(at(240), &asked, vec![subnet(&gone, "b", at(240))]));
    let catalog = state.catalog();
    assert!(catalog.subnets.contains_key(&gone) && catalog.missing_subnets.contains_key(&here));
}

/// The answer of another account shows no subnet of this one.
#[test]
fn a_name_of_a_subnet_that_ec2_does_not_know_now_is_looked_up_again() {
    let (a, b) = (SubnetId::parse("subnet-00000001").unwrap(), SubnetId::parse("subnet-00000002").unwrap());
    let (query, valid) = (CatalogQuery::SubnetName("storage".into()), SignedDuration::from_secs(120));
    let mut state = CatalogState::default();
    let both = vec![subnet(&a, "storage", at(0)), subnet(&b, "storage", at(0))];
    state.apply_subnet_names(at(0), &BTreeSet::from(["storage".to_owned()]), both);
    // An older answer changes nothing.
    assert!(!state.apply_subnets(at(0), &BTreeSet::from([b.clone()]), vec![]));
    assert!(!state.is_stale(&query, at(1), valid));
    assert!(state.apply_subnets(at(1), &BTreeSet::from([b]), vec![]));
    assert!(!state.catalog().subnets_named.contains_key("storage"), "the name would resolve to one subnet only");
    assert!(state.catalog().subnets.contains_key(&a) && state.is_stale(&query, at(1), valid));
}

#[test]
fn an_answer_is_stale_after_its_validity() {
    let mut state = CatalogState::default();
    let (query, valid) = (CatalogQuery::GroupName("web".into()), SignedDuration::from_secs(120));
    assert!(state.is_stale(&query, at(0), valid));
    state.apply_groups(at(0), &BTreeSet::from(["web".to_owned()]), vec![]);
    assert!(!state.is_stale(&query, at(119), valid));
    assert!(state.is_stale(&query, at(120), valid));
    assert_eq!(state.catalog().groups_named.get("web").map(|named| named.groups.len()), Some(0));
}

#[test]
fn tags_of_a_subnet_are_confirmed_by_an_equal_answer_three_minutes_later_whichever_lookup_it_is() {
    let id = SubnetId::parse("subnet-00000001").unwrap();
    let term = TagTerm::read(Some("a"), &BTreeMap::new()).unwrap();
    let mut state = CatalogState::default();
    let is_confirmed = |state: &CatalogState| state.catalog().subnets[&id].has_confirmed_tags(None);
    assert!(state.apply_tagged_subnets(at(0), &term, vec![subnet(&id, "a", at(0))]));
    assert!(!is_confirmed(&state));
    assert!(!state.apply_subnets(at(179), &BTreeSet::from([id.clone()]), vec![subnet(&id, "a", at(179))]));
    assert!(!is_confirmed(&state), "too early");
    assert!(!state.apply_subnets(at(180), &BTreeSet::from([id.clone()]), vec![subnet(&id, "a", at(180))]));
    assert!(is_confirmed(&state));
    // An answer without the subnet leaves the subnet as it was shown last.
    assert!(state.apply_tagged_subnets(at(182), &term, vec![]));
    assert!(is_confirmed(&state) && state.catalog().subnets_tagged[&term].is_empty());
    let before = state.catalog();
    assert!(state.apply_subnets(at(183), &BTreeSet::from([id.clone()]), vec![subnet(&id, "b", at(183))]));
    assert!(!is_confirmed(&state), "other tags");
    assert!(names_changed(&before, &state.catalog()), "users of terms decide again");
    assert!(!names_changed(&state.catalog(), &state.catalog()));
    // A tag that is moved is on neither subnet for a while, and then back: the time begins again.
    state.apply_tagged_subnets(at(184), &term, vec![subnet(&id, "a", at(184))]);
    state.apply_tagged_subnets(at(363), &term, vec![subnet(&id, "a", at(363))]);
    assert!(!is_confirmed(&state));
    state.apply_subnet_names(at(364), &BTreeSet::from(["a".to_owned()]), vec![subnet(&id, "a", at(364))]);
    assert!(is_confirmed(&state));
    // EC2 does not know the ID: the term is looked up again, and the time begins again.
    assert!(state.apply_subnets(at(365), &BTreeSet::from([id.clone()]), vec![]));
    assert!(state.catalog().subnets_tagged.is_empty());
    assert!(state.is_stale(&CatalogQuery::SubnetTags(term.clone()), at(365), SignedDuration::from_secs(120)));
    state.apply_tagged_subnets(at(366), &term, vec![subnet(&id, "a", at(366))]);
    assert!(!is_confirmed(&state));
}

#[test]
fn a_name_that_stands_for_another_group_is_certain_three_minutes_later() {
    let mut state = CatalogState::default();
    let group = |n: u32| SecurityGroupId::parse(&format!("sg-{n:08x}")).unwrap();
    let mut answer = |seconds: i64, n: u32| {
        let before = state.catalog();
        let found = vec![("web".to_owned(), "vpc-1".to_owned(), group(n))];
        state.apply_groups(at(seconds), &BTreeSet::from(["web".to_owned()]), found);
        (names_changed(&before, &state.catalog()), state.catalog().groups_named["web"].moved)
    };
    assert_eq!(answer(0, 1), (true, None));
    assert_eq!(answer(60, 2), (true, Some(at(60))));
    assert_eq!(answer(239, 2), (false, Some(at(60))));
    assert_eq!(answer(240, 2), (true, None), "users of the name decide again");
}

#[test]
fn tagged_groups_are_confirmed_by_an_equal_answer_three_minutes_later() {
    let term = TagTerm::read(None, &[("team".to_owned(), "net".to_owned())].into()).unwrap();
    let group = |n: u32| ("vpc-1".to_owned(), SecurityGroupId::parse(&format!("sg-{n:08x}")).unwrap());
    let mut state = CatalogState::default();
    let mut answer = |seconds: i64, ids: &[u32]| {
        let changed = state.apply_tagged_groups(at(seconds), &term, ids.iter().copied().map(group).collect());
        (changed, state.catalog().groups_tagged[&term].is_confirmed)
    };
    assert_eq!(answer(0, &[1, 2]), (true, false));
    assert_eq!(answer(1, &[1, 2]), (false, false), "a replica that lags may answer again");
    assert_eq!(answer(179, &[1, 2]), (false, false));
    assert_eq!(answer(180, &[1, 2]), (true, true));
    assert_eq!(answer(360, &[1, 2]), (false, true));
    assert_eq!(answer(361, &[1]), (true, false), "a partial answer");
    assert_eq!(answer(362, &[1]), (false, false), "and a second one");
    assert_eq!(answer(363, &[1, 2]), (true, false), "the time begins again");
    assert_eq!(answer(542, &[1, 2]), (false, false));
    assert_eq!(answer(543, &[1, 2]), (true, true));
    // The clock is set back: the answer counts from its own time.
    assert_eq!(answer(100, &[1, 2]), (true, false));
    assert_eq!(answer(280, &[1, 2]), (true, true));
}

#[test]
fn a_doubt_about_the_account_that_ends_leaves_nothing_confirmed_and_keeps_names_and_absences() {
    let (id, gone) = (SubnetId::parse("subnet-00000001").unwrap(), SubnetId::parse("subnet-00000002").unwrap());
    let term = TagTerm::read(Some("a"), &BTreeMap::new()).unwrap();
    let groups = BTreeSet::from([("vpc-1".to_owned(), SecurityGroupId::parse("sg-00000001").unwrap())]);
    let mut state = CatalogState::default();
    for time in [at(0), at(180)] {
        state.apply_tagged_groups(time, &term, groups.clone());
        state.apply_tagged_subnets(time, &term, vec![subnet(&id, "a", time)]);
    }
    state.apply_subnets(at(180), &BTreeSet::from([gone.clone()]), vec![]);
    state.apply_groups(at(180), &BTreeSet::from(["web".to_owned()]), vec![]);
    let catalog = state.catalog();
    assert!(catalog.groups_tagged[&term].is_confirmed && catalog.subnets[&id].has_confirmed_tags(None));
    state.forget_tags();
    let (catalog, valid) = (state.catalog(), SignedDuration::from_secs(120));
    assert!(catalog.groups_tagged.is_empty() && catalog.subnets_tagged.is_empty());
    assert!(!catalog.subnets[&id].has_confirmed_tags(None));
    for query in [CatalogQuery::GroupTags(term.clone()), CatalogQuery::SubnetTags(term.clone())] {
        assert!(state.is_stale(&query, at(181), valid), "{query:?}");
    }
    // Who uses no tags notices nothing.
    assert!(catalog.missing_subnets.contains_key(&gone) && catalog.groups_named.contains_key("web"));
    for query in [CatalogQuery::Subnet(gone), CatalogQuery::GroupName("web".to_owned())] {
        assert!(!state.is_stale(&query, at(181), valid), "{query:?}");
    }
    // The same answers again are the first ones.
    state.apply_tagged_groups(at(360), &term, groups.clone());
    state.apply_tagged_subnets(at(360), &term, vec![subnet(&id, "a", at(360))]);
    let catalog = state.catalog();
    assert!(!catalog.groups_tagged[&term].is_confirmed && !catalog.subnets[&id].has_confirmed_tags(None));
    state.apply_tagged_groups(at(540), &term, groups);
    assert!(state.catalog().groups_tagged[&term].is_confirmed);
    state.forget_absences();
    let catalog = state.catalog();
    assert!(catalog.groups_tagged.is_empty() && catalog.groups_named.is_empty());
    assert!(catalog.missing_subnets.is_empty());
    assert!(state.is_stale(&CatalogQuery::GroupTags(term), at(541), valid));
}

#[test]
fn a_failure_is_a_change_once_and_success_clears_it() {
    let mut state = CatalogState::default();
    let lookup = CatalogLookup::SubnetsById;
    let no = |id: &str| CallError::Answered { code: "InternalError".into(), message: format!("no ({id})") };
    assert!(state.apply_outcome(lookup, Some(&no("1")), at(0)));
    assert!(!state.apply_outcome(lookup, Some(&no("2")), at(60)), "the same, in other words");
    assert_eq!(state.catalog().failure(&[lookup]).unwrap().since, at(0));
    assert_eq!(state.catalog().failure(&[CatalogLookup::SubnetsByName]), None);
    assert!(state.apply_outcome(lookup, None, at(90)));
    assert_eq!(state.catalog().failure(&[lookup]), None);
}
