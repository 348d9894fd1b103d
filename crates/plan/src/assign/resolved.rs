//! Resolves an entry of `spec.subnets` to subnets, with the catalog only. An entry that the catalog does not have is `NotYet`;
//! the caller asks for the lookup.

use crate::nodeeni::SubnetRef;
use crate::observed::Ec2Catalog;
use multi_eni_api::ids::SubnetId;

/// The result for one subnet reference. A name gives the subnets of every VPC.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resolved {
    Subnets(Vec<SubnetId>),
    NotYet,
    Missing,
}

pub(super) fn resolve(catalog: &Ec2Catalog, reference: &SubnetRef) -> Resolved {
    match reference {
        SubnetRef::Id(id) if catalog.subnets.contains_key(id) => Resolved::Subnets(vec![id.clone()]),
        SubnetRef::Id(id) if catalog.missing_subnets.contains_key(id) => Resolved::Missing,
        SubnetRef::Id(_) => Resolved::NotYet,
        SubnetRef::Name(name) => match catalog.subnets_named.get(name) {
            None => Resolved::NotYet,
            Some(ids) if ids.is_empty() => Resolved::Missing,
            Some(ids) => Resolved::Subnets(ids.iter().cloned().collect()),
        },
    }
}
