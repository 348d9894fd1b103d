//! Draws NodeENI specs, and edits of them.

use super::setting::{Choices, pick};
use crate::environment::{GROUPS, POOL, TIER, group, group_name};
use crate::script::SubnetPlace;
use fastrand::Rng;
use serde_json::{Map, Value, json};

/// Optional fields that are set, changed and removed.
const OPTIONAL: [&str; 7] = [
    "securityGroupIDs",
    "description",
    "tags",
    "deleteOnTermination",
    "sourceDestCheck",
    "connectionTracking",
    "rollout",
];

/// A random spec.
pub(super) fn draw(rng: &mut Rng, choices: &Choices) -> Value {
    let mut spec = Map::new();
    select(rng, &mut spec);
    place(rng, &mut spec, &choices.subnets);
    spec.insert("deviceIndex".into(), json!(rng.i32(1..6)));
    for field in OPTIONAL {
        if rng.bool() {
            set(rng, &mut spec, field);
        }
    }
    if rng.u32(0..6) == 0 {
        set(rng, &mut spec, "addresses");
    }
    if rng.u32(0..6) == 0 {
        set(rng, &mut spec, "securityGroupNames");
    }
    if rng.u32(0..6) == 0 {
        groups_by_terms(rng, &mut spec);
    }
    if rng.u32(0..6) == 0 {
        set(rng, &mut spec, "node settings");
    }
    if rng.u32(0..6) == 0 {
        set(rng, &mut spec, "interfaceType");
    }
    if rng.u32(0..4) == 0 {
        card(rng, &mut spec, &choices.cards);
    }
    if rng.u32(0..5) == 0 {
        index_policy(rng, &mut spec, choices.typed);
    }
    Value::Object(spec)
}

/// The spec with one random change.
pub(super) fn edit(rng: &mut Rng, spec: &Value, choices: &Choices) -> Value {
    let mut spec = spec.as_object().cloned().unwrap_or_default();
    match rng.u32(0..20) {
        0 | 1 => select(rng, &mut spec),
        2 | 3 => place(rng, &mut spec, &choices.subnets),
        4 => {
            spec.remove("deviceIndexPolicy");
            spec.insert("deviceIndex".into(), json!(rng.i32(1..6)));
        }
        18 | 19 => index_policy(rng, &mut spec, choices.typed),
        5..11 => {
            let field = *pick(rng, &OPTIONAL);
            if rng.u32(0..5) == 0 {
                spec.remove(field);
            } else {
                set(rng, &mut spec, field);
            }
        }
        11 => set(rng, &mut spec, "securityGroupNames"),
        12 => set(rng, &mut spec, "node settings"),
        13 => set(rng, &mut spec, "interfaceType"),
        14 => card(rng, &mut spec, &choices.cards),
        15 | 16 => groups_by_terms(rng, &mut spec),
        _ => set(rng, &mut spec, "addresses"),
    }
    Value::Object(spec)
}

/// Sets the selector: labels, in one spec of four terms besides or instead.
fn select(rng: &mut Rng, spec: &mut Map<String, Value>) {
    spec.remove("nodeSelectorTerms");
    spec.insert("nodeSelector".into(), selector(rng));
    if rng.u32(0..4) == 0 {
        spec.insert("nodeSelectorTerms".into(), terms(rng));
        if rng.bool() {
            spec.remove("nodeSelector");
        }
    }
}

fn terms(rng: &mut Rng) -> Value {
    let expression = |key: &str, operator: &str, values: &[&str]| match values {
        [] => json!({ "matchExpressions": [{ "key": key, "operator": operator }] }),
        values => json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] }),
    };
    pick(
        rng,
        &[
            json!([{ "matchLabels": { "ng": "x" } }, { "matchLabels": { "tier": "db" } }]),
            json!([expression("ng", "In", &["x", "y"])]),
            json!([expression("ng", "NotIn", &["y"])]),
            json!([expression("tier", "Exists", &[])]),
            json!([expression("tier", "DoesNotExist", &[]), expression("ng", "In", &["y"])]),
            json!([{ "matchLabels": { "ng": "x" }, "matchExpressions": [{ "key": "tier", "operator": "NotIn", "values": ["db"] }] }]),
        ],
    )
    .clone()
}

fn selector(rng: &mut Rng) -> Value {
    pick(
        rng,
        &[
            json!({ "ng": "x" }),
            json!({ "ng": "x" }),
            json!({ "ng": "y" }),
            json!({ "tier": "db" }),
            json!({ "ng": "x", "tier": "db" }),
        ],
    )
    .clone()
}

/// Sets the subnets: by ID or by name, one or several, or by terms. Rarely the subnet does not exist.
fn place(rng: &mut Rng, spec: &mut Map<String, Value>, all: &[SubnetPlace]) {
    for field in ["subnetID", "subnetIDs", "subnetName", "subnetNames", "subnetSelectorTerms"] {
        spec.remove(field);
    }
    if rng.u32(0..5) == 0 {
        spec.insert("subnetSelectorTerms".into(), subnet_terms(rng, all));
        return;
    }
    let id = |rng: &mut Rng| pick(rng, all).id.clone();
    match rng.u32(0..20) {
        0..9 => drop(spec.insert("subnetID".into(), json!(id(rng)))),
        9..14 => {
            let ids: Vec<String> = (0..rng.usize(2..5)).map(|_| id(rng)).collect();
            spec.insert("subnetIDs".into(), json!(ids));
        }
        14..17 => drop(spec.insert("subnetName".into(), json!("storage"))),
        17 => drop(spec.insert("subnetNames".into(), json!(["only-a", "only-b"]))),
        18 => {
            spec.insert("subnetName".into(), json!("storage"));
            spec.insert("subnetID".into(), json!(id(rng)));
        }
        _ => drop(spec.insert("subnetID".into(), json!("subnet-0dead000000000000"))),
    }
}

/// Terms that select subnets. Rarely no subnet matches.
fn subnet_terms(rng: &mut Rng, all: &[SubnetPlace]) -> Value {
    let by_id = |rng: &mut Rng| json!({ "id": pick(rng, all).id });
    match rng.u32(0..16) {
        0..5 => json!([{ "tags": { POOL: "wide" } }]),
        5..8 => json!([{ "tags": { POOL: "*" } }]),
        8..10 => json!([{ "name": "storage" }]),
        10..12 => json!([{ "name": "storage" }, { "tags": { POOL: "narrow" } }]),
        12..15 => json!([by_id(rng), by_id(rng), by_id(rng)]),
        _ => json!([{ "tags": { POOL: "nowhere" } }]),
    }
}

/// Sets the security groups by terms, in place of the lists. Rarely no group matches.
fn groups_by_terms(rng: &mut Rng, spec: &mut Map<String, Value>) {
    spec.remove("securityGroupIDs");
    spec.remove("securityGroupNames");
    let by_name = |number: u64| json!({ "name": group_name(number) });
    let terms = match rng.u32(0..16) {
        0..5 => json!([{ "tags": { TIER: "shared" } }]),
        5..8 => json!([{ "tags": { TIER: "*" } }, by_name(GROUPS)]),
        8..11 => json!([by_name(rng.u64(1..=GROUPS)), by_name(rng.u64(1..=GROUPS))]),
        11..15 => json!([{ "id": group(rng.u64(1..=GROUPS)) }]),
        _ => json!([{ "tags": { TIER: "nobody" } }]),
    };
    spec.insert("securityGroupSelectorTerms".into(), terms);
}

/// Sets the network card: the first one, another one, rarely one that no instance has. A card above the first one has index 0 too.
/// Rarely the index is beyond the card.
fn card(rng: &mut Rng, spec: &mut Map<String, Value>, cards: &[u32]) {
    let card = match rng.u32(0..10) {
        0..2 => None,
        2 => Some(cards.len()),
        _ => Some(rng.usize(0..cards.len().max(1))),
    };
    match card {
        None => drop(spec.remove("networkCardIndex")),
        Some(card) => drop(spec.insert("networkCardIndex".into(), json!(card))),
    }
    if spec.get("deviceIndexPolicy").is_some_and(|policy| policy == "highestFree") {
        return;
    }
    let card = card.unwrap_or(0);
    let first = i32::from(card == 0);
    let index = match cards.get(card).and_then(|most| i32::try_from(*most).ok()) {
        Some(most) if cards.len() > 1 && rng.u32(0..8) == 0 => most + rng.i32(0..2),
        _ if card > 0 && rng.bool() => 0,
        _ => rng.i32(first..6),
    };
    spec.insert("deviceIndex".into(), json!(index));
}

/// Sets the policy of the device index: the other one, or rarely `exact` by its name.
fn index_policy(rng: &mut Rng, spec: &mut Map<String, Value>, typed: bool) {
    let is_highest = spec.get("deviceIndexPolicy").is_some_and(|policy| policy == "highestFree");
    if is_highest || !typed {
        spec.insert("deviceIndexPolicy".into(), json!("exact"));
        spec.insert("deviceIndex".into(), json!(rng.i32(1..6)));
    } else {
        spec.insert("deviceIndexPolicy".into(), json!("highestFree"));
        spec.insert("deviceIndex".into(), json!(1));
    }
}

fn set(rng: &mut Rng, spec: &mut Map<String, Value>, field: &str) {
    // Terms exclude the lists.
    if field.starts_with("securityGroup") {
        spec.remove("securityGroupSelectorTerms");
    }
    let value = match field {
        "securityGroupIDs" => {
            let ids: Vec<String> = (1..=GROUPS).filter(|_| rng.bool()).map(group).collect();
            if ids.is_empty() { json!([group(1)]) } else { json!(ids) }
        }
        "description" => json!(format!("for {}", pick(rng, &["storage", "voice", "backup"]))),
        "tags" => json!({ "team": pick(rng, &["red", "blue"]), "cost": "42" }),
        "deleteOnTermination" | "sourceDestCheck" => json!(rng.bool()),
        "securityGroupNames" if rng.u32(0..4) == 0 => {
            spec.remove(field);
            return;
        }
        // Rarely the group does not exist.
        "securityGroupNames" if rng.u32(0..10) == 0 => json!(["no such group"]),
        "securityGroupNames" => json!([group_name(rng.u64(1..=GROUPS))]),
        "node settings" => {
            for field in ["mtu", "enableDPDK", "dpdkDriver", "dpdkResourceName", "dpdkPCIAddress", "nodeConfig"] {
                spec.remove(field);
            }
            match rng.u32(0..4) {
                0 => drop(spec.insert("mtu".into(), json!(rng.i32(1500..9002)))),
                1 => {
                    spec.insert("enableDPDK".into(), json!(true));
                    spec.insert("dpdkDriver".into(), json!(pick(rng, &["vfio-pci", "igb_uio"])));
                    if rng.bool() {
                        spec.insert(
                            "dpdkResourceName".into(),
                            json!(pick(rng, &["intel.com/voice", "intel.com/data"])),
                        );
                    }
                    if rng.bool() {
                        spec.insert("dpdkPCIAddress".into(), json!(format!("0000:00:{:02x}.0", rng.u32(5..9))));
                    }
                }
                2 => drop(spec.insert(
                    "nodeConfig".into(),
                    json!({ "mode": "link", "interfaceName": format!("net{}", rng.u32(1..9)) }),
                )),
                _ => {}
            }
            return;
        }
        // There is only one valid value, so the field is set or removed.
        "interfaceType" if spec.remove(field).is_some() => return,
        "interfaceType" => json!("interface"),
        "connectionTracking" => connection_tracking(rng),
        "rollout" => rollout(rng),
        _ => {
            for field in ["ipv4PrefixCount", "privateIPCount", "ipv6AddressCount", "ipv6PrefixCount"] {
                spec.remove(field);
            }
            match rng.u32(0..3) {
                0 => drop(spec.insert("privateIPCount".into(), json!(rng.i32(1..4)))),
                1 => drop(spec.insert("ipv4PrefixCount".into(), json!(1))),
                _ => {}
            }
            match rng.u32(0..4) {
                0 | 1 => drop(spec.insert("ipv6AddressCount".into(), json!(rng.i32(0..3)))),
                2 => drop(spec.insert("ipv6PrefixCount".into(), json!(rng.i32(0..3)))),
                _ => {}
            }
            return;
        }
    };
    spec.insert(field.into(), value);
}

/// Some of the timeouts, within EC2's bounds.
fn connection_tracking(rng: &mut Rng) -> Value {
    let mut timeouts = Map::new();
    if rng.bool() {
        timeouts.insert("tcpEstablishedTimeoutSeconds".into(), json!(rng.i32(60..432_001)));
    }
    if rng.bool() {
        timeouts.insert("udpStreamTimeoutSeconds".into(), json!(rng.i32(60..181)));
    }
    if rng.bool() {
        timeouts.insert("udpTimeoutSeconds".into(), json!(rng.i32(30..61)));
    }
    Value::Object(timeouts)
}

/// How many nodes a rollout may make unavailable, and how many may lose ENIs within the window of removals. Of ten nodes the
/// number is low enough that some wait, and high enough that all are done within half an hour.
fn rollout(rng: &mut Rng) -> Value {
    let max_unavailable = if rng.u32(0..3) == 0 { json!(format!("{}%", rng.i32(5..60))) } else { json!(rng.i32(1..4)) };
    match rng.u32(0..4) {
        0 => json!({ "maxUnavailable": max_unavailable, "maxRemovals": rng.i32(3..6) }),
        1 => json!({ "maxUnavailable": max_unavailable, "maxRemovals": format!("{}%", rng.i32(30..100)) }),
        _ => json!({ "maxUnavailable": max_unavailable }),
    }
}
