//! Where the simulated account has the subnets that the NodeENIs name, and where its nodes are: each in one Availability Zone. It is
//! given the NodeENIs as JSON. It places them and asks nobody.

use super::manifests::{Manifests, subnet_ids};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The Availability Zones of the simulated Region.
const ZONES: [&str; 3] = ["eu-central-1a", "eu-central-1b", "eu-central-1c"];

/// A zone of the simulated account, by its number from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Zone(usize);

impl Zone {
    /// Its name.
    pub fn name(self) -> &'static str {
        ZONES.get(self.0).copied().unwrap_or(ZONES[0])
    }

    /// Its number from 0.
    pub fn number(self) -> usize {
        self.0
    }
}

/// The zone of each subnet that a NodeENI names by ID. Subnets that NodeENIs select by name or tags are in each zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    zones: usize,
    subnets: BTreeMap<String, Zone>,
}

impl Places {
    /// Places the subnets in so many zones, 1 to 3. The subnets of one list go to different zones, as in most VPCs. NodeENIs that
    /// ask for the same slot of the same nodes get different zones too: in one zone only one of them could have its ENIs.
    pub fn new(files: &[Manifests], zones: u8) -> Self {
        let zones = usize::from(zones).clamp(1, ZONES.len());
        let mut subnets: BTreeMap<String, Zone> = BTreeMap::new();
        let mut taken: BTreeSet<(String, Zone)> = BTreeSet::new();
        for object in files.iter().flat_map(|file| &file.objects) {
            let spec = &object["spec"];
            let slot = format!(
                "{} {} {} {}",
                spec["nodeSelector"], spec["nodeSelectorTerms"], spec["networkCardIndex"], spec["deviceIndex"]
            );
            for (number, id) in subnet_ids(spec).into_iter().enumerate() {
                let mut turns = (0..zones).map(|next| Zone((number + next) % zones));
                let free = turns.find(|zone| !taken.contains(&(slot.clone(), *zone)));
                let zone = *subnets.entry(id).or_insert_with(|| free.unwrap_or(Zone(number % zones)));
                taken.insert((slot.clone(), zone));
            }
        }
        Self { zones, subnets }
    }

    /// All zones.
    pub fn zones(&self) -> impl Iterator<Item = Zone> {
        (0..self.zones).map(Zone)
    }

    /// The subnets that NodeENIs name by ID, with their zones.
    pub fn subnets(&self) -> impl Iterator<Item = (&str, Zone)> {
        self.subnets.iter().map(|(id, zone)| (id.as_str(), *zone))
    }

    /// The zone of the node with this number from 0. The nodes take turns at `label_sets` sets of labels: those of one set are in
    /// different zones.
    pub fn of_node(&self, number: usize, label_sets: usize) -> Zone {
        Zone(number / label_sets.max(1) % self.zones)
    }

    /// Whether a NodeENI with this spec has a subnet in the zone.
    pub fn covers(&self, spec: &Value, zone: Zone) -> bool {
        let by_id = subnet_ids(spec).iter().any(|id| self.subnets.get(id) == Some(&zone));
        let terms = spec["subnetSelectorTerms"].as_array();
        let by_tags =
            terms.is_some_and(|terms| terms.iter().any(|term| !term["name"].is_null() || !term["tags"].is_null()));
        by_id || by_tags || !spec["subnetName"].is_null() || !spec["subnetNames"].is_null()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(specs: &[Value]) -> Manifests {
        let objects = specs.iter().map(|spec| json!({ "kind": "NodeENI", "metadata": { "name": "a" }, "spec": spec }));
        Manifests { title: String::new(), objects: objects.collect() }
    }

    fn zones_of(specs: &[Value], zones: u8) -> Vec<usize> {
        Places::new(&[file(specs)], zones).subnets().map(|(_, zone)| zone.0).collect()
    }

    #[test]
    fn the_subnets_of_a_list_are_in_different_zones() {
        let list = json!({ "subnetIDs": ["subnet-0000000a", "subnet-0000000b", "subnet-0000000c", "subnet-0000000d"] });
        assert_eq!(zones_of(std::slice::from_ref(&list), 3), [0, 1, 2, 0]);
        assert_eq!(zones_of(std::slice::from_ref(&list), 1), [0; 4], "as the user asks");
        let terms = json!({ "subnetSelectorTerms": [{ "id": "subnet-0000000a" }, { "id": "subnet-0000000b" }] });
        assert_eq!(zones_of(&[terms], 3), [0, 1]);
    }

    #[test]
    fn nodeenis_for_one_slot_of_the_same_nodes_are_in_different_zones() {
        let spec = |subnet: &str, index: i32| json!({ "nodeSelector": { "ng": "a" }, "subnetID": subnet, "deviceIndex": index });
        assert_eq!(zones_of(&[spec("subnet-0000000a", 1), spec("subnet-0000000b", 1)], 3), [0, 1]);
        assert_eq!(zones_of(&[spec("subnet-0000000a", 1), spec("subnet-0000000b", 2)], 3), [0, 0], "a node has both");
    }

    #[test]
    fn a_nodeeni_covers_the_zones_of_its_subnets() {
        let list = json!({ "subnetIDs": ["subnet-0000000a", "subnet-0000000b"] });
        let places = Places::new(&[file(std::slice::from_ref(&list))], 3);
        let covered = |spec: &Value| places.zones().map(|zone| places.covers(spec, zone)).collect::<Vec<_>>();
        assert_eq!(covered(&list), [true, true, false]);
        assert_eq!(covered(&json!({ "subnetSelectorTerms": [{ "tags": { "tier": "db" } }] })), [true; 3]);
        assert_eq!(covered(&json!({ "subnetName": "storage" })), [true; 3]);
        assert_eq!(places.zones().map(Zone::name).collect::<Vec<_>>(), ZONES);
    }

    #[test]
    fn the_nodes_of_one_set_of_labels_are_in_different_zones() {
        let places = Places::new(&[file(&[json!({})])], 3);
        let of = |sets| (0..6).map(|number| places.of_node(number, sets).0).collect::<Vec<_>>();
        assert_eq!(of(1), [0, 1, 2, 0, 1, 2]);
        assert_eq!(of(2), [0, 0, 1, 1, 2, 2]);
    }
}
