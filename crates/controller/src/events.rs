//! Events on Nodes, NodeENIs and ENIAttachments. Publishing is best effort: a failure is logged at debug level and not repeated.

use crate::client::WRITE_TIMEOUT;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use multi_eni_api::names::{GROUP, VERSION, short_digest};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The longest name of an object that the API server takes.
const MAX_NAME: usize = 253;

/// How many Events are published at a time. Thousands of ENIAttachments may become attached at once.
const EVENTS_AT_ONCE: usize = 64;

/// The namespace for events of cluster-scoped objects.
const NAMESPACE: &str = "default";

/// The object of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Regarding {
    /// A Node.
    Node {
        /// Its name.
        name: String,
    },
    /// A NodeENI.
    NodeEni {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
    },
    /// An ENIAttachment.
    Attachment {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
    },
}

/// One event to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The object.
    pub regarding: Regarding,
    /// True: type Warning. False: type Normal.
    pub warning: bool,
    /// A CamelCase word.
    pub reason: &'static str,
    /// The action that was taken.
    pub action: &'static str,
    /// A sentence.
    pub note: String,
}

/// Publishes events.
#[derive(Clone)]
pub struct EventRecorder {
    api: Api<Event>,
    instance: String,
    permits: Arc<Semaphore>,
}

impl EventRecorder {
    /// Publishes as `instance`, the holder identity, through a client behind the fence.
    pub fn new(client: Client, instance: String) -> Self {
        Self { api: Api::namespaced(client, NAMESPACE), instance, permits: Arc::new(Semaphore::new(EVENTS_AT_ONCE)) }
    }

    /// Publishes an event. A failure is only logged.
    pub async fn publish(&self, event: NewEvent, now: Timestamp) {
        let event = self.event(event, now);
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await.ok();
        match tokio::time::timeout(WRITE_TIMEOUT, self.api.create(&PostParams::default(), &event)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "event not published"),
            Err(_) => tracing::debug!("event not published in time"),
        }
    }

    fn event(&self, event: NewEvent, now: Timestamp) -> Event {
        let NewEvent { regarding, warning, reason, action, mut note } = event;
        // The API server allows at most 1,024 bytes.
        while note.len() > 1000 {
            note.pop();
        }
        let regarding = match regarding {
            // `kubectl describe` looks for a Node's events by its name in the field `uid`, as the kubelet writes them.
            Regarding::Node { name } => ObjectReference {
                kind: Some("Node".to_owned()),
                api_version: Some("v1".to_owned()),
                uid: Some(name.clone()),
                name: Some(name),
                ..ObjectReference::default()
            },
            Regarding::NodeEni { name, uid } => of_ours("NodeENI", name, uid),
            Regarding::Attachment { name, uid } => of_ours("ENIAttachment", name, uid),
        };
        let subject = regarding.name.clone().unwrap_or_default();
        let digest = short_digest(&format!("{subject}/{reason}/{note}/{now}"));
        Event {
            metadata: ObjectMeta {
                name: Some(event_name(&subject, &digest, now)),
                namespace: Some(NAMESPACE.to_owned()),
                ..ObjectMeta::default()
            },
            action: Some(action.to_owned()),
            reason: Some(reason.to_owned()),
            note: Some(note),
            type_: Some(if warning { "Warning" } else { "Normal" }.to_owned()),
            event_time: Some(MicroTime(now)),
            regarding: Some(regarding),
            reporting_controller: Some("networking.k8s.aws/multi-eni".to_owned()),
            reporting_instance: Some(self.instance.chars().take(128).collect()),
            ..Event::default()
        }
    }
}

/// One of the cluster-scoped objects of our API group.
fn of_ours(kind: &str, name: String, uid: String) -> ObjectReference {
    ObjectReference {
        kind: Some(kind.to_owned()),
        api_version: Some(format!("{GROUP}/{VERSION}")),
        name: Some(name),
        uid: Some(uid),
        ..ObjectReference::default()
    }
}

/// The name of an Event: the object's, shortened if necessary, and what makes the Event unique.
fn event_name(subject: &str, digest: &str, now: Timestamp) -> String {
    let unique = format!("{digest}{:x}", now.as_microsecond());
    let kept: String = subject.chars().take(MAX_NAME.saturating_sub(unique.len() + 1)).collect();
    // Before the dot of a name stands a letter or a digit.
    format!("{}.{unique}", kept.trim_end_matches(['.', '-']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_event_is_never_longer_than_the_api_server_takes() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let short = event_name("pool-0a1b2c3d-i-0123456789abcdef0-0-2", "00c0ffee", now);
        assert_eq!(short, format!("pool-0a1b2c3d-i-0123456789abcdef0-0-2.00c0ffee{:x}", now.as_microsecond()));
        for subject in ["a".repeat(253), format!("{}.{}", "a".repeat(228), "b".repeat(24)), "-".repeat(253)] {
            let name = event_name(&subject, "00c0ffee", now);
            assert!(name.len() <= MAX_NAME, "{}: {name}", name.len());
            assert!(!name.contains("..") && !name.contains("-."), "{name}");
        }
        assert!(event_name(&"a".repeat(253), "00c0ffee", now).len() > 250, "no more is cut than necessary");
    }
}
