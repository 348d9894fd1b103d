//! What goes wrong with single requests: by rates, or listed one by one.

use super::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What goes wrong with requests before the calm.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// By chance: how often each fault befalls a request that it can befall.
    pub rates: Rates,
    /// And exactly these.
    pub listed: Vec<Befallen>,
}

/// Per mille of the requests that a fault can befall.
pub type Rates = BTreeMap<Fault, u32>;

/// A fault that befalls one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Befallen {
    /// At which seam.
    pub seam: Seam,
    /// Which requests: an EC2 action, or verb and target such as `patch eniattachments.networking.k8s.aws/status`.
    pub call: String,
    /// The how manieth of these requests, from 1.
    pub nth: u64,
    /// What befalls it.
    pub fault: Fault,
    /// How long it lasts, where it lasts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lasts: Millis,
}

impl Befallen {
    /// What befalls, and for how long, in words.
    pub fn words(&self) -> String {
        let fault = serde_json::to_string(&self.fault).unwrap_or_default();
        let fault = fault.trim_matches('"').to_owned();
        if self.lasts == 0 { fault } else { format!("{fault} for {} ms", self.lasts) }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(lasts: &Millis) -> bool {
    *lasts == 0
}

/// Where a request passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seam {
    /// Between a replica and the API server.
    Kube,
    /// Between a replica and EC2.
    Ec2,
}

/// What can befall a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The replica dies immediately before the request is sent.
    CrashBefore,
    /// The replica dies when the request is on the wire: it takes effect, and nobody hears the answer.
    CrashInside,
    /// EC2: RequestLimitExceeded. API server: 429.
    Throttle,
    /// EC2: InternalError. API server: 500.
    ServerError,
    /// EC2: Unavailable. API server: 503.
    Unavailable,
    /// The connection breaks before the request is there.
    Unreachable,
    /// It takes effect, and the connection breaks before the answer.
    LoseAnswer,
    /// It takes effect, and nothing comes until the caller gives up.
    Hang,
    /// It takes effect, and the connection breaks in the middle of its answer.
    Garble,
    /// It takes effect late, perhaps after the caller has given up.
    Late,
    /// It takes effect at once and is answered late.
    SlowAnswer,
    /// Attach: stays `attaching` until it is detached.
    StuckUntilDetached,
    /// Attach: stays `attaching`, and then `detaching`, until it is detached by force.
    StuckUntilForced,
    /// Attach and Detach: take minutes.
    SlowTransition,
    /// Describe: shows the account as it was a while ago.
    StaleRead,
    /// Describe of a further page: the token has expired.
    ExpiredPage,
    /// EC2: ExpiredToken, as when credentials are rotated.
    ExpiredCredentials,
    /// EC2: UnauthorizedOperation, as where a policy asks for tags that it does not see yet.
    Unauthorized,
    /// API server: somebody else writes to the same object first.
    Interfere,
    /// A watch: it ends at once with 410 Gone.
    Gone,
}
