//! What upstream (johnlam90/aws-multi-eni-controller) has bound, as its file `interface-mappings.json` says. The agent adopts such a
//! device: it records the device in its own ledger and changes nothing. The file itself is read alone.

use crate::pci_address::PciAddress;
use serde::Deserialize;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamBinding {
    /// The ENI.
    pub eni_id: String,
    /// The device.
    pub pci_address: PciAddress,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "eniID", default)]
    eni_id: String,
    #[serde(default)]
    pci_address: String,
    #[serde(default)]
    dpdk_bound: bool,
}

/// Reads the file. Only entries count that say `dpdkBound` and whose ENI and device no other entry names.
///
/// # Errors
/// If the text is not upstream's.
pub fn read(text: &str) -> Result<Vec<UpstreamBinding>, serde_json::Error> {
    let entries: Vec<serde_json::Value> = serde_json::from_str(text)?;
    // An entry that cannot be read says nothing of the others.
    let entries = entries.into_iter().filter_map(|entry| serde_json::from_value::<Entry>(entry).ok());
    let read = |entry: Entry| {
        let pci_address = entry.pci_address.parse().ok()?;
        let is_usable = entry.dpdk_bound && !entry.eni_id.is_empty();
        is_usable.then_some(UpstreamBinding { eni_id: entry.eni_id, pci_address })
    };
    let all: Vec<UpstreamBinding> = entries.filter_map(read).collect();
    let is_alone = |one: &&UpstreamBinding| {
        all.iter().filter(|other| other.eni_id == one.eni_id || other.pci_address == one.pci_address).count() == 1
    };
    Ok(all.iter().filter(is_alone).cloned().collect())
}

/// The kernel driver of a device that upstream has bound: its file does not have it. None: the kernel is to choose.
pub fn original_driver(vendor: Option<u16>, device: Option<u16>) -> Option<String> {
    let is_ena = vendor == Some(0x1d0f) && matches!(device, Some(0x0ec2 | 0x1ec2 | 0xec20 | 0xec21));
    is_ena.then(|| "ena".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_entries_that_contradict_no_other_are_read() {
        let entry = |eni: &str, address: &str, bound: bool| {
            format!(
                r#"{{"eniID":"{eni}","ifaceName":"ens6","pciAddress":"{address}","deviceIndex":1,"dpdkBound":{bound},
                "dpdkDriver":"vfio-pci","nodeENIName":"a"}}"#
            )
        };
        let text = |entries: &[String]| format!("[{}]", entries.join(","));
        let good = entry("eni-1", "0000:00:06.0", true);
        let read_good =
            vec![UpstreamBinding { eni_id: "eni-1".to_owned(), pci_address: "0000:00:06.0".parse().unwrap() }];
        let odd = [
            "7".to_owned(),
            entry("eni-2", "0000:00:07.0", false),
            entry("", "0000:00:08.0", true),
            entry("eni-3", "x", true),
        ];
        let mut entries = vec![good.clone()];
        entries.extend(odd);
        assert_eq!(read(&text(&entries)).unwrap(), read_good);
        for double in [entry("eni-1", "0000:00:07.0", true), entry("eni-9", "0000:00:06.0", true)] {
            assert_eq!(read(&text(&[good.clone(), double])).unwrap(), []);
        }
        assert!(read("{}").is_err() && read("[").is_err());
    }

    #[test]
    fn the_driver_of_an_ena_device_is_ena() {
        assert_eq!(original_driver(Some(0x1d0f), Some(0xec20)).as_deref(), Some("ena"));
        assert_eq!(original_driver(Some(0x8086), Some(0xec20)), None);
        assert_eq!(original_driver(None, None), None);
    }
}
