//! The three watches, as one stream of changes in plain data.

use crate::facts;
use crate::world::{AttachmentEntry, NodeEniEntry};
use futures::stream::{self, BoxStream, StreamExt};
use k8s_openapi::api::core::v1::Node;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource, ResourceExt};
use multi_eni_api::{ENIAttachment, NodeENI};
use multi_eni_plan::facts::NodeFacts;
use std::fmt::Debug;

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
    /// Gone, by name.
    Gone(String),
}

/// A change of any kind.
#[derive(Debug)]
pub enum Change {
    /// Of a Node.
    Node(Watched<NodeFacts>),
    /// Of a NodeENI.
    NodeEni(Box<Watched<NodeEniEntry>>),
    /// Of an ENIAttachment.
    Attachment(Box<Watched<AttachmentEntry>>),
}

/// All changes from now on, lists first. Broken watches are resumed with back-off, and said in the log.
pub fn changes(client: &Client) -> BoxStream<'static, Change> {
    let nodes = watch(Api::<Node>::all(client.clone()), facts::node).map(Change::Node);
    // Guarded: one object that cannot be read must not hide the others.
    let nodeenis = watch(Api::<DeserializeGuard<NodeENI>>::all(client.clone()), |object| NodeEniEntry::read(&object.0))
        .map(|change| Change::NodeEni(Box::new(change)));
    let attachments = watch(Api::<ENIAttachment>::all(client.clone()), AttachmentEntry::read)
        .map(|change| Change::Attachment(Box::new(change)));
    stream::select(nodes, stream::select(nodeenis, attachments)).boxed()
}

fn watch<K, T>(api: Api<K>, read: impl Fn(&K) -> T + Send + 'static) -> BoxStream<'static, Watched<T>>
where
    K: Resource + Clone + Debug + Send + serde::de::DeserializeOwned + 'static,
    K::DynamicType: Default,
    T: Send + 'static,
{
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    let config = watcher::Config::default().page_size(500);
    watcher::watcher(api, config)
        .default_backoff()
        .filter_map(move |event| {
            let change = match event {
                Ok(Event::Init) => Some(Watched::Begin),
                Ok(Event::InitApply(object)) => Some(Watched::Seed(read(&object))),
                Ok(Event::InitDone) => Some(Watched::End),
                Ok(Event::Apply(object)) => Some(Watched::Apply(read(&object))),
                Ok(Event::Delete(object)) => Some(Watched::Gone(object.name_any())),
                Err(error) => {
                    tracing::warn!(%kind, %error, "watch broken, resumed with back-off");
                    None
                }
            };
            futures::future::ready(change)
        })
        .boxed()
}
