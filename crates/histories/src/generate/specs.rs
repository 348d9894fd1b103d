//! NodeENI specs, and changes of them.

use super::setting::{pick, subnets};
use crate::stage::{GROUPS, group, group_name};
use fastrand::Rng;
use serde_json::{Map, Value, json};

/// A spec.
pub(super) fn draw(rng: &mut Rng) -> Value {
    let mut spec = Map::new();
    spec.insert("nodeSelector".into(), selector(rng));
    place(rng, &mut spec);
    spec.insert("deviceIndex".into(), json!(rng.i32(1..6)));
    for field in ["securityGroupIDs", "description", "tags", "deleteOnTermination", "sourceDestCheck", "rollout"] {
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
        set(rng, &mut spec, "node settings");
    }
    Value::Object(spec)
}

/// The spec with one thing in it changed.
pub(super) fn edit(rng: &mut Rng, spec: &Value) -> Value {
    let mut spec = spec.as_object().cloned().unwrap_or_default();
    match rng.u32(0..14) {
        0 | 1 => drop(spec.insert("nodeSelector".into(), selector(rng))),
        2 | 3 => place(rng, &mut spec),
        4 => drop(spec.insert("deviceIndex".into(), json!(rng.i32(1..6)))),
        5 => set(rng, &mut spec, "securityGroupIDs"),
        6 => set(rng, &mut spec, "description"),
        7 => set(rng, &mut spec, "tags"),
        8 => set(rng, &mut spec, "deleteOnTermination"),
        9 => set(rng, &mut spec, "sourceDestCheck"),
        10 => set(rng, &mut spec, "rollout"),
        11 => set(rng, &mut spec, "securityGroupNames"),
        12 => set(rng, &mut spec, "node settings"),
        _ => set(rng, &mut spec, "addresses"),
    }
    Value::Object(spec)
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

/// Where its ENIs are to be: by ID or by name, one subnet or several; rarely one that does not exist.
fn place(rng: &mut Rng, spec: &mut Map<String, Value>) {
    for field in ["subnetID", "subnetIDs", "subnetName", "subnetNames"] {
        spec.remove(field);
    }
    let all = subnets();
    let id = |rng: &mut Rng| pick(rng, &all).id.clone();
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

fn set(rng: &mut Rng, spec: &mut Map<String, Value>, field: &str) {
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
        // Rarely one that does not exist.
        "securityGroupNames" if rng.u32(0..10) == 0 => json!(["no such group"]),
        "securityGroupNames" => json!([group_name(rng.u64(1..=GROUPS))]),
        "node settings" => {
            for field in ["mtu", "enableDPDK", "dpdkDriver", "nodeConfig"] {
                spec.remove(field);
            }
            match rng.u32(0..4) {
                0 => drop(spec.insert("mtu".into(), json!(rng.i32(1500..9002)))),
                1 => {
                    spec.insert("enableDPDK".into(), json!(true));
                    spec.insert("dpdkDriver".into(), json!(pick(rng, &["vfio-pci", "igb_uio"])));
                }
                2 => drop(spec.insert("nodeConfig".into(), json!({ "queues": { "rx": rng.u32(1..9) } }))),
                _ => {}
            }
            return;
        }
        "rollout" => json!({ "maxUnavailable": rng.i32(1..4) }),
        _ => {
            spec.remove("ipv4PrefixCount");
            spec.remove("privateIPCount");
            match rng.u32(0..3) {
                0 => drop(spec.insert("privateIPCount".into(), json!(rng.i32(1..4)))),
                1 => drop(spec.insert("ipv4PrefixCount".into(), json!(1))),
                _ => {}
            }
            return;
        }
    };
    spec.insert(field.into(), value);
}
