//! Reports of the node agent about earlier settings: since when an ENI that is Ready waits for the agent to follow an edit. No object
//! shows that time, so the process remembers it. It decides nothing.

use crate::attachment::Attachment;
use jiff::Timestamp;
use multi_eni_api::conditions::types;
use std::collections::BTreeMap;

/// Whether the agent's report says that the interface is configured, but for earlier settings of the ENIAttachment.
pub fn is_outdated(attachment: &Attachment) -> bool {
    let report = attachment.status.conditions.iter().find(|condition| condition.type_ == types::CONFIGURED);
    attachment.generation.is_some()
        && report.is_some_and(|report| report.status == "True" && report.observed_generation != attachment.generation)
}

/// Since when this process has seen outdated reports, by UID of the ENIAttachment.
#[derive(Debug, Default)]
pub struct OutdatedReports(BTreeMap<String, (Option<i64>, Timestamp)>);

impl OutdatedReports {
    /// Takes the present state of an ENIAttachment. Another edit begins the time anew.
    pub fn note(&mut self, attachment: &Attachment, now: Timestamp) {
        if !is_outdated(attachment) {
            self.0.remove(&attachment.uid);
            return;
        }
        let noted = self.0.entry(attachment.uid.clone()).or_insert((attachment.generation, now));
        if noted.0 != attachment.generation {
            *noted = (attachment.generation, now);
        }
    }

    /// Since when the report about this ENIAttachment has been outdated.
    pub fn since(&self, uid: &str) -> Option<Timestamp> {
        self.0.get(uid).map(|(_, since)| *since)
    }

    /// Keeps the ENIAttachments that still exist.
    pub fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.0.retain(|uid, _| exists(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::tests::new_attachment;
    use multi_eni_api::conditions::{self, ConditionUpdate};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_time_begins_with_an_edit_and_ends_with_a_report_about_it() {
        let (mut attachment, mut outdated) = (new_attachment("n0", 1, false), OutdatedReports::default());
        let uid = attachment.uid.clone();
        let mut seen = |attachment: &Attachment, second| {
            outdated.note(attachment, at(second));
            outdated.since(&uid)
        };
        attachment.generation = Some(1);
        assert_eq!(seen(&attachment, 1), None, "no report yet");
        let says = |attachment: &mut Attachment, is_so| {
            let update = ConditionUpdate::new(types::CONFIGURED, is_so, "words", "words");
            conditions::set(&mut attachment.status.conditions, update, attachment.generation, at(1));
        };
        says(&mut attachment, true);
        assert_eq!(seen(&attachment, 2), None);
        attachment.generation = Some(2);
        assert_eq!([seen(&attachment, 3), seen(&attachment, 4)], [Some(at(3)); 2]);
        attachment.generation = Some(3);
        assert_eq!(seen(&attachment, 5), Some(at(5)), "another edit");
        says(&mut attachment, false);
        attachment.generation = Some(4);
        assert_eq!(seen(&attachment, 6), None, "a report that says False counts at once");
        says(&mut attachment, true);
        assert_eq!(seen(&attachment, 7), None);
        attachment.generation = Some(5);
        assert_eq!(seen(&attachment, 8), Some(at(8)));
        outdated.retain(|_| false);
        assert_eq!(outdated.since(&uid), None);
    }
}
