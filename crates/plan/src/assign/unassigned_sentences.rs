//! The sentences for users that belong to the reasons for no ENI: what is wrong, and what to do. A sentence is written at a time,
//! because a wait may be over by then.

use super::unassigned::UnassignedReason;
use crate::counted::counted;
use crate::message_time::second;
use crate::nodeeni::SubnetRef;
use crate::observed::Location;
use crate::upcoming::until;
use jiff::Timestamp;
use std::fmt;

/// Why a limit of the instance type was found only by a refused Attach, and what to do.
pub(crate) const LACKS_TYPE: &str = "the Node has no label node.kubernetes.io/instance-type, so the limits of its instance type cannot \
     be checked before an ENI is created: label the Node";

impl UnassignedReason {
    /// The sentence, written at `now`.
    pub fn sentence(&self, now: Timestamp) -> String {
        fmt::from_fn(|f| self.write(f, now)).to_string()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, now: Timestamp) -> fmt::Result {
        match self {
            Self::NoProviderId => f.write_str(
                "the Node has no providerID, which its cloud provider sets as aws:///ZONE/INSTANCE: check the AWS cloud \
                 controller manager",
            ),
            Self::Joining(what) => write!(f, "the Node is joining the cluster: waiting for {what}"),
            Self::Unsupported(what) => match what.label() {
                Some((key, value)) => write!(
                    f,
                    "it is {what}, which can have no ENI: exclude it by its labels, in nodeSelectorTerms with key {key}, operator \
                     NotIn, values [{value}]"
                ),
                None => write!(f, "it is {what}, which can have no ENI: exclude it by its labels"),
            },
            Self::ManagedInstance { operator: Some(operator) } => write!(
                f,
                "{operator} manages the instance, and EC2 refuses changes of its interfaces to others: exclude the node by its \
                 labels"
            ),
            Self::ManagedInstance { operator: None } => f.write_str(
                "EKS Auto Mode manages the instance (label eks.amazonaws.com/compute-type=auto), and EC2 refuses changes of its \
                 interfaces to others: exclude the node by its labels, in nodeSelectorTerms with key \
                 eks.amazonaws.com/compute-type, operator NotIn, values [auto]",
            ),
            Self::NodeDeleting => f.write_str("the Node is being deleted: it gets no new ENI"),
            Self::NoZone => f.write_str(
                "the Node has no label topology.kubernetes.io/zone and no zone in its providerID, so no subnet can be chosen",
            ),
            Self::OtherRegion { zone, region } => write!(
                f,
                "the Node is in zone {zone} according to its providerID, but this controller calls EC2 in Region {region} and \
                 creates no ENI for it: exclude such nodes from nodeSelector, or check AWS_REGION"
            ),
            Self::ZoneContradiction(sentence) => write!(f, "{sentence}, and no ENI is created until the sources agree"),
            Self::InstanceNotShown { instance, since } => write!(
                f,
                "EC2 has not shown its instance {instance} since {}, and another lookup, at least a minute later, and a complete \
                 resync decide whether the instance is gone: no ENI is created; if the instance never existed, correct the Node's \
                 providerID",
                second(*since)
            ),
            Self::InstanceGone { instance, since, is_lasting: false } => write!(
                f,
                "its instance {instance} has been gone since {}: no ENI is created, and the Node is expected to be deleted",
                second(*since)
            ),
            Self::InstanceGone { instance, since, is_lasting: true } => write!(
                f,
                "its instance {instance} has been gone since {}, but the Node still exists: delete the Node, or find out why the \
                 cloud controller does not delete it",
                second(*since)
            ),
            Self::PrimaryNotShown { instance, since, .. } => write!(
                f,
                "EC2 has not shown the primary interface of {instance} since {}, so no ENI is created: the lookup is repeated; check \
                 that the Node's providerID is correct, and that the controller's IAM role can see the instance",
                second(*since)
            ),
            Self::SubnetMissing(SubnetRef::Id(id)) => {
                write!(f, "EC2 knows no subnet {id} in this account and Region: correct the NodeENI or create the subnet")
            }
            Self::SubnetMissing(SubnetRef::Name(name)) => {
                write!(
                    f,
                    "EC2 knows no subnet with the tag Name={name} in the node's VPC: correct the NodeENI or tag a subnet. A subnet \
                     that another account shares shows none of its owner's tags: name it by subnetID"
                )
            }
            Self::NoSubnetInZone { node, subnets } => {
                let places: Vec<String> = subnets.iter().map(Location::to_string).collect();
                write!(
                    f,
                    "no subnet of the NodeENI is in the node's zone {node} (its subnets are in {}): add a subnet of that zone",
                    places.join(", ")
                )?;
                match subnets.iter().chain([node]).any(|place| place.outpost.is_some()) {
                    true => f.write_str(". EC2 attaches an ENI only to an instance on the Outpost of its subnet"),
                    false => Ok(()),
                }
            }
            Self::NameMayMove { name, zone, subnet, until: end } => write!(
                f,
                "no subnet of the node's zone {zone} has the tag Name={name}: the ENI in {subnet} stays {}, in case the tag is \
                 being moved to another subnet; to keep the ENI, tag a subnet of that zone",
                until(*end, now, "the next lookup")
            ),
            Self::SubnetInOtherVpc { subnet: (subnet, theirs), vpc } => write!(
                f,
                "{subnet} is in {theirs}, and the node is in {vpc}: use a subnet of the node's VPC"
            ),
            Self::SubnetAmbiguous(name) => {
                write!(f, "several subnets of the node's VPC and zone have the tag Name={name}: name one of them by subnetID")
            }
            Self::GroupUnresolved(name, 0) => {
                write!(f, "the node's VPC has no security group named {name}: correct the NodeENI or create the group")
            }
            Self::GroupUnresolved(name, n) => {
                write!(f, "the node's VPC has {n} security groups named {name}: name one of them by securityGroupIDs")
            }
            Self::NoSubnetMatches(terms) => write!(
                f,
                "no subnet of the node's VPC matches subnetSelectorTerms ({terms}): correct the terms or tag a subnet. A subnet that \
                 another account shares shows none of its owner's tags: select it by id"
            ),
            Self::SubnetUnconfirmed { subnet, until: end, is_edit, bare_zone } => {
                let why = match is_edit {
                    true => "for one more lookup, in case its tags were changed together with the terms",
                    false => "because EC2 must have shown its tags unchanged for 3 min",
                };
                write!(
                    f,
                    "no term of subnetSelectorTerms matches {subnet}, the subnet of the node's ENI, by EC2's last answers: the ENI \
                     stays {}, {why}",
                    until(*end, now, "the next lookup")
                )?;
                match bare_zone {
                    Some(zone) => write!(f, "; no subnet that the terms select is in the node's zone {zone}"),
                    None => Ok(()),
                }
            }
            Self::NoGroupMatches(terms) => write!(
                f,
                "no security group of the node's VPC matches securityGroupSelectorTerms ({terms}): correct the terms, or tag or \
                 create a group"
            ),
            Self::SlotHeld { slot: (card, index), holder, leaving: false, policies } => {
                let advice = policies.advice(holder);
                write!(f, "device index {index} on network card {card} is reserved for NodeENI {holder}: {advice}")
            }
            Self::SlotHeld { slot: (card, index), holder, leaving: true, policies: _ } => {
                write!(
                    f,
                    "waiting for the ENI of NodeENI {holder} to be detached from device index {index} on network card {card}"
                )
            }
            Self::SlotPinned { slot: (card, index), name } => write!(
                f,
                "device index {index} on network card {card} is occupied by an ENI of another subnet of this NodeENI, which was \
                 adopted from upstream: to replace that ENI by one at the device index of the spec, run kubectl delete enia \
                 {name}"
            ),
            Self::SlotTaken { slot: (card, index), eni, description } => write!(
                f,
                "device index {index} on network card {card} is occupied on EC2 by {eni} ({description:?}), which does not \
                 belong to this cluster and is left unchanged: use another deviceIndex"
            ),
            Self::InstanceFull { kind, card: None, most } => write!(
                f,
                "the instance has {most} network interfaces, the maximum of {kind} (the type by the Node's label): remove one, \
                 or use a larger instance type"
            ),
            Self::InstanceFull { kind, card: Some(card), most } => write!(
                f,
                "network card {card} has {most} network interfaces, its maximum on {kind} (the type by the Node's label): remove \
                 one, use another networkCardIndex or a larger instance type"
            ),
            Self::IndexRefused { kind, slot: (card, index) } => write!(
                f,
                "EC2 refused device index {index} on network card {card} of {kind} (the type by the Node's label), and no lower \
                 index is free; the refused index is tried again each hour: remove an interface, or use another networkCardIndex or \
                 a larger instance type"
            ),
            Self::InstanceTypeUnknown { kind: Some(kind) } => write!(
                f,
                "EC2 knows no instance type {kind} (the type by the Node's label), so deviceIndexPolicy highestFree has no highest \
                 index there and no ENI is created: use deviceIndexPolicy exact, or correct the Node's label"
            ),
            Self::InstanceTypeUnknown { kind: None } => f.write_str(
                "the Node has no label node.kubernetes.io/instance-type, so deviceIndexPolicy highestFree has no highest index \
                 there and no ENI is created: use deviceIndexPolicy exact, or label the Node",
            ),
            Self::NoSuchCard { kind, card, cards } => write!(
                f,
                "{kind} (the type by the Node's label) has {}, and no card {card}: correct networkCardIndex, or select other \
                 nodes",
                counted(*cards, "network card")
            ),
            Self::IndexBeyondCard { kind, slot: (card, index), most } => write!(
                f,
                "network card {card} of {kind} (the type by the Node's label) has device indexes 0 to {}, and the spec asks for \
                 {index}: use a lower deviceIndex, or select other nodes",
                most.saturating_sub(1)
            ),
            Self::TooManyAddresses { kind, family, asked, most } => write!(
                f,
                "{kind} (the type by the Node's label) supports {most} {family} addresses on an interface (a prefix counts as \
                 one), and the spec asks for {asked}: ask for fewer addresses"
            ),
            Self::OutOfBounds(why) => f.write_str(why),
            Self::AttachRefused { words, lacks_type } => {
                write!(
                    f,
                    "EC2 refused to attach the ENI ({words}), and the controller deleted it: it creates another ENI when the \
                     instance's interfaces, its type or the spec change, or after 6 hours; remove an interface from the instance, \
                     or use a larger instance type"
                )?;
                if *lacks_type { write!(f, "; {LACKS_TYPE}") } else { Ok(()) }
            }
            Self::LookupPending(what) => write!(f, "waiting for {what}"),
            Self::LookupFailed(why) => write!(f, "the EC2 lookup is not possible: {why}"),
            Self::Replacing => f.write_str("the spec changed: waiting for the old ENI to be deleted"),
            Self::AwaitingRollout => f.write_str(
                "the spec changed: the ENI is replaced when fewer nodes are without an ENI (rollout.maxUnavailable)",
            ),
        }
    }
}
