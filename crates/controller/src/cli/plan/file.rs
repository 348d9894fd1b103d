//! Adds the NodeENIs of a file to the store, as if they had been applied. A simulated API server checks them by the CRD's schema.
//! The cluster is never written to.

use super::gather::as_if_guarded;
use crate::manifests;
use crate::store::{NodeEniEntry, Store};
use crate::watch::{Change, Watched};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::{Api, Client};
use multi_eni_api::NodeENI;
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::kube::ApiServer;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Seed of the simulated API server. It differs from the sandbox's, so that the UIDs of NodeENIs that are not applied yet differ
/// from all UIDs of a sandbox.
const PLANNED: u64 = 0x706c_616e;

/// The NodeENIs of the file, unchecked.
pub(super) fn read(path: &Path) -> Result<Vec<Value>, String> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|error| format!("cannot read standard input: {error}"))?;
        text
    } else {
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?
    };
    let title = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    manifests::parse(&title, &text)
}

/// Adds the NodeENIs to the store. Returns those that the API server would refuse, by name, with its message.
pub(super) async fn apply_to_store(store: &mut Store, objects: Vec<Value>) -> Result<BTreeMap<String, String>, String> {
    let now = jiff::Timestamp::now();
    let server = ApiServer::with_seed(SimClock::starting_at(now), PLANNED);
    let crds = multi_eni_api::crds::yaml().map_err(|error| error.to_string())?;
    server.install_crds(&crds).map_err(|error| format!("the CRDs cannot be used: {error}"))?;
    let api: Api<NodeENI> = Api::all(Client::new(server.service(), "default"));
    let params =
        PatchParams { field_validation: Some(ValidationDirective::Strict), ..PatchParams::apply("multi-eni-plan") };
    let mut refused = BTreeMap::new();
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        match api.patch(&name, &params, &Patch::Apply(&object)).await {
            Ok(taken) => {
                let entry = as_if_guarded(applied(store, taken, now));
                store.take(Change::NodeEni(Box::new(Watched::Apply(entry))));
            }
            Err(kube::Error::Api(status)) => {
                drop(refused.insert(name, format!("would be refused: {}", status.message)))
            }
            Err(error) => return Err(format!("NodeENI {name} cannot be checked: {error}")),
        }
    }
    Ok(refused)
}

/// The object as it would be in the cluster. An existing NodeENI keeps its identity and its status.
fn applied(store: &Store, mut object: NodeENI, now: jiff::Timestamp) -> NodeEniEntry {
    let name = object.metadata.name.clone().unwrap_or_default();
    match store.nodeeni(&name) {
        Some(there) => {
            let nodeeni = &there.nodeeni;
            object.metadata.uid = Some(nodeeni.uid.clone());
            object.metadata.generation = Some(nodeeni.generation.saturating_add(1));
            object.metadata.creation_timestamp = Some(Time(nodeeni.created));
            object.metadata.deletion_timestamp = nodeeni.deleting.then_some(Time(now));
            object.metadata.finalizers = Some(there.finalizers.clone());
            object.status = Some(there.status.clone());
            object.metadata.resource_version = Some(there.version.clone());
        }
        None => object.metadata.creation_timestamp = Some(Time(now)),
    }
    NodeEniEntry::read(&Ok(object))
}
