//! The watches, as one stream of changes in plain data.

mod backoff;
mod outage;
mod resume;

use crate::convert::{self, NodeIdentity};
use crate::store::{AttachmentEntry, NodeEniEntry};
use futures::stream::{self, BoxStream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource, ResourceExt};
use multi_eni_api::{ENIAttachment, NodeENI};
use multi_eni_plan::observed::ObservedNode;
use multi_eni_plan::pods::ObservedPod;
use outage::Outage;
use resume::resumed;
use std::fmt::Debug;
use std::sync::Arc;

/// One change of one kind.
#[derive(Debug)]
pub enum Watched<T> {
    /// A new list begins: what it does not bring is gone.
    Begin,
    /// An object of that list.
    Seed(T),
    /// The list is whole.
    End,
    /// Created or changed.
    Apply(T),
    /// Gone.
    Gone {
        /// Its name.
        name: String,
        /// Its UID: another object may have its name by now.
        uid: String,
        /// The resourceVersion of its end.
        version: String,
    },
}

/// A change of any kind.
#[derive(Debug)]
pub enum Change {
    /// Of a Node.
    Node(Watched<ObservedNode>),
    /// Of a NodeENI.
    NodeEni(Box<Watched<NodeEniEntry>>),
    /// Of an ENIAttachment.
    Attachment(Watched<Arc<AttachmentEntry>>),
    /// Of a Pod.
    Pod(Watched<ObservedPod>),
    /// Of one of our CRDs: its name, and whether it is being deleted.
    Crd {
        /// Its name.
        name: &'static str,
        /// It has a deletionTimestamp.
        terminating: bool,
    },
    /// The API server answers again after it did not.
    ApiAnswers,
}

/// Objects that are listed at a time: a page is in memory as a whole.
const A_PAGE: u32 = 500;
/// Each of these has 10 to 20 KiB.
const NODES_A_PAGE: u32 = 100;

const CRDS: [&str; 2] = ["nodeenis.networking.k8s.aws", "eniattachments.networking.k8s.aws"];

/// All changes from now on, lists first. Broken watches are resumed with back-off, and said in the log. Pods are watched only
/// if an annotation is given by which they name NodeENIs. `identity` tells processes apart.
pub fn changes(client: &Client, pod_annotation: Option<&str>, identity: &str) -> BoxStream<'static, Change> {
    let outage = Outage::default();
    let nodes = watch(Api::<NodeIdentity>::all(client.clone()), NODES_A_PAGE, &outage, convert::node).map(Change::Node);
    // Guarded: one object that cannot be read must not hide the others.
    let nodeenis = watch(Api::<DeserializeGuard<NodeENI>>::all(client.clone()), A_PAGE, &outage, |object| {
        NodeEniEntry::read(&object.0)
    })
    .map(|change| Change::NodeEni(Box::new(change)));
    let attachments = watch(Api::<DeserializeGuard<ENIAttachment>>::all(client.clone()), A_PAGE, &outage, |object| {
        AttachmentEntry::read_guarded(&object.0)
    })
    .map(Change::Attachment);
    // In the order of their arrival. Only what has news is polled.
    let crds = CRDS.map(|name| watch_crd(client, name, &outage)).into_iter();
    let pods = pod_annotation.map(|annotation| {
        let annotation = annotation.to_owned();
        watch(Api::<Pod>::all(client.clone()), A_PAGE, &outage, move |pod| convert::pod(pod, &annotation))
            .map(Change::Pod)
            .boxed()
    });
    let ends = outage.ends(client.clone(), identity.to_owned()).map(|()| Change::ApiAnswers).boxed();
    stream::select_all(crds.chain([nodes.boxed(), nodeenis.boxed(), attachments.boxed()]).chain(pods).chain([ends]))
        .boxed()
}

fn watch_crd(client: &Client, name: &'static str, outage: &Outage) -> BoxStream<'static, Change> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let crds = watcher::watcher(Api::<PartialObjectMeta<CustomResourceDefinition>>::all(client.clone()), config);
    resumed(crds, format!("CRD {name}"), outage.clone())
        .filter_map(move |event| {
            let change = match event {
                Event::InitApply(crd) | Event::Apply(crd) => {
                    Some(Change::Crd { name, terminating: crd.metadata.deletion_timestamp.is_some() })
                }
                // Gone, with every object: the other watches tell.
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
    outage: &Outage,
    read: impl Fn(&K) -> T + Send + 'static,
) -> BoxStream<'static, Watched<T>>
where
    K: Resource + Clone + Debug + Send + serde::de::DeserializeOwned + 'static,
    K::DynamicType: Default,
    T: Send + 'static,
{
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    let config = watcher::Config::default().page_size(page);
    resumed(watcher::watcher(api, config), kind, outage.clone())
        .map(move |event| match event {
            Event::Init => Watched::Begin,
            Event::InitApply(object) => Watched::Seed(read(&object)),
            Event::InitDone => Watched::End,
            Event::Apply(object) => Watched::Apply(read(&object)),
            Event::Delete(object) => {
                let version = object.resource_version().unwrap_or_default();
                let name = match object.namespace() {
                    Some(namespace) => format!("{namespace}/{}", object.name_any()),
                    None => object.name_any(),
                };
                Watched::Gone { name, uid: object.uid().unwrap_or_default(), version }
            }
        })
        .boxed()
}
