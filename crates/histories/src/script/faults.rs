//! The faults of single requests: by rates, or listed one by one.

use super::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The faults of requests before the faults stop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Random faults: how often each fault applies to a request that it can affect.
    pub rates: Rates,
    /// Faults that apply to exactly these requests.
    pub listed: Vec<InjectedFault>,
}

/// For each fault: to how many of 1,000 requests that it can affect it applies.
pub type Rates = BTreeMap<Fault, u32>;

/// A fault that applies to one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InjectedFault {
    /// Between which two parts the request is sent.
    pub seam: Seam,
    /// The kind of request: an EC2 action, or verb and target such as `patch eniattachments.networking.k8s.aws/status`.
    pub call: String,
    /// The number of the request among those of its kind, from 1.
    pub nth: u64,
    /// The fault.
    pub fault: Fault,
    /// How long the fault lasts, if it has a duration.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lasts: Millis,
}

impl InjectedFault {
    /// The fault and its duration, in words. Traces contain these words.
    pub fn words(&self) -> String {
        let fault = serde_json::to_string(&self.fault).unwrap_or_default();
        let fault = fault.trim_matches('"').to_owned();
        if self.lasts == 0 { fault } else { format!("{fault} for {} ms", self.lasts) }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(lasts: &Millis) -> bool {
    *lasts == 0
}

/// Between which two parts a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seam {
    /// Between a replica and the API server.
    Kube,
    /// Between a replica and EC2.
    Ec2,
}

/// A fault of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The process dies immediately before the request is sent.
    CrashBefore,
    /// The process dies when the request is on its way: the request takes effect, and no process receives the answer.
    CrashInside,
    /// EC2: RequestLimitExceeded. API server: 429.
    Throttle,
    /// EC2: InternalError. API server: 500.
    ServerError,
    /// EC2: Unavailable. API server: 503.
    Unavailable,
    /// The connection breaks before the request arrives.
    Unreachable,
    /// The request takes effect, and the connection breaks before the answer.
    LoseAnswer,
    /// The request takes effect, and no answer comes before the caller times out.
    Hang,
    /// The request takes effect, and the connection breaks in the middle of the answer.
    Garble,
    /// The request takes effect late, perhaps after the caller has timed out.
    Late,
    /// The request takes effect at once and is answered late.
    SlowAnswer,
    /// Attach: the attachment stays `attaching` until it is detached.
    StuckUntilDetached,
    /// Attach: the attachment stays `attaching`, and then `detaching`, until it is detached by force.
    StuckUntilForced,
    /// Attach and Detach: the transition takes minutes.
    SlowTransition,
    /// Describe: the answer shows an older state of the account.
    StaleRead,
    /// Describe of a further page: the token has expired.
    ExpiredPage,
    /// EC2: ExpiredToken, as when credentials rotate.
    ExpiredCredentials,
    /// EC2: UnauthorizedOperation, as when an IAM policy requires tags that it does not see yet.
    Unauthorized,
    /// API server: another client writes to the same object first.
    Interfere,
    /// Watch: it ends at once with 410 Gone.
    Gone,
}
