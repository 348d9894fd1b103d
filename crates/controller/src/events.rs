//! Events on Nodes and NodeENIs. Publishing is best effort: a failure is logged at debug level and not repeated.

use crate::client::WRITE_TIMEOUT;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use multi_eni_api::names::{GROUP, VERSION, short_digest};

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
}

impl EventRecorder {
    /// Publishes as `instance`, the holder identity, through a client behind the fence.
    pub fn new(client: Client, instance: String) -> Self {
        Self { api: Api::namespaced(client, NAMESPACE), instance }
    }

    /// Publishes an event. A failure is only logged.
    pub async fn publish(&self, event: NewEvent, now: Timestamp) {
        let event = self.event(event, now);
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
            Regarding::NodeEni { name, uid } => ObjectReference {
                kind: Some("NodeENI".to_owned()),
                api_version: Some(format!("{GROUP}/{VERSION}")),
                name: Some(name),
                uid: Some(uid),
                ..ObjectReference::default()
            },
        };
        let subject = regarding.name.clone().unwrap_or_default();
        let digest = short_digest(&format!("{reason}/{note}/{now}"));
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{subject}.{digest}{:x}", now.as_microsecond())),
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
