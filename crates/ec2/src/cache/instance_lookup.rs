//! The last lookup of an instance, as the cache keeps it: ENIs that the controller may change as a whole, all others as neighbours.
//! Synchronous, no I/O.

use compact_str::CompactString;
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_plan::observed::{Cluster, Neighbour, ObservedEni, PrimaryAddresses, Unshown};

/// The last lookup of an instance that showed its primary interface, and whether later ones did not.
#[derive(Debug, Default)]
pub(super) struct InstanceLookup {
    /// Start of the Describe.
    pub as_of: Timestamp,
    /// The VPC of its primary interface.
    pub vpc: Option<CompactString>,
    /// The Availability Zone of its primary interface.
    pub zone: Option<CompactString>,
    /// The ARN of the Outpost of its primary interface.
    pub outpost: Option<Box<str>>,
    /// The AWS service that manages its primary interface.
    pub operator: Option<CompactString>,
    /// The addresses of its primary interface beside its own one.
    pub primary_addresses: PrimaryAddresses,
    /// The ENIs of this cluster, and those that upstream's controller left. Most instances have none when they are looked up.
    whole: Box<[ObservedEni]>,
    /// All other ENIs.
    neighbours: Box<[Neighbour]>,
    /// The lookups since then, if they did not show the primary interface.
    pub without_primary: Option<Unshown>,
}

impl InstanceLookup {
    /// The lookup that began at `began` and showed these ENIs on the instance. None if it did not show the primary interface.
    pub fn of(instance: &InstanceId, began: Timestamp, shown: &[&ObservedEni], cluster: &Cluster) -> Option<Self> {
        let primary = shown.iter().find(|seen| seen.is_primary_of(instance))?;
        let (foreign, whole): (Vec<&ObservedEni>, Vec<&ObservedEni>) =
            shown.iter().copied().partition(|seen| seen.is_foreign(cluster));
        Some(Self {
            as_of: began,
            vpc: non_empty(&primary.vpc),
            zone: non_empty(&primary.zone),
            outpost: None,
            operator: primary.operator.clone(),
            primary_addresses: PrimaryAddresses::of(primary),
            whole: whole.into_iter().cloned().collect(),
            neighbours: foreign.into_iter().map(Neighbour::of).collect(),
            without_primary: None,
        })
    }

    /// For an instance whose primary interface no lookup has shown. The first lookup began at `began`.
    pub fn without_primary(began: Timestamp) -> Self {
        Self { as_of: began, ..Self::default() }
    }

    /// Takes ENIs out of what the lookup showed: they are known not to be on the instance any more.
    pub fn take_out(&mut self, is_away: impl Fn(&EniId) -> bool) {
        if self.whole.iter().any(|seen| is_away(&seen.id)) {
            self.whole = self.whole.iter().filter(|seen| !is_away(&seen.id)).cloned().collect();
        }
        if self.neighbours.iter().any(|neighbour| is_away(neighbour.id())) {
            self.neighbours = self.neighbours.iter().filter(|neighbour| !is_away(neighbour.id())).cloned().collect();
        }
    }

    /// The ENIs that the lookup showed on the instance, of those with such an ID.
    pub fn enis(&self, instance: &InstanceId, is_asked: impl Fn(&EniId) -> bool) -> Vec<ObservedEni> {
        let whole = self.whole.iter().filter(|seen| is_asked(&seen.id)).cloned();
        let neighbours = self.neighbours.iter().filter(|neighbour| is_asked(neighbour.id()));
        whole.chain(neighbours.map(|neighbour| neighbour.observed(instance, self.as_of))).collect()
    }
}

/// The text; None if EC2's answer left it out.
fn non_empty(text: &CompactString) -> Option<CompactString> {
    (!text.is_empty()).then(|| text.clone())
}
