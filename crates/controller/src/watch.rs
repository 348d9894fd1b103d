//! The watches of all kinds, merged into one stream of changes in plain data. A watch that breaks is resumed here. What a change
//! means is decided elsewhere.

mod backoff;
pub(crate) mod change;
mod outage_probe;
mod retry;

pub use change::{Change, Watched};

use crate::metrics::Counters;
use crate::node_and_pod::{self, NodeIdentity};
use crate::store::entries::{AttachmentEntry, NodeEniEntry};
use futures::stream::{self, BoxStream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource, ResourceExt};
use multi_eni_api::{ENIAttachment, NodeENI};
use retry::{SharedByWatches, resumed};
use std::fmt::Debug;
use std::sync::Arc;

/// Objects in one page of a list. A page is in memory as a whole.
const PAGE_SIZE: u32 = 500;
/// Nodes in one page: a Node has 10 to 20 KiB.
const NODES_PAGE_SIZE: u32 = 100;

const CRDS: [&str; 2] = ["nodeenis.networking.k8s.aws", "eniattachments.networking.k8s.aws"];

/// All changes, lists first. Broken watches are resumed with back-off and logged. Pods are watched only if `pod_annotation` is
/// given, the annotation by which Pods name NodeENIs. `identity` differs between processes and spreads their probes. `restarts`
/// counts how often watches are resumed.
pub fn changes(
    client: &Client,
    pod_annotation: Option<&str>,
    identity: &str,
    restarts: &Arc<Counters>,
) -> BoxStream<'static, Change> {
    let shared = SharedByWatches { restarts: restarts.clone(), ..SharedByWatches::default() };
    let nodes = watch(Api::<NodeIdentity>::all(client.clone()), NODES_PAGE_SIZE, &shared, |node| {
        Box::new(node_and_pod::node(node))
    })
    .map(Change::Node);
    // Guarded: one object that cannot be parsed must not hide the others.
    let nodeenis = watch(Api::<DeserializeGuard<NodeENI>>::all(client.clone()), PAGE_SIZE, &shared, |object| {
        Arc::new(NodeEniEntry::read(&object.0))
    })
    .map(Change::NodeEni);
    let attachments =
        watch(Api::<DeserializeGuard<ENIAttachment>>::all(client.clone()), PAGE_SIZE, &shared, |object| {
            AttachmentEntry::read_guarded(&object.0)
        })
        .map(Change::Attachment);
    // `select_all` polls only the streams that have an item, in the order in which the items arrive.
    let crds = CRDS.map(|name| watch_crd(client, name, &shared)).into_iter();
    let pods = pod_annotation.map(|annotation| {
        let annotation = annotation.to_owned();
        watch(Api::<Pod>::all(client.clone()), PAGE_SIZE, &shared, move |pod| node_and_pod::pod(pod, &annotation))
            .map(Change::Pod)
            .boxed()
    });
    let ends = shared.outage.ends(client.clone(), identity.to_owned()).map(|()| Change::ApiAnswers).boxed();
    stream::select_all(crds.chain([nodes.boxed(), nodeenis.boxed(), attachments.boxed()]).chain(pods).chain([ends]))
        .boxed()
}

fn watch_crd(client: &Client, name: &'static str, shared: &SharedByWatches) -> BoxStream<'static, Change> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let crds = watcher::watcher(Api::<PartialObjectMeta<CustomResourceDefinition>>::all(client.clone()), config);
    resumed(crds, format!("CRD {name}"), shared.clone())
        .filter_map(move |event| {
            let change = match event {
                Event::InitApply(crd) | Event::Apply(crd) => {
                    Some(Change::Crd { name, terminating: crd.metadata.deletion_timestamp.is_some() })
                }
                // The CRD is gone with all its objects: the other watches report those.
                Event::Delete(_) => Some(Change::Crd { name, terminating: false }),
                Event::Init | Event::InitDone => None,
            };
            futures::future::ready(change)
        })
        .boxed()
}

fn watch<K, T>(
    api: Api<K>,
    page: u32,
    shared: &SharedByWatches,
    read: impl Fn(&K) -> T + Send + 'static,
) -> BoxStream<'static, Watched<T>>
where
    K: Resource + Clone + Debug + Send + serde::de::DeserializeOwned + 'static,
    K::DynamicType: Default,
    T: Send + 'static,
{
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    let config = watcher::Config::default().page_size(page);
    resumed(watcher::watcher(api, config), kind, shared.clone())
        .map(move |event| match event {
            Event::Init => Watched::Init,
            Event::InitApply(object) => Watched::InitApply(read(&object)),
            Event::InitDone => Watched::InitDone,
            Event::Apply(object) => Watched::Apply(read(&object)),
            Event::Delete(object) => {
                let version = object.resource_version().unwrap_or_default();
                let name = match object.namespace() {
                    Some(namespace) => format!("{namespace}/{}", object.name_any()),
                    None => object.name_any(),
                };
                Watched::Delete { name, uid: object.uid().unwrap_or_default(), version }
            }
        })
        .boxed()
}
