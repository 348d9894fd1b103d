//! The gRPC service of one resource: the answers of the decisions, as messages.

use crate::device_plugin::allocate::{Unallocatable, allocate};
use crate::device_plugin::allocations_file::AllocationsFile;
use crate::device_plugin::messages::{
    AllocateRequest, AllocateResponse, ContainerAllocateResponse, ContainerPreferredAllocationResponse, Device,
    DevicePluginOptions, DeviceSpec, Empty, HEALTHY, ListAndWatchResponse, NumaNode, PreStartContainerRequest,
    PreStartContainerResponse, PreferredAllocationRequest, PreferredAllocationResponse, TopologyInfo, UNHEALTHY,
};
use crate::device_plugin::offer::device_node;
use crate::device_plugin::pool::Pool;
use crate::device_plugin::prefer::prefer;
use crate::device_plugin::resource_name::ResourceName;
use crate::device_plugin::start::may_start;
use crate::pci_address::PciAddress;
use crate::pci_sysfs;
use futures::Stream;
use futures::future::BoxFuture;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::sync::{Notify, watch};
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Response, Status};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

/// The lists that kubelet reads, counted since the last registration.
#[derive(Debug, Default)]
pub struct Lists {
    registration: AtomicU64,
    opened: AtomicU64,
    closed: AtomicU64,
    /// Somebody waits for a change.
    pub changed: Notify,
}

impl Lists {
    /// A registration begins: lists of before do not count.
    pub fn begin(&self) {
        self.registration.fetch_add(1, Ordering::Relaxed);
        self.opened.store(0, Ordering::Relaxed);
        self.closed.store(0, Ordering::Relaxed);
    }

    /// How many lists were opened and closed.
    pub fn counts(&self) -> (u64, u64) {
        (self.opened.load(Ordering::Relaxed), self.closed.load(Ordering::Relaxed))
    }
}

/// A list that counts as open while it lives.
struct OpenList {
    lists: Arc<Lists>,
    registration: u64,
}

impl OpenList {
    fn new(lists: Arc<Lists>) -> Self {
        lists.opened.fetch_add(1, Ordering::Relaxed);
        lists.changed.notify_one();
        Self { registration: lists.registration.load(Ordering::Relaxed), lists }
    }
}

impl Drop for OpenList {
    fn drop(&mut self) {
        if self.lists.registration.load(Ordering::Relaxed) == self.registration {
            self.lists.closed.fetch_add(1, Ordering::Relaxed);
            self.lists.changed.notify_one();
        }
    }
}

/// The service of one resource.
#[derive(Clone)]
pub struct DevicePluginService {
    /// The resource.
    pub resource: ResourceName,
    /// Its devices, and their changes.
    pub pool: watch::Receiver<Pool>,
    /// The lists that kubelet reads.
    pub lists: Arc<Lists>,
    /// Which devices pods have.
    pub allocations: Arc<AllocationsFile>,
    /// Where sysfs is.
    pub sysfs: Arc<Path>,
}

/// What this plugin can do.
pub fn options() -> DevicePluginOptions {
    DevicePluginOptions { pre_start_required: true, get_preferred_allocation_available: true }
}

impl DevicePluginService {
    fn allocate(&self, request: AllocateRequest) -> Result<AllocateResponse, Status> {
        let pool = self.pool.borrow();
        let mut answer = AllocateResponse::default();
        for container in request.container_requests {
            let allocation = allocate(&self.resource, &pool, &container.devices_ids).map_err(|error| {
                tracing::warn!(%error, "kubelet asked for a device that it cannot have");
                match error {
                    Unallocatable::Unknown { .. } => Status::not_found(error.to_string()),
                    Unallocatable::Unhealthy { .. } => Status::failed_precondition(error.to_string()),
                }
            })?;
            // Before the answer: from then on the device is the pod's.
            let given = container.devices_ids.iter().filter_map(|id| {
                let device: PciAddress = id.parse().ok()?;
                let node = pool.get(&device)?.access.node().map(str::to_owned);
                Some((device, node))
            });
            self.allocations.give(&self.resource.to_string(), given);
            tracing::info!(resource = %self.resource, devices = container.devices_ids.join(","), "devices allocated");
            let node = |node: crate::device_plugin::allocate::DeviceNode| DeviceSpec {
                container_path: node.container,
                host_path: node.host,
                permissions: "rw".to_owned(),
            };
            answer.container_responses.push(ContainerAllocateResponse {
                envs: allocation.variables.into_iter().collect(),
                devices: allocation.nodes.into_iter().map(node).collect(),
            });
        }
        Ok(answer)
    }

    /// Kubelet starts a container with the answer of before.
    fn pre_start(&self, request: PreStartContainerRequest) -> Result<PreStartContainerResponse, Status> {
        let node = |device: &PciAddress| device_node(&pci_sysfs::read(&self.sysfs, device)?);
        let start = may_start(&self.resource, &request.devices_ids, &self.allocations.ledger(), node);
        start.map(|()| PreStartContainerResponse {}).map_err(|error| {
            tracing::warn!(%error, "a container is not started");
            Status::failed_precondition(error.to_string())
        })
    }

    fn prefer(&self, request: PreferredAllocationRequest) -> PreferredAllocationResponse {
        let pool = self.pool.borrow();
        let preferred = request.container_requests.iter().map(|container| {
            let size = usize::try_from(container.allocation_size).unwrap_or_default();
            let device_ids = prefer(&pool, &container.available, &container.must_include, size);
            ContainerPreferredAllocationResponse { device_ids }
        });
        PreferredAllocationResponse { container_responses: preferred.collect() }
    }

    /// The devices now, and again after each change, until the plugin ends.
    fn list_and_watch(&self) -> List {
        let state = (self.pool.clone(), true, OpenList::new(Arc::clone(&self.lists)));
        Box::pin(futures::stream::unfold(state, |(mut pool, is_first, open)| async move {
            if !is_first {
                pool.changed().await.ok()?;
            }
            let devices = pool.borrow_and_update().iter().map(|(id, device)| message(id.as_str(), device)).collect();
            Some((Ok(ListAndWatchResponse { devices }), (pool, false, open)))
        }))
    }
}

type List = Pin<Box<dyn Stream<Item = Result<ListAndWatchResponse, Status>> + Send>>;

fn message(id: &str, device: &crate::device_plugin::pool::Device) -> Device {
    Device {
        id: id.to_owned(),
        health: if device.is_healthy { HEALTHY } else { UNHEALTHY }.to_owned(),
        topology: device.numa_node.map(|node| TopologyInfo { nodes: vec![NumaNode { id: i64::from(node) }] }),
    }
}

impl Service<http::Request<Body>> for DevicePluginService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let plugin = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/v1beta1.DevicePlugin/GetDevicePluginOptions" => unary(request, |_: Empty| Ok(options())).await,
                "/v1beta1.DevicePlugin/ListAndWatch" => {
                    let answer = move |_: tonic::Request<Empty>| -> Ready<Result<Response<List>, Status>> {
                        ready(Ok(Response::new(plugin.list_and_watch())))
                    };
                    let codec = ProstCodec::<ListAndWatchResponse, Empty>::default();
                    Grpc::new(codec).server_streaming(service_fn(answer), request).await
                }
                "/v1beta1.DevicePlugin/Allocate" => {
                    unary(request, move |request: AllocateRequest| plugin.allocate(request)).await
                }
                "/v1beta1.DevicePlugin/GetPreferredAllocation" => {
                    unary(request, move |request: PreferredAllocationRequest| Ok(plugin.prefer(request))).await
                }
                "/v1beta1.DevicePlugin/PreStartContainer" => {
                    unary(request, move |request: PreStartContainerRequest| plugin.pre_start(request)).await
                }
                path => Status::unimplemented(format!("{path} is not known")).into_http(),
            })
        })
    }
}

/// Answers one call with one message.
async fn unary<Q, A>(
    request: http::Request<Body>,
    mut answer: impl FnMut(Q) -> Result<A, Status> + Send,
) -> http::Response<Body>
where
    Q: prost::Message + Default + Send + 'static,
    A: prost::Message + Default + Send + 'static,
{
    let service = service_fn(move |request: tonic::Request<Q>| ready(answer(request.into_inner()).map(Response::new)));
    Grpc::new(ProstCodec::<A, Q>::default()).unary(service, request).await
}
