//! The lookups of the catalog: subnets, security groups and instance types. Each sends its Describe calls, applies the answer or
//! the failure to the catalog, and reports what changed.

use super::changes::names_changed;
use super::state::CatalogState;
use crate::changed::Changed;
use crate::convert;
use crate::ec2::Ec2;
use crate::lock::lock;
use jiff::Timestamp;
use multi_eni_api::ids::SubnetId;
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::ec2_terms::TagTerm;
use multi_eni_plan::observed::{CatalogLookup, ObservedSubnet};
use std::collections::BTreeSet;

impl Ec2 {
    /// Drops what EC2 has answered to the tags of terms. To be called when a doubt about the account or Region ends, also if it
    /// was never reported: another account may have answered for a while.
    pub fn forget_tags(&self) {
        lock(&self.inner.catalog).forget_tags();
    }

    pub(crate) async fn fetch_subnets(&self, ids: BTreeSet<SubnetId>) -> Result<(), CallError> {
        let answer = self.subnets("subnet-id", ids.iter().map(SubnetId::as_str)).await;
        self.inner.subnet_ids.answered(&ids);
        self.learn(CatalogLookup::SubnetsById, answer, |state, (at, found)| state.apply_subnets(at, &ids, found))?;
        self.notify(Changed::Subnets(ids));
        Ok(())
    }

    pub(crate) async fn fetch_subnet_names(&self, names: BTreeSet<String>) -> Result<(), CallError> {
        let answer = self.subnets("tag:Name", names.iter().map(String::as_str)).await;
        self.inner.subnet_names.answered(&names);
        self.learn(CatalogLookup::SubnetsByName, answer, |state, (at, found)| {
            state.apply_subnet_names(at, &names, found)
        })
    }

    pub(crate) async fn fetch_groups(&self, names: BTreeSet<String>) -> Result<(), CallError> {
        let filter = convert::filter("group-name", names.iter().map(String::as_str));
        let answer = self
            .all_groups(vec![filter])
            .await
            .map(|(at, groups)| (at, self.readable("SecurityGroup", &groups, convert::group)));
        self.inner.group_names.answered(&names);
        self.learn(CatalogLookup::Groups, answer, |state, (at, found)| state.apply_groups(at, &names, found))
    }

    /// Describes the subnets of each term.
    pub(crate) async fn fetch_tagged_subnets(&self, terms: BTreeSet<TagTerm>) -> Result<(), CallError> {
        let mut result = Ok(());
        for term in &terms {
            let answer = self
                .all_subnets(convert::tag_filters(term))
                .await
                .map(|(at, subnets)| (at, self.readable("Subnet", &subnets, |subnet| convert::subnet(subnet, at))));
            self.inner.subnet_tags.answered(&BTreeSet::from([term.clone()]));
            let learned = self.learn(CatalogLookup::SubnetsByTags, answer, |state, (at, found)| {
                state.apply_tagged_subnets(at, term, found)
            });
            result = result.and(learned);
        }
        result
    }

    /// Describes the groups of each term.
    pub(crate) async fn fetch_tagged_groups(&self, terms: BTreeSet<TagTerm>) -> Result<(), CallError> {
        let mut result = Ok(());
        for term in &terms {
            let answer = self.all_groups(convert::tag_filters(term)).await.map(|(at, groups)| {
                let groups = self.readable("SecurityGroup", &groups, convert::group);
                (at, groups.into_iter().map(|(_, vpc, id)| (vpc, id)).collect())
            });
            self.inner.group_tags.answered(&BTreeSet::from([term.clone()]));
            let learned = self.learn(CatalogLookup::GroupsByTags, answer, |state, (at, found)| {
                state.apply_tagged_groups(at, term, found)
            });
            result = result.and(learned);
        }
        result
    }

    pub(crate) async fn fetch_types(&self, types: BTreeSet<String>) -> Result<(), CallError> {
        let answer = self.all_types(convert::filter("instance-type", types.iter().map(String::as_str))).await;
        let answer = answer.map(|(_, found)| found.iter().filter_map(convert::limits).collect());
        self.inner.instance_types.answered(&types);
        self.learn(CatalogLookup::InstanceTypes, answer, |state, found| state.apply_types(&types, found))
    }

    async fn subnets<'a>(
        &self,
        filter: &str,
        values: impl Iterator<Item = &'a str>,
    ) -> Result<(Timestamp, Vec<ObservedSubnet>), CallError> {
        let (at, subnets) = self.all_subnets(vec![convert::filter(filter, values)]).await?;
        let subnets = self.readable("Subnet", &subnets, |subnet| convert::subnet(subnet, at));
        Ok((at, subnets))
    }

    /// Reads the items. Those that cannot be read are counted and skipped.
    fn readable<T, U>(&self, kind: &'static str, items: &[T], read: impl Fn(&T) -> Option<U>) -> Vec<U> {
        let read: Vec<U> = items.iter().filter_map(read).collect();
        self.count_unreadable(kind, items.len() - read.len());
        read
    }

    fn learn<T>(
        &self,
        lookup: CatalogLookup,
        answer: Result<T, CallError>,
        apply: impl FnOnce(&mut CatalogState, T) -> bool,
    ) -> Result<(), CallError> {
        let now = self.now();
        let (changed, names, result) = {
            let mut state = lock(&self.inner.catalog);
            let before = state.catalog();
            let (changed, result) = match answer {
                Ok(found) => {
                    let recovered = state.apply_outcome(lookup, None, now);
                    (apply(&mut state, found) || recovered, Ok(()))
                }
                Err(error) => (state.apply_outcome(lookup, Some(&error), now), Err(error)),
            };
            (changed, changed && names_changed(&before, &state.catalog()), result)
        };
        if changed {
            self.notify(Changed::Ec2Catalog);
        }
        if names {
            self.notify(Changed::Names);
        }
        result
    }
}
