//! The watches of NodeENIs and ENIAttachments, merged into one stream. A watch that breaks is resumed; a list that the API server
//! refuses at the beginning ends the command. A kind whose CRD is missing has no objects.

use super::objects::{AttachmentObject, NodeEniObject};
use super::removal::Removal;
use super::rights::Need;
use crate::cli::api_error::{Command, is_right_missing, with_url_advice};
use crate::cli::missing_kind;
use crate::watch::Watched;
use futures::stream::{self, BoxStream, StreamExt};
use kube::api::WatchParams;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource, ResourceExt};
use multi_eni_api::{ENIAttachment, NodeENI};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Objects in one page of a list.
const PAGE_SIZE: u32 = 500;

/// One change, with the UID of the object.
#[derive(Debug)]
pub(super) enum ObjectChange {
    /// Of a NodeENI.
    NodeEni(Watched<(String, NodeEniObject)>),
    /// Of an ENIAttachment.
    Attachment(Watched<(String, AttachmentObject)>),
}

/// A change, or why a watch failed.
pub(super) type WatchResult = Result<ObjectChange, String>;

/// The plurals of the two kinds.
const NODEENIS: &str = "nodeenis";
const ATTACHMENTS: &str = "eniattachments";

/// A label that no object has.
const NO_OBJECT: &str = "multi-eni.networking.k8s.aws/none";

/// Begins a watch of each kind, without objects. The lists need no such right, and without it the command could not see what is
/// removed.
///
/// # Errors
/// If a right to watch is missing.
pub(super) async fn check_rights(kube: &Client) -> Result<(), String> {
    may_watch::<NodeENI>(kube, NODEENIS).await?;
    may_watch::<ENIAttachment>(kube, ATTACHMENTS).await
}

async fn may_watch<K>(kube: &Client, plural: &str) -> Result<(), String>
where
    K: Resource + Clone + Debug + DeserializeOwned,
    K::DynamicType: Default,
{
    let params = WatchParams::default().labels(NO_OBJECT).timeout(1);
    match Api::<K>::all(kube.clone()).watch(&params, "0").await {
        Err(error) if is_right_missing(&error) => Err(Need::Watch(plural).failed(&error)),
        // Another failure may pass, and the watch is begun again.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// All changes of both kinds, lists first.
pub(super) fn changes(kube: &Client) -> BoxStream<'static, WatchResult> {
    let nodeenis = watch::<DeserializeGuard<NodeENI>, _>(kube, NODEENIS, NodeEniObject::read);
    let attachments = watch::<DeserializeGuard<ENIAttachment>, _>(kube, ATTACHMENTS, AttachmentObject::read);
    stream::select(
        nodeenis.map(|change| change.map(ObjectChange::NodeEni)),
        attachments.map(|change| change.map(ObjectChange::Attachment)),
    )
    .boxed()
}

impl Removal {
    /// Takes a change. An error counts only before both lists are complete: later the watch is resumed.
    pub fn take(&mut self, change: WatchResult) -> Result<(), String> {
        match change {
            Ok(ObjectChange::NodeEni(change)) => self.nodeenis.take(change),
            Ok(ObjectChange::Attachment(change)) => self.attachments.take(change),
            Err(why) if self.is_known() => tracing::warn!("{why}"),
            Err(why) => return Err(why),
        }
        self.note_new();
        Ok(())
    }
}

fn watch<K, T>(
    kube: &Client,
    plural: &'static str,
    read: impl Fn(&K) -> T + Send + 'static,
) -> BoxStream<'static, Result<Watched<(String, T)>, String>>
where
    K: Resource + Clone + Debug + Send + DeserializeOwned + 'static,
    K::DynamicType: Default,
    T: Send + 'static,
{
    let config = watcher::Config::default().page_size(PAGE_SIZE);
    let read = move |object: &K| (object.uid().unwrap_or_default(), read(object));
    let asks = kube.clone();
    watcher::watcher(Api::<K>::all(kube.clone()), config)
        .default_backoff()
        .then(move |event| {
            let kube = asks.clone();
            async move {
                match event {
                    Err(error) if is_not_found(&error) => without_kind(&kube, plural, &error).await,
                    other => other.map_err(|error| failed(plural, &error)),
                }
            }
        })
        .map(move |event| {
            Ok(match event? {
                Event::Init => Watched::Init,
                Event::InitApply(object) => Watched::InitApply(read(&object)),
                Event::InitDone => Watched::InitDone,
                Event::Apply(object) => Watched::Apply(read(&object)),
                Event::Delete(object) => Watched::Delete {
                    name: object.name_any(),
                    uid: object.uid().unwrap_or_default(),
                    version: object.resource_version().unwrap_or_default(),
                },
            })
        })
        .boxed()
}

/// After a list that was answered with 404: the end of an empty list if the CRD is not installed, or no longer.
async fn without_kind<K>(kube: &Client, plural: &str, error: &watcher::Error) -> Result<Event<K>, String> {
    match missing_kind::is_missing(Command::Drain, kube, plural).await {
        Ok(true) => Ok(Event::InitDone),
        Ok(false) => Err(failed(plural, error)),
        Err(why) => Err(with_url_advice(&failed(plural, error), &why)),
    }
}

fn is_not_found(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404)
}

fn failed(plural: &str, error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error) => Need::List(plural).failed(error),
        watcher::Error::WatchStartFailed(error) => Need::Watch(plural).failed(error),
        other => format!("the watch of {plural} broke: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;

    /// A server that refuses to watch this kind with this code, and answers everything else with an empty stream.
    fn refuses(plural: &'static str, code: u16) -> Client {
        let answer = move |request: Request<Body>| {
            let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            let (status, body) = if is_watch && request.uri().path().ends_with(plural) {
                let message = format!("User \"u\" cannot watch resource \"{plural}\"");
                let body = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code });
                (code, body.to_string())
            } else {
                (200, String::new())
            };
            let response = Response::builder().status(status).body(Body::from(body.into_bytes()));
            std::future::ready(response)
        };
        Client::new(tower::service_fn(answer), "default")
    }

    #[tokio::test]
    async fn a_missing_right_to_watch_is_found_before_a_watch_has_brought_anything() {
        for plural in [NODEENIS, ATTACHMENTS] {
            let said = check_rights(&refuses(plural, 403)).await.unwrap_err();
            assert!(said.contains(&format!("The missing right: watch {plural}.networking.k8s.aws. ")), "{said}");
            assert_eq!(check_rights(&refuses(plural, 404)).await, Ok(()), "the CRD is missing");
        }
        assert_eq!(check_rights(&refuses("nodes", 403)).await, Ok(()));
    }
}
