//! Events on Nodes and NodeENIs: best effort, at most one a transition.

use crate::client::WRITE_TIMEOUT;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use multi_eni_api::names::{GROUP, VERSION, short_digest};

/// Events of cluster-scoped objects live here.
const NAMESPACE: &str = "default";

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A Node, by name and UID.
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
pub struct Announcement {
    /// About what.
    pub about: About,
    /// A warning, or just so that people know.
    pub warning: bool,
    /// CamelCase word.
    pub reason: &'static str,
    /// What was done.
    pub action: &'static str,
    /// Sentence.
    pub note: String,
}

/// Publishes events.
#[derive(Clone)]
pub struct Publisher {
    api: Api<Event>,
    instance: String,
}

impl Publisher {
    /// As `instance` (the holder identity), through a client behind the fence.
    pub fn new(client: Client, instance: String) -> Self {
        Self { api: Api::namespaced(client, NAMESPACE), instance }
    }

    /// Publishes; a failure is logged and forgotten.
    pub async fn publish(&self, announcement: Announcement, now: Timestamp) {
        let event = self.event(announcement, now);
        match tokio::time::timeout(WRITE_TIMEOUT, self.api.create(&PostParams::default(), &event)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "an event could not be published"),
            Err(_) => tracing::debug!("an event could not be published in time"),
        }
    }

    fn event(&self, announcement: Announcement, now: Timestamp) -> Event {
        let Announcement { about, warning, reason, action, mut note } = announcement;
        // The API server takes 1,024 bytes at most.
        while note.len() > 1000 {
            note.pop();
        }
        let regarding = match about {
            // kubectl describe finds a Node's events by its name as UID, as the kubelet writes them.
            About::Node { name } => ObjectReference {
                kind: Some("Node".to_owned()),
                api_version: Some("v1".to_owned()),
                uid: Some(name.clone()),
                name: Some(name),
                ..ObjectReference::default()
            },
            About::NodeEni { name, uid } => ObjectReference {
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
