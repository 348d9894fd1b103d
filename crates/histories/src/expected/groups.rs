//! The security groups that a spec asks for in one VPC, by the groups that every history has. Both VPCs have groups with the same names
//! and tags. A group that a spec names by its ID may be in the other VPC: EC2 then refuses it.

use crate::environment::{TIER, group, group_name, groups_of, tier};
use crate::script::Placement;
use multi_eni_api::{NodeEniSpec, SecurityGroupSelectorTerm};

/// The IDs of the security groups that a spec asks for in the VPC of a part of the account, sorted. Empty: the VPC's default group.
/// None: one of the names has no group, or no group matches the terms.
pub fn groups(spec: &NodeEniSpec, placement: Placement) -> Option<Vec<String>> {
    let here = || groups_of(placement);
    if let Some(terms) = &spec.security_group_selector_terms {
        let matches = |number: u64, term: &SecurityGroupSelectorTerm| {
            let has_tag = |(key, value): (&String, &String)| {
                key == TIER && tier(number).is_some_and(|tier| value == "*" || value == tier)
            };
            term.id.is_none()
                && term.name.iter().all(|name| *name == group_name(number))
                && term.tags.iter().flatten().all(has_tag)
        };
        let found = here().filter(|number| terms.iter().any(|term| matches(*number, term))).map(group);
        let by_id = terms.iter().filter_map(|term| term.id.clone());
        let mut found: Vec<String> = found.chain(by_id).collect();
        found.sort();
        found.dedup();
        return (!found.is_empty()).then_some(found);
    }
    let by_name = |name: &String| here().find(|number| group_name(*number) == *name).map(group);
    let named = spec.security_group_names.iter().flatten().map(by_name).collect::<Option<Vec<String>>>()?;
    let mut groups: Vec<String> = spec.security_group_ids.iter().flatten().cloned().chain(named).collect();
    groups.sort();
    groups.dedup();
    Some(groups)
}

/// Whether a spec asks for a group of another VPC than that of a part of the account, which EC2 refuses in Create and in Modify.
pub fn asks_for_foreign_groups(spec: &NodeEniSpec, placement: Placement) -> bool {
    let is_here = |id: &String| groups_of(placement).any(|number| group(number) == *id);
    groups(spec, placement).is_some_and(|groups| !groups.iter().all(is_here))
}
