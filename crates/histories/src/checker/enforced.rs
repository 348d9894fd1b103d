//! Which of the newer promises a history is held to: the one place to switch one on.

use std::sync::OnceLock;

/// The promises that can be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "a switch for each promise")]
pub struct Enforced {
    /// `backs-off`.
    pub backs_off: bool,
    /// `max-unavailable`.
    pub max_unavailable: bool,
    /// `removal-pace`.
    pub removal_pace: bool,
    /// `said`.
    pub said: bool,
    /// `nothing-for-the-dead`.
    pub nothing_for_the_dead: bool,
    /// `nothing-unasked` also for an ENI that has lost its ENIAttachment and is wanted where it is.
    pub adopted: bool,
}

static CHOSEN: OnceLock<Enforced> = OnceLock::new();

impl Enforced {
    /// What every run is held to.
    pub const NOW: Self = Self {
        backs_off: true,
        max_unavailable: true,
        removal_pace: true,
        said: true,
        nothing_for_the_dead: true,
        adopted: true,
    };
    /// All of them.
    pub const ALL: Self = Self::NOW;

    /// Whether any is judged by looking now and then.
    pub fn looks(self) -> bool {
        self.said || self.nothing_for_the_dead
    }

    /// Whether requests and their answers are followed.
    pub fn follows(self) -> bool {
        self.backs_off || self.said
    }

    /// Holds all histories of this process to these.
    pub fn choose(self) {
        // The command line chooses once, before the first history.
        let _ = CHOSEN.set(self);
    }

    /// What the histories of this process are held to.
    pub fn chosen() -> Self {
        CHOSEN.get().copied().unwrap_or(Self::NOW)
    }
}
