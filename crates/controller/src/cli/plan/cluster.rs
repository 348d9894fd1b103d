//! Reads the cluster as it is: one list of each kind.

use crate::node_and_pod::{self, NodeIdentity};
use crate::store::{AttachmentEntry, NodeEniEntry, Store};
use crate::watch::{Change, Watched};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client, Resource};
use multi_eni_api::{ENIAttachment, NodeENI};
use multi_eni_plan::observed::Cluster;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// The objects of the cluster, and its identity. `before_install`: the CRDs may be missing. Pods are listed only if
/// `pod_annotation` is given, the annotation by which Pods name NodeENIs.
pub(super) async fn all(
    kube: &Client,
    before_install: bool,
    pod_annotation: Option<&str>,
) -> Result<(Store, Cluster), String> {
    let namespace = Api::<Namespace>::all(kube.clone()).get("kube-system").await;
    let namespace = namespace.map_err(|error| wrong("get the namespace kube-system", &error))?;
    let uid = namespace.metadata.uid.unwrap_or_default();
    let mut store = Store::default();
    let nodes = list::<NodeIdentity>(kube, "nodes", false).await?;
    fill(&mut store, nodes.iter().map(node_and_pod::node), Change::Node);
    let nodeenis = list::<DeserializeGuard<NodeENI>>(kube, "nodeenis.networking.k8s.aws", before_install).await?;
    let entries = nodeenis.iter().map(|object| as_if_guarded(NodeEniEntry::read(&object.0)));
    fill(&mut store, entries, |change| Change::NodeEni(Box::new(change)));
    let attachments = list::<ENIAttachment>(kube, "eniattachments.networking.k8s.aws", before_install).await?;
    fill(&mut store, attachments.iter().map(AttachmentEntry::read), Change::Attachment);
    if let Some(annotation) = pod_annotation {
        let pods = list::<Pod>(kube, "pods", false).await?;
        fill(&mut store, pods.iter().map(|pod| node_and_pod::pod(pod, annotation)), Change::Pod);
    }
    Ok((store, Cluster { name: uid.clone(), uid }))
}

/// The NodeENI as it is once the controller has added its finalizer. That is the controller's first write, and the plan begins
/// after it.
pub(super) fn as_if_guarded(mut entry: NodeEniEntry) -> NodeEniEntry {
    entry.nodeeni.has_finalizer |= !entry.nodeeni.deleting;
    entry
}

fn fill<T>(store: &mut Store, items: impl Iterator<Item = T>, change: impl Fn(Watched<T>) -> Change) {
    let listed = items.map(Watched::InitApply);
    for watched in std::iter::once(Watched::Init).chain(listed).chain([Watched::InitDone]) {
        store.take(change(watched));
    }
}

async fn list<K>(kube: &Client, what: &str, may_be_missing: bool) -> Result<Vec<K>, String>
where
    K: Resource + Clone + Debug + DeserializeOwned,
    K::DynamicType: Default,
{
    let api: Api<K> = Api::all(kube.clone());
    let (mut items, mut params) = (Vec::new(), ListParams::default().limit(500));
    loop {
        let page = match api.list(&params).await {
            Ok(page) => page,
            Err(kube::Error::Api(status)) if status.code == 404 && may_be_missing => return Ok(items),
            Err(kube::Error::Api(status)) if status.code == 404 => {
                return Err(format!(
                    "the API server has no {what}: install the CRDs with multi-eni crds | kubectl apply -f -"
                ));
            }
            Err(error) => return Err(wrong(&format!("list {what}"), &error)),
        };
        items.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(items),
        }
    }
}

/// What failed, and what the user can do.
pub(super) fn wrong(what: &str, error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
            format!(
                "not allowed to {what}: {}. See docs/reference/plan.md for the rights that are needed",
                status.message
            )
        }
        kube::Error::Api(status) => format!("cannot {what}: {}", status.message),
        other => format!("cannot {what}: {other}. Is the API server of KUBECONFIG running?"),
    }
}
