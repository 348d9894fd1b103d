//! Which protocol numbers are the agent's own: the one of the settings, and those with which it has set things since the boot, as the
//! ledger says. After a change of `--route-protocol` what is there keeps its number, and goes with the rest.

use super::settings::Settings;
use crate::ledger::Ledger;
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
