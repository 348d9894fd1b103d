//! Parsers and defaults for the values of flags that several commands have.

use jiff::SignedDuration;

/// The default log filter of a command that says itself why a request to the API server failed. kube logs the failure, too.
pub(super) const LOG_WITHOUT_REQUESTS: &str = "error,kube_client::client::builder=off";

/// Parses a duration such as `10s`, `5m` or `1h30m`.
pub(super) fn seconds(text: &str) -> Result<SignedDuration, String> {
    let parsed: SignedDuration =
        text.parse().map_err(|_| format!("{text:?} is not a duration such as 10s, 5m or 1h30m"))?;
    if parsed.is_negative() { Err("a duration cannot be negative".to_owned()) } else { Ok(parsed) }
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err(format!("{text:?} is not a number above 0 and at most 1")),
    }
}
