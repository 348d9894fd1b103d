//! The API server's errors as sentences that say what to do.

/// The command that failed. Its page of the documentation has the rights that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// `multi-eni plan` and `multi-eni explain`.
    Plan,
    /// `multi-eni drain`.
    Drain,
}

impl Command {
    fn page(self) -> &'static str {
        match self {
            Self::Plan => "docs/reference/plan.md",
            Self::Drain => "docs/reference/drain.md",
        }
    }
}

/// Why the request failed. `what`: what was to be done, as in "cannot WHAT".
pub(super) fn said(command: Command, what: &str, error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
            format!("not allowed to {what}: {}. {} has the rights that are needed", status.message, command.page())
        }
        kube::Error::Api(status) => format!("cannot {what}: {}", status.message),
        other => format!("cannot {what}: {other}. Is the API server of KUBECONFIG running?"),
    }
}

/// Whether the request was refused because its user lacks a right. What admission refuses has the same code, and is an answer about
/// the object.
pub(super) fn is_right_missing(error: &kube::Error) -> bool {
    let of_rbac = |message: &str| message.contains(" cannot ") && message.contains(" resource ");
    matches!(error, kube::Error::Api(status) if status.code == 403 && of_rbac(&status.message))
}

/// Adds what a user can check if a server answers as no API server does.
pub(super) fn with_url_advice(said: &str, why: &str) -> String {
    format!("{said}, and {why}: is the server's URL in KUBECONFIG right, with its path?")
}
