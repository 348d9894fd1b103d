//! Decides when the plugin of one resource makes its socket and when it registers with kubelet. Given what is in kubelet's directory
//! and how many lists kubelet reads; it looks at nothing and knows no clock.
//!
//! Kubelet forgets its plugins when it starts: it removes all sockets and makes its own anew. It also forgets a plugin whose
//! connection has ended, and never connects by itself.

use std::time::Duration;

/// The first wait after a failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait. Kubelet's socket may be there while kubelet does not answer, and no event tells when it does.
const LONGEST: Duration = Duration::from_secs(30);
/// How long kubelet may take from the registration to reading the list.
const GRACE: Duration = Duration::from_secs(5);

/// Which socket of kubelet it is. A new one may have the number of an old one, so the time counts as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketId {
    /// Device and number of the file.
    pub inode: (u64, u64),
    /// When it was made, in seconds and nanoseconds.
    pub changed: (i64, i64),
}

/// What is at the path of the plugin's own socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnSocket {
    /// This plugin's socket.
    Ours,
    /// Nothing.
    Missing,
    /// Another process has made a socket there: a newer agent.
    Replaced,
}

/// What is so now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// The plugin's own socket.
    pub own: OwnSocket,
    /// Kubelet's socket.
    pub kubelet: Option<SocketId>,
    /// How many lists kubelet has opened since the last registration.
    pub opened: u64,
    /// How many of these it has closed.
    pub closed: u64,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Make the socket.
    Bind,
    /// Register with this kubelet.
    Register(SocketId),
    /// Wait for an event, and no longer than this.
    Wait(Option<Duration>),
}

/// What the plugin remembers. Times are since the start of the process.
#[derive(Debug, Clone, Default)]
pub struct Registration {
    registered: Option<(SocketId, Duration)>,
    failures: u32,
    not_before: Duration,
}

impl Registration {
    /// What to do now.
    pub fn next(&mut self, now: Duration, observed: &Observed) -> Step {
        match observed.own {
            OwnSocket::Ours => {}
            OwnSocket::Missing => return self.when_due(now, Step::Bind),
            // Two agents that replace each other's socket would never end.
            OwnSocket::Replaced => return Step::Wait(None),
        }
        let Some(kubelet) = observed.kubelet else {
            self.registered = None;
            return Step::Wait(None);
        };
        match self.registered {
            Some((id, at)) if id == kubelet => {
                if observed.opened > observed.closed {
                    self.failures = 0;
                    return Step::Wait(None);
                }
                let until = at.saturating_add(GRACE);
                if observed.opened == 0 && now < until {
                    return Step::Wait(Some(until.saturating_sub(now)));
                }
                self.registered = None;
                self.failed(now);
            }
            // A new kubelet does not wait for what the old one refused.
            Some(_) => (self.registered, self.failures, self.not_before) = (None, 0, now),
            None => {}
        }
        self.when_due(now, Step::Register(kubelet))
    }

    fn when_due(&self, now: Duration, step: Step) -> Step {
        if now >= self.not_before { step } else { Step::Wait(Some(self.not_before.saturating_sub(now))) }
    }

    /// Kubelet has taken the registration.
    pub fn registered(&mut self, now: Duration, kubelet: SocketId) {
        self.registered = Some((kubelet, now));
    }

    /// A step failed, or a registration came to nothing.
    pub fn failed(&mut self, now: Duration) {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.saturating_add(FIRST.saturating_mul(factor).min(LONGEST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: SocketId = SocketId { inode: (1, 7), changed: (100, 0) };
    /// The file system has given the number to the new socket.
    const NEW: SocketId = SocketId { inode: (1, 7), changed: (100, 1) };

    fn observed(kubelet: Option<SocketId>, opened: u64, closed: u64) -> Observed {
        Observed { own: OwnSocket::Ours, kubelet, opened, closed }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Registered at 0, and kubelet reads the list.
    fn settled() -> Registration {
        let mut registration = Registration::default();
        assert_eq!(registration.next(at(0), &observed(Some(OLD), 0, 0)), Step::Register(OLD));
        registration.registered(at(0), OLD);
        assert_eq!(registration.next(at(1), &observed(Some(OLD), 1, 0)), Step::Wait(None));
        registration
    }

    #[test]
    fn the_socket_is_made_before_the_registration_and_then_only_events_count() {
        let mut registration = Registration::default();
        let missing = Observed { own: OwnSocket::Missing, ..observed(Some(OLD), 0, 0) };
        assert_eq!(registration.next(at(0), &missing), Step::Bind);
        assert_eq!(settled().next(at(9_000), &observed(Some(OLD), 1, 0)), Step::Wait(None));
    }

    #[test]
    fn without_kubelet_the_plugin_waits_for_its_socket() {
        let mut registration = Registration::default();
        assert_eq!(registration.next(at(0), &observed(None, 0, 0)), Step::Wait(None));
        assert_eq!(registration.next(at(1), &observed(Some(OLD), 0, 0)), Step::Register(OLD));
    }

    #[test]
    fn a_new_kubelet_is_registered_with_at_once_even_if_its_socket_has_the_old_number() {
        let mut registration = settled();
        // The list of the old kubelet is still open.
        assert_eq!(registration.next(at(2), &observed(Some(NEW), 1, 0)), Step::Register(NEW));
        let mut refused = settled();
        refused.failed(at(2));
        assert_eq!(refused.next(at(2), &observed(Some(NEW), 1, 1)), Step::Register(NEW));
    }

    #[test]
    fn a_connection_that_kubelet_drops_is_registered_again_after_a_wait() {
        let mut registration = settled();
        assert_eq!(registration.next(at(10), &observed(Some(OLD), 1, 1)), Step::Wait(Some(FIRST)));
        assert_eq!(registration.next(at(11), &observed(Some(OLD), 1, 1)), Step::Register(OLD));
    }

    #[test]
    fn a_registration_after_which_kubelet_does_not_read_is_repeated_ever_more_rarely() {
        let mut registration = Registration::default();
        let (mut now, mut waits) = (at(0), Vec::new());
        for _ in 0..7 {
            assert_eq!(registration.next(now, &observed(Some(OLD), 0, 0)), Step::Register(OLD));
            registration.registered(now, OLD);
            assert_eq!(registration.next(now, &observed(Some(OLD), 0, 0)), Step::Wait(Some(GRACE)));
            now += GRACE;
            let Step::Wait(Some(wait)) = registration.next(now, &observed(Some(OLD), 0, 0)) else { panic!("no wait") };
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        registration.registered(now, OLD);
        registration.next(now, &observed(Some(OLD), 1, 0));
        assert_eq!(registration.next(now, &observed(Some(OLD), 1, 1)), Step::Wait(Some(FIRST)), "it had worked");
    }

    #[test]
    fn a_refusal_waits_and_an_event_does_not_shorten_the_wait() {
        let mut registration = Registration::default();
        registration.failed(at(0));
        registration.failed(at(1));
        assert_eq!(registration.next(at(2), &observed(Some(OLD), 0, 0)), Step::Wait(Some(at(1))));
        assert_eq!(registration.next(at(3), &observed(Some(OLD), 0, 0)), Step::Register(OLD));
    }

    #[test]
    fn a_removed_socket_is_made_again_while_kubelet_keeps_its_connection() {
        let mut registration = settled();
        let missing = Observed { own: OwnSocket::Missing, ..observed(Some(OLD), 1, 0) };
        assert_eq!(registration.next(at(9), &missing), Step::Bind);
        assert_eq!(registration.next(at(9), &observed(Some(OLD), 1, 0)), Step::Wait(None));
    }

    #[test]
    fn a_newer_agent_is_not_fought() {
        let mut registration = settled();
        for kubelet in [Some(OLD), Some(NEW), None] {
            let replaced = Observed { own: OwnSocket::Replaced, ..observed(kubelet, 1, 1) };
            assert_eq!(registration.next(at(99), &replaced), Step::Wait(None));
        }
    }
}
