//! How long the steps of ENIAttachments take, for the metrics. It is given the times; nothing is decided by it.

use jiff::Timestamp;
use std::collections::BTreeMap;

/// The steps that have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Stopwatches {
    /// When it was decided that a node gets this ENIAttachment, by its name.
    decided: BTreeMap<String, Timestamp>,
    /// When the Create that succeeded was sent, by UID.
    created: BTreeMap<String, Timestamp>,
    /// When EC2 accepted the Detach, by UID.
    detached: BTreeMap<String, Timestamp>,
}

impl Stopwatches {
    /// A node is to get the ENIAttachment of this name. The first such decision counts.
    pub(super) fn decided(&mut self, name: &str, now: Timestamp) {
        if !self.decided.contains_key(name) {
            self.decided.insert(name.to_owned(), now);
        }
    }

    /// When it was decided that a node gets the ENIAttachment of this name, until EC2 accepts its Attach.
    pub(super) fn decided_at(&self, name: &str) -> Option<Timestamp> {
        self.decided.get(name).copied()
    }

    /// EC2 accepted the Attach. Returns the seconds since the decision, for the first Attach.
    pub(super) fn attach_accepted(&mut self, name: &str, now: Timestamp) -> Option<f64> {
        self.decided.remove(name).map(|then| since(then, now))
    }

    /// A Create that was sent then succeeded.
    pub(super) fn created(&mut self, uid: &str, sent: Timestamp) {
        self.created.insert(uid.to_owned(), sent);
    }

    /// EC2 shows the ENI attached. Returns the seconds since its Create, once.
    pub(super) fn attached(&mut self, uid: &str, now: Timestamp) -> Option<f64> {
        self.created.remove(uid).map(|then| since(then, now))
    }

    /// EC2 accepted a Detach. The first one counts.
    pub(super) fn detach_accepted(&mut self, uid: &str, now: Timestamp) {
        self.detached.entry(uid.to_owned()).or_insert(now);
    }

    /// EC2 accepted the Delete. Returns the seconds since the Detach.
    pub(super) fn delete_accepted(&mut self, uid: &str, now: Timestamp) -> Option<f64> {
        self.detached.remove(uid).map(|then| since(then, now))
    }

    /// The ENIAttachment of this name is gone: another one of the same name begins anew.
    pub(super) fn gone(&mut self, name: &str) {
        self.decided.remove(name);
    }

    /// Forgets the steps of ENIAttachments that are neither there nor about to be made.
    pub(super) fn retain(&mut self, is_awaited: impl Fn(&str) -> bool, is_there: impl Fn(&str) -> bool) {
        self.decided.retain(|name, _| is_awaited(name));
        self.created.retain(|uid, _| is_there(uid));
        self.detached.retain(|uid, _| is_there(uid));
    }
}

fn since(then: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(then).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn each_step_is_measured_once_from_its_beginning() {
        let at = |s: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s);
        let mut watches = Stopwatches::default();
        watches.decided("a", at(1));
        watches.decided("a", at(3));
        assert_eq!((watches.decided_at("a"), watches.decided_at("b")), (Some(at(1)), None));
        assert_eq!((watches.attach_accepted("a", at(5)), watches.attach_accepted("a", at(6))), (Some(4.0), None));
        watches.decided("a", at(11));
        watches.gone("a");
        assert_eq!(watches.attach_accepted("a", at(12)), None);
        watches.created("u", at(2));
        assert_eq!((watches.attached("u", at(9)), watches.attached("u", at(10))), (Some(7.0), None));
        watches.detach_accepted("u", at(20));
        watches.detach_accepted("u", at(22));
        assert_eq!((watches.delete_accepted("u", at(30)), watches.delete_accepted("v", at(30))), (Some(10.0), None));
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut watches = Stopwatches::default();
        for name in ["a", "b"] {
            watches.decided(name, Timestamp::UNIX_EPOCH);
            watches.created(name, Timestamp::UNIX_EPOCH);
            watches.detach_accepted(name, Timestamp::UNIX_EPOCH);
        }
        watches.retain(|name| name == "a", |uid| uid == "b");
        assert_eq!(watches.decided.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(watches.created.keys().chain(watches.detached.keys()).collect::<Vec<_>>(), ["b", "b"]);
    }
}
