//! Chooses the subnet of a NodeENI with `subnetSelectorTerms` on one Node. The choice is made once for each ENI and is stored in its
//! ENIAttachment: free addresses and further subnets that match never move an ENI. Only for a new ENI, or for one that has waited
//! long for room in a full subnet and was never made, the subnet with the most free addresses is taken.

use super::assignment::Need;
use super::attach_refusals::refused_subnet;
use super::planner::NodePlanner;
use super::unassigned::UnassignedReason;
use super::unknown_entry::EntryOf;
use super::zone::Place;
use crate::attachment::Attachment;
use crate::confirmation::is_before_edit;
use crate::ec2_terms::{self, SubnetTerm};
use crate::nodeeni::{EniSpec, NodeEni, SubnetRef};
use crate::observed::{CatalogLookup, ObservedNode, ObservedSubnet};
use crate::selected_subnets::Selection;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::conditions::types;
use multi_eni_api::ids::SubnetId;
use multi_eni_api::names::short_digest;
use multi_eni_api::{DeviceIndexPolicy, EniRequest};
use std::cmp::Reverse;

impl<'a> NodePlanner<'a> {
    /// The subnet for the ENI of a NodeENI in this zone. No subnet: none that the terms select is in the zone, and no ENIAttachment
    /// here has one that they select.
    pub(super) fn subnet_by_terms(
        &mut self,
        (node, nodeeni): (&ObservedNode, &NodeEni),
        place: &Place<'_>,
        spec: &EniSpec,
        mine: &[&Attachment],
    ) -> Result<Vec<&'a ObservedSubnet>, UnassignedReason> {
        let edited = self.input.term_edits.get(&nodeeni.uid).copied();
        let Some(present) = self.present_choice(spec, mine, edited) else {
            return Ok(self.choose((node, nodeeni), place, spec)?.into_iter().take(1).collect());
        };
        let subnet = self.subnet_of(present, &spec.subnet_terms, place, edited)?;
        if !place.takes(subnet) {
            // `check_unchosen_subnets` reports it if the ENI is attached.
            return Ok(self.choose((node, nodeeni), place, spec)?.into_iter().take(1).collect());
        }
        let input = self.input;
        let is_open =
            input.is_in_use(present) || (input.is_created)(present) || input.subnet_gate.is_trying(&present.uid);
        if is_open || !waits_for_room(present) {
            return Ok(vec![subnet]);
        }
        let (is_its_turn, next) = turn_to_move(present, input.now);
        self.plan.recheck_at(next);
        if !is_its_turn {
            return Ok(vec![subnet]);
        }
        // Its ENI was never made, so nothing moves.
        let others = self.choose((node, nodeeni), place, spec)?;
        let elsewhere =
            others.into_iter().filter(|other| other.id != subnet.id && self.subnet_has_room(spec, other, None, 1));
        let chosen: Vec<&ObservedSubnet> = elsewhere.take(1).collect();
        Ok(if chosen.is_empty() { vec![subnet] } else { chosen })
    }

    /// The ENIAttachment that decides the subnet: of those that may stay in their slots one in use, then the one in the slot that
    /// the spec asks for, and of several the oldest. So an ENI that works is not dropped for one that is adopted later. None if
    /// there is none, or the terms select its subnet no longer.
    fn present_choice<'m>(
        &self,
        spec: &EniSpec,
        mine: &[&'m Attachment],
        edited: Option<Timestamp>,
    ) -> Option<&'m Attachment> {
        let input = self.input;
        let is_held = |attachment: &&&Attachment| {
            let id = SubnetId::parse(&attachment.request.subnet_id).ok();
            // An ENI that was never made needs no subnet that EC2 does not know.
            let is_missing = id.as_ref().is_some_and(|id| input.catalog.missing_subnets.contains_key(id));
            let is_made = input.is_in_use(attachment) || (input.is_created)(attachment);
            let is_void = is_missing && attachment.awaits_its_eni() && !is_made;
            let selection = id.map(|id| input.catalog.selection(&spec.subnet_terms, &id, edited));
            attachment.deleting.is_none() && selection != Some(Selection::NotSelected) && !is_void
        };
        let rank = |attachment: &&&Attachment| {
            let keeps_its_slot = attachment.adopted.is_some() && !attachment.recovered;
            let is_any = spec.index_policy == DeviceIndexPolicy::HighestFree;
            let is_asked = attachment.slot() == (spec.card, spec.index) && !is_any;
            let stays = is_asked || keeps_its_slot || is_any && attachment.slot().0 == spec.card;
            let age = (Reverse(attachment.created), Reverse(attachment.name.clone()));
            (stays, input.is_in_use(attachment), is_asked, age)
        };
        mine.iter().filter(is_held).max_by_key(rank).copied()
    }

    /// The subnet of an ENIAttachment, which the terms may select. Err: it is not certain that they do, or the subnet is not known.
    /// The ENI stays until that is certain, and the reason says what the last answers of EC2 show.
    fn subnet_of(
        &mut self,
        attachment: &Attachment,
        terms: &[SubnetTerm],
        place: &Place<'_>,
        edited: Option<Timestamp>,
    ) -> Result<&'a ObservedSubnet, UnassignedReason> {
        let catalog = self.input.catalog;
        let what = "the EC2 lookup of the subnet of the node's ENI";
        let Ok(id) = SubnetId::parse(&attachment.request.subnet_id) else {
            return Err(UnassignedReason::LookupPending(what));
        };
        let (selection, known) = (catalog.selection(terms, &id, edited), catalog.subnets.get(&id));
        if let (Selection::Selected, Some(subnet)) = (selection, known) {
            return Ok(subnet);
        }
        let is_resolved = self.ask_for_terms(terms);
        self.plan.needs.insert(Need::Subnet(SubnetRef::Id(id.clone())));
        self.recheck_later();
        if catalog.missing_subnets.contains_key(&id) {
            return Err(UnassignedReason::SubnetMissing(SubnetRef::Id(id)));
        }
        let failure = catalog.failure(&[CatalogLookup::SubnetsById, CatalogLookup::SubnetsByTags]);
        let Some(subnet) = known.filter(|_| is_resolved && failure.is_none()) else {
            return Err(self.lookup_pending(failure, what));
        };
        // Every term has an answer, and none of the answers has the subnet.
        let mut selected = catalog.selected_subnets(terms);
        selected.retain(|found| found.vpc == subnet.vpc);
        if selected.is_empty() {
            return Err(self.no_subnet_matches(terms));
        }
        let until = subnet.tags_confirmed_at(edited);
        if self.input.now < until {
            self.plan.recheck_at(until);
        } else {
            self.plan.needs.insert(Need::SubnetSince(id.clone(), until));
        }
        let is_edit = edited.is_some_and(|edited| subnet.tags_since.is_some_and(|since| is_before_edit(since, edited)));
        let is_bare = !selected.into_iter().any(|found| place.takes(found));
        let bare_zone = is_bare.then(|| place.location().to_string());
        Err(UnassignedReason::SubnetUnconfirmed { subnet: id, until, is_edit, bare_zone })
    }

    /// Asks for the lookups of the terms that have no answer yet. Whether there is none such.
    fn ask_for_terms(&mut self, terms: &[SubnetTerm]) -> bool {
        let catalog = self.input.catalog;
        let tags = catalog.unresolved_tags(terms).into_iter().map(Need::TaggedSubnets);
        let is_answered = |id: &SubnetId| catalog.subnets.contains_key(id) || catalog.missing_subnets.contains_key(id);
        let ids = terms.iter().filter_map(|term| match term {
            SubnetTerm::Id(id) if !is_answered(id) => Some(Need::Subnet(SubnetRef::Id(id.clone()))),
            SubnetTerm::Id(_) | SubnetTerm::Tags(_) => None,
        });
        let needs: Vec<Need> = tags.chain(ids).collect();
        let is_resolved = needs.is_empty();
        self.plan.needs.extend(needs);
        is_resolved
    }

    /// The reason for a node in whose VPC the terms select no subnet. A user may tag or create one.
    fn no_subnet_matches(&mut self, terms: &[SubnetTerm]) -> UnassignedReason {
        let missing = terms.iter().find_map(|term| match term {
            SubnetTerm::Id(id) if self.input.catalog.missing_subnets.contains_key(id) => {
                Some(SubnetRef::Id(id.clone()))
            }
            SubnetTerm::Id(_) | SubnetTerm::Tags(_) => None,
        });
        self.plan.needs.extend(missing.clone().map(Need::Subnet));
        self.recheck_later();
        if let Some(missing) = missing {
            return UnassignedReason::SubnetMissing(missing);
        }
        let tags = terms.iter().filter_map(|term| match term {
            SubnetTerm::Tags(tags) => Some(Need::TaggedSubnets(tags.clone())),
            SubnetTerm::Id(_) => None,
        });
        self.plan.needs.extend(tags);
        UnassignedReason::NoSubnetMatches(ec2_terms::text(terms))
    }

    /// The subnets of the node's zone and Outpost that the terms select in its VPC: those with room first, of these the one with the most free
    /// addresses; among equals the lowest ID. Only the first one is needed, or none.
    fn choose(
        &mut self,
        (node, nodeeni): (&ObservedNode, &NodeEni),
        place: &Place<'_>,
        spec: &EniSpec,
    ) -> Result<Vec<&'a ObservedSubnet>, UnassignedReason> {
        let (input, terms) = (self.input, &spec.subnet_terms);
        let instance = self.instance_of(node)?;
        let catalog = input.catalog;
        if !self.ask_for_terms(terms) {
            let failure = catalog.failure(&[CatalogLookup::SubnetsById, CatalogLookup::SubnetsByTags]);
            return Err(self.lookup_pending(failure, "the EC2 lookup of the NodeENI's subnets"));
        }
        // The answers to tags are renewed every few minutes. A subnet by its ID may have been described long ago.
        let is_old = |subnet: &&ObservedSubnet| {
            let is_by_id = terms.contains(&SubnetTerm::Id(subnet.id.clone()));
            is_by_id && input.now.duration_since(subnet.as_of) >= input.settings.subnet_cooldown
        };
        let old = catalog.selected_subnets(terms).into_iter().filter(is_old);
        self.plan.needs.extend(old.map(|subnet| Need::Subnet(SubnetRef::Id(subnet.id.clone()))));
        // The terms are resolved in the node's VPC only, and a lookup of the instance shows that VPC.
        let of_instance = input.instance.and_then(|interfaces| Some((interfaces, interfaces.vpc.as_deref()?)));
        let Some((interfaces, vpc)) = of_instance else {
            return Err(self.await_lookup(instance, "the EC2 lookup of the node's VPC"));
        };
        let mut found = catalog.selected_subnets(terms);
        found.retain(|subnet| subnet.vpc == vpc);
        if found.is_empty() {
            return Err(self.no_subnet_matches(terms));
        }
        if let Some(missing) = catalog.unknown_term(terms) {
            // A user may create the subnet.
            self.plan.needs.insert(Need::Subnet(SubnetRef::Id(missing.clone())));
            self.recheck_later();
            self.report_unknown_entry(nodeeni, &SubnetRef::Id(missing.clone()), EntryOf::Terms);
        }
        found.retain(|subnet| place.takes(subnet));
        // EC2 refused to attach an ENI of this subnet here. Another subnet would be no other cause, and only another try.
        let index = (spec.index_policy == DeviceIndexPolicy::Exact).then_some(spec.index);
        let of_nodeeni = (node, nodeeni.uid.as_str());
        let refused = refused_subnet(input.refused_attach, of_nodeeni, (spec.card, index), interfaces, input.now);
        found.sort_by_key(|subnet| {
            let is_other = refused != Some(subnet.id.as_str());
            (
                is_other,
                !self.subnet_has_room(spec, subnet, Some(REFUSAL_COUNTS), 0),
                Reverse(input.subnet_gate.left(subnet)),
                &subnet.id,
            )
        });
        Ok(found)
    }

    /// Whether a subnet seems to have room for an ENI of this NodeENI: by its free addresses, of which so many must be left to spare,
    /// and by EC2's refusals that are at most so old. None: that are not outdated by more free addresses.
    fn subnet_has_room(
        &self,
        spec: &EniSpec,
        subnet: &ObservedSubnet,
        oldest: Option<SignedDuration>,
        spare: i32,
    ) -> bool {
        let (gate, now) = (self.input.subnet_gate, self.input.now);
        let request = EniRequest {
            subnet_id: subnet.id.to_string(),
            ipv4_prefix_count: spec.ipv4_prefix_count,
            private_ip_count: Some(spec.private_ip_count.unwrap_or(1).max(1).saturating_add(spare)),
            ..EniRequest::default()
        };
        let counts = |at: Timestamp| oldest.is_none_or(|oldest| now.duration_since(at) < oldest);
        !gate.refused_at(&request, subnet).is_some_and(counts) && !gate.is_short(&request, subnet)
    }
}

/// How long a refusal keeps new ENIs from choosing a subnet, and the time between two turns of an ENIAttachment to move.
const REFUSAL_COUNTS: SignedDuration = SignedDuration::from_mins(10);

/// How long the turn of an ENIAttachment to move lasts, in seconds: long enough for a lookup that the decision needs, and a
/// twentieth of the time between two turns.
const TURN_LASTS: i64 = 30;

/// Whether an ENIAttachment that waits for room may go to another subnet now, and when its next turn begins. The first turn begins
/// ten to twenty minutes after its creation, and each later one ten minutes after the turn before. The UID decides when. Free
/// addresses show only the Creates that were sent, and not the ENIAttachments that wait. Without turns, all of these would move
/// for one free address, each with a deletion and a creation.
pub(super) fn turn_to_move(attachment: &Attachment, now: Timestamp) -> (bool, Timestamp) {
    let period = REFUSAL_COUNTS.as_secs();
    let digest = u32::from_str_radix(&short_digest(&attachment.uid), 16).unwrap_or(0);
    let first = attachment.created.as_second() + period + i64::from(digest) % period;
    let since_first = now.as_second() - first;
    let turns = if since_first < 0 { 0 } else { since_first / period + 1 };
    let next = Timestamp::from_second(first + turns * period).unwrap_or(Timestamp::MAX);
    (since_first >= 0 && since_first % period < TURN_LASTS, next)
}

/// Whether the ENIAttachment has no ENI and reports that its subnet is full.
pub(super) fn waits_for_room(attachment: &Attachment) -> bool {
    let is_full = |condition: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        condition.type_ == types::READY && condition.reason == "SubnetFull"
    };
    attachment.awaits_its_eni() && attachment.status.conditions.iter().any(is_full)
}
