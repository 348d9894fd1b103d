//! Injected faults: what goes wrong with a call, and the rules that choose the calls.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::model::Stuck;

/// A fault of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// EC2 refuses the call, and the call has no effect.
    Fail {
        /// EC2's error code.
        code: String,
        /// The HTTP status. `None` stands for the usual status of the code.
        status: Option<u16>,
    },
    /// EC2 answers RequestLimitExceeded, even if the bucket has tokens.
    Throttle,
    /// The connection fails before EC2 receives the request.
    Unreachable,
    /// The call takes effect and its answer is lost.
    LoseAnswer(Loss),
    /// The call takes effect, and the connection breaks in the middle of its answer.
    GarbleAnswer,
    /// The call takes effect after this additional time, even if the caller has timed out by then.
    Delay(Duration),
    /// The call takes effect as usual, and the answer takes this much longer.
    SlowAnswer(Duration),
    /// AttachNetworkInterface succeeds, and the attachment stays `attaching`.
    StuckAttaching(Stuck),
    /// An attach or detach takes this long (`facts/ec2.md`: "rarely minutes").
    SlowTransition(Duration),
    /// DeleteNetworkInterface succeeds, but the interface stays `available` and loses its tags.
    LeakOnDelete,
    /// DescribeNetworkInterfaces shows the interfaces as they were this long ago, at most 300 s.
    StaleRead(Duration),
}

/// How an answer gets lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The connection breaks.
    Broken,
    /// The connection is silent for this long and then breaks.
    Hang(Duration),
}

/// A request as it arrives: the input of the choice of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The number of the request, counted from 1 in the order of arrival.
    pub number: u64,
    /// The time of arrival.
    pub at: Timestamp,
    /// The action.
    pub action: String,
    /// All query parameters except Action and Version.
    pub parameters: BTreeMap<String, String>,
    /// The caller's User-Agent.
    pub user_agent: String,
}

/// A fault, and the calls to which it applies.
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
    /// Applies to every call of this action.
    pub fn on(action: &str, fault: Fault) -> Self {
        Self { action: Some(action.to_owned()), ..Self::on_every_call(fault) }
    }

    /// Applies to every call.
    pub fn on_every_call(fault: Fault) -> Self {
        Self { action: None, parameters: BTreeMap::new(), user_agent: None, skip: 0, times: None, fault }
    }

    /// Restricts the rule to calls with this parameter, for example `NetworkInterfaceId`.
    pub fn with(mut self, parameter: &str, value: &str) -> Self {
        self.parameters.insert(parameter.to_owned(), value.to_owned());
        self
    }

    /// Restricts the rule to callers whose User-Agent contains `part`.
    pub fn from_agent(mut self, part: &str) -> Self {
        self.user_agent = Some(part.to_owned());
        self
    }

    /// Skips the first `calls` calls.
    pub fn after(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// Limits how often the rule applies.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Limits the rule to one call.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Whether the rule applies to this call. Counts the calls that it skips and to which it applies.
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

/// Chooses a fault for a call, for example from a seed.
pub type FaultSource = Box<dyn FnMut(&Incoming) -> Option<Fault> + Send>;

/// The fault rules in order, and the source that is asked if no rule applies.
#[derive(Default)]
pub(super) struct Faults {
    pub rules: Vec<FaultRule>,
    pub source: Option<FaultSource>,
}

impl Faults {
    /// The fault of a call, if there is one.
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
