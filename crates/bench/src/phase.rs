//! The pieces of work, and the sizes of the fleets in which they are done.

use serde::Serialize;
use std::fmt;

/// The size of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scale {
    /// Nodes.
    pub nodes: u32,
    /// NodeENIs that select all of them, 1 or 2.
    pub nodeenis: u32,
    /// Share of EC2's refill rates that may be used.
    pub share: f64,
}

impl Scale {
    /// ENIs when all are attached.
    pub fn enis(&self) -> u32 {
        self.nodes * self.nodeenis
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.nodes, self.nodeenis)
    }
}

/// A piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Piece {
    /// NodeENIs are created, and each node gets an ENI of each.
    Attach,
    /// Nothing has to be done.
    Idle,
    /// A new controller process starts, and nothing has to be done.
    Restart,
    /// A tenth of the nodes is terminated, and as many new nodes join.
    Replace,
    /// For an hour there is a NodeENI whose subnet does not exist.
    Impossible,
    /// Nodes get a label one after the other, and nothing else has to be done.
    Label,
    /// A NodeENI is deleted; in real time all NodeENIs.
    Delete,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attach => "attach",
            Self::Idle => "idle",
            Self::Restart => "the controller restarted",
            Self::Replace => "a tenth of the nodes replaced",
            Self::Impossible => "a subnet that does not exist, an hour",
            Self::Label => "nodes labelled one by one",
            Self::Delete => "NodeENIs deleted",
        })
    }
}
