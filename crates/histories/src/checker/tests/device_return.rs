//! Tests of `device-return`, and of `status-true` with reports of another boot.

use super::super::device_return::RETURN_WITHIN;
use super::super::max_staleness::MAX_WATCH_STALENESS;
use super::*;

const MAC: &str = "02:00:00:00:00:01";

/// What the node agent reports.
fn report(driver: &str, mac: &str, boot: &str) -> Value {
    json!({ "macAddress": mac, "driver": driver, "bootID": boot })
}

/// A world in which the agent has bound the device, and the ENIAttachment is deleted at [`LATER`].
fn leaving(node_agent: bool, report: Value) -> World {
    let mut world = World::settled_in(Setting { node_agent, ..Setting::default() });
    let mut object = world.objects[&("eniattachments", ATTACHMENT.to_owned())].clone();
    object["status"] =
        json!({ "conditions": condition("Configured", "True", "BoundToDriver"), "macAddress": MAC, "node": report });
    world.stores(LATER - 1, KUBECTL, "eniattachments", object);
    world.deletes(LATER, KUBECTL, "eniattachments", ATTACHMENT);
    world
}

/// The agent's report of a deleted ENIAttachment changes.
fn reports(world: &mut World, at: Millis, report: Value, reason: &str) {
    let mut object = world.objects[&("eniattachments", ATTACHMENT.to_owned())].clone();
    object["status"]["node"] = report;
    object["status"]["conditions"] = condition("Configured", "False", reason);
    world.stores(at, KUBECTL, "eniattachments", object);
}

/// The Node shows another boot.
fn reboots(world: &mut World, at: Millis, boot: &str) {
    let status = json!({ "bootID": boot });
    world.writes(at, KUBECTL, "nodes", NODE, ["status", "nodeInfo"], status);
}

#[test]
fn a_detach_of_a_bound_device_breaks_device_return_until_the_agent_had_its_time() {
    let words = "eni-00000001 of e1-1 5 s after the deletion, and a driver for DPDK has its device";
    let bound = || report("vfio-pci", MAC, "boot-0");
    let detached = |node_agent, report, after| {
        let mut world = leaving(node_agent, report);
        world.detaches(LATER + after);
        world
    };
    breaks(&detached(true, bound(), 5_000), Invariant::DeviceReturn, words);
    breaks(&detached(true, report("igb_uio", MAC, ""), 5_000), Invariant::DeviceReturn, words);
    breaks(&detached(true, bound(), RETURN_WITHIN - 3_000), Invariant::DeviceReturn, "a driver for DPDK");
    holds(&detached(true, bound(), RETURN_WITHIN));
    holds(&detached(false, bound(), 5_000));
    holds(&detached(true, report("ena", MAC, "boot-0"), 5_000));
    holds(&detached(true, report("vfio-pci", "02:00:00:00:00:02", "boot-0"), 5_000));
}

#[test]
fn a_device_that_was_given_back_or_that_nobody_can_give_back_is_excused() {
    let bound = || report("vfio-pci", MAC, "boot-0");
    let allowed: [fn(&mut World); 5] = [
        |world| reports(world, LATER + 1_000, report("ena", MAC, "boot-0"), "Restored"),
        |world| reports(world, LATER + 1_000, report("vfio-pci", MAC, "boot-0"), "Restored"),
        |world| world.lets_go(LATER + 1_000, KUBECTL, "nodes", NODE),
        |world| reboots(world, LATER + 1_000, "boot-1"),
        // A replica may not have seen yet that the Node is back in this boot.
        |world| reboots(world, LATER + 1_000, "boot-0"),
    ];
    for change in allowed {
        let mut world = leaving(true, bound());
        change(&mut world);
        world.detaches(LATER + 5_000);
        holds(&world);
    }
    let mut held = leaving(true, bound());
    reports(&mut held, LATER + 1_000, bound(), "DeviceHeld");
    held.detaches(LATER + 5_000);
    breaks(&held, Invariant::DeviceReturn, "a driver for DPDK has its device");
    // A report that comes after the deletion may not be known.
    let mut late = leaving(true, report("ena", MAC, "boot-0"));
    reports(&mut late, LATER + 1_000, bound(), "DeviceHeld");
    late.detaches(LATER + 5_000);
    holds(&late);
}

#[test]
fn ready_by_a_report_of_an_earlier_boot_breaks_status_true() {
    let says_ready = |shown: &str, after: Millis| {
        let mut world = World::settled_in(Setting { node_agent: true, ..Setting::default() });
        reboots(&mut world, LATER, shown);
        let mut object = world.objects[&("eniattachments", ATTACHMENT.to_owned())].clone();
        let (ready, configured) = (condition("Ready", "True", "Ready"), condition("Configured", "True", "Configured"));
        object["status"] =
            json!({ "conditions": [ready[0], configured[0]], "macAddress": MAC, "node": report("ena", MAC, "boot-0") });
        world.stores(LATER + after, REPLICA, "eniattachments", object);
        world
    };
    let words = "the report of the node agent is of another boot";
    breaks(&says_ready("boot-1", MAX_WATCH_STALENESS + 1), Invariant::StatusTrue, words);
    holds(&says_ready("boot-1", MAX_WATCH_STALENESS - 1));
    holds(&says_ready("boot-0", MAX_WATCH_STALENESS + 1));
}
