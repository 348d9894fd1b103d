//! What must hold before a device leaves its kernel driver: its link has the MAC address of the ENI, nobody else uses the link, and the
//! driver for DPDK can take the device.

use super::driver::DpdkDriver;
use super::obstacle::DpdkObstacle;
use super::pci::Pci;
use super::settings::DpdkSettings;
use super::step::DeviceStep;
use crate::ledger::Ledger;
use crate::node::{Link, Mac, Node};
use crate::pci_address::PciAddress;
use crate::pci_device::{GroupDevice, IommuGroup, PciDevice};
use crate::plan::find_link::{Found, find_link};
use crate::plan::obstacles;
use crate::plan::report::Obstacle;
use crate::plan::settings::{PROTOCOL_KERNEL, Settings};
use crate::wanted::{WantedDpdk, WantedEni};

/// What is known of the node.
#[derive(Clone, Copy)]
pub(super) struct Checks<'a> {
    pub node: &'a Node,
    pub links: &'a Ledger,
    pub pci: &'a Pci,
    pub network: &'a Settings,
    pub settings: &'a DpdkSettings,
    pub wanted: &'a [WantedEni],
}

/// The result for one ENI.
pub(super) enum Checked<'a> {
    /// The ENI has no link, or several. The network's report says so.
    NoLink,
    /// The device may be bound.
    Ready { address: PciAddress, device: &'a PciDevice },
    /// The node needs this step first. Nothing of the device is changed by it.
    First { address: PciAddress, step: DeviceStep },
}

impl<'a> Checks<'a> {
    /// Checks one ENI.
    pub(super) fn check(&self, mac: Mac, driver: DpdkDriver, wanted: &WantedDpdk) -> Result<Checked<'a>, Obstacle> {
        let link = match find_link(self.node, mac, &self.network.link_kinds) {
            Found::One(link) => link,
            Found::Absent | Found::Several(_) => return Ok(Checked::NoLink),
        };
        if let Some(obstacle) = obstacles::of_link(self.node, link) {
            return Err(obstacle);
        }
        let (address, device) =
            self.device_of(link).ok_or_else(|| Obstacle::Dpdk(DpdkObstacle::NotPci { link: link.name.clone() }))?;
        if let Some(named) = wanted.pci_address.as_ref().filter(|named| **named != address) {
            let (wanted, actual) = (named.clone(), address);
            return Err(Obstacle::Dpdk(DpdkObstacle::PciAddressMismatch { wanted, actual }));
        }
        if let Some(what) = self.use_by_others(link, mac) {
            return Err(Obstacle::Dpdk(DpdkObstacle::LinkInUse(what)));
        }
        // Otherwise the link would go down, and come back after the first write has failed.
        if device.is_read_only {
            return Err(Obstacle::Dpdk(DpdkObstacle::SysfsReadOnly));
        }
        match self.missing(driver, device).map_err(Obstacle::Dpdk)? {
            Some(step) => Ok(Checked::First { address, step }),
            None => Ok(Checked::Ready { address, device }),
        }
    }

    fn device_of(&self, link: &Link) -> Option<(PciAddress, &'a PciDevice)> {
        let address: PciAddress = link.parent_device.as_deref()?.parse().ok()?;
        let device = self.pci.devices.get(&address)?;
        Some((address, device))
    }

    /// Addresses, routes and links that the agent has not made.
    fn use_by_others(&self, link: &Link, mac: Mac) -> Option<String> {
        let (node, protocol) = (self.node, self.network.protocol);
        let entry = self.links.entry(mac);
        let is_of_ledger = |ip| entry.is_some_and(|entry| entry.addresses.contains(ip));
        let address = node.addresses.iter().find(|address| {
            // Kernels before 5.18 keep no protocol.
            let is_ours = address.protocol == protocol || address.protocol == 0 && is_of_ledger(&address.cidr.address);
            address.link == link.index && address.is_global && !is_ours
        });
        let manager = || link.managed_by.as_ref().map(|manager| format!(" ({manager} manages it)")).unwrap_or_default();
        if let Some(address) = address {
            return Some(format!("{} has the address {}{}", link.name, address.cidr, manager()));
        }
        let route = node
            .routes
            .iter()
            .find(|route| route.link == link.index && route.protocol != protocol && route.protocol != PROTOCOL_KERNEL);
        if let Some(route) = route {
            return Some(format!("{} has a route to {}{}", link.name, route.destination, manager()));
        }
        let upper = node.links.iter().find(|other| other.lower == Some(link.index));
        upper.map(|upper| format!("the link {} is on top of {}", upper.name, link.name))
    }

    /// What the driver lacks: a step that mends it if the settings allow one.
    fn missing(&self, driver: DpdkDriver, device: &PciDevice) -> Result<Option<DeviceStep>, DpdkObstacle> {
        if !self.pci.drivers.contains(driver.name()) {
            let step = self.settings.load_modules.then_some(DeviceStep::LoadModule(driver));
            return step.map(Some).ok_or(DpdkObstacle::DriverMissing(driver));
        }
        match driver {
            DpdkDriver::VfioPci if device.iommu_group.is_none() && self.pci.no_iommu != Some(true) => {
                let has_mode = self.pci.no_iommu.is_some();
                let step = (has_mode && self.settings.enable_no_iommu).then_some(DeviceStep::EnableNoIommu);
                step.map(Some).ok_or(DpdkObstacle::NoIommu { has_mode })
            }
            DpdkDriver::VfioPci => match device.iommu_group {
                Some(IommuGroup { number: group, .. }) => {
                    let by: Vec<GroupDevice> =
                        device.group_in_use.iter().filter(|other| !self.is_going(other)).cloned().collect();
                    if by.is_empty() { Ok(None) } else { Err(DpdkObstacle::GroupInUse { group, by }) }
                }
                None => Ok(None),
            },
            DpdkDriver::IgbUio | DpdkDriver::UioPciGeneric => Ok(None),
        }
    }

    /// Whether another device of the group is to have vfio-pci, too. One of the two has to be the first.
    fn is_going(&self, other: &GroupDevice) -> bool {
        let is_of = |eni: &WantedEni, link: &Link| eni.mac.is_some() && link.permanent_mac.or(link.mac) == eni.mac;
        let to_vfio = |eni: &&WantedEni| eni.dpdk.as_ref().is_some_and(|dpdk| dpdk.driver == Ok(DpdkDriver::VfioPci));
        let links = || self.node.links.iter().filter(|l| l.parent_device.as_deref() == Some(other.address.as_str()));
        self.wanted.iter().filter(to_vfio).any(|eni| links().any(|link| is_of(eni, link)))
    }
}
