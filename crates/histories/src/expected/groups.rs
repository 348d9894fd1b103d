//! The security groups that a spec asks for, by the groups that every history has.

use crate::environment::{GROUPS, TIER, group, group_name, tier};
use multi_eni_api::{NodeEniSpec, SecurityGroupSelectorTerm};

/// The IDs of the security groups that a spec asks for, sorted. Empty: the VPC's default group. None: one of the names has no
/// group, or no group matches the terms.
pub fn groups(spec: &NodeEniSpec) -> Option<Vec<String>> {
    if let Some(terms) = &spec.security_group_selector_terms {
        let matches = |number: u64, term: &SecurityGroupSelectorTerm| {
            let has_tag = |(key, value): (&String, &String)| {
                key == TIER && tier(number).is_some_and(|tier| value == "*" || value == tier)
            };
            term.id.iter().all(|id| *id == group(number))
                && term.name.iter().all(|name| *name == group_name(number))
                && term.tags.iter().flatten().all(has_tag)
        };
        let found = (1..=GROUPS).filter(|number| terms.iter().any(|term| matches(*number, term)));
        let mut found: Vec<String> = found.map(group).collect();
        found.sort();
        return (!found.is_empty()).then_some(found);
    }
    let by_name = |name: &String| (1..=GROUPS).find(|number| group_name(*number) == *name).map(group);
    let named = spec.security_group_names.iter().flatten().map(by_name).collect::<Option<Vec<String>>>()?;
    let mut groups: Vec<String> = spec.security_group_ids.iter().flatten().cloned().chain(named).collect();
    groups.sort();
    groups.dedup();
    Some(groups)
}
