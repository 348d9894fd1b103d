//! The real API server: its Nodes with their heartbeats, NodeENIs, and its own count of writes.

use crate::region::{GROUP, REGION, TYPE, ZONE, instance, subnet};
use futures::stream::{StreamExt, TryStreamExt, iter};
use http::{Method, Request, header};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use multi_eni_control_plane::ControlPlane;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::task::block_in_place;

/// Requests at a time.
const AT_ONCE: usize = 20;
/// How often a kubelet reports, even if nothing has changed.
const HEARTBEAT: Duration = Duration::from_secs(300);
/// Images of a Node: as many as a kubelet reports at most.
const IMAGES: u32 = 50;
/// The pool that all NodeENIs select.
pub const POOL: &str = "a";
const NODEENIS: &str = "/apis/networking.k8s.aws/v1alpha1/nodeenis";

/// A real control plane, with a client as admin.
pub struct Cluster {
    /// The processes of the control plane.
    pub plane: ControlPlane,
    client: Client,
}

impl Cluster {
    /// Starts the control plane and applies these CRDs.
    ///
    /// # Errors
    /// If a part is missing or does not start; the message says what.
    pub async fn open(crds: &str) -> Result<Self, String> {
        let plane = block_in_place(|| {
            // This plugin taints new Nodes until a kubelet reports them ready.
            let plane = ControlPlane::start_without(&["TaintNodesByCondition"])?;
            plane.apply(crds)?.success()?;
            plane.kubectl(&["wait", "--for=condition=established", "crd", "--all"])?.success()?;
            Ok::<_, String>(plane)
        })?;
        let kubeconfig = Kubeconfig::read_from(plane.admin_kubeconfig()).map_err(|error| error.to_string())?;
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let client = Client::try_from(config.map_err(|error| error.to_string())?);
        Ok(Self { plane, client: client.map_err(|error| error.to_string())? })
    }

    /// Creates Nodes of a pool. They are as large as in a cluster in use.
    ///
    /// # Errors
    /// If the API server refuses one.
    pub async fn add_nodes(&self, numbers: RangeInclusive<u32>, pool: &str) -> Result<(), String> {
        let created = iter(numbers).map(|n| self.send(Method::POST, "/api/v1/nodes".to_owned(), Some(node(n, pool))));
        created.buffer_unordered(AT_ONCE).map_ok(drop).try_collect().await
    }

    /// Sends a heartbeat for each Node every five minutes, evenly spread, until the handle is dropped.
    pub fn heartbeats(&self, count: u32) -> tokio_util::task::AbortOnDropHandle<()> {
        let (client, pause) = (self.client.clone(), HEARTBEAT / count.max(1));
        tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(pause);
            for n in (1..=count).cycle() {
                ticks.tick().await;
                let path = format!("/api/v1/nodes/{}/status", name(n));
                // A failed heartbeat is followed by the next one.
                let _ =
                    send(&client, Method::PATCH, path, Some(json!({ "status": { "conditions": [ready()] } }))).await;
            }
        }))
    }

    /// Gives the nth Node the label that all NodeENIs select.
    ///
    /// # Errors
    /// If the Node does not exist.
    pub async fn label(&self, n: u32) -> Result<(), String> {
        let label = json!({ "metadata": { "labels": { "pool": POOL } } });
        self.send(Method::PATCH, format!("/api/v1/nodes/{}", name(n)), Some(label)).await.map(drop)
    }

    /// Creates the nth NodeENI, for all Nodes of [`POOL`], with the fields that every NodeENI controller has.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub async fn apply(&self, n: u32) -> Result<(), String> {
        let object = json!({
            "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "NodeENI", "metadata": { "name": format!("pool-{n}") },
            "spec": {
                "nodeSelector": { "pool": POOL }, "subnetID": subnet(n), "securityGroupIDs": [GROUP], "deviceIndex": n,
                "deleteOnTermination": true, "description": "bench",
            },
        });
        self.send(Method::POST, NODEENIS.to_owned(), Some(object)).await.map(drop)
    }

    /// Deletes the nth NodeENI.
    ///
    /// # Errors
    /// If it does not exist.
    pub async fn delete(&self, n: u32) -> Result<(), String> {
        self.send(Method::DELETE, format!("{NODEENIS}/pool-{n}"), None).await.map(drop)
    }

    /// How many NodeENIs exist.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn nodeenis(&self) -> Result<usize, String> {
        let list = self.send(Method::GET, NODEENIS.to_owned(), None).await?;
        let list: Value = serde_json::from_str(&list).map_err(|error| error.to_string())?;
        Ok(list["items"].as_array().map_or(0, Vec::len))
    }

    /// The API server's count of writes so far, by verb and resource, except Nodes, which this benchmark writes, and Leases.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn writes(&self) -> Result<BTreeMap<String, u64>, String> {
        Ok(written(&self.send(Method::GET, "/metrics".to_owned(), None).await?))
    }

    async fn send(&self, method: Method, path: String, body: Option<Value>) -> Result<String, String> {
        send(&self.client, method, path, body).await
    }
}

async fn send(client: &Client, method: Method, path: String, body: Option<Value>) -> Result<String, String> {
    let what = format!("{method} {path}");
    let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, kind).body(bytes);
    let request = request.map_err(|error| format!("{what}: {error}"))?;
    client.request_text(request).await.map_err(|error| format!("{what}: {error}"))
}

fn written(metrics: &str) -> BTreeMap<String, u64> {
    let mut writes = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let Some((labels, count)) = line.rsplit_once("} ") else { continue };
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\""))?;
            rest.split('"').next().map(str::to_owned)
        };
        let verb = label("verb").unwrap_or_default();
        let resource = label("resource").unwrap_or_default();
        let is_write = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"].contains(&verb.as_str());
        if is_write && !["nodes", "leases", "customresourcedefinitions"].contains(&resource.as_str()) {
            let subresource = label(",subresource").filter(|name| !name.is_empty());
            let what = subresource.map_or(resource.clone(), |name| format!("{resource}/{name}"));
            *writes.entry(format!("{verb} {what}")).or_default() += count.trim().parse().unwrap_or(0);
        }
    }
    writes
}

fn name(n: u32) -> String {
    format!("ip-10-0-{}-{}.{}.compute.internal", n / 250, n % 250, REGION)
}

fn ready() -> Value {
    let now = jiff::Timestamp::now().to_string();
    json!({ "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
        "lastHeartbeatTime": now, "lastTransitionTime": now })
}

fn node(n: u32, pool: &str) -> Value {
    let images: Vec<Value> = (0..IMAGES)
        .map(|image| {
            let registry = "602401143452.dkr.ecr.eu-west-1.amazonaws.com/some/application";
            json!({ "names": [format!("{registry}-{image}@sha256:{:064x}", image * 7919), format!("{registry}-{image}:v1.2.{image}")],
                "sizeBytes": 40_000_000 + image })
        })
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name(n), "labels": {
            "pool": pool,
            "topology.kubernetes.io/zone": ZONE,
            "topology.kubernetes.io/region": REGION,
            "node.kubernetes.io/instance-type": TYPE,
            "kubernetes.io/hostname": name(n),
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "eks.amazonaws.com/nodegroup": "bench",
        }, "annotations": { "node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true" } },
        "spec": { "providerID": format!("aws:///{ZONE}/{}", instance(n)) },
        "status": {
            "addresses": [{ "type": "InternalIP", "address": format!("10.0.{}.{}", n / 250, n % 250) }],
            "capacity": { "cpu": "96", "memory": "380Gi", "pods": "737" },
            "allocatable": { "cpu": "95", "memory": "370Gi", "pods": "737" },
            "conditions": [ready()],
            "images": images,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_counted_by_what_was_written() {
        let metrics = "\
# HELP apiserver_request_total Counter
apiserver_request_total{code=\"201\",component=\"apiserver\",dry_run=\"\",group=\"networking.k8s.aws\",resource=\"nodeenis\",scope=\"resource\",subresource=\"\",verb=\"POST\",version=\"v1alpha1\"} 2
apiserver_request_total{code=\"200\",component=\"apiserver\",dry_run=\"\",group=\"networking.k8s.aws\",resource=\"nodeenis\",scope=\"resource\",subresource=\"status\",verb=\"PATCH\",version=\"v1alpha1\"} 5
apiserver_request_total{code=\"409\",component=\"apiserver\",dry_run=\"\",group=\"networking.k8s.aws\",resource=\"nodeenis\",scope=\"resource\",subresource=\"status\",verb=\"PATCH\",version=\"v1alpha1\"} 1
apiserver_request_total{code=\"200\",component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"nodes\",scope=\"resource\",subresource=\"status\",verb=\"PATCH\",version=\"v1\"} 99
apiserver_request_total{code=\"200\",component=\"apiserver\",dry_run=\"\",group=\"coordination.k8s.io\",resource=\"leases\",scope=\"resource\",subresource=\"\",verb=\"PUT\",version=\"v1\"} 99
apiserver_request_total{code=\"200\",component=\"apiserver\",dry_run=\"\",group=\"networking.k8s.aws\",resource=\"nodeenis\",scope=\"cluster\",subresource=\"\",verb=\"LIST\",version=\"v1alpha1\"} 99
";
        let expected = [("PATCH nodeenis/status", 6), ("POST nodeenis", 2)];
        assert_eq!(written(metrics), expected.map(|(what, count)| (what.to_owned(), count)).into());
    }

    /// A Node of a cluster in use has about 10 to 20 KiB.
    #[test]
    fn nodes_are_full_size() {
        let size = node(1, POOL).to_string().len();
        assert!((10_000..20_000).contains(&size), "{size}");
    }
}
