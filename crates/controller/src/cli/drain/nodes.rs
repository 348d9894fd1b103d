//! The EC2 instances of all Nodes. An orphan that is attached to another instance is never changed by the controller.

use super::rights::Need;
use crate::node_and_pod::{self, NodeIdentity};
use kube::api::ListParams;
use kube::{Api, Client};
use multi_eni_api::ids::InstanceId;
use std::collections::BTreeSet;

/// Nodes in one page of the list.
const PAGE_SIZE: u32 = 500;

/// Lists the Nodes in pages.
pub(super) async fn instances(kube: &Client) -> Result<BTreeSet<InstanceId>, String> {
    let api: Api<NodeIdentity> = Api::all(kube.clone());
    let (mut found, mut params) = (BTreeSet::new(), ListParams::default().limit(PAGE_SIZE));
    loop {
        let page = api.list(&params).await.map_err(|error| Need::ListNodes.failed(&error))?;
        found.extend(page.items.iter().filter_map(|node| node_and_pod::node(node).instance.ok()));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}
