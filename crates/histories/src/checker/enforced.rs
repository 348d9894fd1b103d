//! Which of the invariants that can be switched off are enforced. A new invariant is switched on here.

use std::sync::OnceLock;

/// The invariants that can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "a switch for each invariant")]
pub struct EnforcedInvariants {
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

static CHOSEN: OnceLock<EnforcedInvariants> = OnceLock::new();

impl EnforcedInvariants {
    /// What every run enforces.
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

    /// Whether one of them needs [`super::State::poll`].
    pub fn needs_polling(self) -> bool {
        self.said || self.nothing_for_the_dead
    }

    /// Whether one of them needs each request and its answer.
    pub fn follows(self) -> bool {
        self.backs_off || self.said
    }

    /// Enforces these in all histories of this operating system process.
    pub fn choose(self) {
        // The command line chooses once, before the first history. A second choice has no effect.
        let _ = CHOSEN.set(self);
    }

    /// What the histories of this operating system process enforce.
    pub fn chosen() -> Self {
        CHOSEN.get().copied().unwrap_or(Self::NOW)
    }
}
