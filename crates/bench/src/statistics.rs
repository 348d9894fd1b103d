//! Counts of EC2's calls, and percentiles of times.

use multi_eni_sim::ec2::{Ec2, Outcome};
use std::collections::BTreeMap;

/// The calls of EC2 since its counts were cleared: those that took effect, by action, and those that were refused, by action and
/// code.
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

/// The 50th and the 99th percentile. None if there is no value.
pub fn percentiles(mut of: Vec<f64>) -> Option<[f64; 2]> {
    of.sort_by(f64::total_cmp);
    let at = |part: usize| of.get((of.len() * part).div_ceil(100).max(1) - 1).copied();
    at(50).zip(at(99)).map(|(half, most)| [half, most])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_any_number_of_values() {
        assert_eq!(percentiles((1..=200).rev().map(f64::from).collect()), Some([100.0, 198.0]));
        assert_eq!(percentiles(vec![7.0]), Some([7.0, 7.0]));
        assert_eq!(percentiles(Vec::new()), None);
    }
}
