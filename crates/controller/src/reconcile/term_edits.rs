//! Remembers when the subnet terms of NodeENIs were edited, so that an edit waits for one lookup and not until EC2 has shown the same
//! tags for minutes. The memory is one of this term of leadership: after a restart the longer wait holds.

use super::Reconciler;
use jiff::SignedDuration;

/// After this time each subnet in use has been described since the edit, or is described before it is decided on.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);

impl Reconciler {
    /// Takes the edits that the store has found.
    pub(super) fn note_term_edits(&mut self) {
        let now = self.now();
        for uid in self.store.take_term_edits() {
            self.term_edits.retain(|_, edited| now.duration_since(*edited) < REMEMBERED);
            self.term_edits.insert(uid, now);
        }
    }
}
