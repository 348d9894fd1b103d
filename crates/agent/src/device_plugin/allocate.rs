//! Decides what a container gets for its devices: environment variables and device nodes, as the SR-IOV network device plugin gives
//! them.

use crate::device_plugin::pool::{Access, Pool};
use crate::device_plugin::resource_name::ResourceName;
use std::collections::BTreeMap;

/// What a container gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allocation {
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    /// Device nodes, each once.
    pub nodes: Vec<DeviceNode>,
}

/// A device node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceNode {
    /// The path on the host.
    pub host: String,
    /// The path in the container.
    pub container: String,
}

/// Why a container gets nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unallocatable {
    /// The pool has no such device.
    #[error("{resource} has no device {id}")]
    Unknown {
        /// The resource.
        resource: ResourceName,
        /// The ID.
        id: String,
    },
    /// No pod can have the device now.
    #[error("the device {id} of {resource} is not ready: see the condition Configured of its ENIAttachment")]
    Unhealthy {
        /// The resource.
        resource: ResourceName,
        /// The ID.
        id: String,
    },
}

/// The node of VFIO itself, which every program that uses VFIO needs.
const VFIO: &str = "/dev/vfio/vfio";

/// What a container with these devices gets.
///
/// # Errors
/// If it cannot have one of them.
pub fn allocate(resource: &ResourceName, pool: &Pool, ids: &[String]) -> Result<Allocation, Unallocatable> {
    let mut allocation = Allocation::default();
    let mut info: BTreeMap<&str, BTreeMap<&str, BTreeMap<&str, &str>>> = BTreeMap::new();
    let mut add = |host: &str, container: &str| {
        if !allocation.nodes.iter().any(|node| node.host == host) {
            allocation.nodes.push(DeviceNode { host: host.to_owned(), container: container.to_owned() });
        }
    };
    for id in ids {
        let device = id.parse().ok().and_then(|address| pool.get(&address));
        let device = device.ok_or_else(|| Unallocatable::Unknown { resource: resource.clone(), id: id.clone() })?;
        if !device.is_healthy {
            return Err(Unallocatable::Unhealthy { resource: resource.clone(), id: id.clone() });
        }
        let of_device = info.entry(id).or_default();
        of_device.insert("generic", BTreeMap::from([("deviceID", id.as_str())]));
        match &device.access {
            Access::Interface => {}
            Access::Vfio { host, container } => {
                add(VFIO, VFIO);
                add(host, container);
                of_device.insert("vfio", BTreeMap::from([("mount", VFIO), ("dev-mount", container)]));
            }
            Access::Uio { node } => {
                add(node, node);
                of_device.insert("uio", BTreeMap::from([("mount", node.as_str())]));
            }
        }
    }
    let variable = resource.variable();
    allocation.variables.insert(format!("{variable}_INFO"), serde_json::to_string(&info).unwrap_or_default());
    allocation.variables.insert(variable, ids.join(","));
    Ok(allocation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_plugin::pool::Device;

    fn pool(devices: &[(&str, Access)]) -> Pool {
        let device =
            |access: &Access| Device { is_healthy: true, numa_node: None, driver: None, access: access.clone() };
        devices.iter().map(|(id, access)| (id.parse().unwrap(), device(access))).collect()
    }

    fn vfio(host: &str, container: &str) -> Access {
        Access::Vfio { host: host.to_owned(), container: container.to_owned() }
    }

    fn get(pool: &Pool, ids: &[&str]) -> Result<Allocation, Unallocatable> {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        allocate(&"example.com/fast".parse().unwrap(), pool, &ids)
    }

    fn node(host: &str, container: &str) -> DeviceNode {
        DeviceNode { host: host.to_owned(), container: container.to_owned() }
    }

    #[test]
    fn an_interface_has_variables_and_no_node() {
        let got = get(&pool(&[("0000:00:06.0", Access::Interface)]), &["0000:00:06.0"]).unwrap();
        assert_eq!(got.nodes, []);
        assert_eq!(got.variables["PCIDEVICE_EXAMPLE_COM_FAST"], "0000:00:06.0");
        let info = r#"{"0000:00:06.0":{"generic":{"deviceID":"0000:00:06.0"}}}"#;
        assert_eq!(got.variables["PCIDEVICE_EXAMPLE_COM_FAST_INFO"], info);
        assert_eq!(got.variables.len(), 2);
    }

    #[test]
    fn several_vfio_devices_share_the_node_of_vfio() {
        let pool = pool(&[
            ("0000:00:06.0", vfio("/dev/vfio/3", "/dev/vfio/3")),
            ("0000:00:07.0", vfio("/dev/vfio/noiommu-4", "/dev/vfio/4")),
        ]);
        let got = get(&pool, &["0000:00:07.0", "0000:00:06.0"]).unwrap();
        let nodes = [node(VFIO, VFIO), node("/dev/vfio/noiommu-4", "/dev/vfio/4"), node("/dev/vfio/3", "/dev/vfio/3")];
        assert_eq!(got.nodes, nodes);
        assert_eq!(got.variables["PCIDEVICE_EXAMPLE_COM_FAST"], "0000:00:07.0,0000:00:06.0");
        // The keys are in order, as Go writes a map.
        let of = |id: &str, group: u8| {
            format!(
                r#""{id}":{{"generic":{{"deviceID":"{id}"}},"vfio":{{"dev-mount":"/dev/vfio/{group}","mount":"/dev/vfio/vfio"}}}}"#
            )
        };
        let info = format!("{{{},{}}}", of("0000:00:06.0", 3), of("0000:00:07.0", 4));
        assert_eq!(got.variables["PCIDEVICE_EXAMPLE_COM_FAST_INFO"], info);
    }

    #[test]
    fn a_uio_device_has_its_node() {
        let pool = pool(&[("0000:00:06.0", Access::Uio { node: "/dev/uio0".to_owned() })]);
        let got = get(&pool, &["0000:00:06.0"]).unwrap();
        assert_eq!(got.nodes, [node("/dev/uio0", "/dev/uio0")]);
        let info = r#"{"0000:00:06.0":{"generic":{"deviceID":"0000:00:06.0"},"uio":{"mount":"/dev/uio0"}}}"#;
        assert_eq!(got.variables["PCIDEVICE_EXAMPLE_COM_FAST_INFO"], info);
    }

    #[test]
    fn a_device_that_is_unknown_or_unhealthy_is_refused_with_a_sentence() {
        let mut pool = pool(&[("0000:00:06.0", Access::Interface)]);
        for id in ["0000:00:07.0", "", "x"] {
            assert!(matches!(get(&pool, &["0000:00:06.0", id]), Err(Unallocatable::Unknown { .. })), "{id}");
        }
        pool.values_mut().for_each(|device| device.is_healthy = false);
        let error = get(&pool, &["0000:00:06.0"]).unwrap_err();
        assert!(error.to_string().contains("0000:00:06.0"), "{error}");
        assert!(matches!(error, Unallocatable::Unhealthy { .. }));
    }
}
