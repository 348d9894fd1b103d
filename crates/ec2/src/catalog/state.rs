//! The data of the catalog, and how answers to lookups change it: subnets, security groups and instance types. Synchronous; it
//! never calls EC2.

use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{SecurityGroupId, SubnetId};
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::ec2_terms::TagTerm;
use multi_eni_plan::lookup_failure::LookupFailure;
use multi_eni_plan::observed::{CatalogLookup, Ec2Catalog, InstanceLimits, ObservedSubnet, TaggedGroups};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long EC2 must have shown the same groups for a term, or the same tags of a subnet, before an ENI may lose a group or its
/// subnet for it. A replica of EC2 may lag for seconds, and a tag that is moved may be on nothing for a while. Credentials of
/// another account raise a doubt at the next resync, which is a minute later, and what they showed is forgotten. The names in use
/// are looked up every three to four minutes, so the second or third such lookup confirms; none is sent for this.
const CONFIRMED_AFTER: SignedDuration = SignedDuration::from_mins(3);

/// A lookup whose answer becomes stale.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CatalogQuery {
    Subnet(SubnetId),
    SubnetName(String),
    GroupName(String),
    GroupTags(TagTerm),
    SubnetTags(TagTerm),
}

/// The known facts, when each lookup was last answered, and since when EC2 has shown the same.
#[derive(Debug, Default)]
pub(crate) struct CatalogState {
    catalog: Arc<Ec2Catalog>,
    answered: BTreeMap<CatalogQuery, Timestamp>,
    /// Start of the first Describe that showed the groups that each term has now, without other groups since.
    groups_since: BTreeMap<TagTerm, Timestamp>,
    /// Start of the first Describe that showed the tags that each subnet has now, without other tags since.
    tags_since: BTreeMap<SubnetId, Timestamp>,
}

impl CatalogState {
    /// The current facts.
    pub fn catalog(&self) -> Arc<Ec2Catalog> {
        self.catalog.clone()
    }

    /// Whether this lookup was never answered, or its last answer is at least `valid` old.
    pub fn is_stale(&self, query: &CatalogQuery, now: Timestamp, valid: SignedDuration) -> bool {
        self.answered.get(query).is_none_or(|at| now.duration_since(*at) >= valid)
    }

    /// Drops absences and resolved names, and makes all answers stale: the next request of each lookup is sent.
    pub fn forget_absences(&mut self) {
        let catalog = Arc::make_mut(&mut self.catalog);
        catalog.missing_subnets.clear();
        catalog.subnets_named.clear();
        catalog.groups_named.clear();
        catalog.instance_types.retain(|_, limits| limits.is_some());
        self.forget_tags();
        self.answered.clear();
    }

    /// Drops the answers to the tags of terms. No groups and no tags are confirmed then.
    pub fn forget_tags(&mut self) {
        let catalog = Arc::make_mut(&mut self.catalog);
        catalog.subnets_tagged.clear();
        catalog.groups_tagged.clear();
        catalog.subnets.values_mut().for_each(|subnet| subnet.tags_confirmed = false);
        self.groups_since.clear();
        self.tags_since.clear();
        self.answered.retain(|query, _| !matches!(query, CatalogQuery::GroupTags(_) | CatalogQuery::SubnetTags(_)));
    }

    /// Notes since when EC2 has shown the tags of these subnets, and whether that confirms them. To be called before the subnets
    /// are added to the catalog.
    fn confirm_tags(&mut self, found: &mut [ObservedSubnet]) {
        for subnet in found {
            let shows_same = self.catalog.subnets.get(&subnet.id).is_some_and(|known| known.tags == subnet.tags);
            let since = self.tags_since.get(&subnet.id).filter(|_| shows_same);
            let since = since.map_or(subnet.as_of, |since| subnet.as_of.min(*since));
            subnet.tags_confirmed = subnet.as_of.duration_since(since) >= CONFIRMED_AFTER;
            self.tags_since.insert(subnet.id.clone(), since);
        }
    }

    /// Applies a lookup of subnets by ID that began at `at`. Returns whether the facts changed.
    pub fn apply_subnets(&mut self, at: Timestamp, asked: &BTreeSet<SubnetId>, mut found: Vec<ObservedSubnet>) -> bool {
        self.confirm_tags(&mut found);
        self.apply(|catalog, answered| {
            add_subnets(catalog, found);
            for id in asked {
                answered.insert(CatalogQuery::Subnet(id.clone()), at);
                if catalog.subnets.get(id).is_none_or(|subnet| subnet.as_of < at) {
                    catalog.subnets.remove(id);
                    catalog.missing_subnets.entry(id.clone()).or_insert(at);
                    forget_names_of(catalog, answered, id);
                }
            }
        })
    }

    /// Applies a lookup of subnets by tag Name that began at `at`. Returns whether the facts changed.
    pub fn apply_subnet_names(
        &mut self,
        at: Timestamp,
        asked: &BTreeSet<String>,
        mut found: Vec<ObservedSubnet>,
    ) -> bool {
        self.confirm_tags(&mut found);
        self.apply(|catalog, answered| {
            for name in asked {
                let ids = found.iter().filter(|subnet| subnet.name.as_ref() == Some(name)).map(|s| s.id.clone());
                let ids: BTreeSet<SubnetId> = ids.collect();
                if catalog.subnets_named.insert(name.clone(), ids.clone()) != Some(ids) {
                    catalog.subnets_named_since.insert(name.clone(), at);
                }
                answered.insert(CatalogQuery::SubnetName(name.clone()), at);
            }
            add_subnets(catalog, found);
        })
    }

    /// Applies a lookup of subnets by the tags of a term that began at `at`. Returns whether the facts changed.
    pub fn apply_tagged_subnets(&mut self, at: Timestamp, term: &TagTerm, mut found: Vec<ObservedSubnet>) -> bool {
        self.confirm_tags(&mut found);
        self.apply(|catalog, answered| {
            let ids = found.iter().map(|subnet| subnet.id.clone()).collect();
            catalog.subnets_tagged.insert(term.clone(), ids);
            answered.insert(CatalogQuery::SubnetTags(term.clone()), at);
            add_subnets(catalog, found);
        })
    }

    /// Applies a lookup of groups by name that began at `at`; `found` is (name, VPC, ID). Returns whether the facts changed.
    pub fn apply_groups(
        &mut self,
        at: Timestamp,
        asked: &BTreeSet<String>,
        found: Vec<(String, String, SecurityGroupId)>,
    ) -> bool {
        self.apply(|catalog, answered| {
            for name in asked {
                let groups = found.iter().filter(|(n, _, _)| n == name).map(|(_, vpc, id)| (vpc.clone(), id.clone()));
                catalog.groups_named.insert(name.clone(), groups.collect());
                answered.insert(CatalogQuery::GroupName(name.clone()), at);
            }
        })
    }

    /// Applies a lookup of groups by the tags of a term that began at `at`; `found` is (VPC, ID). Returns whether the facts
    /// changed. The groups are confirmed by an answer that shows what EC2 has shown for [`CONFIRMED_AFTER`].
    pub fn apply_tagged_groups(
        &mut self,
        at: Timestamp,
        term: &TagTerm,
        groups: BTreeSet<(String, SecurityGroupId)>,
    ) -> bool {
        let shows_same = self.catalog.groups_tagged.get(term).is_some_and(|known| known.groups == groups);
        let since = self.groups_since.get(term).filter(|_| shows_same).map_or(at, |since| at.min(*since));
        self.groups_since.insert(term.clone(), since);
        let is_confirmed = at.duration_since(since) >= CONFIRMED_AFTER;
        self.apply(|catalog, answered| {
            catalog.groups_tagged.insert(term.clone(), TaggedGroups { groups, is_confirmed });
            answered.insert(CatalogQuery::GroupTags(term.clone()), at);
        })
    }

    /// Applies a lookup of instance types: those not found are unknown to EC2. Returns whether the facts changed.
    pub fn apply_types(&mut self, asked: &BTreeSet<String>, found: Vec<(String, InstanceLimits)>) -> bool {
        self.apply(|catalog, _| {
            let mut found: BTreeMap<String, InstanceLimits> = found.into_iter().collect();
            for kind in asked {
                catalog.instance_types.insert(kind.clone(), found.remove(kind));
            }
        })
    }

    /// Records whether a lookup succeeded or failed. Returns whether the facts changed.
    pub fn apply_outcome(&mut self, lookup: CatalogLookup, error: Option<&CallError>, now: Timestamp) -> bool {
        self.apply(|catalog, _| match error {
            Some(error) => {
                let failure = LookupFailure::next(catalog.failures.get(&lookup), lookup.action(), error, now);
                catalog.failures.insert(lookup, failure);
            }
            None => drop(catalog.failures.remove(&lookup)),
        })
    }

    /// Changes the facts. Returns whether anything but the times of the lookups changed.
    fn apply(&mut self, change: impl FnOnce(&mut Ec2Catalog, &mut BTreeMap<CatalogQuery, Timestamp>)) -> bool {
        let before = self.catalog.clone();
        change(Arc::make_mut(&mut self.catalog), &mut self.answered);
        timeless(&before) != timeless(&self.catalog)
    }
}

fn add_subnets(catalog: &mut Ec2Catalog, found: Vec<ObservedSubnet>) {
    for mut subnet in found {
        let known = catalog.subnets.get(&subnet.id);
        let more = known.is_some_and(|known| known.free_addresses < subnet.free_addresses);
        subnet.grown = if more { Some(subnet.as_of) } else { known.and_then(|known| known.grown) };
        catalog.missing_subnets.remove(&subnet.id);
        catalog.subnets.insert(subnet.id.clone(), subnet);
    }
}

/// Drops the names that stand for a subnet that EC2 does not know now, so that they are looked up again. With the name and without
/// the subnet, the NodeENI would seem to have left the subnet off its list, and the ENIs there would be removed.
fn forget_names_of(catalog: &mut Ec2Catalog, answered: &mut BTreeMap<CatalogQuery, Timestamp>, subnet: &SubnetId) {
    catalog.subnets_named.retain(|name, ids| {
        let stands = !ids.contains(subnet);
        if !stands {
            answered.remove(&CatalogQuery::SubnetName(name.clone()));
        }
        stands
    });
    catalog.subnets_tagged.retain(|term, ids| {
        let stands = !ids.contains(subnet);
        if !stands {
            answered.remove(&CatalogQuery::SubnetTags(term.clone()));
        }
        stands
    });
}

/// Whether the resolution of any name or the set of missing subnets changed. Logs each name that resolves differently.
pub(super) fn names_changed(before: &Ec2Catalog, now: &Ec2Catalog) -> bool {
    for (name, ids) in &now.groups_named {
        if let Some(old) = before.groups_named.get(name).filter(|old| *old != ids) {
            tracing::info!(name, ?old, new = ?ids, "security group name resolves to other groups");
        }
    }
    for (name, ids) in &now.subnets_named {
        if let Some(old) = before.subnets_named.get(name).filter(|old| *old != ids) {
            tracing::info!(name, ?old, new = ?ids, "subnet name resolves to other subnets");
        }
    }
    for (term, groups) in &now.groups_tagged {
        if let Some(old) = before.groups_tagged.get(term).filter(|old| old.groups != groups.groups) {
            tracing::info!(%term, old = ?old.groups, new = ?groups.groups, "security group tags select other groups");
        }
    }
    for (term, ids) in &now.subnets_tagged {
        if let Some(old) = before.subnets_tagged.get(term).filter(|old| *old != ids) {
            tracing::info!(%term, ?old, new = ?ids, "subnet tags select other subnets");
        }
    }
    // A term may select a subnet by its tags no longer.
    let is_retagged = now.subnets.iter().any(|(id, subnet)| {
        let known = before.subnets.get(id);
        known.is_some_and(|known| known.tags != subnet.tags)
    });
    let gone = |catalog: &Ec2Catalog| catalog.missing_subnets.keys().cloned().collect::<Vec<_>>();
    let is_tagged_alike = before.groups_tagged == now.groups_tagged && before.subnets_tagged == now.subnets_tagged;
    !is_tagged_alike
        || is_retagged
        || before.groups_named != now.groups_named
        || before.subnets_named != now.subnets_named
        || gone(before) != gone(now)
}

fn timeless(catalog: &Ec2Catalog) -> Ec2Catalog {
    let mut catalog = catalog.clone();
    for subnet in catalog.subnets.values_mut() {
        subnet.as_of = Timestamp::UNIX_EPOCH;
        subnet.tags_confirmed = false;
    }
    catalog
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }

    fn subnet(id: &SubnetId, name: &str, as_of: Timestamp) -> ObservedSubnet {
        ObservedSubnet {
            id: id.clone(),
            zone: "eu-west-1a".into(),
            vpc: "vpc-1".into(),
            cidr: "10.0.0.0/24".into(),
            owner: String::new(),
            tags: [("Name", name)].into(),
            tags_confirmed: false,
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
        assert_eq!(state.catalog().groups_named.get("web"), Some(&BTreeSet::new()));
    }

    #[test]
    fn tags_of_a_subnet_are_confirmed_by_an_equal_answer_three_minutes_later_whichever_lookup_it_is() {
        let id = SubnetId::parse("subnet-00000001").unwrap();
        let term = TagTerm::read(Some("a"), &BTreeMap::new()).unwrap();
        let mut state = CatalogState::default();
        let is_confirmed = |state: &CatalogState| state.catalog().subnets[&id].tags_confirmed;
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
        assert!(catalog.groups_tagged[&term].is_confirmed && catalog.subnets[&id].tags_confirmed);
        state.forget_tags();
        let (catalog, valid) = (state.catalog(), SignedDuration::from_secs(120));
        assert!(catalog.groups_tagged.is_empty() && catalog.subnets_tagged.is_empty());
        assert!(!catalog.subnets[&id].tags_confirmed);
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
        assert!(!catalog.groups_tagged[&term].is_confirmed && !catalog.subnets[&id].tags_confirmed);
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
}
