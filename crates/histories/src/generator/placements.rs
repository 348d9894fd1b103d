//! Draws the Outpost and the second VPC that some histories have: their subnets, the nodes whose instances are there, and specs that name
//! what is there. All of it comes from a stream of its own and changes what was drawn before, so that the other seeds' histories stay
//! what they were.

use super::setting::pick;
use crate::environment::{GROUPS, POOL, group};
use crate::script::{Event, Operation, Placement, Setting, SubnetPlace};
use fastrand::Rng;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The fields of a spec that choose subnets.
const SUBNET_FIELDS: [&str; 5] = ["subnetID", "subnetIDs", "subnetName", "subnetNames", "subnetSelectorTerms"];

/// Adds to the setting and to the events: an Outpost in one history of ten, a second VPC in another one.
pub(super) fn add(seed: u64, setting: &mut Setting, events: &mut [Event]) {
    let mut rng = Rng::with_seed(seed ^ 0x706c_6163_656d_656e);
    let (placement, zone) = match rng.u32(0..10) {
        0 => (Placement::Outpost, *pick(&mut rng, &["a", "b"])),
        1 => (Placement::SecondVpc, "a"),
        _ => return,
    };
    let subnets = subnets(&mut rng, placement, zone);
    let ids = subnets.iter().map(|subnet| subnet.id.clone()).collect();
    setting.subnets.extend(subnets);
    let mut draws = Draws { rng, placement, zone, ids, instances: BTreeMap::new(), edits: BTreeMap::new() };
    events.iter_mut().for_each(|event| draws.change(&mut event.operation));
}

/// The subnets: one or two on the Outpost, three in the second VPC. Some have names and tags that subnets of the first VPC have too.
fn subnets(rng: &mut Rng, placement: Placement, zone: &str) -> Vec<SubnetPlace> {
    let of = |id: u64, name: Option<&str>, pool: Option<&str>| SubnetPlace {
        id: format!("subnet-{id:017x}"),
        zone: zone.to_owned(),
        name: name.map(str::to_owned),
        pool: pool.map(str::to_owned),
        tiny: false,
        ipv6_only: false,
        shared: false,
        placement,
    };
    let (wide, storage) = (Some("wide"), Some("storage"));
    match placement {
        Placement::SecondVpc => {
            vec![of(0xe1, None, wide), of(0xe2, Some("only-a"), wide), of(0xe3, storage, None)]
        }
        Placement::Region | Placement::Outpost => {
            let mut both = vec![of(0xd1, None, wide), of(0xd2, storage, None)];
            if rng.bool() {
                both.remove(rng.usize(0..2));
            }
            both
        }
    }
}

struct Draws {
    rng: Rng,
    placement: Placement,
    zone: &'static str,
    /// The subnets that were added.
    ids: Vec<String>,
    /// By ID: where an instance of the zone is.
    instances: BTreeMap<String, Placement>,
    /// By NodeENI and what was drawn first: what it asks for instead. An edit of another field leaves it as it is.
    edits: BTreeMap<(String, String), Map<String, Value>>,
}

impl Draws {
    fn change(&mut self, operation: &mut Operation) {
        match operation {
            Operation::Join { instance, zone, placement, .. }
            | Operation::JoinManaged { instance, zone, placement, .. }
                if zone == self.zone =>
            {
                let drawn = if self.rng.u32(0..3) == 0 { self.placement } else { Placement::Region };
                *placement = *self.instances.entry(instance.clone()).or_insert(drawn);
            }
            Operation::Apply { name, spec } => {
                let Some(spec) = spec.as_object_mut() else { return };
                self.instead(name, spec, &SUBNET_FIELDS, Self::subnets);
                if self.placement == Placement::SecondVpc {
                    self.instead(name, spec, &["securityGroupIDs"], Self::groups);
                }
            }
            Operation::Upstream { subnet, .. } | Operation::RenameSubnet { subnet, .. } if self.rng.u32(0..3) == 0 => {
                *subnet = pick(&mut self.rng, &self.ids).clone();
            }
            Operation::RemakeGroup { number } if self.placement == Placement::SecondVpc && self.rng.bool() => {
                *number += GROUPS;
            }
            _ => {}
        }
    }

    /// Replaces some fields of a spec by what `draw` makes of them, which is the same as long as the fields are.
    fn instead(
        &mut self,
        name: &str,
        spec: &mut Map<String, Value>,
        fields: &[&str],
        draw: fn(&mut Self, &Map<String, Value>) -> Map<String, Value>,
    ) {
        let had: Map<String, Value> =
            fields.iter().filter_map(|field| Some(((*field).to_owned(), spec.remove(*field)?))).collect();
        if had.is_empty() {
            return;
        }
        let key = (name.to_owned(), Value::Object(had.clone()).to_string());
        let drawn = match self.edits.get(&key) {
            Some(drawn) => drawn.clone(),
            None => draw(self, &had),
        };
        self.edits.insert(key, drawn.clone());
        spec.extend(drawn);
    }

    /// The subnets of a spec: often others besides those that it names, or tags that subnets everywhere have.
    fn subnets(&mut self, had: &Map<String, Value>) -> Map<String, Value> {
        let named =
            had.get("subnetID").into_iter().chain(had.get("subnetIDs").and_then(Value::as_array).into_iter().flatten());
        let mut ids: Vec<Value> = named.cloned().collect();
        let field = |name: &str, value: Value| Map::from_iter([(name.to_owned(), value)]);
        match self.rng.u32(0..8) {
            0..4 if !ids.is_empty() => {
                for _ in 0..self.rng.u32(1..3) {
                    let id = json!(pick(&mut self.rng, &self.ids));
                    ids.insert(self.rng.usize(0..=ids.len()), id);
                }
                let mut all = had.clone();
                all.remove("subnetID");
                all.insert("subnetIDs".to_owned(), json!(ids));
                all
            }
            4 => field("subnetID", json!(pick(&mut self.rng, &self.ids))),
            5 => field("subnetSelectorTerms", json!([{ "tags": { POOL: "wide" } }])),
            6 => field("subnetName", json!("storage")),
            _ => had.clone(),
        }
    }

    /// The groups of a spec: half of the specs name them instead, and a few name those of the second VPC.
    fn groups(&mut self, had: &Map<String, Value>) -> Map<String, Value> {
        let ids = had.get("securityGroupIDs").and_then(Value::as_array).cloned().unwrap_or_default();
        let numbers = (1..=GROUPS).filter(|number| ids.contains(&json!(group(*number))));
        let field = |name: &str, value: Vec<String>| Map::from_iter([(name.to_owned(), json!(value))]);
        match self.rng.u32(0..8) {
            0..2 => Map::new(),
            2..5 => field("securityGroupNames", numbers.map(crate::environment::group_name).collect()),
            5 => field("securityGroupIDs", numbers.map(|number| group(GROUPS + number)).collect()),
            _ => had.clone(),
        }
    }
}
