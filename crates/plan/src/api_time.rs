//! Times as the API server stores them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Rounds to whole seconds.
pub(crate) fn whole_second(at: Timestamp) -> Time {
    Time(at.round(jiff::Unit::Second).unwrap_or(at))
}
