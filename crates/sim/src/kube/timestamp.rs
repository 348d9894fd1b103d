//! The text form of times in objects.

use jiff::Timestamp;

/// RFC 3339 in whole seconds, the format of `metav1.Time`.
pub fn timestamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
