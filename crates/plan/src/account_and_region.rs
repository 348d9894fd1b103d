//! Decides whether this process acts in the AWS account and Region in which this cluster's ENIs were created. In any other
//! account or Region EC2 shows none of them, so their absence proves nothing and no ENI may be created there. It is given the
//! evidence and makes no request.

use crate::counted::counted;
use crate::instance_life::{InstanceObservation, InstanceState};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// For this time after a doubt was cleared, no new doubt is raised, unless a resync has shown ENIs since.
const CLEARED: SignedDuration = SignedDuration::from_mins(5);

/// The evidence for the account and Region, or against it.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The Region that this process calls.
    pub region: Option<String>,
    /// The ENIs that statuses name: the account and the Region that each status recorded, if it did.
    pub recorded: Vec<Origin>,
    /// The number of ENIAttachments. An earlier process may have created ENIs that no status names yet.
    pub attachments: usize,
    /// The Availability Zones of the Nodes.
    pub zones: BTreeSet<String>,
    /// Whether a complete resync has ended.
    pub resynced: bool,
    /// The number of ENIs of this cluster that EC2 shows, by the account that owns them.
    pub shown: BTreeMap<String, usize>,
    /// The last lookup of each of this cluster's instances; None if it has not ended.
    pub instances: Vec<Option<InstanceObservation>>,
    /// What EC2 shows of the subnets in which the ENIs were created.
    pub subnets: Vec<SubnetWord>,
    /// Since when the place, which was proven before, is in doubt. Earlier observations do not count then.
    pub doubted: Option<Timestamp>,
}

/// What EC2 shows of a subnet in which ENIs of this cluster were created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubnetWord {
    /// No Describe of the subnet has ended.
    Unasked,
    /// EC2 knows no such subnet.
    Missing,
    /// EC2 shows the subnet.
    Shown {
        /// The account that owns the subnet; empty if EC2 does not show it.
        owner: String,
        /// When the Describe began.
        as_of: Timestamp,
    },
}

impl Evidence {
    fn home(&self) -> BTreeSet<String> {
        self.recorded.iter().filter_map(|origin| origin.owner.clone()).collect()
    }

    fn is_young(&self, at: Timestamp) -> bool {
        self.doubted.is_none_or(|since| at >= since)
    }

    /// Whether EC2 knows an instance of this cluster, including a terminated one, or a subnet. A subnet that another account
    /// shares with this one proves nothing, because that account may share it with further accounts. None: not all lookups have
    /// ended.
    fn is_known(&self, home: &BTreeSet<String>) -> Option<bool> {
        let shown =
            |lookup: &InstanceObservation| self.is_young(lookup.as_of) && lookup.state != InstanceState::Missing;
        let proves = |word: &SubnetWord| match word {
            SubnetWord::Shown { owner, as_of } => {
                self.is_young(*as_of) && (home.is_empty() || owner.is_empty() || home.contains(owner))
            }
            SubnetWord::Unasked | SubnetWord::Missing => false,
        };
        if self.instances.iter().flatten().any(shown) || self.subnets.iter().any(proves) {
            return Some(true);
        }
        let is_asked = |word: &SubnetWord| match word {
            SubnetWord::Unasked => false,
            SubnetWord::Missing => true,
            SubnetWord::Shown { as_of, .. } => self.is_young(*as_of),
        };
        let looked = |lookup: &Option<InstanceObservation>| lookup.is_some_and(|lookup| self.is_young(lookup.as_of));
        (self.instances.iter().all(looked) && self.subnets.iter().all(is_asked)).then_some(false)
    }
}

/// Whether a resync puts the place in doubt: it shows no ENI of this cluster, and statuses name ENIs that this controller has not
/// deleted. The credentials may now belong to another account, or EC2's answer was wrong. A doubt that was cleared is not raised
/// again within five minutes.
pub fn is_in_doubt(resynced: usize, named: impl FnOnce() -> usize, cleared: Option<Timestamp>, now: Timestamp) -> bool {
    resynced == 0 && cleared.is_none_or(|at| now.duration_since(at) >= CLEARED) && named() > 0
}

/// The account and Region in which the ENI that a status names was created.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The account that owns the ENI.
    pub owner: Option<String>,
    /// The Region of the ENI.
    pub region: Option<String>,
}

/// Whether this process may act in this account and Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// EC2 shows this cluster, or there is no ENIAttachment and so nothing that EC2 could show.
    Proven,
    /// A lookup must end first. Nothing is done before.
    Unproven(Missing),
    /// It is another account or Region than this cluster's.
    Elsewhere(Elsewhere),
}

/// What must be known before the place is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The first complete resync.
    Resync,
    /// The lookups of the instances and subnets.
    Answers,
}

/// Why the account or Region is not this cluster's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// The Region differs from that of the ENIs, or of the Nodes.
    Region {
        /// The Region that this process calls.
        configured: String,
        /// The Regions of this cluster.
        home: BTreeSet<String>,
    },
    /// The account differs.
    Account {
        /// The accounts that own the ENIs that EC2 shows.
        shown: BTreeSet<String>,
        /// Accounts that statuses recorded.
        home: BTreeSet<String>,
    },
    /// EC2 shows nothing of this cluster.
    Empty {
        /// The Region that this process calls.
        region: String,
        /// The number of ENIs that statuses name.
        enis: usize,
        /// Accounts that statuses recorded.
        home: BTreeSet<String>,
        /// EC2 shows subnets, but another account shares them.
        shared: bool,
    },
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::Region { configured, home } => write!(
                f,
                "the controller calls EC2 in Region {configured}, but this cluster is in {}: set AWS_REGION to the cluster's \
                 Region and restart the controller",
                list(home)
            )?,
            Self::Account { shown, home } => write!(
                f,
                "with the controller's AWS credentials EC2 shows ENIs of account {}, but this cluster's ENIs belong to account \
                 {}: give the controller a role of the cluster's account and restart it",
                list(shown),
                list(home)
            )?,
            Self::Empty { region, enis, home, shared } => {
                write!(f, "EC2 in Region {region} shows none of ")?;
                if *enis > 0 {
                    write!(f, "the {} of this cluster, none of ", counted(*enis, "ENI"))?;
                }
                f.write_str(if *enis > 0 { "its instances" } else { "this cluster's instances" })?;
                f.write_str(if *shared {
                    ", only subnets that another account shares"
                } else {
                    " and none of its subnets"
                })?;
                if !home.is_empty() {
                    write!(f, " (this cluster's ENIs belong to account {})", list(home))?;
                }
                f.write_str(
                    ": check the account of the controller's AWS credentials and AWS_REGION, and restart the controller",
                )?;
            }
        }
        f.write_str(
            ". Until then the controller creates, attaches, detaches and deletes nothing, and an ENI that EC2 does not show \
             does not count as gone",
        )
    }
}

/// The Region of an Availability Zone, Local Zone or Wavelength Zone; None for a name of another form.
pub fn region_of(zone: &str) -> Option<String> {
    let mut region: Vec<&str> = Vec::new();
    for part in zone.split('-') {
        let digits = part.trim_end_matches(|c: char| c.is_ascii_lowercase());
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            region.push(digits);
            return (region.len() >= 3).then(|| region.join("-"));
        }
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_lowercase()) {
            return None;
        }
        region.push(part);
    }
    None
}

/// Decides whether the account and Region are this cluster's.
pub fn judge(evidence: &Evidence) -> Place {
    if let Some(region) = wrong_region(evidence) {
        return Place::Elsewhere(region);
    }
    if evidence.recorded.is_empty() && evidence.attachments == 0 {
        // Nothing that EC2 could show has been created yet.
        return Place::Proven;
    }
    if !evidence.resynced {
        return Place::Unproven(Missing::Resync);
    }
    let home = evidence.home();
    if !evidence.shown.is_empty() {
        let shown: BTreeSet<String> = evidence.shown.keys().filter(|owner| !owner.is_empty()).cloned().collect();
        if !home.is_empty() && !shown.is_empty() && home.is_disjoint(&shown) {
            return Place::Elsewhere(Elsewhere::Account { shown, home });
        }
        return Place::Proven;
    }
    match evidence.is_known(&home) {
        Some(true) => Place::Proven,
        None => Place::Unproven(Missing::Answers),
        Some(false) => {
            let region = evidence.region.clone().unwrap_or_default();
            let shared = evidence.subnets.iter().any(|word| matches!(word, SubnetWord::Shown { .. }));
            Place::Elsewhere(Elsewhere::Empty { region, enis: evidence.recorded.len(), home, shared })
        }
    }
}

/// Compares the Region that is called with the Regions that statuses recorded or, if none did, with those of the Nodes.
fn wrong_region(evidence: &Evidence) -> Option<Elsewhere> {
    let configured = evidence.region.clone()?;
    let recorded: BTreeSet<String> = evidence.recorded.iter().filter_map(|origin| origin.region.clone()).collect();
    let of_nodes = || evidence.zones.iter().filter_map(|zone| region_of(zone)).collect();
    let home = if recorded.is_empty() { of_nodes() } else { recorded };
    (!home.is_empty() && !home.contains(&configured)).then_some(Elsewhere::Region { configured, home })
}

#[cfg(test)]
mod tests;
