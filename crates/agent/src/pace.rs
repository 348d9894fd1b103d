//! When the agent looks at the node again. Events ask for a look soon; what is not as asked, for a look later. If the agent makes
//! steps each time, another program undoes them: the agent then waits longer each time instead of fighting.

use std::collections::BTreeMap;
use std::time::Duration;

/// The wait after an event: the events of one change come together.
const SOON: Duration = Duration::from_millis(100);
/// The first wait of a back-off.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait of a back-off.
const LONGEST: Duration = Duration::from_secs(300);
/// The same step after a longer time is no fight.
pub(crate) const CALM: Duration = Duration::from_secs(900);

/// The pace of the turns.
#[derive(Debug, Default)]
pub struct Pace {
    /// How often each step was made, with less than [`CALM`] between, and when it was made last. A step counts by itself: a program
    /// that undoes this today and that tomorrow makes the lists differ.
    made: BTreeMap<String, (u32, Duration)>,
    /// How often in a row something was not as asked.
    unsettled: u32,
}

/// What a turn means for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// The least wait, whatever happens.
    pub after_event: Duration,
    /// The wait if nothing happens. None: only an event asks for a turn.
    pub without_event: Option<Duration>,
}

impl Pace {
    /// An ENIAttachment asks for something else: what was not as asked starts anew.
    pub fn news(&mut self) {
        self.unsettled = 0;
    }

    /// How many steps were made more than once lately: another program undoes them.
    pub fn repeated_steps(&self) -> usize {
        self.made.values().filter(|(count, _)| *count > 1).count()
    }

    /// Notes a turn at this time since the start of the process.
    pub fn note(&mut self, now: Duration, steps: &[String], is_settled: bool) -> Wait {
        self.made.retain(|_, (_, at)| now.saturating_sub(*at) < CALM);
        let mut repeats = 0;
        for step in steps {
            let (count, at) = self.made.entry(step.clone()).or_insert((0, now));
            repeats = repeats.max(*count);
            (*count, *at) = (count.saturating_add(1), now);
        }
        self.unsettled = if is_settled { 0 } else { self.unsettled.saturating_add(1) };
        let after_event = if repeats == 0 { SOON } else { back_off(repeats) };
        let without_event = (self.unsettled > 0).then(|| back_off(self.unsettled).max(after_event));
        Wait { after_event, without_event }
    }
}

/// 1 s, 2 s, 4 s, … up to 5 minutes.
pub(crate) fn back_off(count: u32) -> Duration {
    let factor = 1_u32.checked_shl(count.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST.saturating_mul(factor).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> Vec<String> {
        vec!["add rule".to_owned()]
    }

    #[test]
    fn a_settled_node_waits_for_events_alone() {
        assert_eq!(Pace::default().note(Duration::ZERO, &[], true), Wait { after_event: SOON, without_event: None });
    }

    #[test]
    fn what_is_not_as_asked_is_looked_at_again_ever_more_rarely() {
        let mut pace = Pace::default();
        let waits: Vec<u64> =
            (0..12).map(|n| pace.note(Duration::from_secs(n), &[], false).without_event.unwrap().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        pace.news();
        assert_eq!(pace.note(Duration::from_secs(98), &[], false).without_event, Some(FIRST));
        assert_eq!(pace.note(Duration::from_secs(99), &[], true).without_event, None);
    }

    #[test]
    fn a_program_that_undoes_the_steps_is_not_fought() {
        let mut pace = Pace::default();
        let waits: Vec<Duration> =
            (0..4).map(|n| pace.note(Duration::from_secs(n), &steps(), true).after_event).collect();
        assert_eq!(waits, [SOON, FIRST, FIRST * 2, FIRST * 4]);
        assert_eq!(pace.repeated_steps(), 1);
        // The same repair a day later is no fight.
        assert_eq!(pace.note(Duration::from_secs(86_400), &steps(), true).after_event, SOON);
        assert_eq!(pace.repeated_steps(), 0);
    }

    #[test]
    fn a_program_that_undoes_one_thing_and_then_another_is_not_fought_either() {
        let mut pace = Pace::default();
        let lists = [vec!["add rule".to_owned()], vec!["add route".to_owned(), "add rule".to_owned()]];
        let mut waits = |from: u64| -> Vec<Duration> {
            let turns = lists.iter().cycle().take(4).zip(from..);
            turns.map(|(steps, at)| pace.note(Duration::from_secs(at), steps, true).after_event).collect()
        };
        assert_eq!(waits(0), [SOON, FIRST, FIRST * 2, FIRST * 4]);
        assert_eq!(waits(86_400), [SOON, FIRST, FIRST * 2, FIRST * 4]);
    }
}
