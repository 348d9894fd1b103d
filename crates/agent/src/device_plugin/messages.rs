//! The messages of kubelet's device plugin API, version v1beta1, and of its pod-resources API, version v1, by the numbers of their fields
//! on the wire.

use std::collections::HashMap;

/// The version of the API.
pub const VERSION: &str = "v1beta1";
/// A device that a pod can have.
pub const HEALTHY: &str = "Healthy";
/// A device that no pod can have now.
pub const UNHEALTHY: &str = "Unhealthy";

/// No content.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Empty {}

/// What a plugin can do.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DevicePluginOptions {
    /// Whether kubelet calls PreStartContainer.
    #[prost(bool, tag = "1")]
    pub pre_start_required: bool,
    /// Whether kubelet calls GetPreferredAllocation.
    #[prost(bool, tag = "2")]
    pub get_preferred_allocation_available: bool,
}

/// A plugin makes itself known.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RegisterRequest {
    /// The version of the API.
    #[prost(string, tag = "1")]
    pub version: String,
    /// The file name of the plugin's socket.
    #[prost(string, tag = "2")]
    pub endpoint: String,
    /// The resource.
    #[prost(string, tag = "3")]
    pub resource_name: String,
    /// What the plugin can do.
    #[prost(message, optional, tag = "4")]
    pub options: Option<DevicePluginOptions>,
}

/// All devices of the resource.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ListAndWatchResponse {
    /// The devices.
    #[prost(message, repeated, tag = "1")]
    pub devices: Vec<Device>,
}

/// A device.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Device {
    /// The ID, of at most 63 characters.
    #[prost(string, tag = "1")]
    pub id: String,
    /// [`HEALTHY`] or [`UNHEALTHY`].
    #[prost(string, tag = "2")]
    pub health: String,
    /// Where the device is.
    #[prost(message, optional, tag = "3")]
    pub topology: Option<TopologyInfo>,
}

/// Where a device is.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TopologyInfo {
    /// The NUMA nodes.
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<NumaNode>,
}

/// A NUMA node.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct NumaNode {
    /// The number.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// A container is about to start.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PreStartContainerRequest {
    /// Its devices.
    #[prost(string, repeated, tag = "1")]
    pub devices_ids: Vec<String>,
}

/// The container may start.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PreStartContainerResponse {}

/// Which devices should be taken?
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PreferredAllocationRequest {
    /// One for each container.
    #[prost(message, repeated, tag = "1")]
    pub container_requests: Vec<ContainerPreferredAllocationRequest>,
}

/// Which devices should be taken for a container?
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ContainerPreferredAllocationRequest {
    /// The devices to choose from.
    #[prost(string, repeated, tag = "1")]
    pub available: Vec<String>,
    /// The devices that must be among them.
    #[prost(string, repeated, tag = "2")]
    pub must_include: Vec<String>,
    /// How many.
    #[prost(int32, tag = "3")]
    pub allocation_size: i32,
}

/// The devices that should be taken.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PreferredAllocationResponse {
    /// One for each container.
    #[prost(message, repeated, tag = "1")]
    pub container_responses: Vec<ContainerPreferredAllocationResponse>,
}

/// The devices that should be taken for a container.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ContainerPreferredAllocationResponse {
    /// The devices.
    #[prost(string, repeated, tag = "1")]
    pub device_ids: Vec<String>,
}

/// What do the containers of a pod get?
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct AllocateRequest {
    /// One for each container.
    #[prost(message, repeated, tag = "1")]
    pub container_requests: Vec<ContainerAllocateRequest>,
}

/// What does a container get?
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ContainerAllocateRequest {
    /// Its devices.
    #[prost(string, repeated, tag = "1")]
    pub devices_ids: Vec<String>,
}

/// What the containers of a pod get.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AllocateResponse {
    /// One for each container.
    #[prost(message, repeated, tag = "1")]
    pub container_responses: Vec<ContainerAllocateResponse>,
}

/// What a container gets. The fields 2 (mounts), 4 (annotations) and 5 (CDI devices) are not used.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ContainerAllocateResponse {
    /// Environment variables.
    #[prost(map = "string, string", tag = "1")]
    pub envs: HashMap<String, String>,
    /// Device nodes.
    #[prost(message, repeated, tag = "3")]
    pub devices: Vec<DeviceSpec>,
}

/// A device node.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DeviceSpec {
    /// The path in the container.
    #[prost(string, tag = "1")]
    pub container_path: String,
    /// The path on the host.
    #[prost(string, tag = "2")]
    pub host_path: String,
    /// Any of r (read), w (write) and m (make device nodes).
    #[prost(string, tag = "3")]
    pub permissions: String,
}

/// The devices of all pods.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ListPodResourcesResponse {
    /// One for each pod.
    #[prost(message, repeated, tag = "1")]
    pub pod_resources: Vec<PodResourcesOfPod>,
}

/// The devices of a pod. The field 2 is its namespace.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PodResourcesOfPod {
    /// The name of the pod.
    #[prost(string, tag = "1")]
    pub name: String,
    /// One for each container.
    #[prost(message, repeated, tag = "3")]
    pub containers: Vec<ContainerResources>,
}

/// The devices of a container. The fields of processors, memory and claims are not used.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ContainerResources {
    /// One or several for each resource.
    #[prost(message, repeated, tag = "2")]
    pub devices: Vec<ContainerDevices>,
}

/// The devices of a resource.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ContainerDevices {
    /// The resource.
    #[prost(string, tag = "1")]
    pub resource_name: String,
    /// The devices.
    #[prost(string, repeated, tag = "2")]
    pub device_ids: Vec<String>,
}
