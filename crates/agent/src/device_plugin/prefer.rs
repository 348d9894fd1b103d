//! Decides which of the available devices kubelet should take: devices of one NUMA node, and among equals the lowest addresses.
//! Without an answer kubelet takes any.

use crate::device_plugin::pool::Pool;
use crate::pci_address::PciAddress;
use std::collections::BTreeMap;

/// The IDs, `size` of them if there are so many. Those in `required` come first.
pub fn prefer(pool: &Pool, available: &[String], required: &[String], size: usize) -> Vec<String> {
    let node_of = |id: &String| id.parse::<PciAddress>().ok().and_then(|address| pool.get(&address)?.numa_node);
    let mut chosen: Vec<String> = required.to_vec();
    let mut rest: Vec<&String> = available.iter().filter(|id| !required.contains(id)).collect();
    let mut by_node: BTreeMap<Option<u32>, usize> = BTreeMap::new();
    for id in &rest {
        *by_node.entry(node_of(id)).or_default() += 1;
    }
    let missing = size.saturating_sub(chosen.len());
    let required_nodes: Vec<Option<u32>> = required.iter().map(node_of).collect();
    // The node of a required device; then the fullest node that is just enough, so that the larger ones stay whole.
    let rank = |id: &String| {
        let node = node_of(id);
        let count = by_node.get(&node).copied().unwrap_or_default();
        let is_enough = count >= missing;
        (
            !required_nodes.contains(&node),
            !is_enough,
            if is_enough { count } else { usize::MAX.saturating_sub(count) },
            node,
        )
    };
    rest.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)));
    chosen.extend(rest.into_iter().take(missing).cloned());
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_plugin::pool::{Access, Device};

    /// Devices 1 to 3 are on node 0, 4 and 5 on node 1.
    fn pool() -> Pool {
        let device = |number: u32| {
            let numa_node = Some(u32::from(number > 3));
            let device = Device { is_healthy: true, numa_node, driver: None, access: Access::Interface };
            (format!("0000:00:0{number}.0").parse().unwrap(), device)
        };
        (1..=5).map(device).collect()
    }

    fn chosen(available: &[u32], required: &[u32], size: usize) -> Vec<u32> {
        let ids = |numbers: &[u32]| numbers.iter().map(|n| format!("0000:00:0{n}.0")).collect::<Vec<_>>();
        let chosen = prefer(&pool(), &ids(available), &ids(required), size);
        chosen.iter().map(|id| id[9..10].parse().unwrap()).collect()
    }

    #[test]
    fn devices_of_one_numa_node_come_together() {
        assert_eq!(chosen(&[5, 4, 3, 2, 1], &[], 2), [4, 5]);
        assert_eq!(chosen(&[5, 4, 3, 2, 1], &[], 3), [1, 2, 3]);
        assert_eq!(chosen(&[5, 4, 3, 2, 1], &[], 4), [1, 2, 3, 4]);
        assert_eq!(chosen(&[1, 4, 5], &[], 2), [4, 5]);
    }

    #[test]
    fn required_devices_are_there_and_draw_their_neighbours() {
        assert_eq!(chosen(&[1, 2, 3, 4, 5], &[3], 2), [3, 1]);
        assert_eq!(chosen(&[1, 2, 4, 5], &[4], 2), [4, 5]);
        assert_eq!(chosen(&[1, 2], &[2], 1), [2]);
        assert_eq!(chosen(&[1, 2, 3, 4], &[1], 2), [1, 2]);
    }

    #[test]
    fn too_few_or_unknown_devices_are_no_error() {
        assert_eq!(chosen(&[1], &[], 4), [1]);
        assert_eq!(chosen(&[], &[], 1), Vec::<u32>::new());
        assert_eq!(prefer(&pool(), &["x".to_owned()], &[], 1), ["x"]);
    }
}
