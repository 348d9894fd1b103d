//! The data of the catalog, and how answers to lookups change it: subnets, security groups and instance types. Synchronous; it
//! never calls EC2.

#[cfg(test)]
mod tests;

use super::changes::timeless;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{SecurityGroupId, SubnetId};
use multi_eni_plan::confirmation::confirmed_at;
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::ec2_terms::TagTerm;
use multi_eni_plan::lookup_failure::LookupFailure;
use multi_eni_plan::named_groups::NamedGroups;
use multi_eni_plan::observed::{CatalogLookup, Ec2Catalog, InstanceLimits, ObservedSubnet, TaggedGroups};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

    /// Whether a lookup of this was answered that began at `since` or later.
    pub fn is_answered_since(&self, query: &CatalogQuery, since: Timestamp) -> bool {
        self.answered.get(query).is_some_and(|at| *at >= since)
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
        // The next Describe of each subnet begins to confirm its tags anew.
        catalog.subnets.values_mut().for_each(|subnet| subnet.tags_since = None);
        self.groups_since.clear();
        self.answered.retain(|query, _| !matches!(query, CatalogQuery::GroupTags(_) | CatalogQuery::SubnetTags(_)));
    }

    /// Notes since when EC2 has shown the tags of these subnets. To be called before the subnets are added to the catalog.
    fn note_tags(&self, found: &mut [ObservedSubnet]) {
        for subnet in found {
            let known = self.catalog.subnets.get(&subnet.id).filter(|known| known.tags == subnet.tags);
            let since = known.and_then(|known| known.tags_since);
            subnet.tags_since = Some(since.map_or(subnet.as_of, |since| subnet.as_of.min(since)));
        }
    }

    /// Applies a lookup of subnets by ID that began at `at`. Returns whether the facts changed.
    pub fn apply_subnets(&mut self, at: Timestamp, asked: &BTreeSet<SubnetId>, mut found: Vec<ObservedSubnet>) -> bool {
        self.note_tags(&mut found);
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
        self.note_tags(&mut found);
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
        self.note_tags(&mut found);
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
                let groups = groups.collect();
                let named = match catalog.groups_named.get(name) {
                    Some(known) => known.and(groups, at),
                    None => NamedGroups::first(groups),
                };
                catalog.groups_named.insert(name.clone(), named);
                answered.insert(CatalogQuery::GroupName(name.clone()), at);
            }
        })
    }

    /// Applies a lookup of groups by the tags of a term that began at `at`; `found` is (VPC, ID). Returns whether the facts
    /// changed. The groups are confirmed by an answer that shows what EC2 has shown for minutes.
    pub fn apply_tagged_groups(
        &mut self,
        at: Timestamp,
        term: &TagTerm,
        groups: BTreeSet<(String, SecurityGroupId)>,
    ) -> bool {
        let shows_same = self.catalog.groups_tagged.get(term).is_some_and(|known| known.groups == groups);
        let since = self.groups_since.get(term).filter(|_| shows_same).map_or(at, |since| at.min(*since));
        self.groups_since.insert(term.clone(), since);
        let is_confirmed = at >= confirmed_at(since);
        self.apply(|catalog, answered| {
            catalog.groups_tagged.insert(term.clone(), TaggedGroups { groups, since, is_confirmed });
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
        // A Describe that began earlier may be answered later.
        if known.is_some_and(|known| known.as_of > subnet.as_of) {
            continue;
        }
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
