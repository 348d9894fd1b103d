//! What calls and times come to.

use multi_eni_sim::ec2::{Ec2, Outcome};
use std::collections::BTreeMap;

/// EC2's calls since the beginning: those that took effect, by action; and those that were refused, by action and code.
pub fn calls(ec2: &Ec2) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let (mut done, mut refused) = (BTreeMap::new(), BTreeMap::new());
    for (action, outcomes) in ec2.counts() {
        for (outcome, count) in outcomes {
            match outcome {
                Outcome::Done => *done.entry(action.clone()).or_default() += count,
                Outcome::Refused(code) => *refused.entry(format!("{action} {code}")).or_default() += count,
                Outcome::NeverArrived => *refused.entry(format!("{action} never arrived")).or_default() += count,
            }
        }
    }
    (done, refused)
}

/// What half of them do not exceed, and 99 % of them; None if there are none.
pub fn percentiles(mut of: Vec<f64>) -> Option<[f64; 2]> {
    of.sort_by(f64::total_cmp);
    let at = |part: usize| of.get((of.len() * part).div_ceil(100).max(1) - 1).copied();
    at(50).zip(at(99)).map(|(half, most)| [half, most])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_there_is() {
        assert_eq!(percentiles((1..=200).rev().map(f64::from).collect()), Some([100.0, 198.0]));
        assert_eq!(percentiles(vec![7.0]), Some([7.0, 7.0]));
        assert_eq!(percentiles(Vec::new()), None);
    }
}
