//! Subnets and security groups: asked for by ID or name, remembered, refreshed when asked for again.

use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{SecurityGroupId, SubnetId};
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::lookup_failure::LookupFailure;
use multi_eni_plan::observed::{CatalogLookup, Ec2Catalog, InstanceLimits, ObservedSubnet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CatalogQuery {
    Subnet(SubnetId),
    SubnetName(String),
    GroupName(String),
}

/// What is known, and since when.
#[derive(Debug, Default)]
pub(crate) struct CatalogState {
    facts: Arc<Ec2Catalog>,
    answered: BTreeMap<CatalogQuery, Timestamp>,
}

impl CatalogState {
    /// The facts as they are now.
    pub fn facts(&self) -> Arc<Ec2Catalog> {
        self.facts.clone()
    }

    /// Whether this was never answered, or at least `valid` ago.
    pub fn is_stale(&self, question: &CatalogQuery, now: Timestamp, valid: SignedDuration) -> bool {
        self.answered.get(question).is_none_or(|at| now.duration_since(*at) >= valid)
    }

    /// Forgets what looks have not shown, and what names stand for. All of it is asked again by whoever needs it.
    pub fn forget_absences(&mut self) {
        let facts = Arc::make_mut(&mut self.facts);
        facts.missing_subnets.clear();
        facts.subnets_named.clear();
        facts.groups_named.clear();
        facts.instance_types.retain(|_, limits| limits.is_some());
        self.answered.clear();
    }

    /// Subnets asked for by ID.
    pub fn apply_subnets(&mut self, at: Timestamp, asked: &BTreeSet<SubnetId>, found: Vec<ObservedSubnet>) -> bool {
        self.apply(|facts, answered| {
            add_subnets(facts, found);
            for id in asked {
                answered.insert(CatalogQuery::Subnet(id.clone()), at);
                if facts.subnets.get(id).is_none_or(|subnet| subnet.as_of < at) {
                    facts.subnets.remove(id);
                    facts.missing_subnets.entry(id.clone()).or_insert(at);
                }
            }
        })
    }

    /// Subnets asked for by tag Name.
    pub fn apply_subnet_names(&mut self, at: Timestamp, asked: &BTreeSet<String>, found: Vec<ObservedSubnet>) -> bool {
        self.apply(|facts, answered| {
            for name in asked {
                let ids = found.iter().filter(|subnet| subnet.name.as_ref() == Some(name)).map(|s| s.id.clone());
                let ids: BTreeSet<SubnetId> = ids.collect();
                if facts.subnets_named.insert(name.clone(), ids.clone()) != Some(ids) {
                    facts.subnets_named_since.insert(name.clone(), at);
                }
                answered.insert(CatalogQuery::SubnetName(name.clone()), at);
            }
            add_subnets(facts, found);
        })
    }

    /// Groups asked for by name: (name, VPC, ID).
    pub fn apply_groups(
        &mut self,
        at: Timestamp,
        asked: &BTreeSet<String>,
        found: Vec<(String, String, SecurityGroupId)>,
    ) -> bool {
        self.apply(|facts, answered| {
            for name in asked {
                let groups = found.iter().filter(|(n, _, _)| n == name).map(|(_, vpc, id)| (vpc.clone(), id.clone()));
                facts.groups_named.insert(name.clone(), groups.collect());
                answered.insert(CatalogQuery::GroupName(name.clone()), at);
            }
        })
    }

    /// Instance types asked for.
    pub fn apply_types(&mut self, asked: &BTreeSet<String>, found: Vec<(String, InstanceLimits)>) -> bool {
        self.apply(|facts, _| {
            let mut found: BTreeMap<String, InstanceLimits> = found.into_iter().collect();
            for kind in asked {
                facts.instance_types.insert(kind.clone(), found.remove(kind));
            }
        })
    }

    /// Notes how a look ended. True if that is news.
    pub fn apply_outcome(&mut self, lookup: CatalogLookup, error: Option<&CallError>, now: Timestamp) -> bool {
        self.apply(|facts, _| match error {
            Some(error) => {
                let failure = LookupFailure::next(facts.failures.get(&lookup), lookup.action(), error, now);
                facts.failures.insert(lookup, failure);
            }
            None => drop(facts.failures.remove(&lookup)),
        })
    }

    /// True if anything but the time of the look has changed.
    fn apply(&mut self, change: impl FnOnce(&mut Ec2Catalog, &mut BTreeMap<CatalogQuery, Timestamp>)) -> bool {
        let before = self.facts.clone();
        change(Arc::make_mut(&mut self.facts), &mut self.answered);
        timeless(&before) != timeless(&self.facts)
    }
}

fn add_subnets(facts: &mut Ec2Catalog, found: Vec<ObservedSubnet>) {
    for mut subnet in found {
        let known = facts.subnets.get(&subnet.id);
        let more = known.is_some_and(|known| known.free_addresses < subnet.free_addresses);
        subnet.grown = if more { Some(subnet.as_of) } else { known.and_then(|known| known.grown) };
        facts.missing_subnets.remove(&subnet.id);
        facts.subnets.insert(subnet.id.clone(), subnet);
    }
}

/// Whether a name stands for something else than before, or a subnet has come or gone. Says it in the log.
pub(super) fn tell_names(before: &Ec2Catalog, now: &Ec2Catalog) -> bool {
    for (name, ids) in &now.groups_named {
        if let Some(old) = before.groups_named.get(name).filter(|old| *old != ids) {
            tracing::info!(name, ?old, new = ?ids, "security group name stands for something else");
        }
    }
    for (name, ids) in &now.subnets_named {
        if let Some(old) = before.subnets_named.get(name).filter(|old| *old != ids) {
            tracing::info!(name, ?old, new = ?ids, "subnet name stands for something else");
        }
    }
    let gone = |catalog: &Ec2Catalog| catalog.missing_subnets.keys().cloned().collect::<Vec<_>>();
    before.groups_named != now.groups_named || before.subnets_named != now.subnets_named || gone(before) != gone(now)
}

fn timeless(catalog: &Ec2Catalog) -> Ec2Catalog {
    let mut catalog = catalog.clone();
    for subnet in catalog.subnets.values_mut() {
        subnet.as_of = Timestamp::UNIX_EPOCH;
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
            name: Some(name.into()),
            free_addresses: 200,
            grown: None,
            as_of,
        }
    }

    #[test]
    fn missing_is_knowledge_and_may_turn_up_later() {
        let (here, gone) = (SubnetId::parse("subnet-00000001").unwrap(), SubnetId::parse("subnet-00000002").unwrap());
        let mut state = CatalogState::default();
        let asked = BTreeSet::from([here.clone(), gone.clone()]);
        assert!(state.apply_subnets(at(0), &asked, vec![subnet(&here, "a", at(0))]));
        assert_eq!(state.facts().missing_subnets, BTreeMap::from([(gone.clone(), at(0))]));
        // The same again is no news, and missing keeps its first time.
        assert!(!state.apply_subnets(at(120), &asked, vec![subnet(&here, "a", at(120))]));
        assert_eq!(state.facts().missing_subnets.get(&gone), Some(&at(0)));
        assert!(state.apply_subnets(at(240), &asked, vec![subnet(&gone, "b", at(240))]));
        let facts = state.facts();
        assert!(facts.subnets.contains_key(&gone) && facts.missing_subnets.contains_key(&here));
    }

    #[test]
    fn answers_are_valid_for_a_while() {
        let mut state = CatalogState::default();
        let (question, valid) = (CatalogQuery::GroupName("web".into()), SignedDuration::from_secs(120));
        assert!(state.is_stale(&question, at(0), valid));
        state.apply_groups(at(0), &BTreeSet::from(["web".to_owned()]), vec![]);
        assert!(!state.is_stale(&question, at(119), valid));
        assert!(state.is_stale(&question, at(120), valid));
        assert_eq!(state.facts().groups_named.get("web"), Some(&BTreeSet::new()));
    }

    #[test]
    fn a_failure_is_news_once_and_ends() {
        let mut state = CatalogState::default();
        let lookup = CatalogLookup::SubnetsById;
        let no = |id: &str| CallError::Answered { code: "InternalError".into(), message: format!("no ({id})") };
        assert!(state.apply_outcome(lookup, Some(&no("1")), at(0)));
        assert!(!state.apply_outcome(lookup, Some(&no("2")), at(60)), "the same, in other words");
        assert_eq!(state.facts().failure(&[lookup]).unwrap().since, at(0));
        assert_eq!(state.facts().failure(&[CatalogLookup::SubnetsByName]), None);
        assert!(state.apply_outcome(lookup, None, at(90)));
        assert_eq!(state.facts().failure(&[lookup]), None);
    }
}
