//! Whether this process acts in the account and Region in which this cluster's ENIs were made. In another one EC2 shows none of
//! them: what is absent there says nothing, and nothing is to be made there.

use crate::instance::{InstanceObservation, InstanceState};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// For so long no new doubt is raised after one that was cleared.
const CLEARED: SignedDuration = SignedDuration::from_mins(5);

/// What proves the place, or speaks against it.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The Region that this process calls.
    pub region: Option<String>,
    /// ENIs that statuses name: the account and the Region that each status recorded, where it did.
    pub recorded: Vec<Origin>,
    /// ENIAttachments: an earlier process may have made ENIs that no status names yet.
    pub attachments: usize,
    /// Availability Zones of the Nodes.
    pub zones: BTreeSet<String>,
    /// A whole sweep has ended.
    pub resynced: bool,
    /// ENIs of this cluster that EC2 shows, by the account that owns them.
    pub shown: BTreeMap<String, usize>,
    /// The last look at each of this cluster's instances.
    pub instances: Vec<Option<InstanceObservation>>,
    /// What EC2 says of the subnets in which ENIs were made.
    pub subnets: Vec<SubnetWord>,
    /// Since when the place, once proven, is in doubt: what was seen before says nothing.
    pub doubted: Option<Timestamp>,
}

/// What EC2 says of a subnet in which ENIs of this cluster were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubnetWord {
    /// Nothing yet.
    Unasked,
    /// It knows no such subnet.
    Missing,
    /// It is there.
    Shown {
        /// The account that owns it; empty where EC2 does not say.
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

    /// Whether EC2 knows an instance of this cluster, also as one that has gone; or a subnet. One that another account than the ENIs'
    /// shares with us it may share with others, too. None: not all answers are in.
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

/// Whether a sweep puts the place in doubt: it shows nothing of this cluster, and statuses name ENIs that nobody here has deleted. The
/// credentials may be another account's now, or EC2's answer was an error. A doubt that was cleared does not come back at once.
pub fn is_in_doubt(resynced: usize, named: impl FnOnce() -> usize, cleared: Option<Timestamp>, now: Timestamp) -> bool {
    resynced == 0 && cleared.is_none_or(|at| now.duration_since(at) >= CLEARED) && named() > 0
}

/// Where the ENI that a status names was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The account that owns it.
    pub owner: Option<String>,
    /// Its Region.
    pub region: Option<String>,
}

/// Whether anything may be done here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// EC2 shows this cluster, or there is nothing yet that it could show: no ENIAttachment.
    Proven,
    /// Something must be known first: nothing is done before.
    Unproven(Missing),
    /// It is another account or Region.
    Elsewhere(Elsewhere),
}

/// What must be known before the place is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The first whole sweep.
    Resync,
    /// Whether EC2 knows the instances and subnets.
    Answers,
}

/// Why it is another place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// The Region differs from that of the ENIs, or of the Nodes.
    Region {
        /// The one that this process calls.
        configured: String,
        /// The right ones.
        home: BTreeSet<String>,
    },
    /// The account differs.
    Account {
        /// Accounts that own what EC2 shows.
        shown: BTreeSet<String>,
        /// Accounts that statuses recorded.
        home: BTreeSet<String>,
    },
    /// EC2 shows nothing of this cluster.
    Empty {
        /// The Region that this process calls.
        region: String,
        /// ENIs that statuses name.
        enis: usize,
        /// Accounts that statuses recorded.
        home: BTreeSet<String>,
        /// It shows subnets, which another account shares.
        shared: bool,
    },
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::Region { configured, home } => write!(
                f,
                "the controller calls EC2 in Region {configured}, and this cluster is in {}: set AWS_REGION to that and restart the controller",
                list(home)
            )?,
            Self::Account { shown, home } => write!(
                f,
                "the controller's AWS credentials are of an account that shows ENIs of account {}, and this cluster's ENIs are of {}: \
                 give the controller a role of that account and restart it",
                list(shown),
                list(home)
            )?,
            Self::Empty { region, enis, home, shared } => {
                write!(f, "EC2 in Region {region} shows none of ")?;
                if *enis > 0 {
                    write!(f, "the {enis} ENIs of this cluster, none of ")?;
                }
                f.write_str(if *enis > 0 { "its instances" } else { "this cluster's instances" })?;
                f.write_str(if *shared {
                    ", only subnets that another account shares"
                } else {
                    " and none of its subnets"
                })?;
                if !home.is_empty() {
                    write!(f, ", which are of account {}", list(home))?;
                }
                f.write_str(": check the account of the controller's AWS credentials and AWS_REGION, and restart it")?;
            }
        }
        f.write_str(". Until then nothing is made, attached, detached or deleted, and nothing that EC2 does not show is taken for gone")
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

/// Judges the place.
pub fn judge(evidence: &Evidence) -> Place {
    if let Some(region) = wrong_region(evidence) {
        return Place::Elsewhere(region);
    }
    if evidence.recorded.is_empty() && evidence.attachments == 0 {
        // Nothing was made yet that EC2 could show.
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

/// The Region of the ENIs, as statuses recorded it, else of the Nodes.
fn wrong_region(evidence: &Evidence) -> Option<Elsewhere> {
    let configured = evidence.region.clone()?;
    let recorded: BTreeSet<String> = evidence.recorded.iter().filter_map(|origin| origin.region.clone()).collect();
    let of_nodes = || evidence.zones.iter().filter_map(|zone| region_of(zone)).collect();
    let home = if recorded.is_empty() { of_nodes() } else { recorded };
    (!home.is_empty() && !home.contains(&configured)).then_some(Elsewhere::Region { configured, home })
}

#[cfg(test)]
mod tests;
