//! The API server's errors as sentences that say what to do.

/// Why the request failed. `what`: what was to be done, as in "cannot WHAT".
pub(super) fn said(what: &str, error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
            format!("not allowed to {what}: {}. docs/reference/drain.md has the rights that are needed", status.message)
        }
        kube::Error::Api(status) => format!("cannot {what}: {}", status.message),
        other => format!("cannot {what}: {other}. Is the API server of KUBECONFIG running?"),
    }
}
