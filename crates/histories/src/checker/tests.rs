//! Tests that each invariant can be violated. A test feeds the checker with a violation, and with a similar case that is none.

mod away;
mod backoff;
mod device_return;
mod enis;
mod pace;
mod requests;
mod rollout;
mod startup_taint;
mod status;

use super::invariant::Invariant;
use super::max_staleness::MAX_STALENESS;
use super::state::State;
use super::trace::Detail;
use crate::environment::zone;
use crate::script::{Faults, Millis, Placement, Script, Setting, SubnetPlace};
use jiff::Timestamp;
use multi_eni_api::names::{
    ENIATTACHMENT_FINALIZER, GROUP, NODEENI_FINALIZER, TAG_ATTACHMENT_UID, TAG_CLUSTER, client_token,
};
use multi_eni_sim::ec2::{
    Attachment, AttachmentStatus, By, CallRecord, ConnectionTracking, Creator, Eni, Happening, Outcome, Shape,
};
use multi_eni_sim::kube::{GroupResource, ObjectChange};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The actor of everything that the checker judges: a replica's process.
const REPLICA: &str = "a1";
/// An actor that is no replica. What it does violates no invariant.
const KUBECTL: &str = "kubectl";
const CLUSTER: &str = "the cluster";
const SUBNET: &str = "subnet-00000001";
const INSTANCE: &str = "i-00000001";
const NODE: &str = "n1";
const NODEENI: &str = "e1";
const NODEENI_UID: &str = "nodeeni-1";
const ATTACHMENT: &str = "e1-1";
const ATTACHMENT_UID: &str = "attachment-1";
const ENI: &str = "eni-00000001";
const OTHER: &str = "eni-00000002";
/// When the ENI of [`World::settled`] was attached, which is the last event there.
const SETTLED: Millis = 4_000;
/// From this time on no outdated view excuses an action on that ENI.
const LATER: Millis = SETTLED + MAX_STALENESS;

/// A state, and the objects and interfaces in it, so that each event can report the state before it.
struct World {
    state: State,
    objects: BTreeMap<(&'static str, String), Value>,
    enis: BTreeMap<String, Eni>,
}

impl World {
    /// A script without events.
    fn script(setting: Setting) -> Script {
        let place = subnet_place(SUBNET);
        Script {
            about: String::new(),
            seed: 1,
            setting: Setting { subnets: vec![place], ..setting },
            events: Vec::new(),
            trouble: Faults::default(),
            calm_at: 0,
            idle_hour: false,
        }
    }

    /// A world without events.
    fn new(setting: Setting) -> Self {
        let script = Self::script(setting);
        let state = State::new(CLUSTER, &script, Detail::None);
        Self { state, objects: BTreeMap::new(), enis: BTreeMap::new() }
    }

    /// A world with one ENI that is desired and works.
    fn settled() -> Self {
        Self::settled_in(Setting::default())
    }

    fn settled_in(setting: Setting) -> Self {
        let mut world = Self::new(setting);
        world.joined(0);
        world.stores(1_000, REPLICA, "eniattachments", attachment_object(ATTACHMENT, ATTACHMENT_UID, 1));
        world.has(2_000, &by(REPLICA, "CreateNetworkInterface"), made(ENI, ATTACHMENT_UID));
        let attaching = on(made(ENI, ATTACHMENT_UID), 1, AttachmentStatus::Attaching);
        world.has(3_000, &by(REPLICA, "AttachNetworkInterface"), attaching);
        world.has(SETTLED, &By::Time, on(made(ENI, ATTACHMENT_UID), 1, AttachmentStatus::Attached));
        holds(&world);
        world
    }

    /// Creates a Node, and a NodeENI that asks for an ENI there.
    fn joined(&mut self, at: Millis) {
        let labels = json!({ "ng": "x", "topology.kubernetes.io/zone": zone("a") });
        let provider = format!("aws:///{}/{INSTANCE}", zone("a"));
        self.stores(
            at,
            KUBECTL,
            "nodes",
            json!({ "metadata": { "name": NODE, "labels": labels }, "spec": { "providerID": provider } }),
        );
        let metadata = json!({ "name": NODEENI, "uid": NODEENI_UID, "finalizers": [NODEENI_FINALIZER] });
        let spec = json!({ "nodeSelector": { "ng": "x" }, "subnetID": SUBNET, "deviceIndex": 1 });
        self.stores(at, KUBECTL, "nodeenis", json!({ "metadata": metadata, "spec": spec }));
    }

    /// Creates or replaces an object.
    fn stores(&mut self, at: Millis, actor: &str, resource: &'static str, after: Value) {
        let name = after["metadata"]["name"].as_str().unwrap().to_owned();
        let before = self.objects.insert((resource, name.clone()), after.clone());
        self.object(at, actor, resource, &name, before.as_ref(), Some(&after));
    }

    /// Writes one field of an object.
    fn writes(&mut self, at: Millis, actor: &str, resource: &'static str, name: &str, field: [&str; 2], value: Value) {
        let mut object = self.objects[&(resource, name.to_owned())].clone();
        object[field[0]][field[1]] = value;
        self.stores(at, actor, resource, object);
    }

    /// Marks an object as being deleted.
    fn deletes(&mut self, at: Millis, actor: &str, resource: &'static str, name: &str) {
        self.writes(at, actor, resource, name, ["metadata", "deletionTimestamp"], json!("2026-01-01T00:00:00Z"));
    }

    /// Removes an object's last finalizer, and so the object.
    fn lets_go(&mut self, at: Millis, actor: &str, resource: &'static str, name: &str) {
        let before = self.objects.remove(&(resource, name.to_owned()));
        self.object(at, actor, resource, name, before.as_ref(), None);
    }

    fn object(
        &mut self,
        at: Millis,
        actor: &str,
        resource: &str,
        name: &str,
        before: Option<&Value>,
        after: Option<&Value>,
    ) {
        let group = match resource {
            "nodes" | "pods" => "",
            "leases" => "coordination.k8s.io",
            _ => GROUP,
        };
        let resource = &GroupResource::new(group, resource);
        self.state.object(at, &ObjectChange { actor, resource, namespace: "", name, before, after });
    }

    /// Creates or changes an interface.
    fn has(&mut self, at: Millis, by: &By, after: Eni) {
        let before = self.enis.insert(after.id.clone(), after.clone());
        let (id, before, after) = (after.id.as_str(), before.as_ref(), Some(&after));
        self.state.ec2(at, &Happening::Changed { id, before, after, by });
    }

    /// Deletes an interface.
    fn has_no(&mut self, at: Millis, by: &By, id: &str) {
        let before = self.enis.remove(id);
        self.state.ec2(at, &Happening::Changed { id, before: before.as_ref(), after: None, by });
    }

    /// The current state of an interface, to be changed.
    fn eni(&self, id: &str) -> Eni {
        self.enis[id].clone()
    }

    /// A replica detaches the ENI.
    fn detaches(&mut self, at: Millis) {
        let detaching = on(self.eni(ENI), 1, AttachmentStatus::Detaching);
        self.has(at, &by(REPLICA, "DetachNetworkInterface"), detaching);
    }
}

/// Asserts that the invariant is violated, and that the violation says these words.
#[track_caller]
fn breaks(world: &World, invariant: Invariant, words: &str) {
    let breach = world.state.breach.as_ref();
    let is_reported = breach.is_some_and(|breach| breach.invariant == invariant && breach.how.contains(words));
    assert!(is_reported, "{invariant} should break with {words:?}: {breach:?}");
}

/// Asserts that no invariant is violated.
#[track_caller]
fn holds(world: &World) {
    assert_eq!(world.state.breach, None);
}

#[test]
fn only_the_first_violation_counts() {
    let mut world = World::settled();
    world.detaches(LATER);
    world.has_no(LATER + 1, &by(REPLICA, "DeleteNetworkInterface"), ENI);
    world.lets_go(LATER + 2, REPLICA, "nodeenis", NODEENI);
    breaks(&world, Invariant::NothingUnasked, "works and fits its NodeENI");
    assert_eq!(world.state.breach.map(|breach| breach.at), Some(LATER));
}

/// A subnet of zone a, without a name.
fn subnet_place(id: &str) -> SubnetPlace {
    let (id, zone) = (id.to_owned(), "a".to_owned());
    let placement = Placement::Region;
    SubnetPlace { id, zone, name: None, pool: None, tiny: false, ipv6_only: false, shared: false, placement }
}

/// An ENIAttachment, as a replica creates it.
fn attachment_object(name: &str, uid: &str, index: u32) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1alpha1"),
        "kind": "ENIAttachment",
        "metadata": { "name": name, "uid": uid, "finalizers": [ENIATTACHMENT_FINALIZER] },
        "spec": {
            "nodeName": NODE,
            "nodeUID": "node-1",
            "instanceID": INSTANCE,
            "nodeENIName": NODEENI,
            "nodeENIUID": NODEENI_UID,
            "request": { "subnetID": SUBNET, "deviceIndex": index },
        },
        "status": { "attempt": 0 },
    })
}

/// A list with one condition.
fn condition(kind: &str, status: &str, reason: &str) -> Value {
    let since = "2026-01-01T00:00:00Z";
    json!([{ "type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": since }])
}

/// An interface without tags.
fn bare(id: &str) -> Eni {
    Eni {
        id: id.to_owned(),
        subnet_id: SUBNET.to_owned(),
        vpc_id: "vpc-00000001".to_owned(),
        zone: zone("a"),
        outpost: None,
        description: String::new(),
        groups: Vec::new(),
        tags: BTreeMap::new(),
        interface_type: "interface".to_owned(),
        mac_address: "02:00:00:00:00:01".to_owned(),
        private_ips: Vec::new(),
        ipv4_prefixes: Vec::new(),
        ipv6_addresses: Vec::new(),
        ipv6_prefixes: Vec::new(),
        source_dest_check: true,
        connection_tracking: ConnectionTracking::default(),
        requester_managed: false,
        managed: false,
        other_owner: None,
        shape: Shape::default(),
        created: Timestamp::UNIX_EPOCH,
        created_by: Creator::Call,
        client_token: None,
        attachment: None,
    }
}

/// An interface, as a replica creates it for the first attempt of an ENIAttachment.
fn made(id: &str, uid: &str) -> Eni {
    Eni { client_token: Some(client_token(uid, 0)), ..tagged(bare(id), CLUSTER, uid) }
}

fn tagged(mut eni: Eni, cluster: &str, uid: &str) -> Eni {
    eni.tags.insert(TAG_CLUSTER.to_owned(), cluster.to_owned());
    eni.tags.insert(TAG_ATTACHMENT_UID.to_owned(), uid.to_owned());
    eni
}

/// The interface, attached in a slot of the instance.
fn on(mut eni: Eni, device_index: u32, status: AttachmentStatus) -> Eni {
    eni.attachment = Some(Attachment {
        id: format!("eni-attach-{}-{device_index}", eni.id),
        instance_id: INSTANCE.to_owned(),
        network_card_index: 0,
        device_index,
        status,
        delete_on_termination: true,
        attach_time: Timestamp::UNIX_EPOCH,
        stuck: None,
    });
    eni
}

/// A call that changes an interface.
fn by(actor: &str, action: &str) -> By {
    By::Call(Box::new(call(actor, action)))
}

fn call(actor: &str, action: &str) -> CallRecord {
    CallRecord {
        number: 1,
        received: Timestamp::UNIX_EPOCH,
        landed: Timestamp::UNIX_EPOCH,
        action: action.to_owned(),
        user_agent: actor.to_owned(),
        eni_id: None,
        instance_id: None,
        attachment_id: None,
        subnet_id: None,
        client_token: None,
        slot: None,
        force: false,
        filters: BTreeMap::new(),
        dry_run: false,
        items: None,
        outcome: Outcome::Done,
        fault: None,
    }
}
