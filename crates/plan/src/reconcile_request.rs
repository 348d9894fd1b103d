//! Requests of users for a new try, by the annotation `networking.k8s.aws/reconcile-at`: whether a value is a new request. A request
//! ends back-offs of the object, and the gates of the quota and of permissions let one call try for it. It passes no rate limit. An Event
//! on the object shows that the request was taken.

use crate::counted::counted;
use multi_eni_api::names::ANNOTATION_RECONCILE_AT;

/// The longest value that an Event repeats.
const MAX_VALUE: usize = 64;

/// Whether the annotation asks for a new try now. Each new value asks once. `is_known`: the process knew this object before, with
/// the value `before`. A value that a process finds with an object that it did not know was handled by an earlier process, or the
/// object is new and has nothing to wake.
pub fn is_requested(is_known: bool, before: Option<&str>, now: Option<&str>) -> bool {
    is_known && now.is_some() && now != before
}

/// The object of a request, for the note of its Event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requested {
    /// A NodeENI with this number of ENIAttachments.
    NodeEni(usize),
    /// An ENIAttachment.
    Attachment,
}

/// The note of the Event on the object: which value was taken, and what is tried.
pub fn note(value: &str, requested: Requested) -> String {
    let value: String = value.chars().take(MAX_VALUE).collect();
    let what = match requested {
        Requested::NodeEni(number) => format!("of the NodeENI and of its {}", counted(number, "ENIAttachment")),
        Requested::Attachment => "of the ENIAttachment".to_owned(),
    };
    format!("{ANNOTATION_RECONCILE_AT}={value}: what waits after a failure {what} is tried once")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_names_the_value_and_what_is_tried() {
        let tried = note("2026-01-01T00:00:00Z", Requested::NodeEni(1));
        let expected = "networking.k8s.aws/reconcile-at=2026-01-01T00:00:00Z: what waits after a failure of the NodeENI and of its 1 \
                        ENIAttachment is tried once";
        assert_eq!(tried, expected);
        assert!(
            note("now", Requested::Attachment).contains("=now: what waits after a failure of the ENIAttachment is")
        );
        assert!(note(&"ä".repeat(5_000), Requested::Attachment).len() < 1_000, "an Event has at most 1,024 bytes");
    }

    #[test]
    fn each_new_value_asks_once() {
        assert!(is_requested(true, None, Some("2026-01-01T00:00:00Z")));
        assert!(is_requested(true, Some("2026-01-01T00:00:00Z"), Some("2026-01-01T00:00:01Z")));
        assert!(is_requested(true, Some("2"), Some("1")), "any other value asks, whether or not it is a later time");
        assert!(!is_requested(true, Some("1"), Some("1")));
        assert!(!is_requested(true, Some("1"), None), "a removed annotation asks for nothing");
        assert!(!is_requested(false, None, Some("1")), "a new leader takes the value that it finds as handled");
    }
}
