//! Reads the cluster as it is: one list of each kind.

use crate::cli::api_error::{Command, said, with_url_advice};
use crate::cli::missing_kind;
use crate::node_and_pod::{self, NodeIdentity};
use crate::store::{AttachmentEntry, NodeEniEntry, Store};
use crate::watch::{Change, Watched};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client, Resource};
use multi_eni_api::names::GROUP;
use multi_eni_api::{ENIAttachment, NodeENI};
use multi_eni_plan::observed::Cluster;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// The objects of the cluster, and its identity. `before_install`: the CRDs may be missing. Pods are listed only if
/// `pod_annotation` is given, the annotation by which Pods name NodeENIs.
pub(in crate::cli) async fn all(
    kube: &Client,
    before_install: bool,
    pod_annotation: Option<&str>,
) -> Result<(Store, Cluster), String> {
    let namespace = Api::<Namespace>::all(kube.clone()).get("kube-system").await;
    let namespace = namespace.map_err(|error| {
        let said = said(Command::Plan, "get the namespace kube-system", &error);
        if is_not_found(&error) { with_url_advice(&said, "every cluster has this namespace") } else { said }
    })?;
    let uid = namespace.metadata.uid.unwrap_or_default();
    let mut store = Store::default();
    let nodes = list::<NodeIdentity>(kube, "nodes", None).await?;
    fill(&mut store, nodes.iter().map(|node| Box::new(node_and_pod::node(node))), Change::Node);
    let crd = |plural| Some(CrdKind { plural, may_be_missing: before_install });
    let nodeenis = list::<DeserializeGuard<NodeENI>>(kube, "nodeenis.networking.k8s.aws", crd("nodeenis")).await?;
    let entries = nodeenis.iter().map(|object| as_if_guarded(NodeEniEntry::read(&object.0)).into());
    fill(&mut store, entries, Change::NodeEni);
    let attachments = list::<ENIAttachment>(kube, "eniattachments.networking.k8s.aws", crd("eniattachments")).await?;
    fill(&mut store, attachments.iter().map(AttachmentEntry::read), Change::Attachment);
    if let Some(annotation) = pod_annotation {
        let pods = list::<Pod>(kube, "pods", None).await?;
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

/// A kind of a CRD. Its plural name, and whether the CRD may be missing.
struct CrdKind {
    plural: &'static str,
    may_be_missing: bool,
}

async fn list<K>(kube: &Client, what: &str, crd: Option<CrdKind>) -> Result<Vec<K>, String>
where
    K: Resource + Clone + Debug + DeserializeOwned,
    K::DynamicType: Default,
{
    let api: Api<K> = Api::all(kube.clone());
    let (mut items, mut params) = (Vec::new(), ListParams::default().limit(500));
    loop {
        let page = match api.list(&params).await {
            Ok(page) => page,
            Err(error) => {
                let said = said(Command::Plan, &format!("list {what}"), &error);
                return match crd.filter(|_| is_not_found(&error)) {
                    Some(crd) => without_kind(kube, &crd, &said).await.map(|()| items),
                    None => Err(said),
                };
            }
        };
        items.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(items),
        }
    }
}

/// After an answer 404: an error, unless the CRD is missing and may be. `said`: the failure of the request.
async fn without_kind(kube: &Client, crd: &CrdKind, said: &str) -> Result<(), String> {
    match missing_kind::is_missing(Command::Plan, kube, crd.plural).await {
        Ok(true) if crd.may_be_missing => Ok(()),
        Ok(true) => Err(format!(
            "the API server has no {}.{GROUP}: install the CRDs with multi-eni crds | kubectl apply -f -",
            crd.plural
        )),
        Ok(false) => Err(said.to_owned()),
        Err(why) => Err(with_url_advice(said, &why)),
    }
}

/// Whether the server answered with 404. A missing CRD is one cause of several.
pub(super) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::missing_kind::tests::{groups, kinds, server};

    /// What the command says of a server that answers the list of NodeENIs with 404, and these paths as given.
    async fn answer(served: Vec<(&'static str, serde_json::Value)>, may_be_missing: bool) -> Result<usize, String> {
        let crd = Some(CrdKind { plural: "nodeenis", may_be_missing });
        let listed = list::<DeserializeGuard<NodeENI>>(&server(served), "nodeenis.networking.k8s.aws", crd).await;
        listed.map(|items| items.len())
    }

    #[tokio::test]
    async fn an_answer_404_means_a_missing_crd_only_if_the_server_serves_no_such_kind() {
        let without = || vec![groups(&["apiextensions.k8s.io"])];
        let missing = answer(without(), false).await.unwrap_err();
        assert!(missing.contains("has no nodeenis.networking.k8s.aws: install the CRDs"), "{missing}");
        assert_eq!(answer(without(), true).await, Ok(0), "before the install");
        for may_be_missing in [false, true] {
            let served = vec![groups(&[GROUP]), kinds(&["nodeenis", "eniattachments"])];
            let refused = answer(served, may_be_missing).await.unwrap_err();
            assert!(refused.starts_with("cannot list nodeenis.networking.k8s.aws: "), "{refused}");
            let elsewhere = answer(Vec::new(), may_be_missing).await.unwrap_err();
            assert!(elsewhere.contains("is the server's URL in KUBECONFIG right"), "{elsewhere}");
            assert!(!format!("{refused}{elsewhere}").contains("install the CRDs"), "{refused} {elsewhere}");
        }
    }
}
