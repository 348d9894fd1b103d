//! Whether an answer changed what decisions depend on: what names and tags stand for, or which subnets are missing. It changes
//! nothing.

use jiff::Timestamp;
use multi_eni_plan::observed::Ec2Catalog;

/// Whether the resolution of any name or the set of missing subnets changed. Logs each name that resolves differently.
pub(super) fn names_changed(before: &Ec2Catalog, now: &Ec2Catalog) -> bool {
    for (name, groups) in &now.groups_named {
        if let Some(old) = before.groups_named.get(name).filter(|old| old.groups != groups.groups) {
            tracing::info!(name, old = ?old.groups, new = ?groups.groups, "security group name resolves to other groups");
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

pub(super) fn timeless(catalog: &Ec2Catalog) -> Ec2Catalog {
    let mut catalog = catalog.clone();
    for subnet in catalog.subnets.values_mut() {
        subnet.as_of = Timestamp::UNIX_EPOCH;
        subnet.tags_since = None;
    }
    catalog
}
