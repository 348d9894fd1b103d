use super::*;
use crate::assign::tests::at;

fn origin(owner: Option<&str>, region: Option<&str>) -> Origin {
    Origin { owner: owner.map(str::to_owned), region: region.map(str::to_owned) }
}

/// A cluster at home: three ENIs of account 1 in us-east-1, all shown.
fn home() -> Evidence {
    Evidence {
        region: Some("us-east-1".into()),
        recorded: vec![origin(Some("1"), Some("us-east-1")); 3],
        attachments: 3,
        zones: ["us-east-1a".to_owned(), "us-east-1b".to_owned()].into(),
        resynced: true,
        shown: [("1".to_owned(), 3)].into(),
        instances: vec![None],
        subnets: vec![SubnetWord::Unasked],
        doubted: None,
    }
}

/// With every answer in: EC2 knows the instance, or none of it.
fn answered(known: bool) -> Evidence {
    let state = if known { InstanceState::Running } else { InstanceState::Missing };
    Evidence {
        instances: vec![Some(InstanceObservation::first(state, at(50)))],
        subnets: vec![SubnetWord::Missing],
        ..home()
    }
}

fn shown(owner: &str) -> SubnetWord {
    SubnetWord::Shown { owner: owner.into(), as_of: at(50) }
}

fn is_elsewhere(evidence: &Evidence) -> bool {
    matches!(judge(evidence), Place::Elsewhere(_))
}

#[test]
fn regions_of_zones() {
    for (zone, region) in [
        ("us-east-1a", Some("us-east-1")),
        ("us-gov-west-1b", Some("us-gov-west-1")),
        ("us-iso-east-1a", Some("us-iso-east-1")),
        ("ap-southeast-2c", Some("ap-southeast-2")),
        ("us-west-2-lax-1a", Some("us-west-2")),
        ("us-east-1-wl1-bos-wlz-1", Some("us-east-1")),
        ("use1-az4", None),
        ("z1", None),
        ("rack-7", None),
        ("", None),
    ] {
        assert_eq!(region_of(zone).as_deref(), region, "{zone}");
    }
}

#[test]
fn at_home_and_before_anything_was_made() {
    assert_eq!(judge(&home()), Place::Proven);
    let nothing = Evidence { recorded: vec![], attachments: 0, shown: BTreeMap::new(), resynced: false, ..home() };
    assert_eq!(judge(&nothing), Place::Proven);
    assert_eq!(judge(&Evidence { resynced: false, ..home() }), Place::Unproven(Missing::Resync));
    // A status of an earlier version says no place.
    assert_eq!(judge(&Evidence { recorded: vec![origin(None, None)], ..home() }), Place::Proven);
}

#[test]
fn another_region_is_known_before_the_first_look() {
    let away = |evidence: Evidence| Evidence { region: Some("eu-west-1".into()), resynced: false, ..evidence };
    assert!(is_elsewhere(&away(home())));
    // With no Node; from statuses without the fields; with nothing made yet.
    assert!(is_elsewhere(&away(Evidence { zones: BTreeSet::new(), ..home() })));
    assert!(is_elsewhere(&away(Evidence { recorded: vec![origin(None, None)], ..home() })));
    assert!(is_elsewhere(&away(Evidence { recorded: vec![], ..home() })));
    // A zone of an unusual name tells nothing.
    let odd = Evidence { recorded: vec![], attachments: 0, zones: ["rack-7".to_owned()].into(), ..home() };
    assert_eq!(judge(&away(odd)), Place::Proven);
}

/// An earlier process has sent a Create, and its answer was lost: no status names the ENI.
#[test]
fn an_eniattachment_whose_eni_no_status_names_yet_is_something_that_ec2_could_show() {
    let unnamed = |from| Evidence { recorded: vec![], attachments: 1, shown: BTreeMap::new(), ..from };
    assert_eq!(judge(&Evidence { resynced: false, ..unnamed(home()) }), Place::Unproven(Missing::Resync));
    assert_eq!(judge(&unnamed(home())), Place::Unproven(Missing::Answers));
    assert_eq!(judge(&unnamed(answered(true))), Place::Proven);
    let Place::Elsewhere(why) = judge(&unnamed(answered(false))) else { panic!("it is elsewhere") };
    let words =
        "EC2 in Region us-east-1 shows none of this cluster's instances and none of its subnets: check the account";
    assert!(why.to_string().starts_with(words), "{why}");
}

#[test]
fn another_account_shows_nothing() {
    let empty = |from| Evidence { shown: BTreeMap::new(), ..from };
    assert_eq!(judge(&empty(home())), Place::Unproven(Missing::Answers));
    assert!(is_elsewhere(&empty(answered(false))));
    assert!(is_elsewhere(&Evidence {
        recorded: vec![origin(None, None)],
        zones: BTreeSet::new(),
        ..empty(answered(false))
    }));
    // At home somebody has deleted all of them: the instances and subnets are there.
    assert_eq!(judge(&empty(answered(true))), Place::Proven);
    assert_eq!(judge(&Evidence { subnets: vec![shown("1")], ..empty(home()) }), Place::Proven);
    assert!(is_elsewhere(&Evidence { shown: [("2".to_owned(), 1)].into(), ..home() }));
}

/// AWS RAM shows one subnet to many accounts.
#[test]
fn a_shared_subnet_proves_the_region_and_no_account() {
    let shared = |from| Evidence { shown: BTreeMap::new(), subnets: vec![shown("9")], ..from };
    assert_eq!(judge(&shared(home())), Place::Unproven(Missing::Answers));
    assert_eq!(judge(&shared(answered(true))), Place::Proven);
    let Place::Elsewhere(why) = judge(&shared(answered(false))) else { panic!("it is elsewhere") };
    let words = "none of the 3 ENIs of this cluster, none of its instances, only subnets that another account shares";
    assert!(why.to_string().contains(words), "{why}");
    // A status of an earlier version names no account.
    assert_eq!(judge(&Evidence { recorded: vec![origin(None, None)], ..shared(answered(false)) }), Place::Proven);
}

/// A role is swapped under a running process.
#[test]
fn what_was_seen_before_the_doubt_says_nothing() {
    let in_doubt = |resynced, named| is_in_doubt(resynced, || named, None, at(60));
    assert!(in_doubt(0, 1) && !in_doubt(1, 1) && !in_doubt(0, 0));
    assert!(!is_in_doubt(0, || 1, Some(at(60)), at(359)) && is_in_doubt(0, || 1, Some(at(60)), at(360)));
    let doubted = |since, from| Evidence { shown: BTreeMap::new(), doubted: Some(at(since)), ..from };
    assert_eq!(judge(&doubted(60, answered(true))), Place::Unproven(Missing::Answers));
    assert_eq!(judge(&doubted(50, answered(true))), Place::Proven);
    assert!(is_elsewhere(&doubted(50, answered(false))));
    let old = Evidence { subnets: vec![shown("1")], ..answered(false) };
    assert_eq!(judge(&doubted(60, old)), Place::Unproven(Missing::Answers));
    // An instance that has gone was one of this account.
    let gone = vec![Some(InstanceObservation::first(InstanceState::Terminated, at(60)))];
    assert_eq!(judge(&doubted(60, Evidence { instances: gone, ..home() })), Place::Proven);
}
