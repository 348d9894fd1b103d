//! What becomes of an ENI whose subnet the terms of its NodeENI seem to select no longer. `assign` decides it only when EC2 has
//! shown the tags of the subnet for long enough. Until then this is a forecast from EC2's last answers.

use crate::confirmation::{CONFIRMED_AFTER, EDIT_SETTLES};
use crate::nodeeni::EniSpec;
use crate::observed::{Ec2Catalog, ObservedSubnet};
use multi_eni_api::ids::SubnetId;

/// What is awaited first. It names no time: this process does not know since when EC2 shows the tags, and whether the terms were edited.
pub(super) fn confirmed(subnet: &str) -> String {
    format!(
        "EC2 shows the tags of {subnet} once more, at least {EDIT_SETTLES:#} after an edit of the terms, or unchanged for \
         {CONFIRMED_AFTER:#} after a change of the tags"
    )
}

/// The forecast for one ENI.
pub(super) struct Forecast {
    /// The zone of the ENI, and its Outpost.
    zone: String,
    /// The subnets of the zone and the VPC of the ENI that the terms select. One of them gets the next ENI.
    subnets: Vec<SubnetId>,
}

/// The forecast for an ENI in this subnet. None: the subnet is not known.
pub(super) fn forecast(catalog: &Ec2Catalog, spec: &EniSpec, subnet: &SubnetId) -> Option<Forecast> {
    let old = catalog.subnets.get(subnet)?;
    let is_next =
        |next: &&ObservedSubnet| next.vpc == old.vpc && next.location() == old.location() && next.id != old.id;
    let selected = catalog.selected_subnets(&spec.subnet_terms).into_iter();
    Some(Forecast {
        zone: old.location().to_string(),
        subnets: selected.filter(is_next).map(|next| next.id.clone()).collect(),
    })
}

impl Forecast {
    /// Whether another ENI takes the place of the ENI. If not, the ENI is removed.
    pub fn is_replaced(&self) -> bool {
        !self.subnets.is_empty()
    }

    /// What follows when EC2 has shown the tags for long enough, as the end of a sentence.
    pub fn then(&self) -> String {
        match self.subnets.as_slice() {
            [] => format!("then the ENI is removed: the terms select no subnet in zone {}", self.zone),
            [_, ..] => format!("then an ENI in {} takes its place", self.places()),
        }
    }

    /// The steps for the ENI, in their order. `pace`: the value of `rollout.maxUnavailable`.
    pub fn steps(&self, subnet: &str, pace: &str) -> String {
        let first = format!("1. {}", confirmed(subnet));
        match self.subnets.as_slice() {
            [] => format!(
                "remove in steps: {first}; 2. the removal pace permits it (rollout.maxRemovals); 3. detach and delete. The terms \
                 select no subnet in zone {}",
                self.zone
            ),
            [_, ..] => format!(
                "replace in steps: {first}; 2. the rollout permits it (rollout.maxUnavailable: {pace}); 3. detach and delete; 4. \
                 create an ENI in {} and attach it",
                self.places()
            ),
        }
    }

    fn places(&self) -> String {
        let ids: Vec<&str> = self.subnets.iter().map(SubnetId::as_str).collect();
        ids.join(" or ")
    }
}
