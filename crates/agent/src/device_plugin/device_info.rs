//! Decides which device-info files there should be. Multus reads the file of a resource and a device, and writes what it has into the
//! annotation `k8s.v1.cni.cncf.io/network-status` of the pod. The format is version 1.1.0 of the Device Information Specification.

use crate::device_plugin::pool::Pools;
use crate::device_plugin::resource_name::ResourceName;
use crate::pci_address::PciAddress;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The files of a directory: names and contents.
pub type Files = BTreeMap<String, String>;

/// Who wrote a file. Readers of the format leave out the fields that they do not know.
const AUTHOR: &str = "multi-eni-agent";

#[derive(Serialize, Deserialize)]
struct DeviceInfo {
    #[serde(rename = "type")]
    kind: String,
    version: String,
    pci: Pci,
    #[serde(rename = "writtenBy", default)]
    written_by: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Pci {
    #[serde(rename = "pci-address")]
    address: String,
}

/// What is to be done in the directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Files to write.
    pub write: Files,
    /// Files to remove.
    pub remove: Vec<String>,
}

/// The changes that lead from the files that are there to those of the pools. A file that somebody else wrote is never removed, and
/// replaced only if it has the name of an offered device.
pub fn changes(pools: &Pools, present: &Files) -> Changes {
    let devices = pools.iter().flat_map(|(resource, pool)| pool.keys().map(move |device| (resource, device)));
    let wanted: Files = devices.map(|(resource, device)| (file_name(resource, device), content(device))).collect();
    let is_stale = |(name, text): &(&String, &String)| !wanted.contains_key(*name) && is_ours(text);
    Changes {
        remove: present.iter().filter(is_stale).map(|(name, _)| name.clone()).collect(),
        write: wanted.into_iter().filter(|(name, text)| present.get(name) != Some(text)).collect(),
    }
}

/// The name under which Multus looks for the file.
fn file_name(resource: &ResourceName, device: &PciAddress) -> String {
    format!("{}-{}-{device}-device.json", resource.prefix(), resource.name())
}

fn content(device: &PciAddress) -> String {
    let info = DeviceInfo {
        kind: "pci".to_owned(),
        version: "1.1.0".to_owned(),
        pci: Pci { address: device.to_string() },
        written_by: Some(AUTHOR.to_owned()),
    };
    serde_json::to_string(&info).unwrap_or_default()
}

fn is_ours(text: &str) -> bool {
    serde_json::from_str::<DeviceInfo>(text).is_ok_and(|info| info.written_by.as_deref() == Some(AUTHOR))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_plugin::pool::{Access, Device, Pool};

    fn pools(devices: &[&str]) -> Pools {
        let device = || Device { is_healthy: true, numa_node: None, driver: None, access: Access::Interface };
        let pool: Pool = devices.iter().map(|id| (id.parse().unwrap(), device())).collect();
        Pools::from([("example.com/fast".parse().unwrap(), pool)])
    }

    const NAME: &str = "example.com-fast-0000:00:06.0-device.json";

    #[test]
    fn a_file_has_the_name_and_the_fields_that_multus_reads() {
        let changes = changes(&pools(&["0000:00:06.0"]), &Files::new());
        assert_eq!(changes.remove, Vec::<String>::new());
        let value: serde_json::Value = serde_json::from_str(&changes.write[NAME]).unwrap();
        let expected = serde_json::json!({
            "type": "pci", "version": "1.1.0", "pci": { "pci-address": "0000:00:06.0" }, "writtenBy": "multi-eni-agent",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn what_is_there_is_not_written_again_and_what_is_stale_goes() {
        let both = changes(&pools(&["0000:00:06.0", "0000:00:07.0"]), &Files::new()).write;
        assert_eq!(changes(&pools(&["0000:00:06.0", "0000:00:07.0"]), &both), Changes::default());
        let one = changes(&pools(&["0000:00:06.0"]), &both);
        assert_eq!(one, Changes { write: Files::new(), remove: vec![NAME.replace("06", "07")] });
        // The agent did not run when the NodeENI was deleted.
        assert_eq!(changes(&Pools::new(), &both).remove.len(), 2);
    }

    #[test]
    fn files_of_others_stay() {
        let others = |name: &str, text: &str| Files::from([(name.to_owned(), text.to_owned())]);
        for text in ["", "{", "{}", r#"{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:00:09.0"}}"#] {
            let present = others("example.com-fast-0000:00:09.0-device.json", text);
            assert_eq!(changes(&Pools::new(), &present), Changes::default(), "{text}");
        }
        // An old file with the name of an offered device tells Multus something else.
        let changes = changes(&pools(&["0000:00:06.0"]), &others(NAME, "{}"));
        assert!(changes.write.contains_key(NAME) && changes.remove.is_empty());
    }
}
