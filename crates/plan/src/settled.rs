//! Whether a NodeENI that was not Ready is settled: Ready is True again and nothing is left to do. A rollout makes Ready False and True
//! for each of its steps, and is reported once, at its end.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use multi_eni_api::conditions::{is_true, types};

/// Whether the conditions `now` are settled, those `before` were not, and Ready was False meanwhile.
pub fn becomes_settled(before: &[Condition], now: &[Condition]) -> bool {
    if is_settled(before) || !is_settled(now) {
        return false;
    }
    let since = |conditions: &[Condition], kind: &str| {
        conditions.iter().find(|condition| condition.type_ == kind).map(|of| of.last_transition_time.0)
    };
    // Ready began now, or during the progress that ends now. The times are whole seconds.
    !is_true(before, types::READY) || since(now, types::READY) >= since(before, types::PROGRESSING)
}

fn is_settled(conditions: &[Condition]) -> bool {
    is_true(conditions, types::READY) && !is_true(conditions, types::PROGRESSING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use multi_eni_api::conditions::{ConditionUpdate, set};

    /// The number of times that a NodeENI becomes settled in these states of Ready and Progressing, one per second.
    fn events(states: &[(bool, bool)]) -> usize {
        let (mut conditions, mut events) = (Vec::new(), 0);
        for (second, (ready, progressing)) in (1_800_000_000..).zip(states) {
            let before: Vec<Condition> = conditions.clone();
            let now = Timestamp::from_second(second).unwrap();
            for (kind, is_so) in [(types::READY, *ready), (types::PROGRESSING, *progressing)] {
                set(&mut conditions, ConditionUpdate::new(kind, is_so, "Test", ""), None, now);
            }
            events += usize::from(becomes_settled(&before, &conditions));
        }
        events
    }

    #[test]
    fn a_rollout_is_reported_once_at_its_end() {
        let (step, between, end) = ((false, true), (true, true), (true, false));
        assert_eq!(events(&[(false, true), end]), 1, "a new NodeENI");
        assert_eq!(events(&[end]), 1, "one that is Ready in its first status");
        assert_eq!(events(&[end, step, between, step, between, step, end, end]), 2, "three steps");
        assert_eq!(events(&[end, step, between, end]), 2, "the last node was Ready before the progress ended");
        assert_eq!(events(&[end, between, end]), 1, "an edit that leaves all Ready");
        assert_eq!(events(&[end, (false, false), end]), 2, "a problem that is over");
    }
}
