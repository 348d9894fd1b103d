//! Faults: what goes wrong with a call, and which call.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::model::Stuck;

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// EC2 refuses the call and nothing happens.
    Fail {
        /// EC2's error code.
        code: String,
        /// The HTTP status; `None`: the code's usual one.
        status: Option<u16>,
    },
    /// RequestLimitExceeded, whatever the buckets say.
    Throttle,
    /// The connection fails before EC2 has the request.
    Unreachable,
    /// The call takes effect and its answer is lost.
    LoseAnswer(Loss),
    /// The call takes effect, and the connection breaks in the middle of its answer.
    GarbleAnswer,
    /// The call takes effect only after this long: also when the caller has given up by then.
    Delay(Duration),
    /// The call takes effect at once and is answered only after this long.
    SlowAnswer(Duration),
    /// AttachNetworkInterface succeeds and stays `attaching`.
    StuckAttaching(Stuck),
    /// An attach or detach takes this long ("rarely minutes").
    SlowTransition(Duration),
    /// DeleteNetworkInterface answers success; the interface stays, `available`, and its tags are gone.
    LeakOnDelete,
    /// A Describe shows the account as it was this long ago (at most 300 s).
    StaleRead(Duration),
}

/// How an answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The connection breaks.
    Broken,
    /// Nothing comes for this long; then the connection breaks.
    Hang(Duration),
}

/// A request as it arrives, for choosing a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Counts arrivals from 1.
    pub number: u64,
    /// When it arrived.
    pub at: Timestamp,
    /// The action.
    pub action: String,
    /// All query parameters but Action and Version.
    pub parameters: BTreeMap<String, String>,
    /// The caller's User-Agent.
    pub user_agent: String,
}

/// Which calls a fault befalls.
#[derive(Clone, Debug)]
pub struct FaultRule {
    action: Option<String>,
    parameters: BTreeMap<String, String>,
    user_agent: Option<String>,
    skip: u32,
    times: Option<u32>,
    fault: Fault,
}

impl FaultRule {
    /// Every call of this action.
    pub fn on(action: &str, fault: Fault) -> Self {
        Self { action: Some(action.to_owned()), ..Self::on_every_call(fault) }
    }

    /// Every call.
    pub fn on_every_call(fault: Fault) -> Self {
        Self { action: None, parameters: BTreeMap::new(), user_agent: None, skip: 0, times: None, fault }
    }

    /// Only calls with this parameter, `NetworkInterfaceId` for example.
    pub fn with(mut self, parameter: &str, value: &str) -> Self {
        self.parameters.insert(parameter.to_owned(), value.to_owned());
        self
    }

    /// Only callers whose User-Agent contains this.
    pub fn from_agent(mut self, part: &str) -> Self {
        self.user_agent = Some(part.to_owned());
        self
    }

    /// Spares the first `calls`.
    pub fn after(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// At most so often.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// [`Self::times`] of one.
    pub fn once(self) -> Self {
        self.times(1)
    }

    fn applies(&mut self, call: &Incoming) -> bool {
        let fits = self.action.as_ref().is_none_or(|action| *action == call.action)
            && self.parameters.iter().all(|(name, value)| call.parameters.get(name) == Some(value))
            && self.user_agent.as_ref().is_none_or(|part| call.user_agent.contains(part.as_str()));
        if !fits || self.times == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times = self.times.map(|left| left - 1);
        true
    }
}

/// Chooses a fault for a call: for seeded histories.
pub type FaultSource = Box<dyn FnMut(&Incoming) -> Option<Fault> + Send>;

/// The rules in force, in order, and after them the source.
#[derive(Default)]
pub(super) struct Faults {
    pub rules: Vec<FaultRule>,
    pub source: Option<FaultSource>,
}

impl Faults {
    pub fn choose(&mut self, call: &Incoming) -> Option<Fault> {
        let ruled = self.rules.iter_mut().find_map(|rule| rule.applies(call).then(|| rule.fault.clone()));
        ruled.or_else(|| self.source.as_mut().and_then(|source| source(call)))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("rules", &self.rules).field("source", &self.source.is_some()).finish()
    }
}
