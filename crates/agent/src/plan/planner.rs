//! All ENIs together: steps in order, and a report for each ENI. First goes what nobody asks for, then each ENI is set up.

use super::author::RoutedBy;
use super::desired::{Desired, desired};
use super::find_link::{Found, find_link};
use super::node_network::covers_node;
use super::own_protocols::OwnProtocols;
use super::report::{EniReport, LinkReport, Obstacle, Outcome};
use super::routing::{Routing, is_own_route, is_own_rule};
use super::set_up::SetUp;
use super::settings::Settings;
use super::shape::{has_shape_of_route, has_shape_of_rule};
use super::step::{PlannedStep, Step};
use super::{obstacles, take_back::take_back};
use crate::ledger::Ledger;
use crate::netlink::Change;
use crate::node::{Link, Mac, Node, Route, Rule};
use crate::wanted::WantedEni;
use multi_eni_api::node_config::NodeMode;
use std::collections::BTreeSet;

/// What to do, and what is so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<PlannedStep>,
    /// One report for each ENI.
    pub reports: Vec<EniReport>,
}

/// Plans the node. With no ENI wanted, the steps take back everything that the agent has done.
pub fn plan(node: &Node, ledger: &Ledger, wanted: &[WantedEni], settings: &Settings) -> Plan {
    let own = OwnProtocols::new(settings, ledger);
    let mut planner = Planner { node, ledger, wanted, settings, own, kept: Kept::default(), set_up: Vec::new() };
    let reports = wanted.iter().map(|eni| planner.eni(eni)).collect();
    let mut steps = planner.remove_surplus();
    steps.extend(planner.give_links_back());
    steps.append(&mut planner.set_up);
    Plan { steps, reports }
}

/// What must not be removed.
#[derive(Default)]
struct Kept {
    /// Routes and rules of ENIs that are set up.
    routes: Vec<Route>,
    rules: Vec<Rule>,
    /// Links and tables of ENIs that the agent leaves as they are.
    links: BTreeSet<u32>,
    tables: BTreeSet<u32>,
    /// MAC addresses whose entries of the ledger stay.
    macs: BTreeSet<Mac>,
}

struct Planner<'a> {
    node: &'a Node,
    ledger: &'a Ledger,
    wanted: &'a [WantedEni],
    settings: &'a Settings,
    own: OwnProtocols<'a>,
    kept: Kept,
    set_up: Vec<PlannedStep>,
}

impl<'a> Planner<'a> {
    fn eni(&mut self, wanted: &'a WantedEni) -> EniReport {
        let found = wanted.mac.map(|mac| (mac, find_link(self.node, mac, &self.settings.link_kinds)));
        let link = match &found {
            Some((_, Found::One(link))) => Some(*link),
            Some((_, Found::Absent | Found::Several(_))) | None => None,
        };
        let mut routed_by = RoutedBy::default();
        let outcome = match (&wanted.unusable, found) {
            (Some(why), _) => self.blocked(wanted, link, Obstacle::Unusable(why.clone())),
            (None, _) if wanted.mode == NodeMode::None => Outcome::NotManaged,
            (None, None) => self.blocked(wanted, None, Obstacle::NoMac),
            (None, Some((mac, Found::Absent))) => self.absent(mac),
            (None, Some((_, Found::Several(links)))) => {
                self.kept.links.extend(links.iter().map(|link| link.index));
                let names = links.iter().map(|link| link.name.clone()).collect();
                self.blocked(wanted, None, Obstacle::SeveralLinks(names))
            }
            (None, Some((mac, Found::One(link)))) => match self.found(wanted, link, mac) {
                Ok((outcome, by)) => {
                    routed_by = by;
                    outcome
                }
                Err(obstacle) => self.blocked(wanted, Some(link), obstacle),
            },
        };
        EniReport {
            attachment: wanted.name.clone(),
            uid: wanted.uid.clone(),
            generation: wanted.generation,
            mac: wanted.mac,
            link: link.map(|link| LinkReport { routed_by, ..self.link_report(wanted, link) }),
            outcome,
        }
    }

    /// The ENI and everything of ours on its link stay as they are. Without a MAC address (the status was lost, for example), the
    /// ledger knows the link.
    fn blocked(&mut self, wanted: &WantedEni, link: Option<&Link>, obstacle: Obstacle) -> Outcome {
        let mac = wanted.mac.or_else(|| self.ledger.mac_of(&wanted.uid));
        let of_ledger =
            mac.filter(|_| wanted.mac.is_none()).map(|mac| find_link(self.node, mac, &self.settings.link_kinds));
        let link = match of_ledger {
            Some(Found::One(link)) => Some(link),
            Some(Found::Absent | Found::Several(_)) | None => link,
        };
        self.kept.tables.insert(wanted.table());
        self.kept.macs.extend(mac);
        self.kept.links.extend(link.map(|link| link.index));
        Outcome::Blocked(obstacle)
    }

    /// The routes went with the link. The rules would send the traffic nowhere, so they go as well.
    fn absent(&mut self, mac: Mac) -> Outcome {
        self.kept.macs.insert(mac);
        let device = self.ledger.entry(mac).and_then(|entry| entry.parent_device.as_ref());
        match device.filter(|device| self.node.devices_without_link.contains(device)) {
            Some(device) => Outcome::InUse { device: device.clone() },
            None => Outcome::Blocked(Obstacle::LinkAbsent),
        }
    }

    fn found(&mut self, wanted: &'a WantedEni, link: &'a Link, mac: Mac) -> Result<(Outcome, RoutedBy), Obstacle> {
        let (node, own) = (self.node, self.own);
        let obstacle = obstacles::of_link(node, link)
            .or_else(|| obstacles::of_mtu(wanted, link))
            .or_else(|| obstacles::of_name(node, link, wanted, self.wanted));
        if let Some(obstacle) = obstacle {
            return Err(obstacle);
        }
        let desired = match wanted.mode {
            NodeMode::Addresses => desired(wanted, link.index, own.current())?,
            NodeMode::Link | NodeMode::None => Desired::default(),
        };
        let routing = Routing { node, link, wanted, desired: &desired, own };
        if wanted.mode == NodeMode::Addresses
            && let Some(obstacle) = routing.obstacle()
        {
            return Err(obstacle);
        }
        let entry = self.ledger.entry(mac);
        let set_up = SetUp { node, link, mac, wanted, desired: &desired, entry, own };
        let mut steps = set_up.link_steps();
        steps.extend(routing.steps());
        let routed_by = routing.routed_by();
        let changes: Vec<String> = steps.iter().filter(|step| !step.is_bookkeeping()).map(Step::to_string).collect();
        if let Some(manager) = &link.managed_by {
            // The agent agrees with what is so already. It changes nothing, so it also needs no entry in the ledger.
            if !changes.is_empty() {
                return Err(Obstacle::ManagedByOther { manager: manager.clone(), missing: changes });
            }
            steps.clear();
        }
        self.kept.macs.insert(mac);
        self.kept.routes.extend(desired.routes);
        self.kept.rules.extend(desired.rules);
        let outcome = if steps.is_empty() { Outcome::Configured } else { Outcome::Changing { steps: changes } };
        self.set_up.extend(steps.into_iter().map(|step| PlannedStep { attachment: Some(wanted.name.clone()), step }));
        Ok((outcome, routed_by))
    }

    /// Rules, routes and addresses with the agent's protocol that nobody asks for. The protocol number alone is no proof: a rule or a
    /// route that the agent cannot have written stays. A route that covers the node's own network by now goes in any case.
    fn remove_surplus(&self) -> Vec<PlannedStep> {
        let (node, kept, own) = (self.node, &self.kept, self.own);
        let rules = node.rules.iter().filter(|rule| {
            let is_ours = own.contains(rule.protocol) && has_shape_of_rule(rule);
            let is_asked_for = kept.rules.iter().any(|wanted| is_own_rule(own, rule, wanted));
            is_ours && !kept.tables.contains(&rule.table) && !is_asked_for
        });
        let routes = node.routes.iter().filter(|route| {
            let is_kept = kept.tables.contains(&route.table) || kept.links.contains(&route.link);
            let is_ours = own.contains(route.protocol) && has_shape_of_route(route);
            let is_asked_for = kept.routes.iter().any(|wanted| is_own_route(own, route, wanted));
            is_ours && (!is_kept && !is_asked_for || covers_node(node, route))
        });
        // Addresses on links of the ledger and of ENIs are removed with the other changes of the link.
        let has_entry = |address: u32| {
            let link = node.links.iter().find(|link| link.index == address);
            let mac = link.and_then(|link| link.permanent_mac.or(link.mac));
            mac.is_some_and(|mac| kept.macs.contains(&mac) || self.ledger.entry(mac).is_some())
        };
        let addresses = node.addresses.iter().filter(|address| {
            own.contains(address.protocol) && !kept.links.contains(&address.link) && !has_entry(address.link)
        });
        let changes = rules
            .map(|rule| Change::RemoveRule(rule.clone()))
            .chain(routes.map(|route| Change::RemoveRoute(route.clone())))
            .chain(addresses.map(|address| Change::RemoveAddress { link: address.link, cidr: address.cidr }));
        changes.map(|change| PlannedStep { attachment: None, step: Step::Kernel(change) }).collect()
    }

    /// Links of the ledger that no ENI has any more.
    fn give_links_back(&self) -> Vec<PlannedStep> {
        let mut steps = Vec::new();
        for entry in self.ledger.links.iter().filter(|entry| !self.kept.macs.contains(&entry.mac)) {
            let has_mac = |link: &Link| link.permanent_mac.or(link.mac) == Some(entry.mac);
            match find_link(self.node, entry.mac, &self.settings.link_kinds) {
                Found::One(link) => steps.extend(take_back(self.node, link, entry, self.own)),
                Found::Absent if !self.node.links.iter().any(has_mac) => {}
                // The link is here and cannot be told, so the entry waits until it can.
                Found::Absent | Found::Several(_) => continue,
            }
            steps.push(Step::Forget(entry.mac));
        }
        steps.into_iter().map(|step| PlannedStep { attachment: None, step }).collect()
    }

    fn link_report(&self, wanted: &WantedEni, link: &Link) -> LinkReport {
        let has = |name: &&String| link.alt_names.contains(name) || &link.name == *name;
        let on_link = |ip: &std::net::IpAddr| {
            self.node.addresses.iter().any(|address| address.link == link.index && address.cidr.address == *ip)
        };
        LinkReport {
            index: link.index,
            name: link.name.clone(),
            alternative_name: wanted.interface_name.iter().find(has).cloned(),
            parent_device: link.parent_device.clone(),
            driver: link.driver.clone(),
            numa_node: link.numa_node,
            mtu: link.mtu,
            addresses: wanted.addresses.iter().copied().filter(on_link).collect(),
            route_table: (wanted.mode == NodeMode::Addresses).then(|| wanted.table()),
            managed_by: link.managed_by.clone(),
            routed_by: RoutedBy::default(),
        }
    }
}
