//! What `multi-eni-agent doctor` says of pods: the resources that the node offers, their devices, kubelet's socket or the configuration of
//! the SR-IOV network device plugin, and the ENIs that are not offered.

use crate::device_plugin::candidates::{Candidate, Candidates};
use crate::device_plugin::offer::fault;
use crate::device_plugin::placement_note::Note;
use crate::device_plugin::resource_name::{ResourceName, is_own_socket, of_socket};
use crate::device_plugin::sriov_config_file::Preview;
use crate::pci_address::PciAddress;
use crate::pci_device::PciDevice;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    /// The ENIs that have a resource name.
    pub candidates: Candidates,
    /// Their devices, as sysfs shows them.
    pub devices: BTreeMap<PciAddress, PciDevice>,
    /// Why some are not offered as they are asked for.
    pub notes: BTreeMap<PciAddress, Note>,
    /// How pods get them.
    pub way: SeenWay,
}

/// How pods get the ENIs.
#[derive(Debug)]
pub enum SeenWay {
    /// By device plugins of the agent.
    Plugins(SeenKubelet),
    /// By the SR-IOV network device plugin.
    SriovConfig {
        /// Its configuration.
        path: String,
        /// What the agent would make of it, or why it would leave it as it is.
        preview: Result<Preview, String>,
    },
}

/// Kubelet's directory.
#[derive(Debug)]
pub struct SeenKubelet {
    /// The path of kubelet's socket.
    pub path: String,
    /// The socket.
    pub socket: SeenSocket,
    /// Whether the agent could make its own socket beside it, or why not.
    pub may_write: Result<(), String>,
    /// The other sockets there.
    pub others: Vec<String>,
}

/// Kubelet's socket.
#[derive(Debug)]
pub enum SeenSocket {
    /// A process takes connections.
    Answers,
    /// Nobody takes connections, with the error.
    Silent(String),
    /// It is not there.
    Missing,
}

/// The text.
pub fn text(seen: &Seen) -> String {
    let mut out = String::new();
    // Writing to a String never fails.
    match &seen.way {
        SeenWay::Plugins(kubelet) => kubelet_text(&mut out, kubelet, seen),
        SeenWay::SriovConfig { path, preview } => sriov_text(&mut out, path, preview),
    }
    let withheld = withheld(&seen.way);
    let resources: BTreeSet<&ResourceName> = seen.candidates.enis.iter().map(|eni| &eni.resource).collect();
    let empty = empty_resources(&seen.way, &resources);
    let _ = writeln!(out, "Resources of this node: {}", resources.len().saturating_add(empty.len()));
    for resource in resources {
        let _ = writeln!(out, "  {resource}:");
        for eni in seen.candidates.enis.iter().filter(|eni| eni.resource == *resource) {
            let note = seen.notes.get(&eni.device);
            let device = device_text(eni, seen.devices.get(&eni.device), note, withheld.is_some());
            let _ = writeln!(out, "    {device}");
        }
    }
    for resource in empty {
        let _ = writeln!(out, "  {resource}: no ENI; a running agent offers an empty list by the socket that is there");
    }
    let taken = |eni: &&Candidate| match &seen.way {
        SeenWay::Plugins(_) | SeenWay::SriovConfig { preview: Err(_), .. } => false,
        SeenWay::SriovConfig { preview: Ok(preview), .. } => preview.taken.contains(&eni.resource),
    };
    let taken: Vec<&Candidate> = seen.candidates.enis.iter().filter(taken).collect();
    let refused = &seen.candidates.refused;
    let all: &[Candidate] = if withheld.is_some() { &seen.candidates.enis } else { &[] };
    let count = refused.len().saturating_add(taken.len()).saturating_add(all.len());
    let _ = writeln!(out, "ENIs with a resource name that are not offered: {count}");
    for refused in refused {
        let _ = writeln!(out, "  {}: {}", refused.attachment, refused.why);
    }
    for eni in all {
        let _ = writeln!(out, "  {}: {}", eni.attachment, withheld.as_deref().unwrap_or_default());
    }
    for eni in taken {
        let _ = writeln!(out, "  {}: an entry of somebody else has {}", eni.attachment, eni.resource);
    }
    out
}

/// Why no ENI is offered at all, if it is so.
fn withheld(way: &SeenWay) -> Option<String> {
    match way {
        SeenWay::Plugins(SeenKubelet { path, may_write: Err(error), .. }) => {
            Some(format!("the agent could make no socket beside {path} ({error})"))
        }
        SeenWay::SriovConfig { preview: Err(error), .. } => Some(error.clone()),
        SeenWay::Plugins(SeenKubelet { may_write: Ok(()), .. }) | SeenWay::SriovConfig { preview: Ok(_), .. } => None,
    }
}

/// The resources that have a socket of the agent and no ENI: kubelet forgets a resource only with its empty list.
fn empty_resources(way: &SeenWay, with_enis: &BTreeSet<&ResourceName>) -> Vec<ResourceName> {
    match way {
        SeenWay::Plugins(kubelet) => {
            let named = kubelet.others.iter().filter_map(|name| of_socket(name));
            named.filter(|resource| !with_enis.contains(resource)).collect()
        }
        SeenWay::SriovConfig { .. } => Vec::new(),
    }
}

fn kubelet_text(out: &mut String, kubelet: &SeenKubelet, seen: &Seen) {
    let socket = match &kubelet.socket {
        SeenSocket::Answers => "kubelet answers".to_owned(),
        SeenSocket::Silent(error) => format!("nobody answers ({error})"),
        SeenSocket::Missing => "it is not there".to_owned(),
    };
    let own = match &kubelet.may_write {
        Ok(()) => "the agent could make its sockets beside it".to_owned(),
        Err(error) => format!("the agent could make no socket beside it ({error}), so no ENI is offered"),
    };
    let _ =
        writeln!(out, "Pods: by device plugins of the agent; kubelet's socket {}: {socket}, and {own}", kubelet.path);
    let ours: BTreeSet<String> = seen.candidates.enis.iter().map(|eni| eni.resource.socket()).collect();
    for name in &kubelet.others {
        let whose = if ours.contains(name) {
            "the agent's"
        } else if is_own_socket(name) {
            "the agent's, for a resource that no ENI has"
        } else {
            "of another plugin"
        };
        let _ = writeln!(out, "  socket {name}: {whose}");
    }
}

fn sriov_text(out: &mut String, path: &str, preview: &Result<Preview, String>) {
    let _ = write!(out, "Pods: by the SR-IOV network device plugin, with {path}");
    match preview {
        Err(error) => {
            let _ = writeln!(out, "; no ENI is offered: {error}");
        }
        Ok(preview) => {
            let state =
                if preview.is_changed { "the agent would change it" } else { "it is as the agent would have it" };
            let _ = writeln!(out, ": {state}; the agent's entries: {}", preview.entries.len());
            for entry in &preview.entries {
                let _ = writeln!(out, "  {entry}");
            }
        }
    }
}

fn device_text(eni: &Candidate, device: Option<&PciDevice>, note: Option<&Note>, is_withheld: bool) -> String {
    let mut out = format!("{} of {}: ", eni.device, eni.attachment);
    if let Some(device) = device {
        let links = if device.links.is_empty() { "no link here".to_owned() } else { device.links.join(", ") };
        let _ = write!(out, "{links}, {}, ", device.driver.as_deref().unwrap_or("no driver"));
        let _ = match device.numa_node {
            Some(node) => write!(out, "NUMA node {node}, "),
            None => write!(out, "no NUMA node, "),
        };
    }
    let _ = match (fault(eni.is_configured, device), note) {
        (None, _) if is_withheld => write!(out, "not offered"),
        (None, None) => write!(out, "healthy"),
        (None, Some(note)) => write!(out, "{note}"),
        (Some(fault), _) => write!(out, "unhealthy: {fault}"),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_plugin::refusal::{Refusal, Refused};

    fn eni(number: u8, resource: &str, is_configured: bool) -> Candidate {
        Candidate {
            attachment: format!("eni-{number}"),
            uid: format!("uid-{number}"),
            resource: resource.parse().unwrap(),
            device: format!("0000:00:0{number}.0").parse().unwrap(),
            is_configured,
        }
    }

    fn seen(way: SeenWay) -> Seen {
        let device = |driver: &str, link: &[&str], numa_node| PciDevice {
            driver: Some(driver.to_owned()),
            links: link.iter().map(|link| (*link).to_owned()).collect(),
            numa_node,
            ..PciDevice::default()
        };
        let devices = [(5, device("ena", &["ens5"], Some(1))), (6, device("vfio-pci", &[], None))];
        let refused = Refused {
            attachment: "eni-9".to_owned(),
            uid: "uid-9".to_owned(),
            why: Refusal::NotConfigured("LinkAbsent".to_owned()),
        };
        Seen {
            candidates: Candidates {
                enis: vec![eni(5, "a", true), eni(6, "a", true), eni(7, "a", true), eni(8, "example.com/b", false)],
                refused: vec![refused],
            },
            notes: BTreeMap::new(),
            devices: devices.map(|(number, device)| (eni(number, "a", true).device, device)).into(),
            way,
        }
    }

    #[test]
    fn a_device_that_is_not_offered_as_it_is_asked_for_says_so() {
        let (node, with) = ("/dev/vfio/3".to_owned(), "0000:00:06.0".parse().unwrap());
        let note = Note::SharedNode { node, with, is_held: false };
        let path = "/k/kubelet.sock".to_owned();
        let kubelet = SeenKubelet { path, socket: SeenSocket::Missing, may_write: Ok(()), others: Vec::new() };
        let mut seen = seen(SeenWay::Plugins(kubelet));
        seen.notes.insert(eni(5, "a", true).device, note.clone());
        let said = text(&seen);
        assert!(said.contains(&format!("0000:00:05.0 of eni-5: ens5, ena, NUMA node 1, {note}\n")), "{said}");
    }

    const DEVICES: &str = "Resources of this node: 2\n\
        \u{20} example.com/b:\n\
        \u{20}   0000:00:08.0 of eni-8: unhealthy: the condition Configured of its ENIAttachment is not True\n\
        \u{20} intel.com/a:\n\
        \u{20}   0000:00:05.0 of eni-5: ens5, ena, NUMA node 1, healthy\n\
        \u{20}   0000:00:06.0 of eni-6: no link here, vfio-pci, no NUMA node, unhealthy: it has no IOMMU group\n\
        \u{20}   0000:00:07.0 of eni-7: unhealthy: sysfs does not show it\n";
    const REFUSED: &str =
        "  eni-9: the agent knows no PCI device of it, and the interface is not configured (LinkAbsent)\n";

    /// The same when no ENI is offered: no device is said to be healthy, and each ENI is listed.
    fn withheld(why: &str) -> String {
        let devices = DEVICES.replace(", healthy", ", not offered");
        let enis = [5, 6, 7, 8].map(|number| format!("  eni-{number}: {why}\n")).concat();
        format!("{devices}ENIs with a resource name that are not offered: 5\n{REFUSED}{enis}")
    }

    #[test]
    fn devices_kubelets_socket_and_what_is_not_offered_are_said() {
        let kubelet = |socket, may_write| {
            let others = vec!["multi-eni_intel.com_a.sock".to_owned(), "other.sock".to_owned()];
            SeenWay::Plugins(SeenKubelet { path: "/k/kubelet.sock".to_owned(), socket, may_write, others })
        };
        let pods = "Pods: by device plugins of the agent; kubelet's socket /k/kubelet.sock: ";
        let sockets = "  socket multi-eni_intel.com_a.sock: the agent's\n  socket other.sock: of another plugin\n";
        let rest = format!("{sockets}{DEVICES}ENIs with a resource name that are not offered: 1\n{REFUSED}");
        let ready = text(&seen(kubelet(SeenSocket::Answers, Ok(()))));
        assert_eq!(ready, format!("{pods}kubelet answers, and the agent could make its sockets beside it\n{rest}"));
        let none = text(&seen(kubelet(SeenSocket::Missing, Err("ENOENT".to_owned()))));
        let first = "it is not there, and the agent could make no socket beside it (ENOENT), so no ENI is offered\n";
        let why = "the agent could make no socket beside /k/kubelet.sock (ENOENT)";
        assert_eq!(none, format!("{pods}{first}{sockets}{}", withheld(why)));
        let silent = text(&seen(kubelet(SeenSocket::Silent("refused".to_owned()), Ok(()))));
        assert!(silent.contains("kubelet.sock: nobody answers (refused), and"), "{silent}");
    }

    #[test]
    fn entries_of_the_sriov_network_device_plugin_and_taken_names_are_said() {
        let with = |preview| SeenWay::SriovConfig { path: "/c.json".to_owned(), preview };
        let taken = vec!["example.com/b".parse().unwrap()];
        let preview = Preview { entries: vec!["{\"a\":1}".to_owned()], is_changed: true, taken };
        let pods = "Pods: by the SR-IOV network device plugin, with /c.json";
        let not_offered = format!(
            "ENIs with a resource name that are not offered: 2\n{REFUSED}  eni-8: an entry of somebody else has example.com/b\n"
        );
        let first = format!("{pods}: the agent would change it; the agent's entries: 1\n  {{\"a\":1}}\n");
        assert_eq!(text(&seen(with(Ok(preview)))), format!("{first}{DEVICES}{not_offered}"));
        let none = text(&seen(with(Err("/c.json is left as it is".to_owned()))));
        let why = "/c.json is left as it is";
        assert_eq!(none, format!("{pods}; no ENI is offered: {why}\n{}", withheld(why)));
    }

    #[test]
    fn the_socket_of_an_empty_list_is_the_agents_and_its_resource_is_named() {
        let others = ["multi-eni_example.com_old.sock", "multi-eni_0123.sock"].map(str::to_owned).to_vec();
        let path = "/k/kubelet.sock".to_owned();
        let kubelet = SeenKubelet { path, socket: SeenSocket::Answers, may_write: Ok(()), others };
        let said = text(&seen(SeenWay::Plugins(kubelet)));
        for part in [
            "  socket multi-eni_example.com_old.sock: the agent's, for a resource that no ENI has\n",
            "  socket multi-eni_0123.sock: the agent's, for a resource that no ENI has\n",
            "Resources of this node: 3\n",
            "  example.com/old: no ENI; a running agent offers an empty list by the socket that is there\nENIs with",
        ] {
            assert!(said.contains(part), "{part}:\n{said}");
        }
    }
}
