//! Requests of users for a new try, by the annotation `networking.k8s.aws/reconcile-at`: whether a value is a new request. A request
//! ends back-offs of the object, and the gates of the quota and of permissions let one call try for it. It passes no rate limit.

/// Whether the annotation asks for a new try now. Each new value asks once. `is_known`: the process knew this object before, with
/// the value `before`. A value that a process finds with an object that it did not know was handled by an earlier process, or the
/// object is new and has nothing to wake.
pub fn is_requested(is_known: bool, before: Option<&str>, now: Option<&str>) -> bool {
    is_known && now.is_some() && now != before
}

#[cfg(test)]
mod tests {
    use super::*;

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
