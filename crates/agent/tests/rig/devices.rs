//! The PCI devices of the ENIs in the tree of sysfs, each with a real link and an IOMMU group of its own.

use super::tree::{OnLink, Tree};
use super::{Rig, eni, run};
use std::sync::Arc;

/// The PCI address of the ENI with this number.
pub fn address(number: u8) -> String {
    format!("0000:00:{:02x}.0", number + 5)
}

/// The tree with vfio-pci and a device for each of these ENIs. The number of the IOMMU group is that of the ENI.
pub fn with_links(rig: &Rig, numbers: impl IntoIterator<Item = u8>) -> Tree {
    let (node, vpc) = (rig.namespace("node"), rig.namespace("vpc"));
    let on_link: OnLink = Arc::new(move |address, comes| {
        let number = u8::from_str_radix(&address[8..10], 16).unwrap() - 5;
        if !comes {
            run(&format!("ip -n {vpc} link del eni{number}"));
            return None;
        }
        let (name, mac) = (format!("eth{number}x"), eni(number).mac.unwrap());
        run(&format!("ip -n {vpc} link add eni{number} type veth peer name {name} address {mac} netns {node}"));
        Some(name)
    });
    let tree = Tree::new(&rig.directories().kernel.sysfs, on_link.clone());
    tree.load("vfio-pci");
    for number in numbers {
        tree.add(&address(number), Some(&number.to_string()));
        tree.put_link(&address(number), &on_link(&address(number), true).unwrap());
    }
    tree
}
