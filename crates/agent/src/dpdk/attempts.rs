//! What was tried with each device in this process: the steps towards its goal, the step that runs now, and what was given up. A step
//! that the plan asks for a second time had no effect. After a restart the first try begins anew.

use super::step::{DeviceStep, Goal};
use crate::pace::{CALM, back_off};
use crate::pci_address::PciAddress;
use std::collections::BTreeMap;
use std::time::Duration;

/// A failed bind costs the link, so its back-off begins at a minute.
const FAILURES_OF_FIRST_MINUTE: u32 = 6;

/// The longest wait for a process that holds a device. The kernel sends no event when it ends, and a look costs little.
pub const HELD_WAIT: Duration = Duration::from_secs(30);

/// Why a step ended without success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepError {
    /// A process holds the device. Nothing was changed.
    Held(String),
    /// Something else.
    Failed(String),
}

/// A step that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The step.
    pub step: DeviceStep,
    /// When it began, since the start of the process.
    pub since: Duration,
}

/// A goal that is not tried now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The goal.
    pub goal: Goal,
    /// Why.
    pub why: StepError,
    /// Until when, since the start of the process.
    pub until: Duration,
}

/// What was tried with one device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempt {
    goal: Option<Goal>,
    done: Vec<DeviceStep>,
    last_error: Option<String>,
    running: Option<Running>,
    refusals: Vec<Refusal>,
    failures: u32,
    last_end: Option<Duration>,
    /// How often the device was bound, with less than [`CALM`] between.
    binds: u32,
    /// When it was bound last.
    bound_at: Option<Duration>,
}

impl Attempt {
    /// The step that runs.
    pub fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    /// Whether the step was made already on the way to this goal.
    pub fn has_done(&self, goal: Goal, step: &DeviceStep) -> bool {
        self.goal == Some(goal) && self.done.contains(step)
    }

    /// The error of the last step that failed on the way to this goal.
    pub fn last_error(&self, goal: Goal) -> Option<&str> {
        self.last_error.as_deref().filter(|_| self.goal == Some(goal))
    }

    /// Why the goal is not tried at this time.
    pub fn refusal(&self, goal: Goal, now: Duration) -> Option<&StepError> {
        self.refusals.iter().find(|refusal| refusal.goal == goal && now < refusal.until).map(|refusal| &refusal.why)
    }

    /// Whether the device is not bound at this time, because somebody gives back what the agent binds.
    pub fn is_contested(&self, now: Duration) -> bool {
        let wait = self.binds.checked_sub(1).filter(|count| *count > 0).map_or(Duration::ZERO, back_off);
        self.bound_at.is_some_and(|at| now.saturating_sub(at) < wait)
    }

    /// When the last step ended.
    pub fn last_end(&self) -> Option<Duration> {
        self.last_end
    }

    fn refuse(&mut self, goal: Goal, why: StepError, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        let count = match (goal, &why) {
            (Goal::Bind(_), StepError::Failed(_)) => self.failures.saturating_add(FAILURES_OF_FIRST_MINUTE),
            (Goal::Bind(_) | Goal::Restore, _) => self.failures,
        };
        self.refusals.retain(|refusal| refusal.goal != goal);
        let longest = if matches!(why, StepError::Held(_)) { HELD_WAIT } else { Duration::MAX };
        self.refusals.push(Refusal { goal, why, until: now.saturating_add(back_off(count).min(longest)) });
        (self.goal, self.last_error) = (None, None);
        self.done.clear();
    }
}

/// All devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempts(BTreeMap<PciAddress, Attempt>);

impl Attempts {
    /// What was tried with a device.
    pub fn of(&self, address: &PciAddress) -> Option<&Attempt> {
        self.0.get(address)
    }

    /// A step begins.
    pub fn start(&mut self, address: &PciAddress, goal: Goal, step: DeviceStep, now: Duration) {
        let attempt = self.0.entry(address.clone()).or_default();
        if attempt.goal != Some(goal) {
            (attempt.goal, attempt.last_error) = (Some(goal), None);
            attempt.done.clear();
        }
        attempt.running = Some(Running { step, since: now });
    }

    /// The running step of a device ends. The result is the step.
    pub fn finish(
        &mut self,
        address: &PciAddress,
        result: &Result<(), StepError>,
        now: Duration,
    ) -> Option<DeviceStep> {
        let attempt = self.0.get_mut(address)?;
        let Running { step, .. } = attempt.running.take()?;
        attempt.last_end = Some(now);
        match (result, attempt.goal) {
            (Err(held @ StepError::Held(_)), Some(goal)) => attempt.refuse(goal, held.clone(), now),
            (Err(StepError::Failed(error) | StepError::Held(error)), _) => {
                attempt.last_error = Some(format!("could not {step}: {error}"));
                attempt.done.push(step.clone());
            }
            (Ok(()), _) => attempt.done.push(step.clone()),
        }
        Some(step)
    }

    /// The goal is given up for a time.
    pub fn give_up(&mut self, address: &PciAddress, goal: Goal, why: String, now: Duration) {
        self.0.entry(address.clone()).or_default().refuse(goal, StepError::Failed(why), now);
    }

    /// The device is bound as asked, so that nothing of before counts but how often that was so.
    pub fn settle(&mut self, address: &PciAddress, now: Duration) {
        let Some(attempt) = self.0.get_mut(address).filter(|attempt| attempt.running.is_none()) else { return };
        let is_recent = attempt.bound_at.is_some_and(|at| now.saturating_sub(at) < CALM);
        let before = if is_recent { attempt.binds } else { 0 };
        let is_new = matches!(attempt.goal, Some(Goal::Bind(_))) && attempt.done.contains(&DeviceStep::Probe);
        let (binds, bound_at) = if is_new {
            (before.saturating_add(1), Some(now))
        } else {
            (before, attempt.bound_at.filter(|_| is_recent))
        };
        *attempt = Attempt { binds, bound_at, ..Attempt::default() };
    }

    /// The device has been given back. A bind that failed before is still not tried at once.
    pub fn given_back(&mut self, address: &PciAddress) {
        if let Some(attempt) = self.0.get_mut(address) {
            attempt.refusals.retain(|refusal| refusal.goal != Goal::Restore);
            (attempt.goal, attempt.last_error) = (None, None);
            (attempt.binds, attempt.bound_at) = (0, None);
            attempt.done.clear();
        }
    }

    /// Whether a step runs.
    pub fn has_running(&self) -> bool {
        self.0.values().any(|attempt| attempt.running.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dpdk::driver::DpdkDriver;

    const BIND: Goal = Goal::Bind(DpdkDriver::VfioPci);
    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn address() -> PciAddress {
        "0000:00:06.0".parse().unwrap()
    }

    #[test]
    fn a_held_device_is_tried_again_soon_and_a_failed_bind_after_a_minute() {
        let mut attempts = Attempts::default();
        attempts.start(&address(), Goal::Restore, DeviceStep::Unbind("vfio-pci".to_owned()), at(0));
        attempts.finish(&address(), &Err(StepError::Held("7".to_owned())), at(0));
        let attempt = attempts.of(&address()).unwrap();
        assert!(attempt.refusal(Goal::Restore, at(0)).is_some() && attempt.refusal(BIND, at(0)).is_none());
        assert!(attempt.refusal(Goal::Restore, at(1)).is_none());
        assert!(!attempt.has_done(Goal::Restore, &DeviceStep::Unbind("vfio-pci".to_owned())));
        let mut attempts = Attempts::default();
        attempts.give_up(&address(), BIND, "why".to_owned(), at(0));
        attempts.given_back(&address());
        let attempt = attempts.of(&address()).unwrap();
        assert!(attempt.refusal(BIND, at(59)).is_some());
        assert!(attempt.refusal(BIND, at(64)).is_none());
        assert!(attempt.refusal(Goal::Bind(DpdkDriver::IgbUio), at(0)).is_none(), "another driver is news");
    }

    #[test]
    fn a_held_device_is_tried_again_within_half_a_minute_however_long_it_is_held() {
        let mut attempts = Attempts::default();
        for turn in 0..20 {
            attempts.start(&address(), Goal::Restore, DeviceStep::Unbind("vfio-pci".to_owned()), at(turn * 100));
            attempts.finish(&address(), &Err(StepError::Held("7".to_owned())), at(turn * 100));
        }
        let attempt = attempts.of(&address()).unwrap();
        assert!(attempt.refusal(Goal::Restore, at(1929)).is_some());
        assert!(attempt.refusal(Goal::Restore, at(1930)).is_none());
    }

    #[test]
    fn a_device_that_somebody_gives_back_again_and_again_is_bound_ever_more_rarely() {
        let mut attempts = Attempts::default();
        let mut bind = |from: u64| {
            let mut now = from;
            let mut waits = Vec::new();
            for _ in 0..5 {
                attempts.start(&address(), BIND, DeviceStep::Probe, at(now));
                attempts.finish(&address(), &Ok(()), at(now));
                attempts.settle(&address(), at(now));
                // A turn that finds it so is no bind.
                attempts.settle(&address(), at(now));
                let since = now;
                while attempts.of(&address()).unwrap().is_contested(at(now)) {
                    now += 1;
                }
                waits.push(now - since);
            }
            waits
        };
        assert_eq!(bind(0), [0, 1, 2, 4, 8]);
        assert_eq!(bind(10_000), [0, 1, 2, 4, 8], "a day later it is no fight");
        attempts.given_back(&address());
        assert!(!attempts.of(&address()).unwrap().is_contested(at(10_000)));
    }

    #[test]
    fn steps_towards_another_goal_do_not_count() {
        let mut attempts = Attempts::default();
        attempts.start(&address(), BIND, DeviceStep::Probe, at(0));
        assert_eq!(
            attempts.finish(&address(), &Err(StepError::Failed("ENODEV".to_owned())), at(1)),
            Some(DeviceStep::Probe)
        );
        let attempt = attempts.of(&address()).unwrap();
        assert!(attempt.has_done(BIND, &DeviceStep::Probe) && !attempt.has_done(Goal::Restore, &DeviceStep::Probe));
        assert_eq!(attempt.last_error(BIND), Some("could not probe for a driver: ENODEV"));
        attempts.start(&address(), Goal::Restore, DeviceStep::ClearOverride, at(2));
        assert!(attempts.has_running());
        assert_eq!(attempts.of(&address()).unwrap().last_error(Goal::Restore), None);
    }
}
