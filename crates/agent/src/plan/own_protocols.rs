//! Which protocol numbers are the agent's own: the one of the settings, and those with which it has set things since the boot, as the
//! ledger says. After a change of `--route-protocol` what is there keeps its number, and goes with the rest.

use super::settings::Settings;
use crate::ledger::Ledger;
use crate::node::Node;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The protocol numbers of the agent.
#[derive(Clone, Copy)]
pub(super) struct OwnProtocols<'a> {
    current: u8,
    of_ledger: &'a BTreeSet<u8>,
}

impl<'a> OwnProtocols<'a> {
    /// The numbers of these settings and of this ledger.
    pub(super) fn new(settings: &Settings, ledger: &'a Ledger) -> Self {
        Self { current: settings.protocol, of_ledger: &ledger.protocols }
    }

    /// The number of what the agent sets now.
    pub(super) fn current(self) -> u8 {
        self.current
    }

    /// Whether the number is the agent's.
    pub(super) fn contains(self, protocol: u8) -> bool {
        protocol == self.current || self.of_ledger.contains(&protocol)
    }

    /// Whether the ledger has the number of now. Without it, a later agent with another number could not tell what is its own.
    pub(super) fn is_recorded(self) -> bool {
        self.of_ledger.contains(&self.current)
    }
}

/// The node as if all that is the agent's had the number of now, for decisions that know this one number alone.
pub(crate) fn with_current_protocol<'a>(node: &'a Node, settings: &Settings, ledger: &Ledger) -> Cow<'a, Node> {
    let own = OwnProtocols::new(settings, ledger);
    if ledger.protocols.iter().all(|protocol| *protocol == own.current) {
        return Cow::Borrowed(node);
    }
    let mut node = node.clone();
    let routes = node.routes.iter_mut().map(|route| &mut route.protocol);
    let rules = node.rules.iter_mut().map(|rule| &mut rule.protocol);
    let addresses = node.addresses.iter_mut().map(|address| &mut address.protocol);
    routes
        .chain(rules)
        .chain(addresses)
        .filter(|protocol| own.contains(**protocol))
        .for_each(|protocol| *protocol = own.current);
    Cow::Owned(node)
}
