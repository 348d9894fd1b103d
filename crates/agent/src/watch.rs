//! The watch of this node's ENIAttachments. The API server filters by `spec.nodeName`; there is no polling. An object that cannot
//! be read does not hide the others.

use crate::wanted::WantedEni;
use futures::{Stream, TryStreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use multi_eni_api::ENIAttachment;
use multi_eni_api::conditions::types;
use multi_eni_api::node_status::NodeStatus;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What the agent keeps of an ENIAttachment.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What it asks for. None: it is being deleted and asks for nothing.
    pub wanted: Option<WantedEni>,
    /// Its UID.
    pub uid: String,
    /// What the agent reported last, as the API server has it.
    pub reported: Reported,
}

/// The agent's part of a status.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reported {
    /// `status.node`.
    pub node: Option<NodeStatus>,
    /// The condition Configured.
    pub configured: Option<Condition>,
}

/// The ENIAttachments of this node.
#[derive(Debug, Default)]
pub struct Attachments {
    /// By name. None until the first list is complete: until then nothing is known, and nothing may be taken back.
    entries: Option<BTreeMap<String, Entry>>,
    /// The list that is coming in.
    incoming: BTreeMap<String, Entry>,
}

impl Attachments {
    /// The entries, once the first list is complete.
    pub fn entries(&self) -> Option<&BTreeMap<String, Entry>> {
        self.entries.as_ref()
    }

    /// What the node is to have, once the first list is complete.
    pub fn wanted(&self) -> Option<Vec<WantedEni>> {
        Some(self.entries.as_ref()?.values().filter_map(|entry| entry.wanted.clone()).collect())
    }

    /// Notes that the agent has written its part.
    pub fn note_reported(&mut self, name: &str, reported: Reported) {
        if let Some(entry) = self.entries.as_mut().and_then(|entries| entries.get_mut(name)) {
            entry.reported = reported;
        }
    }

    /// Takes one event. The result is whether the node must be looked at.
    pub fn take(&mut self, event: watcher::Event<DynamicObject>) -> bool {
        match event {
            watcher::Event::Init => {
                self.incoming.clear();
                false
            }
            watcher::Event::InitApply(object) => {
                self.incoming.insert(object.name_any(), read(&object));
                false
            }
            watcher::Event::InitDone => {
                self.entries = Some(std::mem::take(&mut self.incoming));
                true
            }
            watcher::Event::Apply(object) => {
                let (name, entry) = (object.name_any(), read(&object));
                let Some(entries) = &mut self.entries else { return false };
                let old = entries.insert(name, entry.clone());
                // The agent's own writes come back, too.
                old.is_none_or(|old| old.wanted != entry.wanted || old.reported != entry.reported)
            }
            watcher::Event::Delete(object) => {
                self.entries.as_mut().is_some_and(|entries| entries.remove(&object.name_any()).is_some())
            }
        }
    }
}

/// The events of the watch. Errors are logged, and the watch goes on after a back-off.
pub fn events(
    client: Client,
    node_name: &str,
) -> impl Stream<Item = Result<watcher::Event<DynamicObject>, watcher::Error>> {
    let api: Api<DynamicObject> = Api::all_with(client, &ApiResource::erase::<ENIAttachment>(&()));
    let config = watcher::Config::default().fields(&format!("spec.nodeName={node_name}"));
    watcher(api, config)
        .default_backoff()
        .inspect_err(|error| tracing::warn!(%error, "the watch of ENIAttachments failed"))
}

fn read(object: &DynamicObject) -> Entry {
    let uid = object.uid().unwrap_or_default();
    let value = serde_json::to_value(object).unwrap_or_default();
    match serde_json::from_value::<ENIAttachment>(value.clone()) {
        Ok(attachment) => {
            let status = attachment.status.as_ref();
            let configured = status.and_then(|status| status.conditions.iter().find(|c| c.type_ == types::CONFIGURED));
            let node = status.and_then(|status| status.node.as_deref());
            let reported = Reported { node: node.cloned(), configured: configured.cloned() };
            Entry { wanted: WantedEni::read(&attachment), uid, reported }
        }
        Err(error) => {
            let wanted = WantedEni::read_remains(&value, &error.to_string());
            Entry { wanted, uid, reported: reported_remains(&value) }
        }
    }
}

/// The agent's part of an object that is no ENIAttachment of this version. Without it the agent would write the same report for ever.
fn reported_remains(object: &serde_json::Value) -> Reported {
    let conditions = object.pointer("/status/conditions").and_then(|conditions| conditions.as_array());
    let configured = conditions.into_iter().flatten().find(|condition| condition["type"] == types::CONFIGURED);
    Reported {
        node: object.pointer("/status/node").and_then(|node| NodeStatus::deserialize(node).ok()),
        configured: configured.and_then(|condition| Condition::deserialize(condition).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(name: &str, change: impl FnOnce(&mut Value)) -> DynamicObject {
        let mut value = json!({
            "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "ENIAttachment",
            "metadata": { "name": name, "uid": name },
            "spec": { "nodeName": "n", "nodeUID": "u", "instanceID": "i-1", "nodeENIName": "a", "nodeENIUID": "b",
                "request": { "subnetID": "subnet-00000001", "deviceIndex": 1 } },
            "status": { "macAddress": "02:00:00:00:00:01" },
        });
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn nothing_is_known_before_the_first_list_is_complete() {
        let mut attachments = Attachments::default();
        assert!(!attachments.take(watcher::Event::Init));
        assert!(!attachments.take(watcher::Event::InitApply(object("one", |_| ()))));
        assert_eq!(attachments.wanted(), None);
        assert!(attachments.take(watcher::Event::InitDone));
        assert_eq!(attachments.wanted().unwrap().len(), 1);
    }

    #[test]
    fn during_a_new_list_the_old_one_counts() {
        let mut attachments = Attachments::default();
        for event in [watcher::Event::Init, watcher::Event::InitApply(object("one", |_| ())), watcher::Event::InitDone]
        {
            attachments.take(event);
        }
        attachments.take(watcher::Event::Init);
        assert_eq!(attachments.wanted().unwrap().len(), 1);
        attachments.take(watcher::Event::InitDone);
        assert_eq!(attachments.wanted().unwrap().len(), 0);
    }

    #[test]
    fn an_event_that_changes_nothing_for_the_node_asks_for_no_look() {
        let mut attachments = Attachments::default();
        attachments.take(watcher::Event::InitDone);
        assert!(attachments.take(watcher::Event::Apply(object("one", |_| ()))));
        let phase = |phase: &'static str| object("one", move |o| o["status"]["phase"] = json!(phase));
        assert!(!attachments.take(watcher::Event::Apply(phase("Attaching"))));
        assert!(attachments.take(watcher::Event::Apply(phase("Attached"))), "the link is to appear from now on");
        assert!(
            attachments.take(watcher::Event::Apply(object("one", |o| o["status"]["privateIPs"] = json!(["10.0.0.9"]))))
        );
        assert!(attachments.take(watcher::Event::Delete(object("one", |_| ()))));
    }

    #[test]
    fn the_report_in_an_object_with_a_newer_phase_is_known() {
        let condition = json!({ "type": "Configured", "status": "False", "reason": "InvalidNodeConfig", "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let newer = object("one", |o| {
            o["status"] = json!({ "macAddress": "02:00:00:00:00:01", "phase": "Resting", "node": { "message": "m" },
                "conditions": [condition] });
        });
        let entry = read(&newer);
        assert!(entry.wanted.unwrap().unusable.is_some());
        assert_eq!(entry.reported.node.unwrap().message.as_deref(), Some("m"));
        assert_eq!(entry.reported.configured.unwrap().reason, "InvalidNodeConfig");
    }

    #[test]
    fn an_object_that_cannot_be_read_says_so_and_keeps_its_mac() {
        let mut attachments = Attachments::default();
        attachments.take(watcher::Event::InitDone);
        attachments.take(watcher::Event::Apply(object("bad", |o| o["spec"]["request"]["tags"] = json!(7))));
        attachments.take(watcher::Event::Apply(object("good", |_| ())));
        let wanted = attachments.wanted().unwrap();
        assert_eq!(wanted.len(), 2);
        assert!(wanted[0].unusable.is_some() && wanted[0].mac.is_some() && wanted[0].index == 1);
        assert!(wanted[1].unusable.is_none());
    }
}
