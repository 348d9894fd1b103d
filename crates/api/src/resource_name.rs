//! What kubelet takes for the name of an extended resource, as a check and as rules of the CRD. Both have the same sentences.

use crate::names::full_resource_name;

/// The rule of the part before the slash.
pub const PREFIX: &str = "the part before the slash must be a DNS name in lower case, of at most 244 characters";
/// The rule of the names of Kubernetes.
pub const OF_KUBERNETES: &str = "names below kubernetes.io belong to Kubernetes";
/// The rule of the names for quotas.
pub const OF_QUOTAS: &str = "it must not begin with \"requests.\"";
/// The rule of the part after the slash.
pub const NAME: &str = "the part after the slash must have 1 to 63 letters, digits, '-', '_' and '.'";
/// The rule of the ends of the part after the slash.
pub const ENDS: &str = "the part after the slash must begin and end with a letter or a digit";

/// Checks a `dpdkResourceName`, as the schema does. A stored name may be older than the schema. A name without a slash has the default
/// prefix.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_resource_name(text: &str) -> Result<(), String> {
    let full = full_resource_name(text);
    let (prefix, name) = full.split_once('/').unwrap_or_default();
    match fault(prefix, name) {
        None => Ok(()),
        Some(why) => Err(format!("dpdkResourceName {text:?} is no name of an extended resource: {why}")),
    }
}

/// What kubelet would refuse in a name of these two parts.
pub fn fault(prefix: &str, name: &str) -> Option<&'static str> {
    let is_label = |label: &str| {
        let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_end = |c: char| c.is_ascii_alphanumeric();
    let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // Kubernetes puts "requests." in front of the name for a quota.
    if prefix.len().saturating_add("requests.".len()) > 253 || !prefix.split('.').all(is_label) {
        Some(PREFIX)
    } else if prefix.contains("kubernetes.io") {
        Some(OF_KUBERNETES)
    } else if prefix.starts_with("requests.") {
        Some(OF_QUOTAS)
    } else if name.is_empty() || name.len() > 63 || !name.chars().all(is_inner) {
        Some(NAME)
    } else if !(name.starts_with(is_end) && name.ends_with(is_end)) {
        Some(ENDS)
    } else {
        None
    }
}
