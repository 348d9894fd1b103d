//! DPDK with the sysfs tree that reacts, and real links: the link of a device goes and comes as its driver does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

#[path = "../rig/mod.rs"]
mod rig;

mod binary;
mod held;
mod permissions;
mod sriov_config;
mod steps;

use multi_eni_agent::dpdk::driver::DpdkDriver;
use multi_eni_agent::dpdk::settings::DpdkSettings;
use multi_eni_agent::node_agent::{NodeAgent, Turn};
use multi_eni_agent::plan::report::{EniReport, Outcome};
use multi_eni_agent::wanted::{WantedDpdk, WantedEni};
use rig::tree::{OnLink, Tree};
use rig::{Rig, eni, run};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The PCI address of the ENI with this number.
fn address(number: u8) -> String {
    format!("0000:00:{:02x}.0", number + 5)
}

fn dpdk_eni(number: u8, driver: DpdkDriver) -> WantedEni {
    WantedEni { dpdk: Some(WantedDpdk { driver: Ok(driver), pci_address: None }), ..eni(number) }
}

fn vfio(number: u8) -> WantedEni {
    dpdk_eni(number, DpdkDriver::VfioPci)
}

/// The node: namespaces, and the tree with the primary interface and the ENIs of these numbers, each with a link.
struct Node {
    rig: Rig,
    tree: Tree,
    settings: DpdkSettings,
}

impl Node {
    /// Each device has an IOMMU group of its own, from this number on, that of the primary interface one less.
    fn new(numbers: &[u8], first_group: Option<u8>) -> Self {
        Self::with_groups(numbers, |number| first_group.map(|first| (first + number - 1).to_string()))
    }

    fn with_groups(numbers: &[u8], group: impl Fn(u8) -> Option<String>) -> Self {
        let rig = Rig::new();
        let (node, vpc) = (rig.namespace("node"), rig.namespace("vpc"));
        let ledger = rig.directories().state.join("bindings.json");
        let count = AtomicU32::new(0);
        let on_link: OnLink = Arc::new(move |address, comes| {
            let number = u8::from_str_radix(&address[8..10], 16).unwrap() - 5;
            if !comes {
                assert!(ledger.exists(), "the ledger is on the disk before the link goes");
                run(&format!("ip -n {vpc} link del eni{number}"));
                return None;
            }
            // The kernel gives the link a new name each time.
            let name = format!("eth{number}x{}", count.fetch_add(1, Ordering::Relaxed));
            let mac = format!("02:00:00:00:00:{number:02x}");
            run(&format!("ip -n {vpc} link add eni{number} type veth peer name {name} address {mac} netns {node}"));
            Some(name)
        });
        let tree = Tree::new(&rig.directories().kernel.sysfs, on_link.clone());
        tree.add(&address(0), group(0).as_deref());
        tree.put_link(&address(0), "ens5");
        for number in numbers {
            tree.add(&address(*number), group(*number).as_deref());
            tree.put_link(&address(*number), &on_link(&address(*number), true).unwrap());
        }
        let nowhere = rig.run_dir().join("nowhere");
        let settings = DpdkSettings {
            proc: rig.run_dir().join("proc"),
            upstream: rig.run_dir().join("interface-mappings.json"),
            modprobe: nowhere,
            ..DpdkSettings::default()
        };
        fs::create_dir_all(&settings.proc).unwrap();
        Self { rig, tree, settings }
    }

    fn with_vfio(numbers: &[u8]) -> Self {
        let node = Self::new(numbers, Some(3));
        node.tree.load("vfio-pci");
        node
    }

    /// A new process of the agent.
    fn agent(&self) -> NodeAgent {
        let mut agent = self.rig.agent();
        agent.set_dpdk(self.settings.clone());
        agent
    }

    /// One turn of a new process, in which nothing may fail.
    fn turn(&self, wanted: &[WantedEni]) -> Turn {
        let turn = self.agent().turn(wanted).unwrap();
        assert_eq!(turn.failed, [], "{:?}", turn.steps);
        turn
    }

    fn driver(&self, number: u8) -> Option<String> {
        self.tree.driver(&address(number))
    }

    fn ledger(&self) -> PathBuf {
        self.rig.directories().state.join("bindings.json")
    }

    /// Asserts that the device has its kernel driver, and that nothing of the agent is left on it.
    fn assert_restored(&self, number: u8) {
        assert_eq!(self.driver(number).as_deref(), Some("ena"));
        assert!(["", "(null)"].contains(&self.tree.driver_override(&address(number)).as_str()));
        assert!(!self.ledger().exists());
        let link = run(&format!("ip -n {} -br link", self.rig.namespace("node")));
        assert!(link.contains(&format!("02:00:00:00:00:{number:02x}")), "{link}");
    }
}

fn report<'a>(turn: &'a Turn, name: &str) -> &'a EniReport {
    turn.reports.iter().find(|report| report.attachment == name).unwrap_or_else(|| panic!("{:?}", turn.reports))
}

fn reason(turn: &Turn, name: &str) -> &'static str {
    match &report(turn, name).outcome {
        Outcome::Blocked(obstacle) => obstacle.reason(),
        Outcome::Bound { .. } => "Bound",
        other => panic!("{other:?}"),
    }
}

/// How many steps of a kind succeeded.
fn steps(turn: &Turn, kind: &str) -> u64 {
    turn.counts.iter().filter(|count| count.kind == kind && count.is_done).map(|count| count.steps).sum()
}

fn sentence(turn: &Turn, name: &str) -> String {
    let Outcome::Blocked(obstacle) = &report(turn, name).outcome else { panic!("{:?}", turn.reports) };
    obstacle.to_string()
}
