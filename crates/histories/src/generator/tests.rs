//! Tests that the generator draws everything that it should: a history without an operation tests nothing of it.

use super::fleet::Fleet;
use super::{MIN_DISTURBANCES, script, setting};
use crate::checker::Detail;
use crate::environment::LOCAL_ZONE;
use crate::history;
use crate::script::{Event, Fault, HandChange, Operation, Placement, Script, Setting};
use fastrand::Rng;
use multi_eni_api::crds;
use multi_eni_sim::ec2::catalog::instance_type;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Lists the names of all variants of an enum. The match makes the compiler ask for a new variant, and the tests use the list.
macro_rules! variants {
    ($all:ident, $name:ident, $of:ident: $($variant:ident),+ $(,)?) => {
        const $all: &[&str] = &[$(stringify!($variant)),+];

        fn $name(value: &$of) -> &'static str {
            match value {
                $($of::$variant { .. } => stringify!($variant)),+
            }
        }
    };
}

variants!(
    OPERATIONS, operation, Operation:
    Join, Initialize, JoinUnsupported, JoinManaged, Leave, Terminate, Twin, ZoneLabel, LeftOut, Halt, Boot, Label, Drain, Drained, Taint, Reboot, Heartbeat,
    Apply, Remove, DeleteAttachment, StripAttachment, Annotate, ReconcileAt,
    HandDetach, HandDelete, HandMove, HandChange, CniAttach, OtherCluster, Upstream, PodStarts, PodEnds, CniRelease,
    CniGrows, CniShrinks,
    Quota, Crowd, Uncrowd, RemakeGroup, RenameSubnet, Deny, Allow, RefuseCalls,
    Kill, Stop, Elsewhere, RoleSwap, Pause, ClockStep, Partition, StaleWatch,
    BreakWatches, Compact, RestartApi, Forbid, Refuse,
);

variants!(
    HAND_CHANGES, hand_change, HandChange:
    Untag, UntagCluster, UntagAttachment, Rename, Describe, Groups, SourceDestCheck, ConnectionTracking,
    DeleteOnTermination,
);

variants!(
    FAULTS, fault, Fault:
    CrashBefore, CrashInside, Throttle, ServerError, Unavailable, Unreachable, LoseAnswer, Hang, Garble, Late,
    SlowAnswer, StuckUntilDetached, StuckUntilForced, SlowTransition, StaleRead, ExpiredPage, ExpiredCredentials,
    Unauthorized, Interfere, Gone,
);

/// When the first events are over: `Fleet::enter` has none after 15 s, and disturbances begin after 20 s.
const ENTERED: u64 = 20_000;

/// Enough seeds that rare operations are in some.
const SEEDS: u64 = 2_000;

fn scripts() -> impl Iterator<Item = Script> {
    (0..SEEDS).map(script)
}

/// The names of `all` that are not in `drawn`.
fn lacking(all: &[&'static str], drawn: &BTreeSet<&'static str>) -> Vec<&'static str> {
    all.iter().copied().filter(|name| !drawn.contains(name)).collect()
}

#[test]
fn every_history_has_its_nodes_its_nodeenis_and_its_disturbances() {
    for script in scripts() {
        let seed = script.seed;
        let (entry, after): (Vec<_>, Vec<_>) = script.events.iter().partition(|event| event.at < ENTERED);
        let joined: BTreeSet<&String> = entry
            .iter()
            .filter_map(|event| if let Operation::Join { node, .. } = &event.operation { Some(node) } else { None })
            .collect();
        let applied: BTreeSet<&String> = entry
            .iter()
            .filter_map(|event| if let Operation::Apply { name, .. } = &event.operation { Some(name) } else { None })
            .collect();
        // A heartbeat is no disturbance.
        let disturbances = after.iter().filter(|event| !matches!(event.operation, Operation::Heartbeat { .. })).count();
        assert!(joined.len() >= 10, "seed {seed}: {} nodes", joined.len());
        assert!(applied.len() >= 2, "seed {seed}: {} NodeENIs", applied.len());
        assert!(disturbances >= MIN_DISTURBANCES, "seed {seed}: {disturbances} disturbances");
    }
}

#[test]
fn the_first_events_are_not_counted_as_disturbances() {
    let last = |seed| {
        let mut rng = Rng::with_seed(seed);
        let setting = Setting { replicas: 2, typed: true, subnets: setting::subnets(), ..Setting::default() };
        let entry = Fleet::new(&setting).enter(&mut rng, true);
        entry.iter().map(|event| event.at).max()
    };
    let last = (0..SEEDS).filter_map(last).max();
    assert!(last.is_some_and(|last| last < ENTERED), "{last:?}");
}

#[test]
fn every_operation_is_drawn_as_a_disturbance_by_some_seed() {
    let (mut operations, mut changes) = (BTreeSet::new(), BTreeSet::new());
    for event in scripts().flat_map(|script| script.events).filter(|event| event.at >= ENTERED) {
        operations.insert(operation(&event.operation));
        if let Operation::HandChange { change, .. } = &event.operation {
            changes.insert(hand_change(change));
        }
    }
    assert_eq!(lacking(OPERATIONS, &operations), Vec::<&str>::new());
    assert_eq!(lacking(HAND_CHANGES, &changes), Vec::<&str>::new());
}

#[test]
fn operations_with_two_variants_are_drawn_in_both() {
    let mut outcomes: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
    for script in scripts() {
        let (mut instances, mut removed) = (BTreeMap::new(), BTreeSet::new());
        for Event { at, operation } in script.events {
            let (what, so) = match operation {
                Operation::Join { node, instance, .. } => match instances.insert(node, instance.clone()) {
                    Some(before) => ("a Node comes back on its instance", before == instance),
                    None => ("a Node comes after the entry", at >= ENTERED),
                },
                Operation::Apply { name, .. } => ("a NodeENI comes back", removed.contains(&name)),
                Operation::Leave { terminate, .. } => ("an instance goes with its Node", terminate),
                Operation::Partition { kube, .. } => ("the API server is out of reach", kube),
                Operation::Forbid { reads, .. } => ("reads are forbidden", reads),
                Operation::Upstream { listed, .. } => ("upstream lists its ENI", listed),
                Operation::Quota { room } => ("the quota is used up", room == Some(0)),
                Operation::Remove { name } => {
                    removed.insert(name);
                    continue;
                }
                _ => continue,
            };
            outcomes.entry(what).or_default().insert(so);
        }
    }
    let one_sided: Vec<_> = outcomes.iter().filter(|(_, so)| so.len() < 2).collect();
    assert!(outcomes.len() == 8 && one_sided.is_empty(), "{outcomes:?}");
}

#[test]
fn every_fault_has_a_rate_with_some_seed() {
    let drawn: BTreeSet<&str> = scripts()
        .flat_map(|script| script.trouble.rates)
        .filter(|(_, rate)| *rate > 0)
        .map(|(drawn, _)| fault(&drawn))
        .collect();
    assert_eq!(lacking(FAULTS, &drawn), Vec::<&str>::new());
}

/// What a value of a spec uses of the schema: each field by its path, and of a field with a choice of forms or words which one.
fn uses(path: &str, value: &Value, schema: &Value, used: &mut BTreeSet<String>) {
    let below = |field: &str| if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
    if schema["x-kubernetes-int-or-string"] == true {
        used.insert(format!("{path}: {}", if value.is_string() { "text" } else { "number" }));
    }
    if schema["enum"].is_array() {
        used.insert(format!("{path}: {value}"));
    }
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                if let Some(schema) = schema["properties"].get(field) {
                    used.insert(below(field));
                    uses(&below(field), value, schema, used);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| uses(path, item, &schema["items"], used)),
        _ => {}
    }
}

/// All that a spec can use of the schema.
fn usable(path: &str, schema: &Value, all: &mut BTreeSet<String>) {
    if schema["x-kubernetes-int-or-string"] == true {
        all.extend([format!("{path}: text"), format!("{path}: number")]);
    }
    all.extend(schema["enum"].as_array().into_iter().flatten().map(|word| format!("{path}: {word}")));
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        let below = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
        usable(&below, schema, all);
        all.insert(below);
    }
    if schema["items"].is_object() {
        usable(path, &schema["items"], all);
    }
}

#[test]
fn every_field_of_a_spec_is_drawn() {
    let crd = crds::all().into_iter().find(|crd| crd.spec.names.kind == "NodeENI");
    let crd = serde_json::to_value(crd).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let (mut all, mut used) = (BTreeSet::new(), BTreeSet::new());
    usable("", schema, &mut all);
    for event in scripts().flat_map(|script| script.events) {
        if let Operation::Apply { spec, .. } = &event.operation {
            uses("", spec, schema, &mut used);
        }
    }
    assert!(all.len() > 50, "{all:?}");
    assert_eq!(all.difference(&used).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn indexes_at_the_ends_of_network_cards_are_drawn() {
    let mut drawn = BTreeSet::new();
    for script in scripts() {
        let cards = instance_type(&script.setting.instance_type).map(|found| found.cards).unwrap_or_default();
        for event in &script.events {
            let Operation::Apply { spec, .. } = &event.operation else { continue };
            let number = |field: &str, otherwise: u64| spec[field].as_u64().unwrap_or(otherwise);
            let (card, index) = (number("networkCardIndex", 0), number("deviceIndex", 1));
            assert!(card > 0 || index > 0, "seed {}: the CRD refuses {spec}", script.seed);
            let most = usize::try_from(card).ok().and_then(|card| cards.get(card)).copied().map(u64::from);
            drawn.insert(match (most, index) {
                (None, _) => "a card that the instances do not have",
                (Some(_), 0) => "index 0",
                (Some(most), index) if cards.len() > 1 && index >= most => "an index beyond the card",
                (Some(_), _) => "another index",
            });
        }
    }
    assert_eq!(drawn.len(), 4, "{drawn:?}");
}

#[test]
fn unusual_subnets_and_zones_are_drawn() {
    let (mut ipv6_only, mut shared, mut local, mut managed) = (0, 0, 0, 0);
    for script in scripts() {
        let subnets = &script.setting.subnets;
        ipv6_only += usize::from(subnets.iter().any(|subnet| subnet.ipv6_only));
        shared += usize::from(subnets.iter().any(|subnet| subnet.shared));
        let has_subnet = |zone: &str| subnets.iter().any(|subnet| subnet.zone == zone);
        for event in &script.events {
            let (Operation::Join { zone, .. } | Operation::JoinManaged { zone, .. }) = &event.operation else {
                continue;
            };
            assert!(has_subnet(zone), "seed {}: no subnet is in zone {zone}", script.seed);
            local += usize::from(zone == LOCAL_ZONE);
            managed += usize::from(matches!(event.operation, Operation::JoinManaged { .. }));
        }
    }
    assert!(ipv6_only > 100 && shared > 100 && local > 100 && managed > 20, "{ipv6_only} {shared} {local} {managed}");
}

#[test]
fn lists_in_another_order_are_drawn_in_a_third_of_the_histories() {
    let shuffled = scripts().filter(|script| script.setting.shuffles_lists).count();
    let all = scripts().count();
    assert!((all / 4..all * 5 / 12).contains(&shuffled), "{shuffled} of {all}");
}

/// The instances of a script that are in a part of the account, and its subnets there.
fn placed(script: &Script, placement: Placement) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let instances = script.events.iter().filter_map(|event| match &event.operation {
        Operation::Join { instance, placement: of, .. } | Operation::JoinManaged { instance, placement: of, .. } => {
            Some(instance.as_str()).filter(|_| *of == placement)
        }
        _ => None,
    });
    let subnets = script.setting.subnets.iter().filter(|subnet| subnet.placement == placement);
    (instances.collect(), subnets.map(|subnet| subnet.id.as_str()).collect())
}

#[test]
fn an_outpost_and_a_second_vpc_are_drawn_and_specs_name_their_subnets() {
    for placement in [Placement::Outpost, Placement::SecondVpc] {
        let (mut with_nodes, mut named) = (0, 0);
        for script in scripts() {
            let (instances, subnets) = placed(&script, placement);
            assert!(instances.is_empty() || !subnets.is_empty(), "seed {}: {instances:?}", script.seed);
            with_nodes += usize::from(!instances.is_empty());
            let mut specs = script.events.iter().filter_map(|event| match &event.operation {
                Operation::Apply { spec, .. } => Some(spec.to_string()),
                _ => None,
            });
            named += usize::from(specs.any(|spec| subnets.iter().any(|subnet| spec.contains(subnet))));
        }
        assert!(with_nodes > 100 && named > 100, "{placement:?}: {with_nodes} with nodes there, {named} name a subnet");
    }
    let mut groups = BTreeSet::new();
    for script in scripts().filter(|script| !placed(script, Placement::SecondVpc).0.is_empty()) {
        groups.extend(script.events.iter().filter_map(|event| match event.operation {
            Operation::RemakeGroup { number } => Some(number),
            _ => None,
        }));
    }
    assert!(groups.len() == 6, "groups of both VPCs are made again: {groups:?}");
}

/// In one history an instance there gets an ENI of a subnet there, and a NodeENI says that a node gets none because of its place.
#[test]
fn nodes_on_an_outpost_and_in_a_second_vpc_get_enis_there_and_are_refused_others() {
    for (placement, refusal) in [(Placement::Outpost, "on Outpost op-"), (Placement::SecondVpc, "SubnetInOtherVPC")] {
        let mut with = scripts().filter(|script| placed(script, placement).0.len() > 1);
        let found = with.by_ref().take(10).any(|script| {
            let (instances, subnets) = placed(&script, placement);
            let report = history::run(&script, Detail::Everything);
            assert!(report.breach.is_none(), "seed {}: {:?}", script.seed, report.breach);
            let is_there = |line: &&String| subnets.iter().any(|subnet| line.contains(subnet));
            let created =
                report.trace.iter().filter(|line| line.contains("CreateNetworkInterface eni-")).filter(is_there);
            let enis: Vec<&str> =
                created.filter_map(|line| line.split(' ').find(|word| word.starts_with("eni-"))).collect();
            let served = report.trace.iter().any(|line| {
                let is_attached = line.contains("attaching to") && line.contains("attached to");
                is_attached
                    && enis.iter().any(|eni| line.contains(eni))
                    && instances.iter().any(|instance| line.contains(instance))
            });
            served && report.trace.iter().any(|line| line.contains(refusal))
        });
        assert!(found, "{placement:?}");
    }
}
